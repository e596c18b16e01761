#![allow(unreachable_pub, reason = "message! makes structs pub")]
use super::*;
use bytes::{Bytes, BytesMut};

crate::message! {
    /// Every feature of the table once.
    pub struct Sample {
        0..     => id: i32 = -1;
        1..     => name: Option<Text>, null 2.., ignorable;
        0..     => parts: Vec<Part>;
        2..=3   => gone: i64 = 7;
        0..     => data: Option<Bytes>, null 0..;
        4..     => nested: Option<Part>, null 4..;
    }
    tags {
        0: 3.. => note: Text, ignorable;
        5: 3.. => limit: i64 = -1;
    }

    /// An element.
    pub struct Part {
        0.. => index: i32;
        0.. => ids: Vec<i32>;
    }
}

fn sample() -> Sample {
    Sample {
        id: 5,
        name: Some("orders".into()),
        parts: vec![Part { index: 1, ids: vec![1, 2, 3] }, Part::default()],
        data: Some(Bytes::from_static(b"\x00\x01")),
        nested: Some(Part { index: 9, ids: vec![] }),
        note: "tagged".into(),
        limit: 12,
        ..Default::default()
    }
}

/// The sample as far as `version` can say it.
fn sample_in(version: i16) -> Sample {
    let mut value = sample();
    if version < 4 {
        value.nested = None;
    }
    if version < 3 {
        value.limit = -1;
    }
    value
}

fn bytes_of(value: &Sample, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    encode(value, version, version >= 3, &mut out).unwrap();
    assert_eq!(out.len(), size(value, version, version >= 3).unwrap());
    out.freeze()
}

#[test]
fn a_value_comes_back_in_every_version() {
    for version in 0..=5 {
        let frame = bytes_of(&sample_in(version), version);
        let back: Sample = decode(&frame, version, version >= 3).unwrap();
        assert_eq!(bytes_of(&back, version), frame, "version {version}");
        assert_eq!(back.parts, sample().parts);
        assert_eq!(back.limit, if version < 3 { -1 } else { 12 });
        assert_eq!(back.gone, 7);
    }
}

#[test]
fn every_truncation_says_field_and_offset() {
    for version in 0..=5 {
        let frame = bytes_of(&sample_in(version), version);
        for cut in 0..frame.len() {
            let error = decode::<Sample>(&frame.slice(..cut), version, version >= 3).unwrap_err();
            assert!(!error.field.is_empty() && error.offset <= cut, "version {version} cut {cut}: {error}");
        }
    }
}

#[test]
fn bytes_behind_the_last_field_are_an_error() {
    let mut bytes = BytesMut::from(&bytes_of(&sample_in(0), 0)[..]);
    let len = bytes.len();
    bytes.extend_from_slice(&[0, 0]);
    let error = decode::<Sample>(&bytes.freeze(), 0, false).unwrap_err();
    assert_eq!((error.fault, error.offset), (Fault::Trailing(2), len));
}

#[test]
fn what_a_version_cannot_say_is_an_error_unless_ignorable() {
    let old = Sample { gone: 8, ..Default::default() };
    let error = size(&old, 0, false).unwrap_err();
    assert_eq!((error.fault, error.field), (Fault::NotInVersion(0), "gone"));
    let named = Sample { name: Some("x".into()), ..Default::default() };
    assert!(size(&named, 0, false).is_ok(), "ignorable fields are dropped");
    let unnamed = Sample { name: None, ..Default::default() };
    assert_eq!(size(&unnamed, 1, false).unwrap_err().fault, Fault::Null);
}

#[test]
fn a_null_in_a_version_without_null_is_refused() {
    // id, then name = null in version 1.
    let frame = Bytes::from_static(&[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    let error = decode::<Sample>(&frame, 1, false).unwrap_err();
    assert_eq!((error.fault, error.message, error.field), (Fault::Null, "Sample", "name"));
}

#[test]
fn a_count_beyond_the_bytes_reserves_nothing() {
    let frame = Bytes::from_static(&[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0]);
    let error = decode::<Sample>(&frame, 0, false).unwrap_err();
    assert_eq!((error.fault, error.field, error.offset), (Fault::Length(0x7fff_ffff), "parts", 8));
}

#[test]
fn lists_that_outgrow_their_frame_are_refused() {
    // One byte each on the wire, far more in memory.
    let count = 100_000u32;
    let mut bytes = BytesMut::new();
    encode(&vec![Text::default(); count as usize], 9, true, &mut bytes).unwrap();
    assert_eq!(bytes.len(), count as usize + 3);
    let error = decode::<Vec<Text>>(&bytes.freeze(), 9, true).unwrap_err();
    assert_eq!(error.fault, Fault::Budget);
}

#[test]
fn unknown_tagged_fields_are_skipped_and_their_order_is_checked() {
    let mut bytes = BytesMut::from(&bytes_of(&Sample::default(), 5)[..]);
    let count = bytes.len() - 1;
    bytes.truncate(count);
    bytes.extend_from_slice(&[2, 5, 8, 0, 0, 0, 0, 0, 0, 0, 3, 99, 2, 7, 7]);
    let value: Sample = decode(&bytes.clone().freeze(), 5, true).unwrap();
    assert_eq!(value.limit, 3);
    bytes.truncate(count);
    bytes.extend_from_slice(&[2, 99, 0, 5, 8, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(decode::<Sample>(&bytes.freeze(), 5, true).unwrap_err().fault, Fault::TagOrder(5));
}

#[test]
fn a_fault_inside_a_tagged_field_has_its_offset_in_the_frame() {
    let mut bytes = BytesMut::from(&bytes_of(&Sample::default(), 5)[..]);
    let count = bytes.len() - 1;
    bytes.truncate(count);
    bytes.extend_from_slice(&[1, 5, 3, 0, 0, 0, 9, 9, 9, 9]);
    let error = decode::<Sample>(&bytes.freeze(), 5, true).unwrap_err();
    assert_eq!((error.field, error.offset), ("limit", count + 3));
}

#[test]
fn unsigned_varints_round_trip_and_overlong_ones_are_refused() {
    for x in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 268_435_455, 268_435_456, u32::MAX] {
        let mut counter = Counter::new(0, true);
        counter.uvarint(x);
        let mut room = vec![0; counter.count()];
        let mut writer = Writer::new(&mut room, 0, true);
        writer.uvarint(x);
        assert_eq!(writer.finish(), Ok(()), "counted exactly");
        let frame = Bytes::from(room);
        let mut reader = Reader::new(&frame, 0, true);
        assert_eq!(reader.uvarint(), x);
        assert_eq!(reader.finish(), Ok(()));
    }
    for bad in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]] {
        let frame = Bytes::copy_from_slice(bad);
        let mut reader = Reader::new(&frame, 0, true);
        reader.uvarint();
        assert_eq!(reader.finish().unwrap_err().fault, Fault::Varint);
    }
}

#[test]
fn large_bytes_are_gathered_uncopied() {
    let big = Bytes::from(vec![7u8; 100_000]);
    let value = Sample { data: Some(big.clone()), ..Default::default() };
    let mut gather = Gather::new(BytesMut::from(&b"head"[..]), 5, true);
    value.encode(&mut gather);
    let segments = gather.finish().unwrap();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[1].as_ptr(), big.as_ptr());
    assert_eq!(&segments.concat()[4..], &bytes_of(&value, 5)[..]);
}

#[test]
fn strings_beyond_16_bits_need_a_flexible_version() {
    let value = Sample { name: Some("x".repeat(40_000).into()), ..Default::default() };
    let error = size(&value, 2, false).unwrap_err();
    assert_eq!((error.fault, error.field), (Fault::TooLong(40_000), "name"));
    assert!(size(&value, 3, true).is_ok());
}

#[test]
fn uuids_read_as_kafka_prints_them() {
    let id: Uuid = "AAAAAAAAAAAAAAAAAAAAAQ".parse().unwrap();
    assert_eq!(id.as_bytes()[15], 1);
    assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    assert!("short".parse::<Uuid>().is_err());
}
