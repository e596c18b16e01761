//! `range`: each topic on its own, its partitions in runs, near the members' racks where that costs no evenness (Kafka's
//! `RangeAssignor`; KIP-881).
//!
//! Topics with as many partitions and the same subscribers stay together: the member that has a partition of one has the
//! same partition of the others, so that their records can be joined by key. With racks that comes first too: a partition
//! follows a rack only when it does so in all of those topics.

use super::group::{Group, Place, Shares, Wanted};
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn assign(group: &Group<'_>) -> Shares {
    let mut all: Vec<Ranges<'_>> = group.wanted.iter().map(|wanted| Ranges::new(group, wanted)).collect();
    if all.iter().any(Ranges::can_gain_from_racks) {
        near_racks(&mut all);
    }
    let mut shares = group.empty_shares();
    for (topic, mut ranges) in all.into_iter().enumerate() {
        ranges.give(|_, _| true);
        for (partition, piece) in ranges.pieces.iter().enumerate() {
            if let Some(share) = piece.seat.and_then(|seat| shares.get_mut(seat)) {
                share.push(Place { topic, partition });
            }
        }
    }
    shares
}

/// Gives those partitions away that can go to a member in a rack of a replica.
fn near_racks(all: &mut [Ranges<'_>]) {
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<&mut Ranges<'_>>> = BTreeMap::new();
    for ranges in all {
        let seats = ranges.takers.iter().map(|taker| taker.seat).collect();
        alike.entry((seats, ranges.pieces.len())).or_default().push(ranges);
    }
    for ((seats, partitions), mut together) in alike {
        match together.as_mut_slice() {
            [alone] if alone.can_gain_from_racks() => alone.give(|taker, piece| taker.is_near(piece)),
            [_] => {}
            // Those without racks are of no hindrance: nobody is far from them.
            _ => give_together(&mut together, seats.len(), partitions),
        }
    }
}

/// Gives each partition of topics that are alike to the first member that is near all of them and has room for it.
fn give_together(together: &mut [&mut Ranges<'_>], takers: usize, partitions: usize) {
    for partition in 0..partitions {
        let fits = |taker: &usize| together.iter().all(|ranges| ranges.fits(*taker, partition));
        if let Some(taker) = (0..takers).find(fits) {
            for ranges in together.iter_mut() {
                ranges.give_one(taker, partition);
            }
        }
    }
}

/// The partitions of one topic while they are given away.
struct Ranges<'a> {
    /// Its subscribers, in order.
    takers: Vec<Taker<'a>>,
    pieces: Vec<Piece<'a>>,
    /// What each taker gets at least.
    quota: usize,
    /// How many more may have one above the quota.
    extras: usize,
}

struct Taker<'a> {
    seat: usize,
    rack: Option<&'a Text>,
    count: usize,
}

/// A partition.
struct Piece<'a> {
    /// Who has it.
    seat: Option<usize>,
    /// The racks of its replicas.
    racks: &'a [Option<Text>],
}

impl<'a> Ranges<'a> {
    fn new(group: &Group<'a>, wanted: &Wanted<'a>) -> Ranges<'a> {
        let mut seats = wanted.subscribers.clone();
        group.in_order(&mut seats);
        let take = |seat: usize| {
            let rack = group.seats.get(seat).and_then(|seat| seat.member.rack.as_ref());
            Taker { seat, rack: rack.filter(|rack| !rack.is_empty()), count: 0 }
        };
        let takers: Vec<Taker<'_>> = seats.into_iter().map(take).collect();
        let partitions = wanted.topic.partitions;
        let piece = |partition| Piece {
            seat: None,
            racks: wanted.topic.racks.get(partition).map_or(&[], Vec::as_slice),
        };
        Ranges {
            quota: partitions.checked_div(takers.len()).unwrap_or(0),
            extras: partitions.checked_rem(takers.len()).unwrap_or(0),
            pieces: (0..partitions).map(piece).collect(),
            takers,
        }
    }

    /// Whether some member is near some partitions and not near all.
    fn can_gain_from_racks(&self) -> bool {
        let all: BTreeSet<&Text> =
            self.pieces.iter().flat_map(|piece| piece.racks.iter().flatten()).collect();
        let is_one_used = self.takers.iter().any(|taker| taker.rack.is_some_and(|rack| all.contains(rack)));
        let is_everywhere = |piece: &Piece<'_>| {
            let racks: BTreeSet<&Text> = piece.racks.iter().flatten().collect();
            racks == all
        };
        is_one_used && !self.pieces.iter().all(is_everywhere)
    }

    /// Gives the taker, each in turn, the first partitions that are left and that it may have, up to what it has room for.
    fn give(&mut self, may: impl Fn(&Taker<'_>, &Piece<'_>) -> bool) {
        for taker in &mut self.takers {
            let room = room(self.quota, self.extras, taker.count);
            let free = self.pieces.iter_mut().filter(|piece| piece.seat.is_none() && may(taker, piece));
            let mut given = 0;
            for piece in free.take(room) {
                piece.seat = Some(taker.seat);
                given += 1;
            }
            taker.count += given;
            if given > 0 && taker.count > self.quota {
                self.extras = self.extras.saturating_sub(1);
            }
        }
    }

    fn fits(&self, taker: usize, partition: usize) -> bool {
        let (Some(taker), Some(piece)) = (self.takers.get(taker), self.pieces.get(partition)) else {
            return false;
        };
        taker.is_near(piece) && room(self.quota, self.extras, taker.count) > 0
    }

    fn give_one(&mut self, taker: usize, partition: usize) {
        let (Some(taker), Some(piece)) = (self.takers.get_mut(taker), self.pieces.get_mut(partition)) else {
            return;
        };
        piece.seat = Some(taker.seat);
        taker.count += 1;
        if taker.count > self.quota {
            self.extras = self.extras.saturating_sub(1);
        }
    }
}

impl Taker<'_> {
    /// Whether a replica is in the member's rack. A member that did not say where it is is near everything.
    fn is_near(&self, piece: &Piece<'_>) -> bool {
        self.rack.is_none_or(|rack| piece.racks.iter().flatten().any(|near| near == rack))
    }
}

/// How many more a member can have that has `count` of the topic.
fn room(quota: usize, extras: usize, count: usize) -> usize {
    (quota + usize::from(extras > 0)).saturating_sub(count)
}
