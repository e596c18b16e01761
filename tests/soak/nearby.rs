//! Reading from the replica that is nearest (KIP-392).

use crate::bench::{Bench, RESOLVED};
use crate::proxy::{Roads, Way};
use crate::reading::Reading;
use ottla::{Client, NewTopic, Record, Start};
use std::time::Duration;
use tokio::time::sleep;

/// Who leads all partitions, and who is in the consumer's rack.
const LEADER: i32 = 1;
const NEAR: i32 = 2;
/// How long a replica is read from until the leader is asked again.
const MAX_AGE: Duration = Duration::from_secs(4);
/// How long a killed broker counts as alive (tests/kafka/node.sh), for the leader too, who sends readers to it until then.
const SESSION: Duration = Duration::from_secs(6);

/// BEHAVIOUR 45.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn the_replica_in_the_same_rack_is_read_while_it_lives_and_again_when_it_is_back() {
    let bench = bench!("nearby", 0);
    let replicas = [vec![LEADER, NEAR, 3], vec![LEADER, NEAR, 3], vec![LEADER, 3, NEAR]];
    bench.create(NewTopic::named(&bench.topic).assignments(replicas)).await;
    fill(&bench).await;
    let roads = Roads::default();
    let client = Client::builder()
        .bootstrap(bench.cluster.kafka().plaintext())
        .dial(roads.dial())
        .set("client.rack", format!("rack-{NEAR}"))
        .set("metadata.max.age.ms", MAX_AGE.as_millis().to_string());
    let client = client.build().unwrap();
    let consumer = client.consumer().auto_offset_reset("none").topic(bench.topic.as_str(), Start::Beginning);
    let load = bench.load(bench.client.producer());
    let reading = Reading::start(consumer.build().await.unwrap(), &load.journal);
    let carried = |id| roads.to(bench.cluster.address(id)).carried(Way::Down);
    // Bytes from the leader, and from the near one, while somebody does something.
    let share = async |what: &str, long: Duration| {
        let before = [carried(LEADER), carried(NEAR)];
        sleep(long).await;
        let now = [carried(LEADER) - before[0], carried(NEAR) - before[1]];
        println!("   {what}: {} bytes from the leader, {} from the near replica", now[0], now[1]);
        now
    };

    let [leader, near] = share("from the beginning", Duration::from_secs(8)).await;
    assert!(near > 20 * leader, "most is read nearby");
    assert!(near > FILLED as u64, "what was there has come");
    let killed = load.journal.now();
    bench.cluster.kill(NEAR);
    sleep(SESSION + Duration::from_secs(2)).await;
    let [leader, near] = share("without the near one", Duration::from_secs(4)).await;
    assert!(leader > 1_000 && near == 0, "the leader is left");
    let longest = (0..3).map(|partition| reading.longest_gap(partition, killed, load.journal.now())).max();
    println!("   at most {longest:?} without a record");
    bench.cluster.start(NEAR);
    bench.cluster.await_in_sync(&bench.topic);
    sleep(MAX_AGE + Duration::from_secs(2)).await;
    let [leader, near] = share("when it is back", Duration::from_secs(8)).await;
    assert!(near > 3 * leader, "it is read again");

    load.stop(RESOLVED).await;
    reading.assert_whole(&bench).await;
}

/// What lies in the topic when reading begins, in bytes.
const FILLED: usize = 6_000_000;

async fn fill(bench: &Bench) {
    let producer = bench.client.producer().build().unwrap();
    for n in 0..FILLED / 1_000 {
        let record = Record::to(bench.topic.as_str()).partition((n % 3) as i32).value(vec![b'x'; 1_000]);
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
}
