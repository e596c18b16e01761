//! Groups in which members say anything: what is assigned must be whole, and the sticky assignors even and sticky.

use crate::input::Input;
use ottla::engine::TopicPartition;
use ottla::engine::assign::{Member, Strategy, Topics, assign};
use ottla::wire::Text;
use std::collections::{BTreeMap, BTreeSet};

type Assignment = BTreeMap<Text, Vec<TopicPartition>>;

pub fn groups(mut input: Input<'_>) {
    let counts: Vec<i32> = (0..input.below(8)).map(|_| i32::from(input.byte() % 12)).collect();
    let has_racks = input.byte() & 1 == 1;
    let mut topics = Topics::default();
    for (number, count) in counts.iter().enumerate() {
        if has_racks {
            let racks = (0..*count).map(|_| vec![rack(input.byte()), rack(input.byte())]).collect();
            topics.add_with_racks(topic(number), racks);
        } else {
            topics.add(topic(number), *count);
        }
    }
    let mut members = Vec::new();
    while !input.is_empty() && members.len() < 12 {
        members.push(member(&mut input, members.len()));
    }
    let group = Group { members, counts, topics };
    for strategy in [Strategy::Range, Strategy::RoundRobin] {
        assert!(group.left(&group.assign(strategy)).is_empty(), "{strategy:?} left something");
    }
    sticky(&group);
    cooperative(&group);
}

fn sticky(group: &Group) {
    let assigned = group.assign(Strategy::Sticky);
    assert!(group.left(&assigned).is_empty(), "something left");
    for member in &group.members {
        let can_give =
            |share: &&Vec<TopicPartition>| share.iter().any(|at| member.topics.contains(&at.topic));
        let largest = assigned.values().filter(can_give).map(Vec::len).max().unwrap_or(0);
        assert!(largest <= assigned[&member.id].len() + 1, "a move would make it more even");
    }
    assert_eq!(group.follow(&assigned).assign(Strategy::Sticky), assigned, "a partition moved in vain");
}

fn cooperative(group: &Group) {
    let first = group.assign(Strategy::CooperativeSticky);
    for at in group.left(&first) {
        assert!(group.members.iter().any(|member| member.owned.contains(&at)), "withheld from nobody");
    }
    let second = group.follow(&first).assign(Strategy::CooperativeSticky);
    assert!(group.left(&second).is_empty(), "not complete in two rounds");
    for (id, share) in first {
        assert!(share.iter().all(|at| second[&id].contains(at)), "moved in the second round");
    }
}

fn topic(number: usize) -> Text {
    format!("t{number}").into()
}

fn rack(byte: u8) -> Option<Text> {
    (byte & 3 > 0).then(|| format!("r{}", byte & 3).into())
}

fn member(input: &mut Input<'_>, number: usize) -> Member {
    let (flags, wants) = (input.byte(), input.byte());
    let owned = (0..input.below(40)).map(|_| {
        let at = input.byte();
        TopicPartition::new(topic(usize::from(at >> 4)), i32::from(at & 15) - 1)
    });
    Member {
        owned: owned.collect(),
        id: format!("m{number}").into(),
        instance: (flags & 4 > 0).then(|| format!("i{}", flags >> 5).into()),
        rack: rack(flags),
        topics: (0..8).filter(|topic| wants >> topic & 1 == 1).map(topic).collect(),
        generation: i32::from(flags >> 3 & 3) - 1,
    }
}

struct Group {
    members: Vec<Member>,
    counts: Vec<i32>,
    topics: Topics,
}

impl Group {
    fn assign(&self, strategy: Strategy) -> Assignment {
        assign(strategy, &self.members, &self.topics)
    }

    /// What was not given. Nothing may be given twice, nor to one that does not want it, and every member has an entry.
    fn left(&self, assigned: &Assignment) -> BTreeSet<TopicPartition> {
        assert_eq!(assigned.len(), self.members.len());
        let of_topic = |(number, count): (usize, &i32)| {
            (0..*count).map(move |partition| TopicPartition::new(topic(number), partition))
        };
        let mut left: BTreeSet<TopicPartition> = self.counts.iter().enumerate().flat_map(of_topic).collect();
        left.retain(|at| self.members.iter().any(|member| member.topics.contains(&at.topic)));
        for member in &self.members {
            for at in &assigned[&member.id] {
                assert!(
                    member.topics.contains(&at.topic),
                    "{at} given to {}, who does not want it",
                    member.id
                );
                assert!(left.remove(at), "{at} given twice");
            }
        }
        left
    }

    /// Everybody does as told.
    fn follow(&self, assigned: &Assignment) -> Group {
        let follow =
            |member: &Member| Member { owned: assigned[&member.id].clone(), generation: 9, ..member.clone() };
        Group {
            members: self.members.iter().map(follow).collect(),
            counts: self.counts.clone(),
            topics: self.topics.clone(),
        }
    }
}
