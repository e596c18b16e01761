//! What can be wrong with bytes, and where.

use std::fmt;

/// Why decoding or encoding stopped, and where: message, field and byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a hidden module, built in tests")]
pub struct WireError {
    /// What is wrong.
    pub fault: Fault,
    /// The struct whose field was read or written.
    pub message: &'static str,
    /// The field, empty when the fault lies between fields.
    pub field: &'static str,
    /// Bytes from the start of what was decoded (or had been encoded) to the fault.
    pub offset: usize,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes end inside a value: so many were needed, so many were left.
    Truncated {
        /// Bytes the value takes.
        needed: usize,
        /// Bytes that were there.
        left: usize,
    },
    /// A length or count is below -1, or promises more than the bytes that are left could hold.
    Length(i64),
    /// A length or count is more than the version's notation can say.
    TooLong(usize),
    /// Text that is not UTF-8.
    Utf8,
    /// Null where the version does not allow it.
    Null,
    /// A variable-length integer of more than five bytes or 32 bits.
    Varint,
    /// So many bytes are left behind the last field.
    Trailing(usize),
    /// A field has a value that the version cannot express.
    NotInVersion(i16),
    /// A version that cannot be.
    Version(i16),
    /// The lists of the message would take more memory than its bytes justify.
    Budget,
    /// Tagged fields that do not rise strictly, as KIP-482 asks.
    TagOrder(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Truncated { needed, left } => write!(f, "{needed} bytes needed where {left} are left"),
            Fault::Length(n) => write!(f, "length {n} does not fit the bytes that are left"),
            Fault::TooLong(n) => write!(f, "length {n} is more than this version can carry"),
            Fault::Utf8 => f.write_str("text is not UTF-8"),
            Fault::Null => f.write_str("null where this version allows none"),
            Fault::Varint => f.write_str("variable-length integer is longer than 32 bits"),
            Fault::Trailing(n) => write!(f, "{n} bytes left over behind the last field"),
            Fault::NotInVersion(v) => write!(f, "version {v} has no place for this field's value"),
            Fault::Version(version) => write!(f, "there is no version {version}"),
            Fault::Budget => f.write_str("lists would take far more memory than the message has bytes"),
            Fault::TagOrder(tag) => write!(f, "tagged field {tag} is out of order"),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WireError { fault, message, field, offset } = self;
        match (message.is_empty(), field.is_empty()) {
            (true, _) => write!(f, "{fault} (byte {offset})"),
            (false, true) => write!(f, "{message}: {fault} (byte {offset})"),
            (false, false) => write!(f, "{message}.{field}: {fault} (byte {offset})"),
        }
    }
}

impl std::error::Error for WireError {}

/// A field of a message, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a hidden module, built by `message!`")]
pub struct Place {
    /// The struct.
    pub message: &'static str,
    /// The field.
    pub field: &'static str,
}

impl Place {
    /// Before any field was touched.
    pub const NOWHERE: Place = Place { message: "", field: "" };
}
