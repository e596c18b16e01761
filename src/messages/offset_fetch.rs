//! OffsetFetch (key 9): where groups are to read on.
//!
//! The coordinator of each group answers. What was never committed has offset -1 and no error.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1 | the oldest that Kafka 4 serves: offsets that Kafka itself keeps |
//! | 2 | all topics by naming none (null); an error code of the whole answer (KIP-88) |
//! | 3 | throttle time (KIP-124) |
//! | 4 | the broker answers before it throttles (KIP-219) |
//! | 5 | leader epoch of the last record read (KIP-320) |
//! | 6 | flexible |
//! | 7 | UNSTABLE_OFFSET_COMMIT instead of an offset that a transaction may still change (KIP-447) |
//! | 8 | many groups in one request (KIP-709) |
//! | 9 | who asks, for members of the new protocol (KIP-848) |
//! | 10 | topics by id (KIP-848) |
//!
//! [`OffsetFetchRequest::one`] and [`OffsetFetchResponse::into_groups`] speak of groups in every version.

use super::{ErrorCode, LeaderEpoch, MemberEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// Whose offsets to tell, of which partitions.
    pub struct OffsetFetchRequest {
        0..=7 => group_id: Text;
        0..=7 => topics: Option<Vec<OffsetFetchNamedTopic>> = Some(Vec::new()), null 2..=7;
        8.. => groups: Vec<OffsetFetchGroup>;
        /// Whether an offset that an open transaction may still change is an error.
        7.. => require_stable: bool;
    }

    /// The partitions of one topic before version 8.
    pub struct OffsetFetchNamedTopic {
        0..=7 => name: Text;
        0..=7 => partition_indexes: Vec<i32>;
    }

    /// The topics of one group.
    pub struct OffsetFetchGroup {
        8.. => group_id: Text;
        /// Who asks, of a member of the new protocol.
        9.. => member_id: Option<Text>, null 9.., ignorable;
        9.. => member_epoch: MemberEpoch = MemberEpoch::NONE, ignorable;
        /// Null for all that have an offset.
        8.. => topics: Option<Vec<OffsetFetchTopic>> = Some(Vec::new()), null 8..;
    }

    /// The partitions of one topic.
    pub struct OffsetFetchTopic {
        8..=9 => name: Text, ignorable;
        10.. => topic_id: Uuid, ignorable;
        8.. => partition_indexes: Vec<i32>;
    }

    /// The offsets.
    pub struct OffsetFetchResponse {
        3.. => throttle_time_ms: i32, ignorable;
        0..=7 => topics: Vec<OffsetFetchNamedTopicResponse>;
        2..=7 => error_code: ErrorCode, ignorable;
        8.. => groups: Vec<OffsetFetchGroupResponse>;
    }

    /// The offsets of one topic before version 8.
    pub struct OffsetFetchNamedTopicResponse {
        0..=7 => name: Text;
        0..=7 => partitions: Vec<OffsetFetchNamedPartitionResponse>;
    }

    /// The offset of one partition before version 8.
    pub struct OffsetFetchNamedPartitionResponse {
        0..=7 => partition_index: i32;
        0..=7 => committed_offset: i64;
        5..=7 => committed_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        0..=7 => metadata: Option<Text> = Some(Text::default()), null 0..=7;
        0..=7 => error_code: ErrorCode;
    }

    /// The offsets of one group, or why there are none.
    pub struct OffsetFetchGroupResponse {
        8.. => group_id: Text;
        8.. => topics: Vec<OffsetFetchTopicResponse>;
        8.. => error_code: ErrorCode;
    }

    /// The offsets of one topic.
    pub struct OffsetFetchTopicResponse {
        8..=9 => name: Text, ignorable;
        10.. => topic_id: Uuid, ignorable;
        8.. => partitions: Vec<OffsetFetchPartitionResponse>;
    }

    /// The offset of one partition.
    pub struct OffsetFetchPartitionResponse {
        8.. => partition_index: i32;
        /// The offset to read next; -1 when there is none.
        8.. => committed_offset: i64;
        /// That of the record before it; -1 when the committer did not say.
        8.. => committed_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// What the application gave with the offset.
        8.. => metadata: Option<Text> = Some(Text::default()), null 8..;
        8.. => error_code: ErrorCode;
    }
}

impl OffsetFetchRequest {
    /// Asks for the offsets of one group, in a way that suits `version`. All topics (`None`) need version 2, stable
    /// offsets version 7, topics by id version 10; encoding a request in an older version is an error, but for the ids,
    /// which are left out.
    pub fn one(group: OffsetFetchGroup, require_stable: bool, version: i16) -> OffsetFetchRequest {
        if version >= 8 {
            return OffsetFetchRequest {
                groups: vec![group],
                require_stable,
                ..OffsetFetchRequest::default()
            };
        }
        let named = |topic: OffsetFetchTopic| {
            let OffsetFetchTopic { name, partition_indexes, .. } = topic;
            OffsetFetchNamedTopic { name, partition_indexes }
        };
        OffsetFetchRequest {
            group_id: group.group_id,
            topics: group.topics.map(|topics| topics.into_iter().map(named).collect()),
            require_stable,
            ..OffsetFetchRequest::default()
        }
    }
}

impl OffsetFetchResponse {
    /// The answers, one for each group, whatever the version; `group_id` is what was asked for before version 8, whose
    /// response does not repeat it.
    pub fn into_groups(self, group_id: Text, version: i16) -> Vec<OffsetFetchGroupResponse> {
        if version >= 8 {
            return self.groups;
        }
        let topics = self.topics.into_iter().map(OffsetFetchTopicResponse::from).collect();
        vec![OffsetFetchGroupResponse { group_id, topics, error_code: self.error_code }]
    }
}

impl From<OffsetFetchNamedTopicResponse> for OffsetFetchTopicResponse {
    fn from(topic: OffsetFetchNamedTopicResponse) -> OffsetFetchTopicResponse {
        let partitions = topic.partitions.into_iter().map(OffsetFetchPartitionResponse::from).collect();
        OffsetFetchTopicResponse { name: topic.name, topic_id: Uuid::default(), partitions }
    }
}

impl From<OffsetFetchNamedPartitionResponse> for OffsetFetchPartitionResponse {
    fn from(partition: OffsetFetchNamedPartitionResponse) -> OffsetFetchPartitionResponse {
        let OffsetFetchNamedPartitionResponse {
            partition_index,
            committed_offset,
            committed_leader_epoch,
            metadata,
            error_code,
        } = partition;
        OffsetFetchPartitionResponse {
            partition_index,
            committed_offset,
            committed_leader_epoch,
            metadata,
            error_code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Fault, Wire, decode, encode, size};
    use bytes::BytesMut;

    fn again<T: Wire>(message: &T, version: i16) -> T {
        let mut body = BytesMut::new();
        encode(message, version, version >= 6, &mut body).unwrap();
        decode(&body.freeze(), version, version >= 6).unwrap()
    }

    fn orders(topics: Option<Vec<OffsetFetchTopic>>) -> OffsetFetchGroup {
        OffsetFetchGroup { group_id: "billing".into(), topics, ..Default::default() }
    }

    #[test]
    fn one_group_is_asked_for_alike_in_every_version() {
        let topic =
            OffsetFetchTopic { name: "orders".into(), partition_indexes: vec![0, 3], ..Default::default() };
        for version in 1..=9 {
            let request = OffsetFetchRequest::one(orders(Some(vec![topic.clone()])), version >= 7, version);
            assert_eq!(again(&request, version), request, "version {version}");
        }
    }

    #[test]
    fn what_an_old_version_cannot_ask_for_is_refused_when_it_is_written() {
        let fault = |all: bool, stable, version| {
            let topics = if all { None } else { Some(Vec::new()) };
            let request = OffsetFetchRequest::one(orders(topics), stable, version);
            size(&request, version, version >= 6).map_err(|error| (error.fault, error.field))
        };
        assert_eq!(fault(true, false, 1), Err((Fault::Null, "topics")));
        assert!(fault(true, false, 2).is_ok() && fault(true, true, 8).is_ok());
        assert_eq!(fault(false, true, 6), Err((Fault::NotInVersion(6), "require_stable")));
    }

    #[test]
    fn the_answer_is_a_list_of_groups_in_every_version() {
        let partition = OffsetFetchNamedPartitionResponse {
            partition_index: 3,
            committed_offset: 42,
            committed_leader_epoch: LeaderEpoch(7),
            metadata: Some("by hand".into()),
            error_code: ErrorCode::UNSTABLE_OFFSET_COMMIT,
        };
        let topic = OffsetFetchNamedTopicResponse { name: "orders".into(), partitions: vec![partition] };
        let old = OffsetFetchResponse { topics: vec![topic], ..Default::default() };
        let found = again(&old, 7).into_groups("billing".into(), 7);
        let [group] = &found[..] else { panic!("one group: {found:?}") };
        assert_eq!((group.group_id.as_str(), group.topics[0].name.as_str()), ("billing", "orders"));
        let found_partition = &group.topics[0].partitions[0];
        assert_eq!((found_partition.partition_index, found_partition.committed_offset), (3, 42));
        assert_eq!(found_partition.error_code, ErrorCode::UNSTABLE_OFFSET_COMMIT);
        let new = OffsetFetchResponse { groups: found.clone(), ..Default::default() };
        assert_eq!(again(&new, 8).into_groups(Text::default(), 8), found);
    }

    #[test]
    fn an_error_of_the_whole_answer_is_the_groups() {
        let old = OffsetFetchResponse { error_code: ErrorCode::NOT_COORDINATOR, ..Default::default() };
        let found = again(&old, 7).into_groups("billing".into(), 7);
        assert_eq!(found[0].error_code, ErrorCode::NOT_COORDINATOR);
    }
}
