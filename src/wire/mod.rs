//! Bytes of the Kafka protocol: how primitive values, strings, lists and structs lie on the wire.
//!
//! This is the lowest layer. It knows versions and flexible versions (KIP-482), not what any message means, and it
//! imports nothing of the crate. It does no I/O and reads no clock.
//!
//! * [`Reader`] decodes. Its error is sticky: the first fault is kept with message, field and byte offset, later reads
//!   yield defaults at no cost, and [`Reader::finish`] tells at the end. Decoding code therefore has no `?`.
//! * [`Sink`] is where encoding goes: [`Counter`] counts, [`Writer`] copies, [`Gather`] keeps large `Bytes` whole for a
//!   vectored write. What cannot be said in a version is an error of the sink, sticky as well.
//! * [`Wire`] is a value on the wire; [`message!`](crate::message) makes structs of them from one table.
//! * [`schema`] is what a message says of itself, compared with `protocol-specs/` in tests.
//!
//! Invariant: nothing is reserved for a count that the peer sent before that many elements could be there, and the
//! memory that one frame's lists may take is bounded by the bytes of the frame ([`Reader::new`]).
#![deny(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::arithmetic_side_effects)]

mod error;
mod message;
mod reader;
pub mod schema;
mod sink;
mod span;
mod text;
mod uuid;
mod value;

pub use error::{Fault, Place, WireError};
pub use message::{default_bytes, put_tagged};
pub use reader::Reader;
pub use sink::{Counter, Gather, Sink, Writer};
pub use span::Span;
pub use text::Text;
pub use uuid::{ParseUuidError, Uuid};
pub use value::{Nullable, Wire, decode, encode, size};

#[cfg(test)]
mod tests;
