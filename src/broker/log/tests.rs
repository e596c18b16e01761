use super::*;
use crate::engine::connection::Spares;
use crate::records::{BatchBuilder, Compressor, Stamp};
use bytes::Bytes;

/// A batch with one record for each of these times.
fn batch(timestamps: &[i64], codec: Compression) -> Batch {
    let mut builder = BatchBuilder::with_capacity(1024);
    for timestamp in timestamps {
        builder.append(*timestamp, Some(b"key"), Some(b"value"), []).unwrap();
    }
    let mut closed = builder.close().unwrap();
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    let sealed = closed.seal(Stamp::NONE);
    Batch::open(sealed.bytes().clone(), 0, &mut Decompressor::new(1 << 20)).unwrap()
}

fn log_of(batches: &[&[i64]]) -> Log {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    for timestamps in batches {
        log.append(&batch(timestamps, Compression::None), LeaderEpoch(0), None, Memory::Own).unwrap();
    }
    log
}

fn offsets(log: &Log, run: &Run) -> Vec<(i64, i64)> {
    crate::records::Batches::new(log.read(run).to_bytes())
        .map(|batch| batch.map(|batch| (batch.base_offset(), batch.last_offset())).unwrap())
        .collect()
}

#[test]
fn batches_get_offsets_and_epochs_in_place_and_keep_their_codec() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    for (codec, epoch) in [(Compression::None, 0), (Compression::Gzip, 0), (Compression::Lz4, 3)] {
        log.append(&batch(&[1, 2], codec), LeaderEpoch(epoch), None, Memory::Own).unwrap();
    }
    assert_eq!((log.start_offset(), log.end_offset()), (0, 6));
    let run = log.run(0, 6, usize::MAX, false);
    assert_eq!(offsets(&log, &run), [(0, 1), (2, 3), (4, 5)]);
    let stored: Vec<_> =
        log.batches().map(|stored| (stored.codec, stored.open().unwrap().leader_epoch())).collect();
    assert_eq!(stored, [(Compression::None, 0), (Compression::Gzip, 0), (Compression::Lz4, 3)]);
}

#[test]
fn the_time_of_appending_replaces_the_producers() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    log.append(&batch(&[1, 2], Compression::None), LeaderEpoch(0), Some(99), Memory::Own).unwrap();
    let stored = log.batches().next().unwrap();
    assert_eq!(stored.max_timestamp, 99);
    let times: Vec<_> = stored.open().unwrap().records().map(|record| record.timestamp()).collect();
    assert_eq!(times, [99, 99]);
}

#[test]
fn a_run_holds_whole_batches_within_its_limits() {
    let log = log_of(&[&[1], &[2, 3], &[4]]);
    let sizes: Vec<usize> = log.batches().map(|stored| stored.frame.len()).collect();
    let run = |offset, max_bytes, at_least_one| offsets(&log, &log.run(offset, 4, max_bytes, at_least_one));
    assert_eq!(run(0, usize::MAX, false), [(0, 0), (1, 2), (3, 3)]);
    assert_eq!(run(0, sizes[0] + sizes[1], false), [(0, 0), (1, 2)]);
    assert_eq!(run(0, sizes[0] + sizes[1] - 1, false), [(0, 0)]);
    assert_eq!(run(2, usize::MAX, false), [(1, 2), (3, 3)], "the batch that holds the offset comes whole");
    assert_eq!(run(0, 1, false), []);
    assert_eq!(run(0, 0, true), [(0, 0)], "the first batch comes whatever the limit (KIP-74)");
    assert_eq!(run(4, usize::MAX, true), []);
    assert_eq!(
        offsets(&log, &log.run(0, 3, usize::MAX, false)),
        [(0, 0), (1, 2)],
        "what ends later is not stable"
    );
}

#[test]
fn batches_are_read_uncopied_and_kept_uncopied_where_that_is_asked_for() {
    let mut log = log_of(&[&[1], &[2]]);
    let shared = batch(&[3], Compression::None);
    log.append(&shared, LeaderEpoch(0), None, Memory::Shared).unwrap();
    let own = batch(&[4], Compression::None);
    log.append(&own, LeaderEpoch(0), None, Memory::Own).unwrap();
    let places =
        |pieces: &mut dyn Iterator<Item = Bytes>| pieces.map(|piece| piece.as_ptr()).collect::<Vec<_>>();
    let read = log.read(&log.run(0, 4, usize::MAX, false));
    let read_from = places(&mut read.pieces().iter().cloned());
    assert_eq!(read_from, places(&mut log.batches().flat_map(|stored| stored.frame.pieces())));
    let is_part = |whole: &Batch| read_from.iter().any(|place| whole.frame().as_ptr_range().contains(place));
    assert!(is_part(&shared) && !is_part(&own));
    assert_eq!(offsets(&log, &log.run(2, 4, usize::MAX, false)), [(2, 2), (3, 3)]);
}

#[test]
fn records_are_found_by_time() {
    let log = log_of(&[&[10, 30], &[20], &[50, 40]]);
    let found = |timestamp| log.find_timestamp(timestamp).map(|found| (found.offset, found.timestamp));
    assert_eq!(found(0), Some((0, 10)));
    assert_eq!(found(11), Some((1, 30)));
    assert_eq!(found(31), Some((3, 50)));
    assert_eq!(found(51), None);
    let newest = log.find_max_timestamp().unwrap();
    assert_eq!((newest.offset, newest.timestamp), (3, 50));
    assert_eq!(Log::new(LeaderEpoch(0), Spares::default()).find_max_timestamp(), None);
}

#[test]
fn the_ends_of_epochs_are_those_of_kafka() {
    let mut log = Log::new(LeaderEpoch(1), Spares::default());
    let one = batch(&[1], Compression::None);
    for epoch in [1, 1, 4, 6, 6] {
        log.append(&one, LeaderEpoch(epoch), None, Memory::Own).unwrap();
    }
    let end = |epoch| log.end_of_epoch(LeaderEpoch(epoch)).map(|(epoch, end)| (epoch.0, end));
    assert_eq!(end(0), Some((0, 0)), "before all that is known");
    assert_eq!(end(1), Some((1, 2)));
    assert_eq!(end(3), Some((1, 2)), "between two: the older, up to where the newer begins");
    assert_eq!(end(4), Some((4, 3)));
    assert_eq!(end(6), Some((6, 5)));
    assert_eq!(end(7), None);
    assert_eq!(end(-1), None, "no epoch at all");
    assert_eq!(end(-2), Some((-2, 0)));
    assert_eq!((log.oldest_epoch(), log.newest_epoch()), (LeaderEpoch(1), LeaderEpoch(6)));
}

#[test]
fn retention_takes_the_oldest_and_leaves_the_newest() {
    let mut log = log_of(&[&[1], &[2], &[3]]);
    let size = log.batches().next().unwrap().frame.len();
    log.retain_bytes(2 * size);
    assert_eq!((log.start_offset(), log.end_offset()), (1, 3));
    log.retain_bytes(size + 1);
    assert_eq!(log.start_offset(), 1, "less would be left than is to be kept");
    log.retain_bytes(0);
    assert_eq!(log.start_offset(), 2, "the newest batch stays");
}

#[test]
fn a_leader_that_wrote_nothing_leaves_no_epoch_behind() {
    let mut log = log_of(&[&[1, 2]]);
    log.begin_epoch(LeaderEpoch(1));
    log.begin_epoch(LeaderEpoch(2));
    log.begin_epoch(LeaderEpoch(1));
    assert_eq!(log.epochs, [(LeaderEpoch(0), 0), (LeaderEpoch(2), 2)]);
    let mut empty = Log::new(LeaderEpoch(0), Spares::default());
    empty.begin_epoch(LeaderEpoch(1));
    assert_eq!(empty.epochs, [(LeaderEpoch(1), 0)]);
}

#[test]
fn epochs_that_ended_before_the_logs_start_are_forgotten() {
    let log_of_epochs = || {
        let mut log = Log::new(LeaderEpoch(1), Spares::default());
        for epoch in [1, 1, 4, 6] {
            log.append(&batch(&[1], Compression::None), LeaderEpoch(epoch), None, Memory::Own).unwrap();
        }
        log
    };
    for (deleted_before, left) in [
        (0, &[(1, 0), (4, 2), (6, 3)][..]),
        (1, &[(1, 1), (4, 2), (6, 3)]),
        (2, &[(4, 2), (6, 3)]),
        (4, &[(6, 4)]),
    ] {
        let mut log = log_of_epochs();
        log.delete_before(deleted_before);
        let epochs: Vec<_> = log.epochs.iter().map(|(epoch, start)| (epoch.0, *start)).collect();
        assert_eq!(epochs, left, "before {deleted_before}");
    }
    let mut log = log_of_epochs();
    log.retain_bytes(0);
    assert_eq!((log.start_offset(), &log.epochs[..]), (3, &[(LeaderEpoch(6), 3)][..]));
    assert_eq!(log.end_of_epoch(LeaderEpoch(1)), Some((LeaderEpoch(1), 3)), "its records are gone");
    log.delete_before(4);
    log.begin_epoch(LeaderEpoch(7));
    assert_eq!(log.epochs, [(LeaderEpoch(7), 4)], "nothing is left of what came before");
}

#[test]
fn deleted_records_are_gone_for_every_way_to_find_them() {
    let mut log = log_of(&[&[10, 20], &[30, 40, 50], &[60]]);
    log.delete_before(3);
    assert_eq!((log.start_offset(), log.batches().count()), (3, 2), "the batch of offset 3 stays whole");
    assert_eq!(log.find_timestamp(0).unwrap().offset, 3);
    log.retain_bytes(log.bytes);
    assert_eq!(log.start_offset(), 3, "retention does not move it back");
    log.delete_before(2);
    assert_eq!(log.start_offset(), 3);
    log.delete_before(99);
    assert_eq!((log.start_offset(), log.end_offset(), log.bytes), (6, 6, 0));
}

#[test]
fn a_truncated_log_forgets_records_epochs_and_producers() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    let stamp =
        |base_sequence| Stamp { producer_id: 7, producer_epoch: 0, base_sequence, transactional: false };
    for (n, epoch) in [(0, 0), (1, 0), (2, 1)] {
        let mut builder = BatchBuilder::with_capacity(100);
        builder.append(1, None, Some(b"v"), []).unwrap();
        let sealed = builder.close().unwrap().seal(stamp(n));
        let batch = Batch::open(sealed.bytes().clone(), 0, &mut Decompressor::new(1 << 20)).unwrap();
        log.append(&batch, LeaderEpoch(epoch), None, Memory::Own).unwrap();
        log.producers.remember(
            Sequence::of(batch.header()).unwrap(),
            Appended { first: n, last: n, base_offset: n.into(), max_timestamp: -1 },
            1,
        );
    }
    log.truncate(2, 1);
    assert_eq!((log.end_offset(), log.newest_epoch(), log.batches().count()), (2, LeaderEpoch(0), 2));
    let verdict = |log: &Log, n| {
        let header = BatchHeader { last_offset_delta: 0, ..*log.batches[0].open().unwrap().header() };
        log.producers.check(Sequence::of(&BatchHeader { base_sequence: n, ..header }).unwrap(), 1)
    };
    assert!(matches!(verdict(&log, 1), Verdict::Duplicate(old) if old.base_offset == 1));
    assert_eq!(verdict(&log, 2), Verdict::Append, "the last was forgotten");
    log.truncate(0, 1);
    assert_eq!((log.end_offset(), log.bytes, verdict_of_nobody(&log)), (0, 0, Verdict::Append));
}

fn verdict_of_nobody(log: &Log) -> Verdict {
    let (producer_id, epoch) = (ProducerId(7), crate::messages::ProducerEpoch(0));
    log.producers.check(Sequence { producer_id, epoch, first: 5, last: 5, is_transactional: false }, 1)
}

/// A batch of records with keys, and values or none, all at one time.
fn keyed(records: &[(&str, Option<&str>)], time: i64, codec: Compression) -> Batch {
    let mut builder = BatchBuilder::with_capacity(1024);
    for (key, value) in records {
        builder.append(time, Some(key.as_bytes()), value.map(str::as_bytes), []).unwrap();
    }
    let mut closed = builder.close().unwrap();
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    let stamp = Stamp { producer_id: 7, producer_epoch: 1, base_sequence: 3, transactional: false };
    Batch::open(closed.seal(stamp).bytes().clone(), 0, &mut Decompressor::new(1 << 20)).unwrap()
}

const CLEANING: Cleaning =
    Cleaning { min_lag_ms: 0, max_lag_ms: i64::MAX, min_dirty_ratio: 0.5, tombstones_ms: 100 };

/// Offset, key and value of each record.
fn records(log: &Log) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let batches: Vec<_> = log.batches().map(|stored| stored.open().unwrap()).collect();
    let records = batches.iter().flat_map(|batch| batch.records());
    records.map(|r| (r.offset(), text(r.key().unwrap()), r.value().map(text))).collect()
}

fn record(offset: i64, key: &str, value: Option<&str>) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), value.map(str::to_owned))
}

#[test]
fn of_each_key_the_last_record_is_kept_with_its_offset() {
    for codec in [Compression::None, Compression::Gzip, Compression::Lz4] {
        let mut log = Log::new(LeaderEpoch(0), Spares::default());
        for batch in [
            keyed(&[("a", Some("1")), ("b", Some("1"))], 10, codec),
            keyed(&[("a", Some("2"))], 20, codec),
            keyed(&[("c", Some("1")), ("a", Some("3")), ("d", None)], 30, codec),
            keyed(&[("b", Some("2"))], 40, codec),
        ] {
            log.append(&batch, LeaderEpoch(0), None, Memory::Own).unwrap();
        }
        assert!(log.compact(&CLEANING, 1_000, true));
        let c = record(3, "c", Some("1"));
        let (a, d) = (record(4, "a", Some("3")), record(5, "d", None));
        let kept = [record(1, "b", Some("1")), c, a, d, record(6, "b", Some("2"))];
        assert_eq!(records(&log), kept, "{codec:?}: the newest batch counts for nothing yet");
        assert_eq!((log.start_offset(), log.end_offset()), (0, 7));
        let first = log.batches().next().unwrap();
        assert_eq!((first.base_offset, first.last_offset, first.max_timestamp), (0, 1, 10));
        let header = first.header().unwrap();
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 1, 3));
        assert_eq!((header.record_count, first.open().unwrap().compression()), (1, codec));
        assert_eq!(log.bytes(), log.batches().map(|stored| stored.frame.len()).sum::<usize>());
        let run = log.run(2, 7, usize::MAX, false);
        assert_eq!(offsets(&log, &run), [(3, 5), (6, 6)], "a hole is read over");
    }
}

#[test]
fn tombstones_are_kept_for_their_time() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    for records in [&[("a", Some("1"))], &[("a", None)], &[("z", Some("1"))]] {
        log.append(&keyed(records, 10, Compression::None), LeaderEpoch(0), None, Memory::Own).unwrap();
    }
    let left = |log: &mut Log, now_ms| {
        log.compact(&CLEANING, now_ms, true);
        records(log)
    };
    let z = record(2, "z", Some("1"));
    assert_eq!(left(&mut log, 1_000), [record(1, "a", None), z.clone()]);
    assert_eq!(left(&mut log, 1_099), [record(1, "a", None), z.clone()]);
    assert_eq!(left(&mut log, 1_100), [z]);
    assert_eq!((log.start_offset(), log.end_offset()), (0, 3));
}

#[test]
fn compaction_waits_until_it_is_worth_it() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    let append = |log: &mut Log, time| {
        log.append(&keyed(&[("a", Some("1"))], time, Compression::None), LeaderEpoch(0), None, Memory::Own)
            .unwrap();
    };
    append(&mut log, 10);
    assert!(!log.compact(&CLEANING, 1_000, false), "one batch is never touched");
    append(&mut log, 20);
    append(&mut log, 30);
    assert!(log.compact(&CLEANING, 1_000, false), "all of it is new");
    assert_eq!(records(&log).iter().map(|(offset, ..)| *offset).collect::<Vec<_>>(), [1, 2]);
    append(&mut log, 40);
    assert!(!log.compact(&CLEANING, 1_000, false), "no more than half of it is new");
    let patient = Cleaning { max_lag_ms: 500, ..CLEANING };
    assert!(log.compact(&patient, 1_000, false), "it has waited long enough");
    append(&mut log, 950);
    append(&mut log, 960);
    let young = Cleaning { min_lag_ms: 100, min_dirty_ratio: 0.0, ..CLEANING };
    log.compact(&young, 1_000, true);
    assert_eq!(records(&log).iter().map(|(offset, ..)| *offset).collect::<Vec<_>>(), [3, 4, 5]);
}

/// Whatever is written and whenever it is cleaned: who reads all of it knows the last value of each key.
#[test]
fn no_last_value_is_ever_lost() {
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..200 {
        let mut log = Log::new(LeaderEpoch(0), Spares::default());
        let mut expected = std::collections::BTreeMap::new();
        let mut now_ms = 0;
        for _ in 0..rng.usize(1..30) {
            now_ms += rng.i64(0..60);
            let of = |rng: &mut fastrand::Rng| {
                (
                    ["a", "b", "c", "d"][rng.usize(..4)],
                    (rng.u8(..4) > 0).then_some(["1", "2", "3"][rng.usize(..3)]),
                )
            };
            let some: Vec<_> = (0..rng.usize(1..5)).map(|_| of(&mut rng)).collect();
            expected.extend(some.iter().copied());
            let codec = [Compression::None, Compression::Lz4][rng.usize(..2)];
            log.append(&keyed(&some, now_ms, codec), LeaderEpoch(0), None, Memory::Own).unwrap();
            if rng.bool() {
                let how = Cleaning { min_lag_ms: rng.i64(0..80), ..CLEANING };
                log.compact(&how, now_ms, rng.bool());
            }
        }
        let mut read = std::collections::BTreeMap::new();
        let stored = records(&log);
        assert!(stored.is_sorted_by_key(|(offset, ..)| *offset));
        for (_, key, value) in stored {
            read.insert(key, value);
        }
        for (key, value) in expected {
            assert_eq!(read.get(key).cloned().flatten().as_deref(), value, "{key}");
        }
    }
}

#[test]
fn old_batches_go_by_the_later_of_their_two_times() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    for (time, appended) in [(10, 500), (20, 20), (700, 30), (40, 40)] {
        log.append(&batch(&[time], Compression::None), LeaderEpoch(0), None, Memory::Own).unwrap();
        log.appended_at(appended);
    }
    assert!(!log.retain_since(500));
    assert!(log.retain_since(501));
    assert_eq!((log.start_offset(), log.end_offset()), (2, 4), "the third keeps the fourth");
    assert!(log.retain_since(701));
    assert_eq!((log.start_offset(), log.end_offset(), log.bytes()), (4, 4, 0));
}

#[test]
fn what_was_aborted_replaces_nothing() {
    let mut log = Log::new(LeaderEpoch(0), Spares::default());
    let send = |log: &mut Log, producer_id, sequence, value: &str, transactional| {
        let mut builder = BatchBuilder::with_capacity(100);
        builder.append(1, Some(b"k"), Some(value.as_bytes()), []).unwrap();
        let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: sequence, transactional };
        let bytes = builder.close().unwrap().seal(stamp).bytes().clone();
        let batch = Batch::open(bytes, 0, &mut Decompressor::new(1 << 20)).unwrap();
        let base_offset = log.append(&batch, LeaderEpoch(0), None, Memory::Own).unwrap();
        let appended = Appended { first: sequence, last: sequence, base_offset, max_timestamp: -1 };
        log.producers.remember(Sequence::of(batch.header()).unwrap(), appended, 1);
    };
    let end = |log: &mut Log, producer_id, is_commit| {
        let marker = Marker {
            producer_id: ProducerId(producer_id),
            epoch: crate::messages::ProducerEpoch(0),
            is_commit,
            coordinator_epoch: 0,
            has_own_epoch: false,
        };
        log.end_transaction(&marker, LeaderEpoch(0), None, 1).unwrap();
    };
    send(&mut log, 1, 0, "committed", true);
    end(&mut log, 1, true);
    send(&mut log, 2, 0, "aborted", true);
    end(&mut log, 2, false);
    send(&mut log, 3, 0, "open", true);
    send(&mut log, 4, 0, "plain", false);
    log.compact(&CLEANING, 1_000, true);
    let values = |log: &Log| {
        let batches: Vec<_> = log.batches().filter_map(Stored::open).filter(|b| !b.is_control()).collect();
        let values = batches.iter().flat_map(|batch| batch.records());
        values.map(|r| String::from_utf8(r.value().unwrap().to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(values(&log), ["committed", "open", "plain"]);
    assert_eq!((log.last_stable_offset(), log.end_offset()), (4, 6));
    end(&mut log, 3, true);
    send(&mut log, 4, 1, "newest", false);
    log.compact(&CLEANING, 1_000, true);
    assert_eq!(values(&log), ["plain", "newest"]);
}
