//! What a user is told who may not do something, here and by a real Kafka with ACLs that say the same: the error codes of all
//! answers.

mod twice;

use crate::batch;
use crate::cases::{Topic, transactions::settled};
use crate::denials::login;
use crate::peer::Peer;
use crate::real::{kafka::unique, process::run};
use ottla::broker::{Broker, Denial, Operation};
use ottla::messages::*;
use ottla::wire::{Text, Uuid};
use std::path::Path;
use std::time::Duration;

/// What may not be done to the topic, the group or the transactional id that has its name.
const OPERATIONS: [(Operation, &str); 7] = [
    (Operation::Read, "READ"),
    (Operation::Write, "WRITE"),
    (Operation::Describe, "DESCRIBE"),
    (Operation::Delete, "DELETE"),
    (Operation::Alter, "ALTER"),
    (Operation::DescribeConfigs, "DESCRIBE_CONFIGS"),
    (Operation::AlterConfigs, "ALTER_CONFIGS"),
];

/// A question, and the error codes of its answer.
type Told = (String, Vec<String>);

/// A user who asks for what has these names, with the ids of the topics.
struct Asker {
    peer: Peer,
    base: String,
    ids: Vec<(String, Uuid)>,
    told: Vec<Told>,
}

impl Asker {
    fn new(address: &str, user: (&str, &str), base: &str, ids: Vec<(String, Uuid)>) -> Asker {
        let mut peer = Peer::connect(address);
        login(&mut peer, user.0, user.1);
        Asker { peer, base: base.to_owned(), ids, told: Vec::new() }
    }

    fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.base)
    }

    fn topic(&self, of: &str) -> Topic {
        let name = self.name(of);
        let id = self.ids.iter().find(|(own, _)| *own == name).map_or(Uuid::ZERO, |(_, id)| *id);
        Topic { name: name.as_str().into(), id }
    }

    /// Asks, and keeps the codes of the answer.
    fn ask<R: Request>(&mut self, what: &str, version: i16, request: R) {
        let answer = match self.peer.try_ask(version, request) {
            Ok(answer) => codes(&format!("{answer:?}")),
            Err(error) => vec![error.kind().to_string()],
        };
        self.told.push((format!("{} {version} {what}", R::API.name()), answer));
    }

    fn of_topics(&mut self) {
        let [ok, read, write, describe, delete, alter] =
            ["OK", "READ", "WRITE", "DESCRIBE", "DELETE", "ALTER"].map(|of| self.topic(of));
        let gone = Topic { name: self.name("gone").as_str().into(), id: Uuid::from_bytes([7; 16]) };
        for version in [9, 12, 13] {
            let mut both = write.produce(batch::of(1));
            both.topic_data.extend(ok.produce(batch::of(1)).topic_data);
            both.topic_data.extend(gone.produce(batch::of(1)).topic_data);
            self.ask("not to one", version, both);
            self.ask("of which nothing is to be known", version, describe.produce(batch::of(1)));
        }
        for version in [4, 12, 13, 17] {
            let mut both = read.fetch(0);
            both.topics.extend(ok.fetch(0).topics);
            both.topics.extend(gone.fetch(0).topics);
            both.topics.extend(describe.fetch(0).topics);
            self.ask("not of one", version, both);
        }
        for version in [4, 9, 12] {
            let topics = [&describe, &ok, &read, &gone].map(|topic| topic.name.clone());
            let all = MetadataRequest::topics(topics);
            self.ask("by name", version, MetadataRequest { allow_auto_topic_creation: false, ..all });
        }
        let by_id = |topic: &Topic| MetadataRequestTopic { topic_id: topic.id, name: None };
        let topics = Some([&describe, &ok, &gone].map(by_id).to_vec());
        self.ask(
            "by id",
            12,
            MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() },
        );
        let cursor = |topic: &Topic| TopicRequest { name: topic.name.clone() };
        let topics = [&describe, &ok, &gone].map(cursor).to_vec();
        self.ask(
            "",
            0,
            DescribeTopicPartitionsRequest { topics, response_partition_limit: 100, ..Default::default() },
        );
        for version in [1, 7] {
            let listed = |topic: &Topic| ListOffsetsTopic {
                name: topic.name.clone(),
                partitions: vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }],
            };
            let topics = [&describe, &ok, &gone].map(listed).to_vec();
            self.ask(
                "",
                version,
                ListOffsetsRequest { replica_id: BrokerId::NONE, topics, ..Default::default() },
            );
        }
        let epoch = |topic: &Topic| OffsetForLeaderEpochTopic {
            topic: topic.name.clone(),
            partitions: vec![OffsetForLeaderEpochPartition::default()],
        };
        let topics = [&describe, &ok, &gone].map(epoch).to_vec();
        self.ask("", 4, OffsetForLeaderEpochRequest { topics, ..Default::default() });
        let partitions = || vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }];
        let of = |topic: &Topic| DeleteRecordsTopic { name: topic.name.clone(), partitions: partitions() };
        let topics = [&delete, &ok, &gone, &describe].map(of).to_vec();
        self.ask("", 2, DeleteRecordsRequest { topics, timeout_ms: 5_000 });
        let grow =
            |topic: &Topic| CreatePartitionsTopic { name: topic.name.clone(), count: 1, assignments: None };
        let topics = [&alter, &ok, &gone, &describe].map(grow).to_vec();
        self.ask("", 3, CreatePartitionsRequest { topics, timeout_ms: 5_000, ..Default::default() });
        self.of_settings();
        let topic_names = [&delete, &describe].map(|topic| topic.name.clone()).to_vec();
        self.ask("by name", 5, DeleteTopicsRequest { topic_names, timeout_ms: 5_000, ..Default::default() });
        let state = |topic: &Topic| DeleteTopicState { name: None, topic_id: topic.id };
        let topics = [&delete, &gone].map(state).to_vec();
        self.ask("by id", 6, DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() });
    }

    fn of_settings(&mut self) {
        for of in ["DESCRIBE_CONFIGS", "DESCRIBE", "OK", "gone"] {
            let resource = DescribeConfigsResource {
                resource_type: ConfigResourceType::TOPIC,
                resource_name: self.name(of).as_str().into(),
                configuration_keys: Some(vec![]),
            };
            self.ask(of, 4, DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
        }
        for of in ["ALTER_CONFIGS", "OK", "gone"] {
            let resource = AlterConfigsResource {
                resource_type: ConfigResourceType::TOPIC,
                resource_name: self.name(of).as_str().into(),
                configs: vec![],
            };
            self.ask(
                of,
                1,
                IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: true },
            );
        }
    }

    fn of_transactions(&mut self) {
        let [ok, describe, write] = ["OK", "DESCRIBE", "WRITE"].map(|of| self.name(of));
        let (transactional_id, transaction_timeout_ms) = (Some(write.as_str().into()), 10_000);
        let request =
            InitProducerIdRequest { transactional_id, transaction_timeout_ms, ..Default::default() };
        self.ask("", 4, request);
        let (key, key_type) = (describe.as_str().into(), CoordinatorType::TRANSACTION);
        let find = FindCoordinatorRequest { key, key_type, ..Default::default() };
        self.ask("of a transactional id", 3, find);
        let topics = ["WRITE", "OK"].map(|of| self.topic(of).name);
        for id in [&write, &ok] {
            let topics =
                topics.clone().map(|name| AddPartitionsToTxnTopic { name, partitions: vec![0] }).to_vec();
            let request = AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: id.as_str().into(),
                v3_and_below_topics: topics,
                ..Default::default()
            };
            self.ask(&format!("of {id}").replace(&self.base, ""), 3, request);
        }
        for (id, group) in [(&write, "OK"), (&ok, "READ")] {
            let (transactional_id, group_id) = (id.as_str().into(), self.name(group).as_str().into());
            let request = AddOffsetsToTxnRequest { transactional_id, group_id, ..Default::default() };
            self.ask(group, 3, request);
        }
        self.ask("", 3, EndTxnRequest { transactional_id: write.as_str().into(), ..Default::default() });
        for (id, group) in [(&write, "OK"), (&ok, "READ"), (&ok, "OK")] {
            let partitions = vec![TxnOffsetCommitPartition::default()];
            let topic =
                |of| TxnOffsetCommitTopic { name: self.topic(of).name, partitions: partitions.clone() };
            let request = TxnOffsetCommitRequest {
                transactional_id: id.as_str().into(),
                group_id: self.name(group).as_str().into(),
                topics: ["READ", "OK", "gone"].map(topic).to_vec(),
                ..Default::default()
            };
            self.ask(group, 3, request);
        }
        let mut produce = self.topic("OK").produce(batch::transactional(77, 0, 0, 1));
        produce.transactional_id = Some(write.as_str().into());
        self.ask("of a transactional id", 9, produce);
    }

    fn group(&self, of: &str) -> Text {
        self.name(of).as_str().into()
    }

    fn of_members(&mut self) {
        for (of, version) in [("DESCRIBE", 3), ("DESCRIBE", 4), ("OK", 4)] {
            let find = FindCoordinatorRequest::one(CoordinatorType::GROUP, self.group(of), version);
            self.ask(of, version, find);
        }
        let read = self.group("READ");
        let protocols = vec![JoinGroupProtocol { name: "range".into(), ..Default::default() }];
        let protocol_type = "consumer".into();
        let (group_id, session_timeout_ms) = (self.group("READ"), 10_000);
        self.ask(
            "",
            5,
            JoinGroupRequest { group_id, session_timeout_ms, protocol_type, protocols, ..Default::default() },
        );
        self.ask("", 4, SyncGroupRequest { group_id: self.group("READ"), ..Default::default() });
        self.ask("", 4, HeartbeatRequest { group_id: self.group("READ"), ..Default::default() });
        let members = vec![LeavingMember { member_id: "m".into(), ..Default::default() }];
        self.ask("", 4, LeaveGroupRequest { group_id: read, members, ..Default::default() });
    }

    fn of_offsets(&mut self) {
        for (of, version) in [("READ", 8), ("OK", 8), ("OK", 10)] {
            let topic = |of| OffsetCommitTopic {
                name: self.topic(of).name,
                topic_id: self.topic(of).id,
                partitions: vec![OffsetCommitPartition::default()],
            };
            let topics = ["READ", "OK"].map(topic).to_vec();
            self.ask(
                of,
                version,
                OffsetCommitRequest { group_id: self.group(of), topics, ..Default::default() },
            );
        }
        for of in ["DESCRIBE", "OK"] {
            let topic = |of| OffsetFetchNamedTopic { name: self.topic(of).name, partition_indexes: vec![0] };
            let topics = Some(["DESCRIBE", "OK", "READ"].map(topic).to_vec());
            self.ask(of, 7, OffsetFetchRequest { group_id: self.group(of), topics, ..Default::default() });
        }
        for version in [8, 10] {
            let topic = |of| {
                let Topic { name, id: topic_id } = self.topic(of);
                OffsetFetchTopic { name, topic_id, partition_indexes: vec![0] }
            };
            let topics = Some(["DESCRIBE", "OK"].map(topic).to_vec());
            let of = |name: &str| OffsetFetchGroup {
                group_id: self.group(name),
                topics: topics.clone(),
                ..Default::default()
            };
            for groups in ["DESCRIBE", "OK"].map(|name| vec![of(name)]) {
                self.ask("by groups", version, OffsetFetchRequest { groups, ..Default::default() });
            }
        }
    }

    fn of_groups(&mut self) {
        self.of_members();
        self.of_offsets();
        for of in ["DESCRIBE", "OK", "DELETE"] {
            let groups = vec![self.group(of)];
            self.ask(of, 5, DescribeGroupsRequest { groups: groups.clone(), ..Default::default() });
            self.ask(of, 0, ConsumerGroupDescribeRequest { group_ids: groups, ..Default::default() });
        }
        let partitions = vec![OffsetDeletePartition { partition_index: 0 }];
        for of in ["DELETE", "OK"] {
            let topic = |of| OffsetDeleteTopic { name: self.topic(of).name, partitions: partitions.clone() };
            let topics = ["READ", "OK"].map(topic).to_vec();
            self.ask(of, 0, OffsetDeleteRequest { group_id: self.group(of), topics });
        }
        for (of, topic) in [("READ", "OK"), ("MODERN", "DESCRIBE")] {
            let names = Some(vec![self.topic("OK").name, self.topic(topic).name]);
            let request = ConsumerGroupHeartbeatRequest {
                group_id: self.group(of),
                member_id: "m".into(),
                rebalance_timeout_ms: 10_000,
                subscribed_topic_names: names,
                topic_partitions: Some(vec![]),
                ..Default::default()
            };
            self.ask(of, 1, request);
        }
        for of in ["DELETE", "OK", "READ"] {
            let groups_names = vec![self.group(of)];
            self.ask(of, 2, DeleteGroupsRequest { groups_names });
        }
    }

    fn all(mut self) -> Asker {
        self.of_transactions();
        self.of_groups();
        self.of_two();
        self.of_topics();
        self
    }
}

/// The error codes in an answer; Kafka puts what it refuses before or behind the rest, as it happens.
fn codes(answer: &str) -> Vec<String> {
    let after = answer.split("error_code: ").skip(1);
    let mut codes: Vec<_> = after.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()).collect();
    codes.sort();
    codes
}

const TYPES: [&str; 3] = ["TOPIC", "GROUP", "TRANSACTIONAL_ID"];

fn topics() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(_, of)| *of).chain(["OK"])
}

/// What is never made, and may not be used in any way.
const NOWHERE: &str = "NOWHERE";

/// What the user is kept from once more when all else was asked.
const IN_THE_END: [&str; 2] = ["DESCRIBE CLUSTER kafka-cluster\n", "WRITE TOPIC *\n"];

/// Makes two groups that committed offsets, and one with a member that has a topic of which nothing is to be known.
fn make_groups(root: &mut Peer, base: &str) {
    for of in ["DESCRIBE", "OK"] {
        let partitions = vec![OffsetCommitPartition { committed_offset: 0, ..Default::default() }];
        let topics = vec![OffsetCommitTopic {
            name: format!("{base}-OK").as_str().into(),
            partitions,
            ..Default::default()
        }];
        let group_id: Text = format!("{base}-{of}").as_str().into();
        let commit = OffsetCommitRequest { group_id, topics, ..Default::default() };
        let code = |told: &OffsetCommitResponse| told.topics[0].partitions[0].error_code;
        settled(|| root.ask(8, commit.clone()), |told| code(told).is_none());
    }
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: format!("{base}-MEMBERS").as_str().into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![format!("{base}-DESCRIBE").as_str().into()]),
        topic_partitions: Some(vec![]),
        ..Default::default()
    };
    // Joins, then is there until it has the partition.
    settled(
        || {
            let told = root.ask(1, request.clone());
            request.member_epoch =
                if told.error_code.is_none() { told.member_epoch } else { request.member_epoch };
            told
        },
        |told| told.assignment.as_ref().is_some_and(|had| !had.topic_partitions.is_empty()),
    );
}

fn told_by_the_embedded(base: &str) -> Vec<Told> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut builder = Broker::builder().user("mallory", "m").user("root", "r").auto_create_topics(false);
    for (operation, of) in OPERATIONS {
        let name = format!("{base}-{of}");
        let denial = Denial::new(operation).user("mallory");
        builder = builder.deny(denial.clone().topic(&name));
        builder = builder.deny(denial.clone().group(&name)).deny(denial.clone().transactional_id(&name));
        builder = builder.deny(denial.topic(format!("{base}-{NOWHERE}")));
    }
    let create = Denial::new(Operation::Create).user("mallory").topic(format!("{base}-{NOWHERE}"));
    builder = builder.deny(create).deny(Denial::new(Operation::IdempotentWrite).user("mallory").cluster());
    let broker = runtime.block_on(builder.start()).unwrap();
    for of in topics() {
        broker.create_topic(&format!("{base}-{of}"), 1).unwrap();
    }
    let address = broker.bootstrap_servers();
    let mut root = Peer::connect(&address);
    login(&mut root, "root", "r");
    let ids = ids(&mut root, base);
    make_groups(&mut root, base);
    let mut asker = Asker::new(&address, ("mallory", "m"), base, ids).all();
    make_groups(&mut root, base);
    broker.deny(Denial::new(Operation::Describe).user("mallory").cluster());
    broker.deny(Denial::new(Operation::Write).user("mallory"));
    asker.of_the_cluster();
    asker.told
}

fn ids(peer: &mut Peer, base: &str) -> Vec<(String, Uuid)> {
    let names = topics().map(|of| format!("{base}-{of}").as_str().into());
    let told = peer.ask(12, MetadataRequest::topics(names));
    told.topics.into_iter().map(|topic| (topic.name.unwrap().to_string(), topic.topic_id)).collect()
}

#[test]
fn a_real_kafka_with_the_same_acls_answers_alike() {
    let base = unique("denied");
    let embedded = told_by_the_embedded(&base);
    let kafka = real_kafka!();
    if !kafka.fact("version").starts_with("4.3.") {
        return eprintln!("not compared with Kafka {}", kafka.fact("version"));
    }
    let first = |list: &str| list.split(',').next().unwrap().to_owned();
    let mut root = Peer::connect(&first(kafka.plaintext()));
    let new = topics().map(|of| CreatableTopic {
        name: format!("{base}-{of}").as_str().into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    });
    root.ask(7, CreateTopicsRequest { topics: new.collect(), timeout_ms: 30_000, ..Default::default() });
    let user = (kafka.fact("user_denied"), kafka.fact("password_denied"));
    // It makes the coordinators' topics when it is first asked.
    for kind in [CoordinatorType::GROUP, CoordinatorType::TRANSACTION] {
        let ask = || FindCoordinatorRequest { key: "any".into(), key_type: kind, ..Default::default() };
        settled(|| root.ask(3, ask()).error_code, |code| code.is_none());
    }
    let rules = OPERATIONS.iter().flat_map(|(_, of)| TYPES.map(|kind| (of, kind)));
    // Not every operation is one of every kind.
    let rules = rules.filter(|(of, kind)| match *kind {
        "GROUP" => ["READ", "DESCRIBE", "DELETE"].contains(*of),
        "TRANSACTIONAL_ID" => ["WRITE", "DESCRIBE"].contains(*of),
        _ => true,
    });
    let of_names = rules.map(|(of, kind)| format!("{of} {kind} {base}-{of}\n"));
    let of_nothing = OPERATIONS.iter().map(|(_, of)| *of).chain(["CREATE"]);
    let of_nothing = of_nothing.map(|of| format!("{of} TOPIC {base}-{NOWHERE}\n"));
    // Who may do it to the cluster need not be asked about topics.
    let of_cluster = ["CREATE", "DELETE", "CLUSTER_ACTION", "IDEMPOTENT_WRITE"];
    let of_cluster = of_cluster.map(|of| format!("{of} CLUSTER kafka-cluster\n"));
    let lines: Vec<String> = of_names.chain(of_nothing).chain(of_cluster).collect();
    let deny = |lines: &str| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/java/Deny.java");
        let mut java = kafka.java(source.to_str().unwrap(), &[kafka.plaintext(), user.0]);
        run(&mut java, lines.as_bytes(), Duration::from_secs(120)).success();
        // What the controller has taken the broker learns a moment later.
        std::thread::sleep(Duration::from_secs(2));
    };
    deny(&lines.concat());
    let ids = ids(&mut root, &base);
    make_groups(&mut root, &base);
    let mut asker = Asker::new(&first(kafka.sasl_plaintext()), user, &base, ids).all();
    make_groups(&mut root, &base);
    deny(&[lines.concat(), IN_THE_END.concat()].concat());
    asker.of_the_cluster();
    let real = asker.told;
    let different: Vec<String> = embedded
        .iter()
        .zip(&real)
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| format!("{}\n  here  {:?}\n  Kafka {:?}", ours.0, ours.1, theirs.1))
        .collect();
    assert!(different.is_empty(), "different on a real Kafka:\n{}", different.join("\n"));
}
