//! Questions about what is denied and wrong for another reason as well: the code tells which of the two is looked at first; and
//! questions about several groups, of which some are denied.

use super::Asker;
use crate::batch;
use ottla::messages::*;
use ottla::wire::{Text, Uuid};

impl Asker {
    /// What is denied is not there, or out of bounds, or not well formed.
    pub(super) fn of_two(&mut self) {
        self.of_two_with_records();
        self.of_two_with_topics();
        self.of_two_with_settings();
        self.of_two_with_transactions();
        self.of_two_with_groups();
        self.of_several_groups();
    }

    fn of_two_with_records(&mut self) {
        let [nowhere, write, read, ok] = ["NOWHERE", "WRITE", "READ", "OK"].map(|of| self.topic(of));
        for version in [9, 12] {
            self.ask("to a missing topic", version, nowhere.produce(batch::of(1)));
            self.ask("to a missing partition", version, write.produce_to(99, Some(batch::of(1))));
            self.ask("damaged", version, write.produce(batch::damaged(&batch::of(1), 60)));
            self.ask("of nothing", version, write.produce_to(0, None));
            let acks = ProduceRequest { acks: Acks(2), ..write.produce(batch::of(1)) };
            self.ask("with other acks", version, acks);
        }
        for topic in [&ok, &write] {
            let transactional_id = Some(self.name("WRITE").as_str().into());
            let plain = ProduceRequest { transactional_id, ..topic.produce(batch::of(1)) };
            self.ask("outside of its transaction", 9, plain);
            self.ask("of nobody's transaction", 9, topic.produce(batch::transactional(77, 0, 0, 1)));
        }
        let by_id = crate::cases::Topic { id: Uuid::from_bytes([9; 16]), ..nowhere.clone() };
        for (version, topic) in [(12, &nowhere), (13, &by_id)] {
            self.ask("of a missing topic", version, topic.fetch(0));
            self.ask("of a missing partition", version, read.fetch_of(99, 0));
            self.ask("out of range", version, read.fetch(1_000));
            let old = FetchRequest { session_id: 77, session_epoch: 3, ..read.fetch(0) };
            self.ask("in no session", version, old);
        }
        let describe = self.topic("DESCRIBE");
        for (topic, partition, timestamp) in [(&nowhere, 0, -1), (&describe, 99, -1), (&describe, 0, -77)] {
            let partitions =
                vec![ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() }];
            let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions }];
            let request = ListOffsetsRequest { replica_id: BrokerId::NONE, topics, ..Default::default() };
            self.ask(&format!("{partition} {timestamp}"), 7, request);
            let partitions = vec![OffsetForLeaderEpochPartition { partition, ..Default::default() }];
            let topics = vec![OffsetForLeaderEpochTopic { topic: topic.name.clone(), partitions }];
            self.ask(&partition.to_string(), 4, OffsetForLeaderEpochRequest { topics, ..Default::default() });
        }
        let delete = self.topic("DELETE");
        for (topic, partition_index, offset) in [(&nowhere, 0, 0), (&delete, 99, 0), (&delete, 0, 1_000)] {
            let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
            let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
            let what = format!("{partition_index} {offset}");
            self.ask(&what, 2, DeleteRecordsRequest { topics, timeout_ms: 5_000 });
        }
    }

    fn of_two_with_topics(&mut self) {
        let [nowhere, alter, ok] = ["NOWHERE", "ALTER", "OK"].map(|of| self.topic(of).name);
        for name in [nowhere.clone(), "no such:name".into()] {
            let named = MetadataRequest::topics([name.clone()]);
            self.ask(
                "that would be created",
                12,
                MetadataRequest { allow_auto_topic_creation: true, ..named },
            );
            let topics = vec![TopicRequest { name }];
            let (response_partition_limit, cursor) = (10, None);
            self.ask("", 0, DescribeTopicPartitionsRequest { topics, response_partition_limit, cursor });
        }
        let all = MetadataRequest::all_topics();
        let own = self.base.clone();
        self.ask_pairs("of all", 12, all, |told| {
            let named = told.topics.into_iter().map(|topic| (topic.name.unwrap(), topic.error_code));
            named.filter(|(name, _)| name.starts_with(&own)).collect()
        });
        let new = |name: &Text, num_partitions| CreatableTopic {
            name: name.clone(),
            num_partitions,
            replication_factor: 1,
            ..Default::default()
        };
        for topics in [
            vec![new(&nowhere, 1), new(&ok, 1)],
            vec![new(&nowhere, -7)],
            vec![new(&nowhere, 1), new(&nowhere, 1)],
        ] {
            let what = format!("{} {}", topics.len(), topics[0].num_partitions);
            self.ask(&what, 7, CreateTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() });
        }
        for (name, count) in [(&nowhere, 2), (&alter, 0), (&alter, -1)] {
            let topics = vec![CreatePartitionsTopic { name: name.clone(), count, assignments: None }];
            let what = count.to_string();
            self.ask(&what, 3, CreatePartitionsRequest { topics, timeout_ms: 5_000, ..Default::default() });
        }
        let twice = vec![CreatePartitionsTopic { name: alter, count: 2, assignments: None }; 2];
        let request = CreatePartitionsRequest { topics: twice, timeout_ms: 5_000, ..Default::default() };
        self.ask("twice", 3, request);
        for topic_names in [vec![nowhere.clone()], vec![self.topic("DELETE").name; 2]] {
            let what = format!("by name {}", topic_names.len());
            let request = DeleteTopicsRequest { topic_names, timeout_ms: 5_000, ..Default::default() };
            self.ask(&what, 5, request);
        }
        let both = DeleteTopicState { name: Some(nowhere), topic_id: self.topic("DELETE").id };
        for state in [both.clone(), DeleteTopicState { topic_id: Uuid::ZERO, ..both }] {
            let what = if state.topic_id.is_zero() { "by name" } else { "by name and id" };
            let topics = vec![state];
            self.ask(what, 6, DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() });
        }
    }

    fn of_two_with_settings(&mut self) {
        let resource = |name: &str, setting: &str| AlterConfigsResource {
            resource_type: ConfigResourceType::TOPIC,
            resource_name: name.into(),
            configs: vec![AlterableConfig {
                name: setting.into(),
                config_operation: AlterConfigOperation::SET,
                value: Some("1".into()),
            }],
        };
        let [nowhere, denied] = ["NOWHERE", "ALTER_CONFIGS"].map(|of| self.name(of));
        for resources in [
            vec![resource(&nowhere, "retention.ms")],
            vec![resource(&denied, "no.such.setting")],
            vec![resource(&denied, "retention.ms"), resource(&denied, "segment.ms")],
        ] {
            let what = format!("{} {}", resources.len(), resources[0].configs[0].name);
            self.ask(&what, 1, IncrementalAlterConfigsRequest { resources, validate_only: true });
        }
        let resource = DescribeConfigsResource {
            resource_type: ConfigResourceType::TOPIC,
            resource_name: nowhere.as_str().into(),
            configuration_keys: None,
        };
        self.ask("", 4, DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    }

    fn of_two_with_transactions(&mut self) {
        let [ok, write]: [Text; 2] = ["OK", "WRITE"].map(|of| self.name(of).as_str().into());
        for (transactional_id, transaction_timeout_ms) in
            [(write.clone(), 0), (write.clone(), i32::MAX), (Text::default(), 10_000)]
        {
            let what = format!("{transaction_timeout_ms} ms");
            let transactional_id = Some(transactional_id);
            let request =
                InitProducerIdRequest { transactional_id, transaction_timeout_ms, ..Default::default() };
            self.ask(&what, 4, request);
        }
        self.without_a_transaction();
        let topic = |of: &str| AddPartitionsToTxnTopic { name: self.topic(of).name, partitions: vec![0] };
        let requests = [(&write, ["NOWHERE", "OK"]), (&ok, ["NOWHERE", "WRITE"]), (&ok, ["gone", "OK"])].map(
            |(id, of)| AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: id.clone(),
                v3_and_below_topics: of.map(topic).to_vec(),
                ..Default::default()
            },
        );
        for (at, request) in requests.into_iter().enumerate() {
            self.ask(&at.to_string(), 3, request);
        }
        let group_id = self.group("READ");
        let both = AddOffsetsToTxnRequest { transactional_id: write.clone(), group_id, ..Default::default() };
        self.ask("both", 3, both);
        let end = EndTxnRequest { transactional_id: Text::default(), ..Default::default() };
        self.ask("of no name", 3, end);
    }

    fn of_two_with_groups(&mut self) {
        let [ok, read, modern] = ["OK", "READ", "MODERN"].map(|of| self.group(of));
        for (group, session_timeout_ms, kinds) in
            [(&read, 1, "consumer"), (&read, 10_000, ""), (&Text::default(), 10_000, "consumer")]
        {
            let request = JoinGroupRequest {
                group_id: group.clone(),
                session_timeout_ms,
                protocol_type: kinds.into(),
                ..Default::default()
            };
            self.ask(&format!("{group} {session_timeout_ms} {kinds}").replace(&self.base, ""), 7, request);
        }
        for (group, of, generation) in [(&ok, "NOWHERE", 5), (&ok, "READ", 5), (&read, "NOWHERE", 5)] {
            let topics = vec![OffsetCommitTopic {
                name: self.topic(of).name,
                partitions: vec![OffsetCommitPartition { partition_index: 99, ..Default::default() }],
                ..Default::default()
            }];
            let request = OffsetCommitRequest {
                group_id: group.clone(),
                generation_id_or_member_epoch: GenerationId(generation),
                member_id: "m".into(),
                topics,
                ..Default::default()
            };
            self.ask(&format!("{group} {of}").replace(&self.base, ""), 9, request);
        }
        for (group, member, epoch, of) in
            [(&read, "", 0, "OK"), (&modern, "m", -9, "DESCRIBE"), (&modern, "m", 7, "DESCRIBE")]
        {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: group.clone(),
                member_id: member.into(),
                member_epoch: MemberEpoch(epoch),
                rebalance_timeout_ms: 10_000,
                subscribed_topic_names: Some(vec![self.topic(of).name]),
                topic_partitions: Some(vec![]),
                ..Default::default()
            };
            self.ask(&format!("{group} {epoch}").replace(&self.base, ""), 1, request);
        }
    }

    fn of_several_groups(&mut self) {
        let keys = ["DESCRIBE", "OK", "DELETE"].map(|of| self.group(of)).to_vec();
        for key_type in [CoordinatorType::GROUP, CoordinatorType::TRANSACTION, CoordinatorType(9)] {
            let coordinator_keys = keys.clone();
            let request = FindCoordinatorRequest { key_type, coordinator_keys, ..Default::default() };
            self.ask_pairs("of several", 4, request, |told| {
                told.coordinators.into_iter().map(|one| (one.key, one.error_code)).collect()
            });
        }
        for topics in [None, Some(vec![])] {
            let groups = keys.iter().map(|id| OffsetFetchGroup {
                group_id: id.clone(),
                topics: topics.clone(),
                ..Default::default()
            });
            let request = OffsetFetchRequest { groups: groups.collect(), ..Default::default() };
            self.ask_pairs("of several", 8, request, |told| {
                told.groups.into_iter().map(|one| (one.group_id, one.error_code)).collect()
            });
        }
        let groups = keys.clone();
        self.ask_pairs("of several", 5, DescribeGroupsRequest { groups, ..Default::default() }, |told| {
            told.groups.into_iter().map(|one| (one.group_id, one.error_code)).collect()
        });
        let group_ids = keys.clone();
        let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
        self.ask_pairs("of several", 1, request, |told| {
            told.groups.into_iter().map(|one| (one.group_id, one.error_code)).collect()
        });
        self.ask_pairs("of several", 2, DeleteGroupsRequest { groups_names: keys }, |told| {
            told.results.into_iter().map(|one| (one.group_id, one.error_code)).collect()
        });
    }

    /// Asks about what its groups are and who is in the cluster: of a user who may not even know of the cluster.
    pub(super) fn of_the_cluster(&mut self) {
        let own = self.base.clone();
        self.ask_pairs("", 5, ListGroupsRequest::default(), |told| {
            let listed = told.groups.into_iter().map(|group| (group.group_id, ErrorCode::NONE));
            listed.filter(|(id, _)| id.starts_with(&own)).collect()
        });
        self.without_a_transaction();
        self.ask("", 1, DescribeClusterRequest::default());
    }

    fn without_a_transaction(&mut self) {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        self.ask("without a transaction", 4, request);
    }

    /// Asks, and keeps which code stands by which name.
    fn ask_pairs<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: R,
        pairs: impl FnOnce(R::Response) -> Vec<(Text, ErrorCode)>,
    ) {
        let answer = self.peer.ask(version, request);
        let mut told: Vec<_> = pairs(answer)
            .into_iter()
            .map(|(name, code)| format!("{name} {code}").replace(&self.base, ""))
            .collect();
        told.sort();
        self.told.push((format!("{} {version} {what}", R::API.name()), told));
    }
}
