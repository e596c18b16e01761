//! Idempotent producers.

use super::{Target, Topic};
use crate::batch;
use crate::peer::Peer;
use ottla::messages::ErrorCode;

struct Producer {
    peer: Peer,
    topic: Topic,
    id: i64,
}

impl Producer {
    fn new(target: &Target) -> Producer {
        let mut peer = target.connect();
        let id = peer.producer_id();
        Producer { peer, topic: target.topic(), id }
    }

    fn send(&mut self, epoch: i16, sequence: i32, count: usize) -> Result<i64, ErrorCode> {
        let records = batch::sequenced(self.id, epoch, sequence, count);
        let done = self.peer.produce(12, &self.topic, records);
        done.error_code.ok().map(|()| done.base_offset)
    }
}

pub fn batches_in_order_are_appended_and_duplicates_answered_with_their_offset(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(0, 0, 3), Ok(0));
    assert_eq!(producer.send(0, 3, 2), Ok(3));
    assert_eq!(producer.send(0, 0, 3), Ok(0));
    assert_eq!(producer.send(0, 3, 2), Ok(3));
    assert_eq!(producer.send(0, 5, 1), Ok(5));
}

pub fn a_gap_is_out_of_order(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(0, 0, 1), Ok(0));
    assert_eq!(producer.send(0, 2, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(
        producer.send(0, 0, 2),
        Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        "not the batch that came"
    );
    assert_eq!(producer.send(0, 1, 1), Ok(1));
}

pub fn only_five_batches_are_remembered(target: &Target) {
    let mut producer = Producer::new(target);
    for sequence in 0..6 {
        assert_eq!(producer.send(0, sequence, 1), Ok(i64::from(sequence)));
    }
    for sequence in 1..6 {
        assert_eq!(producer.send(0, sequence, 1), Ok(i64::from(sequence)));
    }
    assert_eq!(producer.send(0, 0, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
}

pub fn an_epoch_begins_at_0_and_fences_older_ones(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(1, 0, 2), Ok(0));
    assert_eq!(producer.send(2, 2, 1), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(producer.send(2, 0, 1), Ok(2));
    assert_eq!(producer.send(1, 2, 1), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(producer.send(1, 0, 2), Err(ErrorCode::INVALID_PRODUCER_EPOCH), "its batches are forgotten");
}

pub fn an_unknown_producer_may_begin_anywhere(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(4, 100, 5), Ok(0));
    assert_eq!(producer.send(4, 105, 1), Ok(5));
}

pub fn sequences_wrap(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(0, i32::MAX - 1, 4), Ok(0));
    assert_eq!(producer.send(0, i32::MAX - 1, 4), Ok(0), "the same again");
    assert_eq!(producer.send(0, 2, 1), Ok(4));
}

pub fn a_refused_sequence_comes_with_the_start_of_the_log(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(1, 0, 1), Ok(0));
    for (epoch, sequence, code) in
        [(1, 5, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), (0, 1, ErrorCode::INVALID_PRODUCER_EPOCH)]
    {
        let records = batch::sequenced(producer.id, epoch, sequence, 1);
        let done = producer.peer.produce(12, &producer.topic, records);
        assert_eq!((done.error_code, done.base_offset, done.log_start_offset), (code, -1, 0));
    }
    let damaged = batch::damaged(&batch::of(1), 30);
    assert_eq!(producer.peer.produce(12, &producer.topic, damaged).log_start_offset, -1);
}

pub fn each_partition_has_sequences_of_its_own(target: &Target) {
    let mut peer = target.connect();
    let (topic, id) = (target.topic_with(2, &[]), peer.producer_id());
    let mut send = |partition, sequence| {
        let request = topic.produce_to(partition, Some(batch::sequenced(id, 0, sequence, 1)));
        let response = peer.ask(12, request);
        let done = &response.responses[0].partition_responses[0];
        done.error_code.ok().map(|()| done.base_offset)
    };
    assert_eq!([send(0, 0), send(0, 1), send(1, 0)], [Ok(0), Ok(1), Ok(0)]);
    assert_eq!(send(1, 2), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!([send(0, 2), send(1, 1)], [Ok(2), Ok(1)]);
}

pub fn a_duplicate_is_told_the_time_of_the_first(target: &Target) {
    let mut peer = target.connect();
    let topic = target.topic_with(1, &[("message.timestamp.type", "LogAppendTime")]);
    let id = peer.producer_id();
    let mut send = || peer.produce(12, &topic, batch::sequenced(id, 0, 0, 2));
    let first = send();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let second = send();
    assert!(first.log_append_time_ms > 0);
    assert_eq!(first, second);
}

pub fn a_duplicate_is_told_the_largest_time_of_its_records(target: &Target) {
    let mut peer = target.connect();
    let (topic, id) = (target.topic_with(1, &[]), peer.producer_id());
    let batch = batch::sequenced(id, 0, 0, 3);
    let last_ms = ottla::records::BatchHeader::read(batch.first_chunk().unwrap()).max_timestamp;
    let [first, second] = [(); 2].map(|()| peer.produce(12, &topic, batch.clone()));
    assert_eq!((first.error_code, first.base_offset, first.log_append_time_ms), (ErrorCode::NONE, 0, -1));
    assert_eq!((second.error_code, second.base_offset), (ErrorCode::NONE, 0));
    assert_eq!(second.log_append_time_ms, last_ms, "although the topic has the time of creation");
}

pub fn other_batches_between_do_not_matter(target: &Target) {
    let mut producer = Producer::new(target);
    assert_eq!(producer.send(0, 0, 1), Ok(0));
    let topic = producer.topic.clone();
    assert_eq!(producer.peer.append(&topic, batch::of(3)), 1);
    assert_eq!(producer.send(0, 0, 1), Ok(0));
    assert_eq!(producer.send(0, 1, 1), Ok(4));
    let other = producer.peer.producer_id();
    let done = producer.peer.produce(12, &topic, batch::sequenced(other, 0, 0, 1));
    assert_eq!((done.error_code, done.base_offset), (ErrorCode::NONE, 5));
}
