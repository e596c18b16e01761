//! Histories with one thing wrong each: it is found, under its name, and nothing else is.

use super::*;

fn sent(key: u32, number: u32) -> Sent {
    Sent { key, number }
}

/// Two keys in two partitions, everything as it should be; the last record failed, and lies there.
fn good() -> History {
    let partition = |records: [Sent; 3]| {
        let log: Vec<(i64, Sent)> = (0..).zip(records).collect();
        Partition { read: log.clone(), log }
    };
    let acked = |partition, offset| Claim::Acked { partition, offset };
    let failed = Claim::Failed { surely_not: false, is_for_want_of_time: true, error: "timed out".into() };
    let claims = vec![
        (sent(1, 1), acked(0, 0)),
        (sent(1, 2), acked(0, 1)),
        (sent(1, 3), acked(0, 2)),
        (sent(2, 1), acked(1, 0)),
        (sent(2, 2), acked(1, 1)),
        (sent(2, 3), failed),
    ];
    let mut took: BTreeMap<Sent, Duration> =
        claims.iter().map(|(sent, _)| (*sent, Duration::from_millis(30))).collect();
    took.insert(sent(2, 3), Duration::from_secs(20));
    let partitions = BTreeMap::from([
        (0, partition([sent(1, 1), sent(1, 2), sent(1, 3)])),
        (1, partition([sent(2, 1), sent(2, 2), sent(2, 3)])),
    ]);
    History { claims, took, partitions, ..History::of_nothing(&Knobs::plain()) }
}

#[track_caller]
fn bad<T>(invariant: &str, spoil: impl FnOnce(&mut History) -> T) {
    let mut history = good();
    let _ = spoil(&mut history);
    let violations = history.violations();
    let names: Vec<&str> = violations.iter().map(|violation| violation.invariant).collect();
    assert_eq!(names, [invariant], "{violations:#?}");
}

/// Takes a record of a partition away, with what was read of it.
fn remove(history: &mut History, partition: i32, at: usize) {
    let partition = history.partitions.get_mut(&partition).unwrap();
    partition.log.remove(at);
    partition.read.remove(at);
}

fn push(history: &mut History, partition: i32, record: Sent) {
    let partition = history.partitions.get_mut(&partition).unwrap();
    let at = (i64::try_from(partition.log.len()).unwrap(), record);
    partition.log.push(at);
    partition.read.push(at);
}

#[test]
fn each_violation_is_found_and_named() {
    assert!(good().violations().is_empty(), "{:#?}", good().violations());
    let second = Duration::from_secs(1);
    bad("lost", |history| remove(history, 0, 2));
    for wrong in [(0, 0), (1, 1), (0, -1), (0, -5), (1, -1)] {
        let (partition, offset) = wrong;
        bad("misplaced", |history| history.claims[1].1 = Claim::Acked { partition, offset });
    }
    let surely =
        |is_for_want_of_time| Claim::Failed { surely_not: true, is_for_want_of_time, error: "no".into() };
    bad("surely", |history| history.claims[1].1 = surely(false));
    bad("surely", |history| history.claims[1].1 = Claim::Refused { error: "no".into() });
    bad("unresolved", |history| history.claims[5].1 = Claim::Silent);
    bad("duplicated", |history| push(history, 1, sent(2, 1)));
    bad("split", |history| {
        history.claims.push((sent(1, 4), Claim::Acked { partition: 1, offset: 3 }));
        push(history, 1, sent(1, 4));
    });
    bad("phantom", |history| push(history, 1, sent(2, 9)));
    bad("phantom", |history| history.stored_strangely.push("offset 3: \"?\"".into()));
    bad("garbled", |history| history.read_strangely.push("offset 3: \"?\"".into()));
    bad("reordered", |history| {
        let partition = history.partitions.get_mut(&1).unwrap();
        partition.log[2].1 = sent(2, 1);
        partition.log[0].1 = sent(2, 3);
        partition.read = partition.log.clone();
        history.claims[3].1 = Claim::Acked { partition: 1, offset: 2 };
    });
    bad("gaps", |history| {
        let partition = history.partitions.get_mut(&1).unwrap();
        partition.log[2].0 = 3;
        partition.read[2].0 = 3;
    });
    bad("skipped", |history| history.partitions.get_mut(&0).unwrap().read.remove(1));
    bad("skipped", |history| history.partitions.get_mut(&0).unwrap().read.pop());
    bad("stalled", |history| history.caught_up = false);
    bad("early", |history| history.took.insert(sent(2, 3), 19 * second));
    bad("late", |history| history.took.insert(sent(2, 3), 23 * second));
    bad("late", |history| history.took.insert(sent(1, 1), 23 * second));
    bad("storm", |history| history.traffic.connects = 6);
    bad("storm", |history| history.traffic.idle = 53);
    bad("storm", |history| history.fetches_at_rest = 9);
    bad("panic", |history| history.panics.push("at the disco".into()));
}

#[test]
fn what_is_allowed_is_no_violation() {
    let mut history = good();
    // Refused for what it is, at once.
    history.claims.push((
        sent(3, 1),
        Claim::Failed { surely_not: true, is_for_want_of_time: false, error: "too large".into() },
    ));
    history.took.insert(sent(3, 1), Duration::ZERO);
    // Twice, where nobody promised otherwise.
    history.knobs.idempotent = false;
    push(&mut history, 1, sent(2, 3));
    (history.traffic.connects, history.traffic.idle, history.fetches_at_rest) = (5, 52, 8);
    assert!(history.violations().is_empty(), "{:#?}", history.violations());
}

#[test]
fn runs_in_which_nothing_happens_show_nothing() {
    let rich = Tally { acked: 9_000, failed: 10, surely_not: 10, struck: 500, told: 5, ..Tally::default() };
    assert_eq!(rich.lacks(500), [""; 0]);
    let lacks = |tally: Tally| tally.lacks(500).len();
    assert_eq!(lacks(Tally { acked: 100, surely_not: 9_000, ..rich }), 1);
    assert_eq!(lacks(Tally { failed: 0, ..rich }), 1);
    assert_eq!(lacks(Tally { surely_not: 0, ..rich }), 1);
    assert_eq!(lacks(Tally { struck: 400, ..rich }), 1);
    assert_eq!(lacks(Tally { told: 0, ..rich }), 1);
    assert_eq!(lacks(Tally::default()), 5, "nothing of nothing is enough of it");
}
