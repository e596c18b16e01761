//! Under the quotas of a cluster: as fast as is allowed, and nothing is lost.

use crate::{TOPIC, World, simulated};
use ottla::broker::{ApiKey, Quota, QuotaEntity};
use ottla::{Record, Start, TopicPartition};
use tokio::time::Instant;

/// Bytes a second, of which an idle client may have ten seconds' worth at once.
const RATE: u64 = 10_000;
/// Records of 1,000 bytes.
const RECORDS: u64 = 600;

#[test]
fn a_producer_keeps_to_its_rate_and_loses_nothing() {
    simulated(|world: World| async move {
        let quota = Quota::new().producer_byte_rate(RATE);
        world.cluster.set_quota(QuotaEntity::default_client_id(), quota);
        let producer = world.producer(&[("max.request.size", "20000"), ("buffer.memory", "100000")]);
        let began = Instant::now();
        let mut deliveries = Vec::new();
        for n in 0..RECORDS {
            let record = Record::to(TOPIC).partition(0).value(format!("{n:01000}"));
            deliveries.push(producer.send(record).await.unwrap());
        }
        producer.flush().await.unwrap();
        for (n, delivery) in (0..).zip(deliveries) {
            assert_eq!(delivery.await.unwrap().offset, n);
        }
        let values = world.values(TOPIC, 0).into_iter().map(|value| value.parse::<u64>().unwrap());
        assert!(values.eq(0..RECORDS), "each once, in order");
        let (bytes, seconds) = (RECORDS * 1_000, began.elapsed().as_secs());
        let allowed = |seconds| RATE * (seconds + 11);
        assert!(bytes <= allowed(seconds + 3), "{bytes} bytes in {seconds} s are too many");
        assert!(
            seconds <= bytes / RATE + 10,
            "{bytes} bytes could have been written in less than {seconds} s"
        );
        assert!(world.count(ApiKey::PRODUCE) < 100, "and nothing was repeated");
    });
}

#[test]
fn a_consumer_keeps_to_its_rate_and_misses_nothing() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("max.request.size", "20000")]);
        for n in 0..RECORDS {
            let sent = producer.send(Record::to(TOPIC).partition(0).value(format!("{n:01000}")));
            drop(sent.await.unwrap());
        }
        producer.flush().await.unwrap();
        let quota = Quota::new().consumer_byte_rate(RATE);
        world.cluster.set_quota(QuotaEntity::default_client_id(), quota);
        let began = Instant::now();
        let mut consumer = world
            .client
            .consumer()
            .assign([(TopicPartition::new(TOPIC, 0), Start::Beginning)])
            .build()
            .await
            .unwrap();
        let mut read = 0;
        while read < RECORDS {
            let batch = consumer.poll().await.unwrap().unwrap();
            for record in &batch {
                assert_eq!(record.value().unwrap(), format!("{read:01000}").as_bytes());
                read += 1;
            }
        }
        let (bytes, seconds) = (RECORDS * 1_000, began.elapsed().as_secs());
        assert!(bytes <= RATE * (seconds + 12), "{bytes} bytes in {seconds} s are too many");
        // Who takes all that is allowed at once waits until it is forgotten: by Kafka's rule it is half the rate then.
        assert!(seconds <= 2 * bytes / RATE, "{seconds} s for {bytes} bytes");
    });
}
