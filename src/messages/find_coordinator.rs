//! FindCoordinator (key 10): which broker coordinates a group, a transactional id or a share partition.
//!
//! Any broker answers.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | groups only |
//! | 1 | key type, for transactional ids too (KIP-98); throttle time and error text |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | flexible |
//! | 4 | many keys in one request (KIP-699) |
//! | 5 | TRANSACTION_ABORTABLE may come back (KIP-890) |
//! | 6 | share partitions (KIP-932) |

use super::{BrokerId, CoordinatorType, ErrorCode};
use crate::message;
use crate::wire::Text;

message! {
    /// Whose coordinator to find.
    pub struct FindCoordinatorRequest {
        0..=3 => key: Text;
        1..   => key_type: CoordinatorType;
        4..   => coordinator_keys: Vec<Text>;
    }

    /// The coordinator, or from version 4 on one for each key.
    pub struct FindCoordinatorResponse {
        1..   => throttle_time_ms: i32, ignorable;
        0..=3 => error_code: ErrorCode;
        1..=3 => error_message: Option<Text> = Some(Text::default()), null 1..=3, ignorable;
        0..=3 => node_id: BrokerId;
        0..=3 => host: Text;
        0..=3 => port: i32;
        4..   => coordinators: Vec<Coordinator>;
    }

    /// The coordinator of one key, or why there is none.
    pub struct Coordinator {
        4.. => key: Text;
        4.. => node_id: BrokerId;
        4.. => host: Text;
        4.. => port: i32;
        4.. => error_code: ErrorCode;
        4.. => error_message: Option<Text> = Some(Text::default()), null 4.., ignorable;
    }
}

impl FindCoordinatorRequest {
    /// Asks for the coordinator of one key, in a way that suits `version`.
    pub fn one(key_type: CoordinatorType, key: Text, version: i16) -> FindCoordinatorRequest {
        if version < 4 {
            FindCoordinatorRequest { key, key_type, ..FindCoordinatorRequest::default() }
        } else {
            FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key],
                ..FindCoordinatorRequest::default()
            }
        }
    }
}

impl FindCoordinatorResponse {
    /// The answers, one for each key, whatever the version; `key` is what was asked for before version 4, whose
    /// response does not repeat it.
    pub fn into_coordinators(self, key: Text, version: i16) -> Vec<Coordinator> {
        if version >= 4 {
            return self.coordinators;
        }
        let FindCoordinatorResponse { error_code, error_message, node_id, host, port, .. } = self;
        vec![Coordinator { key, node_id, host, port, error_code, error_message }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use bytes::BytesMut;

    #[test]
    fn one_key_is_asked_for_alike_in_every_version() {
        for version in 1..=6 {
            let request = FindCoordinatorRequest::one(CoordinatorType::TRANSACTION, "pay".into(), version);
            let mut body = BytesMut::new();
            encode(&request, version, version >= 3, &mut body).unwrap();
            let back: FindCoordinatorRequest = decode(&body.freeze(), version, version >= 3).unwrap();
            assert_eq!(back, request);
        }
    }

    #[test]
    fn the_answer_is_a_list_in_every_version() {
        let old = FindCoordinatorResponse {
            node_id: BrokerId(7),
            host: "b7".into(),
            port: 9092,
            ..Default::default()
        };
        let found = old.into_coordinators("billing".into(), 3);
        assert_eq!((found[0].node_id, found[0].key.as_str()), (BrokerId(7), "billing"));
        let new = FindCoordinatorResponse { coordinators: found.clone(), ..Default::default() };
        assert_eq!(new.into_coordinators(Text::default(), 6), found);
    }
}
