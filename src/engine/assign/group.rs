//! [`Group`]: members and topics with numbers for names, in an order of their own.

use super::{Member, Topic, Topics};
use crate::engine::TopicPartition;
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};

/// Who is in the group and what there is to share, as the assignors look at it.
pub(super) struct Group<'a> {
    /// By member id.
    pub(super) seats: Vec<Seat<'a>>,
    /// What exists and is wanted, by name.
    pub(super) wanted: Vec<Wanted<'a>>,
}

/// A member.
pub(super) struct Seat<'a> {
    pub(super) member: &'a Member,
    /// Its topics among those wanted, ascending.
    pub(super) topics: Vec<usize>,
}

/// A topic that exists, has partitions, and somebody subscribed to.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a Text,
    pub(super) topic: &'a Topic,
    /// The seats of its subscribers, ascending; at least one.
    pub(super) subscribers: Vec<usize>,
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Its topic among those wanted.
    pub(super) topic: usize,
    pub(super) partition: usize,
}

impl Seat<'_> {
    pub(super) fn subscribes(&self, topic: usize) -> bool {
        self.topics.binary_search(&topic).is_ok()
    }
}

/// What each seat is given.
pub(super) type Shares = Vec<Vec<Place>>;

impl<'a> Group<'a> {
    pub(super) fn new(members: &'a [Member], topics: &'a Topics) -> Group<'a> {
        let by_id: BTreeMap<&Text, &Member> = members.iter().map(|member| (&member.id, member)).collect();
        let names: BTreeSet<&Text> = by_id.values().flat_map(|member| &member.topics).collect();
        let mut wanted: Vec<Wanted<'_>> = names
            .into_iter()
            .filter_map(|name| topics.0.get_key_value(name))
            .filter(|(_, topic)| topic.partitions > 0)
            .map(|(name, topic)| Wanted { name, topic, subscribers: Vec::new() })
            .collect();
        let mut seats = Vec::with_capacity(by_id.len());
        for member in by_id.into_values() {
            let find = |name: &Text| wanted.binary_search_by(|wanted| wanted.name.cmp(name)).ok();
            let mut topics: Vec<usize> = member.topics.iter().filter_map(find).collect();
            topics.sort_unstable();
            topics.dedup();
            for topic in &topics {
                if let Some(wanted) = wanted.get_mut(*topic) {
                    wanted.subscribers.push(seats.len());
                }
            }
            seats.push(Seat { member, topics });
        }
        Group { seats, wanted }
    }

    /// Seats in the order of assignors that remember nothing: static members first, by what stays when they come back under
    /// another member id (KIP-345), the others by member id.
    pub(super) fn in_order(&self, seats: &mut [usize]) {
        seats.sort_by_key(|seat| {
            let instance = self.seats.get(*seat).and_then(|seat| seat.member.instance.as_ref());
            (instance.is_none(), instance, *seat)
        });
    }

    /// All partitions, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let of_topic = |(topic, wanted): (usize, &Wanted<'_>)| {
            (0..wanted.topic.partitions).map(move |partition| Place { topic, partition })
        };
        self.wanted.iter().enumerate().flat_map(of_topic)
    }

    /// Shares with nothing in them.
    pub(super) fn empty_shares(&self) -> Shares {
        vec![Vec::new(); self.seats.len()]
    }

    /// The shares by the members' names.
    pub(super) fn named(&self, shares: Shares) -> BTreeMap<Text, Vec<TopicPartition>> {
        let mut named = BTreeMap::new();
        for (seat, mut share) in self.seats.iter().zip(shares) {
            share.sort_unstable();
            let partitions = share.into_iter().filter_map(|place| {
                let name = self.wanted.get(place.topic)?.name.clone();
                Some(TopicPartition::new(name, i32::try_from(place.partition).ok()?))
            });
            named.insert(seat.member.id.clone(), partitions.collect());
        }
        named
    }
}
