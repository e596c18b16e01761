//! What to do about a fault: the one place that decides whether a request is repeated, when, and what has to be looked
//! up first.
//!
//! [`Policy::decide`] is a pure function. Who sends requests (producer, consumer, admin, metadata, coordinators) puts in
//! what went wrong and what it knows of the request, and does what comes out. The tests print it as a matrix,
//! `retry/matrix.txt`, which is the page to read. What a fault means to one API only (an offset out of range, a sequence out of order, a batch too
//! large) belongs to the state machine of that API, which asks here for everything else.
//!
//! Time is bounded by the caller's deadline, never by a count of its own: a retry that could not begin before the
//! deadline is a failure at once.

use crate::error::{ErrorKind, Sent};
use crate::messages::{ErrorClass, ErrorCode, Route};
use std::time::{Duration, Instant};

/// How often and how fast requests are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many repetitions there may be (`retries`); the deadline ends them as well.
    pub retries: u32,
    /// The pause before each.
    pub backoff: Backoff,
}

impl Default for Policy {
    /// The Java client's: no limit but the deadline, pauses from 100 ms to 1 s.
    fn default() -> Policy {
        Policy { retries: u32::MAX, backoff: Backoff::RETRY }
    }
}

/// What went wrong, and what the caller knows of the request.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// What went wrong.
    pub fault: ErrorKind,
    /// Whether the request may have reached the broker.
    pub sent: Sent,
    /// What repeating the request would do.
    pub repeat: Repeat,
    /// Why the request went to the broker that it went to, which says what to look up again. The row of its API says it,
    /// but for InitProducerId without a transactional id, which goes to [`Route::Any`].
    pub route: Route,
    /// How often the request was sent or tried to be sent, this time included: 1 for the first.
    pub attempt: u32,
    /// When it happened.
    pub now: Instant,
    /// When the caller's time is over.
    pub deadline: Instant,
}

/// What repeating a request would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// It only asks: it is repeated after a fault that nobody knows, too.
    Read,
    /// It changes something, and may be repeated: doing it twice is as good as once (`repeatable` in the row of its API),
    /// or the user wants it at least once.
    Write,
    /// It changes something each time that it arrives: it is not repeated when it may have arrived.
    WriteOnce,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: what was asked for has been done before.
    Done,
    /// Send it again at this time, to wherever it goes then (any other broker, for [`Route::Any`]).
    Retry(Instant),
    /// Refresh metadata, and send it again no earlier than this.
    Refresh(Instant),
    /// Look up the coordinator again, and send it again no earlier than this.
    FindCoordinator(Instant),
    /// Close this connection, and send it again on a new one no earlier than this: the present one is of no use.
    Reconnect(Instant),
    /// Forget the brokers, start from the bootstrap servers, and send it again no earlier than this (KIP-899, KIP-1102).
    Rebootstrap(Instant),
    /// Give up: the fault is final.
    Fail,
    /// Give up: the time is over, the fault is the cause.
    Expire,
}

impl Policy {
    /// Says what to do about a failure.
    pub fn decide(&self, failure: &Failure, rng: &mut fastrand::Rng) -> Next {
        let way = Way::of(failure);
        match way {
            Way::Done => return Next::Done,
            Way::Fail => return Next::Fail,
            _ if failure.attempt > self.retries => return Next::Fail,
            _ => {}
        }
        let pause = match failure.fault {
            // Between two transactions of one producer the broker needs a moment only.
            ErrorKind::Broker(ErrorCode::CONCURRENT_TRANSACTIONS) => Backoff::CONCURRENT_TRANSACTIONS,
            _ => self.backoff,
        };
        let at = failure.now.checked_add(pause.after(failure.attempt, rng)).unwrap_or(failure.deadline);
        if at >= failure.deadline {
            return Next::Expire;
        }
        match way {
            Way::Retry => Next::Retry(at),
            Way::Refresh => Next::Refresh(at),
            Way::FindCoordinator => Next::FindCoordinator(at),
            Way::Reconnect => Next::Reconnect(at),
            Way::Rebootstrap => Next::Rebootstrap(at),
            Way::Done | Way::Fail => Next::Fail,
        }
    }
}

/// What to do, apart from time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Done,
    Retry,
    Refresh,
    FindCoordinator,
    Reconnect,
    Rebootstrap,
    Fail,
}

impl Way {
    fn of(failure: &Failure) -> Way {
        let Failure { fault, sent, repeat, route, .. } = *failure;
        match fault {
            ErrorKind::Broker(code) => Way::of_code(code, repeat, route),

            // An answer that did not come, or cannot be read, leaves open what the broker did.
            ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::Protocol
                if sent != Sent::Never && repeat == Repeat::WriteOnce =>
            {
                Way::Fail
            }
            ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::Connect | ErrorKind::Resolve => {
                Way::elsewhere(route)
            }
            // The driver closed the connection; another answer may be better (BEHAVIOUR: a null host, a wrong count).
            ErrorKind::Protocol => Way::Reconnect,
            // A new connection negotiates anew: the broker may have been up- or downgraded (74). That it shares no
            // version with us is final, and said by the connection with the attempt to send.
            ErrorKind::UnsupportedVersion
            | ErrorKind::Tls
            | ErrorKind::Authentication
            | ErrorKind::Config
            | ErrorKind::InvalidInput
            | ErrorKind::Records
            | ErrorKind::LogTruncation { .. }
            | ErrorKind::NoOffset
            | ErrorKind::MaxPollExceeded
            | ErrorKind::Wakeup
            | ErrorKind::RecordTooLarge { .. }
            | ErrorKind::Serialization
            | ErrorKind::Deserialization
            | ErrorKind::QueueFull
            | ErrorKind::Undelivered { .. }
            | ErrorKind::Closed
            | ErrorKind::Internal => Way::Fail,
        }
    }

    /// The broker cannot be reached: who stands in for it?
    fn elsewhere(route: Route) -> Way {
        match route {
            Route::Any | Route::Node => Way::Retry,
            Route::Leader | Route::Controller => Way::Refresh,
            Route::GroupCoordinator | Route::TransactionCoordinator => Way::FindCoordinator,
        }
    }

    fn of_code(code: ErrorCode, repeat: Repeat, route: Route) -> Way {
        match code {
            // The batch is in the log, from an earlier attempt (12).
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Way::Done,
            ErrorCode::REBOOTSTRAP_REQUIRED => Way::Rebootstrap,
            ErrorCode::NOT_CONTROLLER => Way::Refresh,
            // It may or may not take effect.
            ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NETWORK_EXCEPTION if repeat == Repeat::WriteOnce => {
                Way::Fail
            }
            // The connection lost its principal: re-authentication starts from a new one (KIP-368).
            ErrorCode::ILLEGAL_SASL_STATE => Way::Reconnect,
            // The broker does not know what hit it. Java fails here as well.
            ErrorCode::UNKNOWN_SERVER_ERROR => Way::harmless(repeat),
            _ if !code.is_known() => Way::harmless(repeat),
            _ => match code.class() {
                ErrorClass::Success => Way::Done,
                ErrorClass::Retriable => Way::Retry,
                ErrorClass::StaleMetadata if route == Route::Node => Way::Retry,
                ErrorClass::StaleMetadata => Way::Refresh,
                ErrorClass::StaleCoordinator => Way::FindCoordinator,
                ErrorClass::Failed | ErrorClass::Abortable | ErrorClass::Fatal => Way::Fail,
            },
        }
    }

    /// Nobody knows what it means: what only asks may ask again.
    fn harmless(repeat: Repeat) -> Way {
        if repeat == Repeat::Read { Way::Retry } else { Way::Fail }
    }
}

/// Whether what a broker answers again and again is worth a line in the log: the fourth time in a row, the eighth, the
/// sixteenth and so on. What passes is not, and what stays does not fill the disk. What befalls a connection is told once, by
/// the connection.
pub fn is_worth_a_warning(fault: ErrorKind, failures: u32) -> bool {
    let is_answer = matches!(fault, ErrorKind::Broker(_) | ErrorKind::Protocol);
    is_answer && failures >= 4 && failures.is_power_of_two()
}

/// Pauses that double from `base` to `max`, each off by up to a fifth either way, so that clients do not march in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub base: Duration,
    /// The longest one.
    pub max: Duration,
}

impl Backoff {
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub const RETRY: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(1) };
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
    /// For CONCURRENT_TRANSACTIONS, which lasts as long as the markers of the last transaction take.
    pub const CONCURRENT_TRANSACTIONS: Backoff =
        Backoff { base: Duration::from_millis(20), max: Duration::from_millis(100) };

    /// The pause after this many attempts have failed (1 for the first); none after 0.
    pub fn after(&self, attempts: u32, rng: &mut fastrand::Rng) -> Duration {
        let Some(doublings) = attempts.checked_sub(1) else { return Duration::ZERO };
        let whole = 2u32.checked_pow(doublings).map_or(self.max, |times| self.base.saturating_mul(times));
        let jittered = whole.min(self.max).as_secs_f64() * (0.8 + 0.4 * rng.f64());
        Duration::try_from_secs_f64(jittered).map_or(self.max, |pause| pause.min(self.max))
    }
}

#[cfg(test)]
mod tests;
