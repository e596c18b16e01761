//! Tables from Kafka's documentation and tests; what holds for every group.

mod properties;

use super::*;

/// `"a: t0-0 t0-1, b:"` for each member and its partitions.
fn said(assignment: &BTreeMap<Text, Vec<TopicPartition>>) -> String {
    let member = |(id, partitions): (&Text, &Vec<TopicPartition>)| {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{id}: {}", names.join(" "))
    };
    assignment.iter().map(member).collect::<Vec<_>>().join(", ")
}

fn member(id: &str, topics: &[&str]) -> Member {
    let topics = topics.iter().map(|topic| Text::from(*topic)).collect();
    Member { id: id.into(), topics, generation: -1, ..Default::default() }
}

fn counts(counts: &[(&str, i32)]) -> Topics {
    counts.iter().map(|(name, count)| (Text::from(*name), *count)).collect()
}

#[test]
fn names_are_kafkas() {
    for strategy in Strategy::ALL {
        assert_eq!(Strategy::named(strategy.name()), Some(strategy));
    }
    assert_eq!(Strategy::named("uniform"), None);
    assert!(Strategy::CooperativeSticky.is_cooperative() && !Strategy::Sticky.is_cooperative());
}

mod range {
    use super::*;

    /// The examples of Kafka's `RangeAssignor` and its tests.
    #[test]
    fn javas_examples() {
        let both = ["t0", "t1"];
        let cases: [(&[Member], Topics, &str); 5] = [
            (
                &[member("a", &both), member("b", &both)],
                counts(&[("t0", 3), ("t1", 3)]),
                "a: t0-0 t0-1 t1-0 t1-1, b: t0-2 t1-2",
            ),
            (&[member("a", &both)], counts(&[("t0", 1)]), "a: t0-0"),
            (&[member("a", &[]), member("b", &["t0"])], counts(&[("t0", 2)]), "a: , b: t0-0 t0-1"),
            (
                &[member("a", &["t0"]), member("b", &both), member("c", &["t0"])],
                counts(&[("t0", 3), ("t1", 2)]),
                "a: t0-0, b: t0-1 t1-0 t1-1, c: t0-2",
            ),
            (&[member("b", &both), member("a", &["t1"])], counts(&[("t0", 1), ("t1", 0)]), "a: , b: t0-0"),
        ];
        for (members, topics, wanted) in cases {
            assert_eq!(said(&assign(Strategy::Range, members, &topics)), wanted);
        }
    }

    #[test]
    fn static_members_are_ordered_by_what_stays() {
        let of = |id: &str, instance: Option<&str>| Member {
            instance: instance.map(Text::from),
            ..member(id, &["t0"])
        };
        let before = [of("a", Some("i1")), of("b", Some("i2")), of("0", None)];
        let after = [of("y", Some("i1")), of("x", Some("i2")), of("0", None)];
        let topics = counts(&[("t0", 4)]);
        assert_eq!(said(&assign(Strategy::Range, &before, &topics)), "0: t0-3, a: t0-0 t0-1, b: t0-2");
        assert_eq!(said(&assign(Strategy::Range, &after, &topics)), "0: t0-3, x: t0-2, y: t0-0 t0-1");
    }

    #[test]
    fn members_get_what_is_near() {
        let of = |id: &str, rack: &str| Member { rack: Some(rack.into()), ..member(id, &["t0"]) };
        let members = [of("a", "r2"), of("b", "r1"), of("c", "")];
        let mut topics = Topics::default();
        let rack = |name: &'static str| vec![Some(Text::from_static(name)), None];
        topics.add_with_racks("t0".into(), vec![rack("r1"), rack("r2"), rack("r3")]);
        assert_eq!(said(&assign(Strategy::Range, &members, &topics)), "a: t0-1, b: t0-0, c: t0-2");
    }
}

mod round_robin {
    use super::*;

    /// The examples of Kafka's `RoundRobinAssignor`.
    #[test]
    fn javas_examples() {
        let both = ["t0", "t1"];
        let equal = [member("a", &both), member("b", &both)];
        let assigned = assign(Strategy::RoundRobin, &equal, &counts(&[("t0", 3), ("t1", 3)]));
        assert_eq!(said(&assigned), "a: t0-0 t0-2 t1-1, b: t0-1 t1-0 t1-2");
        let unlike = [member("a", &["t0"]), member("b", &both), member("c", &["t0", "t1", "t2"])];
        let assigned = assign(Strategy::RoundRobin, &unlike, &counts(&[("t0", 1), ("t1", 2), ("t2", 3)]));
        assert_eq!(said(&assigned), "a: t0-0, b: t1-0, c: t1-1 t2-0 t2-1 t2-2");
    }
}

mod sticky {
    use super::*;

    fn owner(id: &str, topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Member {
        let owned = owned.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect();
        Member { owned, generation, ..member(id, topics) }
    }

    /// KIP-54's first example: after a member left, the others keep what they had.
    #[test]
    fn a_member_that_leaves_moves_only_what_it_had() {
        let all = ["t0", "t1", "t2", "t3"];
        let topics = counts(&[("t0", 2), ("t1", 2), ("t2", 2), ("t3", 2)]);
        let members = [
            owner("a", &all, &[("t0", 0), ("t1", 1), ("t3", 0)], 1),
            owner("c", &all, &[("t1", 0), ("t2", 1)], 1),
        ];
        let assigned = assign(Strategy::Sticky, &members, &topics);
        assert_eq!(said(&assigned), "a: t0-0 t0-1 t1-1 t3-0, c: t1-0 t2-0 t2-1 t3-1");
    }

    /// KIP-54's second example: with unlike subscriptions too.
    #[test]
    fn what_others_cannot_have_does_not_cost_them_what_they_have() {
        let topics = counts(&[("t0", 1), ("t1", 2), ("t2", 3)]);
        let members = [
            owner("b", &["t0", "t1"], &[("t1", 0)], 1),
            owner("c", &["t0", "t1", "t2"], &[("t1", 1), ("t2", 0), ("t2", 1), ("t2", 2)], 1),
        ];
        let assigned = assign(Strategy::Sticky, &members, &topics);
        assert_eq!(said(&assigned), "b: t0-0 t1-0 t1-1, c: t2-0 t2-1 t2-2");
    }

    #[test]
    fn the_higher_generation_has_it() {
        let topics = counts(&[("t0", 2)]);
        let mine = [("t0", 0)];
        let members = [owner("a", &["t0"], &mine, 4), owner("b", &["t0"], &mine, 5)];
        for strategy in [Strategy::Sticky, Strategy::CooperativeSticky] {
            assert_eq!(said(&assign(strategy, &members, &topics)), "a: t0-1, b: t0-0");
        }
    }

    #[test]
    fn what_two_claim_is_neithers_and_must_be_given_up_first() {
        let topics = counts(&[("t0", 3)]);
        let members = [
            owner("a", &["t0"], &[("t0", 0)], 5),
            owner("b", &["t0"], &[("t0", 0), ("t0", 1)], 5),
            owner("c", &["t0"], &[("t0", 1)], 6),
        ];
        assert_eq!(said(&assign(Strategy::CooperativeSticky, &members, &topics)), "a: , b: t0-2, c: t0-1");
        // No third claim makes it anybody's, unless it is of a higher generation.
        let again = owner("c", &["t0"], &[("t0", 0)], 5);
        let given =
            assign(Strategy::CooperativeSticky, &[members[0].clone(), members[1].clone(), again], &topics);
        assert!(!given.values().flatten().any(|partition| partition.partition == 0));
    }

    #[test]
    fn nonsense_is_left_out() {
        let topics = counts(&[("t0", 2)]);
        let nonsense = [("t0", -1), ("t0", 2), ("t0", i32::MAX), ("gone", 0), ("t0", 1), ("t0", 1)];
        let members = [owner("a", &["t0", "gone", "t0"], &nonsense, i32::MIN), owner("b", &[], &[], -1)];
        for strategy in Strategy::ALL {
            assert_eq!(said(&assign(strategy, &members, &topics)), "a: t0-0 t0-1, b: ");
            assert_eq!(said(&assign(strategy, &members, &Topics::default())), "a: , b: ");
            assert!(assign(strategy, &[], &topics).is_empty());
        }
    }

    /// A partition goes from `a` to `b` so that one can go from `b` to `c`, who shares no topic with `a`.
    #[test]
    fn a_chain_of_moves_makes_it_even() {
        let topics = counts(&[("t0", 3), ("t1", 3)]);
        let members = [
            owner("a", &["t0"], &[("t0", 0), ("t0", 1), ("t0", 2)], 1),
            owner("b", &["t0", "t1"], &[("t1", 0), ("t1", 1)], 1),
            owner("c", &["t1"], &[("t1", 2)], 1),
        ];
        let first = assign(Strategy::CooperativeSticky, &members, &topics);
        assert_eq!(said(&first), "a: t0-0 t0-1, b: t1-0, c: t1-2");
        let whole = assign(Strategy::Sticky, &members, &topics);
        assert_eq!(said(&whole), "a: t0-0 t0-1, b: t0-2 t1-0, c: t1-1 t1-2");
    }

    /// `a` has one too many. To `b`, who is looked at first, it could give only what it held; to `c` what nobody held.
    #[test]
    fn what_nobody_held_moves_first() {
        let topics = counts(&[("t0", 1), ("t1", 2), ("t2", 1), ("t3", 2), ("t4", 2), ("t5", 5)]);
        let d = [("t5", 0), ("t5", 1), ("t5", 2), ("t5", 3), ("t5", 4)];
        let members = [
            owner("a", &["t0", "t2", "t4"], &[("t0", 0)], 1),
            owner("b", &["t0", "t1"], &[("t1", 0), ("t1", 1)], 1),
            owner("c", &["t2", "t3"], &[("t3", 0), ("t3", 1)], 1),
            owner("d", &["t4", "t5"], &d, 1),
        ];
        let assigned = assign(Strategy::Sticky, &members, &topics);
        let wanted = "a: t0-0 t4-0 t4-1, b: t1-0 t1-1, c: t2-0 t3-0 t3-1, d: t5-0 t5-1 t5-2 t5-3 t5-4";
        assert_eq!(said(&assigned), wanted);
    }

    /// 200 members and 10,000 partitions, with subscriptions alike and unlike; then a quarter of the members leaves, and twice
    /// as many join. What is looked at is that it ends, soon, and evenly.
    #[test]
    fn large_groups() {
        let names: Vec<String> = (0..100).map(|topic| format!("t{topic:02}")).collect();
        let topics: Topics = names.iter().map(|name| (name.as_str().into(), 100)).collect();
        for every in [1, 3] {
            let wants = |number: usize| {
                let wanted = names
                    .iter()
                    .enumerate()
                    .filter(|(topic, _)| every == 1 || !(topic * 7 + number).is_multiple_of(every));
                wanted.map(|(_, name)| name.as_str()).collect::<Vec<_>>()
            };
            let mut members: Vec<Member> =
                (0..200).map(|number| member(&format!("m{number}"), &wants(number))).collect();
            for _ in 0..2 {
                let assigned = assign(Strategy::Sticky, &members, &topics);
                assert_eq!(assigned.values().flatten().count(), 10_000);
                let sizes = || assigned.values().map(Vec::len);
                assert!(sizes().max() <= sizes().min().map(|least| least + 1));
                for member in &mut members {
                    (member.owned, member.generation) = (assigned[&member.id].clone(), 1);
                }
                members.drain(..50);
                members.extend((200..300).map(|number| member(&format!("m{number}"), &wants(number))));
            }
        }
    }
}
