//! Tables from Kafka's documentation and tests; what holds for every group.

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
