//! The messages of the protocol.
mod error_code;
pub use error_code::ErrorCode;
