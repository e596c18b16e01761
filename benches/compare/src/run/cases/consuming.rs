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

pub const CASES: [Case; 7] = [
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
];

pub const ROWS: [Row; 11] = [
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
];
