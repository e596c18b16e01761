//! SaslHandshake (key 17): the client picks a SASL mechanism.
//!
//! The broker of the connection answers, before authentication and again before each re-authentication (KIP-368).
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | what follows are bare SASL tokens, each behind a length of four bytes, outside of Kafka's framing |
//! | 1 | what follows are [SaslAuthenticate](super::SaslAuthenticateRequest) requests (KIP-152); same fields |
//!
//! It will never be flexible: old clients take whatever the broker offers here as the highest they may send (KAFKA-9577).

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// Picks a mechanism.
    pub struct SaslHandshakeRequest {
        0.. => mechanism: Text;
    }

    /// Whether the mechanism is accepted.
    pub struct SaslHandshakeResponse {
        0.. => error_code: ErrorCode;
        /// What the listener offers, so that a refusal can say what would work.
        0.. => mechanisms: Vec<Text>;
    }
}
