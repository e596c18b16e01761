//! One broker that is silent keeps nobody from the others (BEHAVIOUR 68): connections, requests and fetches go on.

use ottla::broker::{Cluster, TopicSpec};
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::{Client, Record, Start, TopicPartition};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_others_move_on_while_one_broker_is_silent() {
    let _seed = ottla::task::simulate(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let net = MemNet::new(1);
        let cluster = Cluster::builder().brokers(3).listen_in_memory(&net).seed(1).start().await.unwrap();
        cluster.create_topic_as(&TopicSpec::new("t").placed([[1], [2], [3]])).unwrap();
        let client = Client::builder().bootstrap("broker-2:9092,broker-3:9092").dial(Arc::new(net.dialer()));
        let client = client.build().unwrap();
        let producer = client.producer().build().unwrap();
        let all = [0, 1, 2].map(|index| (TopicPartition::new("t", index), Start::Beginning));
        let mut consumer = client.consumer().assign(all).build().await.unwrap();
        let record = |partition| Record::to("t").value("v").partition(partition);
        for partition in 0..3 {
            producer.send(record(partition)).await.unwrap().await.unwrap();
            consumer.poll().await.unwrap().unwrap();
        }

        let hold = Way { hold: true, ..Default::default() };
        net.set_faults(
            "broker-1",
            9092,
            Faults { to_server: hold.clone(), to_client: hold, ..Default::default() },
        );
        let waiting = producer.send(record(0)).await.unwrap();
        let mut slowest = Duration::ZERO;
        let began = Instant::now();
        while began.elapsed() < 20 * SECOND {
            for partition in [1, 2] {
                let sent = Instant::now();
                let delivery = producer.send(record(partition)).await.unwrap();
                timeout(SECOND, delivery).await.expect("acknowledged by a broker that is well").unwrap();
                let batch = timeout(SECOND, consumer.poll()).await.expect("read from a broker that is well");
                assert_eq!(batch.unwrap().unwrap().partition(), partition);
                slowest = slowest.max(sent.elapsed());
            }
            tokio::time::sleep(SECOND).await;
        }
        println!("from send to poll beside a silent broker: {slowest:?} at most");

        net.set_faults("broker-1", 9092, Faults::default());
        timeout(60 * SECOND, waiting).await.expect("delivered when it is well again").unwrap();
        assert_eq!(timeout(60 * SECOND, consumer.poll()).await.unwrap().unwrap().unwrap().partition(), 0);
        assert_eq!(cluster.records("t", 0).len(), 2, "once");
    });
}
