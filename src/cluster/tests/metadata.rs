//! One view for everybody: who is asked for it, how often, and what is made of nonsense.

use super::*;
use crate::messages::{
    AnyRequest, AnyResponse, ApiKey, ErrorCode, ListOffsetsRequest, MetadataRequest, MetadataResponse,
};
use crate::net::mem::Faults;
use crate::net::scripted::{Act, Asked, Picture, SECOND, Scripted, most_in_a_second, pass, tasks};
use crate::task::{join_all, simulate};
use crate::wire::Span;

fn one() -> Picture {
    Picture::of(&[(1, "a", 9092)]).topic("orders", &[1, 1])
}

fn hang(net: &MemNet, host: &str) {
    net.set_faults(host, 9092, Faults { hang: true, ..Default::default() });
}

fn refuse(net: &MemNet, host: &str) {
    net.set_faults(host, 9092, Faults { refuse: true, ..Default::default() });
}

/// A well-behaved answer but for its metadata, which `spoil` changes.
fn spoilt(
    picture: Picture,
    spoil: impl Fn(&mut MetadataResponse) + Send + 'static,
) -> impl FnMut(&Asked) -> Act + Send {
    move |asked| {
        let mut answer = picture.answer(asked);
        if let AnyResponse::Metadata(metadata) = &mut answer {
            spoil(metadata);
        }
        Act::Answer(answer)
    }
}

fn last_metadata_request(broker: &Scripted) -> MetadataRequest {
    let requests = broker.requests().into_iter().rev();
    let mut metadata = requests.filter_map(|asked| match asked.request {
        AnyRequest::Metadata(request) => Some(request),
        _ => None,
    });
    metadata.next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_get_one_request() {
    let _seed = simulate(1);
    let net = MemNet::new(1);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    pass(SECOND).await;
    let before = a.count(ApiKey::METADATA);
    for outcome in join_all((0..100).map(|_| cluster.refresh(within(SECOND)))).await {
        outcome.unwrap();
    }
    pass(10 * SECOND).await;
    assert_eq!(a.count(ApiKey::METADATA) - before, 1);
}

/// What a caller has done before it asks (create a topic, for example) must be in the answer.
#[tokio::test(start_paused = true)]
async fn a_refresh_begins_after_the_call_for_it() {
    let _seed = simulate(2);
    let net = MemNet::new(2);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    pass(SECOND).await;
    let picture = one();
    a.turn(move |asked| Act::After(500 * MS, Box::new(picture.act(asked))));
    cluster.ask_for_metadata();
    pass(100 * MS).await;
    let called = task::now();
    cluster.refresh(within(10 * SECOND)).await.unwrap();
    assert!(a.times(ApiKey::METADATA).last().unwrap() > &called, "the answer was under way before");
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_asks_for_nothing_until_its_view_is_old() {
    let _seed = simulate(3);
    let net = MemNet::new(3);
    let picture = one().topic("headless", &[-1]);
    let a = Scripted::new(&net, "a", 9092, picture.script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.want_topics(["headless".into(), "missing".into()], false, within(3_600 * SECOND)).unwrap();
    cluster.refresh(within(SECOND)).await.unwrap();
    pass(SECOND).await;
    let before = a.requests().len();
    pass(290 * SECOND).await;
    assert_eq!(a.requests().len(), before, "nobody waits");
    pass(20 * SECOND).await;
    assert_eq!(a.count(ApiKey::METADATA), 2, "five minutes are over");
}

/// A view is as old as `metadata.max.age.ms` lets it become whenever it is refreshed; that is no reason to distrust the brokers.
#[tokio::test(start_paused = true)]
async fn an_old_view_is_refreshed_by_the_brokers_that_are_known() {
    let _seed = simulate(23);
    let net = MemNet::new(23);
    let picture = Picture::of(&[(1, "a", 9092), (2, "b", 9092)]);
    let _a = Scripted::new(&net, "a", 9092, picture.script());
    let b = Scripted::new(&net, "b", 9092, picture.script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    refuse(&net, "a");
    for round in 1..4 {
        pass(310 * SECOND).await;
        assert!(b.count(ApiKey::METADATA) >= round, "round {round}");
    }
}

/// The first records wait for the topic; nobody creates it again once it was seen and deleted.
#[tokio::test(start_paused = true)]
async fn a_topic_that_was_deleted_is_not_created_again_and_forgotten_in_time() {
    let _seed = simulate(24);
    let net = MemNet::new(24);
    let a = Scripted::new(&net, "a", 9092, one().topic("orders", &[1]).script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.topic(&"orders".into(), true, within(400 * SECOND)).await.unwrap();
    a.turn(one().script());
    pass(SECOND).await;
    cluster.refresh(within(SECOND)).await.unwrap();
    let asked = last_metadata_request(&a);
    assert!(!asked.allow_auto_topic_creation && asked.topics.unwrap().len() == 1);
    pass(800 * SECOND).await;
    assert!(last_metadata_request(&a).topics.unwrap().is_empty(), "nobody looks for it any more");
    assert!(cluster.view().topic("orders").is_none());
}

#[tokio::test(start_paused = true)]
async fn names_that_no_topic_can_have_spoil_no_request() {
    let _seed = simulate(25);
    let net = MemNet::new(25);
    let _a = Scripted::new(&net, "a", 9092, one().topic("orders", &[1]).script());
    let cluster = cluster(&net, "a:9092", &[]);
    for name in ["", &"x".repeat(250), &"x".repeat(40_000)] {
        let error = cluster.topic(&name.into(), true, within(SECOND)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    cluster.topic(&"orders".into(), true, within(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_view_grows_older_than_metadata_max_age() {
    for max_age_ms in [400, 1_500, 3_000, 30_000] {
        let _seed = simulate(5);
        let net = MemNet::new(5);
        let a = Scripted::new(&net, "a", 9092, one().script());
        let max_age = max_age_ms * MS;
        let _cluster = cluster(&net, "a:9092", &[("metadata.max.age.ms", &max_age_ms.to_string())]);
        pass(20 * max_age + 100 * MS).await;
        let times = a.times(ApiKey::METADATA);
        assert!((19..=21).contains(&times.len()), "{} requests in 20 times {max_age:?}", times.len());
        for pair in times.windows(2) {
            let age = pair[1] - pair[0];
            assert!(age >= max_age - 20 * MS && age <= max_age + 20 * MS, "{age:?}, not {max_age:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_in_vain_is_asked_for_about_once_a_second() {
    let _seed = simulate(4);
    let net = MemNet::new(4);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    let start = task::now();
    join_all((0..20u32).map(|i| {
        let cluster = &cluster;
        async move {
            pass(37 * MS * i).await;
            let error = cluster.topic(&"missing".into(), false, within(30 * SECOND)).await.unwrap_err();
            assert!(error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{error}");
        }
    }))
    .await;
    let worst = most_in_a_second(&a.times(ApiKey::METADATA), start + 2 * SECOND);
    println!("missing topic: {} requests in 30 s, {worst} in the worst second", a.count(ApiKey::METADATA));
    assert!(worst <= 2, "{worst} requests in a second");
}

/// Callers that are told "not the leader" for ever ask again and again, and the answer is always the same.
#[tokio::test(start_paused = true)]
async fn answers_that_bring_nothing_new_are_asked_for_about_once_a_second() {
    let _seed = simulate(5);
    let net = MemNet::new(5);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.want_topics(["orders".into()], false, within(3_600 * SECOND)).unwrap();
    let start = task::now();
    while ms_since(start) < 30_000 {
        cluster.refresh(within(5 * SECOND)).await.unwrap();
    }
    let worst = most_in_a_second(&a.times(ApiKey::METADATA), start + 3 * SECOND);
    println!("nothing new: {} requests in 30 s, {worst} in the worst second", a.count(ApiKey::METADATA));
    assert!(worst <= 2, "{worst} requests in a second");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_three_seconds_later_is_found() {
    let _seed = simulate(6);
    let net = MemNet::new(6);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    let start = task::now();
    let late = "late".into();
    let (found, ()) = tokio::join!(cluster.topic(&late, false, within(10 * SECOND)), async {
        pass(3 * SECOND).await;
        a.turn(one().topic("late", &[1]).script());
    });
    assert_eq!(found.unwrap().topic("late").unwrap().partition_count(), 1);
    assert!(ms_since(start) <= 4_100, "{} ms", ms_since(start));
}

/// Nonsense of every kind: refused, the last good view stays, the refresh backs off and recovers.
#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_and_the_last_good_view_stays() {
    type Spoil = fn(&mut MetadataResponse);
    let kinds: [(&str, Spoil); 6] = [
        ("port 0", |m| m.brokers[0].port = 0),
        ("port 70000", |m| m.brokers[0].port = 70_000),
        ("an empty host", |m| m.brokers[0].host = "".into()),
        ("no brokers", |m| m.brokers.clear()),
        ("a broker twice", |m| m.brokers.push(m.brokers[0].clone())),
        ("a negative id", |m| m.brokers[0].node_id = BrokerId(-5)),
    ];
    for (name, spoil) in kinds {
        let _seed = simulate(7);
        let net = MemNet::new(7);
        let a = Scripted::new(&net, "a", 9092, one().script());
        let cluster = cluster(&net, "a:9092", &[]);
        cluster.topic(&"orders".into(), false, within(SECOND)).await.unwrap();
        a.turn(spoilt(one(), spoil));
        let start = task::now();
        let error = cluster.refresh(within(30 * SECOND)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{name}: {error}");
        assert!(error.cause().is_some_and(|cause| cause.kind() == ErrorKind::Protocol), "{name}: {error}");
        assert!(cluster.view().leader("orders", 0).is_ok(), "{name}: the view stays");
        let worst = most_in_a_second(&a.times(ApiKey::METADATA), start + 3 * SECOND);
        assert!(worst <= 4, "{name}: {worst} requests in a second");
        a.turn(one().script());
        let start = task::now();
        cluster.refresh(within(15 * SECOND)).await.unwrap();
        assert!(ms_since(start) <= 2_000, "{name}: {} ms", ms_since(start));
    }
}

/// One broker of two talks nonsense, or cannot be understood: the other one is asked in the same round.
#[tokio::test(start_paused = true)]
async fn nonsense_of_one_broker_is_made_good_by_another() {
    for seed in 0..8 {
        let _seed = simulate(seed);
        let net = MemNet::new(seed);
        let two = Picture::of(&[(1, "a", 9092), (2, "b", 9092)]);
        let _a = Scripted::new(&net, "a", 9092, spoilt(two.clone(), |metadata| metadata.brokers[0].port = 0));
        let _b = Scripted::new(&net, "b", 9092, two.script());
        let cluster = cluster(&net, "a:9092,b:9092", &[]);
        for _ in 0..5 {
            let start = task::now();
            cluster.refresh(within(5 * SECOND)).await.unwrap();
            assert!(ms_since(start) <= 250, "{} ms", ms_since(start));
            pass(2 * SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_leader_is_no_leader() {
    let _seed = simulate(8);
    let net = MemNet::new(8);
    let _a =
        Scripted::new(&net, "a", 9092, Picture::of(&[(1, "a", 9092)]).topic("orders", &[1, 77]).script());
    let cluster = cluster(&net, "a:9092", &[]);
    let view = cluster.topic(&"orders".into(), false, within(SECOND)).await.unwrap();
    assert!(view.leader("orders", 0).is_ok());
    assert_eq!(view.leader("orders", 1), Err(ErrorCode::LEADER_NOT_AVAILABLE));
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_list_that_is_partly_dead_or_hanging_does() {
    for seed in 0..20 {
        let _seed = simulate(seed);
        let net = MemNet::new(seed);
        let picture = Picture::of(&[(3, "c", 9092)]);
        hang(&net, "a");
        refuse(&net, "b");
        let _c = Scripted::new(&net, "c", 9092, picture.script());
        let cluster = cluster(&net, "a:9092,b:9092,c:9092", &[]);
        let start = task::now();
        cluster.refresh(within(10 * SECOND)).await.unwrap();
        assert!(ms_since(start) <= 2_000, "{} ms", ms_since(start));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_known_brokers_are_gone_the_bootstrap_servers_are_asked() {
    let _seed = simulate(9);
    let net = MemNet::new(9);
    let boot = Scripted::new(&net, "boot", 9092, Picture::of(&[(1, "a", 9092), (2, "b", 9092)]).script());
    let old = ["a", "b"]
        .map(|host| Scripted::new(&net, host, 9092, Picture::of(&[(1, "a", 9092), (2, "b", 9092)]).script()));
    let cluster = cluster(&net, "boot:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    for kind in [refuse, hang] {
        drop(cluster.refresh(within(SECOND)).await);
        kind(&net, "a");
        kind(&net, "b");
        net.cut("a", 9092);
        net.cut("b", 9092);
        boot.turn(Picture::of(&[(7, "boot", 9092)]).script());
        let start = task::now();
        let view = cluster.refresh(within(60 * SECOND)).await.unwrap();
        assert!(view.broker(BrokerId(7)).is_some());
        println!("re-bootstrapped after {} ms", ms_since(start));
        assert!(ms_since(start) <= 5_000, "{} ms", ms_since(start));
        boot.turn(Picture::of(&[(1, "a", 9092), (2, "b", 9092)]).script());
        net.set_faults("a", 9092, Faults::default());
        net.set_faults("b", 9092, Faults::default());
        pass(SECOND).await;
        cluster.refresh(within(SECOND)).await.unwrap();
    }
    drop(old);
}

/// The bootstrap server is well, the brokers that it names are not: nobody is connected to in a storm.
#[tokio::test(start_paused = true)]
async fn a_bootstrap_server_that_names_dead_brokers_is_left_in_peace() {
    let _seed = simulate(10);
    let net = MemNet::new(10);
    let boot = Scripted::new(&net, "boot", 9092, Picture::of(&[(1, "dead", 9092)]).script());
    let cluster = cluster(&net, "boot:9092", &[]);
    let start = task::now();
    while ms_since(start) < 30_000 {
        cluster.refresh(within(5 * SECOND)).await.unwrap();
        pass(MS).await;
    }
    let worst = most_in_a_second(&boot.connects(), start + 2 * SECOND);
    println!(
        "dead brokers: {} connects to the bootstrap server in 30 s, {worst} in a second",
        boot.connects().len()
    );
    assert!(worst <= 1, "{worst} connects in a second");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_asks_for_it_makes_us_start_from_the_bootstrap_servers() {
    let _seed = simulate(11);
    let net = MemNet::new(11);
    let boot = Scripted::new(&net, "boot", 9092, Picture::of(&[(1, "a", 9092)]).script());
    let a = Scripted::new(&net, "a", 9092, Picture::of(&[(1, "a", 9092)]).script());
    let cluster = cluster(&net, "boot:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    pass(SECOND).await;
    a.turn(spoilt(Picture::of(&[(1, "a", 9092)]), |metadata| {
        metadata.error_code = ErrorCode::REBOOTSTRAP_REQUIRED;
    }));
    boot.turn(Picture::of(&[(7, "boot", 9092)]).script());
    let start = task::now();
    let view = cluster.refresh(within(10 * SECOND)).await.unwrap();
    assert!(view.broker(BrokerId(7)).is_some() && ms_since(start) <= 1_000, "{} ms", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn ids_that_swap_their_addresses_are_found_at_the_new_ones() {
    let _seed = simulate(12);
    let net = MemNet::new(12);
    let before = Picture::of(&[(1, "a", 9092), (2, "b", 9092)]);
    let after = Picture::of(&[(1, "b", 9092), (2, "a", 9092)]);
    let a = Scripted::new(&net, "a", 9092, before.script());
    let b = Scripted::new(&net, "b", 9092, before.script());
    let cluster = cluster(&net, "a:9092", &[]);
    let request = ListOffsetsRequest::default();
    let mut asked = Vec::new();
    for picture in [before, after] {
        a.turn(picture.script());
        b.turn(picture.script());
        pass(SECOND).await;
        cluster.refresh(within(SECOND)).await.unwrap();
        let link = cluster.link(BrokerId(1), Lane::Fetch, within(SECOND)).await.unwrap();
        link.call(&request, Span::from(1)).await.unwrap();
        asked.push((a.count(ApiKey::LIST_OFFSETS), b.count(ApiKey::LIST_OFFSETS)));
    }
    assert_eq!(asked, [(1, 0), (1, 1)]);
}

/// The broker has moved, and the old address hangs: whoever waits there is told as soon as the new one is known.
#[tokio::test(start_paused = true)]
async fn a_broker_that_has_moved_is_looked_up_by_whoever_cannot_reach_it() {
    let _seed = simulate(13);
    let net = MemNet::new(13);
    let a = Scripted::new(&net, "a", 9092, Picture::of(&[(1, "a", 9092), (2, "old", 9092)]).script());
    let _new = Scripted::new(&net, "new", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.refresh(within(SECOND)).await.unwrap();
    a.turn(Picture::of(&[(1, "a", 9092), (2, "new", 9092)]).script());
    let start = task::now();
    while cluster.link(BrokerId(2), Lane::Fetch, within(30 * SECOND)).await.is_err() {
        assert!(ms_since(start) < 10_000, "nobody looks it up");
        pass(100 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_cluster_behind_the_address_is_reported_and_its_topics_are_its_own() {
    let _seed = simulate(14);
    let net = MemNet::new(14);
    let a = Scripted::new(&net, "a", 9092, one().script());
    let cluster = cluster(&net, "a:9092", &[]);
    cluster.topic(&"orders".into(), false, within(SECOND)).await.unwrap();
    a.turn(Picture { cluster_id: "other", topics: Vec::new(), ..one() }.script());
    pass(SECOND).await;
    let view = cluster.refresh(within(SECOND)).await.unwrap();
    assert_eq!(view.cluster_id().map(Text::as_str), Some("other"));
    assert!(view.topic("orders").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_dropped_in_the_middle_of_a_refresh_leaves_no_task() {
    for silent in [true, false] {
        let _seed = simulate(15);
        let net = MemNet::new(15);
        let before = tasks();
        if silent {
            hang(&net, "a");
        }
        let cluster = cluster(&net, "a:9092", &[]);
        task::until(within(SECOND), cluster.refresh(within(30 * SECOND))).await;
        drop(cluster);
        pass(2 * SECOND).await;
        assert_eq!(tasks(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_calls_that_wait() {
    let _seed = simulate(16);
    let net = MemNet::new(16);
    hang(&net, "a");
    let cluster = cluster(&net, "a:9092", &[]);
    let start = task::now();
    let (outcome, ()) = tokio::join!(cluster.refresh(within(60 * SECOND)), async {
        pass(SECOND).await;
        cluster.close();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
    assert!(ms_since(start) <= 1_100, "{} ms", ms_since(start));
    assert_eq!(cluster.refresh(within(SECOND)).await.unwrap_err().kind(), ErrorKind::Closed);
}
