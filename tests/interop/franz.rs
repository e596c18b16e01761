//! franz-go, the Go client, as `franz/main.go` uses it: unmodified, with its own defaults (idempotent, KIP-227 sessions).

use super::{process, programs, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

/// What building it may take, the first time with its modules.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// The program; `None` where nobody can build it.
static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    if !process::installed("go") {
        skip::skip("no Go to build franz-go with");
        return None;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("franz-go");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/franz");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(".").current_dir(source);
    process::run(&mut build, b"", BUILD_LIMIT).success();
    Some(program)
});

fn everywhere(work: impl Fn(&programs::Peer<'_>)) {
    programs::everywhere(PROGRAM.as_deref(), work);
}

#[test]
fn franz_go_finds_partitions_produces_in_every_codec_and_asks_for_offsets() {
    everywhere(programs::finds_partitions_produces_in_every_codec_and_asks_for_offsets);
}

#[test]
fn franz_go_goes_on_in_a_group_where_it_has_stopped() {
    everywhere(programs::goes_on_in_a_group_where_it_has_stopped);
}

#[test]
fn franz_go_reads_nothing_of_a_transaction_that_it_has_aborted() {
    everywhere(programs::reads_nothing_of_a_transaction_that_it_has_aborted);
}
