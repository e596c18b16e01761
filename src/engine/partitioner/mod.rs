//! Which partition a record goes to.
//!
//! A [`Partitioner`] only says what it wants ([`Choice`]): a partition, or that the place does not matter. What has to be
//! remembered for records whose place does not matter (the sticky partition, whose turn it is, which brokers keep up) is
//! kept for each topic in a [`Spread`]. So a partitioner is a pure function, the user's own included.
//!
//! Every built-in function of a key is held to vectors of the client it comes from: a key must go where the Java client,
//! or librdkafka, would send it.

mod hash;
mod spread;

pub use hash::{crc32, fnv1a, murmur2};
pub use spread::{Ground, Load, Spread};

/// Chooses the partition of each record that names none.
///
/// It is called on the task that calls `send`, once for each record, and again if that had to wait: it should not block.
///
/// A closure is a partitioner too:
///
/// ```
/// use ottla::engine::partitioner::{Choice, Partitioner, Unplaced};
///
/// let by_length = |record: &Unplaced<'_>| match record.key {
///     Some(key) => Choice::Partition(key.len() as i32 % record.partitions),
///     None => Choice::Sticky,
/// };
/// let record = Unplaced::new("orders", Some(b"12345"), None, 4, &[0, 1, 2, 3]);
/// assert_eq!(by_length.choose(&record), Choice::Partition(1));
/// ```
pub trait Partitioner: Send + Sync {
    /// Says where the record shall go.
    fn choose(&self, record: &Unplaced<'_>) -> Choice;
}

impl<F: Fn(&Unplaced<'_>) -> Choice + Send + Sync> Partitioner for F {
    fn choose(&self, record: &Unplaced<'_>) -> Choice {
        self(record)
    }
}

/// What a [`Partitioner`] sees of a record and its topic.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Unplaced<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The record's key, as bytes.
    pub key: Option<&'a [u8]>,
    /// The record's value, as bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// How many partitions the topic has, at least 1: they are `0..partitions`.
    pub partitions: i32,
    /// The partitions that have a leader now, in ascending order; may be empty while all brokers are away.
    pub available: &'a [i32],
}

impl<'a> Unplaced<'a> {
    /// A record to be placed.
    pub fn new(
        topic: &'a str,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        partitions: i32,
        available: &'a [i32],
    ) -> Unplaced<'a> {
        Unplaced { topic, key, value, partitions, available }
    }

    /// The hash's partition.
    fn modulo(&self, hash: u32) -> Choice {
        let partitions = self.partitions.unsigned_abs().max(1);
        Choice::Partition(
            hash.checked_rem(partitions).and_then(|p| i32::try_from(p).ok()).unwrap_or_default(),
        )
    }
}

/// What a [`Partitioner`] wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// This partition. `send` fails when the topic has none of this number.
    Partition(i32),
    /// Any: one partition until it has had its share of bytes, then another, so that batches fill (KIP-480), and rather
    /// one whose broker keeps up (KIP-794).
    Sticky,
    /// Any, drawn anew for each record among those that have a leader.
    Random,
    /// The next one in turn among those that have a leader.
    InTurn,
}

/// The partitioners that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BuiltIn {
    /// Java's: murmur2 of the key; records without a key are [sticky](Choice::Sticky).
    #[default]
    Default,
    /// Java's with `partitioner.ignore.keys`: every record is [sticky](Choice::Sticky).
    IgnoreKeys,
    /// Java's `RoundRobinPartitioner`: every record takes its [turn](Choice::InTurn).
    RoundRobin,
    /// librdkafka's `random`: random with a key, sticky without.
    Random,
    /// librdkafka's `consistent`: CRC-32 of the key; no key is as an empty one.
    Consistent,
    /// librdkafka's `consistent_random`: CRC-32 of the key; sticky with no key or an empty one.
    ConsistentRandom,
    /// librdkafka's `murmur2`: murmur2 of the key; no key is as an empty one.
    Murmur2,
    /// librdkafka's `murmur2_random`: murmur2 of the key; sticky without.
    Murmur2Random,
    /// librdkafka's `fnv1a`: FNV-1a of the key, as Sarama has it; no key is as an empty one.
    Fnv1a,
    /// librdkafka's `fnv1a_random`: FNV-1a of the key; sticky without.
    Fnv1aRandom,
}

impl Partitioner for BuiltIn {
    fn choose(&self, record: &Unplaced<'_>) -> Choice {
        let key = record.key.unwrap_or_default();
        match self {
            BuiltIn::IgnoreKeys => Choice::Sticky,
            BuiltIn::RoundRobin => Choice::InTurn,
            BuiltIn::Default | BuiltIn::Random | BuiltIn::Murmur2Random | BuiltIn::Fnv1aRandom
                if record.key.is_none() =>
            {
                Choice::Sticky
            }
            BuiltIn::ConsistentRandom if key.is_empty() => Choice::Sticky,
            BuiltIn::Random => Choice::Random,
            BuiltIn::Consistent | BuiltIn::ConsistentRandom => record.modulo(crc32(key)),
            BuiltIn::Default | BuiltIn::Murmur2 | BuiltIn::Murmur2Random => {
                record.modulo(murmur2(key) & 0x7fff_ffff)
            }
            BuiltIn::Fnv1a | BuiltIn::Fnv1aRandom => record.modulo(fnv1a(key)),
        }
    }
}

#[cfg(test)]
mod tests;
