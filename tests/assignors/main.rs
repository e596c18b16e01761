//! Random groups, and what Kafka's own assignors made of them: range and roundrobin give the same, the sticky ones are as even
//! and move no more.
//!
//! `make` writes `groups.txt` anew, with `java/Assignors.java`. It reads so, `-` for what is not there:
//!
//! ```text
//! group NUMBER
//! topic NAME PARTITIONS [racks of the replicas, for each partition]
//! member ID INSTANCE RACK GENERATION TOPICS OWNED
//! range ID=PARTITIONS ..
//! roundrobin ID=PARTITIONS ..
//! sticky SQUARES MOVES                the sum of the squares of the shares' sizes; owned partitions that moved
//! cooperative-sticky SQUARES MOVES    when a round changes nothing more; in all rounds
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use ottla::engine::TopicPartition;
use ottla::engine::assign::{Member, Strategy, Topics, assign};
use ottla::wire::Text;
use std::collections::BTreeMap;

type Assignment = BTreeMap<Text, Vec<TopicPartition>>;

/// A group and what Kafka made of it.
#[derive(Default)]
struct Group {
    number: String,
    members: Vec<Member>,
    topics: Topics,
    /// By the assignor's name, the rest of its line.
    kafka: BTreeMap<String, String>,
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in include_str!("groups.txt").lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "group" {
            groups.push(Group { number: rest.to_owned(), ..Group::default() });
            continue;
        }
        let group = groups.last_mut().unwrap();
        let parts: Vec<&str> = rest.split(' ').collect();
        match word {
            "topic" if parts.len() == 2 => group.topics.add(parts[0].into(), parts[1].parse().unwrap()),
            "topic" => {
                let racks = |racks: &&str| racks.split(',').map(some).collect();
                group.topics.add_with_racks(parts[0].into(), parts[2..].iter().map(racks).collect());
            }
            "member" => group.members.push(Member {
                id: parts[0].into(),
                instance: some(parts[1]),
                rack: some(parts[2]),
                generation: parts[3].parse().unwrap(),
                topics: some(parts[4]).map_or(vec![], |names| names.split(',').map(Text::from).collect()),
                owned: partitions(parts[5]),
            }),
            name => drop(group.kafka.insert(name.to_owned(), rest.to_owned())),
        }
    }
    groups
}

fn some(text: &str) -> Option<Text> {
    (text != "-").then(|| text.into())
}

/// `t0:0,1;t1:4`.
fn partitions(text: &str) -> Vec<TopicPartition> {
    let topics = text.split(';').filter_map(|topic| topic.split_once(':'));
    topics
        .flat_map(|(name, numbers)| {
            numbers.split(',').map(move |number| TopicPartition::new(name, number.parse().unwrap()))
        })
        .collect()
}

impl Group {
    /// Sum of squares, and moves.
    fn figures(&self, name: &str) -> Option<(usize, usize)> {
        let (squares, moves) = self.kafka.get(name)?.split_once(' ').unwrap();
        Some((squares.parse().unwrap(), moves.parse().unwrap()))
    }

    /// How many partitions left the one member that claimed them with the highest generation and still wants their topic.
    fn moves(&self, assigned: &Assignment) -> usize {
        let claims =
            self.members.iter().flat_map(|member| member.owned.iter().map(move |owned| (member, owned)));
        let has_moved = |(member, owned): &(&Member, &TopicPartition)| {
            let rivals = self.members.iter().filter(|other| other.generation >= member.generation);
            rivals.filter(|other| other.owned.contains(owned)).count() == 1
                && member.topics.contains(&owned.topic)
                && !assigned[&member.id].contains(owned)
        };
        claims.filter(has_moved).count()
    }

    fn is_alike(&self) -> bool {
        self.members.iter().all(|member| member.topics == self.members[0].topics)
    }
}

fn squares(assigned: &Assignment) -> usize {
    assigned.values().map(|share| share.len() * share.len()).sum()
}

/// More even, or as even and with no more moves; with like subscriptions the shares can only be as even.
fn compare(group: &Group, name: &str, ours: (usize, usize), tally: &mut Tally) {
    let Some(kafka) = group.figures(name) else { return };
    let place = format!("group {}, {name}: squares and moves {ours:?}, Kafka's {kafka:?}", group.number);
    assert!(ours <= kafka, "{place}");
    if group.is_alike() {
        assert!(ours.0 == kafka.0, "{place}");
    }
    tally.groups += 1;
    tally.moves += ours.1;
    tally.evener += usize::from(ours.0 < kafka.0);
    tally.calmer += usize::from(ours.0 == kafka.0 && ours.1 < kafka.1);
}

#[derive(Debug, Default)]
struct Tally {
    groups: usize,
    moves: usize,
    evener: usize,
    calmer: usize,
}

#[test]
fn range_and_roundrobin_give_what_kafka_gives() {
    let (mut near_racks, mut compared) = (0, 0);
    for group in groups() {
        for strategy in [Strategy::Range, Strategy::RoundRobin] {
            let line = &group.kafka[strategy.name()];
            let shares = line.split(' ').map(|share| share.split_once('=').unwrap());
            let kafka: Assignment = shares.map(|(id, share)| (id.into(), partitions(share))).collect();
            let ours = assign(strategy, &group.members, &group.topics);
            assert_eq!(ours, kafka, "group {}, {}", group.number, strategy.name());
            compared += 1;
        }
        let nowhere: Vec<Member> =
            group.members.iter().map(|member| Member { rack: None, ..member.clone() }).collect();
        let range = |members| assign(Strategy::Range, members, &group.topics);
        near_racks += usize::from(range(&nowhere) != range(&group.members));
    }
    assert!(compared > 600 && near_racks > 30, "{compared} compared, racks counted in {near_racks}");
}

#[test]
fn sticky_is_as_even_as_kafkas_and_moves_no_more() {
    let mut tally = Tally::default();
    for group in groups() {
        let ours = assign(Strategy::Sticky, &group.members, &group.topics);
        compare(&group, "sticky", (squares(&ours), group.moves(&ours)), &mut tally);
    }
    assert!(tally.groups > 290 && tally.moves > 300, "{tally:?}");
}

#[test]
fn cooperative_sticky_ends_as_even_as_kafkas_and_moves_no_more() {
    let mut tally = Tally::default();
    for group in groups() {
        let first = assign(Strategy::CooperativeSticky, &group.members, &group.topics);
        let follow =
            |member: &Member| Member { owned: first[&member.id].clone(), generation: 100, ..member.clone() };
        let then = Group {
            members: group.members.iter().map(follow).collect(),
            topics: group.topics.clone(),
            ..Group::default()
        };
        let second = assign(Strategy::CooperativeSticky, &then.members, &then.topics);
        assert_eq!(then.moves(&second), 0, "group {}: the second round moves something", group.number);
        compare(&group, "cooperative-sticky", (squares(&second), group.moves(&first)), &mut tally);
    }
    assert!(tally.groups > 290 && tally.moves > 300, "{tally:?}");
}
