//! What holds for every group.

use super::*;
use crate::engine::assign::Strategy;
use proptest::prelude::{Strategy as _, *};
use std::collections::BTreeSet;

type Assignment = BTreeMap<Text, Vec<TopicPartition>>;

/// A group as it may be found: members of which some remember what they had, and topics.
#[derive(Debug, Clone)]
struct Found {
    members: Vec<Member>,
    topics: Topics,
}

fn topic(number: usize) -> Text {
    format!("t{number}").into()
}

/// `like`: all want the same. `sane`: what members own was assigned to them, and since then members left, joined and changed
/// their minds; else they claim anything.
fn found(like: bool, sane: bool) -> impl proptest::strategy::Strategy<Value = Found> {
    let member = (any::<u8>(), 1u8..=255, 0..4i32, any::<u64>());
    let counts = prop::collection::vec(0..9i32, 1..6);
    (counts, prop::collection::vec(member, 1..9), any::<u8>()).prop_map(move |(counts, drawn, all)| {
        let topics: Topics = counts.iter().enumerate().map(|(at, count)| (topic(at), *count)).collect();
        let wants = |bits: u8| (0..counts.len()).filter(|at| bits >> at & 1 == 1).map(topic).collect();
        let mut members = Vec::new();
        for (at, (before, after, generation, _)) in drawn.iter().enumerate() {
            let topics = wants(if like {
                all | 1
            } else if sane {
                *before
            } else {
                *after
            });
            let id = format!("m{at}").into();
            members.push(Member { id, topics, generation: *generation, ..Default::default() });
        }
        if sane {
            let before = assign(Strategy::Sticky, &members, &topics);
            for (member, (_, after, _, chance)) in members.iter_mut().zip(&drawn) {
                member.generation = 7;
                member.owned = before[&member.id].clone();
                match chance % 6 {
                    0 => member.owned.clear(),
                    1 if !like => member.topics = wants(*after),
                    _ => {}
                }
            }
            let mut chances = drawn.iter().map(|(_, _, _, chance)| chance);
            members.retain(|_| chances.next().is_none_or(|chance| chance >> 32 & 3 > 0));
        } else {
            for (member, (_, _, _, chance)) in members.iter_mut().zip(&drawn) {
                let all = (0..7).flat_map(|at| (-1..9).map(move |partition| (topic(at), partition)));
                let claimed = all.enumerate().filter(|(bit, _)| chance >> (bit % 64) & 3 == 3);
                member.owned = claimed.map(|(_, partition)| partition.into()).collect();
            }
        }
        Found { members, topics }
    })
}

/// A cooperative group in which everybody does as told.
fn follow(members: &[Member], assigned: &Assignment) -> Vec<Member> {
    let follow =
        |member: &Member| Member { owned: assigned[&member.id].clone(), generation: 8, ..member.clone() };
    members.iter().map(follow).collect()
}

impl Found {
    /// All partitions that somebody wants.
    fn wanted(&self) -> BTreeSet<TopicPartition> {
        let names: BTreeSet<&Text> = self.members.iter().flat_map(|member| &member.topics).collect();
        let of_topic = |name: &Text| {
            let count = self.topics.0.get(name).map_or(0, |topic| topic.partitions as i32);
            let name = name.clone();
            (0..count).map(move |partition| TopicPartition::new(name.clone(), partition))
        };
        names.into_iter().flat_map(of_topic).collect()
    }

    /// Nothing given twice, nothing given to who does not want it, an entry for each. Gives what was not given.
    fn check(&self, assigned: &Assignment) -> BTreeSet<TopicPartition> {
        let ids: BTreeSet<&Text> = self.members.iter().map(|member| &member.id).collect();
        assert!(ids.into_iter().eq(assigned.keys()));
        let mut left = self.wanted();
        for member in &self.members {
            let share = &assigned[&member.id];
            assert!(share.is_sorted());
            for partition in share {
                assert!(left.remove(partition), "{partition} twice, or not wanted");
                assert!(member.topics.contains(&partition.topic), "{} does not want {partition}", member.id);
            }
        }
        left
    }

    /// How many partitions left the one member that claimed them.
    fn moves(&self, assigned: &Assignment) -> usize {
        let claims =
            self.members.iter().flat_map(|member| member.owned.iter().map(move |owned| (owned, member)));
        claims
            .filter(|(owned, member)| {
                let others = self.members.iter().filter(|other| other.id != member.id);
                let is_sole = others.into_iter().all(|other| !other.owned.contains(owned));
                is_sole && member.topics.contains(&owned.topic) && !assigned[&member.id].contains(owned)
            })
            .count()
    }

    /// The best sum of squares, and the fewest moves with it, of all there are.
    fn best(&self) -> (usize, usize) {
        let wanted: Vec<TopicPartition> = self.wanted().into_iter().collect();
        let mut best = (usize::MAX, usize::MAX);
        self.try_all(
            &wanted,
            &mut self.members.iter().map(|member| (member.id.clone(), vec![])).collect(),
            &mut best,
        );
        best
    }

    fn try_all(&self, left: &[TopicPartition], so_far: &mut Assignment, best: &mut (usize, usize)) {
        let Some((next, left)) = left.split_first() else {
            *best = (*best).min((squares(so_far), self.moves(so_far)));
            return;
        };
        for member in self.members.iter().filter(|member| member.topics.contains(&next.topic)) {
            so_far.get_mut(&member.id).unwrap().push(next.clone());
            self.try_all(left, so_far, best);
            so_far.get_mut(&member.id).unwrap().pop();
        }
    }
}

fn squares(assigned: &Assignment) -> usize {
    assigned.values().map(|share| share.len() * share.len()).sum()
}

proptest! {
    #[test]
    fn everything_is_given_once(found in prop_oneof![found(false, false), found(false, true), found(true, false), found(true, true)]) {
        for strategy in [Strategy::Range, Strategy::RoundRobin, Strategy::Sticky] {
            let assigned = assign(strategy, &found.members, &found.topics);
            prop_assert_eq!(found.check(&assigned), BTreeSet::new(), "{:?}", strategy);
        }
    }

    #[test]
    fn the_order_of_members_makes_no_difference(found in prop_oneof![found(false, false), found(true, true)], turn in 0usize..8) {
        for strategy in Strategy::ALL {
            let assigned = assign(strategy, &found.members, &found.topics);
            let mut members = found.members.clone();
            members.rotate_left(turn.min(found.members.len()));
            members.iter_mut().for_each(|member| member.topics.reverse());
            prop_assert_eq!(assigned, assign(strategy, &members, &found.topics));
        }
    }

    #[test]
    fn like_subscriptions_get_like_shares(found in prop_oneof![found(true, false), found(true, true)]) {
        for strategy in [Strategy::RoundRobin, Strategy::Sticky] {
            let assigned = assign(strategy, &found.members, &found.topics);
            let sizes = || assigned.values().map(Vec::len);
            prop_assert!(sizes().max() <= sizes().min().map(|least| least + 1), "{}", said(&assigned));
        }
    }

    /// KIP-54: no single move would make it more even.
    #[test]
    fn no_move_would_make_it_more_even(found in prop_oneof![found(false, false), found(false, true)]) {
        let assigned = assign(Strategy::Sticky, &found.members, &found.topics);
        for member in &found.members {
            let movable = |share: &&Vec<TopicPartition>| share.iter().any(|partition| member.topics.contains(&partition.topic));
            let largest = assigned.values().filter(movable).map(Vec::len).max().unwrap_or(0);
            prop_assert!(largest <= assigned[&member.id].len() + 1, "{}", said(&assigned));
        }
    }

    /// Compared with every assignment there is.
    #[test]
    fn none_is_better(found in prop_oneof![found(false, false), found(false, true), found(true, true)]) {
        let mut found = found;
        found.members.truncate(4);
        for topic in found.topics.0.values_mut() {
            topic.partitions = topic.partitions.min(2);
        }
        for member in &mut found.members {
            // A claim that is nobody's by right has no bearing on moves.
            member.generation = 1;
        }
        prop_assume!(found.wanted().len() <= 8);
        let assigned = assign(Strategy::Sticky, &found.members, &found.topics);
        prop_assert_eq!((squares(&assigned), found.moves(&assigned)), found.best(), "{}", said(&assigned));
    }

    #[test]
    fn without_a_change_nothing_moves(found in prop_oneof![found(false, false), found(false, true), found(true, true)]) {
        let first = assign(Strategy::Sticky, &found.members, &found.topics);
        let members = follow(&found.members, &first);
        for strategy in [Strategy::Sticky, Strategy::CooperativeSticky] {
            prop_assert_eq!(&first, &assign(strategy, &members, &found.topics));
        }
    }

    /// With like subscriptions: nothing moves but what the one that left had.
    #[test]
    fn who_leaves_moves_only_its_own(found in found(true, true)) {
        let mut members = follow(&found.members, &assign(Strategy::Sticky, &found.members, &found.topics));
        members.pop();
        let assigned = assign(Strategy::Sticky, &members, &found.topics);
        for member in &members {
            prop_assert!(member.owned.iter().all(|owned| assigned[&member.id].contains(owned)));
        }
    }

    /// With like subscriptions: nothing moves but to the one that joined.
    #[test]
    fn who_joins_moves_only_its_share(found in found(true, true)) {
        let mut members = follow(&found.members, &assign(Strategy::Sticky, &found.members, &found.topics));
        prop_assume!(!members.is_empty());
        members.push(Member { id: "new".into(), owned: Vec::new(), generation: -1, ..members[0].clone() });
        let after = Found { members, topics: found.topics };
        let assigned = assign(Strategy::Sticky, &after.members, &after.topics);
        prop_assert_eq!(after.moves(&assigned), assigned[&Text::from("new")].len());
    }

    /// KIP-429: what is withheld somebody else still has, and when it was given up everything is given, and nothing moves.
    #[test]
    fn a_second_round_completes(found in prop_oneof![found(false, false), found(false, true), found(true, false), found(true, true)]) {
        let whole = assign(Strategy::Sticky, &found.members, &found.topics);
        let first = assign(Strategy::CooperativeSticky, &found.members, &found.topics);
        for partition in found.check(&first) {
            let (target, _) = whole.iter().find(|(_, share)| share.contains(&partition)).unwrap();
            let others = || found.members.iter().filter(|member| member.id != *target);
            prop_assert!(others().any(|member| member.owned.contains(&partition)), "{} is withheld", partition);
        }
        let given = |member: &Member, partition| first[&member.id].contains(partition);
        for (id, share) in &first {
            for partition in share {
                let generation = |member: &Member| if &member.id == id && member.owned.contains(partition) { member.generation } else { i32::MIN };
                let mine = found.members.iter().map(generation).max();
                let others = found.members.iter().filter(|member| member.id != *id && !given(member, partition));
                let others = others.filter(|member| member.owned.contains(partition)).map(|member| member.generation).max();
                prop_assert!(others < mine, "{} is given to {} too early", partition, id);
            }
        }
        let members = follow(&found.members, &first);
        let second = assign(Strategy::CooperativeSticky, &members, &found.topics);
        prop_assert_eq!(found.check(&second), BTreeSet::new());
        for member in &members {
            prop_assert!(member.owned.iter().all(|owned| second[&member.id].contains(owned)));
        }
    }
}
