//! The invariants that a run of a group has to keep.

use super::history::{Commit, Deed, Event, History};
use super::plan::MAX_POLL;
use crate::check::Violation;
use ottla::consumer::RebalanceKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long records are held back at most when the coordinator cannot be asked.
const LONGEST_HOLD: Duration = Duration::from_secs(5);
/// What a member that cannot ask takes for a standstill at most.
const GLANCES: Duration = Duration::from_secs(3);
/// What a close may take beyond its limit.
const MOMENT: Duration = Duration::from_millis(520);
/// What nobody sees of a promise that is a little late.
const SLACK: Duration = Duration::from_millis(20);

/// How often what happened, over many runs: a simulation in which nothing goes wrong shows nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub handed_out: usize,
    pub again: usize,
    pub commits: usize,
    pub assigned: usize,
    pub revoked: usize,
    pub lost: usize,
    pub failed: usize,
    pub killed: usize,
    pub stopped: usize,
    pub struck: usize,
    /// Partitions that were another one's when their owner was not heard of any more.
    pub taken: usize,
    pub slowest: Duration,
}

impl Tally {
    pub fn add(&mut self, history: &History) {
        for event in &history.events {
            let count = match &event.deed {
                Deed::HandedOut { .. } => &mut self.handed_out,
                Deed::Told(RebalanceKind::Assigned, some) if !some.is_empty() => &mut self.assigned,
                Deed::Told(RebalanceKind::Revoked, _) => &mut self.revoked,
                Deed::Told(RebalanceKind::Lost, _) => &mut self.lost,
                Deed::Failed(_) => &mut self.failed,
                Deed::Killed => &mut self.killed,
                Deed::Stopped => &mut self.stopped,
                _ => continue,
            };
            *count += 1;
        }
        let stored: usize = history.partitions.values().map(Vec::len).sum();
        let handed_out = |event: &&Event| matches!(event.deed, Deed::HandedOut { .. });
        self.again += history.events.iter().filter(handed_out).count().saturating_sub(stored);
        self.commits += history.commits.len();
        self.struck += history.struck;
        self.taken += Checker::of(history).taken;
        self.slowest = self.slowest.max(history.settled.unwrap_or_default());
    }

    /// What did not happen, or hardly, in this many runs, although they were to be about it.
    pub fn lacks(&self, runs: u64) -> Vec<&'static str> {
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        let lacks = [
            (self.handed_out < runs * 50, "records that were handed out"),
            (self.commits < runs * 5, "commits"),
            (self.assigned < runs * 2, "partitions that were assigned"),
            (self.revoked < runs, "partitions that were given back"),
            (self.lost < runs / 10, "partitions that were lost"),
            (self.taken < runs / 10, "partitions that were taken from who was not heard of"),
            (self.killed < runs / 10, "members that were killed"),
            (self.stopped < runs / 10, "members that stood still"),
            (self.struck < runs / 2, "requests that were struck by a fault"),
        ];
        lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect()
    }
}

impl History {
    /// When a member was heard last, if neither its session can have ended within these times nor a rebalance that it was not
    /// told of.
    fn is_surely_known(&self, member: usize, from: Duration, to: Duration) -> Option<Duration> {
        let session = self.knobs.as_ref()?.session();
        let (last, longest) = gaps(self.heard.get(&member)?, from, to)?;
        // In the middle of a rebalance it is kept for less, whatever it sends: what counts is that it was told to join.
        let answered = self.answered.get(&member).map_or(&[][..], Vec::as_slice);
        let (_, untold) = gaps(answered, from, to)?;
        (longest + SLACK < session && untold + SLACK < MAX_POLL).then_some(last)
    }

    pub fn violations(&self) -> Vec<Violation> {
        let panics = self.panics.iter().map(|panic| Violation { invariant: "panic", what: panic.clone() });
        if self.knobs.is_none() {
            return panics.collect();
        }
        let mut checker = Checker::of(self);
        checker.found.extend(panics);
        checker.found
    }
}

/// The last of `times` within these two, and the longest time without one. Something was heard when it got its partitions.
fn gaps(times: &[Duration], from: Duration, to: Duration) -> Option<(Duration, Duration)> {
    let first = times.partition_point(|at| *at <= from);
    let before = first.checked_sub(1).map_or(from, |before| times[before]);
    let later = times[first..].iter().copied().filter(|at| *at <= to);
    let within: Vec<Duration> = std::iter::once(before).chain(later).collect();
    let gaps = within.windows(2).map(|pair| pair[1] - pair[0]);
    let last = *within.last()?;
    Some((last, gaps.chain([to - last]).max()?))
}

/// Goes through a history.
struct Checker<'a> {
    history: &'a History,
    found: Vec<Violation>,
    /// Who has each partition, where it reads on, and since when another one has it as well.
    owners: BTreeMap<i32, BTreeMap<usize, Owner>>,
    /// Since when members go on that stood still, and when that began.
    awake: BTreeMap<usize, (Duration, Duration)>,
    stopped: BTreeMap<usize, Duration>,
    /// By when members leave, whatever they have in hand.
    leaving: BTreeMap<usize, Duration>,
    handed_out: BTreeMap<i32, BTreeSet<i64>>,
    /// Up to where members have partitions in hand, and since when.
    in_hand: BTreeMap<(usize, i32), (i64, Duration)>,
    /// What members have asked last to be committed.
    sent: BTreeMap<(usize, i32), i64>,
    /// The next offset that nobody has come back from, and when each one before was.
    done: BTreeMap<i32, Vec<Duration>>,
    taken: usize,
}

struct Owner {
    since: Duration,
    next: Option<i64>,
    taken: Option<(Duration, usize)>,
}

impl<'a> Checker<'a> {
    fn of(history: &'a History) -> Checker<'a> {
        let mut checker = Checker {
            history,
            found: Vec::new(),
            owners: BTreeMap::new(),
            awake: BTreeMap::new(),
            stopped: BTreeMap::new(),
            leaving: BTreeMap::new(),
            handed_out: BTreeMap::new(),
            in_hand: BTreeMap::new(),
            sent: BTreeMap::new(),
            done: BTreeMap::new(),
            taken: 0,
        };
        checker.find_done();
        for event in &history.events {
            checker.go_through(event);
        }
        checker.check_commits();
        checker.check_end();
        checker
    }

    fn broken(&mut self, invariant: &'static str, at: Duration, what: &str) {
        self.found.push(Violation { invariant, what: format!("{:.3} s: {what}", at.as_secs_f64()) });
    }

    /// From when on each offset was done, with all before it.
    fn find_done(&mut self) {
        let mut first: BTreeMap<(i32, i64), Duration> = BTreeMap::new();
        let mut handed_out: BTreeMap<(usize, i32), BTreeSet<i64>> = BTreeMap::new();
        for Event { at, member, deed } in &self.history.events {
            match deed {
                Deed::HandedOut { partition, offset, .. } => {
                    handed_out.entry((*member, *partition)).or_default().insert(*offset);
                }
                Deed::Done { partition, next } => {
                    let its = handed_out.entry((*member, *partition)).or_default();
                    for offset in its.extract_if(.., |offset| *offset < *next) {
                        first.entry((*partition, offset)).or_insert(*at);
                    }
                }
                _ => {}
            }
        }
        for ((partition, offset), at) in first {
            let done = self.done.entry(partition).or_default();
            if usize::try_from(offset) == Ok(done.len()) {
                done.push(done.last().map_or(at, |before| at.max(*before)));
            }
        }
    }

    fn go_through(&mut self, Event { at, member, deed }: &Event) {
        let (at, member) = (*at, *member);
        match deed {
            Deed::HandedOut { partition, offset, value } => {
                self.handed_out(at, member, *partition, *offset, value)
            }
            Deed::Told(RebalanceKind::Assigned, partitions) => {
                partitions.iter().for_each(|partition| self.assigned(at, member, *partition));
            }
            Deed::Told(kind, partitions) => {
                for partition in partitions {
                    if *kind == RebalanceKind::Revoked {
                        self.given_back(at, member, *partition);
                    }
                    // Of what is lost nothing is waited for.
                    self.in_hand.remove(&(member, *partition));
                    self.owners.entry(*partition).or_default().remove(&member);
                }
            }
            Deed::Killed | Deed::Dropped => self.is_gone(member),
            Deed::Closed { took, limit, error } => {
                self.is_gone(member);
                let is_late = *took > *limit + MOMENT;
                let stood = self.awake.get(&member).is_some_and(|(_, awake)| *awake + *took > at);
                if is_late && !stood {
                    self.broken(
                        "late",
                        at,
                        &format!("m{member} was closed in {took:?}, not {limit:?}: {error:?}"),
                    );
                }
            }
            Deed::Done { partition, next } => {
                self.in_hand
                    .retain(|key, (handed_out, _)| *key != (member, *partition) || *handed_out > *next);
            }
            Deed::Sent { partition, next } => {
                let before = self.sent.insert((member, *partition), *next);
                if before > Some(*next) {
                    let what = format!("m{member} commits {next} of {partition} after {before:?}");
                    self.broken("rewound", at, &what);
                }
            }
            Deed::Closing { limit } => drop(self.leaving.insert(member, at + *limit)),
            Deed::Stopped => drop(self.stopped.insert(member, at)),
            Deed::WentOn => {
                let stopped = self.stopped.remove(&member).unwrap_or(at);
                self.awake.insert(member, (stopped, at));
            }
            _ => {}
        }
    }

    /// What is in hand is waited for before a partition is handed over.
    fn given_back(&mut self, at: Duration, member: usize, partition: i32) {
        let Some((next, since)) = self.in_hand.get(&(member, partition)).copied() else { return };
        let leaves = self.leaving.get(&member).is_some_and(|by| *by <= at);
        let stood = self.awake.get(&member).is_some_and(|(_, awake)| *awake >= since);
        if !leaves && !stood && at < since + MAX_POLL {
            let what = format!("{partition} is given back by m{member}, which has {} in hand", next - 1);
            self.broken("abandoned", at, &what);
        }
    }

    fn is_gone(&mut self, member: usize) {
        for owners in self.owners.values_mut() {
            owners.remove(&member);
        }
        self.in_hand.retain(|(holder, _), _| *holder != member);
    }

    fn assigned(&mut self, at: Duration, member: usize, partition: i32) {
        // It begins where others were, or where it was when its commits came to nothing.
        self.sent.remove(&(member, partition));
        let owners = self.owners.entry(partition).or_default();
        let mut overlaps = Vec::new();
        for (other, owner) in owners.iter_mut().filter(|(other, _)| **other != member) {
            owner.taken.get_or_insert((at, member));
            self.taken += 1;
            if self.leaving.get(other).is_some_and(|by| *by <= at) {
                continue;
            }
            if let Some(last) = self.history.is_surely_known(*other, owner.since, at) {
                overlaps
                    .push(format!("{partition} is m{member}'s, and m{other}'s that was heard at {last:?}"));
            }
        }
        owners.insert(member, Owner { since: at, next: None, taken: None });
        overlaps.iter().for_each(|overlap| self.broken("overlap", at, overlap));
    }

    fn handed_out(&mut self, at: Duration, member: usize, partition: i32, offset: i64, value: &str) {
        self.in_hand.insert((member, partition), (offset + 1, at));
        self.handed_out.entry(partition).or_default().insert(offset);
        let record = format!("{partition}-{offset} by m{member}");
        let stored = self.history.partitions.get(&partition);
        let stored = stored.zip(usize::try_from(offset).ok()).and_then(|(log, offset)| log.get(offset));
        if stored.is_none_or(|stored| stored != value) {
            self.broken("garbled", at, &format!("{record}: {value} is {stored:?}"));
        }
        let woke = self.awake.get(&member).copied();
        let owners = self.owners.entry(partition).or_default();
        let Some(owner) = owners.get_mut(&member) else {
            return self.broken("overlap", at, &format!("{record}, which does not have the partition"));
        };
        let (before, taken) = (owner.next.replace(offset + 1), owner.taken);
        match before {
            Some(next) if next != offset => self.broken("disorder", at, &format!("{record}, not {next}")),
            Some(_) => {}
            None => {
                let of = self.history.commits.iter().filter(|commit| commit.partition == partition);
                let committed = of.filter(|commit| commit.at <= at).map(|commit| commit.offset).max();
                if offset > committed.unwrap_or(0) {
                    self.broken("skipped", at, &format!("{record} is the first after {committed:?}"));
                }
            }
        }
        // Who stood still asks before it goes on.
        if let Some((since, other)) = taken
            && woke.is_some_and(|(stopped, woke)| {
                woke >= since && woke > stopped + GLANCES && at < woke + LONGEST_HOLD
            })
        {
            self.broken("overlap", at, &format!("{record}, but it is m{other}'s since {since:?}"));
        }
    }

    fn check_commits(&mut self) {
        let mut last: BTreeMap<i32, &Commit> = BTreeMap::new();
        for commit in &self.history.commits {
            let before = last.insert(commit.partition, commit);
            if let Some(before) = before.filter(|before| before.offset > commit.offset)
                && !is_late(commit, before)
            {
                self.broken("rewound", commit.at, &format!("{commit} after {before}"));
            }
            let done = self.done.get(&commit.partition).map_or(&[][..], Vec::as_slice);
            let done = done.partition_point(|at| *at <= commit.at);
            if usize::try_from(commit.offset).is_ok_and(|offset| offset > done) {
                self.broken("ahead", commit.at, &format!("{commit}, but only what is before {done} is done"));
            }
        }
    }

    fn check_end(&mut self) {
        let end = self.history.events.last().map_or(Duration::ZERO, |event| event.at);
        for (partition, log) in &self.history.partitions {
            let handed_out = self.handed_out.get(partition);
            let missing =
                (0..).take(log.len()).find(|offset| handed_out.is_none_or(|all| !all.contains(offset)));
            if let Some(offset) = missing {
                self.broken("skipped", end, &format!("{partition}-{offset} was handed out to nobody"));
            }
            let committed = self.history.commits.iter().rfind(|commit| commit.partition == *partition);
            let committed = committed.map_or(0, |commit| commit.offset);
            if self.history.settled.is_some() && usize::try_from(committed) != Ok(log.len()) {
                self.broken(
                    "uncommitted",
                    end,
                    &format!("{committed} of {} of partition {partition}", log.len()),
                );
            }
        }
        if self.history.settled.is_none() {
            let failed = self.history.events.iter().rfind(|event| matches!(event.deed, Deed::Failed(_)));
            self.broken("stalled", end, &format!("the group has not settled; the last error: {failed:?}"));
        }
        if self.history.leaked > 0 {
            self.broken("leaked", end, &format!("{} tasks are left", self.history.leaked));
        }
    }
}

/// Whether a commit has come later than what its member has said since by another connection: a network and a broker
/// that hold requests up can do that, and nobody can take back what is under way. That the member has said it in this
/// order is looked at where it says it ([`Deed::Sent`]).
fn is_late(commit: &Commit, before: &Commit) -> bool {
    commit.member == before.member && commit.connection != before.connection
}
