//! [`Report`]: what was seen while a case was played, and what is wrong with it.

use crate::forge;
use crate::heard::Heard;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

pub const MAX_RSS_KB: u64 = 256 << 10;
/// For each broker, in any second from [`GRACE`] on.
pub const MAX_CONNECTS: usize = 5;
pub const MAX_REQUESTS: usize = 50;
/// Errors that the application is told in any such second: more make it spin.
pub const MAX_ERRORS: usize = 50;
pub const GRACE: Duration = Duration::from_secs(2);
pub const MAX_RECOVERY: Duration = Duration::from_secs(15);

/// All that is known of one play.
#[derive(Debug, Default)]
pub struct Report {
    pub case: String,
    pub mode: String,
    /// Whether the lie is told for ever.
    pub lasts: bool,
    pub harmless: bool,
    pub rereads: bool,
    pub acknowledges: bool,
    /// How often the lie was told.
    pub lies: u32,
    /// Requests on connections that such a lie should have ended.
    pub behind: u32,
    /// When the peer closed connections for its own sake: what the log says from then on is not of the lie.
    pub restarted: Option<Instant>,
    /// When the peer began to lie.
    pub onset: Option<Instant>,
    pub connects: Vec<Instant>,
    pub requests: Vec<Instant>,
    pub written: HashMap<String, Vec<i64>>,
    pub acknowledged: HashSet<String>,
    pub heard: Heard,
    pub rss_kb: u64,
    /// Processor time while the lie was told. Not judged: how much a machine gives to a process that spins depends on what
    /// else it does.
    pub busy: Duration,
    pub lasted: Duration,
    /// From the end of the lie until records flowed both ways; `None` when they did not.
    pub recovered: Option<Duration>,
    /// Whether the client's process ended by itself, in time and with success.
    pub ended: bool,
    /// Why the case could not be played.
    pub unplayed: Option<String>,
}

impl Report {
    /// What is wrong, in words; nothing when the client did well.
    pub fn faults(&self) -> Vec<String> {
        if let Some(reason) = &self.unplayed {
            return vec![format!("not played: {reason}")];
        }
        let mut faults = Vec::new();
        let mut fault = |wrong: bool, what: String| {
            if wrong {
                faults.push(what);
            }
        };
        fault(self.lies == 0, "the lie was never told".into());
        fault(!self.heard.panics.is_empty(), format!("panic: {}", first(&self.heard.panics)));
        fault(!self.ended, format!("the client did not end: {}", self.heard.last.join("\n    ")));
        fault(self.rss_kb >= MAX_RSS_KB, format!("{} MiB of memory", self.rss_kb >> 10));
        fault(
            self.connects_worst() > MAX_CONNECTS,
            format!("{} connects in a second", self.connects_worst()),
        );
        fault(
            self.requests_worst() > MAX_REQUESTS,
            format!("{} requests in a second", self.requests_worst()),
        );
        fault(self.errors_worst() > MAX_ERRORS, format!("{} errors in a second", self.errors_worst()));
        fault(!self.harmless && !self.is_told(), "nobody was told of an error".into());
        fault(self.behind > 0, format!("{} requests to a server that is not to be trusted", self.behind));
        match self.recovered {
            Some(took) => fault(took > MAX_RECOVERY, format!("well again only after {took:?}")),
            None => fault(true, format!("not well again within {MAX_RECOVERY:?}: {}", self.told())),
        }
        fault(!self.heard.leaks.is_empty(), format!("a secret is in: {}", first(&self.heard.leaks)));
        faults.extend(self.invented());
        faults.extend(self.misread());
        faults.extend(self.unresolved());
        faults.extend(self.miswritten());
        faults
    }

    /// A record that was queued and did not come to one end.
    fn unresolved(&self) -> Option<String> {
        let Heard { sent, acked, failures, .. } = &self.heard;
        let mut ends: HashMap<&str, usize> = HashMap::new();
        let acked = acked.iter().map(|(value, _)| value);
        for value in acked.chain(failures.iter().map(|(_, value, _)| value)) {
            *ends.entry(value).or_default() += 1;
        }
        let (value, count) = sent
            .iter()
            .map(|value| (value, ends.get(value.as_str())))
            .find(|(_, count)| *count != Some(&1))?;
        Some(format!("{value} came to {} ends", count.unwrap_or(&0)))
    }

    /// Written twice, or in another order than it was sent, or although it surely was not, or never sent.
    fn miswritten(&self) -> Option<String> {
        let Heard { sent, failures, .. } = &self.heard;
        let mut last = -1;
        for value in sent {
            let Some(at) = self.written.get(value) else { continue };
            if at.len() > 1 {
                return Some(format!("{value} lies twice, at {at:?}"));
            }
            if at[0] < last {
                return Some(format!("{value} lies at {}, behind it what was sent before: at {last}", at[0]));
            }
            last = at[0];
        }
        let not = failures.iter().find(|(_, value, surely)| *surely && self.written.contains_key(value));
        if let Some((_, value, _)) = not {
            return Some(format!("{value} surely was not written, and lies at {:?}", self.written[value]));
        }
        let sent: HashSet<&String> = sent.iter().collect();
        let mut strange: Vec<&String> = self.written.keys().filter(|value| !sent.contains(value)).collect();
        strange.sort_unstable();
        strange.first().map(|value| format!("{value} was written, and never sent"))
    }

    /// Acknowledged to the application although the peer did not, or somewhere else.
    fn invented(&self) -> Option<String> {
        self.heard.acked.iter().find_map(|(value, offset)| {
            if !self.acknowledged.contains(value) {
                return Some(format!("{value} was acknowledged at {offset}, and the peer never did"));
            }
            let at = self.written.get(value).map_or(&[][..], Vec::as_slice);
            let right = at.contains(offset) || *offset == -1 || self.acknowledges;
            (!right).then(|| format!("{value} was acknowledged at {offset} and lies at {at:?}"))
        })
    }

    /// Handed out although it is not in the log, or not what comes next; or a position past what was not handed out.
    fn misread(&self) -> Option<String> {
        let mut next = 0;
        let mut after = vec![0];
        for (offset, value) in &self.heard.got {
            if *value != forge::honest_value(*offset) {
                return Some(format!(
                    "at {offset} it was handed {:?}",
                    value.chars().take(40).collect::<String>()
                ));
            }
            let again = self.rereads && *offset == 0;
            if *offset != next && !again {
                return Some(format!("at {offset} a record was handed out where {next} comes next"));
            }
            next = offset + 1;
            after.push(next);
        }
        let past = |(position, got): &&(i64, usize)| *position > after[*got];
        let (position, got) = self.heard.positions.iter().find(past)?;
        Some(format!("after an error the position is {position}, past {}", after[*got]))
    }

    /// By the application's errors or the log. What is mended by asking again is a remark in it, what lasts a warning.
    fn is_told(&self) -> bool {
        let since = |at: &Instant| self.onset.is_none_or(|onset| *at >= onset);
        let of_the_lie = |at: &&Instant| since(at) && self.restarted.is_none_or(|restarted| **at < restarted);
        let Heard { errors, failures, warnings, remarks, .. } = &self.heard;
        errors.iter().chain(failures.iter().map(|(at, ..)| at)).any(since)
            || warnings.iter().filter(of_the_lie).count() > 0
            || !self.lasts && remarks.iter().filter(of_the_lie).count() > 0
    }

    /// The most of these in a second, from two seconds after the lie began.
    fn worst(&self, times: &[Instant]) -> usize {
        let Some(onset) = self.onset else { return 0 };
        let second = Duration::from_secs(1);
        let mut times: Vec<Instant> = times.iter().copied().filter(|at| *at >= onset + GRACE).collect();
        times.sort_unstable();
        let within =
            |first: usize| times[first..].iter().take_while(|at| **at < times[first] + second).count();
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    pub fn connects_worst(&self) -> usize {
        // A connect that was refused is seen by the client alone.
        let mut dials: HashMap<&str, Vec<Instant>> = HashMap::new();
        self.heard.dials.iter().for_each(|(at, to)| dials.entry(to).or_default().push(*at));
        let dialled = dials.values().map(|times| self.worst(times)).max();
        self.worst(&self.connects).max(dialled.unwrap_or(0))
    }

    pub fn requests_worst(&self) -> usize {
        self.worst(&self.requests)
    }

    pub fn errors_worst(&self) -> usize {
        self.worst(&self.heard.errors)
    }

    pub fn busy_share(&self) -> f64 {
        self.busy.as_secs_f64() / self.lasted.as_secs_f64().max(0.001)
    }

    /// What the application was told first, else the log.
    pub fn told(&self) -> String {
        let before = |at: &Instant| self.onset.is_some_and(|onset| *at < onset);
        let before = self.heard.warnings.iter().filter(|at| before(at)).count();
        let told = self.heard.told.first().or(self.heard.logged.get(before));
        told.or(self.heard.logged.last()).cloned().unwrap_or_default()
    }
}

fn first(lines: &[String]) -> &str {
    lines.first().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report with nothing wrong in it.
    fn good() -> Report {
        let onset = Instant::now();
        let at = |ms: u64| onset + Duration::from_millis(ms);
        let heard = Heard {
            sent: vec!["r0".into(), "r1".into()],
            acked: vec![("r0".into(), 0), ("r1".into(), 1)],
            got: (0..4).map(|offset| (offset, forge::honest_value(offset))).collect(),
            errors: vec![at(500)],
            told: vec!["produce: timed out".into()],
            positions: vec![(2, 2)],
            end: Some((20_000, 400)),
            ..Heard::default()
        };
        Report {
            case: "frames/good".into(),
            lasts: true,
            lies: 3,
            onset: Some(onset),
            connects: (0..8).map(|n| at(n * 300)).collect(),
            requests: (0..80).map(|n| at(n * 100)).collect(),
            written: [("r0".into(), vec![0]), ("r1".into(), vec![1])].into(),
            acknowledged: ["r0".into(), "r1".into()].into(),
            heard,
            rss_kb: 20_000,
            busy: Duration::from_millis(400),
            lasted: Duration::from_secs(6),
            recovered: Some(Duration::from_secs(1)),
            ended: true,
            ..Report::default()
        }
    }

    fn later(report: &Report) -> Instant {
        report.onset.unwrap() + GRACE
    }

    #[track_caller]
    fn bad(spoil: impl FnOnce(&mut Report), word: &str) {
        let mut report = good();
        spoil(&mut report);
        let faults = report.faults();
        assert!(faults.len() == 1 && faults[0].contains(word), "{word}: {faults:?}");
    }

    #[test]
    fn each_mistake_is_seen_and_named() {
        assert_eq!(good().faults(), [""; 0]);
        let second = Duration::from_secs(1);
        bad(|report| report.lies = 0, "never told");
        bad(|report| report.heard.panics.push("thread 'x' panicked at".into()), "panic");
        bad(|report| report.ended = false, "did not end");
        bad(|report| report.rss_kb = 256 << 10, "256 MiB");
        bad(|report| report.connects.extend(vec![report.onset.unwrap() + 4 * second; 6]), "6 connects");
        let dial = |report: &Report| (report.onset.unwrap() + 4 * second, "localhost:1".to_owned());
        bad(|report| report.heard.dials = vec![dial(report); 7], "7 connects");
        bad(
            |report| report.requests.extend(vec![report.onset.unwrap() + 4 * second; 60]),
            "requests in a second",
        );
        bad(|report| report.heard.errors = vec![report.onset.unwrap() + 3 * second; 51], "51 errors");
        bad(|report| report.heard.errors.clear(), "nobody was told");
        let remark = |report: &mut Report| {
            (report.heard.errors, report.heard.remarks) = (Vec::new(), vec![later(report)])
        };
        bad(remark, "nobody was told");
        bad(|report| report.behind = 1, "not to be trusted");
        bad(|report| report.heard.sent.push("r2".into()), "r2 came to 0 ends");
        bad(|report| report.heard.failures.push((later(report), "r1".into(), false)), "r1 came to 2 ends");
        bad(|report| report.written.get_mut("r1").unwrap().push(7), "r1 lies twice");
        bad(|report| report.heard.sent.swap(0, 1), "what was sent before");
        let surely = |report: &mut Report| {
            report.heard.sent.push("r9".into());
            report.heard.failures.push((later(report), "r9".into(), true));
            report.written.insert("r9".into(), vec![9]);
        };
        bad(surely, "r9 surely was not written");
        bad(|report| drop(report.written.insert("r8".into(), vec![8])), "r8 was written, and never sent");
        bad(|report| report.recovered = None, "not well again");
        bad(|report| report.recovered = Some(16 * second), "only after 16s");
        bad(|report| report.heard.leaks.push("password".into()), "a secret");
        bad(|report| report.heard.acked.push(("r2".into(), 2)), "the peer never did");
        bad(|report| report.heard.acked[1].1 = 5, "lies at [1]");
        bad(|report| report.heard.got[3].1 = "lie 0".into(), "it was handed");
        bad(|report| drop(report.heard.got.remove(1)), "where 1 comes next");
        bad(|report| report.heard.got.push((0, forge::honest_value(0))), "where 4 comes next");
        bad(|report| report.heard.positions.push((3, 2)), "past 2");
    }

    #[test]
    fn what_a_case_excuses_is_excused() {
        let mut report = good();
        report.heard.errors.clear();
        report.harmless = true;
        report.heard.got.push((0, forge::honest_value(0)));
        report.rereads = true;
        report.heard.acked[1].1 = -1;
        // Five to each of two brokers.
        for to in ["localhost:1", "localhost:2"] {
            let dial = (report.onset.unwrap() + 3 * GRACE, to.to_owned());
            report.heard.dials.extend(vec![dial; 5]);
        }
        // A burst at the beginning is none of a storm.
        report.connects.extend(vec![report.onset.unwrap() + Duration::from_secs(1); 20]);
        assert_eq!(report.faults(), [""; 0]);
    }

    #[test]
    fn what_was_mended_by_asking_again_may_be_a_remark() {
        let mut report = good();
        (report.heard.errors, report.heard.remarks, report.lasts) = (Vec::new(), vec![later(&report)], false);
        assert_eq!(report.faults(), [""; 0]);
        report.restarted = report.onset;
        assert_eq!(report.faults(), ["nobody was told of an error"]);
        (report.restarted, report.heard.remarks) = (None, vec![report.onset.unwrap() - GRACE]);
        assert_eq!(report.faults(), ["nobody was told of an error"]);
    }
}
