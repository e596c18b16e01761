//! Groups of the protocol of KIP-848: who is out when, what changes of topics do, and that no partition ever has two owners.

use super::super::{Answers, GroupSettings};
use super::*;
use crate::broker::topic::{Partition, Topic};
use crate::broker::topic_config::TopicConfig;
use crate::engine::connection::Spares;
use crate::messages::{BrokerId, BrokerIds};

const SESSION: u64 = 45;

/// One group, the topics of a cluster, and a clock.
struct Bench {
    group: ConsumerGroup,
    topics: Topics,
    settings: GroupSettings,
    start: Instant,
    now: Instant,
    answers: Answers,
    rng: fastrand::Rng,
}

impl Bench {
    fn new(topics: &[(&str, usize)]) -> Bench {
        let start = crate::task::now();
        let mut bench = Bench {
            group: ConsumerGroup::default(),
            topics: Topics::default(),
            settings: GroupSettings::default(),
            start,
            now: start,
            answers: Answers::default(),
            rng: fastrand::Rng::with_seed(1),
        };
        topics.iter().for_each(|(name, partitions)| bench.create(name, *partitions));
        bench
    }

    fn create(&mut self, name: &str, partitions: usize) {
        let replicas = BrokerIds::from([BrokerId(1)]);
        let partition = || Partition::new(replicas.clone(), replicas.clone(), Spares::default());
        let partitions = std::iter::repeat_with(partition).take(partitions).collect();
        self.topics
            .insert(name.into(), Topic { id: id_of(name), config: TopicConfig::default(), partitions });
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut ConsumerGroup, &Topics, &mut Turn<'_>) -> T) -> T {
        let Bench { group, topics, settings, now, answers, rng, .. } = self;
        let mut turn = Turn { now: *now, settings, answers, rng };
        group.advance(&mut turn);
        work(group, topics, &mut turn)
    }

    fn at(&mut self, second: u64) -> &mut Bench {
        self.now = self.start + Duration::from_secs(second);
        self.with(|_, _, _| {});
        self
    }

    fn say(&mut self, beat: Beat) -> Result<Heard, ErrorCode> {
        self.with(|group, topics, turn| match beat.epoch.0 {
            ..0 => group.leave(&beat),
            _ => group.heartbeat(beat, topics, turn),
        })
        .map_err(|refused| refused.code)
    }

    fn join(&mut self, id: &str, topics: &[&str]) -> Heard {
        self.say(joining(id, topics)).unwrap()
    }

    /// A heartbeat without news, with what it owns.
    fn beat(&mut self, id: &str, epoch: i32, owned: &Partitions) -> Result<Heard, ErrorCode> {
        let owned = Some(owned.clone());
        self.say(Beat { member_id: id.into(), epoch: MemberEpoch(epoch), owned, ..Beat::default() })
    }
}

fn id_of(topic: &str) -> Uuid {
    let mut bytes = [0; 16];
    topic.bytes().zip(&mut bytes).for_each(|(from, to)| *to = from);
    Uuid::from_bytes(bytes)
}

fn joining(id: &str, topics: &[&str]) -> Beat {
    Beat {
        member_id: id.into(),
        topics: Some(topics.iter().map(|topic| Text::from(*topic)).collect()),
        owned: Some(Partitions::new()),
        rebalance_timeout: Some(Duration::from_secs(20)),
        ..Beat::default()
    }
}

fn of(topic: &str, partitions: impl IntoIterator<Item = i32>) -> Partitions {
    Partitions::from([(id_of(topic), partitions.into_iter().collect())])
}

#[test]
fn a_silent_member_is_out_after_its_session() {
    let mut bench = Bench::new(&[("t", 2)]);
    let a = bench.join("a", &["t"]);
    assert_eq!(a.assignment, Some(of("t", 0..2)));
    bench.at(10).join("b", &["t"]);
    assert_eq!(bench.at(SESSION - 1).group.members.len(), 2);
    assert_eq!(bench.at(SESSION).group.members.len(), 1);
    assert_eq!(bench.beat("a", 2, &of("t", 0..2)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    let b = bench.beat("b", 3, &Partitions::new()).unwrap();
    assert_eq!((b.epoch.0, b.assignment), (4, Some(of("t", 0..2))));
}

#[test]
fn who_does_not_give_back_in_time_is_out_though_it_is_not_silent() {
    let mut bench = Bench::new(&[("t", 2)]);
    bench.join("a", &["t"]);
    bench.join("b", &["t"]);
    for second in (0..=15).step_by(5) {
        let a = bench.at(second).beat("a", 2, &of("t", 0..2)).unwrap();
        assert_eq!(a.epoch.0, 2);
    }
    assert_eq!(bench.at(19).group.members.len(), 2);
    assert_eq!(bench.at(20).group.members.len(), 1, "it had 20 s since it was told");
    assert_eq!(bench.beat("a", 2, &of("t", [0])), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn topics_that_come_and_go_make_another_assignment() {
    let mut bench = Bench::new(&[("t", 1)]);
    let a = bench.join("a", &["t", "later"]);
    assert_eq!(a.assignment, Some(of("t", [0])));
    bench.create("other", 3);
    assert_eq!(bench.beat("a", 2, &of("t", [0])).unwrap().epoch.0, 2, "nobody wants that");
    bench.create("later", 2);
    let both: Partitions = [of("t", [0]), of("later", 0..2)].into_iter().flatten().collect();
    let a = bench.beat("a", 2, &of("t", [0])).unwrap();
    assert_eq!((a.epoch.0, a.assignment), (3, Some(both.clone())));
    bench.topics.remove(b"t");
    let a = bench.beat("a", 3, &both).unwrap();
    assert_eq!((a.epoch.0, a.assignment), (3, Some(of("later", 0..2))));
    assert_eq!(bench.beat("a", 3, &of("later", 0..2)).unwrap().epoch.0, 4);
}

#[test]
fn an_assignment_stands_for_its_interval() {
    let mut bench = Bench::new(&[("t", 2)]);
    bench.settings.consumer_assignment_interval = Duration::from_secs(3);
    bench.join("a", &["t"]);
    let b = bench.at(1).join("b", &["t"]);
    assert_eq!((b.epoch.0, b.assignment), (2, Some(Partitions::new())), "of the assignment there is");
    assert_eq!(bench.group.state(), State::Assigning);
    assert_eq!(bench.at(2).beat("a", 2, &of("t", 0..2)).unwrap().assignment, None);
    assert_eq!(bench.at(3).beat("a", 2, &of("t", 0..2)).unwrap().assignment.map(|own| own.len()), Some(1));
}

#[test]
fn a_topic_that_a_member_wants_no_more_is_taken_back_at_once() {
    let mut bench = Bench::new(&[("t", 1), ("u", 1)]);
    bench.settings.consumer_assignment_interval = Duration::from_secs(3);
    let both: Partitions = [of("t", [0]), of("u", [0])].into_iter().flatten().collect();
    assert_eq!(bench.join("a", &["t", "u"]).assignment, Some(both.clone()));
    let joining_at = |epoch, topics: &[&str]| Beat { epoch: MemberEpoch(epoch), ..joining("a", topics) };
    let full = |owned: &Partitions| Beat { owned: Some(owned.clone()), ..joining_at(2, &["t"]) };
    // There is nothing to be given back when it wants more.
    bench.say(Beat { owned: None, ..joining_at(2, &["t", "u", "v"]) }).unwrap();
    assert!(bench.group.members.values().all(|member| member.is_reconciled_to(2)));
    let told = bench.at(1).say(full(&both)).unwrap();
    assert_eq!((told.epoch.0, told.assignment), (2, Some(of("t", [0]))), "though the assignment stands");
    assert_eq!(bench.group.members.values().next().unwrap().holds().count(), 2, "it has not given it back");
    bench.say(full(&of("t", [0]))).unwrap();
    assert_eq!(bench.group.members.values().next().unwrap().holds().count(), 1);
}

#[test]
fn another_coordinator_gives_everybody_as_long_as_before() {
    let mut bench = Bench::new(&[("t", 2)]);
    bench.join("a", &["t"]);
    bench.now = bench.start + Duration::from_secs(SESSION + 15);
    let Bench { group, settings, now, answers, rng, .. } = &mut bench;
    group.relocate(&mut Turn { now: *now, settings, answers, rng });
    assert_eq!(bench.at(SESSION + 15 + SESSION - 1).group.members.len(), 1);
    assert_eq!(bench.at(SESSION + 15 + SESSION).group.members.len(), 0);
}

#[test]
fn the_favourite_assignor_is_that_of_most() {
    for (wanted, expected) in [
        ([None, None, None], Assignor::Uniform),
        ([Some(Assignor::Range), None, None], Assignor::Range),
        ([Some(Assignor::Range), Some(Assignor::Uniform), None], Assignor::Uniform),
        ([Some(Assignor::Range), Some(Assignor::Uniform), Some(Assignor::Range)], Assignor::Range),
    ] {
        let mut bench = Bench::new(&[("t", 3)]);
        for (id, assignor) in ["a", "b", "c"].iter().zip(wanted) {
            bench.say(Beat { assignor, ..joining(id, &["t"]) }).unwrap();
        }
        assert_eq!(bench.group.assignor(), expected, "{wanted:?}");
    }
}

fn as_instance(id: &str, instance: &str) -> Beat {
    Beat { instance_id: Some(instance.into()), ..joining(id, &["t"]) }
}

#[test]
fn a_group_instance_id_is_free_when_its_member_has_another_one_or_is_gone() {
    let mut bench = Bench::new(&[("t", 2)]);
    bench.join("a", &["t"]);
    bench.say(as_instance("a", "one")).unwrap();
    bench.say(as_instance("a", "two")).unwrap();
    assert_eq!(bench.say(as_instance("a", "two")), Err(ErrorCode::UNRELEASED_INSTANCE_ID), "as Kafka");
    assert_eq!(bench.group.instances.keys().collect::<Vec<_>>(), ["two"]);
    assert_eq!(bench.group.members.values().next().unwrap().instance_id.as_deref(), Some("two"));
    bench.say(Beat { epoch: MemberEpoch::LEAVE, ..as_instance("a", "two") }).unwrap();
    assert!(bench.group.instances.is_empty());
    bench.say(as_instance("b", "two")).unwrap();
    bench.say(as_instance("c", "one")).unwrap();
}

#[test]
fn a_member_that_takes_the_place_of_a_static_one_is_not_who_it_was_any_more() {
    let mut bench = Bench::new(&[("t", 2)]);
    bench.say(as_instance("a", "one")).unwrap();
    bench.say(as_instance("b", "two")).unwrap();
    bench.say(Beat { epoch: MemberEpoch::LEAVE_STATIC, ..as_instance("a", "one") }).unwrap();
    bench.say(as_instance("b", "one")).unwrap();
    let instances: Vec<(&str, &str)> =
        bench.group.instances.iter().map(|(instance, id)| (instance.as_str(), id.as_str())).collect();
    assert_eq!((instances, bench.group.members.len()), (vec![("one", "b")], 1));
    let b = bench.beat("b", bench.group.assignment_epoch(), &Partitions::new()).unwrap();
    assert_eq!(b.epoch.0, bench.group.epoch());
    assert_eq!(bench.group.members.values().next().unwrap().target, of("t", 0..2), "nobody else is left");
}

/// A client that behaves.
#[derive(Debug, Default)]
struct Client {
    epoch: i32,
    owned: Partitions,
    /// What it was told last and has not acted upon.
    told: Option<Partitions>,
    /// Whether it does not know if its last heartbeat was heard.
    in_doubt: bool,
}

impl Client {
    /// Sends a heartbeat, whose answer may be lost.
    fn beat(&mut self, id: &str, bench: &mut Bench, topics: &[&str], is_lost: bool) {
        let full = joining(id, topics);
        let beat = match self.epoch {
            0 => full,
            epoch if self.in_doubt => {
                Beat { epoch: MemberEpoch(epoch), owned: Some(self.owned.clone()), ..full }
            }
            epoch => Beat {
                member_id: id.into(),
                epoch: MemberEpoch(epoch),
                // Until it has acted upon what it was told it says nothing of it.
                owned: self.told.is_none().then(|| self.owned.clone()),
                ..Beat::default()
            },
        };
        match bench.say(beat) {
            // It will be told everything again; what it was told before may not hold any more.
            _ if is_lost => (self.in_doubt, self.told) = (true, None),
            Ok(heard) => {
                (self.epoch, self.in_doubt) = (heard.epoch.0, false);
                self.told = heard.assignment.or(self.told.take());
            }
            Err(_) => *self = Client::default(),
        }
    }

    /// Acts upon what it was told.
    fn act(&mut self) {
        self.owned = self.told.take().unwrap_or_else(|| std::mem::take(&mut self.owned));
    }
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Members come, go, die, are slow, miss answers, and change their minds; coordinators change: no partition ever has two owners, and in the end each has one.
#[test]
fn no_partition_ever_has_two_owners() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let topics: Vec<(&str, usize)> = vec![("t", rng.usize(1..8)), ("u", rng.usize(1..8))];
        let mut bench = Bench::new(&topics);
        bench.settings.consumer_assignment_interval = Duration::from_secs(rng.u64(0..4));
        let mut wanted: Vec<&[&str]> =
            NAMES.iter().map(|_| if rng.bool() { &["t"][..] } else { &["t", "u"][..] }).collect();
        let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
        let mut seconds = 0;
        for _ in 0..200 {
            seconds += rng.u64(0..4);
            bench.at(seconds);
            let who = rng.usize(..NAMES.len());
            let client = clients.entry(who).or_default();
            match rng.u32(..20) {
                // The process ends, and nobody tells; or it says goodbye.
                0 => drop(clients.remove(&who)),
                1 if client.epoch > 0 => {
                    let beat = Beat { epoch: MemberEpoch::LEAVE, ..joining(NAMES[who], wanted[who]) };
                    let _ = bench.say(beat);
                    clients.remove(&who);
                }
                // It subscribes to something else, which a full heartbeat tells.
                2 => {
                    wanted[who] = [&["t"][..], &["u"], &["t", "u"], &[]][rng.usize(..4)];
                    (client.in_doubt, client.told) = (client.epoch > 0, None);
                }
                3 if seed % 3 == 0 => {
                    let Bench { group, settings, now, answers, rng, .. } = &mut bench;
                    group.relocate(&mut Turn { now: *now, settings, answers, rng });
                }
                3 => {}
                4..10 => client.act(),
                at => client.beat(NAMES[who], &mut bench, wanted[who], at == 10),
            }
            assert_one_owner(&bench, &clients, seed);
        }
        settle(&mut bench, &mut clients, &wanted, seconds, seed);
    }
}

fn assert_one_owner(bench: &Bench, clients: &BTreeMap<usize, Client>, seed: u64) {
    let mut owners = BTreeMap::new();
    // Who is out does not know before it asks.
    let is_in = |(who, _): &(&usize, &Client)| bench.group.members.contains_key(NAMES[**who].as_bytes());
    for (who, client) in clients.iter().filter(is_in) {
        for (topic, partitions) in &client.owned {
            for partition in partitions {
                let other = owners.insert((*topic, *partition), who);
                assert_eq!(other, None, "SEED={seed}: {partition} has two owners");
            }
        }
    }
}

/// Everybody heartbeats for long enough; then each partition that somebody wants has its owner.
fn settle(
    bench: &mut Bench,
    clients: &mut BTreeMap<usize, Client>,
    wanted: &[&[&str]],
    from: u64,
    seed: u64,
) {
    clients.entry(0).or_default();
    for round in 0..60 {
        bench.at(from + round * 2);
        for (who, client) in clients.iter_mut() {
            client.beat(NAMES[*who], bench, wanted[*who], false);
            client.act();
        }
        assert_one_owner(bench, clients, seed);
    }
    let owned: usize = clients.values().flat_map(|client| client.owned.values()).map(BTreeSet::len).sum();
    let subscribed = |topic: &str| clients.keys().any(|who| wanted[*who].contains(&topic));
    let of = |topic: &str| bench.topics.get(topic.as_bytes()).map_or(0, |topic| topic.partitions.len());
    let all: usize = ["t", "u"].into_iter().filter(|topic| subscribed(topic)).map(of).sum();
    assert_eq!((owned, bench.group.state()), (all, State::Stable), "SEED={seed}");
}
