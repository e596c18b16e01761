//! What a source has seen of its clients, told when asked.

use ottla::broker::{ApiKey, Cluster, Fate};
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Since it was last told.
#[derive(Default)]
pub struct Counts {
    sent: AtomicU64,
    fetches: AtomicU64,
    others: AtomicU64,
}

impl Counts {
    /// Bytes, on their way to a client.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts requests from now on.
    pub fn watch(self: &Arc<Counts>, cluster: &Cluster) {
        let counts = Arc::clone(self);
        cluster.on_request(move |request| {
            match ApiKey(request.api_key) {
                ApiKey::FETCH => counts.fetches.fetch_add(1, Ordering::Relaxed),
                ApiKey::PRODUCE => 0,
                _ => counts.others.fetch_add(1, Ordering::Relaxed),
            };
            Fate::Pass
        });
    }

    /// Answers each line of standard input with a line of counts, which begin anew.
    pub fn tell(self: Arc<Counts>, log_bytes: usize) {
        std::thread::spawn(move || {
            for _ in std::io::stdin().lock().lines() {
                let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
                let (sent, fetches, others) = (take(&self.sent), take(&self.fetches), take(&self.others));
                println!("sent={sent} fetches={fetches} others={others} log_bytes={log_bytes}");
            }
        });
    }
}
