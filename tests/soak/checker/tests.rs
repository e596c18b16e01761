//! A whole history, and the same with one thing planted: exactly the invariant that it breaks is named.

use super::*;

/// Three keys, each in a partition of its own, ten records of each; all acknowledged where they lie, 10 ms after they were
/// sent.
fn whole() -> (Vec<Event>, Vec<Found>) {
    let (mut events, mut log) = (Vec::new(), Vec::new());
    for seq in 0..10 {
        for key in 0..3 {
            let (name, sent) = (Name { key, seq }, Duration::from_millis(100 * seq));
            let (partition, offset) = (key.cast_signed(), seq.cast_signed());
            events.push(Event { at: sent, name, claim: Claim::Send });
            let claim = Claim::Ack { partition, offset };
            events.push(Event { at: sent + Duration::from_millis(10), name, claim });
            log.push(Found { partition, offset, value: name.to_string() });
        }
    }
    events.sort_by_key(|event| event.at);
    (events, log)
}

const NAME: Name = Name { key: 1, seq: 5 };

/// What is broken once `plant` was let loose on a whole history.
fn broken_by(
    promises: &Promises,
    plant: impl Fn(&mut Vec<Event>, &mut Vec<Found>),
) -> Vec<(Invariant, usize)> {
    let (mut events, mut log) = whole();
    plant(&mut events, &mut log);
    let report = judge(&events, &log, promises);
    report.broken.iter().map(|(invariant, seen)| (*invariant, seen.len())).collect()
}

fn named(log: &mut [Found], name: Name) -> &mut Found {
    log.iter_mut().find(|found| found.value == name.to_string()).unwrap()
}

/// Takes a record out of the log as if it had never been there: those behind it move up, and so do their acknowledgements.
fn take_out(events: &mut [Event], log: &mut Vec<Found>, name: Name) {
    let Found { partition, offset, .. } = named(log, name).clone();
    log.retain(|found| (found.partition, found.offset) != (partition, offset));
    log.iter_mut()
        .filter(|found| found.partition == partition && found.offset > offset)
        .for_each(|found| found.offset -= 1);
    for event in events {
        if let Claim::Ack { partition: of, offset: at } = &mut event.claim
            && *of == partition
            && *at > offset
        {
            *at -= 1;
        }
    }
}

fn claims_of(events: &mut Vec<Event>, name: Name, keep: impl Fn(&Claim) -> bool) {
    events.retain(|event| event.name != name || keep(&event.claim));
}

/// In place of its acknowledgement.
fn fail(events: &mut [Event], name: Name, surely_not_written: bool) {
    for event in events.iter_mut().filter(|event| event.name == name && event.claim != Claim::Send) {
        event.claim = Claim::Fail { surely_not_written, why: "planted".to_owned() };
    }
}

#[test]
fn a_whole_history_is_whole() {
    let (events, log) = whole();
    let report = judge(&events, &log, &Promises::ALL);
    assert!(report.is_whole(), "{report}");
    assert_eq!((report.figures.sent, report.figures.acked, report.figures.in_log), (30, 30, 30));
}

#[test]
fn a_lost_record_is_found() {
    // The end of a log that was cut off, and a record that another has the place of.
    let cut =
        broken_by(&Promises::ALL, |_, log| log.retain(|found| found.partition != 1 || found.offset < 8));
    assert_eq!(cut, [(Invariant::Lost, 2)]);
    let replaced = broken_by(&Promises::ALL, |events, log| {
        let at = events.iter().position(|event| event.name == NAME && event.claim != Claim::Send).unwrap();
        let ack = events[at].claim.clone();
        take_out(events, log, NAME);
        events[at].claim = ack;
    });
    assert_eq!(replaced, [(Invariant::Lost, 1)]);
}

#[test]
fn an_acknowledgement_without_a_place_still_has_a_partition() {
    let forget = |events: &mut Vec<Event>, partition: i32| {
        for event in events.iter_mut().filter(|event| event.name == NAME && event.claim != Claim::Send) {
            event.claim = Claim::Ack { partition, offset: -1 };
        }
    };
    assert_eq!(broken_by(&Promises::ALL, |events, _| forget(events, 1)), []);
    assert_eq!(broken_by(&Promises::ALL, |events, _| forget(events, 2)), [(Invariant::Misplaced, 1)]);
    let lost = broken_by(&Promises::ALL, |events, log| {
        forget(events, 1);
        take_out(events, log, NAME);
    });
    assert_eq!(lost, [(Invariant::Lost, 1)]);
}

#[test]
fn a_misplaced_record_is_found() {
    let swap_acks = broken_by(&Promises::ALL, |events, _| {
        for event in events.iter_mut().filter(|event| event.name == NAME) {
            if let Claim::Ack { offset, .. } = &mut event.claim {
                *offset = 6;
            }
        }
    });
    assert_eq!(swap_acks, [(Invariant::Misplaced, 1)]);
}

#[test]
fn a_duplicate_is_found_unless_there_may_be_some() {
    let again = |_: &mut Vec<Event>, log: &mut Vec<Found>| {
        log.push(Found { partition: 1, offset: 10, value: NAME.to_string() });
    };
    assert_eq!(broken_by(&Promises::ALL, again), [(Invariant::Duplicated, 1)]);
    assert_eq!(broken_by(&Promises { once: false, ..Promises::ALL }, again), []);
}

#[test]
fn a_change_of_order_is_found_unless_there_may_be_one() {
    let swapped = |events: &mut Vec<Event>, log: &mut Vec<Found>| {
        let next = Name { seq: 6, ..NAME };
        named(log, NAME).offset = 6;
        log.iter_mut().filter(|found| found.value == next.to_string()).for_each(|found| found.offset = 5);
        for event in events {
            if let Claim::Ack { offset, .. } = &mut event.claim {
                match event.name {
                    NAME => *offset = 6,
                    name if name == next => *offset = 5,
                    _ => {}
                }
            }
        }
    };
    assert_eq!(broken_by(&Promises::ALL, swapped), [(Invariant::Reordered, 1)]);
    assert_eq!(broken_by(&Promises { ordered: false, ..Promises::ALL }, swapped), []);
}

#[test]
fn a_late_second_copy_is_no_change_of_order() {
    let late = broken_by(&Promises { once: false, ..Promises::ALL }, |_, log| {
        log.push(Found { partition: 1, offset: 10, value: Name { key: 1, seq: 0 }.to_string() });
    });
    assert_eq!(late, []);
}

#[test]
fn a_key_in_two_partitions_is_found_unless_there_were_more_of_them() {
    let moved = |events: &mut Vec<Event>, log: &mut Vec<Found>| {
        let last = Name { key: 1, seq: 9 };
        (named(log, last).partition, named(log, last).offset) = (7, 0);
        for event in events.iter_mut().filter(|event| event.name == last && event.claim != Claim::Send) {
            event.claim = Claim::Ack { partition: 7, offset: 0 };
        }
    };
    assert_eq!(broken_by(&Promises::ALL, moved), [(Invariant::Split, 1)]);
    assert_eq!(broken_by(&Promises { same_partitions: false, ..Promises::ALL }, moved), []);
}

#[test]
fn what_nobody_sent_is_found() {
    let strange = |value: &str| {
        broken_by(&Promises::ALL, |_, log| {
            log.push(Found { partition: 2, offset: 10, value: value.to_owned() });
        })
    };
    assert_eq!(strange("k2 10"), [(Invariant::Phantom, 1)], "a name that was never given");
    assert_eq!(strange("k2 9x"), [(Invariant::Phantom, 1)], "a flipped bit");
    assert_eq!(strange(""), [(Invariant::Phantom, 1)]);
}

#[test]
fn a_send_without_an_end_is_found() {
    let silent = broken_by(&Promises::ALL, |events, _| {
        claims_of(events, NAME, |claim| *claim == Claim::Send);
    });
    assert_eq!(silent, [(Invariant::Unresolved, 1)]);
}

#[test]
fn a_failure_that_wrote_something_is_found_if_it_said_that_it_did_not() {
    assert_eq!(broken_by(&Promises::ALL, |events, _| fail(events, NAME, true)), [(Invariant::Surely, 1)]);
    assert_eq!(broken_by(&Promises::ALL, |events, _| fail(events, NAME, false)), []);
    let honest = broken_by(&Promises::ALL, |events, log| {
        take_out(events, log, NAME);
        fail(events, NAME, true);
    });
    assert_eq!(honest, []);
}

#[test]
fn a_gap_is_found_unless_there_may_be_one() {
    let shift = |events: &mut Vec<Event>, log: &mut Vec<Found>| {
        log.iter_mut()
            .filter(|found| found.partition == 1 && found.offset >= 4)
            .for_each(|found| found.offset += 1);
        for event in events {
            if let Claim::Ack { partition: 1, offset } = &mut event.claim
                && *offset >= 4
            {
                *offset += 1;
            }
        }
    };
    assert_eq!(broken_by(&Promises::ALL, shift), [(Invariant::Gaps, 1)]);
    assert_eq!(broken_by(&Promises { plain: false, ..Promises::ALL }, shift), []);
}

#[test]
fn what_went_with_a_deleted_topic_is_not_missed() {
    let since = Promises { topic_since: Duration::from_millis(500), ..Promises::ALL };
    let anew = |from: u64| {
        broken_by(&since, move |events, log| {
            log.retain(|found| found.value.parse::<Name>().unwrap().seq >= from);
            log.iter_mut().for_each(|found| found.offset -= from.cast_signed());
            for event in events.iter_mut().filter(|event| event.name.seq >= from) {
                if let Claim::Ack { offset, .. } = &mut event.claim {
                    *offset -= from.cast_signed();
                }
            }
        })
    };
    assert_eq!(anew(5), []);
    assert_eq!(anew(6), [(Invariant::Lost, 3)], "of the new topic");
}

#[test]
fn figures_are_told() {
    let (mut events, mut log) = whole();
    fail(&mut events, NAME, false);
    let lost = Name { key: 2, seq: 9 };
    fail(&mut events, lost, true);
    log.retain(|found| found.value != lost.to_string());
    let late = Name { key: 0, seq: 9 };
    for event in events.iter_mut().filter(|event| event.name == late && event.claim != Claim::Send) {
        event.at += Duration::from_secs(2);
    }
    events.sort_by_key(|event| event.at);
    let figures = judge(&events, &log, &Promises::ALL).figures;
    let ms = Duration::from_millis;
    assert_eq!((figures.sent, figures.acked, figures.in_log), (30, 28, 29));
    assert_eq!((figures.surely_not_written, figures.possibly_written, figures.failed_but_written), (1, 1, 1));
    assert_eq!((figures.ack_p50, figures.ack_p99, figures.ack_max), (ms(10), ms(2010), ms(2010)));
    // k1 9 was acknowledged at 910 ms, k0 9 at 2910; of k0 alone the wait began when it was sent.
    assert_eq!((figures.longest_without_ack, figures.longest_without_ack_of_a_key), (ms(2000), ms(2010)));
}

#[test]
fn a_time_without_work_is_no_time_without_an_acknowledgement() {
    let event = |at, claim| Event { at: Duration::from_millis(at), name: NAME, claim };
    let ack = || Claim::Ack { partition: 0, offset: 0 };
    let events = [event(0, Claim::Send), event(5, ack()), event(9_000, Claim::Send), event(9_040, ack())];
    assert_eq!(gaps::longest(&events).took(), Duration::from_millis(40));
}

#[test]
fn the_table_names_every_invariant() {
    let (events, mut log) = whole();
    log.pop();
    let promises = Promises { once: false, ..Promises::ALL };
    let told = judge(&events, &log, &promises).to_string();
    for line in ["lost         1", "duplicated   not promised", "unresolved   0", "longest without an ack"] {
        assert!(told.contains(line), "{line:?} in\n{told}");
    }
    for invariant in Invariant::ALL {
        assert!(told.contains(&format!("{invariant:?}").to_lowercase()), "{invariant:?}");
    }
}
