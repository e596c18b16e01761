//! Produce: batches, and what is wrong with some.

use super::{Target, Topic};
use crate::batch;
use crate::peer::Peer;
use bytes::Bytes;
use ottla::messages::{Acks, ErrorCode, ProduceRequest};
use ottla::records::Compression;
use ottla::wire::Uuid;

pub fn batches_get_contiguous_offsets_in_every_version(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let mut next = 0;
    for version in 3..=13 {
        let done = peer.produce(version, &topic, batch::of(3));
        assert_eq!((done.error_code, done.base_offset), (ErrorCode::NONE, next), "version {version}");
        assert_eq!(done.log_append_time_ms, -1);
        assert_eq!(done.log_start_offset, if version >= 5 { 0 } else { -1 });
        next += 3;
    }
}

pub fn every_codec_is_taken_and_kept(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for codec in Compression::ALL {
        let offset = peer.append(&topic, batch::compressed(codec));
        let read = peer.fetch(12, topic.fetch(offset)).records.unwrap().to_bytes();
        let mut batches = ottla::records::Batches::new(read);
        let first = batches.next().unwrap().unwrap();
        assert_eq!((first.compression(), first.base_offset()), (codec, offset));
        assert_eq!(first.records().count(), 2);
    }
    let done = peer.produce(6, &topic, batch::compressed(Compression::Zstd));
    assert_eq!(done.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, "zstd is for versions from 7 on");
}

fn refusal(peer: &mut Peer, topic: &Topic, records: Bytes) -> ErrorCode {
    let done = peer.produce(12, topic, records);
    assert_eq!(done.base_offset, -1);
    done.error_code
}

pub fn damaged_batches_are_refused_by_kind(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let whole = batch::of(2);
    for at in [17, 40, whole.len() - 1] {
        let code = refusal(&mut peer, &topic, batch::damaged(&whole, at));
        assert_eq!(code, ErrorCode::CORRUPT_MESSAGE, "byte {at}");
    }
    let two = Bytes::from([whole.clone(), whole.clone()].concat());
    assert_eq!(refusal(&mut peer, &topic, two), ErrorCode::INVALID_RECORD, "two batches");
    assert_eq!(refusal(&mut peer, &topic, Bytes::new()), ErrorCode::INVALID_RECORD, "none");
    let cut = whole.slice(..whole.len() - 1);
    assert_eq!(refusal(&mut peer, &topic, cut), ErrorCode::INVALID_RECORD, "a part of one");
    let old = batch::with_header(&whole, |header| header.magic = 1);
    assert_eq!(refusal(&mut peer, &topic, old), ErrorCode::INVALID_RECORD, "an old format");
    let moved = batch::with_header(&whole, |header| header.base_offset = 5);
    assert_eq!(refusal(&mut peer, &topic, moved), ErrorCode::INVALID_RECORD, "a base offset");
    let fewer = batch::with_header(&whole, |header| header.record_count = 1);
    assert_eq!(refusal(&mut peer, &topic, fewer), ErrorCode::INVALID_RECORD, "too small a count");
    let more = batch::with_header(&whole, |header| header.last_offset_delta = 5);
    assert_eq!(refusal(&mut peer, &topic, more), ErrorCode::INVALID_RECORD, "too large a last offset");
    assert_eq!(peer.append(&topic, whole), 0, "nothing of it was written");
}

pub fn what_clients_may_not_write_is_refused(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let control = batch::with_header(&batch::of(1), |header| {
        header.attributes = header.attributes.with_control(true);
    });
    assert_eq!(refusal(&mut peer, &topic, control), ErrorCode::INVALID_RECORD);
    let no_sequence = batch::with_header(&batch::of(1), |header| {
        header.producer_id = 1;
        header.producer_epoch = 0;
        header.base_sequence = -1;
    });
    assert_eq!(refusal(&mut peer, &topic, no_sequence), ErrorCode::INVALID_RECORD);
}

pub fn acks_of_0_are_silent_and_end_the_connection_on_a_fault(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let unacknowledged = |records| ProduceRequest { acks: Acks::NONE, ..topic.produce(records) };
    peer.send(9, unacknowledged(batch::of(2)).into());
    assert_eq!(peer.append(&topic, batch::of(1)), 2, "the next answer is that of the next request");
    peer.send(9, unacknowledged(batch::damaged(&batch::of(2), 30)).into());
    assert!(peer.is_closed());
}

pub fn other_acks_are_refused(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for acks in [2, -2] {
        let response = peer.ask(9, ProduceRequest { acks: Acks(acks), ..topic.produce(batch::of(1)) });
        let done = &response.responses[0].partition_responses[0];
        assert_eq!(done.error_code, ErrorCode::INVALID_REQUIRED_ACKS, "{acks}");
    }
    let response = peer.ask(9, ProduceRequest { acks: Acks::LEADER, ..topic.produce(batch::of(1)) });
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
}

pub fn unknown_partitions_are_told(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for (version, index) in [(9, 1), (9, -1), (13, 1)] {
        let response = peer.ask(version, topic.produce_to(index, Some(batch::of(1))));
        let done = &response.responses[0].partition_responses[0];
        assert_eq!((done.index, done.error_code), (index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
    let nobody = Topic { name: "no-such-topic".into(), id: Uuid::from_bytes([7; 16]) };
    assert_eq!(peer.produce(12, &nobody, batch::of(1)).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(peer.produce(13, &nobody, batch::of(1)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

pub fn a_batch_above_the_topics_limit_is_too_large(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(1, &[("max.message.bytes", "1000")]));
    assert_eq!(refusal(&mut peer, &topic, batch::large(1_000)), ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(peer.append(&topic, batch::large(900)), 0);
}

pub fn a_compacted_topic_wants_keys(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(1, &[("cleanup.policy", "compact")]));
    let done = peer.produce(
        12,
        &topic,
        batch::batch(&[(Some("k"), "v"), (None, "v"), (Some("k"), "v"), (None, "v")]),
    );
    assert_eq!(done.error_code, ErrorCode::INVALID_RECORD);
    let records: Vec<i32> = done.record_errors.iter().map(|record| record.batch_index).collect();
    assert_eq!(records, [1, 3]);
    assert_eq!(peer.append(&topic, batch::batch(&[(Some("k"), "v")])), 0);
}

pub fn timestamps_out_of_range_are_refused_by_record(target: &Target) {
    let limits = [("message.timestamp.before.max.ms", "60000"), ("message.timestamp.after.max.ms", "60000")];
    let (mut peer, topic) = (target.connect(), target.topic_with(1, &limits));
    for away in [-120_000, 120_000] {
        let done = peer.produce(12, &topic, batch::at(batch::now_ms() + away, 2));
        assert_eq!(done.error_code, ErrorCode::INVALID_TIMESTAMP);
        assert_eq!(done.record_errors.len(), 2, "{done:?}");
    }
    assert_eq!(peer.append(&topic, batch::at(batch::now_ms() - 30_000, 2)), 0);
}

pub fn the_time_of_appending_is_told_where_the_topic_wants_it(target: &Target) {
    let (mut peer, topic) =
        (target.connect(), target.topic_with(1, &[("message.timestamp.type", "LogAppendTime")]));
    let before = batch::now_ms();
    let done = peer.produce(12, &topic, batch::at(5, 2));
    assert!((before..=batch::now_ms()).contains(&done.log_append_time_ms), "{done:?}");
    let read = peer.fetch(12, topic.fetch(0)).records.unwrap().to_bytes();
    let first = ottla::records::Batches::new(read).next().unwrap().unwrap();
    assert!(first.records().all(|record| record.timestamp() == done.log_append_time_ms));
}

pub fn versions_below_3_end_the_connection(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let mut frame = crate::peer::frame(3, 1, &topic.produce(batch::of(1)).into());
    frame[3] = 2;
    peer.send_frame(&frame);
    assert!(peer.is_closed());
}
