//! `sticky` and `cooperative-sticky`: as even as can be, and with that as few moves as can be (KIP-54).
//!
//! When all members want the same topics, which is the rule, evenness is a matter of counts ([`even`]); else it takes a
//! search ([`Network`](super::network::Network)).

use super::claims::Claims;
use super::group::{Group, Place, Shares};
use super::network::Network;

/// Everything in one round, for members that have given up what they had.
pub(super) fn assign(group: &Group<'_>) -> Shares {
    balanced(group, &Claims::new(group))
}

/// For members that go on with what they have: what moves is withheld until its owner has given it up.
pub(super) fn assign_cooperatively(group: &Group<'_>) -> Shares {
    let claims = Claims::new(group);
    let mut shares = balanced(group, &claims);
    claims.withhold(&mut shares);
    shares
}

fn balanced(group: &Group<'_>, claims: &Claims) -> Shares {
    let (held, free) = claims.divide(group);
    let want_all = |topics: &[usize]| topics.len() == group.wanted.len();
    if group.seats.iter().all(|seat| want_all(&seat.topics)) {
        even(held, free)
    } else {
        Network::new(group, &held, &free).balanced(held, free)
    }
}

/// Shares that differ by one at most. Who holds more than the smaller size keeps the larger one, as long as there are some
/// of that size; nobody gives up more than that asks for.
fn even(mut shares: Shares, mut free: Vec<Place>) -> Shares {
    let total = free.len() + shares.iter().map(Vec::len).sum::<usize>();
    let smaller = total.checked_div(shares.len()).unwrap_or(0);
    let mut larger = total.checked_rem(shares.len()).unwrap_or(0);
    for share in &mut shares {
        let mut keep = smaller;
        if share.len() > smaller && larger > 0 {
            (keep, larger) = (smaller + 1, larger - 1);
        }
        // The first partitions of all topics are kept, rather than all partitions of the first topics.
        if share.len() > keep {
            share.sort_unstable_by_key(|place| (place.partition, place.topic));
            free.extend(share.drain(keep..));
        }
    }
    free.sort_unstable();
    let mut free = free.into_iter();
    // In turn, so that a topic's partitions are not all with one member.
    while shares.iter().any(|share| share.len() < smaller) && free.len() > 0 {
        for share in shares.iter_mut().filter(|share| share.len() < smaller) {
            share.extend(free.next());
        }
    }
    for share in shares.iter_mut().filter(|share| share.len() == smaller) {
        share.extend(free.next());
    }
    shares
}
