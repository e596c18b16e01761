//! Compares what a client claims with what lies in the log, and names what is broken: the invariants of a soak run.
//!
//! A pure function of the two histories; it trusts neither the client's numbers nor its order. Which invariants hold depends
//! on what was asked of the client: see [`Promises`].

use crate::gaps;
use crate::history::{Claim, Event, Found, Name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// An acknowledged record is not in the log.
    Lost,
    /// An acknowledged record is not where the acknowledgement says, but elsewhere.
    Misplaced,
    /// A record is there twice.
    Duplicated,
    /// The first copies of a key's records do not rise.
    Reordered,
    /// A key's records are in several partitions.
    Split,
    /// Something in the log was never sent.
    Phantom,
    /// A send was neither acknowledged nor failed.
    Unresolved,
    /// A record failed as surely not written, and is in the log.
    Surely,
    /// Offsets of a partition are not 0, 1, 2 and so on.
    Gaps,
}

/// What the client and the topic promised in a run.
#[derive(Debug, Clone, Copy)]
pub struct Promises {
    /// No record is written twice: idempotence, one session.
    pub once: bool,
    /// A key's records keep their order: idempotence, or one request in flight.
    pub ordered: bool,
    /// The topic's partitions stay as many as they were.
    pub same_partitions: bool,
    /// Nothing but records takes offsets, and none is ever removed.
    pub plain: bool,
    /// What was acknowledged earlier is gone with the topic that it was in.
    pub topic_since: Duration,
}

impl Promises {
    /// A producer as it is by default, and a topic that stays as it is.
    pub const ALL: Promises = Promises {
        once: true,
        ordered: true,
        same_partitions: true,
        plain: true,
        topic_since: Duration::ZERO,
    };
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What is broken, each with what was seen.
    pub broken: BTreeMap<Invariant, Vec<String>>,
    pub figures: Figures,
    /// What was not promised, and so not judged.
    pub unjudged: BTreeSet<Invariant>,
}

/// What is reported and not judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub sent: usize,
    pub acked: usize,
    pub surely_not_written: usize,
    pub possibly_written: usize,
    /// Of those possibly written, how many are in the log.
    pub failed_but_written: usize,
    pub in_log: usize,
    /// The longest time without an acknowledgement while some record waited for one.
    pub longest_without_ack: Duration,
    /// The same for any one key, whose partition may stand while others go on.
    pub longest_without_ack_of_a_key: Duration,
    /// From `send` to the acknowledgement.
    pub ack_p50: Duration,
    pub ack_p99: Duration,
    pub ack_max: Duration,
}

/// Judges a run.
pub fn judge(events: &[Event], log: &[Found], promises: &Promises) -> Report {
    let claims = Claims::of(events);
    let places = Places::of(log);
    let mut report = Report {
        broken: BTreeMap::new(),
        figures: figures(events, &claims, &places),
        unjudged: BTreeSet::new(),
    };
    report.acknowledged(&claims, &places, promises.topic_since);
    report.claimed(&claims, &places);
    report.copies(&places, promises);
    report.offsets(log, promises);
    report
}

/// The claims by record.
struct Claims<'a> {
    sent: HashMap<Name, Duration>,
    acks: Vec<(Name, Duration, i32, i64)>,
    fails: Vec<(Name, bool, &'a str)>,
}

impl<'a> Claims<'a> {
    fn of(events: &'a [Event]) -> Claims<'a> {
        let mut claims = Claims { sent: HashMap::new(), acks: Vec::new(), fails: Vec::new() };
        for Event { at, name, claim } in events {
            match claim {
                Claim::Send => {
                    claims.sent.insert(*name, *at);
                }
                Claim::Ack { partition, offset } => claims.acks.push((*name, *at, *partition, *offset)),
                Claim::Fail { surely_not_written, why } => {
                    claims.fails.push((*name, *surely_not_written, why));
                }
            }
        }
        claims
    }
}

/// The log by record, and by place.
struct Places<'a> {
    /// Each record's copies, in the order of the log.
    copies: BTreeMap<Name, Vec<(i32, i64)>>,
    at: HashMap<(i32, i64), &'a str>,
    /// What is no record's name.
    strange: Vec<&'a Found>,
}

impl<'a> Places<'a> {
    fn of(log: &'a [Found]) -> Places<'a> {
        let mut places = Places { copies: BTreeMap::new(), at: HashMap::new(), strange: Vec::new() };
        for found in log {
            places.at.insert((found.partition, found.offset), &found.value);
            match found.value.parse::<Name>() {
                Ok(name) => places.copies.entry(name).or_default().push((found.partition, found.offset)),
                Err(()) => places.strange.push(found),
            }
        }
        places.copies.values_mut().for_each(|copies| copies.sort_unstable());
        places
    }

    fn of_record(&self, name: Name) -> &[(i32, i64)] {
        self.copies.get(&name).map_or(&[], Vec::as_slice)
    }
}

impl Report {
    /// Whether nothing is broken.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// How often an invariant is broken.
    pub fn count(&self, invariant: Invariant) -> usize {
        self.broken.get(&invariant).map_or(0, Vec::len)
    }

    fn add(&mut self, invariant: Invariant, seen: String) {
        self.broken.entry(invariant).or_default().push(seen);
    }

    /// Every acknowledged record is in the log, where the acknowledgement says.
    fn acknowledged(&mut self, claims: &Claims<'_>, places: &Places<'_>, since: Duration) {
        for &(name, at, partition, offset) in claims.acks.iter().filter(|(_, at, ..)| *at >= since) {
            let copies = places.of_record(name);
            let told = format!("{name}, acknowledged at {partition}/{offset}, {:.3} s", at.as_secs_f64());
            // A client that does not know the offset still knows the partition.
            let is_there = match offset {
                -1 => copies.iter().any(|(of, _)| *of == partition),
                _ => copies.contains(&(partition, offset)),
            };
            match copies {
                [] => self.add(
                    Invariant::Lost,
                    match places.at.get(&(partition, offset)) {
                        Some(other) => format!("{told}: there lies {other:?}"),
                        None => format!("{told}: there is nothing"),
                    },
                ),
                _ if !is_there => self.add(Invariant::Misplaced, format!("{told}: lies at {copies:?}")),
                _ => {}
            }
        }
    }

    /// Every send resolves, a failure that surely wrote nothing wrote nothing, and nothing comes from nowhere.
    fn claimed(&mut self, claims: &Claims<'_>, places: &Places<'_>) {
        let acked = claims.acks.iter().map(|(name, ..)| *name);
        let resolved: BTreeSet<Name> = acked.chain(claims.fails.iter().map(|(name, ..)| *name)).collect();
        let sent: BTreeMap<_, _> = claims.sent.iter().collect();
        for (name, at) in sent {
            if !resolved.contains(name) {
                self.add(Invariant::Unresolved, format!("{name}, sent at {:.3} s", at.as_secs_f64()));
            }
        }
        for (name, surely_not_written, why) in &claims.fails {
            let copies = places.of_record(*name);
            if *surely_not_written && !copies.is_empty() {
                self.add(Invariant::Surely, format!("{name} lies at {copies:?}, and failed: {why}"));
            }
        }
        let unsent = places.copies.iter().filter(|(name, _)| !claims.sent.contains_key(name));
        for (name, copies) in unsent {
            self.add(Invariant::Phantom, format!("{name} at {copies:?}"));
        }
        for found in &places.strange {
            self.add(
                Invariant::Phantom,
                format!("{:?} at {}/{}", found.value, found.partition, found.offset),
            );
        }
    }

    /// One copy of each record, a key's in order, and in one partition.
    fn copies(&mut self, places: &Places<'_>, promises: &Promises) {
        if promises.once {
            for (name, copies) in places.copies.iter().filter(|(_, copies)| copies.len() > 1) {
                self.add(Invariant::Duplicated, format!("{name} at {copies:?}"));
            }
        } else {
            self.unjudged.insert(Invariant::Duplicated);
        }
        let mut partitions: BTreeMap<u32, BTreeSet<i32>> = BTreeMap::new();
        for (name, copies) in &places.copies {
            partitions.entry(name.key).or_default().extend(copies.iter().map(|(partition, _)| partition));
        }
        if promises.same_partitions {
            for (key, partitions) in partitions.iter().filter(|(_, partitions)| partitions.len() > 1) {
                self.add(Invariant::Split, format!("k{key} in {partitions:?}"));
            }
        } else {
            self.unjudged.insert(Invariant::Split);
        }
        if promises.ordered {
            self.order(places);
        } else {
            self.unjudged.insert(Invariant::Reordered);
        }
    }

    /// In each partition, the first copies of a key's records rise. (Between partitions there is no order.)
    fn order(&mut self, places: &Places<'_>) {
        // By key and partition: the highest place of the records so far, which rise as names do.
        let mut highest: HashMap<(u32, i32), (i64, Name)> = HashMap::new();
        for (name, copies) in &places.copies {
            let mut firsts: BTreeMap<i32, i64> = BTreeMap::new();
            for (partition, offset) in copies {
                firsts.entry(*partition).or_insert(*offset);
            }
            for (partition, offset) in firsts {
                let last = highest.entry((name.key, partition)).or_insert((offset, *name));
                if offset < last.0 {
                    let told = format!(
                        "{name} at {partition}/{offset}, before {} at {partition}/{}",
                        last.1, last.0
                    );
                    self.add(Invariant::Reordered, told);
                } else {
                    *last = (offset, *name);
                }
            }
        }
    }

    /// The offsets of each partition are 0, 1, 2 and so on.
    fn offsets(&mut self, log: &[Found], promises: &Promises) {
        if !promises.plain {
            self.unjudged.insert(Invariant::Gaps);
            return;
        }
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let mut places: Vec<_> = log.iter().map(|found| (found.partition, found.offset)).collect();
        places.sort_unstable();
        for (partition, offset) in places {
            let expected = next.entry(partition).or_default();
            if offset != *expected {
                self.add(Invariant::Gaps, format!("{partition}/{offset} comes where {expected} should be"));
            }
            *expected = offset + 1;
        }
    }
}

fn figures(events: &[Event], claims: &Claims<'_>, places: &Places<'_>) -> Figures {
    let maybe = || claims.fails.iter().filter(|(_, surely_not_written, _)| !surely_not_written);
    let written = maybe().filter(|(name, ..)| !places.of_record(*name).is_empty());
    let latency =
        |(name, at, ..): &(Name, Duration, i32, i64)| Some(at.saturating_sub(*claims.sent.get(name)?));
    let mut latencies: Vec<Duration> = claims.acks.iter().filter_map(latency).collect();
    latencies.sort_unstable();
    let share = |percent: usize| {
        let at = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies.get(at).copied().unwrap_or_default()
    };
    Figures {
        sent: claims.sent.len(),
        acked: claims.acks.len(),
        surely_not_written: claims.fails.len() - maybe().count(),
        possibly_written: maybe().count(),
        failed_but_written: written.count(),
        in_log: places.at.len(),
        longest_without_ack: gaps::longest(events).took(),
        longest_without_ack_of_a_key: gaps::longest_of_a_key(events).took(),
        ack_p50: share(50),
        ack_p99: share(99),
        ack_max: share(100),
    }
}

impl Invariant {
    pub const ALL: [Invariant; 9] = [
        Invariant::Lost,
        Invariant::Misplaced,
        Invariant::Duplicated,
        Invariant::Reordered,
        Invariant::Split,
        Invariant::Phantom,
        Invariant::Unresolved,
        Invariant::Surely,
        Invariant::Gaps,
    ];
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for invariant in Invariant::ALL {
            let name = format!("{invariant:?}").to_lowercase();
            match self.broken.get(&invariant) {
                _ if self.unjudged.contains(&invariant) => writeln!(f, "   {name:<12} not promised")?,
                None => writeln!(f, "   {name:<12} 0")?,
                Some(seen) => {
                    writeln!(f, "   {name:<12} {}", seen.len())?;
                    seen.iter().take(5).try_for_each(|seen| writeln!(f, "        {seen}"))?;
                }
            }
        }
        let Figures { sent, acked, in_log, .. } = self.figures;
        let figures = &self.figures;
        writeln!(f, "   sent {sent}, acknowledged {acked}, in the log {in_log}")?;
        writeln!(
            f,
            "   failed: {} surely not written, {} possibly, of which failed_but_written {}",
            figures.surely_not_written, figures.possibly_written, figures.failed_but_written
        )?;
        writeln!(
            f,
            "   longest without an ack {:.3?}, of one key {:.3?}; ack p50 {:.3?}, p99 {:.3?}, max {:.3?}",
            figures.longest_without_ack,
            figures.longest_without_ack_of_a_key,
            figures.ack_p50,
            figures.ack_p99,
            figures.ack_max
        )
    }
}

#[cfg(test)]
mod tests;
