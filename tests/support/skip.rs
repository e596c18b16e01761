//! Tests that cannot run on a machine say so, loudly; where `CI=true`, that is a failure.

use std::io::Write;

/// Says that the test at hand does not run and why.
///
/// Written to the descriptor itself, past the test harness, which would keep it back; `./test` counts these lines.
///
/// # Panics
/// With `CI=true`: nothing may be skipped there.
pub fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(!in_ci(), "nothing may be skipped with CI=true, {name} neither: {why}");
    let _ = std::io::stderr().write_all(format!("SKIPPED {name}: {why}\n").as_bytes());
}

/// Whether this run must not skip anything.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
