//! Inputs that no proxy sees: every version of every message, SASL with the nonces that the targets use, settings.

use crate::proxy::row;
use crate::{Corpus, chunk};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use ottla::engine::sasl::{
    BearerToken, Credentials, Input, ScramHash, ServerInput, ServerStep, Step, server_mechanism,
};
use ottla::messages::{APIS, Api};
use ottla_fuzz::look_up;
use std::path::Path;
use zeroize::Zeroizing;

pub fn write(corpus: &Corpus, vectors: &Path) {
    vectors_of_java(corpus, vectors);
    for mechanism in 0..4 {
        sasl(corpus, mechanism);
    }
    settings(corpus);
    // Every byte means something to it.
    let mut chance = fastrand::Rng::with_seed(1);
    for len in (8..200).step_by(8) {
        let bytes: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(len).collect();
        corpus.add("assignors", &[&bytes]);
    }
    for codec in 0..5 {
        corpus
            .add("compress", &[&[codec, 3, 40], &chunk(b"the same again, "), &[0], &chunk(b"and once more")]);
        let stamp = [0; 15];
        corpus.add(
            "build",
            &[
                &[codec],
                &stamp,
                &[3, 0, 0, 0, 0, 0, 0, 0, 9],
                &chunk(b"key"),
                &chunk(b"value"),
                &[1],
                &chunk(b"h"),
                &[1],
                &chunk(b"v"),
            ],
        );
    }
}

/// What `tests/vectors` holds: message, version, filling, bytes.
fn vectors_of_java(corpus: &Corpus, folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the vectors") {
        let path = entry.expect("the vectors").path();
        let Some(text) = path.extension().filter(|end| *end == "txt").map(|_| std::fs::read_to_string(&path))
        else {
            continue;
        };
        for line in text.expect("text").lines() {
            let [message, version, _, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let (Ok(version), Ok(bytes)) = (version.parse(), STANDARD_NO_PAD.decode(bytes)) else { continue };
            let named = |suffix| move |api: &&&Api| message.strip_suffix(suffix) == Some(api.name());
            if let Some(api) = APIS.iter().find(named("Request")) {
                corpus.add("requests", &[&row(api.key, version), &bytes]);
            }
            if let Some(api) = APIS.iter().find(named("Response")) {
                corpus.add("responses", &[&row(api.key, version), &bytes]);
            }
            blob(corpus, message, version, &bytes);
        }
    }
}

/// What the members of a group send each other; the two that have a version have it in front.
fn blob(corpus: &Corpus, message: &str, version: i16, bytes: &[u8]) {
    let (kind, front) = match message {
        "ConsumerProtocolSubscription" => (0, version.to_be_bytes().to_vec()),
        "ConsumerProtocolAssignment" => (1, version.to_be_bytes().to_vec()),
        "StickyAssignorUserData" => (2, Vec::new()),
        "CooperativeStickyAssignorUserData" => (3, Vec::new()),
        _ => return,
    };
    corpus.add("assignor_metadata", &[&[kind], &front, bytes]);
}

/// A login that succeeds, as each side hears it, with the nonces and the user of the targets.
fn sasl(corpus: &Corpus, mechanism: u8) {
    let (username, password) = ("user".to_owned(), Zeroizing::new("pencil".to_owned()));
    let credentials = match mechanism {
        0 => Credentials::Plain { username, password },
        1 => Credentials::Scram { hash: ScramHash::Sha256, username, password, token_auth: false },
        2 => Credentials::Scram { hash: ScramHash::Sha512, username, password, token_auth: true },
        _ => Credentials::OAuthBearer,
    };
    let mut client = credentials.mechanism([7; 24]).expect("sound credentials");
    let mut server = server_mechanism(client.name(), [9; 24]).expect("one that we have");
    let (mut to_server, mut to_client) = (vec![mechanism], vec![mechanism]);
    let mut next = client.step(Input::Start);
    loop {
        next = match next {
            Ok(Step::Send(bytes)) => {
                to_server.extend(chunk(bytes.as_bytes()));
                let mut answer = server.step(ServerInput::Client(bytes.as_bytes()));
                while let Ok(ServerStep::Ask(query)) = answer {
                    answer = server.step(ServerInput::Answer(look_up(query)));
                }
                let bytes = match answer {
                    Ok(ServerStep::Send(bytes)) => bytes.into_bytes(),
                    Ok(ServerStep::Done { message, .. }) => message,
                    _ => break,
                };
                to_client.extend(chunk(&bytes));
                client.step(Input::Challenge(&bytes))
            }
            Ok(Step::Derive(derive)) => client.step(Input::Derived(derive.run())),
            Ok(Step::NeedToken) => client.step(Input::Token(BearerToken::new("a.b.c").expect("a token"))),
            Ok(Step::Done) | Err(_) => break,
        };
    }
    corpus.add("sasl_client", &[&to_client]);
    corpus.add("sasl_server", &[&to_server]);
}

fn settings(corpus: &Corpus) {
    let properties = "# a comment\nbootstrap.servers = a:9092, [::1]:9093 ,b\nsecurity.protocol=SASL_SSL\n\
        sasl.mechanism:SCRAM-SHA-512\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \\\n  \
        required username=\"alice\" password=\"s\\\\\"ecret\";\nssl.ca.location=/etc/ca.pem\nlinger.ms 7\n\
        client.id=\\u017eofie\nacks=all\nauto.offset.reset=by_duration:P2DT3H4M5S\ncompression.type=zstd\n";
    let environment = "KAFKA_BOOTSTRAP_SERVERS=localhost:9092\nKAFKA_SASL_MECHANISMS=PLAIN\nKAFKA_SASL_USERNAME=alice\n\
        KAFKA_LINGER_MS=20\nKAFKA_BOOTSTRAP_SERVER=near miss\nHOME=/home/alice\n";
    let dot_env = "# a comment\nexport KAFKA_BOOTSTRAP_SERVERS=\"localhost:9092\"\nKAFKA_ACKS='1' # one\nKAFKA_CLIENT_ID=${USER}\n";
    let set = "bootstrap.servers=localhost\nqueue.buffering.max.ms=5\nmetadata.broker.list=a,b\nenable.idempotence=false\n\
        partitioner=murmur2_random\nisolation.level=read_committed\nlingerms=4\nmax.in.flight=7\nbatch.size=-1\n";
    for (source, text) in [properties, dot_env, environment, set].iter().enumerate() {
        corpus.add("settings", &[&[u8::try_from(source).expect("few")], text.as_bytes()]);
        for line in text.lines() {
            corpus.add("settings", &[&[u8::try_from(source).expect("few")], line.as_bytes()]);
        }
    }
}
