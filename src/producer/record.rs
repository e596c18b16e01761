//! [`Record`]: what a producer sends.

use super::topic_name::TopicName;
use crate::wire::Text;
use bytes::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};

/// A record on its way to a topic: key, value, headers, and, where the caller wants to decide, partition and timestamp.
///
/// ```
/// use ottla::Record;
///
/// let record = Record::to("orders").key("order-17").value("paid").header("source", "web");
/// assert_eq!(record.topic(), "orders");
/// ```
///
/// A record without value is a tombstone: a compacted topic forgets the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Short names live in the record itself: one allocation less.
    pub(super) topic: TopicName,
    pub(super) partition: Option<i32>,
    /// [`NOW`], or the record's own.
    timestamp_ms: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(Text, Option<Bytes>)>,
}

impl Record {
    /// A record for a topic, so far without key, value and headers.
    pub fn to(topic: impl AsRef<str>) -> Record {
        Record {
            topic: TopicName::new(topic.as_ref()),
            partition: None,
            timestamp_ms: NOW,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// The key: records with the same key go to the same partition, in order.
    #[must_use]
    pub fn key(mut self, key: impl IntoBytes) -> Record {
        self.key = Some(key.into_bytes());
        self
    }

    /// The value.
    #[must_use]
    pub fn value(mut self, value: impl IntoBytes) -> Record {
        self.value = Some(value.into_bytes());
        self
    }

    /// The value as JSON, the keys of all objects sorted, so that equal values are equal bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) when the value cannot be said in JSON: a number that
    /// is not finite, a map whose keys are not strings. Nothing is sent.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> crate::Result<Record> {
        let bytes = super::json::to_bytes(value).map_err(|error| error.topic(self.topic.as_str()))?;
        self.value = Some(bytes);
        Ok(self)
    }

    /// Adds a header behind those that are there. Names may occur more than once.
    #[must_use]
    pub fn header(mut self, name: impl Into<Text>, value: impl IntoBytes) -> Record {
        self.headers.push((name.into(), Some(value.into_bytes())));
        self
    }

    /// Adds a header whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: impl Into<Text>) -> Record {
        self.headers.push((name.into(), None));
        self
    }

    /// The partition, instead of the partitioner's choice.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Record {
        self.partition = Some(partition);
        self
    }

    /// The record's time, instead of the time of `send`. Earlier than 1970 is 1970.
    #[must_use]
    pub fn timestamp(self, time: SystemTime) -> Record {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.timestamp_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The record's time in milliseconds since 1970, instead of the time of `send`. `send` refuses one before that.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Record {
        self.timestamp_ms = timestamp_ms.max(NOW.saturating_add(1));
        self
    }

    /// The topic it goes to.
    pub fn topic(&self) -> &str {
        self.topic.as_str()
    }

    pub(super) fn own_timestamp(&self) -> Option<i64> {
        Some(self.timestamp_ms).filter(|timestamp| *timestamp != NOW)
    }
}

/// The time of `send`. An `Option` would make records larger than what processors copy in one go: see the test.
const NOW: i64 = i64::MIN;

/// What can be a key, a value, or a header's value: text and bytes, owned or borrowed (borrowed ones are copied).
pub trait IntoBytes {
    /// The bytes.
    fn into_bytes(self) -> Bytes;
}

impl IntoBytes for Bytes {
    fn into_bytes(self) -> Bytes {
        self
    }
}

impl IntoBytes for Vec<u8> {
    fn into_bytes(self) -> Bytes {
        self.into()
    }
}

impl IntoBytes for String {
    fn into_bytes(self) -> Bytes {
        self.into()
    }
}

macro_rules! copied {
    ($($t:ty),* $(,)?) => { $(
        impl IntoBytes for $t {
            fn into_bytes(self) -> Bytes {
                Bytes::copy_from_slice(self.as_ref())
            }
        }
    )* };
}
copied!(&str, &String, &[u8], &Vec<u8>, &Bytes);

impl<const N: usize> IntoBytes for [u8; N] {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self)
    }
}

impl<const N: usize> IntoBytes for &[u8; N] {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to here compilers copy with a few wide moves, beyond with a call; a record is moved three times until it is encoded.
    #[test]
    fn a_record_is_small_enough_to_be_moved_cheaply() {
        assert!(size_of::<Record>() <= 128, "{}", size_of::<Record>());
    }
}
