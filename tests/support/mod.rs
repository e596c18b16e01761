//! What the protocol's tests share: the specs' reader, the jar of Kafka's client, and a loud way to skip.
#![allow(dead_code, unreachable_pub, reason = "shared by several test binaries, each of which uses a part")]

pub mod kafka;
#[path = "../../protocol-specs/reader/mod.rs"]
pub mod reader;
