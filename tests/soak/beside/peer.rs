//! librdkafka, as a program of its own that says what it claims of each record.

use crate::history::{Claim, Event, Journal};
use crate::load::Pace;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// It sends until it is stopped.
pub struct Peer {
    child: Child,
    events: JoinHandle<Vec<Event>>,
}

impl Peer {
    /// `settings` are words like `linger.ms=5`. Its claims are timed by the journal's clock.
    pub fn start(address: &str, topic: &str, pace: Pace, settings: &str, journal: &Journal) -> Peer {
        let mut command = Command::new(program().expect("asked for before"));
        command.args(["claims", "librdkafka", address, topic]);
        command.args([pace.keys.to_string(), pace.per_second.to_string()]).env("COMPARE_SETTINGS", settings);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("SOAK_PEER runs");
        let (stdout, journal) = (child.stdout.take().expect("piped"), journal.clone());
        let events = std::thread::spawn(move || {
            let mut events = Vec::new();
            // Its clock is younger than ours by as much.
            let mut younger = None;
            for line in BufReader::new(stdout).lines() {
                let line = line.expect("text");
                let mut event = parse(&line).unwrap_or_else(|| panic!("SOAK_PEER said {line:?}"));
                event.at += *younger.get_or_insert_with(|| journal.now().saturating_sub(event.at));
                events.push(event);
            }
            events
        });
        Peer { child, events }
    }

    /// Sends no more, waits until all is told, and gives what it claimed.
    pub fn stop(mut self) -> Vec<Event> {
        drop(self.child.stdin.take());
        let events = self.events.join().expect("claims that can be read");
        assert!(self.child.wait().expect("a child").success(), "SOAK_PEER failed");
        events
    }
}

/// Where `benches/compare` lies, built with librdkafka.
pub fn program() -> Option<String> {
    std::env::var("SOAK_PEER").ok().filter(|path| !path.is_empty())
}

/// What an [`Event`] is displayed as.
fn parse(line: &str) -> Option<Event> {
    let (at, rest) = line.trim_start().split_once(' ')?;
    let mut words = rest.splitn(4, ' ');
    let name = format!("{} {}", words.next()?, words.next()?).parse().ok()?;
    let claim = match (words.next()?, words.next()) {
        ("send", None) => Claim::Send,
        ("ack", Some(place)) => {
            let (partition, offset) = place.split_once(' ')?;
            Claim::Ack { partition: partition.parse().ok()?, offset: offset.parse().ok()? }
        }
        ("fail", Some(words)) => {
            let (kind, why) = words.split_once(": ")?;
            Claim::Fail { surely_not_written: kind == "surely-not-written", why: why.to_owned() }
        }
        _ => return None,
    };
    Some(Event { at: Duration::from_secs_f64(at.parse().ok()?), name, claim })
}

#[test]
fn claims_are_read_as_they_are_written() {
    let fail = |surely_not_written| Claim::Fail { surely_not_written, why: "no: broker".to_owned() };
    let claims = [Claim::Send, Claim::Ack { partition: 2, offset: 41 }, fail(true), fail(false)];
    for claim in claims {
        let event = Event { at: Duration::from_millis(12_345), name: "k7 42".parse().unwrap(), claim };
        assert_eq!(parse(&event.to_string()), Some(event));
    }
    for line in ["", "1.0 k7 42", "1.0 k7 42 ack 2", "1.0 k7 42 sent", "x k7 42 send", "1.0 k7 42 fail why"] {
        assert_eq!(parse(line), None, "{line:?}");
    }
}
