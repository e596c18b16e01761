//! [`Deserializer`]: values instead of bytes, with an error for each record that has none.

use super::ConsumerRecord;
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_core::Stream;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Cause = Box<dyn StdError + Send + Sync>;

/// Reads the value of a record. A function of a record and its value is one:
///
/// ```no_run
/// # async fn example(mut consumer: ottla::Consumer) -> ottla::Result<()> {
/// use ottla::consumer::ConsumerRecord;
///
/// let length = |record: &ConsumerRecord, value: &bytes::Bytes| std::str::from_utf8(value).map(str::len);
/// let mut lengths = consumer.records().deserialize(length);
/// while let Some(typed) = lengths.next().await {
///     match typed {
///         Ok(typed) => println!("{}: {:?}", typed.record.offset, typed.value),
///         Err(error) => eprintln!("{error}"), // this record is passed; the next call goes on
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub trait Deserializer {
    /// What comes out.
    type Value;

    /// Reads a value, which is never null: a tombstone has no value to be read.
    ///
    /// # Errors
    /// Why it cannot be read; told in a [`DeserializationError`].
    fn deserialize(&self, record: &ConsumerRecord, value: &Bytes) -> std::result::Result<Self::Value, Cause>;
}

impl<T, E, F> Deserializer for F
where
    E: Into<Cause>,
    F: Fn(&ConsumerRecord, &Bytes) -> std::result::Result<T, E>,
{
    type Value = T;

    fn deserialize(&self, record: &ConsumerRecord, value: &Bytes) -> std::result::Result<T, Cause> {
        self(record, value).map_err(Into::into)
    }
}

/// Values as text, which has to be UTF-8.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is named to be made, and has nothing to say")]
pub struct Utf8;

impl Deserializer for Utf8 {
    type Value = String;

    fn deserialize(&self, _: &ConsumerRecord, value: &Bytes) -> std::result::Result<String, Cause> {
        Ok(std::str::from_utf8(value)?.to_owned())
    }
}

/// Values as they are.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is named to be made, and has nothing to say")]
pub struct Raw;

impl Deserializer for Raw {
    type Value = Bytes;

    fn deserialize(&self, _: &ConsumerRecord, value: &Bytes) -> std::result::Result<Bytes, Cause> {
        Ok(value.clone())
    }
}

/// Values as JSON, read into a type of the application's: `Json::<Order>::new()`.
#[cfg(feature = "json")]
pub struct Json<T>(std::marker::PhantomData<fn() -> T>);

#[cfg(feature = "json")]
impl<T> Json<T> {
    /// Reads JSON into `T`.
    #[must_use]
    pub const fn new() -> Json<T> {
        Json(std::marker::PhantomData)
    }
}

#[cfg(feature = "json")]
impl<T> Default for Json<T> {
    fn default() -> Json<T> {
        Json::new()
    }
}

#[cfg(feature = "json")]
impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

#[cfg(feature = "json")]
impl<T: serde::de::DeserializeOwned> Deserializer for Json<T> {
    type Value = T;

    fn deserialize(&self, _: &ConsumerRecord, value: &Bytes) -> std::result::Result<T, Cause> {
        Ok(serde_json::from_slice(value)?)
    }
}

/// A record with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Typed<T> {
    /// The record as it came.
    pub record: ConsumerRecord,
    /// Its value; `None` is a tombstone.
    pub value: Option<T>,
}

/// A value that could not be read, with the record that it is of: the source of an [`Error`] of the kind
/// [`ErrorKind::Deserialization`] (RecordDeserializationException of the Java client, KIP-334).
#[derive(Debug)]
pub struct DeserializationError {
    record: ConsumerRecord,
    cause: Cause,
}

impl DeserializationError {
    /// The record, for a dead-letter topic perhaps.
    pub fn record(&self) -> &ConsumerRecord {
        &self.record
    }
}

impl fmt::Display for DeserializationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.record.value.as_ref().map_or(0, Bytes::len);
        write!(f, "a value of {bytes} bytes")
    }
}

impl StdError for DeserializationError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

impl ConsumerRecord {
    /// The value as `deserializer` reads it; `None` for a tombstone.
    ///
    /// # Errors
    /// [`ErrorKind::Deserialization`], with a [`DeserializationError`] as source.
    pub fn value_as<D: Deserializer>(&self, deserializer: &D) -> Result<Option<D::Value>> {
        let Some(value) = &self.value else { return Ok(None) };
        deserializer.deserialize(self, value).map(Some).map_err(|cause| {
            Error::new(ErrorKind::Deserialization, "read the value of a record")
                .topic(self.partition.topic.as_str())
                .partition(self.partition.partition)
                .offset(self.offset)
                .with_source(DeserializationError { record: self.clone(), cause })
        })
    }
}

/// A stream of records with their values. Made by `deserialize` of a stream.
///
/// A record whose value cannot be read is told as an error and passed: the stream goes on with the next one.
#[derive(Debug)]
pub struct Deserialized<S, D> {
    records: S,
    deserializer: D,
}

impl<S, D> Deserialized<S, D>
where
    S: Stream<Item = Result<ConsumerRecord>> + Unpin,
    D: Deserializer,
{
    pub(super) fn new(records: S, deserializer: D) -> Deserialized<S, D> {
        Deserialized { records, deserializer }
    }

    /// The next record with its value; `None` when the stream below ends.
    ///
    /// # Errors
    /// [`ErrorKind::Deserialization`], with a [`DeserializationError`] as source; those of the stream below.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Typed<D::Value>>> {
        poll_fn(|cx| self.poll_typed(cx)).await
    }

    fn poll_typed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Typed<D::Value>>>> {
        let next = ready!(Pin::new(&mut self.records).poll_next(cx));
        Poll::Ready(next.map(|next| {
            let record = next?;
            Ok(Typed { value: record.value_as(&self.deserializer)?, record })
        }))
    }
}

impl<S, D> Stream for Deserialized<S, D>
where
    S: Stream<Item = Result<ConsumerRecord>> + Unpin,
    D: Deserializer + Unpin,
{
    type Item = Result<Typed<D::Value>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_typed(cx)
    }
}
