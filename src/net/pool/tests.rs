//! The pool against peers that are down, silent, or of no use: how often they are connected to, and what callers hear.

use super::*;
use crate::messages::ApiKey;
use crate::net::dial::{BoxFuture, Connected, Endpoint};
use crate::net::mem::{Faults, MemNet};
use crate::net::scripted::{
    Act, Picture, SECOND, Scripted, call_for_metadata, config, most_in_a_second, pass, tasks,
};
use crate::task::{join_all, simulate};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const ALL_LANES: [Lane; 5] = [Lane::Normal, Lane::Produce, Lane::Fetch, Lane::Group, Lane::Slow];

fn pool_with(net: &MemNet, more: &[(&str, &str)]) -> Arc<Pool> {
    let config = config("a:9092", more);
    pool_of(config, Arc::new(net.dialer()))
}

fn pool_of(config: ClientConfig, dial: Arc<dyn Dial>) -> Arc<Pool> {
    let auth = Auth::new(&config, None, &dial).unwrap();
    Arc::new(Pool::new(Arc::new(config), dial, Security::Plaintext, Arc::new(auth)))
}

fn pool(net: &MemNet) -> Arc<Pool> {
    pool_with(net, &[])
}

fn picture() -> Picture {
    Picture::of(&[(1, "a", 9092)])
}

fn peer() -> Peer {
    Peer { id: Some(BrokerId(1)), address: HostPort::new("a", 9092) }
}

fn within(time: Duration) -> Instant {
    task::now() + time
}

async fn ask(handle: &Handle) -> Result<()> {
    handle.send(call_for_metadata()).await?.await?;
    handle.proven();
    Ok(())
}

/// Asks on all lanes again and again, as impatiently as the pool lets it.
async fn press(pool: &Arc<Pool>, time: Duration) {
    let end = within(time);
    join_all(ALL_LANES.map(|lane| async move {
        while task::now() < end {
            if let Ok(handle) = pool.get(&peer(), lane, within(30 * SECOND).min(end)).await {
                ask(&handle).await.ok();
            }
            pass(MS).await;
        }
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_callers_get_one_connection() {
    let _seed = simulate(1);
    let net = MemNet::new(1);
    let a = Scripted::new(&net, "a", 9092, picture().script());
    let pool = pool(&net);
    let handles =
        join_all((0..50).map(|_| async { pool.get(&peer(), Lane::Normal, within(SECOND)).await })).await;
    assert!(handles.iter().all(Result::is_ok));
    assert_eq!(a.connects().len(), 1);
}

/// Refuses at once.
#[derive(Debug)]
struct Refusing;

impl Dial for Refusing {
    fn dial<'a>(&'a self, _: &'a Endpoint, _: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(std::future::ready(Err(Error::new(ErrorKind::Connect, "refuse"))))
    }
}

/// On another thread an attempt may be over before the caller begins to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_an_attempt_is_told_however_fast_it_was() {
    let pool = pool_of(config("a:9092", &[]), Arc::new(Refusing));
    for port in 1..=20_000 {
        let peer = Peer { id: None, address: HostPort::new("a", port) };
        let error = pool.get(&peer, Lane::Normal, within(60 * SECOND)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "attempt {port}: {error}");
        pool.retain(|_| false);
    }
}

/// Each way of being of no use, under pressure on all lanes: the bound of BEHAVIOUR holds, and a peer that has become
/// good is of use within 15 s.
#[tokio::test(start_paused = true)]
async fn no_peer_is_connected_to_more_than_five_times_a_second() {
    let refused = |net: &MemNet| net.set_faults("a", 9092, Faults { refuse: true, ..Default::default() });
    let hanging = |net: &MemNet| net.set_faults("a", 9092, Faults { hang: true, ..Default::default() });
    type Setting = (&'static str, fn(&MemNet), fn(&crate::net::scripted::Asked) -> Act);
    let good = |_: &MemNet| {};
    let ways: [Setting; 7] = [
        ("refused", refused, |asked| picture().act(asked)),
        ("hanging", hanging, |asked| picture().act(asked)),
        ("hangs up on the first request", good, |_| Act::HangUp),
        ("silent", good, |_| Act::Silence),
        ("garbage", good, |_| Act::Raw(b"HTTP/1.1 400 Bad Request\r\n")),
        ("hangs up on the second request", good, |asked| match asked.key() {
            ApiKey::API_VERSIONS => picture().act(asked),
            _ => Act::HangUp,
        }),
        ("hangs up after each answer", good, |asked| match asked.key() {
            ApiKey::API_VERSIONS => picture().act(asked),
            _ => Act::Last(picture().answer(asked)),
        }),
    ];
    let mut broken = Vec::new();
    for (name, spoil, script) in ways {
        let _seed = simulate(2);
        let net = MemNet::new(2);
        let a = Scripted::new(&net, "a", 9092, script);
        let dialled = Dialled::new(&net);
        spoil(&net);
        let start = task::now();
        let pool = dialled.pool();
        press(&pool, 60 * SECOND).await;
        let times = dialled.times();
        let worst = most_in_a_second(&times, start + 2 * SECOND);
        println!("{name}: {} connects in 60 s, at most {worst} in a second after 2 s", times.len());
        if worst > 5 || times.len() < 6 {
            broken.push(format!("{name}: {} connects, {worst} in a second", times.len()));
        }

        net.set_faults("a", 9092, Faults::default());
        a.turn(picture().script());
        let start = task::now();
        let outcomes = join_all(ALL_LANES.map(|lane| {
            let pool = &pool;
            async move {
                loop {
                    if let Ok(handle) = pool.get(&peer(), lane, within(60 * SECOND)).await
                        && ask(&handle).await.is_ok()
                    {
                        return start.elapsed_on_our_clock();
                    }
                    pass(100 * MS).await;
                }
            }
        }))
        .await;
        println!("{name}: lanes of use again after {outcomes:?} ms");
        if outcomes.iter().any(|ms| *ms > 15_000) {
            broken.push(format!("{name}: of use after {outcomes:?} ms"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Set-up time-outs have grown to half a minute when the peer becomes well, at whatever moment: what waits on the old
/// connections hears nothing, a new one does.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_that_becomes_well_is_of_use_soon() {
    let mut slowest = 0;
    for silent_for in (40..75).step_by(5) {
        let _seed = simulate(14);
        let net = MemNet::new(14);
        let a = Scripted::new(&net, "a", 9092, |_| Act::Silence);
        let pool = pool(&net);
        let (ms, ()) = tokio::join!(
            async {
                while pool.get(&peer(), Lane::Normal, within(300 * SECOND)).await.is_err() {}
                task::now()
            },
            async {
                pass(silent_for * SECOND).await;
                a.turn(picture().script());
            }
        );
        slowest = slowest.max((ms - a.connects()[0]).as_millis() - u128::from(silent_for) * 1_000);
    }
    println!("silent: of use again after {slowest} ms at the most");
    assert!(slowest <= 15_000, "{slowest} ms");
}

trait Elapsed {
    fn elapsed_on_our_clock(&self) -> u128;
}

impl Elapsed for Instant {
    fn elapsed_on_our_clock(&self) -> u128 {
        (task::now() - *self).as_millis()
    }
}

/// A dialler that remembers when it was asked, whatever came of it.
#[derive(Debug, Clone)]
struct Dialled {
    net: MemNet,
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Dialled {
    fn new(net: &MemNet) -> Dialled {
        Dialled { net: net.clone(), times: Arc::default() }
    }

    fn times(&self) -> Vec<Instant> {
        lock(&self.times).clone()
    }

    fn pool(&self) -> Arc<Pool> {
        let config = config("a:9092", &[]);
        pool_of(config, Arc::new(self.clone()))
    }
}

impl Dial for Dialled {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        lock(&self.times).push(task::now());
        Box::pin(async move { self.net.dialer().dial(endpoint, deadline).await })
    }
}

#[tokio::test(start_paused = true)]
async fn callers_with_little_time_get_the_connection_in_the_end() {
    let _seed = simulate(3);
    let net = MemNet::new(3);
    let slow = crate::net::mem::Way { latency: 40 * MS, ..Default::default() };
    net.set_faults("a", 9092, Faults { to_server: slow.clone(), to_client: slow, ..Default::default() });
    let a = Scripted::new(&net, "a", 9092, picture().script());
    let pool = pool(&net);
    let mut attempts = 0;
    while let Err(error) = pool.get(&peer(), Lane::Normal, within(20 * MS)).await {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        attempts += 1;
        assert!(attempts < 20, "{error}");
    }
    assert_eq!(a.connects().len(), 1, "the set-up goes on for whoever asks next");
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_cause_no_storm() {
    let _seed = simulate(4);
    let net = MemNet::new(4);
    let a = Scripted::new(&net, "a", 9092, |_| Act::Silence);
    let pool = pool(&net);
    for _ in 0..1_000 {
        // Dropped while the connection is being set up.
        task::until(within(2 * MS), pool.get(&peer(), Lane::Normal, within(30 * SECOND))).await;
    }
    assert!(a.connects().len() <= 2, "{} connects in two seconds", a.connects().len());
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_hears_why() {
    let _seed = simulate(5);
    let net = MemNet::new(5);
    let pool = pool(&net);
    let outcomes =
        join_all((0..10).map(|_| async { pool.get(&peer(), Lane::Normal, within(SECOND)).await })).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains("1 (a:9092)"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_off_past_the_deadline_is_told_at_once_with_the_cause() {
    let _seed = simulate(6);
    let net = MemNet::new(6);
    let pool = pool(&net);
    for _ in 0..8 {
        pool.get(&peer(), Lane::Normal, within(5 * SECOND)).await.unwrap_err();
    }
    let start = task::now();
    let error = pool.get(&peer(), Lane::Normal, within(100 * MS)).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed_on_our_clock()), (ErrorKind::Timeout, 0));
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_and_the_next_request_has_a_new_one_at_once() {
    let _seed = simulate(7);
    let net = MemNet::new(7);
    let a = Scripted::new(&net, "a", 9092, picture().script());
    let pool = pool_with(&net, &[("connections.max.idle.ms", "1000")]);
    for _ in 0..20 {
        let handle = pool.get(&peer(), Lane::Normal, within(SECOND)).await.unwrap();
        ask(&handle).await.unwrap();
        pass(1_500 * MS).await;
        assert!(handle.end().is_some());
        let start = task::now();
        let handle = pool.get(&peer(), Lane::Normal, within(SECOND)).await.unwrap();
        ask(&handle).await.unwrap();
        assert_eq!(start.elapsed_on_our_clock(), 0, "no back-off: nobody was at fault");
        pass(1_500 * MS).await;
    }
    assert_eq!(a.connects().len(), 40);
}

/// The connection closes in the very moment in which somebody wants to use it: nobody is at fault, and nothing was sent.
#[tokio::test(start_paused = true)]
async fn a_request_that_meets_an_idle_connection_closing_may_be_repeated() {
    let _seed = simulate(8);
    let net = MemNet::new(8);
    let _a = Scripted::new(&net, "a", 9092, picture().script());
    let pool = pool_with(&net, &[("connections.max.idle.ms", "1000")]);
    let handle = pool.get(&peer(), Lane::Normal, within(SECOND)).await.unwrap();
    ask(&handle).await.unwrap();
    pass(1_500 * MS).await;
    let error = ask(&handle).await.unwrap_err();
    assert!(error.is_retriable() && !error.is_possibly_written() && !error.is_fatal(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_of_use_starts_the_back_off_anew() {
    let _seed = simulate(9);
    let net = MemNet::new(9);
    let pool = pool(&net);
    for _ in 0..8 {
        pool.get(&peer(), Lane::Normal, within(5 * SECOND)).await.unwrap_err();
    }
    let a = Scripted::new(&net, "a", 9092, picture().script());
    let handle = pool.get(&peer(), Lane::Normal, within(5 * SECOND)).await.unwrap();
    ask(&handle).await.unwrap();
    pass(10 * SECOND).await;
    net.cut("a", 9092);
    pass(MS).await;
    let start = task::now();
    pool.get(&peer(), Lane::Normal, within(5 * SECOND)).await.unwrap();
    assert!(start.elapsed_on_our_clock() <= 60, "{} ms", start.elapsed_on_our_clock());
    assert_eq!(a.connects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_broker_that_is_forgotten_is_told_at_once() {
    let _seed = simulate(10);
    let net = MemNet::new(10);
    net.set_faults("a", 9092, Faults { hang: true, ..Default::default() });
    let pool = pool(&net);
    let start = task::now();
    let peer = peer();
    let (outcome, ()) = tokio::join!(pool.get(&peer, Lane::Normal, within(30 * SECOND)), async {
        pass(SECOND).await;
        pool.retain(|_| false);
    });
    let error = outcome.unwrap_err();
    assert!(error.is_retriable(), "{error:?}");
    assert_eq!(start.elapsed_on_our_clock(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn bootstrap_and_broker_at_one_address_share_their_back_off() {
    let _seed = simulate(11);
    let net = MemNet::new(11);
    let dialled = Dialled::new(&net);
    let pool = dialled.pool();
    let bootstrap = Peer { id: None, ..peer() };
    let start = task::now();
    while start.elapsed_on_our_clock() < 30_000 {
        for peer in [&peer(), &bootstrap] {
            pool.get(peer, Lane::Normal, within(5 * SECOND)).await.unwrap_err();
        }
    }
    let worst = most_in_a_second(&dialled.times(), start + 2 * SECOND);
    assert!(worst <= 2, "{worst} connects in a second");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_dropped_leaves_no_task() {
    let _seed = simulate(12);
    let net = MemNet::new(12);
    let a = Scripted::new(&net, "a", 9092, |asked| match asked.key() {
        ApiKey::API_VERSIONS => picture().act(asked),
        _ => Act::Silence,
    });
    let before = tasks();
    let pool = pool(&net);
    net.set_faults("b", 9092, Faults { hang: true, ..Default::default() });
    let hanging = Peer { id: Some(BrokerId(2)), address: HostPort::new("b", 9092) };
    let handle = pool.get(&peer(), Lane::Normal, within(SECOND)).await.unwrap();
    task::until(within(SECOND), ask(&handle)).await;
    task::until(within(SECOND), pool.get(&hanging, Lane::Normal, within(30 * SECOND))).await;
    drop((handle, pool));
    pass(2 * SECOND).await;
    drop(a);
    pass(MS).await;
    assert_eq!(tasks() + 1, before);
}

/// Panics when it is asked to connect.
#[derive(Debug, Default)]
struct Broken(Mutex<Vec<Instant>>);

impl Dial for Broken {
    fn dial<'a>(&'a self, _: &'a Endpoint, _: Instant) -> BoxFuture<'a, Result<Connected>> {
        lock(&self.0).push(task::now());
        Box::pin(async { panic!("the application's dialler is broken") })
    }
}

#[tokio::test(start_paused = true)]
async fn a_dialler_that_panics_is_an_error_and_no_storm() {
    let _seed = simulate(13);
    let dial = Arc::new(Broken::default());
    let pool = pool_of(config("a:9092", &[]), Arc::clone(&dial) as Arc<dyn Dial>);
    let start = task::now();
    while start.elapsed_on_our_clock() < 10_000 {
        let error = pool.get(&peer(), Lane::Normal, within(5 * SECOND)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    }
    let worst = most_in_a_second(&lock(&dial.0), start + 2 * SECOND);
    assert!(worst <= 2, "{worst} connects in a second");
}
