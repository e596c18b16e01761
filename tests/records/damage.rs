//! Damaged batches: never a panic, and never a batch accepted whose structure is broken, checksum or not.

use bytes::Bytes;
use ottla::records::{
    Attributes, Batch, BatchHeader, Batches, Compression, CompressionError, Compressor, ControlFlaw,
    Decompressor, Fault, HEADER_LEN, Position, RecordFlaw, RecordsError, Stamp, control,
};
use proptest::prelude::*;

use super::reference::{self, fix, ours};
use super::support::{self, Plain, batch, codecs, only_batch};

const CRC_FROM: usize = 21;

fn open(mut frame: Vec<u8>) -> Result<Batch, RecordsError> {
    fix(&mut frame);
    only_batch(&frame.into())
}

fn fault(frame: Vec<u8>) -> Fault {
    open(frame).unwrap_err().fault
}

/// A batch whose header is changed by `change` and whose records are these bytes.
fn forged(records: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let valid = batch(&[Plain::new(0, "k", "v")], Compression::None, Stamp::NONE);
    let mut header = BatchHeader::read(valid.bytes().first_chunk().unwrap());
    change(&mut header);
    [&header.to_bytes()[..], records].concat()
}

fn sample_frame() -> Vec<u8> {
    batch(&support::sample(), Compression::None, Stamp::NONE).bytes().to_vec()
}

fn with_header(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let frame = sample_frame();
    let mut header = BatchHeader::read(frame.first_chunk().unwrap());
    change(&mut header);
    [&header.to_bytes()[..], &frame[HEADER_LEN..]].concat()
}

#[test]
fn no_changed_byte_under_the_checksum_is_accepted() {
    for codec in codecs() {
        let frame = batch(&support::sample(), codec, Stamp::NONE).bytes().to_vec();
        for at in 16..frame.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[at] ^= mask;
                let error = only_batch(&changed.into()).unwrap_err();
                if at > 16 {
                    assert!(matches!(error.fault, Fault::Crc { .. }), "{codec} {at}: {error}");
                }
            }
        }
    }
}

#[test]
fn every_byte_changed_in_every_way_with_the_checksum_made_right() {
    let mut small = support::sample();
    small.truncate(5);
    let marker = control::end_transaction(true, 7, 5, 4711, 3).unwrap();
    for sealed in codecs().map(|codec| batch(&small, codec, Stamp::NONE)).chain([marker]) {
        let every: Vec<u8> = (1..=255).collect();
        let masks =
            if sealed.compression() == Compression::None { &every[..] } else { &[0x01, 0x10, 0x80, 0xff] };
        let mut accepted = 0;
        for at in (0..8).chain(12..17).chain(CRC_FROM..sealed.len()) {
            for mask in masks {
                let mut changed = sealed.bytes().to_vec();
                changed[at] ^= mask;
                fix(&mut changed);
                let read = ours(&changed);
                accepted += usize::from(read.is_some());
                assert_eq!(
                    read,
                    reference::expected(&changed),
                    "{} byte {at} ^ {mask}",
                    sealed.compression()
                );
            }
        }
        assert!(accepted > masks.len());
    }
}

#[test]
fn every_truncation_is_a_partial_batch_and_no_error() {
    for codec in codecs() {
        let whole = batch(&support::sample(), codec, Stamp::NONE).bytes().clone();
        for len in 1..whole.len() {
            let mut batches = Batches::new(whole.slice(..len));
            assert!(batches.next().is_none(), "{codec} {len}");
            let partial = batches.partial().unwrap();
            assert!(partial.is_first);
            assert_eq!((partial.present, partial.base_offset), (len, (len >= 8).then_some(0)));
            assert_eq!(partial.needed, (len >= 12).then_some(whole.len()));
            let cut = Batch::open(whole.slice(..len), 0, &mut Decompressor::default()).unwrap_err();
            assert!(matches!(cut.fault, Fault::Length(_)), "{cut}");
            // The same with a length that fits what is left.
            if len > HEADER_LEN {
                assert!(open(whole[..len].to_vec()).is_err(), "{codec} {len}");
            }
        }
        assert!(Batches::new(Bytes::new()).partial().is_none());
    }
}

#[test]
fn header_faults_are_named() {
    let count = 10;
    assert_eq!(fault(with_header(|header| header.magic = 3)), Fault::UnknownMagic(3));
    assert_eq!(fault(with_header(|header| header.magic = 1)), Fault::OldMagic(1));
    assert_eq!(fault(with_header(|header| header.last_offset_delta = -1)), Fault::LastOffsetDelta(-1));
    for base_offset in [-1, i64::MIN, i64::MAX, i64::MAX - 9] {
        assert_eq!(
            fault(with_header(|header| header.base_offset = base_offset)),
            Fault::BaseOffset { base_offset, last_offset_delta: 9 }
        );
    }
    assert!(open(with_header(|header| header.base_offset = i64::MAX - 10)).is_ok());
    for (count, last_offset_delta) in [(-1, 9), (11, 9), (i32::MIN, 0), (i32::MAX, 9), (10, 8)] {
        let frame = with_header(|header| {
            header.record_count = count;
            header.last_offset_delta = last_offset_delta;
        });
        assert_eq!(fault(frame), Fault::RecordCount { count, last_offset_delta });
    }
    let mut frame = sample_frame();
    frame[22] |= 0x80;
    assert_eq!(fault(frame), Fault::Attributes(0x80));
    let mut frame = sample_frame();
    frame[21] = 0x80;
    assert_eq!(fault(frame), Fault::Attributes(0x8000));
    for codec in 5..8 {
        let mut frame = sample_frame();
        frame[22] = codec;
        assert_eq!(fault(frame), Fault::Codec(codec));
    }
    let above = with_header(|header| (header.record_count, header.last_offset_delta) = (11, 10));
    assert_eq!(fault(above), Fault::MissingRecords { count: 11, present: 10 });
    let below = fault(with_header(|header| header.record_count = 9));
    assert!(matches!(below, Fault::TrailingBytes { count: 9, bytes: 20.. }), "{below}");
    let none = fault(with_header(|header| header.record_count = 0));
    assert!(matches!(none, Fault::TrailingBytes { count: 0, .. }));
    let mut frame = sample_frame();
    frame.push(0);
    assert_eq!(fault(frame), Fault::TrailingBytes { count, bytes: 1 });
}

#[test]
fn record_faults_are_named() {
    let flaw = |record: &[u8]| match fault(forged(record, |_| ())) {
        Fault::Record { record: 0, flaw } => flaw,
        fault => panic!("{fault}"),
    };
    // length 7: attributes, timestamp delta, offset delta, key "k", value null, no headers
    assert!(open(forged(&[14, 0, 0, 0, 2, b'k', 1, 0], |_| ())).is_ok());
    assert_eq!(flaw(&[1]), RecordFlaw::Length);
    assert_eq!(flaw(&[0]), RecordFlaw::Truncated);
    assert_eq!(flaw(&[16, 0, 0, 0, 2, b'k', 1, 0]), RecordFlaw::Truncated);
    assert_eq!(flaw(&[12, 0, 0, 0, 2, b'k', 1]), RecordFlaw::Truncated);
    assert_eq!(flaw(&[16, 0, 0, 0, 2, b'k', 1, 0, 0]), RecordFlaw::TrailingBytes);
    assert_eq!(flaw(&[14, 0, 0, 2, 2, b'k', 1, 0]), RecordFlaw::OffsetDelta);
    assert_eq!(flaw(&[14, 0, 0, 1, 2, b'k', 1, 0]), RecordFlaw::OffsetDelta);
    assert_eq!(flaw(&[14, 0, 0, 0, 3, b'k', 1, 0]), RecordFlaw::Length, "a key of -2 bytes");
    assert_eq!(flaw(&[14, 0, 0, 0, 2, b'k', 1, 1]), RecordFlaw::HeaderCount);
    assert_eq!(flaw(&[14, 0, 0, 0, 2, b'k', 1, 2]), RecordFlaw::HeaderCount);
    assert_eq!(flaw(&[18, 0, 0, 0, 2, b'k', 1, 2, 1, 0]), RecordFlaw::Length, "a null header key");
    assert_eq!(flaw(&[18, 0, 0, 0, 2, b'k', 1, 2, 0, 2]), RecordFlaw::Truncated);
    let long = [&[32, 0][..], &[0x80; 10], &[0, 0, 1, 1, 0]].concat();
    assert_eq!(flaw(&long), RecordFlaw::VarintTooLong);
    let wide = [&[26, 0, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0; 8]].concat();
    assert_eq!(flaw(&wide), RecordFlaw::VarintOverflow);
    let late = forged(&[14, 0, 2, 0, 2, b'k', 1, 0], |header| header.base_timestamp = i64::MAX);
    assert_eq!(fault(late), Fault::Record { record: 0, flaw: RecordFlaw::Timestamp });
    let two = |second: u8| {
        let records = [[14, 0, 0, 2, 2, b'k', 1, 0], [14, 0, 0, second, 2, b'k', 1, 0]].concat();
        open(forged(&records, |header| (header.record_count, header.last_offset_delta) = (2, 5)))
    };
    for ordered in [4, 6, 10] {
        assert!(two(ordered).is_ok());
    }
    for disordered in [0, 2, 12] {
        let error = two(disordered).unwrap_err();
        assert_eq!(error.fault, Fault::Record { record: 1, flaw: RecordFlaw::OffsetDelta });
        assert_eq!(error.position, Position::Received(HEADER_LEN + 8));
    }
}

#[test]
fn malformed_control_records_refuse_the_batch() {
    let control = |key: Option<&[u8]>, value: Option<&[u8]>| {
        let record = Plain {
            timestamp: 0,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: vec![],
        };
        let mut frame = batch(&[record], Compression::None, Stamp::NONE).bytes().to_vec();
        frame[22] = 0x30;
        open(frame).map(|batch| batch.control_records().next().unwrap()).map_err(|error| match error.fault {
            Fault::Control { record: 0, flaw } => flaw,
            fault => panic!("{fault}"),
        })
    };
    let marker = Some(&[0, 0, 0, 0, 0, 9][..]);
    assert_eq!(control(Some(&[0, 0, 0, 0]), marker).unwrap().coordinator_epoch, Some(9));
    assert_eq!(
        control(Some(&[0, 1, 0, 0, 1, 1]), Some(&[0, 1, 0, 0, 0, 9, 9])).unwrap().coordinator_epoch,
        Some(9)
    );
    assert_eq!(control(Some(&[0, 0, 9, 9]), None).unwrap().coordinator_epoch, None);
    for key in [None, Some(&b""[..]), Some(&[0]), Some(&[0, 0, 0]), Some(&[0, 0, 0, 0, 0]), Some(&[0, 1, 0])]
    {
        assert_eq!(control(key, marker), Err(ControlFlaw::Key), "{key:?}");
    }
    assert_eq!(control(Some(&[0xff, 0xff, 0, 0]), marker), Err(ControlFlaw::Version(-1)));
    for value in
        [None, Some(&b""[..]), Some(&[0, 0, 0, 0, 9]), Some(&[0, 0, 0, 0, 0, 9, 9]), Some(&[0, 1, 0, 0, 0])]
    {
        assert_eq!(control(Some(&[0, 0, 0, 1]), value), Err(ControlFlaw::Value), "{value:?}");
    }
    assert_eq!(
        control(Some(&[0, 0, 0, 1]), Some(&[0x80, 0, 0, 0, 0, 9])),
        Err(ControlFlaw::Version(i16::MIN))
    );
}

#[test]
fn impossible_lengths_are_refused_before_anything_else() {
    for length in [i32::MIN, -1, 0, 4, 5, 48] {
        let mut frame = sample_frame();
        frame[8..12].copy_from_slice(&length.to_be_bytes());
        let error = Batches::new(frame.into()).next().unwrap().unwrap_err();
        assert_eq!((error.fault, error.position), (Fault::Length(length), Position::Received(8)));
    }
    let mut frame = sample_frame();
    frame[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut batches = Batches::new(frame.into());
    assert!(batches.next().is_none());
    assert_eq!(batches.partial().unwrap().needed, Some(i32::MAX as usize + 12));
}

#[test]
fn a_refused_batch_stops_the_walk_until_it_is_skipped() {
    let good = sample_frame();
    let mut bad = good.clone();
    bad[40] ^= 1;
    bad[7] = 10;
    let set: Vec<u8> = [&good[..], &bad, &good].concat();
    let mut batches = Batches::new(set.into());
    assert!(!batches.skip_refused());
    assert!(batches.next().unwrap().is_ok());
    let error = batches.next().unwrap().unwrap_err();
    assert!(matches!(error.fault, Fault::Crc { .. }));
    assert_eq!((error.base_offset, error.next_offset), (10, Some(20)));
    assert_eq!(error.position, Position::Received(good.len() + 17));
    let text = error.to_string();
    assert!(text.contains("offset 10") && text.contains("CRC-32C") && text.contains("byte"), "{text}");
    assert!(batches.next().is_none());
    assert!(batches.next().is_none());
    assert!(batches.skip_refused());
    assert!(batches.next().unwrap().is_ok());
    assert!(batches.next().is_none());
    assert!(batches.partial().is_none() && !batches.skip_refused());
}

#[test]
fn old_formats_can_be_skipped_and_unframed_garbage_cannot() {
    let mut old = sample_frame();
    old[16] = 1;
    let set: Vec<u8> = [&old[..], &sample_frame()].concat();
    let mut batches = Batches::new(set.into());
    assert_eq!(batches.next().unwrap().unwrap_err().fault, Fault::OldMagic(1));
    assert!(batches.skip_refused() && batches.next().unwrap().is_ok());
    let mut garbage = Batches::new(vec![0xff; 100].into());
    assert!(garbage.next().unwrap().is_err());
    assert!(!garbage.skip_refused() && garbage.next().is_none());
}

#[test]
fn compressed_records_are_bounded_and_say_so() {
    for codec in codecs().filter(|codec| *codec != Compression::None) {
        let records = [Plain::new(0, "k", &"v".repeat(100_000))];
        let sealed = batch(&records, codec, Stamp::NONE);
        let needed = sealed.uncompressed_len() - HEADER_LEN;
        assert!(Batches::with_limit(sealed.bytes().clone(), needed).next().unwrap().is_ok(), "{codec}");
        let error = Batches::with_limit(sealed.bytes().clone(), needed - 1).next().unwrap().unwrap_err();
        let limit = needed - 1;
        assert_eq!(error.fault, Fault::Compression(CompressionError::TooLarge { codec, limit }));
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
    }
}

#[test]
fn a_fault_in_compressed_records_is_placed_in_them() {
    for codec in codecs().filter(|codec| *codec != Compression::None) {
        let mut payload = Vec::new();
        let records = [14, 0, 0, 2, 2, b'k', 1, 0, 14, 0, 0, 2, 2, b'k', 1, 0];
        Compressor::new(codec, None).unwrap().compress(&records, &mut payload).unwrap();
        let error = open(forged(&payload, |header| {
            (header.record_count, header.last_offset_delta) = (2, 5);
            header.attributes = Attributes::default().with_compression(codec);
        }))
        .unwrap_err();
        assert_eq!(error.fault, Fault::Record { record: 1, flaw: RecordFlaw::OffsetDelta });
        assert_eq!(error.position, Position::Decompressed(8));
    }
}

#[test]
fn an_emptied_batch_of_any_codec_holds_nothing() {
    for codec in codecs() {
        let emptied = |payload: &[u8]| {
            open(forged(payload, |header| {
                (header.record_count, header.last_offset_delta) = (0, 9);
                header.attributes = Attributes::default().with_compression(codec);
            }))
        };
        let read = emptied(&[]).unwrap();
        assert_eq!((read.records().len(), read.next_offset()), (0, 10));
        let mut payload = Vec::new();
        Compressor::new(codec, None).unwrap().compress(&[], &mut payload).unwrap();
        assert!(emptied(&payload).is_ok(), "{codec}");
        payload.push(0);
        assert!(emptied(&payload).is_err(), "{codec}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        reference::record_batch(&bytes);
        reference::decompress(&bytes);
    }

    #[test]
    fn several_changed_bytes_with_the_checksum_made_right(
        changes in proptest::collection::vec((61usize..400, any::<u8>()), 1..6),
    ) {
        let mut frame = sample_frame();
        for (at, byte) in changes {
            let at = at % frame.len();
            frame[at.max(CRC_FROM + 2)] = byte;
        }
        reference::record_batch(&frame);
    }
}
