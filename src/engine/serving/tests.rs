use super::*;
use crate::engine::connection::{self, Connection, Event, Outgoing};
use crate::engine::sasl::{Credentials, Query, ScramCredential, ScramHash};
use crate::messages::{
    ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, Request, SaslHandshakeRequest,
};
use crate::wire;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);
const MECHANISMS: [&str; 2] = ["PLAIN", "SCRAM-SHA-256"];

fn offer() -> Arc<Offer> {
    Arc::new(Offer::kafka_4_3([
        ApiKey::METADATA,
        ApiKey::PRODUCE,
        ApiKey::API_VERSIONS,
        ApiKey::SASL_HANDSHAKE,
        ApiKey::SASL_AUTHENTICATE,
    ]))
}

fn sasl() -> SaslOptions {
    SaslOptions { mechanisms: MECHANISMS.map(Text::from_static).to_vec(), session_lifetime: None }
}

fn serving(sasl: Option<SaslOptions>, now: Instant) -> Serving {
    let (spares, max_frame_bytes) = (Spares::new(0), 1 << 20);
    let options = Options { offer: offer(), sasl, max_frame_bytes, spares, max_idle: 60 * SECOND };
    Serving::new(options, now)
}

/// Our own client connection at the other end, and an owner who knows one user.
struct Pair {
    client: Connection,
    broker: Serving,
    now: Instant,
    seen: Vec<Received>,
}

impl Pair {
    fn new(sasl: Option<SaslOptions>, now: Instant) -> Pair {
        let options = connection::Options {
            peer: "broker".to_owned(),
            client_id: None,
            sasl: sasl.is_some(),
            max_frame_bytes: 1 << 20,
            max_in_flight: 5,
            max_idle: None,
            setup_deadline: now + 10 * SECOND,
            rng: fastrand::Rng::with_seed(1),
        };
        Pair { client: Connection::new(options), broker: serving(sasl, now), now, seen: Vec::new() }
    }

    /// Carries bytes until neither side has any; `at_once` bytes at a time.
    fn settle(&mut self, at_once: usize) {
        loop {
            let mut up = Vec::new();
            while let Some(segments) = self.client.transmit() {
                up.extend(segments.concat());
            }
            for piece in up.chunks(at_once) {
                self.broker.space().0.put_slice(piece);
                self.serve();
            }
            let down = self.broker.transmit().concat();
            for piece in down.chunks(at_once) {
                self.client.space().0.put_slice(piece);
                self.client.received(self.now);
            }
            if up.is_empty() && down.is_empty() {
                return;
            }
        }
    }

    fn serve(&mut self) {
        while let Some(received) = self.broker.next(self.now) {
            self.seen.push(received.clone());
            let response = match &received.request {
                AnyRequest::ApiVersions(_) => {
                    ApiVersionsResponse { api_keys: offer().listing(), ..Default::default() }.into()
                }
                AnyRequest::Metadata(_) => MetadataResponse::default().into(),
                request => {
                    let step = self.broker.sasl(request, [7; 24], self.now);
                    self.authenticate(step)
                }
            };
            self.broker.respond(&response, self.now);
        }
    }

    fn authenticate(&mut self, step: SaslStep) -> AnyResponse {
        match step {
            SaslStep::Respond(response) => response,
            SaslStep::Ask(query) => {
                let answer = users(query);
                let step = self.broker.sasl_answer(answer, self.now);
                self.authenticate(step)
            }
        }
    }

    /// The client's first event after the login.
    fn login(&mut self, credentials: &Credentials, at_once: usize) -> Option<Event> {
        self.settle(at_once);
        assert!(matches!(self.client.event(), Some(Event::NeedMechanism)));
        self.client.authenticate(credentials.mechanism([1; 24]).unwrap(), self.now);
        self.settle(at_once);
        match self.client.event() {
            Some(Event::Derive(work)) => {
                self.client.derived(work.run(), self.now);
                self.settle(at_once);
                self.client.event()
            }
            event => event,
        }
    }

    fn metadata(&mut self) {
        let request = MetadataRequest::all_topics();
        let mut body = BytesMut::new();
        wire::encode(&request, 12, true, &mut body).unwrap();
        let body = vec![body.freeze()];
        let key = MetadataRequest::API.key;
        let outgoing =
            Outgoing { id: 1, key, version: 12, body, answered: true, timeout: SECOND, send_by: None };
        self.client.send(outgoing, self.now);
    }
}

fn users(query: Query) -> Answer {
    match query {
        Query::Password { username } if username == "alice" => {
            Answer::Password(Zeroizing::new("secret".to_owned()))
        }
        Query::Scram { hash, username } if username == "alice" => {
            Answer::Scram(ScramCredential::derive(hash, "secret", vec![1; 16], 4_096))
        }
        _ => Answer::Nobody,
    }
}

fn plain(password: &str) -> Credentials {
    Credentials::Plain { username: "alice".to_owned(), password: Zeroizing::new(password.to_owned()) }
}

fn scram(hash: ScramHash, password: &str) -> Credentials {
    let password = Zeroizing::new(password.to_owned());
    Credentials::Scram { hash, username: "alice".to_owned(), password, token_auth: false }
}

fn started() -> Instant {
    crate::task::now()
}

#[test]
fn our_client_and_our_broker_understand_each_other_however_the_bytes_are_cut() {
    for at_once in [1, 7, 1 << 20] {
        let mut pair = Pair::new(None, started());
        pair.metadata();
        pair.settle(at_once);
        assert!(matches!(pair.client.event(), Some(Event::Ready)));
        assert!(matches!(pair.client.event(), Some(Event::Answer(1, Ok(_)))));
        let keys: Vec<_> = pair.seen.iter().map(|seen| seen.header.request_api_key).collect();
        assert_eq!(keys, [ApiKey::API_VERSIONS, ApiKey::METADATA]);
        assert_eq!(pair.broker.ended(), None);
    }
}

#[test]
fn plain_and_scram_let_the_right_password_in() {
    for credentials in [plain("secret"), scram(ScramHash::Sha256, "secret")] {
        let mut pair = Pair::new(Some(sasl()), started());
        pair.metadata();
        assert!(matches!(pair.login(&credentials, 1 << 20), Some(Event::Ready)), "{credentials:?}");
        assert!(matches!(pair.client.event(), Some(Event::Answer(1, Ok(_)))));
        assert_eq!(pair.broker.principal(), Some("alice"));
    }
}

#[test]
fn a_wrong_password_is_answered_and_ends_the_connection() {
    for credentials in [plain("guess"), scram(ScramHash::Sha256, "guess")] {
        let mut pair = Pair::new(Some(sasl()), started());
        pair.login(&credentials, 1 << 20);
        assert!(matches!(pair.broker.ended(), Some(End::Authentication(_))), "{:?}", pair.broker.ended());
        let error = pair.client.closed().expect("closed").to_string();
        assert!(error.contains("SASL_AUTHENTICATION_FAILED"), "{error}");
        assert_eq!(pair.broker.principal(), None);
    }
}

#[test]
fn a_mechanism_that_is_not_offered_is_refused_with_those_that_are() {
    let mut pair = Pair::new(Some(sasl()), started());
    pair.login(&scram(ScramHash::Sha512, "secret"), 1 << 20);
    assert!(matches!(pair.broker.ended(), Some(End::UnsupportedMechanism(name)) if name == "SCRAM-SHA-512"));
    let error = pair.client.closed().expect("closed").to_string();
    assert!(error.contains("PLAIN, SCRAM-SHA-256"), "{error}");
}

#[test]
fn a_session_that_is_renewed_goes_on_and_one_that_is_not_ends() {
    let with_lifetime = SaslOptions { session_lifetime: Some(10 * SECOND), ..sasl() };
    let mut pair = Pair::new(Some(with_lifetime), started());
    assert!(matches!(pair.login(&plain("secret"), 1 << 20), Some(Event::Ready)));
    pair.now = pair.client.deadline().expect("a time to renew");
    pair.client.expire(pair.now);
    assert!(matches!(pair.client.event(), Some(Event::NeedMechanism)));
    pair.client.authenticate(plain("secret").mechanism([1; 24]).unwrap(), pair.now);
    pair.settle(1 << 20);
    pair.now += 5 * SECOND;
    pair.metadata();
    pair.settle(1 << 20);
    assert!(
        matches!(pair.client.event(), Some(Event::Answer(1, Ok(_)))),
        "renewed, so the first end is void"
    );
    pair.now += 6 * SECOND;
    receive(&mut pair.broker, &frame(ApiKey::METADATA, 12, MetadataRequest::all_topics()));
    assert_eq!(pair.broker.next(pair.now), None);
    assert_eq!(pair.broker.ended(), Some(&End::SessionExpired));
}

/// A request as it lies on the wire.
fn frame(key: ApiKey, version: i16, request: impl Into<AnyRequest>) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: key,
        request_api_version: version,
        correlation_id: 42,
        ..Default::default()
    };
    let header_version = api(key).map_or(1, |api| api.request_header_version(version));
    let mut bytes = BytesMut::new();
    wire::encode(&header, header_version, header_version >= 2, &mut bytes).unwrap();
    request.into().encode(version, &mut bytes).unwrap();
    bytes.to_vec()
}

fn receive(broker: &mut Serving, frame: &[u8]) {
    let (space, _) = broker.space();
    space.put_i32(i32::try_from(frame.len()).unwrap());
    space.put_slice(frame);
}

#[test]
fn before_authentication_nothing_else_is_taken() {
    let now = started();
    for key in [ApiKey::METADATA, ApiKey::SASL_AUTHENTICATE] {
        let mut broker = serving(Some(sasl()), now);
        receive(&mut broker, &frame(key, 0, AnyRequest::default_of(key).unwrap()));
        assert_eq!(broker.next(now), None);
        assert_eq!(broker.ended(), Some(&End::Unauthenticated(key)));
    }
}

#[test]
fn before_authentication_frames_are_small() {
    let now = started();
    let mut broker = serving(Some(sasl()), now);
    broker.space().0.put_i32(512 * 1024 + 1);
    assert_eq!(broker.next(now), None);
    assert!(matches!(broker.ended(), Some(End::Frame(FrameError::TooLarge { limit: 524_288, .. }))));
}

#[test]
fn without_sasl_a_handshake_is_an_error_that_can_be_survived() {
    let now = started();
    let mut broker = serving(None, now);
    let request = SaslHandshakeRequest { mechanism: "PLAIN".into() };
    receive(&mut broker, &frame(ApiKey::SASL_HANDSHAKE, 1, request));
    let received = broker.next(now).unwrap();
    let SaslStep::Respond(AnyResponse::SaslHandshake(response)) =
        broker.sasl(&received.request, [0; 24], now)
    else {
        panic!("an answer was expected")
    };
    assert_eq!(response.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    assert_eq!(broker.ended(), None);
}

#[test]
fn tokens_come_bare_after_a_handshake_of_version_0() {
    let now = started();
    let mut broker = serving(Some(sasl()), now);
    receive(
        &mut broker,
        &frame(ApiKey::SASL_HANDSHAKE, 0, SaslHandshakeRequest { mechanism: "PLAIN".into() }),
    );
    let received = broker.next(now).unwrap();
    let SaslStep::Respond(response) = broker.sasl(&received.request, [0; 24], now) else {
        panic!("no question")
    };
    broker.respond(&response, now);
    broker.transmit();
    receive(&mut broker, b"\0alice\0secret");
    let received = broker.next(now).unwrap();
    let SaslStep::Ask(query) = broker.sasl(&received.request, [0; 24], now) else { panic!("a question") };
    let SaslStep::Respond(response) = broker.sasl_answer(users(query), now) else { panic!("an answer") };
    broker.respond(&response, now);
    assert_eq!(broker.transmit().concat(), [0, 0, 0, 0], "an empty token in a frame of its own");
    assert_eq!(broker.principal(), Some("alice"));
}

#[test]
fn apiversions_of_the_future_is_handed_out_and_refused_in_the_layout_of_version_0() {
    let now = started();
    let mut broker = serving(Some(sasl()), now);
    receive(&mut broker, &[0, 18, 0, 99, 0, 0, 0, 42, 0, 1, b'x', 0, 1, 2, 3, 4, 5]);
    let received = broker.next(now).unwrap();
    assert_eq!(received.header.request_api_version, 99);
    let refusal = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: offer().entry(ApiKey::API_VERSIONS).into_iter().collect(),
        ..Default::default()
    };
    broker.respond(&refusal.into(), now);
    let expected = [0, 0, 0, 16, 0, 0, 0, 42, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
    assert_eq!(broker.transmit().concat(), expected);
}

#[test]
fn what_is_not_offered_ends_the_connection() {
    let now = started();
    for (key, version) in [(0, 2), (0, 14), (1, 4), (3, 14), (3, -1), (999, 0)] {
        let mut broker = serving(None, now);
        let [k0, k1] = i16::to_be_bytes(key);
        let [v0, v1] = i16::to_be_bytes(version);
        receive(&mut broker, &[k0, k1, v0, v1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(broker.next(now), None);
        assert_eq!(broker.ended(), Some(&End::NotOffered(ApiKey(key), version)));
    }
}

#[test]
fn requests_wait_for_the_answer_before_them_and_answers_keep_their_order() {
    let now = started();
    let mut broker = serving(None, now);
    for _ in 0..3 {
        receive(&mut broker, &frame(ApiKey::METADATA, 12, MetadataRequest::all_topics()));
    }
    for id in 0..3 {
        broker.next(now).unwrap();
        assert_eq!(broker.next(now), None, "one at a time");
        let response = MetadataResponse { controller_id: BrokerId(id), ..Default::default() };
        broker.respond(&response.into(), now);
    }
    let sent = broker.transmit().concat();
    let ids: Vec<u8> = sent.chunks(sent.len() / 3).map(|frame| frame[18]).collect();
    assert_eq!(ids, [0, 1, 2]);
}

#[test]
fn every_truncation_of_a_request_ends_the_connection_with_a_reason() {
    let now = started();
    let whole = frame(ApiKey::METADATA, 12, MetadataRequest::topics(["orders".into()]));
    for cut in 0..whole.len() {
        let mut broker = serving(None, now);
        receive(&mut broker, &whole[..cut]);
        assert_eq!(broker.next(now), None, "{cut} bytes");
        assert!(matches!(broker.ended(), Some(End::Header(_) | End::Message(_))), "{:?}", broker.ended());
    }
}

#[test]
fn an_idle_connection_ends_but_never_under_a_request() {
    let now = started();
    let mut broker = serving(None, now);
    receive(&mut broker, &frame(ApiKey::METADATA, 12, MetadataRequest::all_topics()));
    broker.next(now).unwrap();
    assert_eq!(broker.deadline(), None);
    broker.expire(now + 3_600 * SECOND);
    assert_eq!(broker.ended(), None);
    broker.respond(&MetadataResponse::default().into(), now);
    assert_eq!(broker.deadline(), Some(now + 60 * SECOND));
    broker.expire(now + 60 * SECOND);
    assert_eq!(broker.ended(), Some(&End::Idle));
}
