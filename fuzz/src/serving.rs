//! The broker's end of a connection: a script of client's bytes, time, and the owner's answers.

use crate::input::Input;
use crate::messages::row;
use bytes::{BufMut, Bytes, BytesMut};
use ottla::engine::connection::Spares;
use ottla::engine::sasl::{Answer, Query, ScramCredential, ScramHash, TokenVerdict};
use ottla::engine::serving::{Offer, Options, Received, SaslOptions, SaslStep, Serving};
use ottla::messages::{APIS, AnyRequest, AnyResponse, ApiKey, RequestHeader};
use ottla::wire::{self, Text};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

pub fn broker(mut input: Input<'_>) {
    let choice = input.byte();
    let mut now = Instant::now();
    let mechanisms = ["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"].map(Text::from_static).to_vec();
    let lifetime = (choice & 2 == 2).then_some(Duration::from_secs(5));
    let mut serving = Serving::new(
        Options {
            offer: Arc::new(Offer::kafka_4_3(APIS.iter().map(|api| api.key))),
            sasl: (choice & 1 == 1).then_some(SaslOptions { mechanisms, session_lifetime: lifetime }),
            max_frame_bytes: 1 << 16,
            spares: Spares::new(1 << 16),
            max_idle: Duration::from_secs(60),
        },
        now,
    );
    while !input.is_empty() && serving.ended().is_none() {
        match input.below(4) {
            0 => receive(&mut serving, input.chunk()),
            1 => receive(&mut serving, &request(&mut input)),
            2 => {
                now += Duration::from_millis(input.u16().into());
                serving.expire(now);
                assert!(serving.ended().is_some() || serving.deadline().is_none_or(|next| next > now));
            }
            _ => serve(&mut serving, &mut input, now),
        }
    }
    if serving.ended().is_some() {
        assert_eq!(serving.next(now), None, "a request after the end");
    }
    frames(&serving.transmit());
}

fn receive(serving: &mut Serving, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (space, room) = serving.space();
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        if now.is_empty() {
            return;
        }
        space.extend_from_slice(now);
        bytes = later;
    }
}

/// A request with a sound header and a sound body, or any.
fn request(input: &mut Input<'_>) -> BytesMut {
    let (api, version) = row(input);
    let header = RequestHeader {
        request_api_key: api.key,
        request_api_version: version,
        correlation_id: 7,
        client_id: None,
    };
    let layout = api.request_header_version(version);
    let mut frame = BytesMut::new();
    wire::encode(&header, layout, layout >= 2, &mut frame).expect("a header");
    match input.byte() & 1 {
        0 => AnyRequest::default_of(api.key).unwrap().encode(version, &mut frame).unwrap_or(()),
        _ => frame.put_slice(input.chunk()),
    }
    let mut whole = BytesMut::new();
    whole.put_u32(u32::try_from(frame.len()).unwrap());
    whole.unsplit(frame);
    whole
}

/// Takes requests and answers them, each in some way.
fn serve(serving: &mut Serving, input: &mut Input<'_>, now: Instant) {
    while let Some(received) = serving.next(now) {
        assert_eq!(serving.next(now), None, "two requests under way");
        let key = received.request.key();
        if matches!(key, ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE) {
            authenticate(serving, &received, now);
        } else if input.byte() & 7 == 7 {
            serving.skip(now);
        } else {
            serving.respond(&AnyResponse::default_of(key).unwrap(), now);
        }
    }
    frames(&serving.transmit());
}

fn authenticate(serving: &mut Serving, received: &Received, now: Instant) {
    let mut step = serving.sasl(&received.request, [9; 24], now);
    for _ in 0..3 {
        match step {
            SaslStep::Respond(response) => return serving.respond(&response, now),
            SaslStep::Ask(query) => step = serving.sasl_answer(look_up(query), now),
        }
    }
    panic!("asks again and again");
}

/// A store with one user, `user`, whose password is `pencil`.
pub fn look_up(query: Query) -> Answer {
    static STORED: OnceLock<ScramCredential> = OnceLock::new();
    match query {
        Query::Password { username } if username == "user" => {
            Answer::Password(Zeroizing::new("pencil".into()))
        }
        Query::Scram { hash: ScramHash::Sha256, username } if username == "user" => {
            let derive = || ScramCredential::derive(ScramHash::Sha256, "pencil", b"salt".to_vec(), 4096);
            Answer::Scram(STORED.get_or_init(derive).clone())
        }
        Query::Token(token) if token.value() == "a.b.c" => Answer::Token(TokenVerdict::Accepted {
            principal: "user".into(),
            lifetime: Some(Duration::from_secs(60)),
        }),
        _ => Answer::Nobody,
    }
}

/// What is sent is frames.
fn frames(segments: &[Bytes]) {
    let bytes = segments.concat();
    let mut rest = bytes.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!(length <= behind.len(), "half a frame");
        rest = &behind[length..];
    }
    assert!(rest.is_empty(), "half a frame");
}
