//! `roundrobin`: all partitions of all topics, in turn, to whoever is next and subscribed (Kafka's `RoundRobinAssignor`).

use super::group::{Group, Shares};

pub(super) fn assign(group: &Group<'_>) -> Shares {
    let mut shares = group.empty_shares();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    group.in_order(&mut order);
    let mut turns = order.iter().cycle();
    for place in group.places() {
        let subscribes =
            |seat: &&usize| group.seats.get(**seat).is_some_and(|seat| seat.subscribes(place.topic));
        // Whoever is passed over has lost the turn. The search ends: every wanted topic has a subscriber.
        if let Some(share) = turns.find(subscribes).and_then(|seat| shares.get_mut(*seat)) {
            share.push(place);
        }
    }
    shares
}
