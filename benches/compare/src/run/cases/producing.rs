//! Producing.

use super::{Case, Row, SinkKind, Target, Work, row, seconds};

const CASE: Case = Case {
    name: "",
    sink: SinkKind::Plain,
    work: Work::Write(|scale| produce(1_000_000.0 * scale, 1_024)),
    bytes: 1_024,
    settings: "",
    repeat: 1,
    once: false,
    on_kafka: 0.2,
};

pub const CASES: [Case; 11] = [
    Case {
        name: "produce-100",
        work: Work::Write(|scale| produce(2_500_000.0 * scale, 100)),
        bytes: 100,
        ..CASE
    },
    Case { name: "produce-1k", on_kafka: 0.1, ..CASE },
    Case {
        name: "lz4",
        work: Work::Write(|scale| produce(500_000.0 * scale, 1_024)),
        settings: "compression.type=lz4",
        ..CASE
    },
    Case {
        name: "zstd",
        work: Work::Write(|scale| produce(300_000.0 * scale, 1_024)),
        settings: "compression.type=zstd",
        ..CASE
    },
    Case {
        name: "sasl-ssl",
        sink: SinkKind::Secure,
        work: Work::Write(|scale| produce(500_000.0 * scale, 1_024)),
        ..CASE
    },
    Case {
        name: "latency-1k",
        work: Work::Write(|scale| latency(1_000, 4.0 * scale)),
        bytes: 100,
        on_kafka: 1.0,
        ..CASE
    },
    Case {
        name: "latency-10k",
        work: Work::Write(|scale| latency(10_000, 4.0 * scale)),
        bytes: 100,
        on_kafka: 1.0,
        ..CASE
    },
    Case { name: "first", work: Work::Write(|_| vec!["first".into()]), bytes: 100, repeat: 2, ..CASE },
    Case {
        name: "distant",
        sink: SinkKind::Distant,
        work: Work::Write(|scale| vec!["throughput".into(), seconds(4.0 * scale), "1000".into()]),
        bytes: 1_000,
        on_kafka: 0.0,
        ..CASE
    },
    Case {
        name: "distant-idempotent",
        sink: SinkKind::Distant,
        work: Work::Write(|scale| vec!["throughput".into(), seconds(4.0 * scale), "1000".into()]),
        bytes: 1_000,
        on_kafka: 0.0,
        settings: "enable.idempotence=true",
        ..CASE
    },
    Case {
        name: "memory",
        work: Work::Write(|scale| produce((2u64 << 20) as f64 * scale, 1_024)),
        once: true,
        on_kafka: 0.0,
        ..CASE
    },
];

fn produce(records: f64, bytes: usize) -> Vec<String> {
    vec!["produce".into(), (records as u64).to_string(), bytes.to_string()]
}

fn latency(rate: u64, time: f64) -> Vec<String> {
    vec!["latency".into(), rate.to_string(), seconds(time)]
}

pub const ROWS: [Row; 18] = [
    row("100 B: CPU, us a record", "produce-100", "cpu_us", 3, Target::OfLowest(0.5)),
    row("100 B: elapsed, us a record", "produce-100", "elapsed_us", 3, Target::None),
    row("1 KiB: CPU, us a record", "produce-1k", "cpu_us", 3, Target::OfLowest(0.5)),
    row("1 KiB: elapsed, us a record", "produce-1k", "elapsed_us", 3, Target::None),
    row("1 KiB, lz4: CPU, us a record", "lz4", "cpu_us", 3, Target::OfLowest(0.8)),
    row("1 KiB, zstd: CPU, us a record", "zstd", "cpu_us", 3, Target::OfLowest(0.8)),
    row("1 KiB, SASL_SSL: CPU, us a record", "sasl-ssl", "cpu_us", 3, Target::OfLowest(0.8)),
    row("1,000 records/s: ack p50, ms", "latency-1k", "p50_ms", 3, Target::OfLibrdkafka(1.1)),
    row("1,000 records/s: ack p99, ms", "latency-1k", "p99_ms", 3, Target::OfLibrdkafka(1.5)),
    row("1,000 records/s: CPU, us a record", "latency-1k", "cpu_us", 1, Target::OfLibrdkafka(0.5)),
    row("10,000 records/s: ack p50, ms", "latency-10k", "p50_ms", 3, Target::OfLibrdkafka(1.1)),
    row("10,000 records/s: ack p99, ms", "latency-10k", "p99_ms", 3, Target::OfLibrdkafka(1.5)),
    row("10,000 records/s: CPU, us a record", "latency-10k", "cpu_us", 1, Target::OfLibrdkafka(0.5)),
    row("first ack after process start, ms", "first", "first_ms", 1, Target::OfLowest(1.0)),
    row("20 ms away, 1 partition, 1 kB: records/s", "distant", "per_second", 0, Target::OfFastest(1.0)),
    row("the same, all idempotent: records/s", "distant-idempotent", "per_second", 0, Target::None),
    row("2 GiB: peak RSS less 32 MiB of buffer, MiB", "memory", "rss_over_mib", 1, Target::AtMost(40.0)),
    row("2 GiB: CPU, us a record", "memory", "cpu_us", 3, Target::None),
];
