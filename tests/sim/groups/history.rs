//! [`History`]: what the applications and the brokers have seen of a run.

use super::plan::Knobs;
use ottla::broker::{ApiKey, Fate, SeenCommit, SeenRequest};
use ottla::consumer::RebalanceKind;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// What an application does, or what is done to its process.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    HandedOut {
        partition: i32,
        offset: i64,
        value: String,
    },
    /// It has come back from all before `next`.
    Done {
        partition: i32,
        next: i64,
    },
    /// It asks that `next` be committed.
    Sent {
        partition: i32,
        next: i64,
    },
    Told(RebalanceKind, Vec<i32>),
    Failed(String),
    Closing {
        limit: Duration,
    },
    Closed {
        took: Duration,
        limit: Duration,
        error: Option<String>,
    },
    Dropped,
    Stopped,
    WentOn,
    Killed,
}

impl Deed {
    pub fn handed_out(partition: i32, offset: i64, value: Option<&[u8]>) -> Deed {
        let value = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        Deed::HandedOut { partition, offset, value }
    }
}

#[derive(Debug, Clone)]
pub struct Event {
    pub at: Duration,
    /// A number that no other member has.
    pub member: usize,
    pub deed: Deed,
}

/// All events of a run, in order.
#[derive(Debug, Clone)]
pub struct Log {
    start: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Log {
    pub fn new(start: Instant) -> Log {
        Log { start, events: Arc::default() }
    }

    pub fn add(&self, member: usize, deed: Deed) {
        let at = Instant::now() - self.start;
        self.events.lock().unwrap().push(Event { at, member, deed });
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn with<T>(&self, work: impl FnOnce(&[Event]) -> T) -> T {
        work(&self.events.lock().unwrap())
    }
}

/// An offset that was committed.
#[derive(Debug, Clone)]
pub struct Commit {
    pub at: Duration,
    pub member: String,
    pub connection: u64,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Default)]
pub struct History {
    pub knobs: Option<Knobs>,
    pub events: Vec<Event>,
    pub commits: Vec<Commit>,
    /// When each member was surely heard by a coordinator.
    pub heard: BTreeMap<usize, Vec<Duration>>,
    /// When each member was heard and no fault kept the answer from it.
    pub answered: BTreeMap<usize, Vec<Duration>>,
    /// The values that lie in each partition.
    pub partitions: BTreeMap<i32, Vec<String>>,
    /// From the moment when everything was right again until all was read and shared out; `None` if that did not happen.
    pub settled: Option<Duration>,
    /// Tasks that are left when all is over.
    pub leaked: usize,
    /// Requests that a fault of the plan struck.
    pub struck: usize,
    pub panics: Vec<String>,
}

impl Commit {
    pub fn of(seen: &SeenCommit, start: std::time::Instant) -> Commit {
        let SeenCommit { at, connection, partition, offset, .. } = *seen;
        Commit { at: at - start, member: seen.member_id.clone(), connection, partition, offset }
    }
}

/// The number of the member that has sent a request by which it surely was heard.
pub fn heard(seen: &SeenRequest) -> Option<usize> {
    let is_of_members = [ApiKey::HEARTBEAT, ApiKey::CONSUMER_GROUP_HEARTBEAT].map(|key| key.0);
    let was_done = matches!(seen.fate, Fate::Pass | Fate::LoseAnswer | Fate::DelayAnswer(_));
    let number = seen.client_id.as_deref()?.strip_prefix('m')?.parse().ok()?;
    (is_of_members.contains(&seen.api_key) && was_done).then_some(number)
}

/// Everything that one run of a seed has to have in common with another.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "settled {:?}, {} struck, {} tasks left", self.settled, self.struck, self.leaked)?;
        let mut commits = self.commits.iter().peekable();
        for event in &self.events {
            while let Some(commit) = commits.next_if(|commit| commit.at < event.at) {
                writeln!(f, "{:>9.3} {commit}", commit.at.as_secs_f64())?;
            }
            writeln!(f, "{:>9.3} m{} {:?}", event.at.as_secs_f64(), event.member, event.deed)?;
        }
        commits.try_for_each(|commit| writeln!(f, "{:>9.3} {commit}", commit.at.as_secs_f64()))?;
        writeln!(f, "{:?}", self.heard)?;
        writeln!(f, "{:?}", self.partitions.iter().map(|(index, log)| (index, log.len())).collect::<Vec<_>>())
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "committed: {} of {} by connection {}", self.offset, self.partition, self.connection)
    }
}
