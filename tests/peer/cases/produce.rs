//! Answers to Produce: refusals without end, and acknowledgements of something else.

use super::PRODUCE;
use super::bodies::DAYS_24;
use crate::case::{Case, Mode};
use ottla::messages::*;
use ottla::wire::Uuid;

fn case(name: &str, lie: impl Fn(&mut ProduceResponse) + Send + Sync + 'static) -> Case {
    Case::on("bodies", format!("Produce, {name}"), PRODUCE, move |asked| {
        asked.but(|answer| match answer {
            AnyResponse::Produce(answer) => lie(answer),
            _ => unreachable!("only asked for this"),
        })
    })
}

/// A lie about each partition.
fn partition(name: &str, lie: impl Fn(&mut ProducePartitionResponse) + Send + Sync + 'static) -> Case {
    case(name, move |answer| {
        answer.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses).for_each(&lie);
    })
}

/// This error for each partition.
fn code(code: ErrorCode) -> Case {
    let case = partition(code.name(), move |partition| {
        *partition = ProducePartitionResponse {
            index: partition.index,
            error_code: code,
            base_offset: -1,
            ..Default::default()
        };
    });
    if code == ErrorCode::MESSAGE_TOO_LARGE { case.quick(Mode::ForEver) } else { case }
}

pub(super) fn cases() -> Vec<Case> {
    // Whether anything was written they leave open; here it was.
    let vague = [
        ErrorCode(999),
        ErrorCode(-1),
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::THROTTLING_QUOTA_EXCEEDED,
    ];
    let plain = [
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_RECORD,
        ErrorCode::UNSUPPORTED_VERSION,
    ];
    let mut cases: Vec<Case> = vague.map(code).into();
    cases.extend(plain.map(|refusal| code(refusal).refuses()));
    cases.extend([
        code(ErrorCode::DUPLICATE_SEQUENCE_NUMBER).acknowledges().harmless(),
        case("no topic", |answer| answer.responses.clear()).quick(Mode::Twice),
        case("no partition", |answer| {
            answer.responses.iter_mut().for_each(|topic| topic.partition_responses.clear())
        }),
        case("another topic", |answer| {
            for topic in &mut answer.responses {
                (topic.name, topic.topic_id) = ("elsewhere".into(), Uuid::from_bytes([9; 16]));
            }
        }),
        partition("another partition", |partition| partition.index = 1).quick(Mode::ForEver),
        partition("partition -1", |partition| partition.index = -1),
        partition("base offset -1", |partition| partition.base_offset = -1).acknowledges().harmless(),
        partition("base offset -2^63", |partition| partition.base_offset = i64::MIN)
            .acknowledges()
            .harmless(),
        partition("base offset 2^63-1", |partition| partition.base_offset = i64::MAX)
            .acknowledges()
            .harmless(),
        partition("errors of records that were not sent", |partition| {
            partition.error_code = ErrorCode::INVALID_RECORD;
            partition.base_offset = -1;
            partition.record_errors = [-5, 77, i32::MAX]
                .map(|batch_index| ProduceRecordError { batch_index, ..Default::default() })
                .to_vec();
        })
        .refuses(),
        partition("a text of a megabyte", |partition| {
            partition.error_code = ErrorCode::INVALID_RECORD;
            partition.error_message = Some("\u{1b}[31mno\n".repeat(100_000).into());
        })
        .refuses(),
        case("another leader that nobody knows", |answer| {
            for partition in answer.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
                partition.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
                partition.base_offset = -1;
                let leader_epoch = LeaderEpoch(1_000);
                partition.current_leader = CurrentLeader { leader_id: BrokerId(99), leader_epoch };
            }
        }),
        case("another leader at port 0", |answer| {
            for partition in answer.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
                partition.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
                partition.base_offset = -1;
                let leader_epoch = LeaderEpoch(1_000);
                partition.current_leader = CurrentLeader { leader_id: BrokerId(98), leader_epoch };
            }
            let nowhere =
                NodeEndpoint { node_id: BrokerId(98), host: "localhost".into(), port: 0, rack: None };
            answer.node_endpoints = vec![nowhere];
        }),
        case("throttled for 24 days", |answer| answer.throttle_time_ms = DAYS_24).acknowledges().harmless(),
        case("throttled for -1 ms", |answer| answer.throttle_time_ms = -1).acknowledges().harmless(),
    ]);
    cases
}
