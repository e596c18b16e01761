//! What the protocol's tests share: the specs' reader, messages made up from them, the codec behind one face, and the jar
//! of Kafka's client.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several test binaries, each of which uses a part"
)]

pub mod cases;
pub mod codec;
pub mod generate;
pub mod kafka;
pub mod lists;
pub mod memory;
#[path = "../../protocol-specs/reader/mod.rs"]
pub mod reader;
pub mod skip;
