//! [`Ties`]: what ties a consumer to its group, as the application and the membership share it under the consumer's lock.

use crate::consumer::shared::State;
use crate::engine::OffsetAndMetadata;
use crate::engine::TopicPartition;
use crate::engine::group::Identity;
use crate::engine::group::commits::{Commits, Offsets};
use crate::engine::retry::Backoff;
use crate::error::{Error, Result};
use crate::messages::ErrorCode;
use crate::task;
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long records are held back at most while the coordinator cannot be asked whether the partitions are still this
/// member's.
const LONGEST_HOLD: Duration = Duration::from_secs(5);
/// How often it is looked whether records are held back; who has not looked for twice the time has stood still.
const GLANCE: Duration = Duration::from_secs(1);

/// What ties a consumer to its group.
#[derive(Debug)]
pub(in crate::consumer) struct Ties {
    pub(super) group: Text,
    /// What a commit of a partition that was given away is refused with, if no coordinator has said anything of it.
    pub(super) stale_code: ErrorCode,
    pub(super) auto_commit: bool,
    pub(super) commits: Commits<Token>,
    /// What was committed or read as committed last.
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    /// Partitions that were taken away before what was read of them was committed, and nobody was told yet.
    pub(super) unsaved: BTreeSet<TopicPartition>,
    pub(super) identity: Identity,
    pub(super) standing: Standing,
    /// Until when the coordinator surely keeps the partitions for this member.
    pub(super) lease: Option<Instant>,
    hold: Option<Hold>,
    /// What is subscribed to; `None` when the application assigns.
    pub(super) wanted: Option<Wanted>,
    pub(super) orders: Orders,
    /// Topics that a leader watches beside its own, or that a pattern has found.
    pub(super) watched: BTreeSet<Text>,
    /// What the application is to hear.
    errors: VecDeque<Error>,
    /// Why the member does nothing any more.
    pub(super) fatal: Option<Error>,
    pub(super) absence: Absence,
    /// How many wait for the application to come back.
    pub(super) waits: usize,
    /// By when the consumer is to be gone.
    pub(super) closing: Option<Instant>,
    /// What went wrong when it was closed.
    pub(super) parting: Option<Error>,
    /// Nothing is committed any more.
    pub(super) is_over: bool,
}

/// Who waits for a commit.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) reply: Option<oneshot::Sender<Result<()>>>,
    pub(super) said: Vec<(TopicPartition, i64)>,
}

/// What the consumer is to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The application assigns: it commits without being a member.
    Alone,
    /// It wants to be a member.
    Outside,
    Member,
}

/// What an application has subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) topics: BTreeSet<Text>,
    /// As they were given, with `^`.
    pub(super) patterns: BTreeSet<Text>,
}

/// What the membership is to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) subscribe: bool,
    pub(super) rejoin: Option<String>,
    pub(super) resume: bool,
}

/// Whether the application comes back in time (`max.poll.interval.ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    Here,
    /// It was not, the member has left, and the application is to hear of it.
    Away,
    /// It has heard.
    Told,
}

/// Records are held back, or were until it took too long.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Instant,
    /// When the membership has looked last.
    looked: Instant,
}

impl Hold {
    fn begin(now: Instant) -> Hold {
        Hold { until: task::after(now, LONGEST_HOLD), looked: now }
    }

    /// Whether nobody looked for long: the coordinator is to be heard of anew, however long that took before.
    fn stood_still(&self, now: Instant) -> bool {
        now > task::after(self.looked, GLANCE.saturating_mul(2))
    }

    fn holds(&self) -> bool {
        self.looked < self.until
    }
}

impl Ties {
    pub(in crate::consumer) fn new(
        group: Text,
        stale_code: ErrorCode,
        auto_commit: bool,
        backoff: Backoff,
    ) -> Ties {
        Ties {
            commits: Commits::new(group.clone(), backoff),
            group,
            stale_code,
            auto_commit,
            committed: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            identity: Identity::none(),
            standing: Standing::Alone,
            lease: None,
            hold: None,
            wanted: None,
            orders: Orders::default(),
            watched: BTreeSet::new(),
            errors: VecDeque::new(),
            fatal: None,
            absence: Absence::Here,
            waits: 0,
            closing: None,
            parting: None,
            is_over: false,
        }
    }

    /// The application asks for more. What it is to hear first.
    pub(in crate::consumer) fn come_back(&mut self) -> Option<Error> {
        if let Some(fatal) = &self.fatal {
            return Some(fatal.clone());
        }
        let error = self.errors.pop_front();
        match self.absence {
            Absence::Away if error.is_some() && self.errors.is_empty() => self.absence = Absence::Told,
            Absence::Told if error.is_none() => {
                self.absence = Absence::Here;
                self.orders.resume = true;
            }
            _ => {}
        }
        error
    }

    /// The application is to hear of this, once.
    pub(super) fn tell(&mut self, error: Error) {
        // Somebody who does not listen is not to be told the same for ever.
        if !self.errors.iter().any(|told| told.kind() == error.kind()) {
            self.errors.push_back(error);
        }
    }

    /// Whether there is something that the application is to hear.
    pub(in crate::consumer) fn has_news(&self) -> bool {
        self.fatal.is_some() || !self.errors.is_empty()
    }

    pub(in crate::consumer) fn has_orders(&self) -> bool {
        self.orders.resume || self.is_held()
    }

    pub(in crate::consumer) fn is_waited_for(&self) -> bool {
        self.waits > 0
    }

    /// The consumer is to be gone by a time.
    pub(in crate::consumer) fn close(&mut self, by: Instant) {
        self.closing = Some(self.closing.map_or(by, |known| known.min(by)));
    }

    /// Whether nothing is to be handed out before the coordinator was heard of: after a standstill of the process the
    /// partitions may have been given to others long ago.
    pub(in crate::consumer) fn holds(&mut self, now: Instant) -> bool {
        // Who was cast out has still to drop what it had.
        let Some(lease) = self.lease else { return self.standing == Standing::Outside };
        self.hold = match self.hold {
            _ if now <= lease => None,
            Some(hold) if !hold.stood_still(now) => Some(hold),
            _ => Some(Hold::begin(now)),
        };
        self.is_holding()
    }

    pub(in crate::consumer) fn is_holding(&self) -> bool {
        let is_cast_out = self.lease.is_none() && self.standing == Standing::Outside;
        is_cast_out || self.is_held()
    }

    fn is_held(&self) -> bool {
        self.hold.is_some_and(|hold| hold.holds())
    }

    /// When to look again whether records are to be held back.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let Some(Hold { until, looked }) = self.hold else {
            return self.lease.map(|lease| task::after(lease, Duration::from_millis(1)));
        };
        let glance = task::after(looked, GLANCE);
        Some(if looked < until { glance.min(until) } else { glance })
    }

    /// Looks whether records are to be held back on; whether they were, and are not any more.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let was_held = self.is_held();
        self.hold = match self.hold {
            _ if self.lease.is_none_or(|lease| now <= lease) => None,
            Some(hold) if hold.stood_still(now) => Some(Hold::begin(now)),
            Some(hold) => Some(Hold { looked: now, ..hold }),
            None => Some(Hold::begin(now)),
        };
        was_held && !self.is_holding()
    }

    /// Under which name to commit; `None` while that is to be waited for.
    pub(super) fn committer(&self) -> Option<&Identity> {
        match self.standing {
            Standing::Outside => None,
            Standing::Alone | Standing::Member => Some(&self.identity),
        }
    }

    pub(in crate::consumer) fn is_subscribed(&self) -> bool {
        self.wanted.is_some()
    }

    /// A commit in the background has failed: whoever closes the consumer hears of it.
    pub(super) fn part_with(&mut self, error: Error) {
        if self.closing.is_some() {
            self.parting.get_or_insert(error);
        }
    }

    /// What went wrong when the consumer was closed.
    pub(in crate::consumer) fn parting(&self) -> Option<Error> {
        self.parting.clone()
    }

    /// Topics to know of beside those of the partitions.
    pub(in crate::consumer) fn topics(&self) -> impl Iterator<Item = &Text> {
        self.wanted.iter().flat_map(|wanted| &wanted.topics).chain(&self.watched)
    }
}

impl State {
    /// The offsets to go on from behind what was handed out.
    pub(super) fn positions<'a>(&self, of: impl IntoIterator<Item = &'a TopicPartition>) -> Offsets {
        let position = |partition: &TopicPartition| self.position(partition).ok().flatten();
        of.into_iter().filter_map(|of| Some((of.clone(), self.offset(of, position(of)?)))).collect()
    }

    /// The offsets to go on from behind what the application came back from.
    pub(super) fn done_offsets<'a>(&self, of: impl IntoIterator<Item = &'a TopicPartition>) -> Offsets {
        of.into_iter().filter_map(|of| Some((of.clone(), self.offset(of, self.done(of)?)))).collect()
    }

    fn offset(&self, partition: &TopicPartition, offset: i64) -> OffsetAndMetadata {
        let is_position = self.cursors.position(partition).is_ok_and(|position| position == Some(offset));
        // Between two batches the epoch is known.
        let epoch = self.cursors.position_epoch(partition).0;
        let leader_epoch = Some(epoch).filter(|epoch| is_position && *epoch >= 0);
        OffsetAndMetadata { offset, leader_epoch, metadata: String::new() }
    }

    /// Orders a commit.
    pub(super) fn order_commit(
        &mut self,
        offsets: Offsets,
        reply: Option<oneshot::Sender<Result<()>>>,
        deadline: Instant,
    ) {
        let Some(ties) = &mut self.ties else { return };
        let said = offsets.iter().map(|(partition, offset)| (partition.clone(), offset.offset)).collect();
        ties.commits.order(Token { reply, said }, offsets, deadline);
    }

    /// Commits what is done of these partitions, as it is done in the background.
    pub(super) fn auto_commit<'a>(
        &mut self,
        of: impl IntoIterator<Item = &'a TopicPartition>,
        reply: Option<oneshot::Sender<Result<()>>>,
        deadline: Instant,
    ) {
        let done = self.done_offsets(of);
        self.order_commit(done, reply, deadline);
    }

    /// Whether a commit of one of these partitions is ordered or under way.
    pub(super) fn has_commits_of(&self, partitions: &[TopicPartition]) -> bool {
        self.ties.as_ref().is_some_and(|ties| ties.commits.concerns(partitions))
    }

    /// Takes partitions of the group away.
    pub(super) fn release(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            let position = self.position(partition).ok().flatten();
            if let Some(ties) = &mut self.ties {
                let committed = ties.committed.remove(partition);
                // Nothing is lost, but what was done since is done again, by another member.
                if position > committed {
                    ties.unsaved.insert(partition.clone());
                }
            }
            self.unassign(partition);
        }
        if let Some(ties) = &mut self.ties {
            ties.commits.forget(partitions, ties.stale_code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn member(lease: Instant) -> Ties {
        let mut ties = Ties::new("billing".into(), ErrorCode::ILLEGAL_GENERATION, true, Backoff::RETRY);
        (ties.standing, ties.lease) = (Standing::Member, Some(lease));
        ties
    }

    #[test]
    fn nothing_is_handed_out_after_the_lease_until_it_is_renewed_or_that_takes_too_long() {
        let now = task::now();
        let mut ties = member(now + SECOND);
        assert!(!ties.holds(now));
        assert!(ties.holds(now + 2 * SECOND) && ties.is_holding());
        ties.lease = Some(now + 10 * SECOND);
        assert!(ties.release(now + 3 * SECOND) && !ties.holds(now + 3 * SECOND));
        assert!(ties.holds(now + 11 * SECOND));
        for second in 12..16 {
            assert!(!ties.release(now + second * SECOND), "the coordinator has time to answer");
        }
        assert!(ties.release(now + 16 * SECOND), "and not for ever");
        assert!(!ties.holds(now + 17 * SECOND));
    }

    #[test]
    fn who_stood_still_holds_back_anew_although_the_coordinator_could_not_be_reached_before() {
        let now = task::now();
        let mut ties = member(now);
        assert!(ties.holds(now + SECOND));
        assert!(!ties.release(now + 60 * SECOND), "it stood still while it was holding");
        for second in 61..65 {
            assert_eq!(ties.look_at(), Some(now + second * SECOND));
            assert!(!ties.release(now + second * SECOND));
        }
        assert!(ties.release(now + 65 * SECOND) && !ties.holds(now + 66 * SECOND), "that is no use for ever");
        assert!(ties.holds(now + 80 * SECOND), "it stood still once more");
        assert!(!ties.release(now + 100 * SECOND) && ties.is_holding(), "the membership may look first");
    }

    #[test]
    fn the_coordinator_has_its_time_from_the_end_of_the_lease_on_and_not_from_when_somebody_asks() {
        let now = task::now();
        let mut ties = member(now + SECOND);
        let end = now + SECOND + Duration::from_millis(1);
        assert_eq!(ties.look_at(), Some(end), "nobody has to ask before the membership looks");
        assert!(!ties.release(end) && ties.is_holding());
        for second in 1..5 {
            assert_eq!(ties.look_at(), Some(end + second * SECOND));
            assert!(!ties.release(end + second * SECOND));
        }
        assert!(ties.holds(end + 9 * SECOND / 2), "who asks late is not held up longer for it");
        assert!(ties.release(end + 5 * SECOND) && !ties.holds(end + 5 * SECOND));
    }

    #[test]
    fn who_was_cast_out_is_handed_nothing_of_what_it_has_still_to_drop() {
        let now = task::now();
        let mut ties = member(now + SECOND);
        (ties.standing, ties.lease) = (Standing::Outside, None);
        assert!(ties.holds(now) && ties.is_holding());
        (ties.standing, ties.lease) = (Standing::Alone, None);
        assert!(!ties.holds(now), "who assigns for itself has no lease");
    }
}
