//! Coordinators that move, stop, load or are not there, on embedded brokers.

use super::*;
use crate::broker::{Cluster as Brokers, Fate, Fault};
use crate::messages::{ApiKey, ErrorCode, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchResponse};
use crate::net::scripted::{SECOND, pass};
use crate::task::simulate;
use crate::wire::Span;

/// How soon after an election a call goes on.
const SOON_MS: u128 = 2_000;

struct World {
    brokers: Brokers,
    cluster: Cluster,
    net: MemNet,
}

async fn world(seed: u64) -> World {
    let net = MemNet::new(seed);
    let brokers = Brokers::builder().brokers(3).listen_in_memory(&net).seed(seed).keep_requests(10_000);
    let brokers = brokers.start().await.unwrap();
    let cluster = cluster(&net, &brokers.bootstrap_servers(), &[]);
    World { brokers, cluster, net }
}

fn group() -> Text {
    Text::from_static("billing")
}

impl World {
    /// Asks the coordinator for something.
    async fn ask(&self, time: Duration) -> Result<()> {
        let group = group();
        let build = |version| {
            let asked = OffsetFetchGroup { group_id: group.clone(), topics: None, ..Default::default() };
            OffsetFetchRequest::one(asked, false, version)
        };
        let judge = |answer: &OffsetFetchResponse| {
            let code = answer.groups[0].error_code.ok().err()?;
            Some(Error::broker_code(code, "fetch offsets"))
        };
        self.cluster.call(Reach::Group(&group), build, Span::from(8), within(time), judge).await.map(drop)
    }

    async fn coordinator(&self) -> i32 {
        self.cluster.coordinator(&group(), within(60 * SECOND)).await.unwrap().0
    }

    fn count(&self, key: ApiKey) -> usize {
        self.brokers.requests().iter().filter(|seen| seen.api_key == key.0).count()
    }

    /// Asks, lets `then` happen after a while, and gives how long after that the answer came, in milliseconds.
    async fn asked_when<F: Future<Output = ()>>(&self, pause: Duration, then: impl FnOnce() -> F) -> u128 {
        let start = task::now();
        let (outcome, ()) = tokio::join!(self.ask(120 * SECOND), async {
            pass(pause).await;
            then().await;
        });
        outcome.unwrap();
        ms_since(start).saturating_sub(pause.as_millis())
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_is_asked_for_once() {
    let _seed = simulate(1);
    let world = world(1).await;
    for _ in 0..10 {
        world.ask(SECOND).await.unwrap();
    }
    assert_eq!(world.count(ApiKey::FIND_COORDINATOR), 1);
    let known = world.cluster.coordinator(&group(), within(SECOND)).await.unwrap();
    world.cluster.forget_coordinator(&group(), BrokerId(known.0 + 1));
    world.ask(SECOND).await.unwrap();
    assert_eq!(world.count(ApiKey::FIND_COORDINATOR), 1, "another one than is known was to be forgotten");
    world.cluster.forget_coordinator(&group(), known);
    world.ask(SECOND).await.unwrap();
    assert_eq!(world.count(ApiKey::FIND_COORDINATOR), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_soon_after_the_coordinator_has_stopped() {
    for seed in 0..20 {
        let _seed = simulate(seed);
        let world = world(seed).await;
        world.ask(SECOND).await.unwrap();
        let coordinator = world.coordinator().await;
        world.brokers.stop_broker(coordinator).await.unwrap();
        let start = task::now();
        world.ask(60 * SECOND).await.unwrap();
        assert!(ms_since(start) <= SOON_MS, "seed {seed}: {} ms", ms_since(start));
        assert_ne!(world.coordinator().await, coordinator);
    }
}

/// The others notice late, and name the one that is gone until then.
#[tokio::test(start_paused = true)]
async fn a_call_goes_on_soon_after_the_end_of_the_coordinator_was_noticed() {
    for seed in 0..50 {
        let _seed = simulate(seed);
        let world = world(seed).await;
        let coordinator = world.coordinator().await;
        world.brokers.crash_broker(coordinator).await.unwrap();
        let noticed = Duration::from_millis(9_000 + 37 * seed);
        let before = world.count(ApiKey::FIND_COORDINATOR);
        let after = world.asked_when(noticed, || async {
            world.brokers.fence_broker(coordinator).unwrap();
        });
        let after = after.await;
        assert!(after <= SOON_MS, "seed {seed}: {after} ms");
        let asked = world.count(ApiKey::FIND_COORDINATOR) - before;
        assert!(asked <= 20, "seed {seed}: {asked} look-ups in {noticed:?}");
    }
}

/// The old one lives, and says that it is not the coordinator any more.
#[tokio::test(start_paused = true)]
async fn a_call_follows_a_coordinator_that_moves() {
    let _seed = simulate(3);
    let world = world(3).await;
    let first = world.coordinator().await;
    world.brokers.stop_broker(first).await.unwrap();
    world.ask(60 * SECOND).await.unwrap();
    let second = world.coordinator().await;
    world.brokers.start_broker(first).await.unwrap();
    let start = task::now();
    world.ask(60 * SECOND).await.unwrap();
    assert!(ms_since(start) <= SOON_MS, "{} ms", ms_since(start));
    assert_eq!((world.coordinator().await, second == first), (first, false));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_loads_is_waited_for_and_stays_the_coordinator() {
    let _seed = simulate(4);
    let world = world(4).await;
    let loading = Fault::new(Fate::Fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let loading = world.brokers.add_fault(loading.api(ApiKey::OFFSET_FETCH));
    let after = world.asked_when(20 * SECOND, || async {
        world.brokers.remove_fault(loading);
    });
    assert!(after.await <= SOON_MS);
    assert_eq!(world.count(ApiKey::FIND_COORDINATOR), 1);
    assert!(world.count(ApiKey::OFFSET_FETCH) <= 30, "{}", world.count(ApiKey::OFFSET_FETCH));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_not_there_yet_is_asked_for_with_pauses() {
    let _seed = simulate(5);
    let world = world(5).await;
    let absent = Fault::new(Fate::Fail(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    let absent = world.brokers.add_fault(absent.api(ApiKey::FIND_COORDINATOR));
    let error = world.ask(5 * SECOND).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("group 'billing'") && error.to_string().contains("NOT_AVAILABLE"));
    let before = world.count(ApiKey::FIND_COORDINATOR);
    let after = world.asked_when(20 * SECOND, || async {
        world.brokers.remove_fault(absent);
    });
    assert!(after.await <= SOON_MS);
    let asked = world.count(ApiKey::FIND_COORDINATOR) - before;
    assert!(asked <= 30, "{asked} look-ups in 20 s");
}

#[tokio::test(start_paused = true)]
async fn what_waiting_does_not_mend_is_told_at_once() {
    for code in [ErrorCode::GROUP_AUTHORIZATION_FAILED, ErrorCode::INVALID_GROUP_ID] {
        let _seed = simulate(6);
        let world = world(6).await;
        world.brokers.add_fault(Fault::new(Fate::Fail(code)).api(ApiKey::FIND_COORDINATOR));
        let errors = [
            world.ask(60 * SECOND).await.unwrap_err(),
            world.cluster.coordinator(&group(), within(60 * SECOND)).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), Some(code));
            assert!(error.advice().is_some(), "{error}");
        }
        assert_eq!(world.count(ApiKey::FIND_COORDINATOR), 2);
    }
}

/// FindCoordinator names a broker that Metadata does not tell of yet.
#[tokio::test(start_paused = true)]
async fn a_coordinator_that_the_view_lacks_is_waited_for_with_pauses() {
    let _seed = simulate(7);
    let world = world(7).await;
    let coordinator = world.coordinator().await;
    world.brokers.stop_broker(coordinator).await.unwrap();
    world.cluster.refresh(within(SECOND)).await.unwrap();
    let others = world.brokers.brokers().into_iter().filter(|id| *id != coordinator);
    let others: Vec<i32> = others.collect();
    others.iter().for_each(|id| world.brokers.hold_metadata(*id).unwrap());
    world.brokers.start_broker(coordinator).await.unwrap();
    let before = world.count(ApiKey::METADATA);
    let after = world.asked_when(20 * SECOND, || async {
        others.iter().for_each(|id| world.brokers.release_metadata(*id));
    });
    assert!(after.await <= SOON_MS);
    let asked = world.count(ApiKey::METADATA) - before;
    assert!((10..=40).contains(&asked), "{asked} refreshes in 20 s");
}

/// It went elsewhere, and the view has the old address.
#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moved_house_is_found() {
    let _seed = simulate(8);
    let world = world(8).await;
    let coordinator = world.coordinator().await;
    world.brokers.stop_broker(coordinator).await.unwrap();
    world.brokers.start_broker_at(coordinator, "elsewhere:9999").await.unwrap();
    // Who listens at the old address now does not answer.
    let old = world.cluster.view().broker(BrokerId(coordinator)).unwrap().clone();
    let _deaf = world.net.listen(&old.host, old.port).unwrap();
    world.cluster.forget_coordinator(&group(), BrokerId(coordinator));
    let start = task::now();
    world.ask(60 * SECOND).await.unwrap();
    assert!(ms_since(start) <= SOON_MS, "{} ms", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn beside_a_broker_that_is_silent_another_one_is_asked() {
    for silent in 1..=3 {
        let _seed = simulate(9);
        let world = world(9).await;
        world.cluster.refresh(within(SECOND)).await.unwrap();
        let silence = Fault::new(Fate::Silence).api(ApiKey::FIND_COORDINATOR).broker(silent);
        world.brokers.add_fault(silence);
        let start = task::now();
        world.cluster.coordinator(&group(), within(60 * SECOND)).await.unwrap();
        assert!(ms_since(start) <= SOON_MS, "{} ms", ms_since(start));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_be_given_longer_than_others() {
    let _seed = simulate(10);
    let world = world(10).await;
    world.cluster.refresh(within(SECOND)).await.unwrap();
    let slow = Fault::new(Fate::Delay(100 * SECOND)).api(ApiKey::OFFSET_FETCH);
    world.brokers.add_fault(slow);
    let link = world.cluster.link(BrokerId(1), Lane::Group, within(SECOND)).await.unwrap();
    let request = OffsetFetchRequest { groups: vec![Default::default()], ..Default::default() };
    link.clone().with_timeout(200 * SECOND).call(&request, Span::from(8)).await.unwrap();
    let error = link.call(&request, Span::from(8)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

/// A JoinGroup may take minutes: whether the coordinator has moved is worth a question now and then, not several a second.
#[tokio::test(start_paused = true)]
async fn who_has_patience_looks_up_seldom() {
    let _seed = simulate(2);
    let world = world(2).await;
    let broker = BrokerId(world.coordinator().await);
    let before = world.count(ApiKey::FIND_COORDINATOR);
    let never = std::future::pending::<Result<()>>();
    let group = group();
    let waiting = world.cluster.unless_moved(&group, broker, 40 * SECOND, never);
    assert!(tokio::time::timeout(121 * SECOND, waiting).await.is_err());
    assert_eq!(world.count(ApiKey::FIND_COORDINATOR) - before, 9, "after 40, 50, 60 and so on up to 120 s");
}
