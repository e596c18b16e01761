//! Frames: what lies around the answers.

use super::{ALL, FETCH, PRODUCE};
use crate::case::{Act, Asked, Case, Mode};
use std::time::Duration;

fn case(name: &str, lie: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Case {
    Case::on("frames", name, ALL, lie)
}

/// A frame that announces this length, and what is true behind it.
fn announcing(length: i32) -> impl Fn(&Asked) -> Act + Send + Sync {
    move |asked| Act::Say([&length.to_be_bytes()[..], &asked.honestly()[4..]].concat())
}

pub(super) fn cases() -> Vec<Case> {
    let second = Duration::from_secs(1);
    vec![
        case("length -1", announcing(-1)),
        case("length -2^31", announcing(i32::MIN)),
        case("length 0", announcing(0)).quick(Mode::Twice),
        case("length 3", announcing(3)),
        case("length above the limit", announcing((100 << 20) + 1)),
        case("length at the limit, nothing follows", announcing(100 << 20)),
        case("length 2^31-1", announcing(i32::MAX)).quick(Mode::ForEver),
        case("a byte more than announced", |asked| Act::Say([asked.honestly(), vec![0]].concat())),
        case("a byte less than announced, then the end", |asked| {
            let frame = asked.honestly();
            Act::SayAndClose(frame[..frame.len() - 1].to_vec())
        }),
        case("a byte less than announced, then silence", |asked| {
            let frame = asked.honestly();
            Act::SayAndSilence(frame[..frame.len() - 1].to_vec())
        }),
        case("half a length, then the end", |asked| Act::SayAndClose(asked.honestly()[..2].to_vec())),
        case("no more than a correlation id", |asked| {
            Act::Say(crate::case::framed(&asked.header.correlation_id.to_be_bytes()))
        }),
        case("wrong correlation id", |asked| {
            Act::Say(asked.answering(asked.header.correlation_id + 1, &asked.body()))
        }),
        case("negative correlation id", |asked| Act::Say(asked.answering(-7, &asked.body()))),
        case("the last request's correlation id", |asked| {
            Act::Say(asked.answering(asked.header.correlation_id - 1, &asked.body()))
        }),
        case("answered twice", |asked| Act::Say(asked.honestly().repeat(2))).quick(Mode::ForEver),
        Case::on("frames", "produce answered twice", PRODUCE, |asked| Act::Say(asked.honestly().repeat(2))),
        case("left out", |_| Act::Skip),
        Case::on("frames", "produce left out", PRODUCE, |_| Act::Skip).quick(Mode::Twice),
        Case::on("frames", "produce swapped", PRODUCE, |asked| match asked.header.correlation_id % 2 {
            0 => Act::HoldBack(asked.honestly()),
            _ => Act::Say(asked.honestly()),
        }),
        case("garbage", |_| Act::Say((0..200u8).map(|n| n.wrapping_mul(151)).collect())),
        case("zeros", |_| Act::Say(vec![0; 512])),
        case("0xff", |_| Act::Say(vec![0xff; 512])),
        case("HTTP", |_| Act::SayAndClose(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()))
            .quick(Mode::ForEver),
        case("TLS alert", |_| Act::SayAndClose(vec![0x15, 3, 3, 0, 2, 2, 40])),
        case("SSH", |_| Act::Say(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())),
        case("endless zeros", |_| Act::Endless(vec![0; 1024])),
        case("endless answers", |asked| Act::Endless(asked.honestly())),
        Case::on("frames", "endless frame", FETCH, |asked| {
            // As long as a frame may be, and never all of it: the bytes come as fast as they are taken.
            let head = [&(100i32 << 20).to_be_bytes()[..], &asked.header.correlation_id.to_be_bytes(), &[0]]
                .concat();
            Act::Endless([head, vec![0x5a; 4096]].concat())
        })
        .quick(Mode::ForEver),
        case("a byte a second", move |asked| Act::Drip {
            bytes: asked.honestly(),
            at_once: 1,
            every: second,
        }),
        case("a byte at a time", |asked| Act::Drip {
            bytes: asked.honestly(),
            at_once: 1,
            every: Duration::from_millis(2),
        })
        .harmless(),
        case("a second late", move |_| Act::Late(second)).harmless(),
        case("later than anybody waits", |_| Act::Late(Duration::from_millis(3_500))),
    ]
}
