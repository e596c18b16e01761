//! [`Peer`]: a listener that tells the truth, but for the lies of its case while it lies.

use crate::broker::{self, Broker, Truth};
use crate::case::{Act, Asked, Case, Certificate, Greeting, Lie, Mode};
use crate::tls::Doors;
use bytes::Bytes;
use ottla::engine::sasl::{
    Answer, Query, ScramCredential, ScramHash, ServerInput, ServerMechanism, ServerStep, server_mechanism,
};
use ottla::messages::*;
use ottla::net::dial::Stream;
use ottla::wire::Text;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

pub const USER: &str = "peer-user";
/// What must not be seen anywhere.
pub const PASSWORD: &str = "Marker-Passw0rd-8471";

/// More than a queue for one has room for.
const QUEUE: usize = 4;

/// How long nobody listens when that is to happen twice: it cannot be counted.
const AWAY: Duration = Duration::from_millis(1_500);
/// From the last lie to the end of the connections on which it is believed: time for a client to act on it.
const RESTART: Duration = Duration::from_secs(1);

/// The address and what is behind it, until it is dropped.
pub struct Peer {
    pub port: u16,
    pub state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

pub struct State {
    case: Case,
    phase: Mutex<Phase>,
    /// Counts how often all connections were closed.
    kick: watch::Sender<u32>,
    pub broker: Mutex<Broker>,
    pub seen: Mutex<Seen>,
    doors: Option<Doors>,
}

enum Phase {
    Well,
    /// Who connects is not served before the next phase.
    Waiting,
    Lying {
        left: Option<u32>,
        since: Instant,
    },
}

#[derive(Default)]
pub struct Seen {
    pub connects: Vec<Instant>,
    pub requests: Vec<Instant>,
    /// Whether somebody has connected while nobody was served.
    pub waiting: bool,
    pub lies: u32,
    /// Requests that came on a connection after a lie that should have ended it.
    pub behind: u32,
    /// When connections were closed so that a lie is not believed any longer.
    pub restarted: Option<Instant>,
    /// The values that the client may take for acknowledged.
    pub acknowledged: HashSet<String>,
}

impl Peer {
    pub async fn start(case: Case, doors: Option<Doors>) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            case,
            phase: Mutex::new(Phase::Well),
            kick: watch::Sender::new(0),
            broker: Mutex::new(Broker::new(port)),
            seen: Mutex::default(),
            doors,
        });
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&state)));
        Peer { port, state, accepting }
    }

    pub fn lie(&self, mode: Mode) {
        let left = (mode == Mode::Twice).then_some(2);
        *self.state.phase.lock().unwrap() = Phase::Lying { left, since: Instant::now() };
    }

    /// Closes all connections and lets those who come back wait until [`lie`](Peer::lie): what the client has to say of the
    /// end of its connections is not said of the lie.
    pub fn disconnect(&self) {
        *self.state.phase.lock().unwrap() = Phase::Waiting;
        self.state.kick.send_modify(|kicks| *kicks += 1);
    }

    pub fn be_well(&self) {
        *self.state.phase.lock().unwrap() = Phase::Well;
        self.state.restart();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.kick.send_modify(|kicks| *kicks += 1);
    }
}

impl State {
    pub fn is_lying(&self) -> bool {
        matches!(*self.phase.lock().unwrap(), Phase::Lying { .. })
    }

    /// Whether a lie may be told now; counts it.
    fn take_lie(&self) -> bool {
        let mut phase = self.phase.lock().unwrap();
        let Phase::Lying { left, .. } = &mut *phase else { return false };
        self.seen.lock().unwrap().lies += 1;
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                *phase = Phase::Well;
                drop(phase);
                self.restart();
            }
        }
        true
    }

    /// Closes all connections a moment later, if the case wants it.
    fn restart(&self) {
        if self.case.restarts {
            let kick = self.kick.clone();
            self.seen.lock().unwrap().restarted.get_or_insert(Instant::now() + RESTART);
            tokio::spawn(async move {
                tokio::time::sleep(RESTART).await;
                kick.send_modify(|kicks| *kicks += 1);
            });
        }
    }

    /// Ends when connections are served.
    async fn served(&self) {
        while matches!(*self.phase.lock().unwrap(), Phase::Waiting) {
            self.seen.lock().unwrap().waiting = true;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes note of what is acknowledged by this.
    fn note(&self, asked: &Asked, act: &Act) {
        let (AnyRequest::Produce(request), AnyResponse::Produce(truth)) = (&asked.request, &asked.truth)
        else {
            return;
        };
        let written = |answer: &ProducePartitionResponse| answer.error_code.is_none();
        if !truth.responses.iter().flat_map(|topic| &topic.partition_responses).all(written) {
            return;
        }
        let said = match act {
            Act::Late(_) => true,
            Act::Say(bytes) | Act::SayAndClose(bytes) | Act::SayAndSilence(bytes) | Act::HoldBack(bytes) => {
                self.case.acknowledges || bytes.starts_with(&asked.honestly())
            }
            Act::Drip { bytes, .. } | Act::Endless(bytes) => bytes.starts_with(&asked.honestly()),
            Act::Skip => false,
        };
        if said {
            self.seen.lock().unwrap().acknowledged.extend(broker::values(request));
        }
    }

    fn is_away(&self) -> bool {
        if !matches!(self.case.lie, Lie::Refuse | Lie::Hang) {
            return false;
        }
        let mut phase = self.phase.lock().unwrap();
        match &*phase {
            Phase::Lying { left: Some(_), since } if since.elapsed() > AWAY => {
                *phase = Phase::Well;
                false
            }
            Phase::Lying { .. } => true,
            Phase::Well | Phase::Waiting => false,
        }
    }
}

async fn accept(listener: TcpListener, port: u16, state: Arc<State>) {
    let mut listener = Some(listener);
    loop {
        if state.is_away() {
            listener = None;
            away(&state, port).await;
            continue;
        }
        let listening = match &listener {
            Some(listening) => listening,
            None => match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(bound) => listener.insert(bound),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        // Looks up now and then whether it should be away.
        let pause = Duration::from_millis(20);
        let Ok(Ok((stream, _))) = tokio::time::timeout(pause, listening.accept()).await else { continue };
        stream.set_nodelay(true).unwrap();
        state.seen.lock().unwrap().connects.push(Instant::now());
        let (state, mut kick) = (Arc::clone(&state), state.kick.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = kick.changed() => {}
                _ = connection(stream, &state) => {}
            }
        });
    }
}

/// Nobody is at the port until the peer is well, or only a queue that is full. The port is kept: nobody else gets it.
async fn away(state: &State, port: u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    // A port that is bound and not listened on refuses.
    let (full, _kept) = match state.case.lie {
        Lie::Hang => (Some(socket.listen(1).unwrap()), None),
        _ => (None, Some(socket)),
    };
    let mut queued = Vec::new();
    while state.is_away() {
        state.seen.lock().unwrap().lies += 1;
        if full.is_some() && queued.len() < QUEUE {
            let knock = TcpStream::connect(("127.0.0.1", port));
            queued.push(tokio::time::timeout(Duration::from_millis(50), knock).await);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connection(mut stream: TcpStream, state: &State) -> io::Result<()> {
    state.served().await;
    if state.is_away() {
        return Ok(());
    }
    if let Lie::Greet(greeting) = &state.case.lie
        && state.take_lie()
    {
        return greet(&mut stream, greeting, state).await;
    }
    let mut shown = Certificate::Good;
    let mut stream: Box<dyn Stream> = match &state.doors {
        None => Box::new(stream),
        Some(doors) => {
            if let Lie::Handshake(certificate) = &state.case.lie
                && state.take_lie()
            {
                shown = *certificate;
            }
            doors.open(stream, shown).await?
        }
    };
    converse(&mut stream, state, shown != Certificate::Good).await
}

async fn greet(stream: &mut TcpStream, greeting: &Greeting, state: &State) -> io::Result<()> {
    match greeting {
        Greeting::Close => Ok(()),
        Greeting::Reset => {
            // With nothing to linger for, closing is a reset.
            #[allow(deprecated, reason = "a linger of zero does not block")]
            stream.set_linger(Some(Duration::ZERO))
        }
        Greeting::Silence => silence(stream).await,
        Greeting::Say(bytes) => {
            stream.read_u8().await?;
            stream.write_all(bytes).await?;
            stream.shutdown().await
        }
        Greeting::SayAndSilence(bytes) => {
            stream.read_u8().await?;
            stream.write_all(bytes).await?;
            silence(stream).await
        }
        Greeting::Endless(byte) => endless(stream, &[*byte; 4096], state).await,
    }
}

/// Hears, and says nothing.
async fn silence(stream: &mut (impl Stream + ?Sized)) -> io::Result<()> {
    let mut sink = vec![0; 4096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

async fn endless(stream: &mut (impl Stream + ?Sized), bytes: &[u8], state: &State) -> io::Result<()> {
    let bytes = bytes.repeat(1 + (64 << 10) / bytes.len());
    loop {
        stream.write_all(&bytes).await?;
        if !state.is_lying() {
            return Ok(());
        }
    }
}

/// Requests and answers, until one side has had enough. `over` says whether it should have had enough by now.
async fn converse(stream: &mut Box<dyn Stream>, state: &State, mut over: bool) -> io::Result<()> {
    let mut login = Login::default();
    let mut held: Vec<u8> = Vec::new();
    loop {
        let Some((header, request)) = next(stream, state).await? else { return Ok(()) };
        state.seen.lock().unwrap().behind += u32::from(over);
        let (asked, act, is_lie) = decide(header, request, state, &mut login).await;
        over |= is_lie && state.case.ends;
        state.note(&asked, &act);
        match act {
            Act::Say(mut bytes) => {
                bytes.append(&mut held);
                stream.write_all(&bytes).await?;
            }
            Act::SayAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Act::SayAndSilence(bytes) => {
                stream.write_all(&bytes).await?;
                return silence(stream).await;
            }
            Act::Drip { bytes, at_once, every } => {
                for piece in bytes.chunks(at_once) {
                    stream.write_all(piece).await?;
                    tokio::time::sleep(every).await;
                }
            }
            Act::Endless(bytes) => return endless(stream, &bytes, state).await,
            Act::Skip => {}
            Act::HoldBack(bytes) => held = bytes,
            Act::Late(pause) => {
                tokio::time::sleep(pause).await;
                stream.write_all(&asked.honestly()).await?;
            }
        }
    }
}

/// The next request; `None` when the client speaks nonsense.
async fn next(
    stream: &mut Box<dyn Stream>,
    state: &State,
) -> io::Result<Option<(RequestHeader, AnyRequest)>> {
    let length = stream.read_i32().await?;
    let Some(length) = usize::try_from(length).ok().filter(|length| *length < 64 << 20) else {
        return Ok(None);
    };
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    state.seen.lock().unwrap().requests.push(Instant::now());
    let frame = Bytes::from(frame);
    let (header, mut reader) = RequestHeader::open(&frame);
    let request = AnyRequest::read(header.request_api_key, &mut reader).ok();
    Ok(request.filter(|_| reader.finish().is_ok()).map(|request| (header, request)))
}

/// What is true of a request, what is done about it, and whether that is a lie. (Produce with acks=0 is not used here: everything is answered.)
async fn decide(
    header: RequestHeader,
    request: AnyRequest,
    state: &State,
    login: &mut Login,
) -> (Asked, Act, bool) {
    let lie = match &state.case.lie {
        Lie::Answer(lie) => Some(lie),
        _ => None,
    };
    if let AnyRequest::Produce(produce) = &request
        && state.case.refuses
        && state.is_lying()
    {
        let truth = Broker::as_if_written(produce).into();
        let asked = Asked { header: header.clone(), request: request.clone(), truth };
        if let Some(act) = lie.and_then(|lie| lie(&asked)).filter(|_| state.take_lie()) {
            return (asked, act, true);
        }
    }
    let truth = truth(&request, state, login).await;
    let asked = Asked { header, request, truth };
    let act = lie.filter(|_| state.is_lying()).and_then(|lie| lie(&asked)).filter(|_| state.take_lie());
    let is_lie = act.is_some();
    let act = act.unwrap_or_else(|| Act::Say(asked.honestly()));
    (asked, act, is_lie)
}

async fn truth(request: &AnyRequest, state: &State, login: &mut Login) -> AnyResponse {
    if let Some(answer) = login.answer(request) {
        return answer;
    }
    let came = Instant::now();
    loop {
        let truth = state.broker.lock().unwrap().answer(request, came);
        match truth {
            Truth::Now(truth) => return *truth,
            Truth::NotBefore(at) => tokio::time::sleep_until(at.into()).await,
        }
    }
}

/// The server's side of SASL.
#[derive(Default)]
struct Login {
    mechanism: Option<Box<dyn ServerMechanism>>,
}

impl Login {
    /// The answer, if it is a request of SASL.
    fn answer(&mut self, request: &AnyRequest) -> Option<AnyResponse> {
        match request {
            AnyRequest::SaslHandshake(request) => {
                self.mechanism = server_mechanism(&request.mechanism, [7; 24]);
                let offered = ["PLAIN", "SCRAM-SHA-256"].map(Text::from_static).to_vec();
                let error_code = match self.mechanism {
                    Some(_) => ErrorCode::NONE,
                    None => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
                };
                Some(SaslHandshakeResponse { error_code, mechanisms: offered }.into())
            }
            AnyRequest::SaslAuthenticate(request) => Some(self.authenticate(&request.auth_bytes).into()),
            _ => None,
        }
    }

    fn authenticate(&mut self, said: &[u8]) -> SaslAuthenticateResponse {
        let refused = SaslAuthenticateResponse {
            error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: Some(Text::from_static("no such user and password")),
            ..Default::default()
        };
        let Some(mechanism) = &mut self.mechanism else { return refused };
        let mut step = mechanism.step(ServerInput::Client(said));
        while let Ok(ServerStep::Ask(query)) = step {
            step = mechanism.step(ServerInput::Answer(known(&query)));
        }
        let auth_bytes = match step {
            Ok(ServerStep::Send(bytes)) => bytes.into_bytes(),
            Ok(ServerStep::Done { message, .. }) => message,
            _ => return refused,
        };
        SaslAuthenticateResponse { error_message: None, auth_bytes, ..Default::default() }
    }
}

fn known(query: &Query) -> Answer {
    static CREDENTIAL: OnceLock<ScramCredential> = OnceLock::new();
    match query {
        Query::Password { username } if username == USER => Answer::Password(PASSWORD.to_owned().into()),
        Query::Scram { username, .. } if username == USER => Answer::Scram(
            CREDENTIAL
                .get_or_init(|| ScramCredential::derive(ScramHash::Sha256, PASSWORD, vec![5; 16], 4_096))
                .clone(),
        ),
        _ => Answer::Nobody,
    }
}
