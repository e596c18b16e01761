//! Ours.

use super::AsyncClient;
use crate::job::Job;
use bytes::Bytes;
use ottla::{Client, Delivered, Delivery, Error, Producer, Record};

pub struct Ottla {
    producer: Producer,
    topic: &'static str,
}

impl AsyncClient for Ottla {
    type Acknowledged = Delivered;
    type Failure = Error;
    type Delivery = Delivery;

    async fn connect(job: &Job) -> Ottla {
        let mut client = Client::builder().bootstrap(job.address.as_str());
        for (key, value) in job.settings() {
            client = client.set(key, value);
        }
        let client = client.build().expect("a client");
        Ottla { producer: client.producer().build().expect("a producer"), topic: job.topic }
    }

    async fn queue(&self, value: &Bytes) -> Delivery {
        self.producer.send(Record::to(self.topic).value(value.clone())).await.expect("queued")
    }
}
