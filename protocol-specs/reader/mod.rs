//! Reads the specs of this directory, and speaks the protocol by them.
//!
//! This is test support, shared by `tests/conformance`, `tests/vectors`, `tests/roundtrip`, the fuzzer and
//! `examples/protocol_versions.rs`, each of which takes it in with `#[path]`. On purpose it imports nothing of `ottla`:
//! what judges the codec must not lean on it.
//!
//! * [`Book::read`] parses every file; [`parse::parse`] one. `protocol-specs/README.md` is the grammar.
//! * [`Value`] is a message as data, [`interpreter`] writes and reads it as a [`Message`] of the spec says.

pub mod interpreter;
mod model;
pub mod parse;
mod resolve;
pub mod value;

pub use model::{Api, Entity, Field, Layout, Message, Struct, Type, Versions};
pub use value::Value;

use parse::SpecError;

/// The files, those of APIs in the order of their keys.
pub const FILES: &[(&str, &str)] = &[
    ("headers.spec", include_str!("../headers.spec")),
    ("consumer_protocol.spec", include_str!("../consumer_protocol.spec")),
    ("produce.spec", include_str!("../produce.spec")),
    ("fetch.spec", include_str!("../fetch.spec")),
    ("list_offsets.spec", include_str!("../list_offsets.spec")),
    ("metadata.spec", include_str!("../metadata.spec")),
    ("offset_commit.spec", include_str!("../offset_commit.spec")),
    ("offset_fetch.spec", include_str!("../offset_fetch.spec")),
    ("find_coordinator.spec", include_str!("../find_coordinator.spec")),
    ("join_group.spec", include_str!("../join_group.spec")),
    ("heartbeat.spec", include_str!("../heartbeat.spec")),
    ("leave_group.spec", include_str!("../leave_group.spec")),
    ("sync_group.spec", include_str!("../sync_group.spec")),
    ("describe_groups.spec", include_str!("../describe_groups.spec")),
    ("list_groups.spec", include_str!("../list_groups.spec")),
    ("sasl_handshake.spec", include_str!("../sasl_handshake.spec")),
    ("api_versions.spec", include_str!("../api_versions.spec")),
    ("create_topics.spec", include_str!("../create_topics.spec")),
    ("delete_topics.spec", include_str!("../delete_topics.spec")),
    ("delete_records.spec", include_str!("../delete_records.spec")),
    ("init_producer_id.spec", include_str!("../init_producer_id.spec")),
    ("offset_for_leader_epoch.spec", include_str!("../offset_for_leader_epoch.spec")),
    ("add_partitions_to_txn.spec", include_str!("../add_partitions_to_txn.spec")),
    ("add_offsets_to_txn.spec", include_str!("../add_offsets_to_txn.spec")),
    ("end_txn.spec", include_str!("../end_txn.spec")),
    ("write_txn_markers.spec", include_str!("../write_txn_markers.spec")),
    ("txn_offset_commit.spec", include_str!("../txn_offset_commit.spec")),
    ("describe_configs.spec", include_str!("../describe_configs.spec")),
    ("sasl_authenticate.spec", include_str!("../sasl_authenticate.spec")),
    ("create_partitions.spec", include_str!("../create_partitions.spec")),
    ("delete_groups.spec", include_str!("../delete_groups.spec")),
    ("incremental_alter_configs.spec", include_str!("../incremental_alter_configs.spec")),
    ("offset_delete.spec", include_str!("../offset_delete.spec")),
    ("describe_cluster.spec", include_str!("../describe_cluster.spec")),
    ("consumer_group_heartbeat.spec", include_str!("../consumer_group_heartbeat.spec")),
    ("consumer_group_describe.spec", include_str!("../consumer_group_describe.spec")),
    ("describe_topic_partitions.spec", include_str!("../describe_topic_partitions.spec")),
];

/// Every spec there is.
#[derive(Debug, Default)]
pub struct Book {
    /// The APIs, by key.
    pub apis: Vec<Api>,
    /// What goes before requests and responses.
    pub headers: Vec<Layout>,
    /// What goes inside of their fields.
    pub data: Vec<Layout>,
}

impl Book {
    /// Parses [`FILES`].
    ///
    /// # Errors
    /// The first mistake, with file and line.
    pub fn read() -> Result<Book, SpecError> {
        let mut book = Book::default();
        for (file, text) in FILES {
            parse::parse(file, text, &mut book)?;
        }
        Ok(book)
    }

    /// Every message: requests and responses by API, then headers, then data.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        let of_apis = self.apis.iter().flat_map(|api| [&api.request, &api.response]);
        of_apis.chain(self.headers.iter().chain(&self.data).map(|layout| &layout.message))
    }
}
