//! The style of the project as a test: who may import whom, what may be called where, how long a file may be.
//!
//! It reads the source as text: [`source`] makes tokens and paths of it, [`tree`] follows the modules from the crates'
//! roots, [`layers`] holds the table of ARCHITECTURE.md, [`rules`] the rest. Each rule is seen to fail on planted snippets
//! at the bottom of its file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod layers;
mod rules;
mod source;
mod tree;
mod words;

use std::path::{Path, PathBuf};
use tree::Tree;

/// A broken rule: where, and what to do about it.
type Violation = String;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn library() -> Tree {
    Tree::walk(&root(), Path::new("src/lib.rs"))
}

fn tool() -> Tree {
    Tree::walk(&root(), Path::new("src/bin/ottla/main.rs"))
}

#[track_caller]
fn none(found: Vec<Violation>) {
    assert!(found.is_empty(), "{} broken:\n{}\n", found.len(), found.join("\n"));
}

#[test]
fn arrows_point_down() {
    none(layers::check(&library()));
}

#[test]
fn the_tool_uses_what_a_user_can_use() {
    none(layers::check_tool(&tool()));
}

#[test]
fn clock_spawn_sockets_and_chance_stay_where_they_belong() {
    none(rules::calls(&library()));
    none(rules::elapsed(&library()));
    none(rules::calls(&tool()));
}

#[test]
fn every_select_is_biased() {
    none(rules::selects(&library()));
    none(rules::selects(&tool()));
}

#[test]
fn a_row_of_a_message_table_is_a_line_of_its_own() {
    none(rules::tables(&library()));
}

#[test]
fn files_are_short() {
    none(rules::lengths(&root()));
}

#[test]
fn no_file_is_dead() {
    let reached = [library(), tool()].iter().flat_map(Tree::files).collect();
    none(rules::dead(&root(), "src", &reached));
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    none(words::check(&root()));
}
