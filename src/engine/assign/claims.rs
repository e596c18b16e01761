//! [`Claims`]: which of the partitions that members say they own are theirs by right.
//!
//! A member that was away claims what others were given meanwhile. The claim of the highest generation holds; of two claims
//! of the same generation at least one is wrong, nobody knows which, and neither holds (as in Kafka's
//! `AbstractStickyAssignor`).

use super::group::{Group, Place, Shares};
use crate::engine::TopicPartition;

/// What members say they own, by topic and partition.
pub(super) struct Claims(Vec<Vec<Claim>>);

/// What is said of one partition.
#[derive(Clone, Copy, Default)]
struct Claim {
    is_claimed: bool,
    /// The highest generation of which it was.
    generation: i32,
    /// Whose it is by right.
    holder: Option<usize>,
}

impl Claims {
    pub(super) fn new(group: &Group<'_>) -> Claims {
        let unclaimed = |partitions| vec![Claim::default(); partitions];
        let mut claims =
            Claims(group.wanted.iter().map(|wanted| unclaimed(wanted.topic.partitions)).collect());
        for (number, seat) in group.seats.iter().enumerate() {
            for partition in &seat.member.owned {
                if let Some(claim) = claims.find(group, partition) {
                    claim.hear(number, seat.member.generation);
                }
            }
        }
        claims
    }

    fn find(&mut self, group: &Group<'_>, partition: &TopicPartition) -> Option<&mut Claim> {
        let topic = group.wanted.binary_search_by(|wanted| wanted.name.cmp(&partition.topic)).ok()?;
        self.0.get_mut(topic)?.get_mut(usize::try_from(partition.partition).ok()?)
    }

    fn all(&self) -> impl Iterator<Item = (Place, &Claim)> {
        self.0.iter().enumerate().flat_map(|(topic, claims)| {
            claims.iter().enumerate().map(move |(partition, claim)| (Place { topic, partition }, claim))
        })
    }

    /// What each seat holds by right and still wants, and the partitions that nobody does, both in order.
    pub(super) fn divide(&self, group: &Group<'_>) -> (Shares, Vec<Place>) {
        let (mut held, mut free) = (group.empty_shares(), Vec::new());
        for (place, claim) in self.all() {
            let wants =
                |seat: &usize| group.seats.get(*seat).is_some_and(|seat| seat.subscribes(place.topic));
            match claim.holder.filter(wants).and_then(|seat| held.get_mut(seat)) {
                Some(share) => share.push(place),
                None => free.push(place),
            }
        }
        (held, free)
    }

    /// Takes back what somebody has whose it is not any more: it is to be given up first, and is given in the round after
    /// (KIP-429). What a member holds by right it keeps, whoever else has not heard of it.
    pub(super) fn withhold(&self, shares: &mut Shares) {
        for (seat, share) in shares.iter_mut().enumerate() {
            share.retain(|place| {
                let claim = self.0.get(place.topic).and_then(|claims| claims.get(place.partition));
                claim.is_none_or(|claim| claim.is_free_for(seat))
            });
        }
    }
}

impl Claim {
    fn hear(&mut self, seat: usize, generation: i32) {
        // Said twice by one: seats are heard one after the other.
        if self.holder == Some(seat) {
            return;
        }
        if !self.is_claimed || generation > self.generation {
            *self = Claim { is_claimed: true, generation, holder: Some(seat) };
        } else if generation == self.generation {
            self.holder = None;
        }
    }

    fn is_free_for(&self, seat: usize) -> bool {
        !self.is_claimed || self.holder == Some(seat)
    }
}
