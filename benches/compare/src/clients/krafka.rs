//! krafka: `enqueue`, which gives a handle for each record. It keeps one batch of a partition in flight.

use super::AsyncClient;
use crate::job::Job;
use bytes::Bytes;
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, DeliveryHandle, Producer, RecordMetadata};
use krafka::{Compression, Kafka, KrafkaError, Record};

pub struct Krafka {
    producer: Producer,
    topic: &'static str,
}

impl AsyncClient for Krafka {
    type Acknowledged = RecordMetadata;
    type Failure = KrafkaError;
    type Delivery = DeliveryHandle;

    async fn connect(job: &Job) -> Krafka {
        job.check_known();
        let mut kafka = Kafka::builder(job.address.as_str());
        if let Some(requests) = job.in_flight() {
            kafka = kafka.max_in_flight_requests(requests);
        }
        if let Some(login) = job.login() {
            let tls = TlsConfig::new().with_ca_cert(login.ca);
            kafka = kafka.security(AuthConfig::sasl_plain(login.user, login.password).with_tls(tls));
        }
        let kafka = kafka.connect().await.expect("connected");
        let mut producer = kafka.producer().acks(Acks::All);
        if let Some(idempotent) = job.idempotent() {
            producer = producer.idempotent(idempotent);
        }
        if let Some(linger) = job.linger() {
            producer = producer.linger(linger);
        }
        if let Some(bytes) = job.batch_bytes() {
            producer = producer.batch_size(bytes);
        }
        producer = producer.compression(match job.compression() {
            "none" => Compression::None,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => panic!("codec '{other}' is not compared"),
        });
        Krafka { producer: producer.build().await.expect("a producer"), topic: job.topic }
    }

    async fn queue(&self, value: &Bytes) -> DeliveryHandle {
        self.producer.enqueue(Record::new(self.topic, value.clone())).await.expect("queued")
    }
}
