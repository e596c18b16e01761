//! rskafka: a `BatchProducer` for each partition. Without idempotence, and with as many requests in flight as there are
//! batches; the only bound on what waits is ours. Records go to the partitions in turn, since it has no partitioner.

use super::AsyncClient;
use crate::job::{Job, Login};
use bytes::Bytes;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder, Error};
use rskafka::client::{ClientBuilder, Credentials, SaslConfig};
use rskafka::record::Record;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// Bytes in a batch where the job does not say: there is no default.
const BATCH_BYTES: usize = 1_000_000;

pub struct Rskafka {
    partitions: Vec<Arc<BatchProducer<RecordAggregator>>>,
    next: AtomicUsize,
}

impl AsyncClient for Rskafka {
    type Acknowledged = i64;
    type Failure = Error;
    type Delivery = Delivery;

    async fn connect(job: &Job) -> Rskafka {
        job.check_known();
        let mut client = ClientBuilder::new(vec![job.address.clone()]);
        if let Some(login) = job.login() {
            client = secure(client, &login);
        }
        let client = client.build().await.expect("connected");
        let topics = client.list_topics().await.expect("topics");
        let topic = topics.into_iter().find(|topic| topic.name == job.topic).expect("the topic");
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let partition = client.partition_client(job.topic, partition, UnknownTopicHandling::Error).await;
            let mut builder = BatchProducerBuilder::new(Arc::new(partition.expect("the partition")))
                .with_compression(compression(job));
            if let Some(linger) = job.linger() {
                builder = builder.with_linger(linger);
            }
            let aggregator = RecordAggregator::new(job.batch_bytes().unwrap_or(BATCH_BYTES));
            partitions.push(Arc::new(builder.build(aggregator)));
        }
        Rskafka { partitions, next: AtomicUsize::new(0) }
    }

    async fn queue(&self, value: &Bytes) -> Delivery {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.partitions.len();
        let producer = Arc::clone(&self.partitions[turn]);
        let record = Record {
            key: None,
            value: Some(value.to_vec()),
            headers: BTreeMap::new(),
            timestamp: chrono::Utc::now(),
        };
        let mut delivery: Delivery = Box::pin(async move { producer.produce(record).await });
        // The record is in the batch once the future was polled; whoever awaits it will poll it again.
        if let Poll::Ready(result) = super::look(&mut delivery) {
            return Box::pin(std::future::ready(result));
        }
        delivery
    }
}

type Delivery = Pin<Box<dyn Future<Output = Result<i64, Error>> + Send>>;

fn compression(job: &Job) -> Compression {
    match job.compression() {
        "none" => Compression::NoCompression,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => panic!("codec '{other}' is not compared"),
    }
}

/// The same for who reads.
pub fn secure(client: ClientBuilder, login: &Login<'_>) -> ClientBuilder {
    let credentials = Credentials::new(login.user.to_owned(), login.password.to_owned());
    client.tls_config(Arc::new(tls(login))).sasl_config(SaslConfig::Plain(credentials))
}

fn tls(login: &Login<'_>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(login.ca).expect("a file of certificates") {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    config.expect("versions of TLS").with_root_certificates(roots).with_no_client_auth()
}
