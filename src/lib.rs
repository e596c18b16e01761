//! A Kafka client in pure Rust: the protocol's codec, connections, producer, consumer, admin client, and a broker to test
//! with. Nothing links to librdkafka, and nothing that ships compiles C.
//!
//! ```no_run
//! use ottla::{Client, Record, Start};
//!
//! # async fn example() -> ottla::Result<()> {
//! // KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME,
//! // KAFKA_SASL_PASSWORD, from the environment or a .env file.
//! let client = Client::from_env().await?;
//!
//! let producer = client.producer().build()?;
//! let delivery = producer.send(Record::to("orders").key("order-17").value("paid")).await?; // queued
//! let at = delivery.await?; // acknowledged by all replicas in sync
//! println!("partition {} offset {}", at.partition, at.offset);
//!
//! let mut consumer = client.consumer().topic("orders", Start::Beginning).build().await?;
//! while let Some(batch) = consumer.poll().await? {
//!     for record in &batch {
//!         println!("{:?}: {:?}", record.key(), record.value());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! * [`Client`]: a cluster. [`Client::producer`], [`Client::consumer`] and [`Client::admin`] share its connections.
//! * [`Producer`]: `send` queues a [`Record`] and gives a [`Delivery`], which tells where it was written.
//! * [`Consumer`]: `poll` gives a [`Batch`] of records, from partitions that it was assigned.
//! * [`Admin`]: topics, brokers, consumer groups and their offsets.
//! * [`config`]: every setting under its Kafka name, from the program, the environment, `.env` and `.properties` files.
//! * [`Error`]: what was attempted, where, what came back, whether it may have been written.
//!
//! The library never starts a runtime: it runs on the tokio runtime that it is called on.
//!
//! # Features
//!
//! | feature | default | what it is for |
//! | --- | --- | --- |
//! | `tls` | yes | TLS by rustls with graviola, on x86-64 (with ADX and AVX2) and aarch64 |
//! | `tls-portable` | | TLS by rustls-rustcrypto, on any processor; slower |
//! | `tls-ring`, `tls-aws-lc-rs` | | TLS by these; they compile C |
//! | `webpki-roots` | | Mozilla's certificates, compiled in, where a system has none |
//! | `zstd` | yes | zstd compression; gzip, snappy and lz4 are always there |
//! | `json` | yes | values as JSON, by serde; tokens from an endpoint (OAUTHBEARER) |
//! | `dotenv` | yes | settings from a `.env` file |
//! | `broker` | | the embedded broker |
//! | `cli` | | the tool `ottla` |
//!
//! # What is public
//!
//! The modules `wire`, `messages`, `records`, `engine`, `net` and `task` are public for this project's own tests, benchmarks and
//! fuzz targets. They are hidden from this page and outside semantic versioning.

pub mod admin;
#[cfg(feature = "broker")]
pub mod broker;
mod client;
mod cluster;
pub mod config;
pub mod consumer;
#[doc(hidden)]
pub mod engine;
pub mod error;
mod histogram;
#[doc(hidden)]
pub mod messages;
#[doc(hidden)]
pub mod net;
pub mod producer;
#[doc(hidden)]
pub mod records;
#[doc(hidden)]
pub mod task;
#[doc(hidden)]
pub mod wire;

pub use admin::{Admin, NewTopic};
pub use client::{Client, ClientBuilder};
pub use consumer::{Batch, Consumer, ConsumerBuilder, Start, TopicPartition};
pub use engine::OffsetAndMetadata;
pub use error::{Error, ErrorKind, Result};
pub use histogram::Histogram;
pub use net::auth::{Token, TokenProvider};
pub use producer::{Delivered, Delivery, IntoBytes, Producer, ProducerBuilder, ProducerMetrics, Record};

/// The README, whose example is compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
