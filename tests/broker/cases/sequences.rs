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
