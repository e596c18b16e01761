//! A road of its own to each broker.

use super::Road;
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The ways of one client to all brokers; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Roads {
    by_broker: Arc<Mutex<BTreeMap<String, Road>>>,
    /// What each road is made to be before anybody takes it.
    prepare: Option<fn(&Road)>,
}

impl Roads {
    /// Roads that are each prepared in this way, as by a rule.
    pub fn prepared(prepare: fn(&Road)) -> Roads {
        Roads { by_broker: Arc::default(), prepare: Some(prepare) }
    }

    /// The one to this broker, by the address that it advertises.
    pub fn to(&self, broker: &str) -> Road {
        let mut roads = self.by_broker.lock().unwrap();
        let road = roads.entry(broker.to_owned()).or_insert_with(|| {
            let road = Road::new();
            self.prepare.into_iter().for_each(|prepare| prepare(&road));
            road
        });
        road.clone()
    }

    /// All that were taken so far.
    pub fn all(&self) -> Vec<Road> {
        self.by_broker.lock().unwrap().values().cloned().collect()
    }

    /// A dialler whose connections go over these roads.
    pub fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(self.clone())
    }
}

impl Dial for Roads {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        deadline: Instant,
    ) -> BoxFuture<'a, ottla::Result<Connected>> {
        Box::pin(async move { self.to(&endpoint.to_string()).dial().dial(endpoint, deadline).await })
    }
}
