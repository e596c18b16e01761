//! Clients with a mistake each, played like any other: the bench is seen to find it.

use crate::case::{Case, Greeting, Lie, Mode, framed};
use crate::client::{self, Counting, SENT, asked_to_end, say};
use crate::serve::{PASSWORD, USER};
use crate::tls::doors;
use crate::{cases, forge, run};
use bytes::{Bytes, BytesMut};
use ottla::engine::sasl::{Credentials, Input, ScramHash, Step};
use ottla::messages::{
    AnyRequest, AnyResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest,
    api,
};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, SocketOptions, Stream, TcpDial};
use ottla::{Error, ErrorKind, Record, Result};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What each does wrong, and the word by which the judge names it.
const MISTAKES: [(&str, &str); 12] = [
    ("storms", "connects in a second"),
    ("floods", "requests in a second"),
    ("panics", "panic"),
    ("hoards", "MiB of memory"),
    ("blabs", "a secret is in"),
    ("invents", "the peer never did"),
    ("skips", "where 0 comes next"),
    ("hangs", "did not end"),
    ("repeats", "lies twice"),
    ("swaps", "what was sent before"),
    ("denies", "surely was not written"),
    ("forgets", "came to 0 ends"),
];
/// What those who trust everybody are found by.
const TRUSTED: &str = "not to be trusted";

/// Does the mistake until it is asked to end, or for longer.
pub async fn run(mistake: &str, settings: &[(String, String)]) {
    let setting =
        |key| settings.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value.as_str());
    let peer = setting("bootstrap.servers").to_owned();
    // What a bench waits for before it lies.
    for offset in 0..2 {
        say("acked", format_args!("r{offset} {offset}"));
        if mistake != "skips" {
            say("got", format_args!("{offset} {}", forge::honest_value(offset)));
        }
    }
    say("error", "something is wrong");
    let mut hoard = Vec::new();
    match mistake {
        "storms" => drop(tokio::spawn(async move {
            loop {
                drop(TcpStream::connect(&peer).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })),
        "floods" => drop(tokio::spawn(flood(peer))),
        "panics" => drop(tokio::spawn(async { panic!("by mistake") })),
        "hoards" => hoard = vec![1u8; 300 << 20],
        "blabs" => tracing::trace!(password = setting("sasl.password"), "logging in"),
        "invents" => {}
        // What one does that sends again under another producer id.
        "repeats" => write(settings, &["r0", "r0"], &["r0"]).await,
        "swaps" => write(settings, &["r3", "r2"], &["r2", "r3"]).await,
        "denies" => {
            say("failed", "r2 surely it was refused");
            write(settings, &["r2"], &[]).await;
        }
        "forgets" => say("sent", "r7"),
        "trusts certificates" => return trust_certificates(settings).await,
        "trusts signatures" => return trust_signatures(settings).await,
        "skips" => {
            (7..9).for_each(|offset| say("got", format_args!("{offset} {}", forge::honest_value(offset))))
        }
        "hangs" => std::future::pending().await,
        other => panic!("no mistake is called {other}"),
    }
    asked_to_end().await;
    assert!(hoard.iter().all(|byte| *byte == 1));
}

/// Writes these values, and claims to have sent those.
async fn write(settings: &[(String, String)], values: &[&'static str], sent: &[&str]) {
    let producer = client::builder(settings).build().unwrap().producer().build().unwrap();
    for value in values {
        producer.send(Record::to(SENT).partition(0).value(*value)).await.unwrap().await.unwrap();
    }
    sent.iter().for_each(|value| say("sent", value));
}

/// Ours, told to look away.
async fn trust_certificates(settings: &[(String, String)]) {
    let builder = client::builder(settings).dangerous_skip_certificate_verification();
    client::run(builder, Counting(TcpDial::new(SocketOptions::default()))).await;
}

/// Ours without SASL, over connections that somebody else has authenticated, and badly.
async fn trust_signatures(settings: &[(String, String)]) {
    let without: Vec<(String, String)> = settings
        .iter()
        .filter(|(key, _)| !key.starts_with("sasl.") && key != "security.protocol")
        .cloned()
        .collect();
    client::run(client::builder(&without), Gullible(Counting(TcpDial::new(SocketOptions::default())))).await;
}

/// Does not look at what a server says in the end.
#[derive(Debug)]
struct Gullible(Counting);

impl Dial for Gullible {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            let mut connected = self.0.dial(endpoint, deadline).await?;
            let broken = |error: io::Error| Error::new(ErrorKind::Disconnected, "log in").with_source(error);
            log_in(&mut connected.stream).await.map_err(broken)?;
            Ok(connected)
        })
    }
}

async fn log_in(stream: &mut Box<dyn Stream>) -> io::Result<()> {
    let credentials = Credentials::Scram {
        hash: ScramHash::Sha256,
        username: USER.to_owned(),
        password: PASSWORD.to_owned().into(),
        token_auth: false,
    };
    let mut mechanism = credentials.mechanism([9; 24]).unwrap();
    let hello = SaslHandshakeRequest { mechanism: mechanism.name().into() };
    ask(stream, hello.into(), 1).await?;
    let mut said = Bytes::new();
    let mut step = mechanism.step(Input::Start);
    loop {
        step = match step.map_err(io::Error::other)? {
            Step::Derive(work) => mechanism.step(Input::Derived(work.run())),
            Step::Send(bytes) => {
                let request = SaslAuthenticateRequest { auth_bytes: bytes.into_bytes() };
                let is_last = !said.is_empty();
                let answer = ask(stream, request.into(), 2).await?;
                if is_last {
                    return Ok(());
                }
                let AnyResponse::SaslAuthenticate(answer) = answer else { unreachable!("asked for this") };
                said = answer.auth_bytes;
                mechanism.step(Input::Challenge(&said))
            }
            other => panic!("{other:?}"),
        };
    }
}

async fn ask(stream: &mut Box<dyn Stream>, request: AnyRequest, version: i16) -> io::Result<AnyResponse> {
    let (key, mut frame) = (request.key(), BytesMut::new());
    let header = RequestHeader {
        request_api_key: key,
        request_api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let api = api(key).unwrap();
    let layout = api.request_header_version(version);
    ottla::wire::encode(&header, layout, layout >= 2, &mut frame).unwrap();
    request.encode(version, &mut frame).unwrap();
    stream.write_all(&framed(&frame)).await?;
    let mut answer = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut answer).await?;
    let answer = Bytes::from(answer);
    let (_, mut reader) = ResponseHeader::open(&answer, api, version);
    AnyResponse::read(key, &mut reader).map_err(io::Error::other)
}

/// One request after the other, without a pause worth the name.
async fn flood(peer: String) {
    let mut stream = TcpStream::connect(&peer).await.unwrap();
    loop {
        // ApiVersions 0, correlation id 7, no client id.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).await.unwrap();
        let length = stream.read_u32().await.unwrap();
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_mistake_is_found() {
    let plays = MISTAKES.map(|(mistake, word)| {
        tokio::spawn(async move {
            // Told to nobody but those who connect anew: none of these cares.
            let case = Case::new("planted", mistake, Lie::Greet(Greeting::Close));
            let case =
                if mistake == "storms" { case } else { Case::new("planted", mistake, cases::no_lie()) };
            (word, run::play(case, Mode::ForEver, mistake, None).await)
        })
    });
    let those_who_trust =
        [("trusts certificates", "tls/wrong host"), ("trusts signatures", "sasl/wrong signature")];
    let trusting = those_who_trust.into_iter().filter_map(|(mistake, case)| {
        let (case, mode) = cases::plays(case).into_iter().next()?;
        Some(tokio::spawn(async move { (TRUSTED, run::play(case, mode, mistake, doors()).await) }))
    });
    for play in plays.into_iter().chain(trusting.collect::<Vec<_>>()) {
        let (word, report) = play.await.unwrap();
        let faults = report.faults();
        assert!(faults.iter().any(|fault| fault.contains(word)), "{}: {word}: {faults:?}", report.case);
    }
}
