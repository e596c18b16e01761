//! [`History`]: what a run came to, and the invariants that it has to keep.

use crate::plan::Knobs;
use crate::record::Sent;
use crate::traffic::Traffic;
use crate::world::AT_REST;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Connects to one broker within a second that a client is allowed.
const MAX_CONNECTS: usize = 5;
/// The same of requests that move no record; besides, a consumer waits for records all the time.
const MAX_IDLE: usize = 50;
/// What nobody sees of a promise that is a little late: the round of a timer.
const SLACK: Duration = Duration::from_millis(20);

/// What the client claims of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    Acked {
        partition: i32,
        offset: i64,
    },
    Failed {
        surely_not: bool,
        /// Had there been more time it would have been tried again.
        is_for_want_of_time: bool,
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
    pub knobs: Knobs,
    pub claims: Vec<(Sent, Claim)>,
    /// From the moment that each record was queued to what was claimed of it.
    pub took: BTreeMap<Sent, Duration>,
    pub partitions: BTreeMap<i32, Partition>,
    /// Records that lie in the log, or were handed out, and are none of those that were sent.
    pub stored_strangely: Vec<String>,
    pub read_strangely: Vec<String>,
    /// Errors that the consumer was told.
    pub told: Vec<String>,
    /// When all that was to come had come, or had not.
    pub ended: Duration,
    pub traffic: Traffic,
    /// The most Fetch requests to one broker while there was nothing to do for [`AT_REST`] of their waits.
    pub fetches_at_rest: usize,
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
    /// The most of each that any run has seen.
    pub traffic: Traffic,
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
        let Traffic { connects, idle } = history.traffic;
        self.traffic.connects = self.traffic.connects.max(connects);
        self.traffic.idle = self.traffic.idle.max(idle);
    }

    /// What did not happen, or hardly, in this many runs, although they were to be about it.
    pub fn lacks(&self, runs: u64) -> Vec<&'static str> {
        let Tally { acked, failed, surely_not, refused, struck, told, .. } = *self;
        let sent = acked + failed + surely_not + refused;
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        let lacks = [
            (sent < runs * 10, "records that were sent"),
            (acked * 5 < sent * 4, "acknowledged records: four of five are to be"),
            (failed == 0, "records that failed"),
            (surely_not == 0, "records that surely were not written"),
            (struck < runs, "requests that were struck by a fault"),
            (told == 0, "errors that the consumer was told"),
        ];
        lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect()
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
    /// The history of a run that did not come to its end.
    pub fn of_nothing(knobs: &Knobs) -> History {
        History {
            knobs: knobs.clone(),
            claims: Vec::new(),
            took: BTreeMap::new(),
            partitions: BTreeMap::new(),
            stored_strangely: Vec::new(),
            read_strangely: Vec::new(),
            told: Vec::new(),
            ended: Duration::ZERO,
            traffic: Traffic::default(),
            fetches_at_rest: 0,
            struck: 0,
            produce_requests: 0,
            caught_up: true,
            panics: Vec::new(),
        }
    }

    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_claims(&mut found);
        self.check_log(&mut found);
        self.check_reading(&mut found);
        self.check_times(&mut found);
        self.check_traffic(&mut found);
        found.extend(self.panics.iter().map(|panic| Violation { invariant: "panic", what: panic.clone() }));
        found
    }

    /// What the client says is what lies there.
    fn check_claims(&self, found: &mut Vec<Violation>) {
        let mut broken = |invariant, what: String| found.push(Violation { invariant, what });
        let places: BTreeMap<Sent, Vec<(i32, i64)>> = self.places();
        for (record, claim) in &self.claims {
            let lies = places.get(record);
            match claim {
                Claim::Acked { partition, offset } => match lies {
                    None => broken("lost", format!("{record:?} was acknowledged at {partition}-{offset}")),
                    // The brokers of a simulation remember the offset of each batch: -1 is none of theirs.
                    Some(at) if !at.contains(&(*partition, *offset)) => {
                        broken(
                            "misplaced",
                            format!("{record:?} lies at {at:?}, not at {partition}-{offset}"),
                        );
                    }
                    Some(_) => {}
                },
                Claim::Failed { surely_not: true, error, .. } | Claim::Refused { error }
                    if lies.is_some() =>
                {
                    broken("surely", format!("{record:?} lies at {lies:?}, and was not to: {error}"));
                }
                Claim::Silent => broken("unresolved", format!("{record:?}")),
                _ => {}
            }
        }
    }

    /// What lies there is what was sent, once, in order, each key in one partition.
    fn check_log(&self, found: &mut Vec<Violation>) {
        let mut broken = |invariant, what: String| found.push(Violation { invariant, what });
        let sent: BTreeSet<Sent> = self.claims.iter().map(|(sent, _)| *sent).collect();
        let mut partitions: BTreeMap<u32, BTreeSet<i32>> = BTreeMap::new();
        for (record, at) in &self.places() {
            partitions.entry(record.key).or_default().extend(at.iter().map(|(partition, _)| partition));
            if self.knobs.idempotent && at.len() > 1 {
                broken("duplicated", format!("{record:?} lies at {at:?}"));
            }
            if !sent.contains(record) {
                broken("phantom", format!("{record:?} lies at {at:?}"));
            }
        }
        for strange in &self.stored_strangely {
            broken("phantom", strange.clone());
        }
        for (key, partitions) in partitions.iter().filter(|(_, partitions)| partitions.len() > 1) {
            broken("split", format!("key {key} lies in {partitions:?}"));
        }
        for (index, partition) in &self.partitions {
            if let Some(what) = partition.disorder() {
                broken("reordered", format!("partition {index}: {what}"));
            }
            if partition.log.iter().zip(0..).any(|((offset, _), expected)| *offset != expected) {
                broken("gaps", format!("partition {index}: {:?}", partition.log));
            }
        }
    }

    /// What was read is what lies there.
    fn check_reading(&self, found: &mut Vec<Violation>) {
        let mut broken = |invariant, what: String| found.push(Violation { invariant, what });
        for strange in &self.read_strangely {
            broken("garbled", strange.clone());
        }
        for (index, partition) in &self.partitions {
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
    }

    /// A record is given up no earlier than promised, and its end is known one request later at most (BEHAVIOUR 6).
    fn check_times(&self, found: &mut Vec<Violation>) {
        let mut broken = |invariant, what: String| found.push(Violation { invariant, what });
        let least = Duration::from_millis(self.knobs.delivery_timeout_ms);
        let most = least + Duration::from_millis(self.knobs.request_timeout_ms);
        for (record, claim) in &self.claims {
            let Some(took) = self.took.get(record) else { continue };
            match claim {
                Claim::Failed { is_for_want_of_time: true, error, .. } if *took + SLACK < least => {
                    broken("early", format!("{record:?} failed after {took:?}, before {least:?}: {error}"));
                }
                Claim::Acked { .. } | Claim::Failed { .. } if *took > most + SLACK => {
                    broken("late", format!("{record:?} took {took:?}, longer than {most:?}: {claim:?}"));
                }
                _ => {}
            }
        }
    }

    /// Nobody is asked all the time (BEHAVIOUR 46).
    fn check_traffic(&self, found: &mut Vec<Violation>) {
        let mut broken = |what: String| found.push(Violation { invariant: "storm", what });
        let Traffic { connects, idle } = self.traffic;
        if connects > MAX_CONNECTS {
            broken(format!("{connects} connects to a broker in a second"));
        }
        let waits = 1_000 / self.knobs.fetch_wait_ms as usize;
        if idle > MAX_IDLE + waits {
            broken(format!("{idle} idle requests to a broker in a second"));
        }
        // One for each wait, and one more each second: what failed just before comes back at its own time.
        let seconds = (AT_REST as usize * self.knobs.fetch_wait_ms as usize).div_ceil(1_000);
        if self.fetches_at_rest > AT_REST as usize + seconds {
            broken(format!("{} fetches in {AT_REST} waits without records", self.fetches_at_rest));
        }
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
            "ended after {:?}; a second {:?}, {} fetches at rest",
            self.ended, self.traffic, self.fetches_at_rest
        )?;
        for (record, claim) in &self.claims {
            let took = self.took.get(record);
            writeln!(f, "{}-{}: {claim:?} after {took:?}", record.key, record.number)?;
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

#[cfg(test)]
mod tests;
