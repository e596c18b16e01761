//! Fetch sessions, against a broker that keeps them as KIP-227 says and nothing else.

use super::*;
use crate::messages::FetchRequest;

const TOPIC_ID: Uuid = Uuid::from_bytes([7; 16]);

/// The one leader: how far its logs go, and its one session.
#[derive(Default)]
struct Broker {
    ends: BTreeMap<i32, i64>,
    session: Option<Session>,
    next_id: i32,
    by_id: bool,
}

struct Session {
    id: i32,
    epoch: i32,
    /// For each partition where it is read, and the end that was told last.
    partitions: BTreeMap<i32, (i64, i64)>,
}

impl Broker {
    fn serve(&mut self, request: &FetchRequest) -> FetchResponse {
        let asked = request.topics.iter().flat_map(|topic| {
            assert_eq!(topic.topic_id, if self.by_id { TOPIC_ID } else { Uuid::ZERO });
            &topic.partitions
        });
        let asked = asked.map(|asked| (asked.partition, (asked.fetch_offset, -1)));
        if request.session_epoch == 0 {
            self.next_id += 1;
            self.session = Some(Session { id: self.next_id, epoch: 1, partitions: asked.collect() });
        } else {
            let refuse = |error_code| FetchResponse { error_code, ..Default::default() };
            let Some(session) = self.session.as_mut().filter(|session| session.id == request.session_id)
            else {
                return refuse(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
            };
            if request.session_epoch != session.epoch {
                return refuse(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
            }
            session.epoch += 1;
            for (partition, (offset, _)) in asked {
                session.partitions.entry(partition).or_insert((0, -1)).0 = offset;
            }
            for partition in request.forgotten_topics_data.iter().flat_map(|topic| &topic.partitions) {
                assert!(session.partitions.remove(partition).is_some(), "{partition} was not there");
            }
        }
        self.answer()
    }

    fn answer(&mut self) -> FetchResponse {
        let mut partitions = Vec::new();
        let session = self.session.as_mut().unwrap();
        for (&index, (offset, told)) in &mut session.partitions {
            let end = self.ends.get(&index).copied().unwrap_or(0);
            if *told == end && *offset >= end {
                continue;
            }
            *told = end;
            let records = usize::try_from(end - *offset).unwrap();
            let set = if records > 0 { batch(*offset, records) } else { Vec::new() };
            partitions.push(FetchPartitionResponse {
                partition_index: index,
                high_watermark: end,
                ..found(set)
            });
        }
        let topic_id = if self.by_id { TOPIC_ID } else { Uuid::ZERO };
        let topic = if self.by_id { Text::default() } else { "orders".into() };
        let topic = FetchTopicResponse { topic, topic_id, partitions };
        FetchResponse { session_id: session.id, responses: vec![topic], ..Default::default() }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answered,
    LostOnTheWay,
    AnswerLost,
}

struct World {
    bench: Bench,
    broker: Broker,
    /// The next offset that the application is to get.
    expected: BTreeMap<i32, i64>,
    sent: Vec<FetchRequest>,
}

impl World {
    fn new(partitions: usize, by_id: bool) -> World {
        let mut bench = Bench::led(limits(), &vec![1; partitions]);
        let indexes = (0..).take(partitions);
        indexes.clone().for_each(|index| bench.cursors.assign(orders(index), Start::Offset(0)));
        let broker = Broker { by_id, ..Broker::default() };
        World { bench, broker, expected: indexes.map(|index| (index, 0)).collect(), sent: Vec::new() }
    }

    /// One request, if one is wanted.
    fn fetch(&mut self, fate: Fate) -> bool {
        self.bench.now += Duration::from_secs(2);
        let Some(mut plan) = self.bench.plans().pop() else { return false };
        let request = plan.request(if self.broker.by_id { 13 } else { 12 });
        self.sent.push(request.clone());
        let lost = || Err(Error::new(ErrorKind::Disconnected, "test"));
        let answer = match fate {
            Fate::Answered => Ok(self.broker.serve(&request)),
            Fate::LostOnTheWay => lost(),
            Fate::AnswerLost => Ok(self.broker.serve(&request)).and_then(|_| lost()),
        };
        self.bench.now += WAIT;
        self.bench.cursors.digest_fetch(&plan, answer, self.bench.now, &mut self.bench.rng);
        true
    }

    /// Everything that is there is handed out, each record once, in order.
    fn read(&mut self) {
        while let Some(next) = self.bench.cursors.next_batch(self.bench.now) {
            let FetchedBatch { partition, batch, from, .. } = next.unwrap();
            let expected = self.expected.get_mut(&partition.partition).unwrap();
            for record in batch.records().filter(|record| record.offset() >= from) {
                assert_eq!(record.offset(), *expected, "of {partition}");
                *expected += 1;
            }
        }
    }

    fn told(&self) -> usize {
        self.sent.last().unwrap().topics.iter().map(|topic| topic.partitions.len()).sum()
    }
}

#[test]
fn idle_partitions_are_named_once_and_what_moves_each_time() {
    let mut world = World::new(2_000, true);
    world.fetch(Fate::Answered);
    assert_eq!(world.told(), 2_000);
    for _ in 0..5 {
        world.fetch(Fate::Answered);
        assert_eq!(world.told(), 0);
        assert_eq!(world.bench.cursors.lag(&orders(1_999)).unwrap(), Some(0), "what was told stays");
    }
    world.broker.ends.insert(17, 3);
    world.fetch(Fate::Answered);
    world.read();
    assert_eq!(world.expected[&17], 3);
    world.fetch(Fate::Answered);
    assert_eq!(world.told(), 1, "its offset is another one now");
    world.fetch(Fate::Answered);
    assert_eq!(world.told(), 0);
}

#[test]
fn a_broker_that_forgot_the_session_is_told_everything_once_and_nobody_rests() {
    for is_other_epoch in [false, true] {
        let mut world = World::new(3, true);
        world.fetch(Fate::Answered);
        match &mut world.broker.session {
            Some(session) if is_other_epoch => session.epoch += 1,
            session => *session = None,
        }
        world.broker.ends.insert(2, 5);
        world.fetch(Fate::Answered);
        let refused = world.sent.len();
        // Nothing rests: the next one goes at once.
        let plan = world.bench.plans();
        assert_eq!(plan.len(), 1);
        world.fetch(Fate::Answered);
        assert_eq!((world.sent.len() - refused, world.told()), (1, 3));
        world.read();
        assert_eq!(world.expected[&2], 5);
        world.fetch(Fate::Answered);
        assert_eq!(world.told(), 1, "a session again");
    }
}

#[test]
fn a_broker_that_refuses_each_new_session_is_asked_with_pauses() {
    let mut bench = Bench::at(limits(), 0);
    let mut requests = 0;
    for _ in 0..10_000 {
        for plan in bench.plans() {
            requests += 1;
            let error_code = ErrorCode::INVALID_FETCH_SESSION_EPOCH;
            let refused = FetchResponse { error_code, ..Default::default() };
            bench.cursors.digest_fetch(&plan, Ok(refused), bench.now, &mut bench.rng);
        }
        bench.now += Duration::from_millis(1);
    }
    assert!((8..=30).contains(&requests), "{requests} requests in ten seconds");
}

#[test]
fn a_broker_without_sessions_is_told_everything_each_time() {
    let mut bench = Bench::led(limits(), &[1, 1]);
    (0..2).for_each(|index| bench.cursors.assign(orders(index), Start::Offset(0)));
    for version in [6, 12, 6] {
        let mut plan = bench.plan();
        let request = plan.request(version);
        assert_eq!((request.session_epoch, request.topics[0].partitions.len()), (0, 2));
        let set = |partition_index| FetchPartitionResponse { partition_index, ..found(Bytes::new()) };
        bench.now += WAIT;
        bench.answer(&plan, vec![set(0), set(1)]);
    }
}

#[test]
fn whatever_is_paused_moved_taken_away_or_lost_each_record_comes_once() {
    for seed in 0..400 {
        let mut world = World::new(5, seed % 2 == 0);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut assigned: BTreeSet<i32> = (0..5).collect();
        for _ in 0..200 {
            let index = rng.i32(0..5);
            let partition = orders(index);
            let end = world.broker.ends.get(&index).copied().unwrap_or(0);
            let is_assigned = assigned.contains(&index);
            match rng.u32(0..16) {
                0..=3 => drop(world.broker.ends.insert(index, end + rng.i64(1..4))),
                4 if is_assigned => world.bench.cursors.pause(&partition).unwrap(),
                5 if is_assigned => world.bench.cursors.resume(&partition).unwrap(),
                6 if is_assigned => {
                    let to = rng.i64(0..=end);
                    world.bench.cursors.seek(&partition, Start::Offset(to)).unwrap();
                    world.expected.insert(index, to);
                }
                7 if is_assigned => {
                    world.bench.cursors.unassign(&partition);
                    assigned.remove(&index);
                }
                8 if !is_assigned => {
                    world.bench.cursors.assign(partition, Start::Offset(world.expected[&index]));
                    assigned.insert(index);
                }
                9 => world.broker.session = None,
                10 => drop(world.fetch(Fate::LostOnTheWay)),
                11 => drop(world.fetch(Fate::AnswerLost)),
                12 => world.read(),
                _ => drop(world.fetch(Fate::Answered)),
            }
        }
        for index in &assigned {
            world.bench.cursors.resume(&orders(*index)).unwrap();
        }
        for _ in 0..6 {
            world.fetch(Fate::Answered);
            world.read();
        }
        let ends = |index: &i32| world.broker.ends.get(index).copied().unwrap_or(0);
        for index in &assigned {
            assert_eq!(world.expected[index], ends(index), "of {index} with seed {seed}");
            assert_eq!(
                world.bench.cursors.lag(&orders(*index)).unwrap(),
                Some(0),
                "of {index} with seed {seed}"
            );
        }
        if assigned.is_empty() {
            continue;
        }
        let session = world.broker.session.as_ref().unwrap();
        assert_eq!(session.partitions.keys().copied().collect::<BTreeSet<_>>(), assigned, "with seed {seed}");
        assert_eq!(world.told(), 0, "with seed {seed}");
    }
}
