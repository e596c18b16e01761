//! Random records through every codec and back, and what can happen to a batch between.

use bytes::Bytes;
use ottla::records::{
    Batch, BatchBuilder, Batches, Compression, Compressor, Decompressor, HEADER_LEN, Stamp, TimestampType,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::cases::cases;
use super::support::{self, Plain, batch, codecs, only_batch, plain};

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..most),
        (any::<u8>(), 0..most * 20).prop_map(|(byte, len)| vec![byte; len])
    ]
}

fn record() -> impl Strategy<Value = Plain> {
    let timestamp = prop_oneof![Just(-1i64), 1_600_000_000_000i64..1_800_000_000_000, -1i64 << 61..1 << 61];
    let headers = vec((bytes(4), option::of(bytes(5))), 0..4);
    (timestamp, option::of(bytes(20)), option::of(bytes(200)), headers)
        .prop_map(|(timestamp, key, value, headers)| Plain { timestamp, key, value, headers })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<(i64, i16, i32, bool)>().prop_map(|(producer_id, producer_epoch, base_sequence, transactional)| {
        Stamp { producer_id, producer_epoch, base_sequence, transactional }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]

    #[test]
    fn records_come_back_through_every_codec(records in vec(record(), 1..100), stamp in stamp()) {
        for codec in codecs() {
            let sealed = batch(&records, codec, stamp);
            prop_assert_eq!((sealed.stamp(), sealed.compression()), (stamp, codec));
            prop_assert_eq!(sealed.len(), sealed.bytes().len());
            let read = only_batch(sealed.bytes()).unwrap();
            prop_assert_eq!(&plain(&read), &records);
            prop_assert_eq!(read.records().map(|record| record.offset()).collect::<Vec<_>>(),
                (0..records.len() as i64).collect::<Vec<_>>());
            prop_assert_eq!(read.records().len(), records.len());
            prop_assert_eq!(sealed.uncompressed_len(), HEADER_LEN + read.records_len());
            prop_assert_eq!(Some(read.header().max_timestamp), records.iter().map(|record| record.timestamp).max());
        }
    }

    #[test]
    fn the_cost_of_a_record_is_exact(records in vec(record(), 1..100)) {
        let mut builder = BatchBuilder::with_capacity(0);
        for (at, record) in records.iter().enumerate() {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let before = builder.len();
            let cost = builder.cost(record.timestamp, key, value, record.headers()).unwrap();
            let refused =
                builder.append_if_fits(before + cost - 1, record.timestamp, key, value, record.headers());
            prop_assert_eq!((refused, builder.len()), (None, before));
            let place = builder.append_if_fits(before + cost, record.timestamp, key, value, record.headers());
            prop_assert_eq!(place, Some(at as i32));
            prop_assert_eq!(builder.len(), before + cost);
            if at == 0 {
                prop_assert_eq!(builder.len(), BatchBuilder::len_of_one(key, value, record.headers()));
            }
        }
        let len = builder.len();
        prop_assert_eq!(builder.close().unwrap().seal(Stamp::NONE).len(), len);
    }

    #[test]
    fn a_stamp_is_replaced_without_touching_the_records(
        records in vec(record(), 1..20), first in stamp(), second in stamp(), shared: bool,
    ) {
        for codec in codecs() {
            let sealed = batch(&records, codec, first);
            let in_flight = shared.then(|| sealed.bytes().clone());
            let before = in_flight.clone();
            let again = sealed.restamp(second);
            let anew = batch(&records, codec, second);
            prop_assert_eq!(again.bytes(), anew.bytes());
            prop_assert_eq!(again.stamp(), second);
            prop_assert_eq!(in_flight, before);
        }
    }

    #[test]
    fn a_batch_splits_into_two_smaller_ones(records in vec(record(), 1..40), first in stamp(), second in stamp()) {
        for codec in codecs() {
            let mut compressor = Compressor::new(codec, None).unwrap();
            let whole = batch(&records, codec, first);
            let Some([left, right]) = whole.split(&mut compressor).unwrap() else {
                prop_assert_eq!(records.len(), 1);
                continue;
            };
            let (left, right) = (left.seal(first), right.seal(second));
            prop_assert!(left.uncompressed_len() < whole.uncompressed_len());
            prop_assert!(right.uncompressed_len() < whole.uncompressed_len());
            prop_assert_eq!((left.compression(), right.compression()), (codec, codec));
            prop_assert_eq!((left.stamp(), right.stamp()), (first, second));
            let (left, right) = (only_batch(left.bytes()).unwrap(), only_batch(right.bytes()).unwrap());
            prop_assert_eq!([plain(&left), plain(&right)].concat(), records.clone());
            prop_assert_eq!(right.records().next().map(|record| record.offset()), Some(0));
        }
    }

    #[test]
    fn owned_records_hold_what_the_view_showed(records in vec(record(), 1..20)) {
        let sealed = batch(&records, Compression::Lz4, Stamp::NONE);
        let read = only_batch(sealed.bytes()).unwrap();
        let owned: Vec<_> = read.records().map(|record| record.to_owned()).collect();
        let detached: Vec<_> = read.records().map(|record| record.detach()).collect();
        prop_assert_eq!(&owned, &detached);
        drop(read);
        for (owned, record) in owned.into_iter().zip(&records) {
            prop_assert_eq!(owned.key.as_deref(), record.key.as_deref());
            prop_assert_eq!(owned.value.as_deref(), record.value.as_deref());
            let headers: Vec<_> = owned.headers.into_iter()
                .map(|header| (header.key.to_vec(), header.value.map(|value| value.to_vec()))).collect();
            prop_assert_eq!(&headers, &record.headers);
        }
    }
}

#[test]
fn a_large_batch_splits_near_the_middle() {
    let records: Vec<_> = (0..1000).map(|at| Plain::new(at, "key", &"v".repeat(100))).collect();
    let whole = batch(&records, Compression::None, Stamp::NONE);
    let mut none = Compressor::new(Compression::None, None).unwrap();
    let [left, right] = whole.split(&mut none).unwrap().unwrap();
    assert!((490..=510).contains(&left.record_count()), "{}", left.record_count());
    assert_eq!(left.record_count() + right.record_count(), 1000);
    // A large record at the end does not drag the small ones before it along.
    let records = [Plain::new(0, "key", "small"), Plain::new(0, "key", &"large".repeat(1000))];
    let [left, right] = batch(&records, Compression::None, Stamp::NONE).split(&mut none).unwrap().unwrap();
    assert_eq!((left.record_count(), right.record_count()), (1, 1));
}

#[test]
fn closing_an_empty_batch_gives_none_and_buffers_are_used_again() {
    assert!(BatchBuilder::with_capacity(100).close().is_none());
    let mut builder = BatchBuilder::reusing(vec![1; 500]);
    assert_eq!(builder.base_timestamp(), None);
    Plain::new(5, "k", "v").append_to(&mut builder);
    assert_eq!((builder.base_timestamp(), builder.record_count()), (Some(5), 1));
    let sealed = builder.close().unwrap().seal(Stamp::NONE);
    assert_eq!(sealed.bytes(), batch(&[Plain::new(5, "k", "v")], Compression::None, Stamp::NONE).bytes());
}

#[test]
fn timestamps_out_of_reach_are_refused_and_leave_the_batch_alone() {
    let mut builder = BatchBuilder::with_capacity(0);
    Plain::new(i64::MAX, "k", "v").append_to(&mut builder);
    let before = builder.len();
    assert!(builder.append(-2, None, None, []).is_err());
    assert_eq!((builder.len(), builder.record_count()), (before, 1));
    assert!(builder.append(0, None, None, []).is_ok());
}

#[test]
fn a_log_gives_offsets_epoch_and_time() {
    for codec in codecs() {
        let sealed = batch(&support::sample(), codec, Stamp::NONE);
        let produced = only_batch(sealed.bytes()).unwrap();
        let numbered =
            |append_time| only_batch(&support::numbered(&produced, 1000, 5, append_time).unwrap()).unwrap();
        let stored = numbered(None);
        assert_eq!((stored.base_offset(), stored.next_offset(), stored.leader_epoch()), (1000, 1010, 5));
        assert_eq!(plain(&stored), support::sample());
        let stored = numbered(Some(42));
        assert_eq!(stored.timestamp_type(), TimestampType::LogAppendTime);
        assert!(stored.records().all(|record| record.timestamp() == 42));
        assert!(produced.numbered(i64::MAX - 9, 5, None).is_err());
        assert!(produced.numbered(i64::MAX - 10, 5, None).is_ok());
        assert!(produced.numbered(-1, 5, None).is_err());
    }
}

#[test]
fn records_share_the_frame_until_they_are_detached() {
    let set = batch(&[Plain::new(1, "key", "value")], Compression::None, Stamp::NONE).bytes().clone();
    let read = only_batch(&set).unwrap();
    let record = read.records().next().unwrap();
    let inside = |part: &Bytes| set.as_ptr_range().contains(&part.as_ptr());
    assert!(inside(&record.to_owned().value.unwrap()));
    assert!(!inside(&record.detach().value.unwrap()));
}

#[test]
fn the_last_header_of_a_name_counts() {
    let read = only_batch(batch(&support::sample(), Compression::None, Stamp::NONE).bytes()).unwrap();
    let record = read.records().nth(4).unwrap();
    assert_eq!(record.last_header("a").unwrap().value, Some(&b""[..]));
    assert_eq!(record.last_header("b").unwrap().value, None);
    assert!(record.last_header("c").is_none());
    assert_eq!(record.headers().len(), 3);
}

#[test]
fn batches_and_closed_batches_can_change_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Batch>();
    is_send::<Batches>();
    is_send::<ottla::records::ClosedBatch>();
    is_send::<Compressor>();
    is_send::<Decompressor>();
}
