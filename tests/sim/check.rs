//! [`History`]: what a run came to, and the invariants that it has to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A record that was sent: its number among all, the key it has, its number under that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub key: u32,
    pub number: u32,
}

/// What the client claims of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    Acked {
        partition: i32,
        offset: i64,
    },
    Failed {
        surely_not: bool,
        error: String,
    },
    /// `send` refused it.
    Refused {
        error: String,
    },
    /// Nothing, and nothing more will come.
    Silent,
}

/// What lies in a partition, and what the consumer was given of it since it last sought.
#[derive(Debug, Default)]
pub struct Partition {
    pub log: Vec<(i64, Sent)>,
    pub read: Vec<(i64, Sent)>,
}

#[derive(Debug)]
pub struct History {
    pub idempotent: bool,
    pub claims: Vec<(Sent, Claim)>,
    pub partitions: BTreeMap<i32, Partition>,
    /// Errors that the consumer was told.
    pub told: Vec<String>,
    /// When all that was to come had come, or had not.
    pub ended: Duration,
    /// The most connects to one broker within a second, from the second second on.
    pub connects: usize,
    /// The same of requests other than Produce and Fetch that brought or took records.
    pub requests: usize,
    /// Requests that a fault of the plan struck, and Produce requests in all.
    pub struck: usize,
    pub produce_requests: usize,
    /// Whether the consumer caught up.
    pub caught_up: bool,
    /// What anybody panicked with.
    pub panics: Vec<String>,
}

/// How often what happened, over many runs: a simulation in which nothing goes wrong shows nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub acked: usize,
    pub failed: usize,
    pub surely_not: usize,
    pub refused: usize,
    /// Requests that a fault of the plan struck.
    pub struck: usize,
    pub produce_requests: usize,
    pub told: usize,
}

impl Tally {
    pub fn add(&mut self, history: &History) {
        for (_, claim) in &history.claims {
            let count = match claim {
                Claim::Acked { .. } => &mut self.acked,
                Claim::Failed { surely_not: true, .. } => &mut self.surely_not,
                Claim::Failed { .. } | Claim::Silent => &mut self.failed,
                Claim::Refused { .. } => &mut self.refused,
            };
            *count += 1;
        }
        self.struck += history.struck;
        self.produce_requests += history.produce_requests;
        self.told += history.told.len();
    }
}

/// An invariant that was broken, by its name in the table of a soak run.
#[derive(Debug)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

impl History {
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut broken = |invariant, what: String| found.push(Violation { invariant, what });
        let places: BTreeMap<Sent, Vec<(i32, i64)>> = self.places();
        let sent: BTreeSet<Sent> = self.claims.iter().map(|(sent, _)| *sent).collect();
        for (record, claim) in &self.claims {
            let lies = places.get(record);
            match claim {
                Claim::Acked { partition, offset } => match lies {
                    None => broken("lost", format!("{record:?} was acknowledged at {partition}-{offset}")),
                    // A repeated batch whose offset the broker no longer knew is -1, and documented to be.
                    Some(at) if *offset >= 0 && !at.contains(&(*partition, *offset)) => {
                        broken(
                            "misplaced",
                            format!("{record:?} lies at {at:?}, not at {partition}-{offset}"),
                        );
                    }
                    Some(_) => {}
                },
                Claim::Failed { surely_not: true, error } | Claim::Refused { error } if lies.is_some() => {
                    broken("surely", format!("{record:?} lies at {lies:?}, and was not to: {error}"));
                }
                Claim::Silent => broken("unresolved", format!("{record:?}")),
                _ => {}
            }
        }
        for (record, at) in &places {
            if self.idempotent && at.len() > 1 {
                broken("duplicated", format!("{record:?} lies at {at:?}"));
            }
            if at.iter().any(|(partition, _)| *partition != at[0].0) {
                broken("split", format!("{record:?} lies at {at:?}"));
            }
            if !sent.contains(record) {
                broken("phantom", format!("{record:?} lies at {at:?}"));
            }
        }
        for (index, partition) in &self.partitions {
            if let Some(what) = partition.disorder() {
                broken("reordered", format!("partition {index}: {what}"));
            }
            if partition.log.iter().zip(0..).any(|((offset, _), expected)| *offset != expected) {
                broken("gaps", format!("partition {index}: {:?}", partition.log));
            }
            if let Some(what) = partition.misread(self.caught_up) {
                broken("skipped", format!("partition {index}: {what}"));
            }
        }
        if !self.caught_up {
            broken(
                "stalled",
                format!("the consumer has not read all by {:?}; it was told {:?}", self.ended, self.told),
            );
        }
        if self.connects > 5 {
            broken("storm", format!("{} connects to a broker in a second", self.connects));
        }
        if self.requests > 50 {
            broken("storm", format!("{} idle requests to a broker in a second", self.requests));
        }
        for panic in &self.panics {
            broken("panic", panic.clone());
        }
        found
    }

    /// Where each record lies.
    fn places(&self) -> BTreeMap<Sent, Vec<(i32, i64)>> {
        let mut places: BTreeMap<Sent, Vec<(i32, i64)>> = BTreeMap::new();
        for (index, partition) in &self.partitions {
            for (offset, record) in &partition.log {
                places.entry(*record).or_default().push((*index, *offset));
            }
        }
        places
    }
}

impl Partition {
    /// The first copies of a key's records rise.
    fn disorder(&self) -> Option<String> {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (offset, record) in &self.log {
            if !seen.insert(*record) {
                continue;
            }
            if let Some(before) =
                last.insert(record.key, record.number).filter(|before| *before > record.number)
            {
                return Some(format!("{record:?} at offset {offset} lies behind number {before}"));
            }
        }
        None
    }

    /// What was read is what lies there, from the beginning, without holes; all of it in the end.
    fn misread(&self, to_the_end: bool) -> Option<String> {
        let wrong = self.log.iter().zip(&self.read).find(|(lies, read)| lies != read);
        match wrong {
            Some((lies, read)) => Some(format!("{read:?} was read where {lies:?} lies")),
            None if self.read.len() > self.log.len() => Some("more was read than lies there".to_owned()),
            None if to_the_end && self.read.len() < self.log.len() => {
                Some(format!("{} of {} were read", self.read.len(), self.log.len()))
            }
            None => None,
        }
    }
}

/// Everything that one run of a seed has to have in common with another.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "ended after {:?}; {} connects, {} requests a second",
            self.ended, self.connects, self.requests
        )?;
        for (record, claim) in &self.claims {
            writeln!(f, "{}-{}: {claim:?}", record.key, record.number)?;
        }
        for (index, partition) in &self.partitions {
            writeln!(f, "partition {index}: {:?}; read {}", partition.log, partition.read.len())?;
        }
        for told in &self.told {
            writeln!(f, "told: {told}")?;
        }
        Ok(())
    }
}
