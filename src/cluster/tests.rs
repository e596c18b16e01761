//! The cluster against scripted brokers on a paused clock: [`metadata`] for the view, [`calls`] for requests;
//! [`coordinators`] against embedded brokers.

mod calls;
#[cfg(feature = "broker")]
mod coordinators;
mod metadata;

use super::*;
use crate::net::dial::Security;
use crate::net::mem::MemNet;
use crate::net::scripted::config;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn cluster(net: &MemNet, servers: &str, more: &[(&str, &str)]) -> Cluster {
    let config = config(servers, more);
    let dial: Arc<dyn Dial> = Arc::new(net.dialer());
    let auth = Auth::new(&config, None, &dial).unwrap();
    Cluster::new(config, dial, Security::Plaintext, auth)
}

fn within(time: Duration) -> Instant {
    task::now() + time
}

fn ms_since(start: Instant) -> u128 {
    (task::now() - start).as_millis()
}
