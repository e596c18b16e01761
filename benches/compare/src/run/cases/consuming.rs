//! Consuming.

use super::{Case, Read, Row, SinkKind, Target, Work, row};

const CASE: Case = Case {
    name: "",
    sink: SinkKind::Source(1, &[]),
    work: consume(6, 1_000_000.0, "none"),
    bytes: 1_024,
    settings: "",
    repeat: 1,
    once: false,
    on_kafka: 0.2,
};

/// Everything that is there.
const fn consume(partitions: i32, records: f64, codec: &'static str) -> Work {
    Work::Read(Read { job: "consume", partitions, much: records, there: records, codec })
}

/// A topic that is drained, or of which a third is read, and what the brokers have sent meanwhile.
const fn received(brokers: usize, bytes: usize, is_deep: bool, name: &'static str) -> Case {
    let much = if bytes == 100 { 2_000_000.0 } else { 300_000.0 };
    let there = if is_deep { 3.0 * much } else { much };
    let work = Work::Read(Read { job: "consume", partitions: 6, much, there, codec: "none" });
    Case { name, sink: SinkKind::Source(brokers, &["--count"]), work, bytes, on_kafka: 0.0, ..CASE }
}

/// Records of a feed into the first partition on one of two brokers; a second partition, on the other, gets none.
const fn deliver(partitions: i32, name: &'static str) -> Case {
    let work = Work::Read(Read { job: "deliver", partitions, much: 250.0, there: 0.0, codec: "none" });
    Case { name, sink: SinkKind::Source(2, &["--feed"]), work, bytes: 100, on_kafka: 0.0, ..CASE }
}

pub const CASES: [Case; 18] = [
    Case { name: "consume-100", work: consume(6, 4_000_000.0, "none"), bytes: 100, ..CASE },
    Case { name: "consume-1k", ..CASE },
    Case { name: "consume-100-one", work: consume(1, 4_000_000.0, "none"), bytes: 100, ..CASE },
    Case { name: "consume-1k-one", work: consume(1, 1_000_000.0, "none"), ..CASE },
    Case { name: "consume-lz4", work: consume(6, 500_000.0, "lz4"), ..CASE },
    Case { name: "consume-zstd", work: consume(6, 500_000.0, "zstd"), ..CASE },
    Case {
        name: "consume-sasl-ssl",
        sink: SinkKind::SecureSource,
        work: consume(6, 500_000.0, "none"),
        ..CASE
    },
    received(1, 100, false, "received-100"),
    received(1, 100, true, "received-100-deep"),
    received(2, 100, false, "received-100-two"),
    received(2, 100, true, "received-100-two-deep"),
    received(1, 1_000, false, "received-1k"),
    received(1, 1_000, true, "received-1k-deep"),
    received(2, 1_000, false, "received-1k-two"),
    received(2, 1_000, true, "received-1k-two-deep"),
    deliver(1, "deliver"),
    deliver(2, "deliver-beside-idle"),
    Case {
        name: "idle",
        sink: SinkKind::Source(1, &["--count"]),
        work: Work::Read(Read { job: "idle", partitions: 2_000, much: 20.0, there: 0.0, codec: "none" }),
        once: true,
        on_kafka: 0.0,
        ..CASE
    },
];

/// Bytes that were received over those of the log that was read.
const fn received_row(label: &'static str, case: &'static str) -> Row {
    row(label, case, "received", 3, Target::AtMost(1.02))
}

pub const ROWS: [Row; 26] = [
    row("100 B: CPU, us a record read", "consume-100", "cpu_us", 3, Target::OfLowest(0.6)),
    row("100 B: elapsed, us a record read", "consume-100", "elapsed_us", 3, Target::None),
    row("100 B: peak RSS, MiB", "consume-100", "rss_mib", 1, Target::None),
    row("1 KiB: CPU, us a record read", "consume-1k", "cpu_us", 3, Target::OfLowest(0.6)),
    row("1 KiB: elapsed, us a record read", "consume-1k", "elapsed_us", 3, Target::None),
    row("1 KiB: peak RSS, MiB", "consume-1k", "rss_mib", 1, Target::None),
    row("100 B, 1 partition: CPU, us a record read", "consume-100-one", "cpu_us", 3, Target::OfLowest(0.6)),
    row("1 KiB, 1 partition: CPU, us a record read", "consume-1k-one", "cpu_us", 3, Target::OfLowest(0.6)),
    row("1 KiB, lz4: CPU, us a record read", "consume-lz4", "cpu_us", 3, Target::OfLowest(0.6)),
    row("1 KiB, zstd: CPU, us a record read", "consume-zstd", "cpu_us", 3, Target::OfLowest(0.6)),
    row("1 KiB, SASL_SSL: CPU, us a record read", "consume-sasl-ssl", "cpu_us", 3, Target::OfLowest(0.6)),
    received_row("100 B: received / read", "received-100"),
    received_row("100 B, a third of a deep log: received / read", "received-100-deep"),
    received_row("100 B, 2 brokers: received / read", "received-100-two"),
    received_row("100 B, 2 brokers, deep: received / read", "received-100-two-deep"),
    received_row("1 kB: received / read", "received-1k"),
    received_row("1 kB, a third of a deep log: received / read", "received-1k-deep"),
    received_row("1 kB, 2 brokers: received / read", "received-1k-two"),
    received_row("1 kB, 2 brokers, deep: received / read", "received-1k-two-deep"),
    row("50 records/s: delivery p50, ms", "deliver", "p50_ms", 3, Target::None),
    row("50 records/s: delivery p99, ms", "deliver", "p99_ms", 3, Target::None),
    row(
        "50 records/s beside an idle partition: p50, ms",
        "deliver-beside-idle",
        "p50_ms",
        3,
        Target::PlusOurs("deliver", 1.0),
    ),
    row(
        "50 records/s beside an idle partition: p99, ms",
        "deliver-beside-idle",
        "p99_ms",
        3,
        Target::TimesOurs("deliver", 1.5),
    ),
    row("2,000 idle partitions, 20 s: fetches", "idle", "fetches", 0, Target::AtMost(42.0)),
    row("2,000 idle partitions, 20 s: other requests", "idle", "others", 0, Target::AtMost(50.0)),
    row("2,000 idle partitions, 20 s: CPU, s", "idle", "cpu_s", 3, Target::AtMost(0.1)),
];
