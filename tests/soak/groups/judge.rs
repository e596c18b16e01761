//! What members have said, held to what a group promises.

use super::member::{Kind, Member};
use ottla::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong; nothing, it is to be hoped.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records that nobody was given, behind one that one of ours has read.
    pub skipped: Vec<String>,
    /// The same behind one of theirs: they commit what they are about to print, and may be told to end before they do.
    pub skipped_by_others: Vec<String>,
    /// Two of ours that had one partition at once.
    pub owned_twice: Vec<String>,
    /// Records that one of ours was given of a partition that was another one's.
    pub strange: Vec<String>,
    /// Offsets that were committed after larger ones.
    pub went_back: Vec<String>,
    read: usize,
    again: usize,
    errors: usize,
}

/// From when to when a member had a partition.
#[derive(Debug, Clone)]
struct Span {
    member: String,
    partition: i32,
    from: u64,
    to: u64,
}

impl Verdict {
    pub fn of(members: &[Member], log: &BTreeSet<(i32, i64)>, commits: &[(TopicPartition, i64)]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen: BTreeMap<(i32, i64), Vec<&Member>> = BTreeMap::new();
        let mut spans: Vec<Span> = Vec::new();
        let mut got: Vec<(String, u64, i32, i64)> = Vec::new();
        for member in members {
            for line in member.said() {
                if let Some((partition, offset)) = record(member.kind, &line) {
                    seen.entry((partition, offset)).or_default().push(member);
                }
                if member.kind == Kind::Ours {
                    note(&mut spans, &mut got, &mut verdict, member, &line);
                }
            }
        }
        verdict.read = seen.len();
        verdict.again = seen.values().map(|readers| readers.len() - 1).sum();
        for (partition, offset) in log.iter().filter(|at| !seen.contains_key(*at)) {
            let before = seen.range(..(*partition, *offset)).next_back();
            let readers =
                before.filter(|((of, _), _)| of == partition).map(|(_, readers)| readers.as_slice());
            let readers = readers.unwrap_or_default();
            let names: Vec<&str> = readers.iter().map(|member| member.name.as_str()).collect();
            let told = format!("{partition}:{offset}, behind what {names:?} read");
            let is_ours = readers.last().is_none_or(|member| member.kind == Kind::Ours);
            let list = if is_ours { &mut verdict.skipped } else { &mut verdict.skipped_by_others };
            list.push(told);
        }
        verdict.check_spans(members, spans, &got);
        let mut last: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
        for (partition, offset) in commits {
            let before = last.insert(partition, *offset).unwrap_or(-1);
            if *offset < before {
                verdict.went_back.push(format!("{partition}: {offset} after {before}"));
            }
        }
        verdict
    }

    fn check_spans(&mut self, members: &[Member], mut spans: Vec<Span>, got: &[(String, u64, i32, i64)]) {
        // Who is killed has nothing any more; who stands still is not asked until it goes on.
        for span in &mut spans {
            let member = members.iter().find(|member| member.name == span.member);
            if let Some(killed) = member.and_then(|member| member.killed) {
                span.to = span.to.min(killed);
            }
        }
        let pauses = |name: &str| {
            let member = members.iter().find(|member| member.name == name);
            member.map(|member| member.pauses.clone()).unwrap_or_default()
        };
        for (at, one) in spans.iter().enumerate() {
            for two in spans.iter().skip(at + 1) {
                let is_both = one.partition == two.partition && one.member != two.member;
                if !is_both || one.from >= two.to || two.from >= one.to {
                    continue;
                }
                // A pause that began within its time is what it lost its partitions by.
                let is_excused = |span: &Span| {
                    pauses(&span.member).iter().any(|(from, _)| (span.from..span.to).contains(from))
                };
                if !is_excused(one) && !is_excused(two) {
                    self.owned_twice.push(format!("{one:?} and {two:?}"));
                }
            }
        }
        for (name, at, partition, offset) in got {
            let others = spans.iter().filter(|span| span.partition == *partition && span.member != *name);
            for other in others.filter(|other| (other.from..other.to).contains(at)) {
                let stood_still = pauses(&other.member).iter().any(|(from, to)| from <= at && at <= to);
                let has_woken = pauses(&other.member).iter().any(|(from, to)| {
                    // It has not noticed yet.
                    (other.from..other.to).contains(from) && at > to
                });
                if !stood_still && !has_woken {
                    self.strange
                        .push(format!("{name} was given {partition}:{offset} at {at}, which {other:?}"));
                }
            }
        }
    }

    pub fn is_good(&self) -> bool {
        self.skipped.is_empty()
            && self.owned_twice.is_empty()
            && self.strange.is_empty()
            && self.went_back.is_empty()
            && self.read > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { skipped, skipped_by_others, owned_twice, strange, went_back, read, again, errors } =
            self;
        write!(
            f,
            "{read} records read, {again} again, {errors} errors; {} skipped ({} by others), {} owned twice, {} strange, {} commits went back",
            skipped.len(),
            skipped_by_others.len(),
            owned_twice.len(),
            strange.len(),
            went_back.len()
        )
    }
}

fn note(
    spans: &mut Vec<Span>,
    got: &mut Vec<(String, u64, i32, i64)>,
    verdict: &mut Verdict,
    member: &Member,
    line: &str,
) {
    let mut words = line.splitn(3, ' ');
    let (Some(word), Some(at), what) = (words.next(), words.next(), words.next()) else { return };
    let Ok(at) = at.parse::<u64>() else { return };
    let partitions = || what.unwrap_or_default().split(',').filter_map(|one| one.parse::<i32>().ok());
    match word {
        "@assigned" => spans.extend(partitions().map(|partition| Span {
            member: member.name.clone(),
            partition,
            from: at,
            to: u64::MAX,
        })),
        "@revoked" | "@lost" => {
            for partition in partitions() {
                let mut own = spans.iter_mut().rev();
                let open = |span: &&mut Span| {
                    span.member == member.name && span.partition == partition && span.to == u64::MAX
                };
                if let Some(span) = own.find(open) {
                    span.to = at;
                }
            }
        }
        "@got" => {
            if let Some((partition, offset)) = record(Kind::Ours, line) {
                got.push((member.name.clone(), at, partition, offset));
            }
        }
        "@error" => {
            println!("   {}: {}", member.name, what.unwrap_or_default());
            verdict.errors += 1;
        }
        "@closed" if what.is_some_and(|what| !what.is_empty()) => {
            println!("   {} was not closed well: {}", member.name, what.unwrap_or_default());
            verdict.errors += 1;
        }
        _ => {}
    }
}

/// Partition and offset of a record that was printed.
fn record(kind: Kind, line: &str) -> Option<(i32, i64)> {
    let (partition, offset) = match kind {
        Kind::Ours => {
            let mut words = line.strip_prefix("@got ")?.split(' ').skip(1);
            (words.next()?, words.next()?)
        }
        Kind::Java => {
            let rest = line.split("Partition:").nth(1)?;
            let partition = rest.split('\t').next()?;
            (partition, rest.split("Offset:").nth(1)?.split('\t').next()?)
        }
        Kind::Kcat => line.split_once(' ')?,
    };
    Some((partition.parse().ok()?, offset.trim().parse().ok()?))
}
