//! [`Network`]: sharing partitions among members that want different topics.
//!
//! Partitions of one topic are alike but for who holds them, so what counts is only how many of each topic a member has: a
//! flow in a network of members and topics. A flow is as good as can be when no cycle in what is left of the network is
//! worth its cost. The worth is twofold: first evenness, by the sum of the squares of the shares' sizes, then the number of
//! partitions that stay where they are. So the result is at least as even as KIP-54 asks for (there no single move may
//! improve it, here no chain of moves does), and with that nothing moves in vain: of a cooperative rebalance, the second
//! round finds that everything may stay.
//!
//! First everything is shared out, and levelled by single moves, quickly; then cycles are looked for. All of it ends when
//! [`BUDGET`] is spent, whatever members ask for: the shares are then as good as they got.

use super::group::{Group, Place, Shares};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// How often an arc of the network is looked at, at most. A look takes some nanoseconds.
const BUDGET: usize = 40_000_000;

/// Members, topics, and how many partitions of which topic go where.
pub(super) struct Network {
    /// Who may have partitions of what, by member and topic.
    lines: Vec<Line>,
    /// For each seat the first of its lines and the one behind the last.
    of_seat: Vec<(usize, usize)>,
    /// For each topic its lines.
    of_topic: Vec<Vec<usize>>,
    /// How many partitions each seat has.
    sizes: Vec<usize>,
}

/// A member's subscription to a topic.
struct Line {
    seat: usize,
    topic: usize,
    /// How many partitions of it the member held by right.
    held: usize,
    /// How many it has.
    has: usize,
}

impl Network {
    /// With everybody having what they hold, and what is free with those who have least.
    pub(super) fn new(group: &Group<'_>, held: &Shares, free: &[Place]) -> Network {
        let mut network = Network {
            lines: Vec::new(),
            of_seat: Vec::new(),
            of_topic: vec![Vec::new(); group.wanted.len()],
            sizes: held.iter().map(Vec::len).collect(),
        };
        for (number, (seat, share)) in group.seats.iter().zip(held).enumerate() {
            let begin = network.lines.len();
            for topic in &seat.topics {
                let held = of_topic(share, *topic).len();
                if let Some(of_topic) = network.of_topic.get_mut(*topic) {
                    of_topic.push(network.lines.len());
                }
                network.lines.push(Line { seat: number, topic: *topic, held, has: held });
            }
            network.of_seat.push((begin, network.lines.len()));
        }
        network.give_out(free);
        network
    }

    /// Gives what is free to those who have least, beginning with topics that few can have.
    fn give_out(&mut self, free: &[Place]) {
        let mut topics: Vec<usize> = (0..self.of_topic.len()).collect();
        topics.sort_by_key(|topic| self.of_topic.get(*topic).map_or(0, Vec::len));
        for topic in topics {
            let mut by_size: BinaryHeap<Reverse<(usize, usize)>> =
                self.of_topic.get(topic).into_iter().flatten().filter_map(|line| self.sized(*line)).collect();
            for _ in of_topic(free, topic) {
                let Some(Reverse((_, line))) = by_size.pop() else { break };
                self.add(line);
                by_size.extend(self.sized(line));
            }
        }
    }

    fn sized(&self, line: usize) -> Option<Reverse<(usize, usize)>> {
        let seat = self.lines.get(line)?.seat;
        Some(Reverse((*self.sizes.get(seat)?, line)))
    }

    fn add(&mut self, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            line.has += 1;
            if let Some(size) = self.sizes.get_mut(line.seat) {
                *size += 1;
            }
        }
    }

    fn remove(&mut self, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            line.has = line.has.saturating_sub(1);
            if let Some(size) = self.sizes.get_mut(line.seat) {
                *size = size.saturating_sub(1);
            }
        }
    }

    /// The best shares there are, out of what is held and what is free.
    pub(super) fn balanced(mut self, held: Shares, free: Vec<Place>) -> Shares {
        let mut budget = BUDGET;
        self.level(&mut budget);
        while let Some(cycle) = Search::new(&self).cycle(&self, &mut budget) {
            for arc in cycle {
                match arc.way {
                    Way::Give(line) => self.remove(line),
                    Way::Take(line) => self.add(line),
                    Way::Shrink | Way::Grow => {}
                }
            }
        }
        self.shares(held, free)
    }

    /// Moves partitions from large shares to small ones, one by one, until no such move makes it more even.
    fn level(&mut self, budget: &mut usize) {
        let mut by_size: BTreeSet<(usize, usize)> =
            self.sizes.iter().enumerate().map(|(seat, size)| (*size, seat)).collect();
        let mut givers = by_size.clone();
        while let Some((size, seat)) = givers.pop_last() {
            let smaller = by_size.iter().take_while(|(other, _)| other + 2 <= size);
            let found =
                smaller.filter_map(|(other, to)| Some((*other, *to, self.shared(seat, *to, budget)?))).next();
            let Some((other, to, (from_line, to_line))) = found else { continue };
            self.remove(from_line);
            self.add(to_line);
            for (before, after, seat) in [(size, size - 1, seat), (other, other + 1, to)] {
                by_size.remove(&(before, seat));
                by_size.insert((after, seat));
                givers.remove(&(before, seat));
                givers.insert((after, seat));
            }
        }
    }

    /// The lines of a topic of which one can give a partition to the other; rather one that the first did not hold.
    fn shared(&self, from: usize, to: usize, budget: &mut usize) -> Option<(usize, usize)> {
        let (from_begin, from_lines) = self.lines_of(from)?;
        let (to_begin, to_lines) = self.lines_of(to)?;
        *budget = budget.checked_sub(from_lines.len())?;
        let mut found = None;
        for (number, line) in from_lines.iter().enumerate().filter(|(_, line)| line.has > 0) {
            let Ok(other) = to_lines.binary_search_by_key(&line.topic, |other| other.topic) else { continue };
            if line.has > line.held {
                return Some((from_begin + number, to_begin + other));
            }
            found = found.or(Some((from_begin + number, to_begin + other)));
        }
        found
    }

    fn lines_of(&self, seat: usize) -> Option<(usize, &[Line])> {
        let (begin, end) = *self.of_seat.get(seat)?;
        Some((begin, self.lines.get(begin..end)?))
    }

    /// Which partitions the counts stand for: of what a member held it keeps as many as it can.
    fn shares(&self, mut held: Shares, mut free: Vec<Place>) -> Shares {
        let mut missing = Vec::new();
        for (number, share) in held.iter_mut().enumerate() {
            let mut kept = Vec::new();
            for line in self.lines_of(number).map_or(&[][..], |(_, lines)| lines) {
                let (stay, go) = of_topic(share, line.topic).split_at(line.held.min(line.has));
                kept.extend_from_slice(stay);
                free.extend_from_slice(go);
                missing.extend((stay.len()..line.has).map(|_| (line.topic, number)));
            }
            *share = kept;
        }
        // As many of each topic are free as are missing.
        free.sort_unstable();
        missing.sort_unstable();
        for (place, (_, seat)) in free.into_iter().zip(missing) {
            if let Some(share) = held.get_mut(seat) {
                share.push(place);
            }
        }
        held
    }
}

/// The part of places in order that is of one topic.
fn of_topic(places: &[Place], topic: usize) -> &[Place] {
    let begin = places.partition_point(|place| place.topic < topic);
    let end = places.partition_point(|place| place.topic <= topic);
    places.get(begin..end).unwrap_or(&[])
}

/// What something costs; evenness counts first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    unevenness: i64,
    moves: i64,
}

/// A step from one node to another.
#[derive(Debug, Clone, Copy)]
struct Arc {
    from: usize,
    to: usize,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// A member gives a partition up.
    Give(usize),
    /// A member is given a partition.
    Take(usize),
    /// A member has one less.
    Shrink,
    /// A member has one more.
    Grow,
}

/// A search for a cycle of negative cost (Bellman and Ford's). Nodes are the seats, the topics, and one through which
/// members become smaller and larger.
struct Search {
    /// For each node what it costs to come there and by which arc. Every node is a beginning.
    reached: Vec<(Cost, Option<Arc>)>,
}

impl Search {
    fn new(network: &Network) -> Search {
        let nodes = network.sizes.len() + network.of_topic.len() + 1;
        Search { reached: vec![(Cost::default(), None); nodes] }
    }

    /// A cycle that is worth going along, unless there is none, or the budget is spent.
    fn cycle(mut self, network: &Network, budget: &mut usize) -> Option<Vec<Arc>> {
        loop {
            let cost = 2 * (network.lines.len() + network.sizes.len());
            *budget = budget.checked_sub(cost)?;
            if !self.pass(network) {
                return None;
            }
            // Arcs by which nodes were reached form a cycle only if its cost is negative.
            if let Some(cycle) = self.closed() {
                return Some(cycle);
            }
        }
    }

    /// Tries every arc once. Says whether one was of use.
    fn pass(&mut self, network: &Network) -> bool {
        let (topics, hub) = (network.sizes.len(), network.sizes.len() + network.of_topic.len());
        let mut improved = false;
        let mut go = |from, to, way, unevenness, moves| {
            improved |= self.step(Arc { from, to, way }, Cost { unevenness, moves });
        };
        for (seat, size) in network.sizes.iter().enumerate() {
            let twice = i64::try_from(*size).unwrap_or(i64::MAX / 4).saturating_mul(2);
            if *size > 0 {
                go(hub, seat, Way::Shrink, 1 - twice, 0);
            }
            go(seat, hub, Way::Grow, 1 + twice, 0);
        }
        for (number, line) in network.lines.iter().enumerate() {
            let topic = topics + line.topic;
            if line.has > 0 {
                go(line.seat, topic, Way::Give(number), 0, i64::from(line.has <= line.held));
            }
            go(topic, line.seat, Way::Take(number), 0, -i64::from(line.has < line.held));
        }
        improved
    }

    fn step(&mut self, arc: Arc, cost: Cost) -> bool {
        let Some((come, _)) = self.reached.get(arc.from) else { return false };
        let cost = Cost {
            unevenness: come.unevenness.saturating_add(cost.unevenness),
            moves: come.moves.saturating_add(cost.moves),
        };
        match self.reached.get_mut(arc.to) {
            Some(reached) if cost < reached.0 => {
                *reached = (cost, Some(arc));
                true
            }
            _ => false,
        }
    }

    /// A cycle among the arcs by which nodes were reached.
    fn closed(&self) -> Option<Vec<Arc>> {
        let arc = |node: usize| self.reached.get(node).and_then(|(_, arc)| *arc);
        // In which walk a node was seen first.
        let mut seen: Vec<Option<usize>> = vec![None; self.reached.len()];
        for begin in 0..self.reached.len() {
            let mut node = begin;
            while let Some(mark) = seen.get_mut(node).filter(|mark| mark.is_none()) {
                *mark = Some(begin);
                let Some(arc) = arc(node) else { break };
                node = arc.from;
            }
            // With an arc to go on by, the walk ended because `node` was seen before: by this walk, or by an earlier one.
            if arc(node).is_some() && seen.get(node) == Some(&Some(begin)) {
                let round = std::iter::successors(arc(node), |last| arc(last.from));
                let mut cycle = Vec::new();
                for arc in round {
                    cycle.push(arc);
                    if arc.from == node {
                        return Some(cycle);
                    }
                }
            }
        }
        None
    }
}
