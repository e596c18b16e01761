use super::*;
use crate::messages::ProducerEpoch;

const MINUTE: Duration = Duration::from_secs(60);

struct Bench {
    transactions: Transactions,
    now: Instant,
    ids: i64,
}

impl Bench {
    fn new() -> Bench {
        Bench { transactions: Transactions::default(), now: crate::task::now(), ids: 0 }
    }

    fn init(&mut self, id: &str) -> Result<Init, ErrorCode> {
        let Bench { transactions, now, ids } = self;
        transactions.init(&id.into(), MINUTE, None, *now, || {
            *ids += 1;
            ProducerId(*ids)
        })
    }

    fn producer(&mut self, id: &str) -> Producer {
        match self.init(id) {
            Ok(Init::Given(producer)) => producer,
            other => panic!("{id}: {other:?}"),
        }
    }

    fn add(&mut self, id: &str, producer: Producer, partitions: i32) -> Result<(), ErrorCode> {
        let partitions = (0..partitions).map(|index| ("t".into(), index)).collect();
        let added = (partitions, Some("g".into()));
        self.transactions.add(&id.into(), producer, added, Generation::Second, self.now)
    }

    fn end(&mut self, id: &str, producer: Producer) -> Result<End, ErrorCode> {
        let (id, now) = (id.into(), self.now);
        self.transactions.end(&id, producer, true, Generation::Second, now, || ProducerId(-7))
    }

    /// All markers of a transaction are written.
    fn complete(&mut self, id: &str) {
        let complete = |transaction: &mut Transaction| {
            transaction.partitions.clear();
            transaction.groups.clear();
            transaction.complete();
            Ok(())
        };
        self.transactions.change(&id.into(), complete).unwrap();
    }
}

#[test]
fn the_one_that_is_due_first_is_known_and_none_that_is_over() {
    let mut bench = Bench::new();
    let (a, b) = (bench.producer("a"), bench.producer("b"));
    assert_eq!(bench.transactions.deadline(), None);
    bench.add("a", a, 1).unwrap();
    let first = bench.now + MINUTE;
    bench.now += Duration::from_secs(1);
    bench.add("b", b, 1).unwrap();
    assert_eq!(bench.transactions.deadline(), Some(first));
    assert_eq!(bench.end("a", a), Ok(End::Begins));
    assert_eq!(bench.transactions.deadline(), Some(bench.now + MINUTE));
    assert!(bench.transactions.ending.contains(b"a".as_slice()));
    bench.complete("a");
    assert!(bench.transactions.ending.is_empty());
}

#[test]
fn partitions_are_counted_and_bounded() {
    let mut bench = Bench::new();
    let producer = bench.producer("a");
    bench.add("a", producer, 10).unwrap();
    bench.add("a", producer, 10).unwrap();
    assert_eq!(bench.transactions.partitions, 11, "ten partitions and a group");
    bench.transactions.partitions = MAX_PARTITIONS;
    assert_eq!(bench.add("a", producer, 10), Err(ErrorCode::POLICY_VIOLATION));
    bench.transactions.partitions = 11;
    bench.end("a", producer).unwrap();
    bench.complete("a");
    assert_eq!(bench.transactions.partitions, 0);
}

#[test]
fn ids_that_nobody_uses_make_room_and_those_in_transactions_stay() {
    let mut bench = Bench::new();
    let open = bench.producer("open");
    bench.add("open", open, 1).unwrap();
    for n in 1..MAX_IDS {
        bench.producer(&format!("idle-{n}"));
        bench.now += Duration::from_millis(1);
    }
    bench.producer("one-more");
    assert_eq!(bench.transactions.by_id.len(), MAX_IDS);
    assert!(bench.transactions.get(&"open".into()).is_ok(), "it goes on");
    let gone = bench.transactions.get(&"idle-1".into()).map(drop);
    assert_eq!(gone, Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING), "it was not used for the longest");
    bench.now += EXPIRATION;
    bench.producer("a-week-later");
    assert_eq!(bench.transactions.by_id.len(), 2);
}

#[test]
fn what_is_in_a_transaction_is_told_to_its_producer() {
    let mut bench = Bench::new();
    let producer = bench.producer("a");
    bench.add("a", producer, 2).unwrap();
    let verify =
        |id: &str, producer, index| bench.transactions.verify(&id.into(), producer, &("t".into(), index));
    assert_eq!(verify("a", producer, 1), Ok(()));
    assert_eq!(verify("a", producer, 2), Err(ErrorCode::TRANSACTION_ABORTABLE));
    assert_eq!(verify("a", (producer.0, ProducerEpoch(1)), 1), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(verify("b", producer, 1), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert_eq!(verify("", producer, 1), Err(ErrorCode::INVALID_REQUEST));
    let group = |group: &str| bench.transactions.verify_group(&"a".into(), producer, &group.into());
    assert_eq!((group("g"), group("h")), (Ok(()), Err(ErrorCode::TRANSACTION_ABORTABLE)));
}
