//! What a consumer subscribes to: topics by name, and by pattern.

use super::commit::no_group;
use super::ties::Wanted;
use crate::cluster::{Cluster, Reach, check_name};
use crate::consumer::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{MetadataRequest, MetadataResponse};
use crate::task;
use crate::wire::{Span, Text, Uuid};
use regex_lite::Regex;
use std::collections::BTreeSet;

impl Wanted {
    /// Tells names from patterns, which begin with `^`, as in librdkafka.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for names that no topic can have.
    pub(in crate::consumer) fn new(topics: impl IntoIterator<Item = Text>) -> Result<Wanted> {
        let (patterns, topics): (BTreeSet<Text>, BTreeSet<Text>) =
            topics.into_iter().partition(|name| name.starts_with('^'));
        topics.iter().try_for_each(check_name)?;
        Ok(Wanted { topics, patterns })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.patterns.is_empty()
    }

    /// One pattern for the coordinator; `None` when there is none.
    pub(super) fn regex(&self) -> Option<Text> {
        let mut patterns = self.patterns.iter();
        let first = patterns.next()?.clone();
        let rest: String = patterns.map(|pattern| format!("|(?:{pattern})")).collect();
        Some(if rest.is_empty() { first } else { format!("(?:{first}){rest}").into() })
    }

    /// The patterns, made to match whole names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with what is wrong with one.
    pub(super) fn compiled(&self) -> Result<Vec<Regex>> {
        let compile = |pattern: &Text| {
            Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                let attempt = format!("subscribe to the pattern {}", pattern.as_str());
                Error::new(ErrorKind::InvalidInput, attempt).with_source(error)
            })
        };
        self.patterns.iter().map(compile).collect()
    }
}

impl Shared {
    /// Subscribes to other topics than before.
    pub(in crate::consumer) fn subscribe(&self, topics: impl IntoIterator<Item = Text>) -> Result<()> {
        const ATTEMPT: &str = "subscribe to topics";
        let wanted = Wanted::new(topics)?;
        wanted.compiled()?;
        self.redirect(|state| {
            if state.closed {
                return Err(Error::new(ErrorKind::Closed, "subscribe with a consumer that was closed"));
            }
            let Some(ties) = &mut state.ties else { return Err(no_group(ATTEMPT)) };
            if ties.wanted.is_none() && state.cursors.assigned().next().is_some() {
                return Err(Error::new(ErrorKind::InvalidInput, ATTEMPT)
                    .hint("the consumer reads partitions that the program has assigned: unassign them first, or use another consumer"));
            }
            ties.orders.subscribe = true;
            // Nothing more is handed out of what is not wanted any longer.
            if wanted.patterns.is_empty() {
                let surplus = |partition: &&_| !wanted.has(partition);
                let surplus: Vec<_> = state.cursors.assigned().filter(surplus).cloned().collect();
                surplus.iter().for_each(|partition| state.cursors.withhold(partition, true));
            }
            ties.wanted = Some(wanted).filter(|wanted| !wanted.is_empty());
            Ok(())
        })?;
        self.ask_group.notify_one();
        Ok(())
    }
}

impl Wanted {
    fn has(&self, partition: &crate::engine::TopicPartition) -> bool {
        self.topics.contains(&partition.topic)
    }
}

/// The topics that patterns match, those that Kafka keeps for itself only if that is wanted.
pub(super) async fn matching(
    cluster: &Cluster,
    patterns: &[Regex],
    internal: bool,
) -> Result<BTreeSet<Text>> {
    let deadline = task::after(task::now(), cluster.config().default_api_timeout);
    let build = |_| MetadataRequest::all_topics();
    let judge = |_: &MetadataResponse| None;
    let answer = cluster.call(Reach::Any, build, Span::from(1), deadline, judge).await?;
    let topics = answer.topics.into_iter().filter(|topic| topic.error_code.ok().is_ok());
    let topics = topics.filter(|topic| internal || !topic.is_internal).filter_map(|topic| topic.name);
    let matches = |name: &Text| patterns.iter().any(|pattern| pattern.is_match(name));
    Ok(topics.filter(matches).map(|name| name.detach()).collect())
}

/// The names of topics of which only the ids are known: a pattern that the coordinator matches finds topics that nobody has
/// named.
pub(super) async fn names(cluster: &Cluster, ids: Vec<Uuid>) -> Result<BTreeSet<Text>> {
    /// Since when topics can be asked for by id.
    const BY_ID: Span = Span::from(12);
    let deadline = task::after(task::now(), cluster.config().request_timeout);
    let build = |_| MetadataRequest::topics_by_id(ids.iter().copied());
    let judge = |_: &MetadataResponse| None;
    let answer = cluster.call(Reach::Any, build, BY_ID, deadline, judge).await?;
    let topics = answer.topics.into_iter().filter(|topic| topic.error_code.ok().is_ok());
    Ok(topics.filter_map(|topic| topic.name).map(|name| name.detach()).collect())
}
