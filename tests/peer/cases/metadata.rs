//! Views of the cluster that make no sense.

use super::METADATA;
use super::bodies::DAYS_24;
use crate::case::{Act, Asked, Case, Mode, Onset};
use ottla::messages::*;
use ottla::wire::{Text, Uuid};
use std::sync::atomic::{AtomicU32, Ordering};

fn case(name: &str, lie: impl Fn(&mut MetadataResponse) + Send + Sync + 'static) -> Case {
    Case::on("bodies", format!("Metadata, {name}"), METADATA, move |asked| metadata(asked, &lie))
}

fn metadata(asked: &Asked, lie: impl Fn(&mut MetadataResponse)) -> Act {
    asked.but(|answer| match answer {
        AnyResponse::Metadata(answer) => lie(answer),
        _ => unreachable!("only asked for this"),
    })
}

/// A lie about each topic.
fn topic(name: &str, lie: impl Fn(&mut MetadataTopic) + Send + Sync + 'static) -> Case {
    case(name, move |answer| answer.topics.iter_mut().for_each(&lie))
}

/// A lie about each partition.
fn partition(name: &str, lie: impl Fn(&mut MetadataPartition) + Send + Sync + 'static) -> Case {
    topic(name, move |topic| topic.partitions.iter_mut().for_each(&lie))
}

pub(super) fn cases() -> Vec<Case> {
    let turn = AtomicU32::new(0);
    vec![
        case("empty host", |answer| answer.brokers[0].host = Text::default()),
        case("host of 32,000 letters", |answer| answer.brokers[0].host = "h".repeat(32_000).into()),
        case("host that nobody resolves", |answer| answer.brokers[0].host = "no-such-host.invalid".into()),
        case("host with spaces and escapes", |answer| {
            answer.brokers[0].host = "local host\u{1b}[31m\n".into()
        }),
        case("port 0", |answer| answer.brokers[0].port = 0).quick(Mode::Twice),
        case("port 70000", |answer| answer.brokers[0].port = 70_000),
        case("port -1", |answer| answer.brokers[0].port = -1),
        case("port where nobody listens", |answer| answer.brokers[0].port = 1),
        case("no brokers", |answer| answer.brokers.clear()).quick(Mode::ForEver),
        case("no brokers from the beginning", |answer| answer.brokers.clear()).onset(Onset::AtOnce),
        case("a broker twice", |answer| {
            let again = answer.brokers[0].clone();
            answer.brokers.push(again);
        }),
        case("a broker with id -1", |answer| answer.brokers[0].node_id = BrokerId(-1)),
        case("another broker in its place", |answer| answer.brokers[0].node_id = BrokerId(2)),
        case("10,000 brokers where nobody listens", |answer| {
            let broker = |id| MetadataBroker {
                node_id: BrokerId(id),
                host: "127.0.0.1".into(),
                port: 1,
                ..Default::default()
            };
            answer.brokers.extend((10..10_010).map(broker));
        })
        .harmless(),
        case("unknown controller", |answer| answer.controller_id = BrokerId(99)).harmless(),
        case("unknown error code of the whole", |answer| answer.error_code = ErrorCode(999)),
        case("REBOOTSTRAP_REQUIRED", |answer| answer.error_code = ErrorCode::REBOOTSTRAP_REQUIRED),
        case("another cluster", |answer| answer.cluster_id = Some("another".into())),
        case("another cluster each time", move |answer| {
            answer.cluster_id = Some(format!("another {}", turn.fetch_add(1, Ordering::Relaxed)).into());
        }),
        case("no topics", |answer| answer.topics.clear()).harmless(),
        case("topics twice", |answer| answer.topics.extend(answer.topics.clone())),
        case("other topics", |answer| {
            answer.topics.iter_mut().for_each(|topic| topic.name = Some("elsewhere".into()))
        })
        .harmless(),
        case("100,000 topics", |answer| {
            let stranger =
                |n: u32| MetadataTopic { name: Some(format!("stranger-{n}").into()), ..Default::default() };
            answer.topics.extend((0..100_000).map(stranger));
        })
        .harmless(),
        case("throttled for 24 days", |answer| answer.throttle_time_ms = DAYS_24).harmless(),
        case("throttled for -1 ms", |answer| answer.throttle_time_ms = -1).harmless(),
        topic("topics without names", |topic| topic.name = None),
        topic("unknown error code", |topic| topic.error_code = ErrorCode(999)),
        topic("UNKNOWN_TOPIC_OR_PARTITION", |topic| {
            topic.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            topic.partitions.clear();
        }),
        topic("TOPIC_AUTHORIZATION_FAILED", |topic| {
            topic.error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
            topic.partitions.clear();
        }),
        // What is known of the others stands.
        topic("no partitions", |topic| topic.partitions.clear()).harmless(),
        topic("a partition twice", |topic| topic.partitions.extend(topic.partitions.clone())),
        topic("topic ids that change", {
            let turn = AtomicU32::new(1);
            move |topic| {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&turn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                topic.topic_id = Uuid::from_bytes(id);
            }
        })
        .rereads(),
        topic("topic ids that are zero", |topic| topic.topic_id = Uuid::ZERO).harmless(),
        partition("partition -1", |partition| partition.partition_index = -1),
        partition("partition 2^31-1", |partition| partition.partition_index = i32::MAX).harmless(),
        partition("unknown leader", |partition| {
            (partition.leader_id, partition.leader_epoch) = (BrokerId(99), LeaderEpoch(3));
        }),
        partition("no leader", |partition| {
            partition.error_code = ErrorCode::LEADER_NOT_AVAILABLE;
            partition.leader_id = BrokerId::NONE;
        })
        .quick(Mode::ForEver),
        partition("leader epoch -9", |partition| partition.leader_epoch = LeaderEpoch(-9)).harmless(),
        partition("older leader epoch, another leader", |partition| {
            (partition.leader_id, partition.leader_epoch) = (BrokerId(99), LeaderEpoch(1));
        })
        .harmless(),
    ]
}
