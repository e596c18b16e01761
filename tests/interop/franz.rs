//! franz-go, the Go client, as `franz/main.go` uses it: unmodified, with its own defaults (idempotent, KIP-227 sessions).

use super::{Bench, CLIENT_LIMIT, CODECS, process, skip};
use ottla::broker::Broker;
use std::collections::BTreeSet;
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

/// A broker and what franz-go has to know of it.
struct Franz<'a> {
    bench: &'a Bench,
    program: &'a Path,
    security: Vec<String>,
}

impl Franz<'_> {
    /// Runs it to a good end; what it prints.
    #[track_caller]
    fn run(&self, words: &[&str]) -> Vec<String> {
        let mut command = Command::new(self.program);
        command.arg(self.bench.broker.bootstrap_servers()).args(&self.security).args(words);
        process::run(&mut command, b"", CLIENT_LIMIT).success().lines()
    }
}

/// Does something on one broker, on three, and on one with SASL and TLS.
fn everywhere(work: impl Fn(&Franz<'_>)) {
    let Some(program) = PROGRAM.as_deref() else { return };
    for bench in [Bench::plain(), Bench::three()] {
        work(&Franz { bench: &bench, program, security: Vec::new() });
    }
    let bench = Bench::new(Broker::builder().tls().user("alice", "alice-secret"));
    let ca = bench.file("ca.pem", bench.broker.ca_pem().unwrap());
    let security =
        vec!["user=alice".to_owned(), "password=alice-secret".to_owned(), format!("ca={}", ca.display())];
    work(&Franz { bench: &bench, program, security });
}

#[test]
fn franz_go_finds_partitions_produces_in_every_codec_and_asks_for_offsets() {
    everywhere(|franz| {
        let broker = &franz.bench.broker;
        broker.create_topic("orders", 3).unwrap();
        assert_eq!(franz.run(&["metadata", "orders"]).len(), 1 + 3);
        let mut told = BTreeSet::new();
        for codec in CODECS {
            told.extend(franz.run(&["produce", "orders", "60", codec]));
        }
        assert_eq!(told.len(), 60 * CODECS.len(), "each has a place of its own");
        let stored = (0..3).flat_map(|partition| {
            broker.records("orders", partition).into_iter().map(move |record| {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                format!("{partition} {} {value}", record.offset)
            })
        });
        assert_eq!(stored.collect::<BTreeSet<_>>(), told, "what it was told is what there is");
        assert_eq!(franz.bench.codecs("orders"), BTreeSet::from(CODECS));
        let ends: i64 = franz
            .run(&["offsets", "orders", "3"])
            .iter()
            .filter_map(|line| line.strip_prefix("-1 ")?.split_once(' ')?.1.parse::<i64>().ok())
            .sum();
        assert_eq!(ends, 60 * 5);
    });
}

#[test]
fn franz_go_goes_on_in_a_group_where_it_has_stopped() {
    everywhere(|franz| {
        franz.bench.broker.create_topic("orders", 3).unwrap();
        let told: BTreeSet<String> = franz.run(&["produce", "orders", "200", "zstd"]).into_iter().collect();
        let read = franz.run(&["consume", "billing", "orders", "200"]);
        assert_eq!(read.len(), 200);
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), told);
        let more: BTreeSet<String> = franz.run(&["produce", "orders", "30", "none"]).into_iter().collect();
        let rest = franz.run(&["consume", "billing", "orders", "30"]);
        assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), more, "it has committed the others");
    });
}

#[test]
fn franz_go_reads_nothing_of_a_transaction_that_it_has_aborted() {
    everywhere(|franz| {
        franz.bench.broker.create_topic("orders", 3).unwrap();
        franz.run(&["transact", "orders-1", "orders", "50"]);
        let read = franz.run(&["consume", "billing", "orders", "50"]);
        assert_eq!(read.len(), 50);
        assert!(read.iter().all(|line| line.contains(" committed-")), "{read:?}");
        let markers = (0..3).flat_map(|partition| franz.bench.broker.log("orders", partition));
        let markers: BTreeSet<Option<bool>> = markers.map(|batch| batch.marker).collect();
        assert_eq!(markers, BTreeSet::from([None, Some(false), Some(true)]));
    });
}
