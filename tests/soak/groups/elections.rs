//! How soon a member commits again once another broker coordinates its group, and that no rebalance comes of it.

use super::coordinator;
use crate::bench::Bench;
use ottla::{Client, Consumer, TopicPartition};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const OFFSETS: &str = "__consumer_offsets";
/// From the moment in which the cluster names another leader of the group's partition of `__consumer_offsets`. It has to read
/// that partition before it answers.
const LIMIT: Duration = Duration::from_secs(2);
/// Of the classic protocol. Longer than it takes the cluster to find out that a broker is dead.
const SESSION: Duration = Duration::from_secs(20);
/// The broker's, of the new protocol.
const CONSUMER_SESSION: Duration = Duration::from_secs(45);

/// When commits were taken.
type Taken = Arc<Mutex<Vec<Instant>>>;

#[derive(Debug, Clone, Copy)]
enum End {
    /// It is shut down, and hands over first.
    Stopped,
    Killed,
    /// SIGSTOP: its connections stay open.
    Paused,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn commits_go_on_soon_after_an_election_without_a_rebalance() {
    let Some(bench) = Bench::new("elections", 1, &[]).await else {
        return crate::real::skip("this machine cannot run a real Kafka");
    };
    let mut slow = Vec::new();
    for protocol in ["classic", "consumer"] {
        for end in [End::Stopped, End::Killed, End::Paused] {
            let took = resumed(&bench, protocol, end).await;
            println!("   {protocol}, coordinator {end:?}: commits go on {took:?} after the election");
            if took > LIMIT {
                slow.push((protocol, end, took));
            }
        }
    }
    assert!(slow.is_empty(), "later than {LIMIT:?}: {slow:?}");
}

/// From the election to the first commit that is taken after it.
async fn resumed(bench: &Bench, protocol: &str, end: End) -> Duration {
    let group = format!("{}-{protocol}-{end:?}", bench.topic);
    let rebalances = Arc::new(AtomicUsize::new(0));
    let mut consumer = member(bench, protocol, &group, &rebalances).await;
    let at = TopicPartition::new(bench.topic.as_str(), 0);
    while consumer.assigned() != [at.clone()] {
        let _ = timeout(Duration::from_millis(100), consumer.poll()).await.map(|polled| polled.unwrap());
    }
    consumer.commit_offsets([(at.clone(), 0)]).await.unwrap();
    let told = rebalances.load(Ordering::Relaxed);
    let old = coordinator(&bench.client, &group).await.unwrap();
    let observer = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).build().unwrap();
    let electing = tokio::spawn(elected(observer, group.clone(), old));
    let taken = Taken::default();
    let committing = tokio::spawn(commit_on(consumer, at, Arc::clone(&taken)));
    sleep(Duration::from_secs(1)).await;
    match end {
        End::Stopped => bench.cluster.stop(old),
        End::Killed => bench.cluster.kill(old),
        End::Paused => bench.cluster.pause(old),
    }
    let elected = electing.await.unwrap();
    // Whoever is not heard of is cast out by then.
    let session = if protocol == "classic" { SESSION } else { CONSUMER_SESSION };
    sleep(session + Duration::from_secs(5)).await;
    let since = rebalances.load(Ordering::Relaxed) - told;
    committing.abort();
    bench.cluster.mend();
    bench.cluster.await_in_sync(OFFSETS);
    assert_eq!(since, 0, "{protocol}, {end:?}: rebalances");
    let taken = taken.lock().unwrap();
    let first = taken.iter().find(|at| **at > elected).expect("a commit after the election");
    *first - elected
}

/// A member that counts rebalances.
async fn member(bench: &Bench, protocol: &str, group: &str, rebalances: &Arc<AtomicUsize>) -> Consumer {
    let client = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).build().unwrap();
    let rebalances = Arc::clone(rebalances);
    let mut member =
        client.consumer().group(group).set("group.protocol", protocol).subscribe([bench.topic.as_str()]);
    member = member.on_rebalance(move |_| {
        rebalances.fetch_add(1, Ordering::Relaxed);
        async {}
    });
    if protocol == "classic" {
        member = member.set("session.timeout.ms", SESSION.as_millis().to_string());
    }
    member.build().await.unwrap()
}

/// Commits all the time, and notes when that was done.
async fn commit_on(mut consumer: Consumer, at: TopicPartition, taken: Taken) {
    for offset in 0.. {
        let _ = timeout(Duration::from_millis(20), consumer.poll()).await.map(|polled| polled.unwrap());
        if consumer.commit_offsets([(at.clone(), offset)]).await.is_ok() {
            taken.lock().unwrap().push(Instant::now());
        }
    }
}

/// When the cluster names another leader of the group's partition of `__consumer_offsets`.
async fn elected(client: Client, group: String, old: i32) -> Instant {
    loop {
        sleep(Duration::from_millis(20)).await;
        let Ok(told) = client.admin().describe_topics([OFFSETS]).await else { continue };
        let Some(Ok(offsets)) = told.get(OFFSETS) else { continue };
        let count = i32::try_from(offsets.partitions.len()).unwrap();
        // As Java hashes strings.
        let hash = group.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
        let index = (hash & i32::MAX) % count;
        let leader = offsets.partitions.iter().find(|partition| partition.index == index).unwrap().leader;
        if leader.is_some_and(|leader| leader != old) {
            return Instant::now();
        }
    }
}
