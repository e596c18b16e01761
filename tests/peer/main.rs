//! A hostile peer: it answers properly, then lies, and is well again; what the client does meanwhile is measured and judged.
//!
//! The client is an ordinary one, with a producer that keeps sending and a consumer that keeps polling, in a process of its
//! own ([`client`]): its memory, its processor time, its panics and every word that it says at TRACE are its alone. The peer
//! ([`serve`]) is one broker ([`broker`]) whose answers a case ([`cases`]) spoils, for ever (until it is told to be well) or
//! twice. [`run`] plays one case, [`report`] holds what was seen and judges it, [`table`] prints all of it.
//!
//! ```text
//! cargo test --test peer                                     one or two cases of each family
//! PEER_CASES=all cargo test --test peer -- --nocapture       all of them, each both ways; prints the table
//! PEER_CASES=batches/crc cargo test --test peer ...          those whose name contains this
//! ```
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test bench: it lives on the real clock, and what fails in it fails the test"
)]

mod broker;
mod case;
mod cases;
mod client;
mod forge;
mod heard;
mod planted;
mod report;
mod run;
mod serve;
mod table;
#[cfg(all(feature = "broker", feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tls;
#[cfg(not(all(feature = "broker", feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "no_tls.rs"]
mod tls;

use case::Mode;

/// The client's process: the test below starts this binary anew with this test alone, and says by the environment what the
/// client is to do. Without that it is nothing.
#[test]
fn client_process() {
    client::run_if_asked();
}

#[test]
fn no_lie_of_a_peer_hurts() {
    let wanted = std::env::var("PEER_CASES").unwrap_or_else(|_| "quick".to_owned());
    let plays: Vec<(case::Case, Mode)> = cases::plays(&wanted);
    assert!(!plays.is_empty(), "PEER_CASES={wanted}: no such case");
    let reports = run::all(plays);
    let failed = table::print(&reports);
    assert_eq!(failed, 0, "cases failed, see the table");
}
