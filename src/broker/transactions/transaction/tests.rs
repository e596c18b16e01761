use super::*;

const TIMEOUT: Duration = Duration::from_secs(60);

struct Bench {
    transaction: Transaction,
    now: Instant,
    next_id: i64,
}

impl Bench {
    /// A producer with id 0 and epoch 0.
    fn new() -> Bench {
        let now = crate::task::now();
        let mut bench = Bench { transaction: Transaction::new(ProducerId(0), now), now, next_id: 1 };
        assert_eq!(bench.init(None), Ok(Init::Given(producer(0, 0))));
        bench
    }

    fn init(&mut self, expected: Option<Producer>) -> Result<Init, ErrorCode> {
        let id = ProducerId(self.next_id);
        self.next_id += 1;
        self.transaction.init(TIMEOUT, expected, self.now, || id)
    }

    /// A producer with this epoch, which has just got it.
    fn at(epoch: i16) -> Bench {
        let mut bench = Bench::new();
        bench.transaction.producer = producer(0, epoch);
        bench
    }

    fn begin(&mut self, generation: Generation) {
        self.transaction.go_on(generation, self.now);
    }

    fn end(
        &mut self,
        (id, epoch): (i64, i16),
        is_commit: bool,
        generation: Generation,
    ) -> Result<End, ErrorCode> {
        let next = ProducerId(self.next_id);
        self.next_id += 1;
        self.transaction.end(producer(id, epoch), is_commit, generation, self.now, || next)
    }

    /// A transaction from beginning to end.
    fn run(&mut self, epoch: i16, is_commit: bool, generation: Generation) {
        self.begin(generation);
        assert_eq!(self.end((0, epoch), is_commit, generation), Ok(End::Begins));
        self.transaction.complete();
    }
}

fn producer(id: i64, epoch: i16) -> Producer {
    (ProducerId(id), ProducerEpoch(epoch))
}

const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const STATE: ErrorCode = ErrorCode::INVALID_TXN_STATE;
const MAPPING: ErrorCode = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;
use Generation::{First, Second};

#[test]
fn who_comes_next_fences_who_was_there() {
    let mut bench = Bench::new();
    assert_eq!(bench.init(None), Ok(Init::Given(producer(0, 1))));
    assert_eq!(bench.transaction.check(producer(0, 0)), Err(FENCED));
    assert_eq!(bench.transaction.check(producer(5, 1)), Err(MAPPING));
    assert_eq!(bench.transaction.check(producer(0, 1)), Ok(()));
    assert_eq!(bench.init(Some(producer(0, 0))), Err(FENCED));
    assert_eq!(bench.init(Some(producer(7, 1))), Err(FENCED));
}

#[test]
fn a_request_with_the_last_epoch_that_comes_again_is_answered_alike() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        assert_eq!(bench.init(Some(producer(0, 0))), Ok(Init::Given(producer(0, 1))));
    }
    assert_eq!(bench.init(None), Ok(Init::Given(producer(0, 2))));
    assert_eq!(bench.init(Some(producer(0, 1))), Err(FENCED), "another came between");
    assert_eq!(bench.init(Some(producer(0, 2))), Ok(Init::Given(producer(0, 3))));
}

#[test]
fn epochs_that_are_used_up_are_followed_by_another_id() {
    let mut bench = Bench::at(i16::MAX - 1);
    let last = producer(0, i16::MAX - 1);
    let Ok(Init::Given((id, ProducerEpoch(0)))) = bench.init(Some(last)) else { panic!("no new id") };
    assert_ne!(id, ProducerId(0));
    assert_eq!(bench.init(Some(last)), Ok(Init::Given((id, ProducerEpoch(0)))), "it comes again");
    assert_eq!(bench.init(Some(producer(0, 3))), Err(FENCED));
}

#[test]
fn a_transaction_of_the_first_generation_keeps_its_epoch() {
    let mut bench = Bench::new();
    for is_commit in [true, false] {
        assert_eq!(bench.end((0, 0), is_commit, First), Err(STATE), "nothing is open");
    }
    bench.begin(First);
    assert_eq!(bench.end((0, 1), true, First), Err(FENCED));
    assert_eq!(bench.end((3, 0), true, First), Err(MAPPING));
    assert_eq!(bench.end((0, 0), true, First), Ok(End::Begins));
    assert_eq!(bench.transaction.check(producer(0, 0)), Err(CONCURRENT));
    assert_eq!(bench.init(None), Err(CONCURRENT));
    assert_eq!(bench.end((0, 0), true, First), Err(CONCURRENT));
    assert_eq!(bench.end((0, 0), false, First), Err(STATE));
    bench.transaction.complete();
    assert_eq!(bench.transaction.next_producer(), producer(0, 0));
    assert_eq!(bench.end((0, 0), true, First), Ok(End::Already));
    assert_eq!(bench.end((0, 0), false, First), Err(STATE));
    bench.run(0, false, First);
    assert_eq!(bench.end((0, 0), false, First), Ok(End::Already));
    assert_eq!(bench.end((0, 0), true, First), Err(STATE));
}

/// What EndTxn of the second generation comes to: abort and commit, each come again and with the epoch of now.
fn ends(bench: impl Fn() -> Bench, epoch: i16) -> [Result<End, ErrorCode>; 4] {
    let end = |epoch, is_commit| bench().end((0, epoch), is_commit, Second);
    [end(epoch - 1, false), end(epoch, false), end(epoch - 1, true), end(epoch, true)]
}

#[test]
fn a_transaction_of_the_second_generation_has_an_epoch_of_its_own() {
    let empty = || Bench::at(4);
    let ended = |is_commit| {
        move || {
            let mut bench = empty();
            bench.run(4, is_commit, Second);
            assert_eq!(bench.transaction.next_producer(), producer(0, 5));
            bench
        }
    };
    assert_eq!(ends(empty, 4), [Err(FENCED), Ok(End::Begins), Err(FENCED), Err(STATE)]);
    assert_eq!(ends(ended(false), 5), [Ok(End::Already), Ok(End::Begins), Err(STATE), Err(STATE)]);
    assert_eq!(ends(ended(true), 5), [Err(STATE), Ok(End::Begins), Ok(End::Already), Err(STATE)]);
    let ending = || {
        let mut bench = empty();
        bench.begin(Second);
        bench.end((0, 4), true, Second).unwrap();
        bench
    };
    assert_eq!(ends(ending, 5), [Err(STATE), Err(FENCED), Err(CONCURRENT), Err(FENCED)]);
}

#[test]
fn the_last_epoch_of_the_second_generation_is_followed_by_another_id() {
    let mut bench = Bench::at(i16::MAX - 1);
    bench.begin(Second);
    assert_eq!(bench.end((0, i16::MAX - 1), true, Second), Ok(End::Begins));
    assert_eq!(bench.transaction.ending().0, producer(0, i16::MAX), "the marker's");
    let (id, epoch) = bench.transaction.next_producer();
    assert_eq!((id != ProducerId(0), epoch), (true, ProducerEpoch(0)));
    bench.transaction.complete();
    assert_eq!(bench.end((0, i16::MAX - 1), true, Second), Ok(End::Already));
    assert_eq!(bench.end((0, i16::MAX - 1), false, Second), Err(STATE));
    assert_eq!(bench.transaction.check((id, epoch)), Ok(()));
}

#[test]
fn what_is_aborted_without_the_producer_looks_to_it_like_an_abort_of_its_own() {
    let fenced = || {
        let mut bench = Bench::at(4);
        bench.begin(Second);
        assert_eq!(bench.init(None), Ok(Init::Aborts));
        bench.transaction.fence(bench.now, || ProducerId(9));
        assert_eq!(bench.transaction.ending(), (producer(0, 5), Second));
        bench.transaction.complete();
        bench
    };
    assert_eq!(fenced().end((0, 4), true, Second), Err(STATE));
    assert_eq!(fenced().end((0, 4), false, Second), Ok(End::Already));
    assert_eq!(fenced().end((0, 4), false, First), Err(FENCED));
    assert_eq!(fenced().init(Some(producer(0, 4))), Ok(Init::Given(producer(0, 5))));
    let mut bench = fenced();
    assert_eq!(bench.init(None), Ok(Init::Given(producer(0, 6))));
    assert_eq!(bench.end((0, 4), false, Second), Err(FENCED), "another has come");
}

#[test]
fn it_is_due_while_it_goes_on() {
    let mut bench = Bench::new();
    assert_eq!(bench.transaction.deadline(), None);
    bench.begin(First);
    let due = bench.transaction.deadline();
    assert_eq!(due, Some(bench.now + TIMEOUT));
    bench.now += Duration::from_secs(5);
    bench.begin(First);
    assert_eq!(bench.transaction.deadline(), due, "it began when it began");
    bench.end((0, 0), true, First).unwrap();
    assert_eq!(bench.transaction.deadline(), None);
}
