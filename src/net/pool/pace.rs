//! [`Pace`]: when an address may be connected to.

use crate::engine::retry::Backoff;
use crate::error::Error;
use crate::net::driver::End;
use std::time::{Duration, Instant};

/// While connections to an address have been of no use, they are made at least this far apart, on whichever lane.
const APART: Duration = Duration::from_millis(250);
/// A connection that lived shorter, or never gave an answer that could be understood, was of no use.
const OF_USE_AFTER: Duration = Duration::from_secs(5);

/// What came of the connections to one address: shared by its lanes, and by all peers that are said to be there.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    rng: fastrand::Rng,
    /// Connections in a row that did not come about, or were of no use.
    useless: u32,
    not_before: Option<Instant>,
    last: Option<(Instant, Error)>,
}

impl Pace {
    pub(super) fn new(backoff: Backoff, rng: fastrand::Rng) -> Pace {
        Pace { backoff, rng, useless: 0, not_before: None, last: None }
    }

    /// Takes the turn to connect; the number of useless connections in a row, or when to ask again.
    pub(super) fn turn(&mut self, now: Instant) -> Result<u32, Instant> {
        if let Some(at) = self.backed_off_until(now) {
            return Err(at);
        }
        if self.useless > 0 {
            self.not_before = now.checked_add(APART);
        }
        Ok(self.useless)
    }

    /// `None` when the address may be connected to at once.
    pub(super) fn backed_off_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|at| *at > now)
    }

    /// Why the last useless connection was of no use.
    pub(super) fn last_error(&self) -> Option<&Error> {
        self.last.as_ref().map(|(_, error)| error)
    }

    /// Takes note of a connection that did not come about.
    pub(super) fn failed(&mut self, error: Error, at: Instant) {
        self.useless = self.useless.saturating_add(1);
        let until = at.checked_add(self.backoff.after(self.useless, &mut self.rng));
        self.not_before = self.not_before.max(until);
        self.last = Some((at, error));
    }

    /// Takes note of the end of a connection that had come about, perhaps long ago.
    pub(super) fn ended(&mut self, end: End) {
        let was_of_use = end.proven_for.is_some_and(|time| time >= OF_USE_AFTER);
        if was_of_use && self.last.as_ref().is_none_or(|(last, _)| *last < end.at) {
            self.useless = 0;
        }
        if !end.by_us {
            self.failed(end.error, end.at);
        }
    }
}
