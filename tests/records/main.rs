//! Record batches against Kafka's own bytes, another implementation, random records and damaged bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "tests"
)]

#[path = "../support/cases.rs"]
#[allow(unreachable_pub, reason = "shared by several test binaries")]
mod cases;
mod damage;
mod java;
mod kafka_protocol;
#[allow(unreachable_pub, reason = "the fuzz targets include it, too")]
mod reference;
mod roundtrip;
mod support;
