//! Kafka's error codes.

/// An error code of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "a transparent number of a hidden module")]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Whether the same request can succeed later.
    pub fn is_retriable(self) -> bool {
        false
    }

    /// Whether the client that got it cannot go on.
    pub fn is_fatal(self) -> bool {
        false
    }

    /// Whether the transaction under way must be aborted.
    pub fn needs_abort(self) -> bool {
        false
    }
}
impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error code {}", self.0)
    }
}
