//! Bodies of answers: cut, too long, with odd tagged fields, and lies of the APIs that are asked rarely. Metadata, Produce
//! and lists have files of their own.

use super::{ALL, API_VERSIONS, FETCH, INIT_PRODUCER_ID, LIST_OFFSETS};
use crate::broker::versions;
use crate::case::{Act, Asked, Case, Mode, Onset, body};
use ottla::messages::*;
use ottla::wire::Uuid;

/// The throttle time that a client is told: 24 days.
pub(super) const DAYS_24: i32 = 24 * 86_400_000;

fn all(name: &str, lie: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Case {
    Case::on("bodies", name, ALL, lie)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        all("cut in half", |asked| {
            let body = asked.body();
            Act::Say(asked.around(&body[..body.len() / 2]))
        })
        .quick(Mode::ForEver),
        all("a byte missing", |asked| {
            let body = asked.body();
            Act::Say(asked.around(&body[..body.len() - 1]))
        }),
        all("empty", |asked| Act::Say(asked.around(&[]))),
        all("a byte too many", |asked| Act::Say(asked.around(&[asked.body(), vec![0]].concat()))),
        all("kilobytes too many", |asked| Act::Say(asked.around(&[asked.body(), vec![7; 4_000]].concat()))),
        all("all ones", |asked| Act::Say(asked.around(&vec![0xff; asked.body().len()]))),
        all("all zeros", |asked| Act::Say(asked.around(&vec![0; asked.body().len()]))),
        // Flexible answers end in the tagged fields of the whole: here one more, and ones that cannot be.
        all("unknown tagged field", |asked| Act::Say(asked.around(&tagged(asked, &[1, 99, 3, 1, 2, 3]))))
            .harmless()
            .acknowledges(),
        all("tagged field longer than the answer", |asked| {
            Act::Say(asked.around(&tagged(asked, &[1, 99, 0xff, 0xff, 0xff, 0x7f])))
        }),
        all("2^32-1 tagged fields", |asked| {
            Act::Say(asked.around(&tagged(asked, &[0xff, 0xff, 0xff, 0xff, 0x0f, 99, 1, 0])))
        }),
        all("tagged fields out of order", |asked| {
            Act::Say(asked.around(&tagged(asked, &[2, 99, 1, 0, 98, 1, 0])))
        }),
        all("tagged field with a length of ten bytes", |asked| {
            Act::Say(
                asked.around(&tagged(
                    asked,
                    &[1, 99, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                )),
            )
        }),
    ];
    cases.extend(api_versions());
    cases.extend(init_producer_id());
    cases.extend(list_offsets());
    cases.extend(fetch());
    cases
}

/// The true body with other tagged fields at its end, whose own are none.
fn tagged(asked: &Asked, fields: &[u8]) -> Vec<u8> {
    let mut body = asked.body();
    assert_eq!(body.pop(), Some(0), "{} ends in no tagged fields", asked.key());
    body.extend_from_slice(fields);
    body
}

fn api_versions() -> Vec<Case> {
    // A refusal has the layout of version 0 (KIP-511), whatever was asked.
    let refusal = |asked: &Asked, listed: Vec<ApiVersion>| {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        let answer = ApiVersionsResponse { error_code, api_keys: listed, ..Default::default() };
        Act::Say(asked.around(&body(&answer.into(), 0)))
    };
    let lying = |name: &str, lie: fn(&mut ApiVersionsResponse)| {
        anew(Case::on("bodies", format!("ApiVersions, {name}"), API_VERSIONS, move |asked| {
            asked.but(|answer| match answer {
                AnyResponse::ApiVersions(answer) => lie(answer),
                _ => unreachable!("only asked for this"),
            })
        }))
    };
    let refusing = |name: &str, lie: Box<dyn Fn(&Asked) -> Act + Send + Sync>| {
        anew(Case::on("bodies", format!("ApiVersions, {name}"), API_VERSIONS, lie))
    };
    vec![
        refusing("UNSUPPORTED_VERSION, no list", Box::new(move |asked| refusal(asked, Vec::new())))
            .quick(Mode::ForEver),
        refusing(
            "UNSUPPORTED_VERSION, the whole list",
            Box::new(move |asked| refusal(asked, versions().api_keys)),
        ),
        refusing(
            "UNSUPPORTED_VERSION, names the version asked for",
            Box::new(move |asked| {
                let version = asked.version();
                let named =
                    ApiVersion { api_key: ApiKey::API_VERSIONS, min_version: version, max_version: version };
                refusal(asked, vec![named])
            }),
        ),
        refusing(
            "UNSUPPORTED_VERSION, no list, from the beginning",
            Box::new(move |asked| refusal(asked, Vec::new())),
        )
        .onset(Onset::AtOnce),
        lying("unknown error code", |answer| answer.error_code = ErrorCode(999)),
        lying("nothing is offered", |answer| answer.api_keys.clear()),
        lying("ranges upside down", |answer| {
            answer
                .api_keys
                .iter_mut()
                .for_each(|api| std::mem::swap(&mut api.min_version, &mut api.max_version));
            answer.api_keys.iter_mut().for_each(|api| api.min_version += 1);
        }),
        lying("negative ranges", |answer| {
            answer.api_keys.iter_mut().for_each(|api| (api.min_version, api.max_version) = (-9, -3));
        }),
        lying("versions of the future", |answer| {
            answer.api_keys.iter_mut().for_each(|api| (api.min_version, api.max_version) = (100, i16::MAX));
        }),
        lying("each API twice, with other ranges", |answer| {
            let again: Vec<_> =
                answer.api_keys.iter().map(|api| ApiVersion { max_version: -1, ..api.clone() }).collect();
            answer.api_keys.extend(again);
        })
        .harmless(),
        lying("no Metadata", |answer| answer.api_keys.retain(|api| api.api_key != ApiKey::METADATA))
            .restarts(),
        lying("no Fetch", |answer| answer.api_keys.retain(|api| api.api_key != ApiKey::FETCH)).restarts(),
        lying("no Produce", |answer| answer.api_keys.retain(|api| api.api_key != ApiKey::PRODUCE)).restarts(),
        lying("unknown APIs", |answer| {
            answer.api_keys.extend((5_000..9_000).map(|key| ApiVersion {
                api_key: ApiKey(key),
                min_version: 0,
                max_version: 3,
            }));
        })
        .harmless(),
        lying("throttled for 24 days", |answer| answer.throttle_time_ms = DAYS_24).harmless(),
    ]
}

fn anew(case: Case) -> Case {
    case.onset(Onset::OnceWellAnew)
}

/// Asked when a producer begins.
fn init_producer_id() -> Vec<Case> {
    let lying = |name: &str, lie: fn(&mut InitProducerIdResponse)| {
        Case::on("bodies", format!("InitProducerId, {name}"), INIT_PRODUCER_ID, move |asked| {
            asked.but(|answer| match answer {
                AnyResponse::InitProducerId(answer) => lie(answer),
                _ => unreachable!("only asked for this"),
            })
        })
        .onset(Onset::AtOnce)
    };
    vec![
        lying("unknown error code", |answer| answer.error_code = ErrorCode(999)),
        lying("COORDINATOR_LOAD_IN_PROGRESS", |answer| {
            answer.error_code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        }),
        lying("CLUSTER_AUTHORIZATION_FAILED", |answer| {
            answer.error_code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        }),
        lying("producer id -1", |answer| answer.producer_id = ProducerId(-1)),
        lying("producer id -2^63", |answer| answer.producer_id = ProducerId(i64::MIN)),
        lying("epoch -1", |answer| answer.producer_epoch = ProducerEpoch(-1)),
        lying("throttled for 24 days", |answer| answer.throttle_time_ms = DAYS_24).harmless(),
    ]
}

/// Asked when a consumer begins.
fn list_offsets() -> Vec<Case> {
    let lying = |name: &str, lie: fn(&mut ListOffsetsTopicResponse)| {
        Case::on("bodies", format!("ListOffsets, {name}"), LIST_OFFSETS, move |asked| {
            asked.but(|answer| match answer {
                AnyResponse::ListOffsets(answer) => answer.topics.iter_mut().for_each(lie),
                _ => unreachable!("only asked for this"),
            })
        })
        .onset(Onset::AtOnce)
        .rereads()
    };
    vec![
        lying("unknown error code", |topic| topic.partitions[0].error_code = ErrorCode(999)),
        lying("NOT_LEADER_OR_FOLLOWER", |topic| {
            topic.partitions[0].error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER
        }),
        lying("offset -2^63", |topic| topic.partitions[0].offset = i64::MIN),
        lying("offset 2^63-1", |topic| topic.partitions[0].offset = i64::MAX),
        lying("no partition", |topic| topic.partitions.clear()),
        lying("another partition", |topic| topic.partitions[0].partition_index = 7),
        lying("another topic", |topic| topic.name = "elsewhere".into()),
        lying("partition -1", |topic| topic.partitions[0].partition_index = -1),
    ]
}

/// What a Fetch answer says around the records.
fn fetch() -> Vec<Case> {
    let whole = |name: &str, lie: fn(&mut FetchResponse)| {
        Case::on("bodies", format!("Fetch, {name}"), FETCH, move |asked| {
            asked.but(|answer| match answer {
                AnyResponse::Fetch(answer) => lie(answer),
                _ => unreachable!("only asked for this"),
            })
        })
    };
    let code = |code: ErrorCode| {
        Case::on("bodies", format!("Fetch, {}", code.name()), FETCH, move |asked| {
            asked.but(|answer| match answer {
                AnyResponse::Fetch(answer) => {
                    let partition = &mut answer.responses[0].partitions[0];
                    *partition =
                        FetchPartitionResponse { error_code: code, high_watermark: -1, ..Default::default() };
                }
                _ => unreachable!("only asked for this"),
            })
        })
    };
    let mut cases = vec![
        whole("error of the whole", |answer| answer.error_code = ErrorCode(999)),
        whole("FETCH_SESSION_ID_NOT_FOUND", |answer| {
            answer.error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND
        }),
        whole("a session nobody asked for", |answer| answer.session_id = 77).harmless(),
        whole("no topic", |answer| answer.responses.clear()),
        whole("another topic", |answer| {
            answer.responses[0].topic = "elsewhere".into();
            answer.responses[0].topic_id = Uuid::from_bytes([9; 16]);
        }),
        whole("another partition", |answer| answer.responses[0].partitions[0].partition_index = 3),
        whole("partition -1", |answer| answer.responses[0].partitions[0].partition_index = -1),
        whole("a partition twice", |answer| {
            let again = answer.responses[0].partitions[0].clone();
            answer.responses[0].partitions.push(again);
        })
        .harmless(),
        whole("throttled for 24 days", |answer| answer.throttle_time_ms = DAYS_24)
            .harmless()
            .quick(Mode::Twice),
        whole("throttled for -1 ms", |answer| answer.throttle_time_ms = -1).harmless(),
        whole("another leader that nobody knows", |answer| {
            answer.responses[0].partitions[0] = FetchPartitionResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                high_watermark: -1,
                current_leader: CurrentLeader { leader_id: BrokerId(99), leader_epoch: LeaderEpoch(1_000) },
                ..Default::default()
            };
        }),
        whole("another leader at port 0", |answer| {
            answer.responses[0].partitions[0] = FetchPartitionResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                high_watermark: -1,
                current_leader: CurrentLeader { leader_id: BrokerId(98), leader_epoch: LeaderEpoch(1_000) },
                ..Default::default()
            };
            let nowhere =
                NodeEndpoint { node_id: BrokerId(98), host: "localhost".into(), port: 0, rack: None };
            answer.node_endpoints = vec![nowhere];
        }),
        whole("a preferred replica that nobody knows", |answer| {
            let partition = &mut answer.responses[0].partitions[0];
            partition.preferred_read_replica = BrokerId(99);
            partition.records = None;
        })
        .harmless(),
        whole("high watermark -9", |answer| answer.responses[0].partitions[0].high_watermark = -9).harmless(),
    ];
    cases.extend(
        [
            ErrorCode(999),
            ErrorCode(-1),
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_TOPIC_ID,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::FENCED_LEADER_EPOCH,
            ErrorCode::UNKNOWN_LEADER_EPOCH,
            ErrorCode::KAFKA_STORAGE_ERROR,
            ErrorCode::CORRUPT_MESSAGE,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ErrorCode::OFFSET_MOVED_TO_TIERED_STORAGE,
        ]
        .map(code),
    );
    cases.push(code(ErrorCode::OFFSET_OUT_OF_RANGE).rereads().quick(Mode::ForEver));
    cases
}
