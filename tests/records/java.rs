//! Batches that Kafka's own classes wrote: read as Kafka reads them, and written byte for byte the same.

use bytes::Bytes;
use ottla::records::{
    Batch, Batches, Compression, ControlType, Fault, Position, Stamp, TimestampType, control,
};

use super::support::{self, Blob, Plain, only_batch};

#[derive(Debug, Default)]
struct Vector {
    name: String,
    header: Vec<String>,
    records: Vec<(i64, Plain)>,
    bytes: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = Vec::new();
    for line in include_str!("java.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap();
        let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
        if kind == "batch" {
            vectors.push(Vector { name: rest.to_owned(), ..Vector::default() });
            continue;
        }
        let vector = vectors.last_mut().unwrap();
        match kind {
            "header" => vector.header = words,
            "record" => vector.records.push(record(&words)),
            "bytes" => vector.bytes.extend(unhex(rest)),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(vectors.len(), 28);
    vectors
}

fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap()
}

fn record(words: &[String]) -> (i64, Plain) {
    let headers = words[4..].iter().map(|header| header.split_once('=').unwrap());
    let plain = Plain {
        timestamp: words[1].parse().unwrap(),
        key: blob(&words[2]),
        value: blob(&words[3]),
        headers: headers.map(|(key, value)| (blob(key).unwrap(), blob(value))).collect(),
    };
    (words[0].parse().unwrap(), plain)
}

fn blob(text: &str) -> Blob {
    match (text, text.split_once('*')) {
        ("null", _) => None,
        ("empty", _) => Some(Vec::new()),
        (_, Some((byte, count))) => Some(unhex(byte).repeat(count.parse().unwrap())),
        (hex, None) => Some(unhex(hex)),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The header as the Java program printed it.
fn describe(batch: &Batch) -> Vec<String> {
    let header = batch.header();
    let flag = |on, yes: &str, no: &str| if on { yes.to_owned() } else { no.to_owned() };
    vec![
        batch.base_offset().to_string(),
        batch.last_offset().to_string(),
        batch.leader_epoch().to_string(),
        batch.compression().to_string(),
        format!("{:?}", batch.timestamp_type()),
        header.max_timestamp.to_string(),
        header.producer_id.to_string(),
        header.producer_epoch.to_string(),
        header.base_sequence.to_string(),
        batch.record_count().to_string(),
        flag(batch.is_transactional(), "transactional", "plain"),
        flag(batch.is_control(), "control", "data"),
        flag(header.attributes.has_delete_horizon(), "horizon", "-"),
    ]
}

#[test]
fn every_batch_of_kafkas_is_read_as_kafka_reads_it() {
    let (mut read, mut old) = (0, 0);
    for vector in vectors() {
        let set = Bytes::from(vector.bytes);
        if vector.name.starts_with("magic") {
            let error = Batches::new(set.clone()).next().unwrap().unwrap_err();
            let magic = set[16].cast_signed();
            assert_eq!((error.fault, error.position), (Fault::OldMagic(magic), Position::Received(16)));
            assert_eq!(error.base_offset, if vector.name == "magic-1-gzip" { 4 } else { 3 });
            old += 1;
            continue;
        }
        if vector.header[3] == "zstd" && Compression::Zstd.check_enabled().is_err() {
            continue;
        }
        let batch = only_batch(&set).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(describe(&batch), vector.header, "{}", vector.name);
        let offsets = batch.records().map(|record| record.offset());
        let records: Vec<_> = offsets.zip(support::plain(&batch)).collect();
        assert_eq!(records, vector.records, "{}", vector.name);
        assert_eq!(batch.frame(), &set);
        read += 1;
    }
    assert_eq!(old, 3);
    assert!(read >= 21, "{read}");
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte_as_kafka_writes_them() {
    for name in [
        "nulls-and-empties",
        "headers",
        "timestamps",
        "seventy",
        "idempotent",
        "transactional",
        "log-append-time",
    ] {
        let vector = vector(name);
        let theirs = only_batch(&Bytes::from(vector.bytes.clone())).unwrap();
        let header = theirs.header();
        let stamp = Stamp {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            transactional: theirs.is_transactional(),
        };
        let mut records: Vec<_> = vector.records.into_iter().map(|(_, record)| record).collect();
        let mut append_time = None;
        if theirs.timestamp_type() == TimestampType::LogAppendTime {
            // Beneath it the bytes keep the producer's times, which were 1 and 2.
            append_time = Some(header.max_timestamp);
            for (at, record) in records.iter_mut().enumerate() {
                record.timestamp = header.base_timestamp + at as i64;
            }
        }
        let ours = support::batch(&records, Compression::None, stamp);
        let ours = only_batch(ours.bytes()).unwrap();
        let ours = support::numbered(&ours, header.base_offset, header.leader_epoch, append_time).unwrap();
        assert_eq!(ours, vector.bytes, "{name}");
    }
}

#[test]
fn end_markers_are_written_byte_for_byte_as_kafka_writes_them() {
    for (name, commit, kind) in [("commit", true, ControlType::Commit), ("abort", false, ControlType::Abort)]
    {
        let vector = vector(name);
        let theirs = only_batch(&Bytes::from(vector.bytes.clone())).unwrap();
        let said: Vec<_> = theirs.control_records().collect();
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].kind, said[0].coordinator_epoch), (kind, Some(17)));
        assert_eq!(said[0].offset, theirs.base_offset());
        let ours = control::end_transaction(commit, 17, 1_700_000_000_000, 4711, 3).unwrap();
        let ours = only_batch(ours.bytes()).unwrap();
        let ours = support::numbered(&ours, theirs.base_offset(), 4, None).unwrap();
        assert_eq!(ours, vector.bytes, "{name}");
    }
}

#[test]
fn other_control_batches_and_data_batches_end_no_transaction() {
    let kinds = |name| -> Vec<_> {
        let batch = only_batch(&Bytes::from(vector(name).bytes)).unwrap();
        batch.control_records().map(|record| (record.kind, record.coordinator_epoch)).collect()
    };
    assert_eq!(kinds("leader-change"), [(ControlType::LeaderChange, None)]);
    assert_eq!(kinds("kraft-version"), [(ControlType::KraftVersion, None)]);
    assert_eq!(kinds("emptied-control"), []);
    assert_eq!(kinds("transactional"), []);
}

#[test]
fn a_record_set_of_many_batches_is_walked_to_its_partial_end() {
    let vectors: Vec<_> =
        vectors().into_iter().filter(|v| !v.name.starts_with("magic") && !v.name.contains("zstd")).collect();
    let mut set: Vec<u8> = vectors.iter().flat_map(|vector| vector.bytes.clone()).collect();
    let whole = set.len();
    set.extend(&vectors[0].bytes[..70]);
    let mut batches = Batches::new(set.into());
    for vector in &vectors {
        let batch = batches.next().unwrap().unwrap();
        assert_eq!(describe(&batch), vector.header);
        let expected = batch.last_offset() + 1;
        assert_eq!(batch.next_offset(), expected, "compacted or not");
    }
    assert!(batches.next().is_none());
    let partial = batches.partial().unwrap();
    assert_eq!((partial.present, partial.base_offset, partial.is_first), (70, Some(0), false));
    assert_eq!(partial.needed, Some(vectors[0].bytes.len()));
    assert_eq!(batches.bytes_left(), 70);
    assert!(whole > 10_000);
}
