//! Requests that meet brokers who answer late, wrongly, twice, or not at all.

use super::*;
use crate::messages::{
    AnyResponse, ApiKey, ApiVersionsResponse, CreateTopicsRequest, ErrorCode, ListOffsetsRequest,
    MetadataRequest, SaslAuthenticateResponse,
};
use crate::net::scripted::{Act, Asked, Picture, SECOND, Scripted, most_in_a_second, pass};
use crate::task::{join_all, simulate};
use crate::wire::Span;

fn one() -> Picture {
    Picture::of(&[(1, "a", 9092)])
}

async fn ask(cluster: &Cluster, time: Duration) -> Result<()> {
    let build = |_| MetadataRequest::all_topics();
    cluster.call(Reach::Any, build, Span::from(4), within(time), |_| None).await.map(drop)
}

async fn create(cluster: &Cluster, time: Duration) -> Result<()> {
    let build = |_| CreateTopicsRequest::default();
    cluster.call(Reach::Any, build, Span::from(2), within(time), |_| None).await.map(drop)
}

/// Does something else with the first answers to `key` than what is right.
fn at_first(
    key: ApiKey,
    times: usize,
    mut wrong: impl FnMut(AnyResponse) -> Act + Send + 'static,
) -> impl FnMut(&Asked) -> Act + Send {
    let mut left = times;
    move |asked| {
        if asked.key() != key || left == 0 {
            return one().act(asked);
        }
        left -= 1;
        wrong(one().answer(asked))
    }
}

/// Whatever goes wrong with the first answers, the call comes to its end, soon, and without a storm.
#[tokio::test(start_paused = true)]
async fn a_call_survives_answers_that_go_wrong() {
    type Wrong = fn(AnyResponse) -> Act;
    let ways: [(&str, u128, Wrong); 10] = [
        ("wrong correlation id", 4_000, Act::Misnumbered),
        ("answered twice", 4_000, Act::Twice),
        ("cut inside the frame", 4_000, |answer| Act::Cut(answer, 9)),
        ("cut inside the length", 4_000, |answer| Act::Cut(answer, 2)),
        ("hung up", 4_000, |_| Act::HangUp),
        ("hung up behind the answer", 4_000, Act::Last),
        ("no body", 4_000, |_| Act::Body(b"")),
        ("garbage", 4_000, |_| Act::Body(&[0xff; 64])),
        ("a frame of 2 GiB", 4_000, |_| Act::Raw(&[0x7f, 0xff, 0xff, 0xff])),
        ("too late", 95_000, |answer| Act::After(31 * SECOND, Box::new(Act::Answer(answer)))),
    ];
    for (name, most_ms, wrong) in ways {
        let _seed = simulate(1);
        let net = MemNet::new(1);
        let a = Scripted::new(&net, "a", 9092, one().script());
        let cluster = cluster(&net, "a:9092", &[]);
        cluster.refresh(within(SECOND)).await.unwrap();
        a.turn(at_first(ApiKey::METADATA, 3, wrong));
        let start = task::now();
        ask(&cluster, 120 * SECOND).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(ms_since(start) <= most_ms, "{name}: {} ms", ms_since(start));
        let worst = most_in_a_second(&a.connects(), start);
        assert!(worst <= 5, "{name}: {worst} connects in a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_honoured_to_the_millisecond() {
    let _seed = simulate(2);
    let net = MemNet::new(2);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    a.turn(|_| Act::Silence);
    for time in [5 * MS, 700 * MS, 10 * SECOND] {
        let start = task::now();
        let error = ask(&cluster, time).await.unwrap_err();
        assert_eq!((error.kind(), ms_since(start)), (ErrorKind::Timeout, time.as_millis()), "{error}");
        assert!(error.to_string().contains("1 (a:9092)"), "names the broker: {error}");
    }
}

/// What changes something each time must not be repeated once it may have arrived, and the error says so.
#[tokio::test(start_paused = true)]
async fn a_request_that_may_have_arrived_is_not_repeated_unless_it_may_be() {
    type Wrong = fn(AnyResponse) -> Act;
    let ways: [Wrong; 5] = [
        |_| Act::Silence,
        |_| Act::HangUp,
        Act::Misnumbered,
        |_| Act::Body(b""),
        |answer| Act::Cut(answer, 6),
    ];
    for wrong in ways {
        let _seed = simulate(3);
        let net = MemNet::new(3);
        let a = Scripted::new(&net, "a", 9092, one().script());
        let cluster = cluster(&net, "a:9092", &[]);
        cluster.refresh(within(SECOND)).await.unwrap();
        a.turn(at_first(ApiKey::CREATE_TOPICS, 9, wrong));
        let error = create(&cluster, 10 * SECOND).await.unwrap_err();
        assert!(error.is_possibly_written(), "{error}");
        assert_eq!(a.count(ApiKey::CREATE_TOPICS), 1, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_surely_did_not_arrive_is_repeated() {
    let _seed = simulate(4);
    let net = MemNet::new(4);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    a.turn(at_first(ApiKey::API_VERSIONS, 3, |_| Act::HangUp));
    create(&cluster, 10 * SECOND).await.unwrap();
    assert_eq!(a.count(ApiKey::CREATE_TOPICS), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_finds_a_bootstrap_server_that_answers() {
    let _seed = simulate(5);
    let net = MemNet::new(5);
    let _c = Scripted::new(&net, "c", 9092, Picture::of(&[(3, "c", 9092)]).script());
    let cluster = cluster(&net, "a:9092,b:9092,c:9092", &[]);
    ask(&cluster, 5 * SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unsupported_for_ever_is_told_and_causes_no_storm() {
    let _seed = simulate(6);
    let net = MemNet::new(6);
    let a = Scripted::new(&net, "a", 9092, |_| {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        Act::Answer(ApiVersionsResponse { error_code, ..Default::default() }.into())
    });
    let cluster = cluster(&net, "a:9092", &[]);
    let start = task::now();
    while ms_since(start) < 30_000 {
        let error = ask(&cluster, 5 * SECOND).await.unwrap_err();
        assert!(error.to_string().contains("UNSUPPORTED_VERSION"), "{error}");
        pass(MS).await;
    }
    let (connects, requests) = (a.connects(), a.times(ApiKey::API_VERSIONS));
    println!("UNSUPPORTED_VERSION: {} connects, {} requests in 30 s", connects.len(), requests.len());
    assert!(most_in_a_second(&connects, start + 2 * SECOND) <= 5);
    assert!(requests.len() <= 2 * connects.len(), "one fall-back for each connection");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_fatal_at_once_and_causes_no_storm() {
    let _seed = simulate(7);
    let net = MemNet::new(7);
    let a = Scripted::new(&net, "a", 9092, |asked| match asked.key() {
        ApiKey::SASL_AUTHENTICATE => Act::Last(
            SaslAuthenticateResponse {
                error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
                error_message: Some("Invalid username or password".into()),
                ..Default::default()
            }
            .into(),
        ),
        _ => one().act(asked),
    });
    let sasl = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", "wrong"),
        ("sasl.allow.plaintext", "true"),
    ];
    let cluster = cluster(&net, "a:9092", &sasl);
    let start = task::now();
    let mut told = 0;
    while ms_since(start) < 30_000 {
        let called = task::now();
        let error = ask(&cluster, 20 * SECOND).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Authentication && error.is_fatal(), "{error:?}");
        assert!(ms_since(called) <= 2_500, "{} ms", ms_since(called));
        told += 1;
        pass(MS).await;
    }
    let worst = most_in_a_second(&a.connects(), start + 2 * SECOND);
    println!(
        "wrong password: {} connects in 30 s, {worst} in the worst second, {told} calls",
        a.connects().len()
    );
    assert!(worst <= 2, "{worst} connects in a second");
}

#[tokio::test(start_paused = true)]
async fn throttling_is_honoured_but_not_for_days() {
    for (throttle_time_ms, held_ms) in
        [(3_000, 3_000), (90_000, 60_000), (i32::MAX, 10_000), (-5, 0), (i32::MIN, 0)]
    {
        let _seed = simulate(8);
        let net = MemNet::new(8);
        let a = Scripted::new(&net, "a", 9092, one().script());
        let cluster = cluster(&net, "a:9092", &[]);
        cluster.refresh(within(SECOND)).await.unwrap();
        let link = cluster.link(BrokerId(1), Lane::Fetch, within(SECOND)).await.unwrap();
        a.turn(move |asked| {
            let mut answer = one().answer(asked);
            if let AnyResponse::ListOffsets(told) = &mut answer {
                told.throttle_time_ms = throttle_time_ms;
            }
            Act::Answer(answer)
        });
        let request = ListOffsetsRequest::default();
        link.call(&request, Span::from(3)).await.unwrap();
        let start = task::now();
        link.call(&request, Span::from(3)).await.unwrap();
        assert_eq!(ms_since(start), held_ms, "throttle_time_ms {throttle_time_ms}");
    }
}

/// A broker that was rolled back offers less on the next connection: what was agreed on the last one means nothing there.
#[tokio::test(start_paused = true)]
async fn versions_are_agreed_anew_with_a_broker_that_was_downgraded() {
    let _seed = simulate(21);
    let net = MemNet::new(21);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    let newest = a.requests().last().unwrap().header.request_api_version;
    net.cut("a", 9092);
    a.turn(|asked| {
        let mut answer = one().answer(asked);
        if let AnyResponse::ApiVersions(offered) = &mut answer {
            for api in &mut offered.api_keys {
                api.max_version = api.max_version.min(9);
            }
        }
        Act::Answer(answer)
    });
    cluster.refresh(within(5 * SECOND)).await.unwrap();
    let asked = a.requests().into_iter().rev().find(|asked| asked.key() == ApiKey::METADATA).unwrap();
    assert_eq!((newest, asked.header.request_api_version), (13, 9));
}

/// More callers than may be under way at once, all of whom give up: their slots come back.
#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_give_their_slots_back() {
    let _seed = simulate(9);
    let net = MemNet::new(9);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    let link = cluster.link(BrokerId(1), Lane::Fetch, within(SECOND)).await.unwrap();
    a.turn(|asked| Act::After(10 * MS, Box::new(one().act(asked))));
    let request = MetadataRequest::default();
    for _ in 0..5 {
        let given_up =
            join_all((0..300).map(|_| task::until(within(MS), link.call(&request, Span::from(4))))).await;
        assert!(given_up.iter().all(Option::is_none));
    }
    link.call(&request, Span::from(4)).await.unwrap();
    assert!(
        a.count(ApiKey::METADATA) <= 170 * 5,
        "{} requests: dropped ones are not sent",
        a.count(ApiKey::METADATA)
    );
}

/// An answer that cannot be read closes the connection at once, whoever else waits on it.
#[tokio::test(start_paused = true)]
async fn a_full_connection_is_closed_at_once() {
    let _seed = simulate(10);
    let net = MemNet::new(10);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    let link = cluster.link(BrokerId(1), Lane::Fetch, within(SECOND)).await.unwrap();
    let mut first = true;
    a.turn(move |_| if std::mem::take(&mut first) { Act::Body(b"") } else { Act::Silence });
    let start = task::now();
    let request = MetadataRequest::default();
    let outcomes = join_all((0..300).map(|_| link.call(&request, Span::from(4)))).await;
    assert!(outcomes.iter().all(std::result::Result::is_err));
    assert_eq!(ms_since(start), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_makes_progress() {
    let _seed = simulate(11);
    let net = MemNet::new(11);
    let drip =
        crate::net::mem::Way { max_read: Some(3), max_write: Some(2), jitter: 2 * MS, ..Default::default() };
    net.set_faults(
        "a",
        9092,
        crate::net::mem::Faults { to_server: drip.clone(), to_client: drip, ..Default::default() },
    );
    let _a = Scripted::new(&net, "a", 9092, one().topic("orders", &[1; 50]).script());
    let cluster = cluster(&net, "a:9092", &[]);
    let view = cluster.topic(&"orders".into(), false, within(10 * SECOND)).await.unwrap();
    assert_eq!(view.topic("orders").unwrap().partition_count(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_given_up_at_the_request_s_time_out() {
    let _seed = simulate(12);
    let net = MemNet::new(12);
    let _a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    let hold = crate::net::mem::Way { hold: true, ..Default::default() };
    net.set_faults("a", 9092, crate::net::mem::Faults { to_client: hold, ..Default::default() });
    let start = task::now();
    let (outcome, ()) = tokio::join!(ask(&cluster, 60 * SECOND), async {
        pass(29 * SECOND).await;
        net.set_faults("a", 9092, Default::default());
        net.cut("a", 9092);
    });
    outcome.unwrap();
    assert!(ms_since(start) <= 31_000, "{} ms", ms_since(start));
}
