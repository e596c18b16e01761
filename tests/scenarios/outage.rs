//! A broker that dies and comes back, under a producer and a consumer that know nothing of it.

use crate::real::{self, kafka, kafka::RealKafka};
use crate::{LIMIT, client, reader, secure, take};
use ottla::{ErrorKind, NewTopic, Record, Start};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_and_started_again_loses_duplicates_and_reorders_nothing() {
    let Some(kafka) = RealKafka::start(&[]) else { return real::skip("no Java or Maven") };
    let client = client(&kafka).await;
    let topic = kafka::unique("killed");
    let wanted = NewTopic::named(&topic).partitions(1);
    client.admin().create_topics([wanted]).await.unwrap()[&topic].clone().unwrap();
    let producer = client.producer().build().unwrap();
    let mut consumer = reader(&client, &topic, Start::Beginning).await;
    let count = 3_000u32;
    let sending = tokio::spawn({
        let (topic, producer) = (topic.clone(), producer.clone());
        async move {
            let mut deliveries = Vec::new();
            for n in 0..count {
                deliveries
                    .push(producer.send(Record::to(topic.as_str()).value(n.to_be_bytes())).await.unwrap());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            deliveries
        }
    });
    let kafka = tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(1_500));
            kafka.command("kill 1");
            std::thread::sleep(Duration::from_millis(1_000));
            kafka.command("start 1");
        }
        kafka
    });
    let deliveries = sending.await.unwrap();
    producer.flush().await.unwrap();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset, n as i64, "each once, in order");
    }
    let kafka = kafka.await.unwrap();
    let seen = take(&mut consumer, count as usize).await;
    assert!(seen.iter().zip(0u32..).all(|(seen, n)| seen.value.as_deref() == Some(&n.to_be_bytes()[..])));
    drop(kafka);
}

#[tokio::test]
async fn records_fail_in_time_when_the_broker_stays_away_and_close_is_bounded() {
    let Some(kafka) = RealKafka::start(&[]) else { return real::skip("no Java or Maven") };
    let client = secure(&kafka, kafka.sasl_ssl()).request_timeout(Duration::from_secs(2));
    let client = client.connect().await.unwrap();
    let topic = kafka::unique("away");
    let patient =
        client.producer().delivery_timeout(Duration::from_secs(4)).set("linger.ms", "0").build().unwrap();
    patient.send(Record::to(topic.as_str()).value("before")).await.unwrap().await.unwrap();
    kafka.command("kill 1");
    let began = Instant::now();
    let lost = patient.send(Record::to(topic.as_str()).value("lost")).await.unwrap();
    let error = tokio::time::timeout(LIMIT, lost).await.unwrap().unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(&topic), "{error}");
    assert!(took >= Duration::from_millis(3_900) && took <= Duration::from_millis(6_500), "{took:?}");

    let stuck = client.producer().build().unwrap();
    let delivery = stuck.send(Record::to(topic.as_str()).value("stuck")).await.unwrap();
    let began = Instant::now();
    let error = stuck.close(Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("1 records") && began.elapsed() < Duration::from_secs(3), "{error}");
    assert!(delivery.await.is_err());
    assert_eq!(stuck.send(Record::to(topic.as_str())).await.unwrap_err().kind(), ErrorKind::Closed);
}
