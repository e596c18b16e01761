//! SaslAuthenticate (key 36): one step of a SASL exchange (KIP-152).
//!
//! The broker of the connection answers, between SaslHandshake 1 and the first other request.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | client's and server's bytes of the mechanism, and an error with text |
//! | 1 | the response tells how long the session lasts (KIP-368) |
//! | 2 | flexible |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;
use bytes::Bytes;

message! {
    /// The client's next bytes of the exchange.
    pub struct SaslAuthenticateRequest {
        0.. => auth_bytes: Bytes;
    }

    /// The server's next bytes of the exchange, or why it ended.
    pub struct SaslAuthenticateResponse {
        0.. => error_code: ErrorCode;
        /// Null when all is well; the protocol's default is empty text.
        0.. => error_message: Option<Text> = Some(Text::default()), null 0..;
        0.. => auth_bytes: Bytes;
        /// Milliseconds until the connection has to be authenticated again; 0 for never.
        1.. => session_lifetime_ms: i64, ignorable;
    }
}
