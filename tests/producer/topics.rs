//! Topics that move, are made anew or fall out of use, and producers that share a client.

use crate::{MS, SECOND, TOPIC, World, simulated, simulated_on};
use ottla::broker::{ApiKey, ErrorCode, Fate, Fault, TopicSpec};
use ottla::{Delivery, Producer, Record};
use tokio::time::{Instant, sleep};

/// Sends `count` records to partition 0, each in a request of its own.
async fn send_each(producer: &Producer, topic: &str, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        deliveries.push(producer.send(Record::to(topic).partition(0).value(n.to_string())).await.unwrap());
        sleep(MS).await;
    }
    deliveries
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Five are in flight to the old leader. Its answers name the new one: nobody asks for metadata, nobody waits.
#[test]
fn five_in_flight_follow_a_leader_that_moves_without_a_question() {
    simulated_on(2, |world: World| async move {
        let [old, new] = world.cluster.brokers()[..] else { panic!("two brokers") };
        world.cluster.create_topic_as(&TopicSpec::new("moved").placed([[old, new]])).unwrap();
        let producer = world.producer(&[("linger.ms", "0")]);
        producer.send(Record::to("moved").value("first")).await.unwrap().await.unwrap();
        let slow = Fault::new(Fate::Delay(20 * MS)).api(ApiKey::PRODUCE).broker(old).times(1);
        world.cluster.add_fault(slow);
        let deliveries = send_each(&producer, "moved", 5).await;
        let asked = world.count(ApiKey::METADATA);
        assert_eq!(producer.metrics().requests_in_flight, 5);
        world.cluster.move_leader("moved", 0, new).unwrap();
        let began = Instant::now();
        for (n, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset, n as i64 + 1);
        }
        assert!(began.elapsed() < 60 * MS, "{:?}: somebody paused", began.elapsed());
        assert_eq!(world.values("moved", 0)[1..], numbers(0..5));
        sleep(SECOND).await;
        assert_eq!(world.count(ApiKey::METADATA), asked);
    });
}

/// Of five in flight the first two were written to the old topic; the rest goes to the new one, each once and in order.
#[test]
fn what_is_in_flight_when_a_topic_is_made_anew_is_written_once_to_either() {
    simulated(|world: World| async move {
        let producer = world.attentive_client().producer().set("linger.ms", "0").build().unwrap();
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap().await.unwrap();
        let slow = Fault::new(Fate::Delay(500 * MS)).api(ApiKey::PRODUCE).skip(2).times(1);
        world.cluster.add_fault(slow);
        let mut deliveries = send_each(&producer, TOPIC, 5).await;
        sleep(100 * MS).await;
        assert_eq!(world.values(TOPIC, 0), ["first", "0", "1"]);
        world.cluster.recreate_topic(TOPIC).unwrap();
        deliveries.push(producer.send(Record::to(TOPIC).partition(0).value("5")).await.unwrap());
        let mut offsets = Vec::new();
        for delivery in deliveries {
            offsets.push(delivery.await.unwrap().offset);
        }
        assert_eq!(offsets, [1, 2, 0, 1, 2, 3]);
        assert_eq!(world.values(TOPIC, 0), numbers(2..6));
    });
}

/// `metadata.max.idle.ms`: nobody asks for a topic that nothing was sent to for so long, and it can come back.
#[test]
fn a_topic_that_is_not_sent_to_is_not_asked_for_until_it_is() {
    simulated(|world: World| async move {
        world.cluster.create_topic("idle", 1).unwrap();
        let client = world.attentive_client();
        let producer =
            client.producer().set("metadata.max.idle.ms", "5000").max_block(SECOND).build().unwrap();
        let send = |topic: &'static str| {
            let sent = producer.send(Record::to(topic).partition(0).value("v"));
            async move { sent.await.unwrap().await.unwrap().offset }
        };
        send("idle").await;
        let asked = |since: Instant| {
            let requests = world.cluster.requests();
            let of_idle = |(topic, _): &(String, Option<i32>)| topic == "idle";
            let asks = requests.iter().filter(|request| request.api_key == ApiKey::METADATA.0);
            asks.filter(|request| request.at > since.into_std() && request.partitions.iter().any(of_idle))
                .count()
        };
        let used = Instant::now();
        for _ in 0..10 {
            send(TOPIC).await;
            sleep(SECOND).await;
        }
        let before = asked(used);
        assert!((30..60).contains(&before), "{before} times in its five seconds");
        assert!(asked(used + 6 * SECOND) == 0, "and not after them");

        world.cluster.recreate_topic("idle").unwrap();
        let again = Instant::now();
        assert_eq!(send("idle").await, 0, "what is there now is found");
        sleep(SECOND).await;
        assert!(asked(again) > 5, "it is in use again");
    });
}

/// Two producers of one client: one connection, five requests in flight for each, and each one's order in the log.
#[test]
fn two_producers_of_a_client_share_its_connection_and_keep_each_its_order() {
    simulated(|world: World| async move {
        let busy = Fault::new(Fate::Fail(ErrorCode::NOT_ENOUGH_REPLICAS)).api(ApiKey::PRODUCE);
        world.cluster.add_fault(busy.skip(4).every(7).times(10));
        world.cluster.add_fault(Fault::new(Fate::Delay(3 * MS)).api(ApiKey::PRODUCE));
        let producers = ["a", "b"].map(|name| (name, world.producer(&[("linger.ms", "0")])));
        let mut most_in_flight = [0; 2];
        let mut deliveries = Vec::new();
        for n in 0..200 {
            for (at, (name, producer)) in producers.iter().enumerate() {
                let record = Record::to(TOPIC).partition(0).value(format!("{name} {n}"));
                deliveries.push(producer.send(record).await.unwrap());
                sleep(MS).await;
                most_in_flight[at] = most_in_flight[at].max(producer.metrics().requests_in_flight);
            }
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        assert_eq!(most_in_flight, [5, 5]);
        let values = world.values(TOPIC, 0);
        assert_eq!(values.len(), 400);
        for name in ["a ", "b "] {
            let own: Vec<String> =
                values.iter().filter_map(|value| value.strip_prefix(name)).map(str::to_owned).collect();
            assert_eq!(own, numbers(0..200), "of {name}");
        }
        let requests = world.cluster.requests();
        let produced = requests.iter().filter(|request| request.api_key == ApiKey::PRODUCE.0);
        let connections: std::collections::BTreeSet<u64> =
            produced.map(|request| request.connection).collect();
        assert_eq!(connections.len(), 1);
    });
}
