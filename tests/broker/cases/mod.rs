//! Questions whose answers are those of a real Kafka.

mod configs;
mod consumer_groups;
mod fetch;
pub mod groups;
mod list_offsets;
pub mod offset_for_leader_epoch;
mod offsets;
mod produce;
mod sequences;
mod sessions;
mod topic_partitions;
mod topics;
pub mod transactions;
mod versions;

use transactions::{coordinator, offsets as transactional_offsets, partitions, random, readers};

use crate::peer::Peer;
use crate::real;
use bytes::Bytes;
use ottla::broker::Broker;
use ottla::messages::{
    Acks, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, ErrorCode, FetchPartition,
    FetchPartitionResponse, FetchRequest, FetchTopic, InitProducerIdRequest, LeaderEpoch, MetadataRequest,
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceTopic,
};
use ottla::wire::{Text, Uuid};
use std::thread;
use std::time::Duration;

/// A broker to be asked, embedded or real.
pub struct Target {
    address: String,
    /// Keeps an embedded one alive.
    embedded: Option<(tokio::runtime::Runtime, Broker)>,
}

impl Target {
    pub fn embedded() -> Target {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::builder().start()).unwrap();
        Target { address: broker.bootstrap_servers(), embedded: Some((runtime, broker)) }
    }

    pub fn real(address: &str) -> Target {
        Target { address: address.to_owned(), embedded: None }
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(&self.address)
    }

    /// The same for a client of this name.
    pub fn connect_as(&self, client_id: &'static str) -> Peer {
        Peer::named(client_id, &self.address)
    }

    /// The broker, where it is embedded.
    pub fn broker(&self) -> &Broker {
        &self.embedded.as_ref().expect("an embedded broker").1
    }

    /// A topic of one partition that nobody else uses.
    pub fn topic(&self) -> Topic {
        self.topic_with(1, &[])
    }

    /// A topic with settings.
    pub fn topic_with(&self, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let name = real::kafka::unique("broker");
        let mut peer = self.connect();
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) })
            .collect();
        let topic = CreatableTopic {
            name: name.as_str().into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs,
            ..Default::default()
        };
        let created = peer.ask(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() });
        assert_eq!(created.topics[0].error_code, ErrorCode::NONE, "{created:?}");
        let topic = Topic { name: name.into(), id: created.topics[0].topic_id };
        topic.await_leaders(&mut peer, partitions);
        topic
    }
}

/// A topic by both its names.
#[derive(Debug, Clone)]
pub struct Topic {
    pub name: Text,
    pub id: Uuid,
}

impl Topic {
    /// A real broker takes a moment to lead what the controller has created.
    fn await_leaders(&self, peer: &mut Peer, partitions: i32) {
        for _ in 0..200 {
            let ready = (0..partitions).all(|partition| {
                let read = peer.ask(12, self.fetch_of(partition, 0));
                read.responses[0].partitions[0].error_code.is_none()
            });
            let known = peer.ask(12, MetadataRequest::topics([self.name.clone()]));
            if ready && known.topics[0].error_code.is_none() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{self:?} has no leaders");
    }

    /// A Produce request for partition 0, by name and by id.
    pub fn produce(&self, records: Bytes) -> ProduceRequest {
        self.produce_to(0, Some(records))
    }

    pub fn produce_to(&self, index: i32, records: Option<Bytes>) -> ProduceRequest {
        let partition = ProducePartition { index, records: records.map(Into::into) };
        let topic =
            ProduceTopic { name: self.name.clone(), topic_id: self.id, partition_data: vec![partition] };
        ProduceRequest { acks: Acks::ALL, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
    }

    /// A Fetch request for one partition outside of a session, which does not wait.
    pub fn fetch_of(&self, partition: i32, fetch_offset: i64) -> FetchRequest {
        let partition =
            FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
        let topic = FetchTopic { topic: self.name.clone(), topic_id: self.id, partitions: vec![partition] };
        FetchRequest { topics: vec![topic], max_bytes: 1 << 25, ..Default::default() }
    }

    pub fn fetch(&self, fetch_offset: i64) -> FetchRequest {
        self.fetch_of(0, fetch_offset)
    }
}

impl Peer {
    /// Produces one batch and takes what is said of it.
    #[track_caller]
    pub fn produce(&mut self, version: i16, topic: &Topic, records: Bytes) -> ProducePartitionResponse {
        let response = self.ask(version, topic.produce(records));
        response.responses[0].partition_responses[0].clone()
    }

    /// Produces one batch, which must succeed, and takes its offset.
    #[track_caller]
    pub fn append(&mut self, topic: &Topic, records: Bytes) -> i64 {
        let done = self.produce(12, topic, records);
        assert_eq!(done.error_code, ErrorCode::NONE, "{done:?}");
        done.base_offset
    }

    /// Fetches one partition and takes what is said of it.
    #[track_caller]
    pub fn fetch(&mut self, version: i16, request: FetchRequest) -> FetchPartitionResponse {
        let response = self.ask(version, request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.responses[0].partitions[0].clone()
    }

    /// Asks for the end of an epoch of partition 0, believing in a leader's epoch: error code, epoch, end offset.
    #[track_caller]
    pub fn end_of_epoch(&mut self, topic: &Topic, believed: i32, epoch: i32) -> (ErrorCode, i32, i64) {
        let request =
            offset_for_leader_epoch::of(vec![offset_for_leader_epoch::asking(topic, 0, believed, epoch)]);
        offset_for_leader_epoch::told(&self.ask(4, request).topics[0].partitions[0])
    }

    /// A fetch from beyond the log, with `epoch` for that of the record before it, is told what OffsetForLeaderEpoch tells.
    #[track_caller]
    pub fn assert_told_alike(&mut self, topic: &Topic, epoch: i32) {
        let mut beyond = topic.fetch(1 << 40);
        beyond.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(epoch);
        let fetched = self.fetch(12, beyond);
        let parted = (fetched.diverging_epoch.epoch.0, fetched.diverging_epoch.end_offset);
        let (code, found, end) = self.end_of_epoch(topic, -1, epoch);
        assert_eq!((code, found, end), (ErrorCode::NONE, parted.0, parted.1), "epoch {epoch}");
        let known = if end < 0 { ErrorCode::OFFSET_OUT_OF_RANGE } else { ErrorCode::NONE };
        assert_eq!(fetched.error_code, known, "epoch {epoch}");
    }

    /// A producer id of its own.
    pub fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        for _ in 0..200 {
            let given = self.ask(5, request.clone());
            if given.error_code.is_none() {
                return given.producer_id.0;
            }
            // A real broker gets its ids from the controller, a block at a time.
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no producer id");
    }
}

/// Makes of each case a test on the embedded broker, and one test of all of them on a real Kafka.
macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod embedded {
            $( mod $module { $(
                #[test]
                fn $case() {
                    super::super::$module::$case(&super::super::Target::embedded());
                }
            )* } )*
        }

        #[test]
        fn a_real_kafka_answers_alike() {
            let kafka = real_kafka!();
            // The embedded broker is one of 4.3; how older ones answer in versions that they do not have is another matter.
            if !kafka.fact("version").starts_with("4.3.") {
                return eprintln!("not compared with Kafka {}", kafka.fact("version"));
            }
            let target = Target::real(kafka.plaintext().split(',').next().unwrap());
            let mut failed = Vec::new();
            $( $(
                let case = std::panic::AssertUnwindSafe(|| $module::$case(&target));
                if std::panic::catch_unwind(case).is_err() {
                    failed.push(concat!(stringify!($module), "::", stringify!($case)));
                }
            )* )*
            assert!(failed.is_empty(), "different on a real Kafka: {failed:?}");
        }
    };
}

cases! {
    produce:
        batches_get_contiguous_offsets_in_every_version,
        every_codec_is_taken_and_kept,
        damaged_batches_are_refused_by_kind,
        what_clients_may_not_write_is_refused,
        acks_of_0_are_silent_and_end_the_connection_on_a_fault,
        other_acks_are_refused,
        unknown_partitions_are_told,
        a_batch_above_the_topics_limit_is_too_large,
        a_compacted_topic_wants_keys,
        timestamps_out_of_range_are_refused_by_record,
        the_time_of_appending_is_told_where_the_topic_wants_it,
        versions_below_3_end_the_connection;
    sequences:
        batches_in_order_are_appended_and_duplicates_answered_with_their_offset,
        a_gap_is_out_of_order,
        only_five_batches_are_remembered,
        an_epoch_begins_at_0_and_fences_older_ones,
        an_unknown_producer_may_begin_anywhere,
        sequences_wrap,
        a_refused_sequence_comes_with_the_start_of_the_log,
        each_partition_has_sequences_of_its_own,
        a_duplicate_is_told_the_time_of_the_first,
        a_duplicate_is_told_the_largest_time_of_its_records,
        other_batches_between_do_not_matter;
    fetch:
        records_come_back_in_every_version,
        an_empty_fetch_waits_for_records,
        an_empty_fetch_ends_when_its_time_is_over,
        too_few_bytes_are_waited_for,
        offsets_out_of_range_are_told,
        a_batch_above_the_limits_comes_whole_when_it_is_the_first,
        the_limit_of_bytes_holds_over_all_partitions,
        leader_epochs_are_checked,
        unknown_topics_are_told_by_name_and_by_id,
        zstd_is_told_to_old_versions_too;
    sessions:
        a_session_tells_only_news,
        wrong_ids_and_epochs_are_refused,
        partitions_are_added_and_forgotten;
    list_offsets:
        the_ends_and_times_of_a_log,
        special_timestamps_exist_since_their_versions,
        partitions_must_not_be_named_twice_or_be_unknown,
        leader_epochs_are_checked_and_told;
    offset_for_leader_epoch:
        the_newest_epoch_ends_where_the_log_does,
        epochs_that_nothing_is_known_of_are_no_errors,
        the_leaders_epoch_is_checked,
        each_partition_has_an_answer_of_its_own,
        a_fetch_that_parted_is_told_the_same_end;
    groups:
        a_member_joins_and_gets_its_assignment_in_every_version,
        a_second_member_makes_the_first_join_again,
        a_member_that_leaves_makes_the_others_join_again,
        who_waits_to_be_let_in_and_is_made_to_leave_is_unknown,
        what_cannot_join_is_refused_by_code,
        generations_and_members_are_checked,
        a_member_that_joins_again_is_told_what_it_knows_unless_something_changed,
        members_vote_for_an_assignor_that_all_have,
        a_static_member_comes_back_without_a_rebalance,
        who_leaves_is_told_one_by_one,
        a_silent_member_is_gone_after_its_session,
        a_group_is_described_by_its_state,
        groups_are_listed_by_state_and_type,
        groups_are_deleted_when_they_are_empty;
    consumer_groups:
        a_member_alone_gets_everything,
        a_partition_is_given_only_when_it_was_given_back,
        requests_are_checked,
        epochs_are_checked,
        a_static_member_comes_back_to_what_it_had,
        assignors_are_range_and_uniform,
        a_pattern_subscribes_to_what_it_matches_as_a_whole,
        a_group_is_described_and_listed,
        each_protocol_has_its_own_groups,
        offsets_are_of_members_of_this_epoch,
        an_older_epoch_will_do_for_what_the_member_had_in_it,
        who_does_not_give_back_is_out;
    offsets:
        offsets_come_back_in_every_version,
        many_groups_are_asked_at_once,
        what_cannot_be_committed_is_refused_by_code,
        who_commits_is_checked,
        offsets_are_deleted_unless_somebody_reads_them,
        offsets_go_with_their_topic;
    coordinator:
        the_second_generation_is_offered,
        a_transaction_of_the_first_generation_in_every_version,
        a_transaction_of_the_second_generation_has_an_epoch_of_its_own,
        ends_are_answered_by_what_there_is_to_end,
        strangers_are_refused_by_code,
        partitions_are_added_all_or_none,
        brokers_ask_for_many_transactions_and_may_only_want_to_know,
        who_comes_anew_aborts_what_is_open,
        a_request_with_the_last_epoch_is_answered_as_it_was,
        what_goes_on_for_too_long_is_aborted;
    partitions:
        batches_outside_of_their_transaction_are_refused_by_version,
        who_a_batch_is_of_is_checked,
        a_producer_in_a_transaction_writes_nothing_else,
        sequences_begin_at_0_with_each_transaction_of_the_second_generation,
        sequences_go_on_in_the_first_generation,
        a_transaction_is_ended_by_who_writes_its_marker;
    random:
        whatever_is_asked_in_whatever_order_is_answered_alike;
    readers:
        what_was_aborted_is_told_to_those_who_ask,
        markers_are_control_batches_of_their_producer,
        nothing_is_read_behind_a_transaction_that_is_open,
        who_waits_for_what_is_committed_gets_it_when_it_is;
    transactional_offsets:
        offsets_wait_for_their_transaction_in_every_version,
        a_group_that_is_not_in_the_transaction_is_refused_by_version,
        members_name_their_generation_or_nothing,
        the_later_commit_stands;
    topics:
        a_topic_is_created_described_and_deleted_in_every_version,
        what_cannot_be_created_is_refused_by_code,
        assignments_are_checked,
        to_validate_only_creates_nothing,
        deletion_is_by_name_or_id_and_checked,
        metadata_finds_by_id,
        metadata_of_all_topics_is_asked_for_in_two_ways,
        a_missing_topic_is_created_only_if_allowed;
    configs:
        a_topics_settings_are_told_with_their_sources_in_every_version,
        what_has_no_settings_is_told_by_code,
        a_broker_tells_its_own_settings,
        a_groups_settings_are_those_of_the_broker,
        settings_are_changed_one_by_one,
        what_cannot_be_set_is_refused_by_code,
        a_changed_setting_holds_for_the_next_batch;
    topic_partitions:
        a_topic_grows_in_every_version,
        what_cannot_grow_is_refused_by_code,
        a_log_begins_where_its_records_were_deleted,
        a_log_may_begin_inside_of_a_batch,
        what_cannot_be_deleted_is_refused_by_code,
        topics_are_told_a_page_at_a_time,
        topics_that_cannot_be_told_are_told_by_code;
    versions:
        the_offer_is_that_of_kafka_for_what_is_served,
        an_apiversions_of_the_future_is_told_what_there_is,
        odd_software_names_are_refused,
        what_is_not_served_ends_the_connection,
        the_cluster_is_told_in_every_version,
        producer_ids_are_unique_and_transactional_ones_fenced,
        coordinators_are_found_in_every_version,
        sasl_where_there_is_none_is_out_of_place;
}
