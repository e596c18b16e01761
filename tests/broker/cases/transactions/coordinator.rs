//! What the coordinator of a transactional id answers: who may come, what may be added, and how transactions end.

use super::{CONCURRENT, FENCED, MAPPING, NONE, OLD_EPOCH, Producer, STATE, settled};
use crate::cases::{Target, Topic};
use ottla::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction, ApiVersionsRequest, ErrorCode, ProducerEpoch, ProducerId,
};
use ottla::wire::Text;

fn adding_offsets(producer: &Producer, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest {
        transactional_id: producer.transactional_id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: group.into(),
    }
}

fn ended(producer: &mut Producer, version: i16, committed: bool) -> (ErrorCode, i64, i16) {
    let ended = producer.retried(|own| own.end(version, committed), |ended| ended.error_code);
    (ended.error_code, ended.producer_id.0, ended.producer_epoch.0)
}

pub fn the_second_generation_is_offered(target: &Target) {
    let mut peer = target.connect();
    let software =
        ApiVersionsRequest { client_software_name: "peer".into(), client_software_version: "1".into() };
    for (version, is_supported) in [(3, false), (4, true)] {
        let offered = peer.ask(version, software.clone());
        assert!(offered.finalized_features_epoch >= 0);
        for (name, level) in [("transaction.version", 2), ("group.version", 1)] {
            let finalized = offered.finalized_features.iter().find(|feature| feature.name == name).unwrap();
            assert_eq!((finalized.max_version_level, finalized.min_version_level), (level, level), "{name}");
            let supported = offered.supported_features.iter().find(|feature| feature.name == name);
            let supported = supported.map(|feature| (feature.min_version, feature.max_version));
            assert_eq!(supported, is_supported.then_some((0, level)), "{name} in version {version}");
        }
    }
}

pub fn a_transaction_of_the_first_generation_in_every_version(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic_with(2, &[]));
    let mut sequence = 0;
    for version in 0..=4 {
        for committed in [true, false] {
            let added = producer.retried(|own| own.add(version.min(3), &topic, &[0, 1]), |codes| codes[0]);
            assert_eq!(added, [NONE, NONE], "version {version}");
            assert_eq!(producer.add(version.min(3), &topic, &[0]), [NONE], "once more");
            let request = adding_offsets(&producer, "g");
            assert_eq!(producer.peer.ask(version, request).error_code, NONE, "version {version}");
            let produce = [3, 5, 8, 9, 11][usize::try_from(version).unwrap()];
            assert_eq!(producer.send(produce, &topic, sequence, 2).error_code, NONE, "version {produce}");
            sequence += 2;
            assert_eq!(producer.end(version, committed).error_code, NONE, "version {version}");
            assert_eq!(ended(&mut producer, version, committed).0, NONE, "it comes again");
            assert_eq!(ended(&mut producer, version, !committed).0, STATE);
        }
    }
    assert_eq!(producer.epoch, ProducerEpoch(0));
}

pub fn a_transaction_of_the_second_generation_has_an_epoch_of_its_own(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    let id = producer.id;
    for (n, committed) in [(0i64, true), (1, false), (2, false), (3, true)] {
        assert_eq!(producer.write(&topic, 0, 1), 3 * n, "each begins at sequence 0");
        assert_eq!(producer.write(&topic, 1, 1), 3 * n + 1);
        producer.finish(committed);
        assert_eq!((producer.id, i64::from(producer.epoch.0)), (id, n + 1));
    }
}

pub fn ends_are_answered_by_what_there_is_to_end(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    let id = producer.id.0;
    // Of the first generation, with nothing open.
    assert_eq!(ended(&mut producer, 4, true).0, STATE);
    assert_eq!(ended(&mut producer, 4, false).0, STATE);
    // Of the second.
    assert_eq!(ended(&mut producer, 5, true), (STATE, -1, -1));
    assert_eq!(ended(&mut producer, 5, false), (NONE, id, 1), "nothing was added as far as it knows");
    assert_eq!(ended(&mut producer, 5, false), (NONE, id, 1), "it comes again");
    assert_eq!(ended(&mut producer, 5, true), (STATE, -1, -1));
    producer.epoch = ProducerEpoch(1);
    assert_eq!(ended(&mut producer, 5, true), (STATE, -1, -1), "with nothing open");
    producer.write(&topic, 0, 1);
    assert_eq!(ended(&mut producer, 5, true), (NONE, id, 2));
    assert_eq!(ended(&mut producer, 5, true), (NONE, id, 2), "it comes again");
    assert_eq!(ended(&mut producer, 5, false), (STATE, -1, -1));
    producer.epoch = ProducerEpoch(2);
    assert_eq!(ended(&mut producer, 5, false), (NONE, id, 3), "a new one, with nothing in it");
    assert_eq!(ended(&mut producer, 4, false).0, FENCED);
    assert_eq!(ended(&mut producer, 1, false).0, OLD_EPOCH);
}

pub fn strangers_are_refused_by_code(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    let (id, epoch) = producer.pair();
    let mut answers = |id: ProducerId, epoch: i16, name: Option<&str>| {
        let own = producer.transactional_id.clone();
        (producer.id, producer.epoch) = (id, ProducerEpoch(epoch));
        producer.transactional_id = name.map_or(own.clone(), Text::from);
        let mut all = Vec::new();
        for version in [0, 1, 2, 3] {
            all.push(producer.add(version, &topic, &[0])[0]);
            let request = adding_offsets(&producer, "g");
            all.push(producer.peer.ask(version, request).error_code);
            all.push(producer.end(version, true).error_code);
        }
        all.push(producer.end(5, true).error_code);
        producer.transactional_id = own;
        all
    };
    let same = |code| vec![code; 13];
    let by_version = [vec![OLD_EPOCH; 6], vec![FENCED; 7]].concat();
    assert_eq!(answers(id, epoch.0 - 1, None), by_version);
    assert_eq!(answers(id, epoch.0 + 1, None), by_version);
    assert_eq!(answers(ProducerId(id.0 + 1_000_000), epoch.0, None), same(MAPPING));
    assert_eq!(answers(id, epoch.0, Some("nobody-has-this-one")), same(MAPPING));
    assert_eq!(answers(id, epoch.0, Some("")), same(ErrorCode::INVALID_REQUEST));
}

pub fn partitions_are_added_all_or_none(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic_with(2, &[]));
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let not_attempted = ErrorCode::OPERATION_NOT_ATTEMPTED;
    for version in 0..=3 {
        assert_eq!(producer.add(version, &topic, &[0, 1, 2]), [not_attempted, not_attempted, unknown]);
    }
    assert_eq!(producer.end(4, false).error_code, STATE, "nothing has begun");
}

fn transaction(
    producer: &Producer,
    topic: &Topic,
    partitions: &[i32],
    verify_only: bool,
) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction {
        transactional_id: producer.transactional_id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        verify_only,
        topics: vec![AddPartitionsToTxnTopic { name: topic.name.clone(), partitions: partitions.to_vec() }],
    }
}

pub fn brokers_ask_for_many_transactions_and_may_only_want_to_know(target: &Target) {
    let (mut one, other) = (Producer::new(target), Producer::new(target));
    let topic = target.topic_with(2, &[]);
    let mut peer = target.connect();
    let mut ask = |version, transactions| {
        let answer = peer.ask(version, AddPartitionsToTxnRequest { transactions, ..Default::default() });
        assert_eq!(answer.error_code, NONE);
        let mut results: Vec<_> = answer.results_by_transaction.clone();
        results.sort_by_key(|result| result.transactional_id != one.transactional_id);
        let of_one = |result: &ottla::messages::AddPartitionsToTxnResult| {
            let mut partitions = result.topic_results[0].results_by_partition.clone();
            partitions.sort_by_key(|partition| partition.partition_index);
            partitions.iter().map(|partition| partition.partition_error_code).collect::<Vec<_>>()
        };
        results.iter().map(of_one).collect::<Vec<_>>()
    };
    for version in [4, 5] {
        let both = vec![transaction(&one, &topic, &[0], true), transaction(&other, &topic, &[1], false)];
        let abortable = ErrorCode::TRANSACTION_ABORTABLE;
        assert_eq!(ask(version, both), [[abortable], [NONE]], "version {version}");
        let known = vec![transaction(&other, &topic, &[0, 1], true)];
        assert_eq!(ask(version, known), [[abortable, NONE]]);
    }
    let stale = AddPartitionsToTxnTransaction {
        producer_epoch: ProducerEpoch(7),
        ..transaction(&other, &topic, &[0], true)
    };
    assert_eq!(ask(5, vec![stale]), [[FENCED]]);
    let (unknown, none) = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::OPERATION_NOT_ATTEMPTED);
    assert_eq!(ask(5, vec![transaction(&other, &topic, &[1, 2], false)]), [[none, unknown]]);
    assert_eq!(one.end(4, true).error_code, STATE, "to ask begins nothing");
}

pub fn who_comes_anew_aborts_what_is_open(target: &Target) {
    let (mut old, topic) = (Producer::new(target), target.topic());
    old.write(&topic, 0, 3);
    let mut new = old.rival(target);
    assert_eq!(new.init(5, None), Err(CONCURRENT), "it is to come again");
    let epoch = settled(|| new.init(5, None), |given| *given != Err(CONCURRENT));
    // One epoch for the marker, and one to begin with.
    assert_eq!((epoch, new.id), (Ok(2), old.id));
    assert_eq!(old.send(12, &topic, 3, 1).error_code, OLD_EPOCH);
    assert_eq!(old.send(11, &topic, 3, 1).error_code, OLD_EPOCH);
    for (version, code) in [(1, OLD_EPOCH), (4, FENCED), (5, FENCED)] {
        assert_eq!(old.end(version, true).error_code, code);
    }
    let expected = Some(old.pair());
    assert_eq!(old.init(3, expected), Err(OLD_EPOCH));
    assert_eq!(old.init(5, expected), Err(FENCED));
    assert_eq!(new.write(&topic, 0, 1), 4, "behind three records and a marker");
}

pub fn a_request_with_the_last_epoch_is_answered_as_it_was(target: &Target) {
    let mut producer = Producer::new(target);
    let first = Some(producer.pair());
    for version in [3, 4, 5, 5] {
        assert_eq!(producer.init(version, first), Ok(1), "its answer may have been lost");
    }
    let second = Some(producer.pair());
    assert_eq!(producer.init(5, second), Ok(2));
    assert_eq!(producer.init(5, first), Err(FENCED));
    let third = Some(producer.pair());
    assert_eq!(producer.rival(target).init(5, None), Ok(3));
    assert_eq!(producer.init(5, second), Err(FENCED), "another came between");
    assert_eq!(producer.init(5, third), Err(FENCED));
}

pub fn what_goes_on_for_too_long_is_aborted(target: &Target) {
    let (mut producer, topic) = (Producer::with_timeout(target, 1_000), target.topic());
    producer.write(&topic, 0, 2);
    let id = producer.id;
    let read = |producer: &mut Producer| producer.peer.fetch(12, topic.fetch(0)).last_stable_offset;
    assert_eq!(read(&mut producer), 0);
    settled(|| read(&mut producer), |stable| *stable == 3);
    assert_eq!(producer.send(12, &topic, 2, 1).error_code, OLD_EPOCH);
    assert_eq!(producer.end(4, true).error_code, FENCED);
    assert_eq!(producer.end(4, false).error_code, FENCED);
    // Of the second generation it may take it for an abort of its own.
    assert_eq!(producer.end(5, true).error_code, STATE);
    assert_eq!(ended(&mut producer, 5, false), (NONE, id.0, 1));
    let expected = Some(producer.pair());
    assert_eq!(producer.init(5, expected), Ok(1));
    assert_eq!(producer.write(&topic, 0, 1), 3);
    producer.finish(true);
    assert_eq!(settled(|| producer.init(5, expected), |given| *given != Err(CONCURRENT)), Err(FENCED));
}
