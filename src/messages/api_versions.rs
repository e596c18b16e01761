//! ApiVersions (key 18): which APIs a broker serves, in which versions, and which features the cluster has.
//!
//! Any broker or controller answers, before authentication too: it is the first request of every connection (KIP-35).
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | request without fields |
//! | 1 | the response tells the throttle time |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | flexible (KIP-482); the request names the client software (KIP-511), the response the features (KIP-584) |
//! | 4 | a feature may be supported from version 0 on (KAFKA-17011); older versions leave such features out |
//!
//! Two things are special. The response header is version 0 in every version of the API, so that a client can read the
//! answer before it knows what the broker speaks. And a broker that does not know the version asked for answers
//! `UNSUPPORTED_VERSION` in the layout of version 0 (KIP-511), which [`ApiVersionsResponse::decode_answer`] reads.

use super::{ApiKey, ErrorCode};
use crate::message;
use crate::wire::{Reader, Span, Text, Wire};

message! {
    /// Asks for the versions that the broker serves.
    pub struct ApiVersionsRequest {
        /// The client library, by KIP-511 only letters, digits, `.` and `-`; the broker refuses others.
        3.. => client_software_name: Text, ignorable;
        /// Its version, under the same rule.
        3.. => client_software_version: Text, ignorable;
    }

    /// The versions that the broker serves.
    pub struct ApiVersionsResponse {
        0.. => error_code: ErrorCode;
        0.. => api_keys: Vec<ApiVersion>;
        1.. => throttle_time_ms: i32, ignorable;
    }
    tags {
        /// What this broker could do.
        0: 3.. => supported_features: Vec<SupportedFeature>, ignorable;
        /// Counts the changes of the finalized features; -1 when they are not known.
        1: 3.. => finalized_features_epoch: i64 = -1, ignorable;
        /// What the cluster has agreed on; means nothing while the epoch is -1.
        2: 3.. => finalized_features: Vec<FinalizedFeature>, ignorable;
        /// Whether a KRaft controller could take over from ZooKeeper; a relic of Kafka 3.
        3: 3.. => zk_migration_ready: bool, ignorable;
    }

    /// The versions of one API.
    pub struct ApiVersion {
        0.. => api_key: ApiKey;
        0.. => min_version: i16;
        0.. => max_version: i16;
    }

    /// The levels of a feature that the broker supports.
    pub struct SupportedFeature {
        3.. => name: Text;
        3.. => min_version: i16;
        3.. => max_version: i16;
    }

    /// The level of a feature that the cluster is at.
    pub struct FinalizedFeature {
        3.. => name: Text;
        3.. => max_version_level: i16;
        3.. => min_version_level: i16;
    }
}

impl ApiVersionsResponse {
    /// Decodes an answer whatever version the broker took; `reader` is behind the header and set to the version that
    /// was asked for.
    ///
    /// The error code lies first in every version. When it is `UNSUPPORTED_VERSION` the rest is laid out as version 0
    /// and names, from Kafka 2.4 on, the versions of ApiVersions that the broker does serve (KIP-511).
    pub fn decode_answer(reader: &mut Reader<'_>) -> ApiVersionsResponse {
        if reader.peek().starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()) {
            reader.switch(0, false);
        }
        ApiVersionsResponse::decode(reader)
    }

    /// The versions of `key` that the broker serves, `None` when it has no such API.
    pub fn versions_of(&self, key: ApiKey) -> Option<Span> {
        let api = self.api_keys.iter().find(|api| api.api_key == key)?;
        Some(Span::new(api.min_version, api.max_version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireError;
    use bytes::Bytes;

    fn answer(body: &'static [u8], version: i16) -> Result<ApiVersionsResponse, WireError> {
        let body = Bytes::from_static(body);
        let mut reader = Reader::new(&body, version, version >= 3);
        let answer = ApiVersionsResponse::decode_answer(&mut reader);
        reader.finish().map(|()| answer)
    }

    #[test]
    fn a_refusal_is_read_in_the_layout_of_version_0() {
        // What a broker of Kafka 4 writes for a version that it does not know.
        let answer = answer(&[0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4], 99).unwrap();
        assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
        assert_eq!(answer.versions_of(ApiKey::API_VERSIONS), Some(Span::new(0, 4)));
        assert_eq!(answer.versions_of(ApiKey::PRODUCE), None);
    }

    #[test]
    fn brokers_before_2_4_refuse_without_a_list() {
        let answer = answer(&[0, 35, 0, 0, 0, 0], 3).unwrap();
        assert!(answer.api_keys.is_empty());
    }

    #[test]
    fn any_other_answer_is_read_in_the_version_asked_for() {
        // No error, one API, no throttling, one tagged field: finalized_features_epoch 5.
        let body = &[0, 0, 2, 0, 3, 0, 0, 0, 13, 0, 0, 0, 0, 0, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 5];
        let read = answer(body, 3).unwrap();
        assert_eq!(read.versions_of(ApiKey::METADATA), Some(Span::new(0, 13)));
        assert_eq!(read.finalized_features_epoch, 5);
        answer(body, 0).unwrap_err();
    }
}
