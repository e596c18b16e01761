//! Members against answers made by hand: no coordinator, no clock.

#![allow(clippy::disallowed_methods, reason = "a test begins at some time, whichever it is")]

mod classic;
mod commits;
mod modern;
mod storms;
mod together;

use super::*;
use crate::engine::view::Asked;
use crate::messages::{
    BrokerId, LeaderEpoch, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
};

/// A member, and what surrounds it.
struct Bench {
    member: Member,
    view: View,
    now: Instant,
    rng: fastrand::Rng,
}

fn terms() -> Terms {
    Terms {
        group: "billing".into(),
        instance: None,
        rack: None,
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_secs(3),
        rebalance_timeout: Duration::from_secs(300),
        backoff: Backoff::RETRY,
    }
}

impl Bench {
    /// A member in a cluster that has the topics `orders` and `sensors` with four partitions each.
    fn new(member: Member) -> Bench {
        let mut bench =
            Bench { member, view: View::default(), now: Instant::now(), rng: fastrand::Rng::with_seed(1) };
        bench.learn("orders", 4);
        bench.learn("sensors", 4);
        bench
    }

    /// The view gets to know of a topic.
    fn learn(&mut self, topic: &str, partitions: i32) {
        self.learn_as(topic, id_of(topic), partitions);
    }

    fn learn_as(&mut self, topic: &str, topic_id: Uuid, partitions: i32) {
        let partition = |index| MetadataPartition {
            partition_index: index,
            leader_id: BrokerId(1),
            leader_epoch: LeaderEpoch(5),
            ..Default::default()
        };
        let topic = MetadataTopic {
            name: Some(topic.into()),
            topic_id,
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        };
        self.apply(topic);
    }

    /// The view gets to know that a topic is not there.
    fn lack(&mut self, topic: &str, error_code: ErrorCode) {
        self.apply(MetadataTopic { name: Some(topic.into()), error_code, ..Default::default() });
    }

    fn apply(&mut self, topic: MetadataTopic) {
        let broker = MetadataBroker { node_id: BrokerId(1), host: "b".into(), port: 9092, rack: None };
        let answer = MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() };
        self.view.apply(answer, Asked::SomeTopics).unwrap();
    }

    fn subscribe(&mut self, topics: &[&str]) {
        let topics = topics.iter().copied().map(Text::from).collect();
        self.member.subscribe(Subscription { topics, regex: None });
    }

    fn next(&mut self) -> Step {
        self.member.next(&self.view, self.now)
    }

    fn answer(&mut self, answer: Answer) -> Effects {
        self.member.digest(answer, self.now, &mut self.rng)
    }

    fn done(&mut self) {
        self.member.done(self.now);
    }

    #[track_caller]
    fn assigned(&mut self, list: &str) {
        assert_eq!(self.next(), Step::Assign(partitions(list)));
        self.done();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets time pass until there is something to do.
    #[track_caller]
    fn wait(&mut self) -> Duration {
        let Step::Wait(Some(until)) = self.next() else { panic!("it does not wait for a time") };
        assert!(until > self.now, "it waits for what is past");
        let waited = until - self.now;
        self.now = until;
        waited
    }

    /// There is nothing to do until something happens.
    #[track_caller]
    fn rests(&mut self) {
        assert_eq!(self.next(), Step::Wait(None));
    }

    /// There is nothing to do yet.
    #[track_caller]
    fn rests_for_now(&mut self) {
        assert!(matches!(self.next(), Step::Wait(Some(until)) if until > self.now));
    }

    fn refuse_commit(&mut self, code: ErrorCode, committer: &Identity) -> Effects {
        self.member.refused(code, committer, self.now, &mut self.rng)
    }

    fn owned(&self) -> Vec<String> {
        self.member.owned().iter().map(ToString::to_string).collect()
    }
}

/// Each topic has an id that begins as its name does.
fn id_of(topic: &str) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(topic.bytes()) {
        *to = from;
    }
    Uuid::from_bytes(bytes)
}

/// Partitions out of `topic-0 topic-1`.
fn partitions(list: &str) -> Vec<TopicPartition> {
    let one = |name: &str| {
        let (topic, partition) = name.rsplit_once('-').unwrap();
        TopicPartition::new(topic, partition.parse().unwrap())
    };
    list.split_whitespace().map(one).collect()
}

fn code(code: ErrorCode) -> Error {
    Error::broker_code(code, "test")
}

fn lost() -> Error {
    Error::new(ErrorKind::Disconnected, "test")
}
