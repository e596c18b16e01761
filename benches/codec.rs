//! Encodes and decodes a Metadata response of 100 topics with 12 partitions, beside `kafka-protocol`.
//!
//! `cargo bench --bench codec`. What counts is the ratio within one run: both sides do the same bytes, encode into a
//! buffer that is kept, and drop what they have decoded inside of the measurement. Before anything is measured, each
//! side's bytes are checked against the other's.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a benchmark: nobody calls it")]

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box, counter::BytesCount};
use kafka_protocol::messages::MetadataResponse as Peer;
use kafka_protocol::protocol::{Decodable, Encodable};
use ottla::messages::{
    BrokerId, LeaderEpoch, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
};
use ottla::wire::{self, Uuid};

/// The newest that both sides know, and the newest that is not flexible.
const VERSIONS: [i16; 2] = [13, 8];

fn main() {
    VERSIONS.into_iter().for_each(check);
    divan::main();
}

/// The two sides agree on every byte.
fn check(version: i16) {
    let frame = frame(version);
    let peer = Peer::decode(&mut frame.clone(), version).unwrap();
    let mut bytes = BytesMut::new();
    peer.encode(&mut bytes, version).unwrap();
    assert_eq!(bytes, frame, "kafka-protocol writes the same bytes");
    assert_eq!(wire::decode::<MetadataResponse>(&frame, version, version >= 9).unwrap(), response(version));
}

fn response(version: i16) -> MetadataResponse {
    let broker = |id: i32| MetadataBroker {
        node_id: BrokerId(id),
        host: format!("broker-{id}.kafka.example").into(),
        port: 9092,
        rack: Some(format!("zone-{}", id % 3).into()),
    };
    MetadataResponse {
        brokers: (0..6).map(broker).collect(),
        cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qg".into()),
        controller_id: BrokerId(2),
        topics: (0..100).map(|topic| metadata_topic(topic, version)).collect(),
        ..Default::default()
    }
}

fn metadata_topic(topic: u8, version: i16) -> MetadataTopic {
    let partition = |index: i32| MetadataPartition {
        partition_index: index,
        leader_id: BrokerId(index % 6),
        leader_epoch: LeaderEpoch(7),
        replica_nodes: [index % 6, (index + 1) % 6, (index + 2) % 6].map(BrokerId).into(),
        isr_nodes: [index % 6, (index + 1) % 6, (index + 2) % 6].map(BrokerId).into(),
        ..Default::default()
    };
    MetadataTopic {
        name: Some(format!("orders.region-{topic}.v1").into()),
        topic_id: if version >= 10 { Uuid::from_bytes([topic; 16]) } else { Uuid::ZERO },
        partitions: (0..12).map(partition).collect(),
        ..Default::default()
    }
}

fn frame(version: i16) -> Bytes {
    let mut out = BytesMut::new();
    wire::encode(&response(version), version, version >= 9, &mut out).unwrap();
    out.freeze()
}

#[divan::bench_group(sample_count = 200)]
mod encode {
    use super::*;

    #[divan::bench(args = VERSIONS)]
    fn ottla(bencher: Bencher<'_, '_>, version: i16) {
        let value = response(version);
        let mut out = BytesMut::new();
        bencher.counter(BytesCount::new(frame(version).len())).bench_local(|| {
            out.clear();
            wire::encode(black_box(&value), version, version >= 9, &mut out).unwrap();
            black_box(out.len())
        });
    }

    #[divan::bench(args = VERSIONS)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, version: i16) {
        let value = Peer::decode(&mut frame(version), version).unwrap();
        let mut out = BytesMut::new();
        bencher.counter(BytesCount::new(frame(version).len())).bench_local(|| {
            out.clear();
            black_box(&value).encode(&mut out, version).unwrap();
            black_box(out.len())
        });
    }
}

#[divan::bench_group(sample_count = 200)]
mod decode {
    use super::*;

    #[divan::bench(args = VERSIONS)]
    fn ottla(bencher: Bencher<'_, '_>, version: i16) {
        let frame = frame(version);
        bencher.counter(BytesCount::new(frame.len())).bench_local(|| {
            let value: MetadataResponse = wire::decode(black_box(&frame), version, version >= 9).unwrap();
            black_box(&value);
        });
    }

    #[divan::bench(args = VERSIONS)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, version: i16) {
        let frame = frame(version);
        bencher.counter(BytesCount::new(frame.len())).bench_local(|| {
            let value = Peer::decode(&mut black_box(&frame).clone(), version).unwrap();
            black_box(&value);
        });
    }
}
