//! The table of the APIs that we speak, and what follows from a row.
//!
//! A row names the messages of an API, its versions, and how its requests travel: which broker has to answer, on which
//! of that broker's connections, and whether a request may be sent again when nobody knows what became of it. The layers
//! above ask the row; they have no list of their own. From the same rows come [`AnyRequest`] and [`AnyResponse`], for
//! those who learn from the wire what they have in hand: the serving side, the fuzzer, the conformance tests.

use super::*;
use crate::wire::schema::Type;
use crate::wire::{Reader, Sink, Span, Wire, WireError, decode, encode};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// What there is to know of one API.
#[derive(Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The versions that we encode and decode.
    pub versions: Span,
    /// The versions that we offer or agree on: without those that Kafka has not declared stable.
    pub negotiable: Span,
    /// The flexible versions (KIP-482).
    pub flexible: Span,
    /// The versions in which the broker answers at once and the client holds back for the throttle time (KIP-219).
    pub client_throttles: Span,
    /// Which broker has to answer.
    pub route: Route,
    /// On which of its connections.
    pub lane: Lane,
    /// Whether doing it twice is as good as doing it once, so that it may be sent again when its answer was lost.
    pub repeatable: bool,
    /// The fields of its request.
    pub request: Type,
    /// The fields of its response.
    pub response: Type,
}

/// Which broker has to answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Any.
    Any,
    /// The controller, or any broker that forwards to it.
    Controller,
    /// The leader of each partition that is named; a request may have to be divided.
    Leader,
    /// The coordinator of each group that is named; a request that names many may have to be divided.
    GroupCoordinator,
    /// The coordinator of the transactional id; any broker where the request names none.
    TransactionCoordinator,
    /// One broker that the caller names, for example the one at the other end of this connection.
    Node,
}

/// On which of a broker's connections a request goes. A broker answers the requests of a connection one after the other,
/// so those that it may hold back have connections of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What is answered at once.
    Normal,
    /// Record batches out; ordered, so nothing may come between.
    Produce,
    /// Record batches in; waits for records.
    Fetch,
    /// Group membership; joining waits for the other members. Who leaves does not go here, or he would wait for them, too.
    Group,
    /// Administration, which may take as long as its own time-out.
    Slow,
}

impl Api {
    /// Kafka's name.
    pub fn name(&self) -> &'static str {
        self.key.name()
    }

    /// The highest version that both sides negotiate, given what a broker lists.
    pub fn negotiate(&self, broker: Span) -> Option<i16> {
        let both = self.negotiable.intersect(broker);
        (!both.is_empty()).then_some(both.last)
    }

    /// The version of the header in front of its requests. Also for versions that are newer than we know.
    pub fn request_header_version(&self, version: i16) -> i16 {
        if self.flexible.has(version) { 2 } else { 1 }
    }

    /// The version of the header in front of its responses.
    pub fn response_header_version(&self, version: i16) -> i16 {
        // The client of ApiVersions reads the answer before it knows which version the broker took (KIP-511).
        if self.key != ApiKey::API_VERSIONS && self.flexible.has(version) { 1 } else { 0 }
    }
}

/// The row of an API, `None` when we do not speak it.
pub fn api(key: ApiKey) -> Option<&'static Api> {
    let index = APIS.binary_search_by_key(&key, |api| api.key).ok()?;
    APIS.get(index).copied()
}

/// A request, and what answers it.
pub trait Request:
    Wire + Clone + fmt::Debug + Default + PartialEq + Send + Sync + Into<AnyRequest> + 'static
{
    /// The row of its API.
    const API: &'static Api;
    /// What answers it.
    type Response: Response;
}

/// A response.
pub trait Response:
    Wire + Clone + fmt::Debug + Default + PartialEq + Send + Sync + Into<AnyResponse> + 'static
{
    /// How long the client was or is to be throttled, in milliseconds; 0 where the API does not say.
    fn throttle_time_ms(&self) -> i32;
}

/// Why bytes are no message that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// We do not speak the API.
    #[error("API {0} is not one that is spoken here")]
    UnknownApi(ApiKey),
    /// We do not speak this version of it.
    #[error("version {version} of API {key} is not one that is spoken here")]
    UnknownVersion {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
    },
    /// The bytes are wrong.
    #[error("{key} version {version}: {error}")]
    Wire {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
        /// What is wrong with them.
        error: WireError,
    },
}

/// Whether we speak a version of an API.
fn spoken(key: ApiKey, version: i16) -> Result<&'static Api, MessageError> {
    let api = api(key).ok_or(MessageError::UnknownApi(key))?;
    if api.versions.has(version) { Ok(api) } else { Err(MessageError::UnknownVersion { key, version }) }
}

/// One row an API. `unstable` is the first version that Kafka has not declared stable; `throttle` is the first in which
/// the client holds back, left out where responses have no throttle time.
macro_rules! apis {
    ($(
        $key:ident $api:ident: $request:ident => $response:ident,
        versions $first:literal..=$last:literal $(unstable $unstable:literal)? $(flexible $flexible:literal..)?
        $(throttle $throttle:literal..)?,
        route $route:ident, lane $lane:ident, $repeat:ident;
    )*) => {
        $(
            impl Request for $request {
                const API: &'static Api = &Api {
                    key: ApiKey::$key,
                    versions: Span::new($first, $last),
                    negotiable: Span::new($first, $last) $(.intersect(Span::new($first, $unstable - 1)))?,
                    flexible: Span::NONE $(.or(Span::from($flexible)))?,
                    client_throttles: Span::NONE $(.or(Span::from($throttle)))?,
                    route: Route::$route,
                    lane: Lane::$lane,
                    repeatable: apis!(@again $repeat),
                    request: <$request as Wire>::TYPE,
                    response: <$response as Wire>::TYPE,
                };
                type Response = $response;
            }

            impl Response for $response {
                fn throttle_time_ms(&self) -> i32 {
                    apis!(@throttle self $($throttle)?)
                }
            }

            impl From<$request> for AnyRequest {
                fn from(request: $request) -> AnyRequest {
                    AnyRequest::$api(request)
                }
            }

            impl From<$response> for AnyResponse {
                fn from(response: $response) -> AnyResponse {
                    AnyResponse::$api(response)
                }
            }
        )*

        /// Every API that we speak, by ascending key.
        pub static APIS: &[&Api] = &[ $( <$request as Request>::API, )* ];

        any! {
            /// A request of any API.
            pub enum AnyRequest { $( $key $api($request) )* }
        }
        any! {
            /// A response of any API.
            pub enum AnyResponse { $( $key $api($response) )* }
        }

        impl AnyResponse {
            /// See [`Response::throttle_time_ms`].
            pub fn throttle_time_ms(&self) -> i32 {
                match self { $( AnyResponse::$api(response) => Response::throttle_time_ms(response), )* }
            }

            /// Says how long the client was or is to be throttled, in milliseconds, where the API can say it.
            pub fn set_throttle_time_ms(&mut self, throttle_time_ms: i32) {
                match self { $(
                    AnyResponse::$api(response) => apis!(@set response throttle_time_ms $($throttle)?),
                )* }
            }
        }
    };
    (@again repeatable) => { true };
    (@again once) => { false };
    (@throttle $response:ident $from:literal) => { $response.throttle_time_ms };
    (@throttle $response:ident) => { 0 };
    (@set $response:ident $time:ident $from:literal) => { $response.throttle_time_ms = $time };
    (@set $response:ident $time:ident) => { { let _ = ($response, $time); } };
}

/// The two enumerations over all messages of one direction.
macro_rules! any {
    ($(#[$meta:meta])* pub enum $any:ident { $( $key:ident $api:ident($message:ident) )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $any {
            $( #[doc = concat!("[`", stringify!($message), "`]")] $api($message), )*
        }

        impl $any {
            /// The key of its API.
            pub fn key(&self) -> ApiKey {
                match self { $( $any::$api(_) => ApiKey::$key, )* }
            }

            /// The message of `key` with its default values.
            ///
            /// # Errors
            /// We do not speak the API.
            pub fn default_of(key: ApiKey) -> Result<$any, MessageError> {
                match key {
                    $( ApiKey::$key => Ok($any::$api($message::default())), )*
                    _ => Err(MessageError::UnknownApi(key)),
                }
            }

            /// Decodes the whole body of a message.
            ///
            /// # Errors
            /// We do not speak the API or the version, or something is wrong with the bytes.
            pub fn decode(key: ApiKey, version: i16, body: &Bytes) -> Result<$any, MessageError> {
                let flexible = spoken(key, version)?.flexible.has(version);
                let wire = |error| MessageError::Wire { key, version, error };
                match key {
                    $( ApiKey::$key => decode(body, version, flexible).map($any::$api).map_err(wire), )*
                    _ => Err(MessageError::UnknownApi(key)),
                }
            }

            /// Decodes a body behind its header; `reader` is at it, and to be finished by the caller.
            ///
            /// # Errors
            /// We do not speak the API or the version that the reader is set to.
            pub fn read(key: ApiKey, reader: &mut Reader<'_>) -> Result<$any, MessageError> {
                spoken(key, reader.version())?;
                match key {
                    $( ApiKey::$key => Ok($any::$api(Wire::decode(reader))), )*
                    _ => Err(MessageError::UnknownApi(key)),
                }
            }

            /// Appends the body to `out`.
            ///
            /// # Errors
            /// We do not speak the version, or it cannot say what a field has; nothing was written then.
            pub fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), MessageError> {
                let key = self.key();
                let flexible = spoken(key, version)?.flexible.has(version);
                let wire = |error| MessageError::Wire { key, version, error };
                match self { $( $any::$api(message) => encode(message, version, flexible, out).map_err(wire), )* }
            }

            /// Appends the body to a sink of any kind.
            pub fn write<S: Sink>(&self, sink: &mut S) {
                match self { $( $any::$api(message) => message.encode(sink), )* }
            }

            /// Shows every error code inside that is not NONE.
            pub fn faults(&self, see: &mut dyn FnMut(ErrorCode)) {
                let see = &mut |code| see(ErrorCode(code));
                match self { $( $any::$api(message) => message.faults(see), )* }
            }
        }
    };
}
apis! {
    PRODUCE Produce: ProduceRequest => ProduceResponse,
        versions 3..=13 flexible 9.. throttle 6.., route Leader, lane Produce, once;
    FETCH Fetch: FetchRequest => FetchResponse,
        versions 4..=18 flexible 12.. throttle 8.., route Leader, lane Fetch, repeatable;
    LIST_OFFSETS ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
        versions 1..=11 flexible 6.. throttle 3.., route Leader, lane Normal, repeatable;
    METADATA Metadata: MetadataRequest => MetadataResponse,
        versions 0..=13 flexible 9.. throttle 6.., route Any, lane Normal, repeatable;
    OFFSET_COMMIT OffsetCommit: OffsetCommitRequest => OffsetCommitResponse,
        versions 2..=10 flexible 8.. throttle 4.., route GroupCoordinator, lane Normal, repeatable;
    OFFSET_FETCH OffsetFetch: OffsetFetchRequest => OffsetFetchResponse,
        versions 1..=10 flexible 6.. throttle 4.., route GroupCoordinator, lane Normal, repeatable;
    FIND_COORDINATOR FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse,
        versions 0..=6 flexible 3.. throttle 2.., route Any, lane Normal, repeatable;
    JOIN_GROUP JoinGroup: JoinGroupRequest => JoinGroupResponse,
        versions 0..=9 flexible 6.. throttle 3.., route GroupCoordinator, lane Group, repeatable;
    HEARTBEAT Heartbeat: HeartbeatRequest => HeartbeatResponse,
        versions 0..=4 flexible 4.. throttle 2.., route GroupCoordinator, lane Group, repeatable;
    LEAVE_GROUP LeaveGroup: LeaveGroupRequest => LeaveGroupResponse,
        versions 0..=5 flexible 4.. throttle 2.., route GroupCoordinator, lane Normal, repeatable;
    SYNC_GROUP SyncGroup: SyncGroupRequest => SyncGroupResponse,
        versions 0..=5 flexible 4.. throttle 2.., route GroupCoordinator, lane Group, repeatable;
    DESCRIBE_GROUPS DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse,
        versions 0..=6 flexible 5.. throttle 2.., route GroupCoordinator, lane Normal, repeatable;
    LIST_GROUPS ListGroups: ListGroupsRequest => ListGroupsResponse,
        versions 0..=5 flexible 3.. throttle 2.., route Node, lane Normal, repeatable;
    SASL_HANDSHAKE SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse,
        versions 0..=1, route Node, lane Normal, once;
    API_VERSIONS ApiVersions: ApiVersionsRequest => ApiVersionsResponse,
        versions 0..=4 flexible 3.. throttle 2.., route Node, lane Normal, repeatable;
    CREATE_TOPICS CreateTopics: CreateTopicsRequest => CreateTopicsResponse,
        versions 2..=7 flexible 5.. throttle 3.., route Controller, lane Slow, once;
    DELETE_TOPICS DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse,
        versions 1..=6 flexible 4.. throttle 2.., route Controller, lane Slow, once;
    DELETE_RECORDS DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
        versions 0..=2 flexible 2.. throttle 1.., route Leader, lane Slow, once;
    INIT_PRODUCER_ID InitProducerId: InitProducerIdRequest => InitProducerIdResponse,
        versions 0..=6 unstable 6 flexible 2.. throttle 1.., route TransactionCoordinator, lane Normal, repeatable;
    OFFSET_FOR_LEADER_EPOCH OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
        versions 2..=4 flexible 4.. throttle 2.., route Leader, lane Normal, repeatable;
    ADD_PARTITIONS_TO_TXN AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
        versions 0..=5 flexible 3.. throttle 1.., route TransactionCoordinator, lane Normal, repeatable;
    ADD_OFFSETS_TO_TXN AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
        versions 0..=4 flexible 3.. throttle 1.., route TransactionCoordinator, lane Normal, repeatable;
    END_TXN EndTxn: EndTxnRequest => EndTxnResponse,
        versions 0..=5 flexible 3.. throttle 1.., route TransactionCoordinator, lane Normal, repeatable;
    WRITE_TXN_MARKERS WriteTxnMarkers: WriteTxnMarkersRequest => WriteTxnMarkersResponse,
        versions 1..=2 flexible 1.., route Leader, lane Slow, once;
    TXN_OFFSET_COMMIT TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse,
        versions 0..=5 flexible 3.. throttle 1.., route GroupCoordinator, lane Normal, repeatable;
    DESCRIBE_CONFIGS DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse,
        versions 1..=4 flexible 4.. throttle 2.., route Any, lane Normal, repeatable;
    SASL_AUTHENTICATE SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse,
        versions 0..=2 flexible 2.., route Node, lane Normal, once;
    CREATE_PARTITIONS CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse,
        versions 0..=3 flexible 2.. throttle 1.., route Controller, lane Slow, once;
    DELETE_GROUPS DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse,
        versions 0..=2 flexible 2.. throttle 1.., route GroupCoordinator, lane Slow, once;
    INCREMENTAL_ALTER_CONFIGS IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
        versions 0..=1 flexible 1.. throttle 0.., route Controller, lane Slow, once;
    OFFSET_DELETE OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse,
        versions 0..=0 throttle 0.., route GroupCoordinator, lane Slow, repeatable;
    DESCRIBE_CLUSTER DescribeCluster: DescribeClusterRequest => DescribeClusterResponse,
        versions 0..=2 flexible 0.. throttle 0.., route Any, lane Normal, repeatable;
    CONSUMER_GROUP_HEARTBEAT ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
        versions 0..=1 flexible 0.. throttle 0.., route GroupCoordinator, lane Group, once;
    CONSUMER_GROUP_DESCRIBE ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
        versions 0..=1 flexible 0.. throttle 0.., route GroupCoordinator, lane Normal, repeatable;
    DESCRIBE_TOPIC_PARTITIONS DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
        versions 0..=0 flexible 0.. throttle 0.., route Any, lane Normal, repeatable;
}

#[cfg(test)]
mod tests;
