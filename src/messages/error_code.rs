//! The error codes of the protocol: number, Kafka's name, what it means, and whether trying again can help.
//!
//! A code is a number first: one that this table does not know is carried as it came, so that a newer broker never
//! breaks decoding. Whether a code is retriable, and what has to be looked up again first, is what the exception
//! classes of Apache Kafka 4.3 say; what a client does about it (how often, how long, on which broker) is decided in one
//! place above, never here.

use crate::wire::schema::Type;
use crate::wire::{Reader, Sink, Wire};
use std::fmt;

/// An error code of the Kafka protocol, known or not.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What an error code asks of the one who gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Nothing: it is no error.
    Success,
    /// This request failed and would fail again; others are not concerned.
    Failed,
    /// The same request to the same broker can succeed after a pause.
    Retriable,
    /// The same request can succeed once metadata was refreshed: what the client knows of leaders or topics is old.
    StaleMetadata,
    /// The same request can succeed once the coordinator was looked up again.
    StaleCoordinator,
    /// The transaction under way has to be aborted; the producer goes on with the next one.
    Abortable,
    /// The client that got it cannot go on: it was fenced, is not let in, or asked for what the broker cannot do.
    Fatal,
}

impl ErrorCode {
    /// `Ok` for [`ErrorCode::NONE`], the code itself for every other.
    ///
    /// # Errors
    /// The code, unless it is [`ErrorCode::NONE`].
    pub fn ok(self) -> Result<(), ErrorCode> {
        if self == ErrorCode::NONE { Ok(()) } else { Err(self) }
    }

    /// Whether this is [`ErrorCode::NONE`].
    pub fn is_none(self) -> bool {
        self == ErrorCode::NONE
    }

    /// Whether the table of Kafka 4.3 has this code.
    pub fn is_known(self) -> bool {
        self.row().is_some()
    }

    /// Kafka's name, `UNKNOWN_ERROR_CODE` for a code that is newer than this table.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_ERROR_CODE", |row| row.name)
    }

    /// What the code means, in one sentence.
    pub fn description(self) -> &'static str {
        self.row().map_or("The broker sent an error code that this version of ottla does not know.", |row| {
            row.description
        })
    }

    /// What the code asks for. [`ErrorClass::Failed`] for an unknown code: only the caller knows whether repeating its
    /// request is harmless, and can ask [`is_known`](ErrorCode::is_known).
    pub fn class(self) -> ErrorClass {
        self.row().map_or(ErrorClass::Failed, |row| row.class)
    }

    /// Whether the same request can succeed later (Java's `RetriableException`).
    pub fn is_retriable(self) -> bool {
        use ErrorClass::{Retriable, StaleCoordinator, StaleMetadata};
        matches!(self.class(), Retriable | StaleMetadata | StaleCoordinator)
    }

    /// Whether the client's metadata is out of date (Java's `InvalidMetadataException`).
    pub fn is_stale_metadata(self) -> bool {
        self.class() == ErrorClass::StaleMetadata
    }

    /// Whether the client that got it cannot go on.
    pub fn is_fatal(self) -> bool {
        self.class() == ErrorClass::Fatal
    }

    /// Whether the transaction under way must be aborted.
    pub fn needs_abort(self) -> bool {
        self.class() == ErrorClass::Abortable
    }

    /// Every known code, ascending.
    pub fn all() -> impl Iterator<Item = ErrorCode> {
        TABLE.iter().map(|row| row.code)
    }

    fn row(self) -> Option<&'static Row> {
        // The codes are contiguous from -1, which a test holds.
        let index = usize::try_from(self.0.checked_add(1)?).ok()?;
        TABLE.get(index)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorCode {}

impl Wire for ErrorCode {
    const TYPE: Type = i16::TYPE;

    #[inline(always)]
    fn min_wire(version: i16, flexible: bool) -> usize {
        i16::min_wire(version, flexible)
    }

    #[inline(always)]
    fn encode<S: Sink>(&self, sink: &mut S) {
        self.0.encode(sink);
    }

    #[inline(always)]
    fn decode(reader: &mut Reader<'_>) -> ErrorCode {
        ErrorCode(i16::decode(reader))
    }

    fn faults(&self, see: &mut dyn FnMut(i16)) {
        if !self.is_none() {
            see(self.0);
        }
    }
}

struct Row {
    code: ErrorCode,
    name: &'static str,
    description: &'static str,
    class: ErrorClass,
}

/// One row a code: number, Kafka's name, class, one sentence.
macro_rules! error_codes {
    ($( $code:literal $name:ident $class:ident $description:literal; )*) => {
        #[allow(missing_docs, reason = "each constant's documentation is its row's sentence")]
        impl ErrorCode {
            $( #[doc = $description] pub const $name: ErrorCode = ErrorCode($code); )*
        }

        static TABLE: &[Row] = &[
            $( Row {
                code: ErrorCode::$name,
                name: stringify!($name),
                description: $description,
                class: ErrorClass::$class,
            }, )*
        ];
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Failed "The broker failed in a way it has no code for; its own log says more.";
    0 NONE Success "No error.";
    1 OFFSET_OUT_OF_RANGE Failed "The offset lies before the log start offset or behind the end of the log.";
    2 CORRUPT_MESSAGE Retriable "A record batch failed its checksum or is otherwise damaged.";
    3 UNKNOWN_TOPIC_OR_PARTITION StaleMetadata "The broker has no such topic or partition, or does not know it yet.";
    4 INVALID_FETCH_SIZE Failed "The fetch size is not one that the broker accepts.";
    5 LEADER_NOT_AVAILABLE StaleMetadata "The partition has no leader at the moment; an election is under way.";
    6 NOT_LEADER_OR_FOLLOWER StaleMetadata "The broker is not the partition's leader, or holds no replica of it.";
    7 REQUEST_TIMED_OUT Retriable "The broker gave up before the request was done; it may still take effect.";
    8 BROKER_NOT_AVAILABLE Failed "The broker that is needed is not alive.";
    9 REPLICA_NOT_AVAILABLE StaleMetadata "The replica that is asked for is not available on this broker.";
    10 MESSAGE_TOO_LARGE Failed "A record batch is larger than the topic allows (max.message.bytes).";
    11 STALE_CONTROLLER_EPOCH Failed "The request comes from a controller that has been replaced.";
    12 OFFSET_METADATA_TOO_LARGE Failed "The text stored beside a committed offset is too long (offset.metadata.max.bytes).";
    13 NETWORK_EXCEPTION StaleMetadata "The connection ended before an answer came.";
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable "The coordinator is still reading its state and answers soon.";
    15 COORDINATOR_NOT_AVAILABLE StaleCoordinator "No coordinator is available at the moment.";
    16 NOT_COORDINATOR StaleCoordinator "The broker is not the coordinator of this group or transactional id.";
    17 INVALID_TOPIC_EXCEPTION Failed "The topic's name is not valid, or the topic may not be used in this way.";
    18 RECORD_LIST_TOO_LARGE Failed "A record batch is larger than a log segment of the topic (segment.bytes).";
    19 NOT_ENOUGH_REPLICAS Retriable "Fewer replicas are in sync than min.insync.replicas asks for; nothing was written.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable "Written to the leader's log, but to fewer in-sync replicas than are required.";
    21 INVALID_REQUIRED_ACKS Failed "The number of acknowledgements asked for is not -1, 0 or 1.";
    22 ILLEGAL_GENERATION Failed "The generation is not the group's present one.";
    23 INCONSISTENT_GROUP_PROTOCOL Failed "The member shares no protocol with the other members of the group.";
    24 INVALID_GROUP_ID Failed "The group id is empty or otherwise not valid.";
    25 UNKNOWN_MEMBER_ID Failed "The coordinator does not know this member of the group.";
    26 INVALID_SESSION_TIMEOUT Failed "The session time-out is outside the range that the broker allows.";
    27 REBALANCE_IN_PROGRESS Failed "The group is rebalancing and the member has to join again.";
    28 INVALID_COMMIT_OFFSET_SIZE Failed "The committed offsets are too large to be stored.";
    29 TOPIC_AUTHORIZATION_FAILED Failed "The principal may not do this to the topic.";
    30 GROUP_AUTHORIZATION_FAILED Failed "The principal may not do this to the group.";
    31 CLUSTER_AUTHORIZATION_FAILED Failed "The principal may not do this to the cluster.";
    32 INVALID_TIMESTAMP Failed "A record's timestamp is too far from the broker's clock.";
    33 UNSUPPORTED_SASL_MECHANISM Fatal "The broker does not offer this SASL mechanism on this listener.";
    34 ILLEGAL_SASL_STATE Fatal "The request is out of place at this point of the SASL exchange.";
    35 UNSUPPORTED_VERSION Failed "The broker does not know this version of the API.";
    36 TOPIC_ALREADY_EXISTS Failed "A topic of this name exists already.";
    37 INVALID_PARTITIONS Failed "The number of partitions is not a possible one.";
    38 INVALID_REPLICATION_FACTOR Failed "The replication factor is below one or above the number of brokers.";
    39 INVALID_REPLICA_ASSIGNMENT Failed "The assignment of replicas to brokers is not valid.";
    40 INVALID_CONFIG Failed "A configuration key or value is not valid.";
    41 NOT_CONTROLLER Retriable "The broker is not the controller.";
    42 INVALID_REQUEST Failed "The request contradicts itself or the protocol; the broker's log says more.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Failed "The topic's record format is too old for what is asked.";
    44 POLICY_VIOLATION Failed "A policy of the cluster forbids this.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Failed "A sequence number came that does not follow the producer's last one.";
    46 DUPLICATE_SEQUENCE_NUMBER Failed "The batch was written before, too long ago to tell its offset.";
    47 INVALID_PRODUCER_EPOCH Fatal "The producer's epoch is older than the one that the broker knows.";
    48 INVALID_TXN_STATE Fatal "The transaction is not in a state that allows this.";
    49 INVALID_PRODUCER_ID_MAPPING Fatal "The producer id does not belong to this transactional id.";
    50 INVALID_TRANSACTION_TIMEOUT Failed "The transaction time-out is above the broker's limit (transaction.max.timeout.ms).";
    51 CONCURRENT_TRANSACTIONS Retriable "The previous transaction of this transactional id is still being completed.";
    52 TRANSACTION_COORDINATOR_FENCED Failed "The transaction coordinator that wrote a marker has been replaced.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Fatal "The principal may not use this transactional id.";
    54 SECURITY_DISABLED Failed "The broker has no authorizer, so there are no ACLs to manage.";
    55 OPERATION_NOT_ATTEMPTED Failed "The broker left this part of the request undone because another part failed.";
    56 KAFKA_STORAGE_ERROR StaleMetadata "The broker cannot use the disk that holds the log.";
    57 LOG_DIR_NOT_FOUND Failed "The broker has no such log directory.";
    58 SASL_AUTHENTICATION_FAILED Fatal "The broker refused the credentials.";
    59 UNKNOWN_PRODUCER_ID Failed "The broker holds no state of this producer id for the partition, for example because its records expired.";
    60 REASSIGNMENT_IN_PROGRESS Failed "The partition's replicas are being reassigned.";
    61 DELEGATION_TOKEN_AUTH_DISABLED Failed "The cluster does not offer delegation tokens.";
    62 DELEGATION_TOKEN_NOT_FOUND Failed "The cluster has no such delegation token.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Failed "The principal neither owns nor may renew this delegation token.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Failed "Delegation tokens cannot be asked for on a connection that is authenticated in this way.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Failed "The principal may not use this delegation token.";
    66 DELEGATION_TOKEN_EXPIRED Failed "The delegation token has expired.";
    67 INVALID_PRINCIPAL_TYPE Failed "The principal is of a type that the broker does not support.";
    68 NON_EMPTY_GROUP Failed "The group still has members.";
    69 GROUP_ID_NOT_FOUND Failed "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND Retriable "The broker no longer holds this fetch session.";
    71 INVALID_FETCH_SESSION_EPOCH Retriable "The fetch session's epoch is not the one that the broker expects.";
    72 LISTENER_NOT_FOUND StaleMetadata "The partition's leader has no listener of the kind that the client is connected to.";
    73 TOPIC_DELETION_DISABLED Failed "The cluster does not allow topics to be deleted (delete.topic.enable).";
    74 FENCED_LEADER_EPOCH StaleMetadata "The leader epoch of the request is older than the broker's.";
    75 UNKNOWN_LEADER_EPOCH Retriable "The leader epoch of the request is newer than the broker's.";
    76 UNSUPPORTED_COMPRESSION_TYPE Failed "The version of the request cannot carry the codec of these records.";
    77 STALE_BROKER_EPOCH Failed "The broker's registration has been replaced by a newer one.";
    78 OFFSET_NOT_AVAILABLE Retriable "The new leader does not know its high watermark yet.";
    79 MEMBER_ID_REQUIRED Failed "The member has to join again with the member id of the answer.";
    80 PREFERRED_LEADER_NOT_AVAILABLE StaleMetadata "The preferred leader is not alive or not in sync.";
    81 GROUP_MAX_SIZE_REACHED Failed "The group has as many members as it may have.";
    82 FENCED_INSTANCE_ID Fatal "Another member has taken over this group instance id.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE StaleMetadata "No replica of the partition can become its leader.";
    84 ELECTION_NOT_NEEDED StaleMetadata "The partition is led already as the election would have it.";
    85 NO_REASSIGNMENT_IN_PROGRESS Failed "No reassignment of this partition is under way.";
    86 GROUP_SUBSCRIBED_TO_TOPIC Failed "The group is subscribed to the topic, so its offsets cannot be deleted.";
    87 INVALID_RECORD Failed "The broker's validation refused a record.";
    88 UNSTABLE_OFFSET_COMMIT Retriable "A transaction that commits these offsets is still open.";
    89 THROTTLING_QUOTA_EXCEEDED Retriable "The quota for requests of this kind is used up.";
    90 PRODUCER_FENCED Fatal "A newer producer with the same transactional id has taken over.";
    91 RESOURCE_NOT_FOUND Failed "The request names something that does not exist.";
    92 DUPLICATE_RESOURCE Failed "The request names the same thing twice.";
    93 UNACCEPTABLE_CREDENTIAL Failed "The credential does not meet the broker's rules.";
    94 INCONSISTENT_VOTER_SET Failed "Sender or receiver is not among the voters that were expected.";
    95 INVALID_UPDATE_VERSION Failed "The version given for the update is not valid.";
    96 FEATURE_UPDATE_FAILED Failed "The cluster's features could not be changed because of an error in the broker.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Failed "A forwarded request's principal could not be read inside the cluster.";
    98 SNAPSHOT_NOT_FOUND Failed "There is no such snapshot.";
    99 POSITION_OUT_OF_RANGE Failed "The position lies outside the snapshot.";
    100 UNKNOWN_TOPIC_ID StaleMetadata "The broker has no topic of this id, or does not know it yet.";
    101 DUPLICATE_BROKER_REGISTRATION Failed "Another live broker uses this broker id.";
    102 BROKER_ID_NOT_REGISTERED Failed "No broker is registered under this id.";
    103 INCONSISTENT_TOPIC_ID StaleMetadata "The log belongs to another topic id than the one in the request.";
    104 INCONSISTENT_CLUSTER_ID Failed "The request is meant for another cluster.";
    105 TRANSACTIONAL_ID_NOT_FOUND Failed "The coordinator knows no such transactional id.";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable "The fetch session mixes requests with topic ids and with names.";
    107 INELIGIBLE_REPLICA Failed "The new ISR holds a replica that may not be in it.";
    108 NEW_LEADER_ELECTED Failed "The partition was changed as asked, and its leader with it.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Failed "The offset is only in tiered storage by now.";
    110 FENCED_MEMBER_EPOCH Failed "The member's epoch is out of date; it has to give up its partitions and join again.";
    111 UNRELEASED_INSTANCE_ID Failed "The group instance id still belongs to a member that has not left.";
    112 UNSUPPORTED_ASSIGNOR Fatal "The group's coordinator does not support this assignor.";
    113 STALE_MEMBER_EPOCH Failed "The member's epoch changed; the next heartbeat brings the new one.";
    114 MISMATCHED_ENDPOINT_TYPE Failed "The request went to a broker where a controller was meant, or the other way round.";
    115 UNSUPPORTED_ENDPOINT_TYPE Failed "Endpoints of this type are not supported.";
    116 UNKNOWN_CONTROLLER_ID Failed "There is no controller of this id.";
    117 UNKNOWN_SUBSCRIPTION_ID Failed "The telemetry subscription is not valid any more.";
    118 TELEMETRY_TOO_LARGE Failed "The pushed telemetry is larger than the broker accepts.";
    119 INVALID_REGISTRATION Failed "The controller refuses the broker's registration.";
    120 TRANSACTION_ABORTABLE Abortable "The transaction failed; once aborted, the producer can go on.";
    121 INVALID_RECORD_STATE Failed "The record is not in a state in which it can be acknowledged.";
    122 SHARE_SESSION_NOT_FOUND Retriable "The broker no longer holds this share session.";
    123 INVALID_SHARE_SESSION_EPOCH Retriable "The share session's epoch is not the one that the broker expects.";
    124 FENCED_STATE_EPOCH Failed "The share group's state epoch does not match the coordinator's.";
    125 INVALID_VOTER_KEY Failed "The voter's key is not that of the replica which received the request.";
    126 DUPLICATE_VOTER Failed "The voter is in the set of voters already.";
    127 VOTER_NOT_FOUND Failed "The voter is not in the set of voters.";
    128 INVALID_REGULAR_EXPRESSION Failed "The broker cannot compile the regular expression of the subscription.";
    129 REBOOTSTRAP_REQUIRED Failed "The client's view of the cluster is too old; it has to start from its bootstrap servers again.";
    130 STREAMS_INVALID_TOPOLOGY Failed "The topology of the streams group is not valid.";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Failed "The topology epoch of the streams group is not valid.";
    132 STREAMS_TOPOLOGY_FENCED Failed "The topology epoch of the streams group is out of date.";
    133 SHARE_SESSION_LIMIT_REACHED Retriable "The broker holds as many share sessions as it may.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_kafka_4_3_is_there_and_lies_at_its_index() {
        assert_eq!(TABLE.len(), 135);
        for (code, row) in (-1i16..).zip(TABLE) {
            assert_eq!(row.code.0, code, "{}", row.name);
            assert!(row.description.ends_with('.'), "{} is described by a sentence", row.name);
        }
        assert_eq!(ErrorCode::all().last(), Some(ErrorCode::SHARE_SESSION_LIMIT_REACHED));
    }

    /// Counted over the exception classes of kafka-clients 4.3.1.
    #[test]
    fn as_many_codes_are_retriable_as_in_java() {
        let count = |class| ErrorCode::all().filter(|code| code.class() == class).count();
        assert_eq!(count(ErrorClass::StaleMetadata), 13);
        assert_eq!(count(ErrorClass::StaleCoordinator), 2);
        assert_eq!(count(ErrorClass::Retriable), 17);
        assert_eq!(ErrorCode::all().filter(|code| code.is_retriable()).count(), 32);
    }

    #[test]
    fn a_code_shows_name_and_number() {
        assert_eq!(ErrorCode::NOT_LEADER_OR_FOLLOWER.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
        assert_eq!(format!("{:?}", ErrorCode(-1)), "UNKNOWN_SERVER_ERROR (-1)");
    }

    #[test]
    fn a_code_reports_itself_unless_it_is_none() {
        let codes = vec![ErrorCode(0), ErrorCode(6), ErrorCode(999)];
        let mut seen = Vec::new();
        codes.faults(&mut |code| seen.push(code));
        assert_eq!(seen, [6, 999]);
    }

    #[test]
    fn an_unknown_code_is_carried() {
        for code in [ErrorCode(134), ErrorCode(-2), ErrorCode(i16::MAX), ErrorCode(i16::MIN)] {
            assert!(!code.is_known() && !code.is_retriable());
            assert_eq!(code.to_string(), format!("UNKNOWN_ERROR_CODE ({})", code.0));
            assert_eq!(code.ok(), Err(code));
        }
        assert_eq!(ErrorCode::NONE.ok(), Ok(()));
    }
}
