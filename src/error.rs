//! [`Error`]: what was attempted, where, what came back, whether anything may have been written, what to do.

pub use crate::messages::ErrorCode;
use crate::wire::WireError;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for a program ([`kind`](Error::kind) and the predicates) and for a person (`Display`, which tells
/// everything that is known in one line, causes included).
///
/// Cheap to clone: the failure of a batch is the failure of each of its records.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    attempt: Cow<'static, str>,
    scope: Scope,
    sent: Option<Sent>,
    hint: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Default)]
struct Scope {
    broker: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is unknown, malformed, or contradicts another. Nothing was attempted.
    Config,
    /// A call's argument or the state of the client does not allow the call. Nothing was attempted.
    InvalidInput,
    /// A host name could not be resolved.
    Resolve,
    /// No connection came about.
    Connect,
    /// The TLS handshake failed: certificate, host name, trust, or a peer that does not speak TLS.
    Tls,
    /// The broker refused the credentials, or the mechanism.
    Authentication,
    /// The deadline passed.
    Timeout,
    /// The connection ended before the answer was there.
    Disconnected,
    /// The peer's bytes are not what the protocol says.
    Protocol,
    /// Client and broker share no version of an API.
    UnsupportedVersion,
    /// The broker answered with an error code.
    Broker(ErrorCode),
    /// Fetched record batches are corrupt, of an old format, or break a limit.
    Records,
    /// Records that were read are no more: the log was truncated, as by an unclean leader election, and has gone on
    /// otherwise since (KIP-320; LogTruncationException of the Java client).
    LogTruncation {
        /// Where the consumer was.
        position: i64,
        /// Up to where the log is still the one that was read.
        parted_at: i64,
    },
    /// A record is larger than a request may be; both in bytes.
    RecordTooLarge {
        /// What the record takes.
        size: usize,
        /// `max.request.size`.
        limit: usize,
    },
    /// A value could not be turned into bytes. Nothing was queued.
    Serialization,
    /// Bytes could not be turned into a value.
    Deserialization,
    /// The producer's buffer is full (`buffer.memory`).
    QueueFull,
    /// A flush or close was over before everything was delivered.
    Undelivered {
        /// How many records were neither acknowledged nor failed.
        records: usize,
    },
    /// There is no committed offset of a partition, and `auto.offset.reset` is `none` (NoOffsetForPartitionException of the
    /// Java client).
    NoOffset,
    /// The application did not ask for records for longer than `max.poll.interval.ms`: the consumer has left its group, and
    /// joins again now.
    MaxPollExceeded,
    /// Waiting was ended by [`Wakeup::wakeup`](crate::consumer::Wakeup::wakeup) (WakeupException of the Java client).
    Wakeup,
    /// The client, producer or consumer was closed.
    Closed,
    /// A fault of this crate: please report it.
    Internal,
}

/// Whether the bytes of a request may have reached a broker when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sent {
    /// Surely not: nothing was written by it.
    Never,
    /// Possibly: the broker may have done it.
    Maybe,
}

impl Error {
    /// An error of a kind; `attempt` says what was attempted, as in "produce to the leader".
    pub fn new(kind: ErrorKind, attempt: impl Into<Cow<'static, str>>) -> Error {
        Error(Arc::new(Inner {
            kind,
            attempt: attempt.into(),
            scope: Scope::default(),
            sent: None,
            hint: None,
            source: None,
        }))
    }

    /// A wrong setting.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Config, message)
    }

    /// Bytes of a peer that are not what the protocol says.
    pub fn protocol(attempt: impl Into<Cow<'static, str>>, error: WireError) -> Error {
        Error::new(ErrorKind::Protocol, attempt).with_source(error)
    }

    /// An error code of a broker.
    pub fn broker_code(code: ErrorCode, attempt: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Broker(code), attempt)
    }

    /// Names the broker, as in `1 (kafka.example:9092)`.
    #[must_use]
    pub fn broker(self, broker: impl fmt::Display) -> Error {
        self.with(|inner| inner.scope.broker = Some(broker.to_string()))
    }

    /// Names the topic.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Error {
        self.with(|inner| inner.scope.topic = Some(topic.into()))
    }

    /// Names the partition.
    #[must_use]
    pub fn partition(self, partition: i32) -> Error {
        self.with(|inner| inner.scope.partition = Some(partition))
    }

    /// Names the offset.
    #[must_use]
    pub fn offset(self, offset: i64) -> Error {
        self.with(|inner| inner.scope.offset = Some(offset))
    }

    /// Says whether anything may have been written.
    #[must_use]
    pub fn sent(self, sent: Sent) -> Error {
        self.with(|inner| inner.sent = Some(sent))
    }

    /// For a request that writes nothing, whether it was sent is of no interest.
    #[must_use]
    pub(crate) fn of_a_read(self) -> Error {
        self.with(|inner| inner.sent = None)
    }

    /// Says what to change.
    #[must_use]
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Error {
        self.with(|inner| inner.hint = Some(hint.into()))
    }

    /// Names the cause.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Error {
        self.with(|inner| inner.source = Some(Arc::new(source)))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Error {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The broker's error code, if it answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Broker(code) => Some(code),
            _ => None,
        }
    }

    /// The topic it happened on.
    pub fn topic_name(&self) -> Option<&str> {
        self.0.scope.topic.as_deref()
    }

    /// The partition it happened on.
    pub fn partition_index(&self) -> Option<i32> {
        self.0.scope.partition
    }

    /// The offset it happened at.
    pub fn at_offset(&self) -> Option<i64> {
        self.0.scope.offset
    }

    /// The error of this crate that caused it, if one did.
    pub fn cause(&self) -> Option<&Error> {
        self.0.source.as_deref().and_then(|source| (source as &(dyn StdError + 'static)).downcast_ref())
    }

    /// What to change, where that is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the request may have taken effect all the same. An error that happened before anything was sent, and one
    /// that says nothing of it, is `false`.
    pub fn is_possibly_written(&self) -> bool {
        self.0.sent == Some(Sent::Maybe)
    }

    /// Whether the same call can succeed later without any change.
    pub fn is_retriable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Broker(code) => code.is_retriable(),
            ErrorKind::Resolve
            | ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Disconnected
            | ErrorKind::QueueFull => true,
            _ => false,
        }
    }

    /// Whether the client that returned it cannot go on: only a new one, with other settings, can.
    pub fn is_fatal(&self) -> bool {
        match self.0.kind {
            ErrorKind::Authentication | ErrorKind::Closed | ErrorKind::Config => true,
            ErrorKind::Broker(code) => code.is_fatal(),
            _ => false,
        }
    }

    /// Whether the transaction under way must be aborted before anything else.
    pub fn needs_abort(&self) -> bool {
        match self.0.kind {
            ErrorKind::Broker(code) => code.needs_abort(),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, true)
    }
}

impl Error {
    /// Whether something was written the outermost error says that knows it: a cause speaks of the last attempt alone.
    fn write(&self, f: &mut fmt::Formatter<'_>, tells_sent: bool) -> fmt::Result {
        let Inner { kind, attempt, scope, sent, hint, source } = &*self.0;
        f.write_str(attempt)?;
        write!(f, "{scope}")?;
        if let Some(what) = kind.describe() {
            write!(f, ": {what}")?;
        }
        let mut cause = source.as_deref().map(|e| e as &dyn StdError);
        while let Some(error) = cause {
            f.write_str(": ")?;
            // Our own errors tell their causes themselves.
            cause = match error.downcast_ref::<Error>() {
                Some(own) => own.write(f, tells_sent && sent.is_none()).map(|()| None)?,
                None => write!(f, "{error}").map(|()| error.source())?,
            };
        }
        match sent.filter(|_| tells_sent) {
            Some(Sent::Never) => f.write_str("; nothing was written")?,
            Some(Sent::Maybe) => f.write_str("; it may have been written")?,
            None => {}
        }
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { broker, topic, partition, offset } = self;
        if let Some(topic) = topic {
            write!(f, ", topic '{topic}'")?;
        }
        if let Some(partition) = partition {
            write!(f, ", partition {partition}")?;
        }
        if let Some(offset) = offset {
            write!(f, ", offset {offset}")?;
        }
        if let Some(broker) = broker {
            write!(f, ", broker {broker}")?;
        }
        Ok(())
    }
}

impl ErrorKind {
    /// The kind in words; `None` where what was attempted says it already.
    fn describe(self) -> Option<Cow<'static, str>> {
        Some(
            match self {
                ErrorKind::Config | ErrorKind::InvalidInput | ErrorKind::Internal => return None,
                ErrorKind::Broker(code) => return Some(code.to_string().into()),
                ErrorKind::RecordTooLarge { size, limit } => {
                    return Some(
                        format!("the record takes {size} bytes and max.request.size is {limit}").into(),
                    );
                }
                ErrorKind::LogTruncation { position, parted_at } => {
                    return Some(
                        format!(
                            "read up to offset {position}, and from {parted_at} on the log is another one"
                        )
                        .into(),
                    );
                }
                ErrorKind::Undelivered { records } => {
                    return Some(format!("{records} records were not delivered").into());
                }
                ErrorKind::Resolve => "the host name was not resolved",
                ErrorKind::Connect => "no connection",
                ErrorKind::Tls => "TLS failed",
                ErrorKind::Authentication => "authentication failed",
                ErrorKind::Timeout => "timed out",
                ErrorKind::Disconnected => "the connection ended",
                ErrorKind::Protocol => "the peer broke the protocol",
                ErrorKind::UnsupportedVersion => "no common version",
                ErrorKind::Records => "corrupt or unreadable records",
                ErrorKind::Serialization => "the value could not be turned into bytes",
                ErrorKind::Deserialization => "the bytes could not be turned into a value",
                ErrorKind::QueueFull => "the buffer is full",
                ErrorKind::NoOffset => "there is no committed offset",
                ErrorKind::MaxPollExceeded => "max.poll.interval.ms was exceeded",
                ErrorKind::Wakeup => "woken up",
                ErrorKind::Closed => "closed",
            }
            .into(),
        )
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|error| error as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_everything_in_one_line() {
        let cause = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let error = Error::new(ErrorKind::Disconnected, "produce")
            .topic("orders")
            .partition(3)
            .broker("1 (kafka.example:9092)")
            .with_source(cause)
            .sent(Sent::Maybe)
            .hint("retry: the sequence number keeps it from being written twice");
        assert_eq!(
            error.to_string(),
            "produce, topic 'orders', partition 3, broker 1 (kafka.example:9092): the connection ended: \
             reset by peer; it may have been written; retry: the sequence number keeps it from being written twice"
        );
        assert!(error.is_retriable() && error.is_possibly_written() && !error.is_fatal());
    }

    #[test]
    fn a_cause_of_our_own_is_told_once() {
        let inner = Error::new(ErrorKind::Connect, "connect").with_source(std::io::Error::other("refused"));
        let outer = Error::new(ErrorKind::Timeout, "refresh metadata").with_source(inner);
        assert_eq!(outer.to_string(), "refresh metadata: timed out: connect: no connection: refused");
    }

    #[test]
    fn whether_it_was_written_is_said_once_by_who_knows_all_attempts() {
        let last = || Error::new(ErrorKind::Connect, "connect").sent(Sent::Never);
        let all = Error::new(ErrorKind::Timeout, "deliver").with_source(last()).sent(Sent::Maybe);
        assert_eq!(all.to_string(), "deliver: timed out: connect: no connection; it may have been written");
        let unknown = Error::new(ErrorKind::Timeout, "deliver").with_source(last());
        assert_eq!(unknown.to_string(), "deliver: timed out: connect: no connection; nothing was written");
    }
}
