//! Fetch (key 1): reads record batches from partitions.
//!
//! The leader answers, from version 11 on a follower near the client too (KIP-392). Controllers serve it among
//! themselves. The broker holds the answer back until there is enough to tell or the wait is over.
//!
//! | version | what changed |
//! | --- | --- |
//! | 4 | the oldest that Kafka 4 serves: record format 2, isolation level, aborted transactions (KIP-98) |
//! | 5 | log start offset (KIP-107) |
//! | 6 | KAFKA_STORAGE_ERROR may come back (KIP-112) |
//! | 7 | fetch sessions: only what changed is asked and told (KIP-227) |
//! | 8 | the broker answers before it throttles (KIP-219) |
//! | 9 | the client tells its leader epoch (KIP-320) |
//! | 10 | zstd is allowed (KIP-110) |
//! | 11 | rack of the client, preferred replica in the answer (KIP-392) |
//! | 12 | flexible; divergence from the epoch of the last record, new leader, snapshot id (KIP-595) |
//! | 13 | topic ids instead of names (KIP-516); UNKNOWN_TOPIC_ID may come back |
//! | 14 | OFFSET_MOVED_TO_TIERED_STORAGE may come back (KIP-405) |
//! | 15 | followers tell their epoch, in a field of their own (KIP-903) |
//! | 16 | addresses of new leaders (KIP-951) |
//! | 17 | followers tell their directory (KIP-853) |
//! | 18 | followers tell their high watermark (KIP-1166) |
//!
//! What only followers use is here because the embedded broker reads any request and the fuzzer every field.

use super::{
    BrokerId, CurrentLeader, ErrorCode, IsolationLevel, LeaderEpoch, NodeEndpoint, ProducerId, RecordSet,
};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// What to read, and how long to wait for it.
    pub struct FetchRequest {
        /// -1 for a consumer; from version 15 on in `replica_state`.
        0..=14 => replica_id: BrokerId = BrokerId::NONE;
        /// How long the broker may hold the answer back, in milliseconds.
        0..    => max_wait_ms: i32;
        /// How many bytes are enough to answer at once.
        0..    => min_bytes: i32;
        /// The most bytes of the answer; a first batch that is larger comes whole all the same (KIP-74).
        3..    => max_bytes: i32 = i32::MAX, ignorable;
        4..    => isolation_level: IsolationLevel, ignorable;
        /// 0 for none, or to ask for a session.
        7..    => session_id: i32, ignorable;
        /// Counts the requests of a session: 0 opens one, -1 is outside of any or closes the one named.
        7..    => session_epoch: i32 = -1, ignorable;
        /// What to read; within a session what to add or change. Served in this order.
        0..    => topics: Vec<FetchTopic>;
        /// What to take out of the session.
        7..    => forgotten_topics_data: Vec<ForgottenTopic>;
        /// The consumer's rack, empty for none.
        11..   => rack_id: Text, ignorable;
    }
    tags {
        /// Checked by controllers before a broker is registered.
        0: 12.. => cluster_id: Option<Text>, null 12.., ignorable;
        1: 15.. => replica_state: ReplicaState;
    }

    /// Which follower asks; both -1 for a consumer.
    pub struct ReplicaState {
        15.. => replica_id: BrokerId = BrokerId::NONE;
        15.. => replica_epoch: i64 = -1;
    }

    /// The partitions of one topic to read.
    pub struct FetchTopic {
        0..=12 => topic: Text, ignorable;
        13..   => topic_id: Uuid, ignorable;
        0..    => partitions: Vec<FetchPartition>;
    }

    /// Where to read in one partition.
    pub struct FetchPartition {
        0..  => partition: i32;
        /// The epoch of the leader that the client means; the broker refuses an older or a newer one.
        9..  => current_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        0..  => fetch_offset: i64;
        /// The epoch of the last record read, so that the broker can tell divergence; -1 when not known.
        12.. => last_fetched_epoch: LeaderEpoch = LeaderEpoch::NONE;
        /// Of a follower; -1 for a consumer.
        5..  => log_start_offset: i64 = -1, ignorable;
        /// The most bytes of this partition; a first batch that is larger comes whole all the same (KIP-74).
        0..  => partition_max_bytes: i32;
    }
    tags {
        /// The follower's directory.
        0: 17.. => replica_directory_id: Uuid, ignorable;
        /// The high watermark that the follower knows: -1 for none, the largest number when it does not say.
        1: 18.. => high_watermark: i64 = i64::MAX, ignorable;
    }

    /// Partitions of one topic to take out of the session.
    pub struct ForgottenTopic {
        7..=12 => topic: Text, ignorable;
        13..   => topic_id: Uuid, ignorable;
        7..    => partitions: Vec<i32>;
    }

    /// What was read. Within a session only partitions with news are told.
    pub struct FetchResponse {
        1.. => throttle_time_ms: i32, ignorable;
        /// Of the request as a whole, for example of its session.
        7.. => error_code: ErrorCode, ignorable;
        /// The session that the broker keeps, 0 for none.
        7.. => session_id: i32;
        0.. => responses: Vec<FetchTopicResponse>;
    }
    tags {
        /// Where the leaders are that the partitions name.
        0: 16.. => node_endpoints: Vec<NodeEndpoint>;
    }

    /// What was read of one topic.
    pub struct FetchTopicResponse {
        0..=12 => topic: Text, ignorable;
        13..   => topic_id: Uuid, ignorable;
        0..    => partitions: Vec<FetchPartitionResponse>;
    }

    /// What was read of one partition.
    pub struct FetchPartitionResponse {
        0..  => partition_index: i32;
        0..  => error_code: ErrorCode;
        /// The offset behind the last record that all in-sync replicas have; -1 with an error.
        0..  => high_watermark: i64;
        /// The offset before which every transaction is decided; -1 with an error.
        4..  => last_stable_offset: i64 = -1, ignorable;
        5..  => log_start_offset: i64 = -1, ignorable;
        /// The aborted transactions among the records, with READ_COMMITTED; null without.
        4..  => aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()), null 4.., ignorable;
        /// A replica nearer to the client, to read from until further notice; -1 for none.
        11.. => preferred_read_replica: BrokerId = BrokerId::NONE;
        /// Record batches; the first may start before the offset asked for and the last may be cut off.
        0..  => records: Option<RecordSet>, null 0..;
    }
    tags {
        /// Set when the log has parted from what the client read: truncate to the smaller of both ends.
        0: 12.. => diverging_epoch: EpochEndOffset;
        1: 12.. => current_leader: CurrentLeader;
        /// For controllers that fetch an offset which only a snapshot has.
        2: 12.. => snapshot_id: SnapshotId;
    }

    /// The largest epoch up to which both logs agree, and its end in the broker's; both -1 when nothing diverged.
    pub struct EpochEndOffset {
        12.. => epoch: LeaderEpoch = LeaderEpoch::NONE;
        12.. => end_offset: i64 = -1;
    }

    /// The snapshot to read instead; both -1 for none.
    pub struct SnapshotId {
        0.. => end_offset: i64 = -1;
        0.. => epoch: LeaderEpoch = LeaderEpoch::NONE;
    }

    /// A transaction whose records, from `first_offset` to its abort marker, a READ_COMMITTED consumer skips.
    pub struct AbortedTransaction {
        4.. => producer_id: ProducerId;
        4.. => first_offset: i64;
    }
}
