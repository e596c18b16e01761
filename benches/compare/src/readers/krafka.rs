//! krafka: `poll`, which gives a vector of records.

use super::{AsyncReader, Shared};
use crate::job::ReadJob;
use crate::reading::Eyes;
use krafka::Kafka;
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::consumer::AutoOffsetReset;
use std::sync::Arc;
use std::time::Duration;

pub struct Krafka;

impl AsyncReader for Krafka {
    async fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) {
        let mut kafka = Kafka::builder(job.address.as_str());
        if let Some(login) = job.only_login() {
            let tls = TlsConfig::new().with_ca_cert(login.ca);
            kafka = kafka.security(AuthConfig::sasl_plain(login.user, login.password).with_tls(tls));
        }
        let kafka = kafka.connect().await.expect("connected");
        let from = if job.from_end { AutoOffsetReset::Latest } else { AutoOffsetReset::Earliest };
        let consumer = kafka.consumer_without_group().auto_offset_reset(from).build();
        let consumer = consumer.await.expect("a consumer");
        consumer.assign(&job.topic, (0..job.partitions).collect()).await.expect("assigned");
        loop {
            let records = consumer.poll(Duration::from_secs(1)).await.expect("records");
            let go_on = eyes.with(|eyes| {
                records.iter().all(|record| {
                    let (key, value) = (record.key.as_deref(), record.value.as_deref());
                    eyes.see(record.partition, record.offset, key, value)
                })
            });
            if !go_on {
                return;
            }
        }
    }
}
