//! Assignors: which member of a group reads which partition.
//!
//! With the classic protocol one member, the leader, decides for the whole group, and members of other clients may be in it:
//! what is decided here has the meaning that Kafka's own assignors of the same names give it. [`assign`] is a pure function
//! of who joined and which topics there are; the order in which members are listed makes no difference. `tests/assignors`
//! compares it with Kafka's classes.
//!
//! | strategy | how partitions are spread | what happens to those a member owns |
//! | --- | --- | --- |
//! | [`Range`](Strategy::Range) | each topic on its own, in runs; the same partitions of topics that are alike go to one member | nothing is remembered |
//! | [`RoundRobin`](Strategy::RoundRobin) | all partitions in turn | nothing is remembered |
//! | [`Sticky`](Strategy::Sticky) | evenly (KIP-54) | stay, as far as evenness allows |
//! | [`CooperativeSticky`](Strategy::CooperativeSticky) | as sticky | stay, and one that moves is first given up, then given (KIP-429) |
//!
//! Invariants: every member has an entry; no partition is given to two members, nor to one that did not subscribe to its
//! topic; all partitions of topics that somebody subscribed to are given, but for those that a cooperative round withholds
//! because another member still has them. Nothing that a member says can make this fail or run without bounds.

mod claims;
mod group;
mod network;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use super::TopicPartition;
use crate::wire::Text;
use group::Group;
use std::collections::BTreeMap;

/// What a member said when it joined.
#[derive(Debug, Clone, Default)]
pub struct Member {
    /// The member id that the coordinator gave it; no two members have the same.
    pub id: Text,
    /// `group.instance.id`, of a static member (KIP-345).
    pub instance: Option<Text>,
    /// `client.rack` (KIP-881); an empty one is as none.
    pub rack: Option<Text>,
    /// The topics it subscribed to.
    pub topics: Vec<Text>,
    /// The partitions that it says it has.
    pub owned: Vec<TopicPartition>,
    /// Of which generation `owned` is; -1 when the member did not say.
    pub generation: i32,
}

/// The partitions of topics, with the racks of their replicas where known.
#[derive(Debug, Clone, Default)]
pub struct Topics(BTreeMap<Text, Topic>);

/// The partitions of a topic, `0..partitions`.
#[derive(Debug, Clone, Default)]
struct Topic {
    partitions: usize,
    /// For each partition the racks of its replicas; empty when they are not known.
    racks: Vec<Vec<Option<Text>>>,
}

impl Topics {
    /// Adds a topic whose replicas' racks are not known.
    pub fn add(&mut self, name: Text, partitions: i32) {
        let partitions = usize::try_from(partitions).unwrap_or(0);
        self.0.insert(name, Topic { partitions, racks: Vec::new() });
    }

    /// Adds a topic, with the racks of each partition's replicas.
    pub fn add_with_racks(&mut self, name: Text, racks: Vec<Vec<Option<Text>>>) {
        self.0.insert(name, Topic { partitions: racks.len(), racks });
    }
}

impl Topics {
    /// How many partitions a topic has; `None` when it is not there.
    pub fn count(&self, name: &Text) -> Option<i32> {
        self.0.get(name).map(|topic| i32::try_from(topic.partitions).unwrap_or(i32::MAX))
    }
}

impl FromIterator<(Text, i32)> for Topics {
    fn from_iter<I: IntoIterator<Item = (Text, i32)>>(counts: I) -> Topics {
        let mut topics = Topics::default();
        for (name, partitions) in counts {
            topics.add(name, partitions);
        }
        topics
    }
}

/// The assignors, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// `range`: each topic on its own, in runs of partitions; near the member's rack where that costs no evenness (KIP-881).
    Range,
    /// `roundrobin`: all partitions in turn.
    RoundRobin,
    /// `sticky`: evenly, and as little moves as can be (KIP-54). Members give up everything before they join.
    Sticky,
    /// `cooperative-sticky`: as sticky, but members keep what they have while they join (KIP-429).
    CooperativeSticky,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 4] =
        [Strategy::Range, Strategy::RoundRobin, Strategy::Sticky, Strategy::CooperativeSticky];

    /// The name by which members agree on one.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Range => "range",
            Strategy::RoundRobin => "roundrobin",
            Strategy::Sticky => "sticky",
            Strategy::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether members keep their partitions while they join, so that one that moves needs two rounds.
    pub fn is_cooperative(self) -> bool {
        self == Strategy::CooperativeSticky
    }
}

/// For each member its partitions, in order of topic and number.
pub fn assign(
    strategy: Strategy,
    members: &[Member],
    topics: &Topics,
) -> BTreeMap<Text, Vec<TopicPartition>> {
    let group = Group::new(members, topics);
    let shares = match strategy {
        Strategy::Range => range::assign(&group),
        Strategy::RoundRobin => round_robin::assign(&group),
        Strategy::Sticky => sticky::assign(&group),
        Strategy::CooperativeSticky => sticky::assign_cooperatively(&group),
    };
    group.named(shares)
}
