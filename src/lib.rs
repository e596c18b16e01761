//! A Kafka client in pure Rust.

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
#[doc(hidden)]
pub mod messages;
#[doc(hidden)]
pub mod net;
pub mod producer;
#[doc(hidden)]
pub mod records;
pub mod task;
#[doc(hidden)]
pub mod wire;

pub use admin::Admin;
pub use admin::NewTopic;
pub use client::{Client, ClientBuilder};
pub use consumer::{Batch, Consumer, ConsumerBuilder, Start, TopicPartition};
pub use error::{Error, ErrorKind, Result};
pub use net::auth::{Token, TokenProvider};
pub use producer::{Delivered, Delivery, IntoBytes, Producer, ProducerBuilder, Record};
