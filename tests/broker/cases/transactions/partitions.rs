//! What the leader of a partition takes of a transaction, and the markers that end it there.

use super::{ABORTABLE, MAPPING, NONE, OLD_EPOCH, Producer, STATE, settled};
use crate::batch;
use crate::cases::{Target, Topic};
use ottla::messages::{
    ErrorCode, ProducePartition, ProduceRequest, ProducerEpoch, ProducerId, WritableTxnMarker,
    WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

pub fn batches_outside_of_their_transaction_are_refused_by_version(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    for (version, code) in [(3, STATE), (10, STATE), (11, ABORTABLE)] {
        let refused = producer.send(version, &topic, 0, 1);
        assert_eq!((refused.error_code, refused.base_offset, refused.log_start_offset), (code, -1, -1));
    }
    for version in [12, 13] {
        let sequence = i32::from(version - 12);
        assert_eq!(producer.send(version, &topic, sequence, 1).error_code, NONE, "version {version}");
    }
    assert_eq!(producer.send(3, &topic, 2, 1).error_code, NONE, "it goes on");
}

pub fn who_a_batch_is_of_is_checked(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    let own = producer.batch(&topic, 0, 1);
    let denied = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    for version in [3, 9, 13] {
        let nobody = ProduceRequest { transactional_id: None, ..own.clone() };
        assert_eq!(producer.sent(version, nobody).error_code, denied);
        let stranger = ProduceRequest { transactional_id: Some("nobody-has-it".into()), ..own.clone() };
        assert_eq!(producer.sent(version, stranger).error_code, MAPPING);
        let empty = ProduceRequest { transactional_id: Some("".into()), ..own.clone() };
        assert_eq!(producer.sent(version, empty).error_code, ErrorCode::INVALID_REQUEST);
    }
    let two = topic.produce_to(0, Some(batch::transactional(producer.id.0, 0, 0, 1)));
    let mut two = ProduceRequest { transactional_id: Some(producer.transactional_id.clone()), ..two };
    let records = batch::transactional(producer.id.0 + 1, 0, 0, 1);
    let other = ProducePartition { index: 1, records: Some(records.into()) };
    two.topic_data[0].partition_data.push(other);
    let wide = target.topic_with(2, &[]);
    two.topic_data[0].name = wide.name.clone();
    let answer = producer.peer.ask(12, two);
    let codes: Vec<_> = answer.responses[0].partition_responses.iter().map(|told| told.error_code).collect();
    assert_eq!(codes, [MAPPING, MAPPING], "of two producers");
    producer.epoch = ProducerEpoch(1);
    assert_eq!(producer.send(12, &topic, 0, 1).error_code, OLD_EPOCH, "an epoch of the future");
    producer.id = ProducerId(producer.id.0 + 1_000_000);
    assert_eq!(producer.send(12, &topic, 0, 1).error_code, MAPPING);
}

pub fn a_producer_in_a_transaction_writes_nothing_else(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    producer.write(&topic, 0, 1);
    let plain = |producer: &mut Producer, sequence| {
        let records = batch::sequenced(producer.id.0, producer.epoch.0, sequence, 1);
        producer.peer.produce(12, &topic, records)
    };
    let refused = plain(&mut producer, 1);
    assert_eq!((refused.error_code, refused.log_start_offset), (STATE, 0));
    producer.finish(true);
    settled(|| producer.peer.fetch(12, topic.fetch(0)).last_stable_offset, |stable| *stable == 2);
    assert_eq!(plain(&mut producer, 0).error_code, NONE);
}

pub fn sequences_begin_at_0_with_each_transaction_of_the_second_generation(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    assert_eq!(producer.send(12, &topic, 5, 1).error_code, OUT_OF_ORDER, "nothing is known of it");
    producer.write(&topic, 0, 2);
    assert_eq!(producer.send(12, &topic, 0, 2).base_offset, 0, "it comes again");
    assert_eq!(producer.send(12, &topic, 3, 1).error_code, OUT_OF_ORDER);
    producer.finish(true);
    let refused = producer.retried(|own| own.send(12, &topic, 2, 1), |done| done.error_code);
    assert_eq!((refused.error_code, refused.log_start_offset), (OUT_OF_ORDER, 0));
    assert_eq!(producer.write(&topic, 0, 1), 3);
}

pub fn sequences_go_on_in_the_first_generation(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    for (sequence, offset) in [(0, 0), (2, 3)] {
        let added = producer.retried(|own| own.add(3, &topic, &[0]), |codes| codes[0]);
        assert_eq!(added, [NONE]);
        assert_eq!(producer.send(11, &topic, sequence, 2).base_offset, offset);
        assert_eq!(producer.end(4, true).error_code, NONE);
    }
    settled(|| producer.peer.fetch(12, topic.fetch(0)).last_stable_offset, |stable| *stable == 6);
    // The markers are there before a real coordinator has taken note of it.
    let late =
        settled(|| producer.send(11, &topic, 2, 2), |told| told.error_code != ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(late.error_code, ABORTABLE, "also what is there already: its transaction is over");
    assert_eq!(producer.send(10, &topic, 4, 2).error_code, STATE);
}

fn marker(producer: (i64, i16), committed: bool, coordinator_epoch: i32, topic: &Topic) -> WritableTxnMarker {
    let topic = WritableTxnMarkerTopic { name: topic.name.clone(), partition_indexes: vec![0] };
    WritableTxnMarker {
        producer_id: ProducerId(producer.0),
        producer_epoch: ProducerEpoch(producer.1),
        transaction_result: committed,
        topics: vec![topic],
        coordinator_epoch,
        transaction_version: 0,
    }
}

pub fn a_transaction_is_ended_by_who_writes_its_marker(target: &Target) {
    for version in [1, 2] {
        let (mut producer, topic) = (Producer::new(target), target.topic());
        let (id, mut peer) = (producer.id.0, target.connect());
        let mut write = |marker: WritableTxnMarker| {
            let written = peer.ask(version, WriteTxnMarkersRequest { markers: vec![marker] });
            assert_eq!(written.markers[0].producer_id, ProducerId(id));
            written.markers[0].topics[0].partitions[0].error_code
        };
        // The epoch before is one that this producer never had.
        producer.finish(false);
        producer.write(&topic, 0, 1);
        assert_eq!(write(marker((id, 0), false, 7, &topic)), OLD_EPOCH);
        let own_epoch = WritableTxnMarker { transaction_version: 2, ..marker((id, 1), false, 7, &topic) };
        if version == 2 {
            assert_eq!(write(own_epoch), OLD_EPOCH, "that of the records is too old");
        }
        assert_eq!(write(marker((id, 1), false, 7, &topic)), NONE);
        let fetched = producer.peer.fetch(12, topic.fetch(0));
        assert_eq!((fetched.last_stable_offset, fetched.high_watermark), (2, 2), "nothing is open");
        let fenced = ErrorCode::TRANSACTION_COORDINATOR_FENCED;
        assert_eq!(write(marker((id, 1), false, 6, &topic)), fenced);
        assert_eq!(write(marker((id, 1), true, 7, &topic)), NONE, "where nothing is open");
        let nowhere = Topic { name: "no-such-topic".into(), ..topic.clone() };
        assert_eq!(write(marker((id, 1), true, 7, &nowhere)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let mut peer = target.connect();
    assert_eq!(peer.ask(1, WriteTxnMarkersRequest::default()).markers, []);
}
