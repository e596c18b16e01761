//! Connections: made or not made, and ended at the wrong moment.

use super::ALL;
use crate::case::{Act, Case, Greeting, Lie, Mode, Onset};
use ottla::messages::ApiKey;
use std::time::Duration;

/// Everything, set-up included.
const WITH_SET_UP: &[ApiKey] = &[
    ApiKey::API_VERSIONS,
    ApiKey::SASL_HANDSHAKE,
    ApiKey::SASL_AUTHENTICATE,
    ApiKey::METADATA,
    ApiKey::PRODUCE,
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::INIT_PRODUCER_ID,
];

fn greet(name: &str, greeting: Greeting) -> Case {
    Case::new("connect", name, Lie::Greet(greeting))
}

pub(super) fn cases() -> Vec<Case> {
    let half = |asked: &crate::case::Asked| {
        let frame = asked.honestly();
        frame[..frame.len() / 2].to_vec()
    };
    vec![
        Case::new("connect", "refused", Lie::Refuse).quick(Mode::ForEver),
        Case::new("connect", "refused from the beginning", Lie::Refuse).onset(Onset::AtOnce),
        Case::new("connect", "neither taken nor refused", Lie::Hang).quick(Mode::Twice),
        Case::new("connect", "neither taken nor refused from the beginning", Lie::Hang).onset(Onset::AtOnce),
        greet("closed at once", Greeting::Close).quick(Mode::ForEver),
        greet("closed at once from the beginning", Greeting::Close).onset(Onset::AtOnce),
        greet("reset at once", Greeting::Reset),
        greet("silence", Greeting::Silence).quick(Mode::Twice),
        greet("silence from the beginning", Greeting::Silence).onset(Onset::AtOnce),
        greet("HTTP", Greeting::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        greet("garbage, then silence", Greeting::SayAndSilence(vec![0x5a; 100])),
        greet("endless zeros", Greeting::Endless(0)),
        greet("endless 0x7f", Greeting::Endless(0x7f)),
        Case::on("connect", "closed after each answer", WITH_SET_UP, |asked| {
            Act::SayAndClose(asked.honestly())
        }),
        Case::on("connect", "closed after each answer but the set-up's", ALL, |asked| {
            Act::SayAndClose(asked.honestly())
        })
        .quick(Mode::ForEver),
        Case::on("connect", "closed before each answer", ALL, |_| Act::SayAndClose(Vec::new())),
        Case::on("connect", "closed before each answer from the beginning", WITH_SET_UP, |_| {
            Act::SayAndClose(Vec::new())
        })
        .onset(Onset::AtOnce),
        Case::on("connect", "closed after half an answer", ALL, move |asked| Act::SayAndClose(half(asked))),
        Case::on("connect", "silence after half an answer", ALL, move |asked| {
            Act::SayAndSilence(half(asked))
        })
        .quick(Mode::Twice),
        Case::on("connect", "blackhole", ALL, |_| Act::SayAndSilence(Vec::new())),
        Case::on("connect", "blackhole from the beginning", WITH_SET_UP, |_| Act::SayAndSilence(Vec::new()))
            .onset(Onset::AtOnce),
        Case::on("connect", "slow drip", WITH_SET_UP, |asked| Act::Drip {
            bytes: asked.honestly(),
            at_once: 3,
            every: Duration::from_millis(100),
        }),
    ]
}
