//! [`PartitionReport`]: where a partition is, and why it is not being fetched.

use super::shared::State;
use crate::engine::TopicPartition;
use crate::engine::cursor::Unasked;
use crate::engine::view::View;
use crate::error::ErrorCode;
use std::fmt;
use std::time::{Duration, Instant};

/// Where a partition is, and why it is not being fetched. Made by [`Consumer::explain`](super::Consumer::explain); its
/// `Display` is a line for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionReport {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to be handed out, as soon as it is known.
    pub position: Option<i64>,
    /// Offsets up to the end that the last answer told.
    pub lag: Option<i64>,
    /// Bytes of its records that wait to be handed out.
    pub queued_bytes: usize,
    /// Why it is not in a request; `None` when it is to be in the next one, which is about to be sent.
    pub why: Option<WhyNotFetched>,
}

/// Why a partition is not asked for at the moment. As long as [`Fetching`](Self::Fetching) holds nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNotFetched {
    /// A request to this broker is under way; the partition is a part of it, or will be of the next one.
    Fetching {
        /// The broker's id.
        broker: i32,
    },
    /// No broker has said yet which offset the beginning, the end or a time is.
    Unresolved,
    /// There is no record at the position, or records that were read are no more, and `auto.offset.reset` is `none`: it
    /// waits for [`Consumer::seek`](super::Consumer::seek).
    Lost,
    /// It is paused.
    Paused,
    /// It is given to another member of the group, or was given to this one just now: see the listener of rebalances.
    Rebalancing,
    /// The application has to hear of an error first, by the next call of `poll` or of the partition's stream.
    Untold,
    /// A request for it failed, or a batch of it was refused: it is asked for again after this time.
    Resting(Duration),
    /// Metadata name no leader, for this reason; they are asked for again and again.
    NoLeader(ErrorCode),
    /// What was fetched of it waits to be read: its share of `queued.max.messages.kbytes` is used up.
    ShareUsedUp,
    /// What was fetched waits to be read: `queued.max.messages.kbytes` is used up.
    QueueFull,
    /// The broker answered at once and with nothing, again and again: it is asked again after this time.
    BrokerResting {
        /// The broker's id.
        broker: i32,
        /// How long it is left alone.
        rest: Duration,
    },
}

impl From<Unasked> for WhyNotFetched {
    fn from(why: Unasked) -> WhyNotFetched {
        match why {
            Unasked::Unresolved => WhyNotFetched::Unresolved,
            Unasked::Lost => WhyNotFetched::Lost,
            Unasked::Paused => WhyNotFetched::Paused,
            Unasked::Withheld => WhyNotFetched::Rebalancing,
            Unasked::Blocked => WhyNotFetched::Untold,
            Unasked::Rests(rest) => WhyNotFetched::Resting(rest),
            Unasked::Leaderless(code) => WhyNotFetched::NoLeader(code),
            Unasked::Full(_) => WhyNotFetched::ShareUsedUp,
            Unasked::BrokerRests(broker, rest) => WhyNotFetched::BrokerResting { broker: broker.0, rest },
            Unasked::Busy(broker) => WhyNotFetched::Fetching { broker: broker.0 },
        }
    }
}

impl fmt::Display for WhyNotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNotFetched::Fetching { broker } => write!(f, "broker {broker} is asked"),
            WhyNotFetched::Unresolved => f.write_str("no broker has said yet where to begin"),
            WhyNotFetched::Lost => {
                f.write_str("no such offset, and auto.offset.reset is none: it waits for a seek")
            }
            WhyNotFetched::Paused => f.write_str("paused"),
            WhyNotFetched::Rebalancing => f.write_str("it changes hands, within a rebalance of the group"),
            WhyNotFetched::Untold => f.write_str("an error waits to be heard of by poll"),
            WhyNotFetched::Resting(rest) => {
                write!(f, "it failed and is asked again in {} ms", rest.as_millis())
            }
            WhyNotFetched::NoLeader(code) => write!(f, "no leader: {code}"),
            WhyNotFetched::ShareUsedUp => {
                f.write_str("its share of queued.max.messages.kbytes waits to be read")
            }
            WhyNotFetched::QueueFull => f.write_str("queued.max.messages.kbytes wait to be read"),
            WhyNotFetched::BrokerResting { broker, rest } => {
                write!(
                    f,
                    "broker {broker} had nothing, too early, and is asked again in {} ms",
                    rest.as_millis()
                )
            }
        }
    }
}

impl fmt::Display for PartitionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartitionReport { partition, position, lag, queued_bytes, why } = self;
        write!(f, "{partition}: ")?;
        match position {
            Some(position) => write!(f, "position {position}")?,
            None => f.write_str("position not known")?,
        }
        if let Some(lag) = lag {
            write!(f, ", lag {lag}")?;
        }
        write!(f, ", {queued_bytes} bytes queued")?;
        match why {
            Some(why) => write!(f, "; {why}"),
            None => f.write_str("; about to be asked for"),
        }
    }
}

pub(super) fn reports(state: &State, view: &View, now: Instant) -> Vec<PartitionReport> {
    let cursors = &state.cursors;
    let report = |partition: &TopicPartition| {
        let why = cursors.why_unasked(partition, view, now, &state.fetching).ok().flatten();
        let why = why.map(WhyNotFetched::from);
        let is_full = || cursors.is_full().then_some(WhyNotFetched::QueueFull);
        PartitionReport {
            partition: partition.clone(),
            position: state.position(partition).ok().flatten(),
            lag: state.lag(partition).ok().flatten(),
            queued_bytes: cursors.queued_bytes_of(partition),
            why: why.or_else(is_full),
        }
    };
    cursors.assigned().map(report).collect()
}
