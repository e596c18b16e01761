//! The state machine against a scripted peer: no sockets, no clock.

#![allow(clippy::disallowed_methods, reason = "a test begins at some time, whichever it is")]

use super::*;
use crate::engine::sasl::Credentials;
use crate::messages::{
    AnyRequest, AnyResponse, ApiVersion, ApiVersionsResponse, ErrorCode, MetadataRequest, MetadataResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse,
};
use crate::wire::Span;
use bytes::BufMut;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);

/// A connection, its time, and the peer's end of the wire.
struct Bench {
    connection: Connection,
    now: Instant,
    next_id: u64,
}

/// A request as the peer sees it.
#[derive(Debug)]
struct Seen {
    header: RequestHeader,
    request: AnyRequest,
}

impl Bench {
    fn new(sasl: bool) -> Bench {
        let now = Instant::now();
        let options = Options {
            peer: "1 (kafka.example:9092)".to_owned(),
            client_id: Some(ClientId("test".into())),
            sasl,
            max_frame_bytes: 1 << 20,
            max_in_flight: 3,
            max_idle: Some(60 * SECOND),
            setup_deadline: now + 10 * SECOND,
            rng: fastrand::Rng::with_seed(7),
        };
        Bench { connection: Connection::new(options), now, next_id: 0 }
    }

    fn ready() -> Bench {
        let mut bench = Bench::new(false);
        let seen = bench.request();
        bench.answer(&seen, offering(&[(3, 0, 12), (18, 0, 4)]));
        assert!(matches!(bench.connection.event(), Some(Event::Ready)));
        bench
    }

    fn request(&mut self) -> Seen {
        let frame = Bytes::from(self.connection.transmit().expect("a request").concat());
        let frame = frame.slice(4..);
        let (header, mut reader) = RequestHeader::open(&frame);
        let request = AnyRequest::read(header.request_api_key, &mut reader).unwrap();
        reader.finish().unwrap();
        Seen { header, request }
    }

    fn answer(&mut self, seen: &Seen, response: impl Into<AnyResponse>) {
        let body = body_of(seen.header.request_api_version, response.into());
        self.answer_raw(seen, &body);
    }

    fn answer_raw(&mut self, seen: &Seen, body: &[u8]) {
        let api = api(seen.header.request_api_key).unwrap();
        let mut frame = BytesMut::new();
        frame.put_i32(seen.header.correlation_id);
        if api.response_header_version(seen.header.request_api_version) == 1 {
            frame.put_u8(0);
        }
        frame.put_slice(body);
        self.receive_frame(&frame);
    }

    fn receive_frame(&mut self, frame: &[u8]) {
        let (space, _) = self.connection.space();
        space.put_i32(i32::try_from(frame.len()).unwrap());
        space.put_slice(frame);
        self.connection.received(self.now);
    }

    fn send(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.connection.send(outgoing(id, 30 * SECOND), self.now);
        id
    }

    fn at(&mut self, later: Duration) {
        self.now += later;
        self.connection.expire(self.now);
    }

    fn closed(&self) -> String {
        self.connection.closed().expect("closed").to_string()
    }
}

fn offering(ranges: &[(i16, i16, i16)]) -> ApiVersionsResponse {
    let api_keys = ranges
        .iter()
        .map(|&(key, min_version, max_version)| ApiVersion { api_key: ApiKey(key), min_version, max_version })
        .collect();
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn body_of(version: i16, response: AnyResponse) -> BytesMut {
    let mut out = BytesMut::new();
    response.encode(version, &mut out).unwrap();
    out
}

fn body_of_request(version: i16, request: AnyRequest) -> Bytes {
    let mut out = BytesMut::new();
    request.encode(version, &mut out).unwrap();
    out.freeze()
}

fn answered(event: Option<Event>, id: u64) -> Result<Answer, Error> {
    match event {
        Some(Event::Answer(answered, answer)) if answered == id => answer,
        other => panic!("the answer to {id} was expected, not {other:?}"),
    }
}

#[test]
fn versions_are_negotiated_before_anything_else() {
    let mut bench = Bench::new(false);
    let early = bench.send();
    let seen = bench.request();
    assert_eq!((seen.header.request_api_key, seen.header.request_api_version), (ApiKey::API_VERSIONS, 4));
    assert!(bench.connection.transmit().is_none(), "requests wait for the negotiation");
    bench.answer(&seen, offering(&[(3, 0, 12), (18, 0, 4)]));
    assert!(matches!(bench.connection.event(), Some(Event::Ready)));
    let versions = Arc::clone(bench.connection.versions());
    assert_eq!(versions.pick(ApiKey::METADATA, Span::from(0)).unwrap(), 12);
    assert_eq!(versions.pick(ApiKey::METADATA, Span::new(0, 9)).unwrap(), 9);
    let missing = versions.pick(ApiKey::PRODUCE, Span::from(0)).unwrap_err().to_string();
    assert!(missing.contains("Produce") && missing.contains("offers no version"), "{missing}");
    let seen = bench.request();
    bench.answer(&seen, MetadataResponse::default());
    assert!(answered(bench.connection.event(), early).is_ok());
}

#[test]
fn an_unknown_apiversions_falls_back_once_to_the_version_that_is_named() {
    for (named, expected) in [(&[(18, 0, 2)][..], 2), (&[(18, 0, 0)], 0), (&[], 0)] {
        let mut bench = Bench::new(false);
        let seen = bench.request();
        let refusal = ApiVersionsResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, ..offering(named) };
        bench.answer_raw(&seen, &body_of(0, refusal.clone().into()));
        let again = bench.request();
        assert_eq!(again.header.request_api_version, expected);
        bench.answer_raw(&again, &body_of(0, refusal.into()));
        assert!(bench.closed().contains("UNSUPPORTED_VERSION"), "{}", bench.closed());
    }
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let mut bench = Bench::ready();
    let ids = [bench.send(), bench.send(), bench.send(), bench.send()];
    let seen = [bench.request(), bench.request(), bench.request()];
    assert!(bench.connection.transmit().is_none(), "three in flight are the limit");
    assert_eq!(bench.connection.room(), 0);
    bench.answer(&seen[0], MetadataResponse::default());
    assert!(answered(bench.connection.event(), ids[0]).is_ok());
    let last = bench.request();
    for (seen, id) in seen.iter().skip(1).chain([&last]).zip(&ids[1..]) {
        bench.answer(seen, MetadataResponse::default());
        assert!(answered(bench.connection.event(), *id).is_ok());
    }
}

#[test]
fn another_correlation_id_closes_the_connection() {
    let mut bench = Bench::ready();
    let ids = [bench.send(), bench.send(), bench.send(), bench.send()];
    bench.request();
    let second = bench.request();
    bench.answer(&second, MetadataResponse::default());
    assert!(bench.closed().contains("correlation id"), "{}", bench.closed());
    for (id, maybe) in ids.into_iter().zip([true, true, false, false]) {
        let error = answered(bench.connection.event(), id).unwrap_err();
        assert_eq!(error.is_possibly_written(), maybe, "request {id}: {error}");
    }
    assert!(bench.connection.event().is_none());
}

#[test]
fn an_answer_to_nothing_closes_the_connection() {
    let mut bench = Bench::ready();
    let id = bench.send();
    let seen = bench.request();
    bench.answer(&seen, MetadataResponse::default());
    assert!(answered(bench.connection.event(), id).is_ok());
    bench.answer(&seen, MetadataResponse::default());
    assert!(bench.closed().contains("no request was under way"), "{}", bench.closed());
}

#[test]
fn a_request_without_an_answer_in_time_closes_the_connection() {
    let mut bench = Bench::ready();
    let id = bench.send();
    bench.request();
    assert_eq!(bench.connection.deadline(), Some(bench.now + 30 * SECOND));
    bench.at(29 * SECOND);
    assert!(bench.connection.closed().is_none());
    bench.at(SECOND);
    let error = answered(bench.connection.event(), id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_possibly_written() && error.to_string().contains("kafka.example"), "{error}");
    let late = bench.send();
    assert!(!answered(bench.connection.event(), late).unwrap_err().is_possibly_written());
}

#[test]
fn a_peer_that_says_nothing_is_given_up_at_the_set_up_deadline() {
    let mut bench = Bench::new(false);
    bench.request();
    bench.at(10 * SECOND);
    assert!(bench.closed().contains("ApiVersions"), "{}", bench.closed());
}

#[test]
fn throttling_holds_requests_back_but_never_for_days() {
    for (throttle, pause) in [
        (3 * SECOND, 3 * SECOND),
        (500 * SECOND, MAX_THROTTLE),
        (Duration::from_millis(i32::MAX as u64), NONSENSE_PAUSE),
    ] {
        let mut bench = Bench::ready();
        bench.connection.mute(throttle, bench.now);
        bench.send();
        assert!(bench.connection.transmit().is_none());
        assert_eq!(bench.connection.deadline(), Some(bench.now + pause));
        bench.at(pause);
        bench.request();
    }
}

#[test]
fn an_idle_connection_closes_without_fault() {
    let mut bench = Bench::ready();
    bench.at(60 * SECOND);
    assert_eq!(bench.connection.closed().unwrap().kind(), ErrorKind::Closed);
}

#[test]
fn a_request_that_was_held_back_for_long_is_still_sent() {
    let mut bench = Bench::ready();
    bench.connection.mute(60 * SECOND, bench.now);
    unanswered(&mut bench, 77);
    bench.at(60 * SECOND);
    bench.at(Duration::ZERO);
    assert!(bench.connection.closed().is_none(), "{:?}", bench.connection.closed());
    bench.request();
}

/// Only those that are too late, and when they are: others wait on.
#[test]
fn a_request_that_is_held_back_for_too_long_is_given_back_unsent() {
    let mut bench = Bench::ready();
    bench.connection.mute(60 * SECOND, bench.now);
    for (id, seconds) in [(1, None), (2, Some(20)), (3, Some(40)), (4, Some(20))] {
        let send_by = seconds.map(|seconds| bench.now + seconds * SECOND);
        bench.connection.send(Outgoing { send_by, ..outgoing(id, SECOND) }, bench.now);
    }
    assert_eq!(bench.connection.deadline(), Some(bench.now + 20 * SECOND));
    bench.at(20 * SECOND);
    for id in [2, 4] {
        let error = answered(bench.connection.event(), id).unwrap_err();
        assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Timeout, false), "{error}");
    }
    assert!(bench.connection.event().is_none() && bench.connection.transmit().is_none());
    assert_eq!(bench.connection.deadline(), Some(bench.now + 20 * SECOND));
    bench.at(20 * SECOND);
    answered(bench.connection.event(), 3).unwrap_err();
    assert_eq!(bench.connection.pending(), 1);
    bench.at(20 * SECOND);
    bench.request();
}

fn unanswered(bench: &mut Bench, id: u64) {
    bench.connection.send(Outgoing { answered: false, ..outgoing(id, SECOND) }, bench.now);
}

/// A request for metadata.
fn outgoing(id: u64, timeout: Duration) -> Outgoing {
    let body = vec![body_of_request(12, MetadataRequest::all_topics().into())];
    Outgoing { id, key: ApiKey::METADATA, version: 12, body, answered: true, timeout, send_by: None }
}

#[test]
fn a_request_without_answer_is_done_when_it_is_written() {
    let mut bench = Bench::ready();
    bench.connection.written();
    unanswered(&mut bench, 77);
    bench.request();
    assert!(bench.connection.event().is_none(), "the stream may not have taken it");
    bench.connection.written();
    assert!(answered(bench.connection.event(), 77).unwrap().body.is_empty());
    assert_eq!(bench.connection.pending(), 0);
}

#[test]
fn requests_without_answer_that_are_not_written_fill_the_connection_and_fail_with_it() {
    let mut bench = Bench::ready();
    bench.connection.written();
    for id in 70..74 {
        unanswered(&mut bench, id);
    }
    assert_eq!(bench.connection.room(), 0);
    bench.request();
    bench.connection.received_end();
    let mut fate = |id| answered(bench.connection.event(), id).unwrap_err().is_possibly_written();
    assert_eq!([70, 71, 72, 73].map(&mut fate), [true, false, false, false]);
}

fn plain() -> Box<dyn Mechanism> {
    let password = Zeroizing::new("alice-secret".to_owned());
    Credentials::Plain { username: "alice".to_owned(), password }.mechanism([0; 24]).unwrap()
}

fn up_to_sasl() -> Bench {
    let mut bench = Bench::new(true);
    let seen = bench.request();
    bench.answer(&seen, offering(&[(3, 0, 12), (17, 0, 1), (18, 0, 4), (36, 0, 2)]));
    assert!(matches!(bench.connection.event(), Some(Event::NeedMechanism)));
    bench.connection.authenticate(plain(), bench.now);
    bench
}

/// Answers the SASL exchange; the session lives ten seconds.
fn let_in(bench: &mut Bench) {
    let_in_for(bench, 10_000);
}

fn let_in_for(bench: &mut Bench, session_lifetime_ms: i64) {
    let handshake = bench.request();
    assert!(matches!(&handshake.request, AnyRequest::SaslHandshake(r) if r.mechanism == "PLAIN"));
    bench
        .answer(&handshake, SaslHandshakeResponse { mechanisms: vec!["PLAIN".into()], ..Default::default() });
    let authenticate = bench.request();
    assert!(
        matches!(&authenticate.request, AnyRequest::SaslAuthenticate(r) if &r.auth_bytes[..] == b"\0alice\0alice-secret")
    );
    bench.answer(&authenticate, SaslAuthenticateResponse { session_lifetime_ms, ..Default::default() });
}

#[test]
fn a_session_that_lives_a_millisecond_is_not_renewed_a_thousand_times_a_second() {
    for (lifetime_ms, renewed_after) in [(1, Some(SECOND)), (-5, None), (0, None)] {
        let mut bench = up_to_sasl();
        let_in_for(&mut bench, lifetime_ms);
        let renewed_at = bench.connection.renew_at.map(|at| at - bench.now);
        assert_eq!(renewed_at, renewed_after, "{lifetime_ms} ms");
    }
}

#[test]
fn a_session_is_renewed_before_it_ends_and_loses_no_request() {
    let mut bench = up_to_sasl();
    let_in(&mut bench);
    assert!(matches!(bench.connection.event(), Some(Event::Ready)));
    let early = bench.send();
    let under_way = bench.request();
    let renew_at = bench.connection.deadline().unwrap() - bench.now;
    assert!((8_500..=9_500).contains(&renew_at.as_millis()), "{renew_at:?}");
    bench.at(renew_at);
    assert!(matches!(bench.connection.event(), Some(Event::NeedMechanism)));
    let late = bench.send();
    bench.connection.authenticate(plain(), bench.now);
    bench.answer(&under_way, MetadataResponse::default());
    assert!(answered(bench.connection.event(), early).is_ok());
    let_in(&mut bench);
    let seen = bench.request();
    bench.answer(&seen, MetadataResponse::default());
    assert!(answered(bench.connection.event(), late).is_ok(), "the request that waited is sent");
}

/// A token that was revoked ends the session, but the requests of the connection are as good as ever.
#[test]
fn requests_on_a_connection_that_is_not_renewed_may_be_sent_on_another() {
    let mut bench = up_to_sasl();
    let_in(&mut bench);
    assert!(matches!(bench.connection.event(), Some(Event::Ready)));
    let early = bench.send();
    let under_way = bench.request();
    let renew_at = bench.connection.deadline().unwrap() - bench.now;
    bench.at(renew_at);
    assert!(matches!(bench.connection.event(), Some(Event::NeedMechanism)));
    let late = bench.send();
    bench.connection.authenticate(plain(), bench.now);
    bench.answer(&under_way, MetadataResponse::default());
    assert!(answered(bench.connection.event(), early).is_ok());
    let handshake = bench.request();
    let refused = SaslHandshakeResponse {
        error_code: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        mechanisms: vec!["SCRAM-SHA-512".into()],
    };
    bench.answer(&handshake, refused);
    assert_eq!(bench.connection.closed().unwrap().kind(), ErrorKind::Authentication);
    let error = answered(bench.connection.event(), late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    assert!(!error.is_possibly_written() && error.to_string().contains("SCRAM-SHA-512"), "{error}");
}

#[test]
fn a_wrong_password_is_told_without_showing_it() {
    let mut bench = up_to_sasl();
    let handshake = bench.request();
    bench.answer(&handshake, SaslHandshakeResponse::default());
    let authenticate = bench.request();
    let refused = SaslAuthenticateResponse {
        error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
        error_message: Some("Invalid username or password".into()),
        ..Default::default()
    };
    bench.answer(&authenticate, refused);
    let error = bench.closed();
    assert!(error.contains("SASL_AUTHENTICATION_FAILED") && error.contains("Invalid username"), "{error}");
    assert!(!error.contains("alice-secret") && !format!("{:?}", bench.connection).contains("alice-secret"));
    assert_eq!(bench.connection.closed().unwrap().kind(), ErrorKind::Authentication);
}

#[test]
fn an_unsupported_mechanism_names_those_that_the_broker_offers() {
    let mut bench = up_to_sasl();
    let handshake = bench.request();
    let refused = SaslHandshakeResponse {
        error_code: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        mechanisms: vec!["SCRAM-SHA-512".into(), "OAUTHBEARER".into()],
    };
    bench.answer(&handshake, refused);
    assert!(bench.closed().contains("the broker offers SCRAM-SHA-512, OAUTHBEARER"), "{}", bench.closed());
}

#[test]
fn a_peer_that_hangs_up_on_the_first_request_may_want_sasl() {
    let hangs_up_after = |answers: usize| {
        let mut bench = Bench::ready();
        for _ in 0..answers {
            bench.send();
            let seen = bench.request();
            bench.answer(&seen, MetadataResponse::default());
        }
        bench.send();
        bench.request();
        bench.connection.received_end();
        bench.closed()
    };
    assert!(hangs_up_after(0).contains("does its listener want SASL (security.protocol)?"));
    assert!(!hangs_up_after(1).contains("SASL"), "it has answered without");
}

#[test]
fn a_peer_that_hangs_up_early_gets_advice() {
    let mut bench = Bench::new(false);
    bench.request();
    bench.connection.received_end();
    assert!(bench.closed().contains("is it a Kafka listener"), "{}", bench.closed());
}
