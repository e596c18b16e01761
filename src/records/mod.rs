//! Record batches: how records lie in Produce requests, in Fetch responses and in the log (format v2, magic 2).
//!
//! Bytes in, bytes out: no I/O, no clock, no tasks. Imports `std`, `bytes`, the codecs and crc-fast, nothing else
//! of the crate.
//!
//! # Writing
//!
//! [`BatchBuilder`] appends records to the very buffer that is sent → [`ClosedBatch`], which can be compressed
//! on another thread by a [`Compressor`] → sealed with the producer's [`Stamp`] into a [`SealedBatch`], whose
//! bytes are the partition's field of a Produce request. Nothing is kept for a record but its bytes. A sealed
//! batch can be stamped again (an epoch bump renumbers what is still waiting) and split in two (the broker
//! found it too large), both without the records that it was made from.
//!
//! # Reading
//!
//! [`Batches`] walks a fetched record set and hands out [`Batch`]es that own their part of it;
//! [`RecordView`]s borrow from their batch. Opening a batch checks all of it in one pass, so that reading its
//! records cannot fail and a corrupt batch is refused before any of its records is delivered.
//!
//! # Invariants
//!
//! - The CRC is checked before anything below the batch header is believed.
//! - Every length and count is checked against the bytes that are there; nothing is reserved for a number that
//!   only the peer vouches for.
//! - Decompression stops at a limit, while it streams: the buffer never grows beyond it.
#![deny(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::arithmetic_side_effects)]
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "the module is hidden and outside semver; what the crate re-exports is marked non_exhaustive, but for headers: a key and a value for good"
)]

mod batch;
mod batches;
mod build;
pub mod compress;
pub mod control;
mod error;
mod header;
mod record;
mod seal;
mod validate;
mod varint;

pub use batch::Batch;
pub use batches::{Batches, PartialBatch};
pub use build::{BatchBuilder, BuildError};
pub use compress::{Compression, CompressionError, Compressor, DEFAULT_DECOMPRESSED_LIMIT, Decompressor};
pub use control::{ControlFlaw, ControlRecord, ControlType};
pub use error::{Fault, Position, RecordFlaw, RecordsError};
pub use header::{Attributes, BatchHeader, HEADER_LEN, TimestampType};
pub use record::{Header, Headers, OwnedHeader, OwnedRecord, OwnedRecords, RecordView, Records};
pub use seal::{ClosedBatch, SealedBatch, Stamp};
