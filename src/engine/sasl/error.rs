//! Why an authentication failed before or beside the broker's error code.

use super::scram::{MAX_ITERATIONS, MIN_ITERATIONS};

/// An authentication that failed. None of these is worth a retry with the same credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// Our own name, password or token cannot be used with the mechanism.
    #[error("{0}")]
    Credentials(&'static str),
    /// The peer's message does not follow the mechanism's grammar.
    #[error("malformed {mechanism} message from the peer: {what}")]
    Malformed {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The server's nonce does not continue ours: an answer to somebody else's login, or a replay.
    #[error(
        "the server's SCRAM nonce does not continue the client's: the answer was not made for this login"
    )]
    Nonce,
    /// The server asks for fewer iterations than protect the password, or for more than anyone should
    /// compute.
    #[error("the server asks for {found} SCRAM iterations, outside {MIN_ITERATIONS} to {MAX_ITERATIONS}")]
    Iterations {
        /// What the server asked for.
        found: u64,
    },
    /// The server demands an extension (`m=`) that nobody has defined.
    #[error("the peer demands a SCRAM extension that is not known")]
    MandatoryExtension,
    /// The server did not prove that it knows the password.
    #[error(
        "the server's SCRAM signature is wrong: it does not know the password, and may not be the broker it claims to be"
    )]
    ServerSignature,
    /// The peer refused, in the mechanism's own words.
    #[error("{mechanism} authentication refused: {reason}")]
    Refused {
        /// The mechanism's name.
        mechanism: &'static str,
        /// The peer's reason, cut to a line of printable characters.
        reason: String,
    },
    /// The broker refused an OAUTHBEARER token.
    #[error("the broker refused the OAUTHBEARER token: {status}{}", shown_scope(.scope.as_deref()))]
    TokenRefused {
        /// The broker's word for it, such as `invalid_token` or `insufficient_scope`.
        status: String,
        /// The scope that a token would need, when the broker says so.
        scope: Option<String>,
        /// Where the broker says that tokens are to be had.
        openid_configuration: Option<String>,
    },
    /// The mechanism had nothing to do with what it was handed: the peer went on after the end, or the driver
    /// erred.
    #[error("{mechanism} did not expect {what}")]
    OutOfTurn {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What it was handed.
        what: &'static str,
    },
}

fn shown_scope(scope: Option<&str>) -> String {
    scope.map(|scope| format!(" (needs scope {scope})")).unwrap_or_default()
}

/// One line of at most 200 printable characters out of what a peer sent, fit for an error message.
pub(in crate::engine) fn printable(bytes: &[u8]) -> String {
    const MAX_CHARS: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let mut line: String =
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        line.push('…');
    }
    line
}
