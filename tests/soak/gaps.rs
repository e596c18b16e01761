//! How long somebody waited and nothing was acknowledged.

use crate::history::{Claim, Event};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A time without an acknowledgement while some record waited for one, counted from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    pub from: Duration,
    pub to: Duration,
}

/// The longest. A failure ends nobody's wait but its own.
pub fn longest<'a>(events: impl IntoIterator<Item = &'a Event>) -> Gap {
    let (mut waiting, mut since, mut longest) = (0usize, Duration::ZERO, Gap::default());
    for event in events {
        let gap = Gap { from: since, to: event.at };
        match event.claim {
            Claim::Send => {
                if waiting == 0 {
                    since = event.at;
                }
                waiting += 1;
            }
            Claim::Ack { .. } => {
                longest = longest.or(gap);
                (waiting, since) = (waiting.saturating_sub(1), event.at);
            }
            Claim::Fail { .. } => {
                longest = longest.or(gap);
                waiting = waiting.saturating_sub(1);
            }
        }
    }
    longest
}

/// The longest of any one key, whose partition may stand while others go on.
pub fn longest_of_a_key<'a>(events: impl IntoIterator<Item = &'a Event>) -> Gap {
    let mut keys: BTreeMap<u32, Vec<&Event>> = BTreeMap::new();
    for event in events {
        keys.entry(event.name.key).or_default().push(event);
    }
    keys.into_values().map(longest).fold(Gap::default(), Gap::or)
}

impl Gap {
    pub fn took(self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// The longer of both.
    fn or(self, other: Gap) -> Gap {
        if other.took() > self.took() { other } else { self }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s from {:.1} s on", self.took().as_secs_f64(), self.from.as_secs_f64())
    }
}
