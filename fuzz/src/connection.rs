//! The client's connection as a state machine: a script of peer's bytes, time, requests and answers to its questions.

use crate::input::Input;
use crate::messages::row;
use bytes::{BufMut, Bytes, BytesMut};
use ottla::engine::connection::{Connection, Event, Options, Outgoing};
use ottla::engine::sasl::{BearerToken, Credentials, ScramHash};
use ottla::error::{Error, ErrorKind};
use ottla::messages::{
    APIS, AnyResponse, ApiKey, ApiVersion, ApiVersionsResponse, RequestHeader, SaslAuthenticateResponse,
    SaslHandshakeResponse, api,
};
use ottla::wire;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// More would hash for longer than a run should take.
const MOST_ITERATIONS: u32 = 8192;

pub fn client(mut input: Input<'_>) {
    let options = input.byte();
    let mut run = Run::new(options);
    while !input.is_empty() && run.connection.closed().is_none() {
        run.turn(&mut input);
        run.settle();
    }
    run.end();
}

struct Run {
    connection: Connection,
    credentials: Credentials,
    now: Instant,
    /// Requests that the peer has seen and not answered: key, version, correlation id.
    seen: VecDeque<RequestHeader>,
    /// How many answers each request has got.
    answers: BTreeMap<u64, u32>,
}

impl Run {
    fn new(choice: u8) -> Run {
        let now = Instant::now();
        let options = Options {
            peer: "peer".into(),
            client_id: (choice & 1 == 1).then(|| "fuzz".into()),
            sasl: choice & 2 == 2,
            max_frame_bytes: 1 << 16,
            max_in_flight: 1 + usize::from(choice >> 2 & 7),
            max_idle: (choice & 32 == 32).then_some(Duration::from_secs(60)),
            setup_deadline: now + Duration::from_secs(10),
            rng: fastrand::Rng::with_seed(choice.into()),
        };
        let (username, password) = ("user".to_owned(), Zeroizing::new("pencil".to_owned()));
        let credentials = match choice >> 6 {
            0 => Credentials::Plain { username, password },
            1 => Credentials::Scram { hash: ScramHash::Sha256, username, password, token_auth: false },
            2 => Credentials::Scram { hash: ScramHash::Sha512, username, password, token_auth: true },
            _ => Credentials::OAuthBearer,
        };
        let connection = Connection::new(options);
        Run { connection, credentials, now, seen: VecDeque::new(), answers: BTreeMap::new() }
    }

    fn turn(&mut self, input: &mut Input<'_>) {
        match input.below(10) {
            0 => self.receive(input.chunk()),
            1 => self.answer_oldest(input.chunk()),
            2 => self.offer(input),
            3 => self.handshake(input),
            4 => self.authenticate(input),
            5 => self.pass(Duration::from_millis(input.u16().into())),
            6 => self.send(input),
            7 => self.connection.received_end(),
            8 => self.connection.mute(Duration::from_millis(input.u32().into()), self.now),
            _ => self.transmit(),
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.connection.closed().is_none() {
            let (space, room) = self.connection.space();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            space.extend_from_slice(now);
            bytes = later;
            self.connection.received(self.now);
        }
    }

    /// A whole frame with the right correlation id; the rest may be anything.
    fn answer_oldest(&mut self, body: &[u8]) {
        self.transmit();
        let Some(header) = self.seen.pop_front() else { return };
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len() + 4).unwrap());
        frame.put_i32(header.correlation_id);
        frame.put_slice(body);
        self.receive(&frame);
    }

    /// A sound answer to the oldest request, if it is of this API.
    fn answer_with(&mut self, response: impl Into<AnyResponse>) {
        self.transmit();
        let (response, Some(header)) = (response.into(), self.seen.front()) else { return };
        let (key, version) = (header.request_api_key, header.request_api_version);
        if response.key() != key {
            return;
        }
        let mut body = BytesMut::new();
        if api(key).is_some_and(|api| api.response_header_version(version) >= 1) {
            body.put_u8(0);
        }
        // A version that cannot say it is answered with what could be written.
        let _ = response.encode(version, &mut body);
        self.answer_oldest(&body);
    }

    fn offer(&mut self, input: &mut Input<'_>) {
        let (from, to) = (i16::from(input.byte() & 3), i16::from(input.byte() & 15));
        let all =
            |api: &&ottla::messages::Api| ApiVersion { api_key: api.key, min_version: from, max_version: to };
        let mut response =
            ApiVersionsResponse { api_keys: APIS.iter().map(all).collect(), ..Default::default() };
        response.error_code.0 = i16::from(input.byte() & 35);
        self.answer_with(response);
    }

    fn handshake(&mut self, input: &mut Input<'_>) {
        let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"].map(Into::into).to_vec();
        let mut response = SaslHandshakeResponse { mechanisms, ..Default::default() };
        response.error_code.0 = i16::from(input.byte() & 33);
        self.answer_with(response);
    }

    fn authenticate(&mut self, input: &mut Input<'_>) {
        let mut response = SaslAuthenticateResponse::default();
        response.error_code.0 = i16::from(input.byte() & 58);
        response.session_lifetime_ms = input.i64() >> (input.byte() & 63);
        response.auth_bytes = Bytes::copy_from_slice(input.chunk());
        self.answer_with(response);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.expire();
    }

    /// Does what the time asks for, and sees that this was all of it.
    fn expire(&mut self) {
        self.connection.expire(self.now);
        self.settle();
        let next = self.connection.deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "a deadline that has passed stays: its driver would spin: {:?}",
            self.connection
        );
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let (api, version) = row(input);
        let id = u64::try_from(self.answers.len()).unwrap();
        let answered = api.key != ApiKey::PRODUCE || input.byte() & 1 == 1;
        let timeout = Duration::from_millis(u64::from(input.u16()) + 1);
        let body = vec![Bytes::copy_from_slice(input.chunk())];
        let patience = Duration::from_millis(u64::from(input.u16()));
        let send_by = (patience > Duration::ZERO).then(|| self.now + patience);
        self.answers.insert(id, 0);
        let request = Outgoing { id, key: api.key, version, body, answered, timeout, send_by };
        self.connection.send(request, self.now);
    }

    /// Reads what the connection sends, as the peer would.
    fn transmit(&mut self) {
        while let Some(segments) = self.connection.transmit() {
            self.connection.written();
            let bytes = Bytes::from(segments.concat());
            let (length, frame) = bytes.split_first_chunk().expect("a length");
            assert_eq!(u32::from_be_bytes(*length) as usize, frame.len(), "a frame is as long as it says");
            let frame = bytes.slice_ref(frame);
            let (header, reader) = RequestHeader::open(&frame);
            assert!(!reader.failed(), "a header that cannot be read");
            let whole = wire::size(&header, 1, false).is_ok();
            assert!(whole, "a header that cannot be written again");
            self.seen.push_back(header);
        }
    }

    /// Answers its questions until it has none.
    fn settle(&mut self) {
        while let Some(event) = self.connection.event() {
            match event {
                Event::NeedMechanism => match self.credentials.mechanism([7; 24]) {
                    Ok(mechanism) => self.connection.authenticate(mechanism, self.now),
                    Err(error) => panic!("sound credentials refused: {error}"),
                },
                Event::Derive(derive) if derive.iterations() > MOST_ITERATIONS => {
                    self.connection.close(Error::new(ErrorKind::Closed, "hash for too long"));
                }
                Event::Derive(derive) => self.connection.derived(derive.run(), self.now),
                Event::NeedToken => self.connection.token(BearerToken::new("a.b.c").unwrap(), self.now),
                Event::Ready => {
                    assert!(self.connection.closed().is_none() || self.connection.transmit().is_none())
                }
                Event::Answer(id, _) => {
                    let answers = self.answers.get_mut(&id).expect("an answer to nothing that was sent");
                    *answers += 1;
                    assert_eq!(*answers, 1, "two answers to one request");
                }
            }
        }
        if self.connection.closed().is_some() {
            assert!(self.connection.transmit().is_none(), "closed, and yet it sends");
            assert_eq!((self.connection.deadline(), self.connection.pending()), (None, 0));
        }
    }

    fn end(mut self) {
        self.connection.close(Error::new(ErrorKind::Closed, "end the run"));
        self.settle();
        let unanswered: Vec<_> = self.answers.iter().filter(|(_, answers)| **answers == 0).collect();
        assert!(unanswered.is_empty(), "requests without an answer: {unanswered:?}");
    }
}
