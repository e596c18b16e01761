//! Readers of their own, and what may be in memory for all of them.

use super::*;

impl Bench {
    /// Answers all plans that there are with batches of ten records, as many as each leaves room for; how many plans.
    fn serve(&mut self) -> usize {
        let mut plans = self.plans();
        for plan in &mut plans {
            let request = plan.request(12);
            let mut left = usize::try_from(request.max_bytes).unwrap();
            let (mut answers, mut is_first) = (Vec::new(), true);
            for asked in request.topics.iter().flat_map(|topic| &topic.partitions) {
                let mut most = usize::try_from(asked.partition_max_bytes).unwrap().min(left);
                let (mut at, mut set) = (asked.fetch_offset, Vec::new());
                loop {
                    let next = batch(at, 10);
                    // At least one batch comes, of the first partition that has one (KIP-74).
                    if next.len() > most && !std::mem::take(&mut is_first) {
                        break;
                    }
                    is_first = false;
                    (most, left) = (most.saturating_sub(next.len()), left.saturating_sub(next.len()));
                    at += 10;
                    set.extend(next);
                }
                answers.push(FetchPartitionResponse { partition_index: asked.partition, ..found(set) });
            }
            self.answer(plan, answers);
        }
        plans.len()
    }

    /// The first offset of the next batch of a partition that has a reader of its own.
    fn next_of(&mut self, partition: i32) -> Option<i64> {
        let next = self.cursors.next_batch_of(&orders(partition), self.now)?.unwrap();
        Some(next.batch.base_offset())
    }
}

const BUDGET: usize = 1 << 16;

fn many(partitions: usize) -> Bench {
    let leaders: Vec<i32> = (0..partitions).map(|n| if n % 2 == 0 { 1 } else { 2 }).collect();
    let mut bench =
        Bench::led(Limits { queued_max_bytes: BUDGET, partition_max_bytes: 1_000, ..limits() }, &leaders);
    (0..).take(partitions).for_each(|index| bench.cursors.assign(orders(index), Start::Offset(0)));
    bench
}

/// What is queued and what is asked for, all at once, whoever reads how fast: within the budget but for one batch of each
/// broker.
#[test]
fn a_slow_application_with_many_partitions_keeps_within_the_budget() {
    for partitions in [1, 3, 40, 300] {
        let mut bench = many(partitions);
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for _ in 0..4_000 {
            bench.serve();
            assert!(bench.cursors.queued_bytes() <= BUDGET + 2_000, "{}", bench.cursors.queued_bytes());
            let read = bench.cursors.next_batch(bench.now).expect("something is there").unwrap();
            let at = next.entry(read.partition.partition).or_default();
            assert_eq!(read.batch.base_offset(), *at, "nothing is skipped, and nothing comes twice");
            *at = read.batch.next_offset();
        }
        let missing: Vec<i32> = (0..).take(partitions).filter(|index| !next.contains_key(index)).collect();
        assert!(missing.is_empty(), "each has its turn, but {missing:?} of {partitions}; {next:?}");
    }
}

#[test]
fn while_one_answer_is_read_the_next_one_is_asked_for() {
    let mut bench = many(2);
    bench.serve();
    let (first, _) = bench.cursors.plan_fetches(&bench.view, bench.now, &BTreeSet::new());
    assert_eq!(first.len(), 2, "both brokers, and nothing was read yet");
}

#[test]
fn requests_under_way_have_their_part_of_the_budget() {
    let mut bench = many(2);
    let plans = bench.plans();
    assert_eq!(plans.len(), 2);
    // The second answers again and again, the first does not.
    let busy = BTreeSet::from([BrokerId(1)]);
    let mut held = 0;
    let mut second = plans.into_iter().nth(1);
    while let Some(mut plan) = second.take() {
        let most = plan.request(12).max_bytes;
        held += usize::try_from(most).unwrap();
        let mut set = Vec::new();
        let mut at = plan.request(12).topics[0].partitions[0].fetch_offset;
        while set.len() + batch(at, 10).len() <= usize::try_from(most).unwrap() {
            set.extend(batch(at, 10));
            at += 10;
        }
        bench.answer(&plan, vec![FetchPartitionResponse { partition_index: 1, ..found(set) }]);
        second = bench.cursors.plan_fetches(&bench.view, bench.now, &busy).0.pop();
    }
    assert!((BUDGET / 2..=BUDGET * 3 / 4).contains(&held), "{held}: a quarter is the other's");
}

#[test]
fn an_answer_is_in_memory_until_its_last_record_was_handed_out() {
    let mut bench = many(1);
    bench.fetch([batch(0, 10), batch(10, 10), batch(20, 10)].concat());
    let all = bench.cursors.queued_bytes();
    bench.cursors.next_batch(bench.now).unwrap().unwrap();
    bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert_eq!(bench.cursors.queued_bytes(), all);
    bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert_eq!(bench.cursors.queued_bytes(), 0);
}

#[test]
fn a_plan_is_wanted_when_there_is_room_again_and_not_for_each_batch() {
    let mut bench = many(1);
    while bench.serve() > 0 {}
    let mut wanted = Vec::new();
    while bench.cursors.next_batch(bench.now).is_some() {
        wanted.push(bench.cursors.is_unplanned());
    }
    assert_eq!(wanted.iter().filter(|wanted| **wanted).count(), 1, "{wanted:?}");
    assert!(!wanted[0] && wanted.len() > 100);
}

#[test]
fn what_is_fetched_of_a_split_partition_is_for_its_reader_alone() {
    let mut bench = many(3);
    assert!(bench.cursors.split(&orders(1)).unwrap());
    assert!(!bench.cursors.split(&orders(1)).unwrap(), "it has one");
    assert!(bench.cursors.split(&orders(9)).is_err(), "not assigned");
    bench.serve();
    assert_eq!(bench.cursors.take_news(), [orders(1)]);
    assert_eq!([bench.next_of(1), bench.next_of(1)], [Some(0), Some(10)]);
    while let Some(read) = bench.cursors.next_batch(bench.now) {
        assert_ne!(read.unwrap().partition, orders(1));
    }
    bench.cursors.pause(&orders(1)).unwrap();
    assert_eq!(bench.next_of(1), None, "paused");
    bench.cursors.resume(&orders(1)).unwrap();
    assert_eq!((bench.cursors.take_news(), bench.next_of(1)), (vec![orders(1)], Some(20)));
    bench.cursors.join(&orders(1));
    let rest = bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert_eq!((rest.partition, rest.batch.base_offset()), (orders(1), 30), "it comes with the others again");
}

#[test]
fn a_reader_that_does_not_read_keeps_nobody_else_from_theirs() {
    let mut bench = many(4);
    (0..4).for_each(|index| assert!(bench.cursors.split(&orders(index)).unwrap()));
    let mut read = 0;
    for _ in 0..3_000 {
        bench.serve();
        read += usize::from(bench.next_of(1).is_some());
        assert!(bench.cursors.queued_bytes() <= BUDGET + 2_000);
    }
    assert!(read > 2_900, "{read}");
}

/// What was fetched before shares its answers with the others.
#[test]
fn a_partition_that_is_split_late_keeps_nobody_from_theirs_either() {
    let mut bench = many(3);
    while bench.serve() > 0 {}
    (0..3).for_each(|index| assert!(bench.cursors.split(&orders(index)).unwrap()));
    while bench.next_of(1).is_some() || bench.next_of(2).is_some() {}
    assert!(bench.cursors.queued_bytes() <= BUDGET / 2, "what is not read keeps nothing else");
    let mut read = [0; 2];
    for _ in 0..3_000 {
        bench.serve();
        for (reader, count) in (1..).zip(&mut read) {
            *count += usize::from(bench.next_of(reader).is_some());
        }
    }
    assert!(read.iter().all(|count| *count > 2_500), "{read:?}");
}

#[test]
fn a_reader_gets_its_records_while_nobody_reads_the_others() {
    for partitions in [2, 40] {
        let mut bench = many(partitions);
        assert!(bench.cursors.split(&orders(1)).unwrap());
        let mut read = 0;
        for _ in 0..3_000 {
            bench.serve();
            read += usize::from(bench.next_of(1).is_some());
            assert!(bench.cursors.queued_bytes() <= BUDGET + 2_000, "{}", bench.cursors.queued_bytes());
        }
        assert!(read > 2_900, "{read}");
        // And nobody reads that one either.
        (0..100).for_each(|_| {
            bench.serve();
        });
        assert!(bench.cursors.queued_bytes() <= BUDGET + 2_000, "{}", bench.cursors.queued_bytes());
    }
}

/// It is left out of the request while it is full, and must not wait until an idle neighbour's long poll is over.
#[test]
fn while_a_partition_is_left_out_the_broker_is_not_to_wait_long() {
    let mut bench = Bench::led(Limits { queued_max_bytes: 2_000, ..limits() }, &[1, 1]);
    (0..2).for_each(|index| bench.cursors.assign(orders(index), Start::Offset(0)));
    bench.cursors.split(&orders(1)).unwrap();
    let mut plan = bench.plan();
    assert_eq!(plan.request(12).max_wait_ms, 500);
    bench.answer(
        &plan,
        vec![found(Bytes::new()), FetchPartitionResponse { partition_index: 1, ..found(batch(0, 100)) }],
    );
    let mut plan = bench.plan();
    let request = plan.request(12);
    assert_eq!((request.topics[0].partitions.len(), request.max_wait_ms), (1, 100));
    assert!(!bench.cursors.is_unplanned());
    bench.next_of(1).unwrap();
    assert!(bench.cursors.is_unplanned(), "there is room for it again");
}

#[test]
fn what_is_being_handed_out_still_counts() {
    let mut bench = many(1);
    bench.fetch(batch(0, 10));
    let taken = bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert!(bench.cursors.queued_bytes() > 0);
    drop(taken);
    assert_eq!(bench.cursors.queued_bytes(), 0);
}

#[test]
fn the_reader_of_a_split_partition_hears_what_is_wrong_with_it() {
    let mut bench = many(3);
    bench.cursors.split(&orders(2)).unwrap();
    let plan = bench.plans().remove(0);
    let error = Error::new(ErrorKind::Authentication, "authenticate");
    bench.cursors.digest_fetch(&plan, Err(error), bench.now, &mut bench.rng);
    assert_eq!(bench.cursors.take_news(), [orders(2)]);
    assert!(bench.cursors.next_batch_of(&orders(2), bench.now).unwrap().is_err());
    assert!(bench.cursors.next_batch(bench.now).unwrap().is_err(), "and so do the others, once");
    assert!(bench.cursors.next_batch(bench.now).is_none() && !bench.cursors.has_batches());
}

#[test]
fn why_a_partition_is_not_asked_for_is_told() {
    let mut bench = Bench::with(limits());
    let none = BTreeSet::new();
    let why = |bench: &mut Bench, busy: &BTreeSet<BrokerId>| {
        bench.cursors.why_unasked(&orders(0), &bench.view, bench.now, busy).unwrap()
    };
    bench.cursors.assign(orders(0), Start::End);
    assert_eq!(why(&mut bench, &none), Some(Unasked::Unresolved));
    bench.cursors.assign(orders(0), Start::Offset(0));
    assert_eq!(why(&mut bench, &none), None);
    assert_eq!(why(&mut bench, &BTreeSet::from([BrokerId(1)])), Some(Unasked::Busy(BrokerId(1))));
    bench.cursors.pause(&orders(0)).unwrap();
    assert_eq!(why(&mut bench, &none), Some(Unasked::Paused));
    bench.cursors.resume(&orders(0)).unwrap();
    bench.fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(why(&mut bench, &none), Some(Unasked::Rests(Duration::from_secs(1))));
    bench.cursors.assign(orders(9), Start::Offset(0));
    let found = bench.cursors.why_unasked(&orders(9), &bench.view, bench.now, &none).unwrap();
    assert!(matches!(found, Some(Unasked::Leaderless(_))), "{found:?}");
    assert!(bench.cursors.why_unasked(&orders(8), &bench.view, bench.now, &none).is_err());
}

#[test]
fn no_more_is_fetched_ahead_than_is_of_use() {
    let mut bench = Bench::at(Limits { queued_max_bytes: 64 << 20, ..limits() }, 0);
    while bench.serve() > 0 {}
    assert!((2 << 20..=3 << 20).contains(&bench.cursors.queued_bytes()), "{}", bench.cursors.queued_bytes());
    let mut plans = 0;
    for _ in 0..60_000 {
        bench.cursors.next_batch(bench.now).expect("something is there").unwrap();
        while bench.cursors.is_unplanned() {
            // As the fetcher, which plans again after each answer.
            while bench.serve() > 0 {
                plans += 1;
            }
        }
    }
    assert!((5..20).contains(&plans), "{plans} requests for about ten MiB");
}

/// Answers that fit into a processor's caches are cheaper to read; over a long way larger ones bring more.
#[test]
fn requests_grow_while_answers_take_long_and_shrink_when_they_do_not() {
    let mut bench = Bench::at(Limits { queued_max_bytes: 64 << 20, ..limits() }, 0);
    let mut sizes = |took: u64, fills: bool, times: usize| {
        let mut size = 0;
        for _ in 0..times {
            let mut plan = bench.plan();
            let asked = plan.request(12);
            size = asked.max_bytes >> 20;
            bench.now += Duration::from_millis(took);
            let offset = asked.topics[0].partitions[0].fetch_offset;
            let mut set = batch(offset, 1);
            if fills {
                // The rest of the answer is a batch that was cut off.
                set.resize(usize::try_from(asked.max_bytes).unwrap(), 0);
                let more = batch(offset + 1, 1);
                set[batch(offset, 1).len()..][..more.len()].copy_from_slice(&more);
                let at = batch(offset, 1).len() + 8;
                set[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
            }
            bench.answer(&plan, vec![found(set)]);
            bench.drain();
        }
        size
    };
    assert_eq!(sizes(20, true, 1), 1, "it begins small");
    assert_eq!(sizes(20, true, 3), 8);
    assert_eq!(sizes(20, true, 9), 16, "a quarter of the budget, at most");
    assert_eq!(sizes(0, false, 5), 16, "an answer that is not full says nothing");
    assert_eq!((sizes(0, true, 1), sizes(0, true, 9)), (16, 1));
}
