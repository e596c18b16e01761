//! What the client claims, and what lies in the log: the two sides that the [`checker`](crate::checker) compares.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A record's name, which is its value: `k7 42` is the 42nd record with the key `k7`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub key: u32,
    pub seq: u64,
}

/// One thing that the client says of a record, and when, counted from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub at: Duration,
    pub name: Name,
    pub claim: Claim,
}

/// What the client says of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// `send` is called.
    Send,
    /// It is in the log, here.
    Ack {
        partition: i32,
        /// -1: the client does not know.
        offset: i64,
    },
    /// It is not known to be in the log.
    Fail {
        /// Whether the client says that it surely is not.
        surely_not_written: bool,
        why: String,
    },
}

/// A record as an independent reader found it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub partition: i32,
    pub offset: i64,
    pub value: String,
}

/// Where the client's claims are written down, by all its tasks.
#[derive(Debug, Clone)]
pub struct Journal {
    start: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Journal {
    pub fn new() -> Journal {
        Journal { start: Instant::now(), events: Arc::default() }
    }

    /// Time since the start of the run.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn note(&self, name: Name, claim: Claim) {
        let mut events = self.events.lock().unwrap();
        // Under the lock, so that times rise.
        events.push(Event { at: self.now(), name, claim });
    }

    /// What was claimed so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    pub name: Name,
    pub sent: Duration,
    pub took: Duration,
    /// An acknowledgement or a failure.
    pub claim: &'a Claim,
}

/// What became of each record of which that is known, in the order in which it came to be known.
pub fn outcomes(events: &[Event]) -> Vec<Outcome<'_>> {
    let mut sent: HashMap<Name, Duration> = HashMap::new();
    let mut outcomes = Vec::new();
    for Event { at, name, claim } in events {
        match (claim, sent.get(name)) {
            (Claim::Send, _) => {
                sent.insert(*name, *at);
            }
            (_, Some(sent)) => {
                outcomes.push(Outcome { name: *name, sent: *sent, took: at.saturating_sub(*sent), claim });
            }
            (_, None) => panic!("{name} ended before it was sent"),
        }
    }
    outcomes
}

impl Name {
    /// The record's key.
    pub fn key(&self) -> String {
        format!("k{}", self.key)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{} {}", self.key, self.seq)
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(value: &str) -> Result<Name, ()> {
        let (key, seq) = value.strip_prefix('k').and_then(|rest| rest.split_once(' ')).ok_or(())?;
        let name = Name { key: key.parse().map_err(|_| ())?, seq: seq.parse().map_err(|_| ())? };
        // `k07 1` and `k7 +1` are no names, though they can be read.
        if name.to_string() == value { Ok(name) } else { Err(()) }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:10.4} {} ", self.at.as_secs_f64(), self.name)?;
        match &self.claim {
            Claim::Send => f.write_str("send"),
            Claim::Ack { partition, offset } => write!(f, "ack {partition} {offset}"),
            Claim::Fail { surely_not_written: true, why } => write!(f, "fail surely-not-written: {why}"),
            Claim::Fail { surely_not_written: false, why } => write!(f, "fail possibly-written: {why}"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.partition, self.offset, self.value)
    }
}

#[test]
fn a_value_is_the_name_of_its_record_or_none() {
    let name = Name { key: 7, seq: 42 };
    assert_eq!(name.to_string(), "k7 42");
    assert_eq!("k7 42".parse(), Ok(name));
    for value in ["", "k7", "7 42", "k7 42 ", "k7  42", "k07 42", "k7 +42", "kx 42", "k7 4x"] {
        assert_eq!(value.parse::<Name>(), Err(()), "{value:?}");
    }
}
