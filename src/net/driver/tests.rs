//! The driver with a peer that does not take bytes, does not answer, or is not needed any more.

use super::*;
use crate::config::ClientConfig;
use crate::config::tests::logged;
use crate::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use crate::net::dial::{Dial, Endpoint, Security};
use crate::net::mem::{Faults, MemNet, Way};
use crate::net::scripted::{Act, Picture, SECOND, Scripted, call_for_metadata, config, pass, tasks};
use crate::task::{join_all, simulate};

fn one() -> Picture {
    Picture::of(&[(1, "a", 9092)])
}

async fn connect_with(net: &MemNet, config: &ClientConfig) -> Handle {
    let dial: Arc<dyn Dial> = Arc::new(net.dialer());
    let deadline = task::now() + 10 * SECOND;
    let endpoint = Endpoint::new("a", 9092, Security::Plaintext);
    let connected = dial.dial(&endpoint, deadline).await.unwrap();
    let options = Options {
        peer: "1 (a:9092)".to_owned(),
        client_id: None,
        sasl: config.sasl.is_some(),
        max_frame_bytes: 1 << 20,
        max_in_flight: 100,
        max_idle: None,
        setup_deadline: deadline,
        rng: task::rng(),
    };
    let auth = Arc::new(Auth::new(config, None, &dial).unwrap());
    establish(connected.stream, options, auth).await.unwrap()
}

async fn connect(net: &MemNet) -> Handle {
    connect_with(net, &config("a:9092", &[])).await
}

async fn ask(handle: &Handle) -> Result<Answer, Error> {
    handle.send(call_for_metadata()).await?.await
}

/// As Produce with `acks=0`: large, and not answered.
fn unanswered() -> Call {
    Call { body: vec![Bytes::from(vec![0; 1 << 20])], answered: false, ..call_for_metadata() }
}

#[tokio::test(start_paused = true)]
async fn at_the_end_each_caller_hears_whether_its_request_may_have_arrived() {
    let _seed = simulate(1);
    let net = MemNet::new(1);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let handle = connect(&net).await;
    a.turn(|_| Act::Silence);
    let start = task::now();
    let outcomes = join_all((0..300).map(|_| ask(&handle))).await;
    assert_eq!(task::now() - start, 30 * SECOND, "the time-out of the first request");
    let maybe = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap_err().is_possibly_written()).count();
    assert_eq!(maybe, 100, "those that were in flight");
    assert_eq!(a.requests().len(), 101, "and nothing else was sent but ApiVersions");
}

/// A broker ends connections that nobody uses: that is no reason to warn. What was written with `acks=0` may be lost, and
/// nobody else tells.
#[test]
fn a_lost_connection_is_a_warning_only_when_nobody_else_is_told() {
    for (call, warns) in [(call_for_metadata(), false), (unanswered(), true)] {
        let log = logged(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let _seed = simulate(6);
                let net = MemNet::new(6);
                let a = Scripted::new(&net, "a", 9092, one().script());
                let handle = connect(&net).await;
                handle.send(call).await.unwrap().await.unwrap();
                net.cut("a", 9092);
                pass(SECOND).await;
                assert!(handle.end().is_some());
                drop(a);
            });
        });
        assert!(log.contains("connection lost"), "{log}");
        assert_eq!(log.contains("WARN"), warns, "{log}");
    }
}

/// Nothing is awaited from a peer that takes no bytes, and still it is given up.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_bytes_is_given_up() {
    let _seed = simulate(2);
    let net = MemNet::new(2);
    let _a = Scripted::new(&net, "a", 9092, one().script());
    let handle = connect(&net).await;
    let hold = Way { hold: true, ..Default::default() };
    net.set_faults("a", 9092, Faults { to_server: hold, ..Default::default() });
    let waiting = handle.send(unanswered()).await.unwrap();
    pass(29 * SECOND).await;
    assert!(handle.end().is_none());
    pass(2 * SECOND).await;
    let error = handle.end().unwrap().error;
    assert!(error.kind() == ErrorKind::Timeout && error.to_string().contains("takes no bytes"), "{error}");
    assert!(waiting.await.unwrap_err().is_possibly_written(), "no word of success before it was written");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_written_before_the_connection_closes() {
    let _seed = simulate(3);
    let net = MemNet::new(3);
    let slow = Way { max_write: Some(40_000), latency: SECOND / 1000, ..Default::default() };
    net.set_faults("a", 9092, Faults { to_server: slow, ..Default::default() });
    let listener = net.listen("a", 9092).unwrap();
    let before = tasks();
    let (handle, mut server) = tokio::join!(connect(&net), async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut server, _) = listener.accept().await;
        let length = server.read_i32().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        server.read_exact(&mut frame).await.unwrap();
        // No error, correlation id 0, and no APIs: version 0's refusal is enough to be let in with version 4's layout.
        let body = [0, 0, 1, 0, 0, 0, 0, 0];
        let mut answer = 12i32.to_be_bytes().to_vec();
        answer.extend([0; 4]);
        answer.extend(body);
        server.write_all(&answer).await.unwrap();
        server
    });
    let waiting = handle.send(unanswered()).await.unwrap();
    pass(SECOND / 1000).await;
    drop((handle, waiting));
    let mut taken = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut server, &mut taken).await.unwrap();
    assert!(taken.len() > 1 << 20, "{} bytes", taken.len());
    drop(server);
    pass(2 * SECOND).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn closing_and_muting_need_no_runtime() {
    let _seed = simulate(4);
    let net = MemNet::new(4);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let handle = connect(&net).await;
    a.turn(|_| Act::Silence);
    let waiting = join_all((0..300).map(|_| ask(&handle)));
    let elsewhere = handle.clone();
    let (outcomes, ()) = tokio::join!(waiting, async {
        pass(SECOND).await;
        std::thread::spawn(move || {
            elsewhere.mute(SECOND);
            elsewhere.close(Error::new(ErrorKind::Protocol, "read an answer"));
        })
        .join()
        .unwrap();
    });
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().kind() == ErrorKind::Protocol));
}

/// A broker that lets in for ten seconds and is silent when the session is to be renewed: the deadline passes, once.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_answered_ends_the_connection() {
    let _seed = simulate(5);
    let net = MemNet::new(5);
    let mut logins = 0;
    let a = Scripted::new(&net, "a", 9092, move |asked| match asked.key() {
        ApiKey::SASL_HANDSHAKE => Act::Answer(SaslHandshakeResponse::default().into()),
        ApiKey::SASL_AUTHENTICATE => {
            logins += 1;
            let answer = SaslAuthenticateResponse { session_lifetime_ms: 10_000, ..Default::default() };
            if logins < 3 { Act::Answer(answer.into()) } else { Act::Silence }
        }
        _ => one().act(asked),
    });
    let sasl = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", "secret"),
        ("sasl.allow.plaintext", "true"),
    ];
    let handle = connect_with(&net, &config("a:9092", &sasl)).await;
    let start = task::now();
    // Across the first renewal no request is lost.
    for _ in 0..15 {
        ask(&handle).await.unwrap();
        pass(SECOND).await;
    }
    pass(45 * SECOND).await;
    let end = handle.end().unwrap();
    let after = (end.at - start).as_secs();
    assert!(end.error.kind() == ErrorKind::Timeout && (45..=51).contains(&after), "{after} s: {}", end.error);
    assert_eq!(a.count(ApiKey::SASL_AUTHENTICATE), 3);
}

#[test]
fn a_runtime_that_is_dropped_with_work_in_flight_ends_in_peace() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let net = MemNet::new(6);
    let (handle, pending, _a) = runtime.block_on(async {
        let a = Scripted::new(&net, "a", 9092, one().script());
        let handle = connect(&net).await;
        a.turn(|_| Act::Silence);
        let pending = handle.send(call_for_metadata()).await.unwrap();
        (handle, pending, a)
    });
    drop(runtime);
    handle.close(Error::new(ErrorKind::Protocol, "read an answer"));
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = other.block_on(pending).unwrap_err();
    assert!(error.is_possibly_written(), "{error}");
    let error = other.block_on(ask(&handle)).unwrap_err();
    assert!(!error.is_possibly_written(), "{error}");
}
