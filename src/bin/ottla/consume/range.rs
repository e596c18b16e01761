//! [`Range`]: what is to be read, and how much of it is left.

use super::Options;
use super::leaders::Leaders;
use super::position::{self, Extent, Position};
use crate::ends::Ends;
use crate::failure::{Failure, Outcome};
use ottla::{Batch, Client, Consumer, Start, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be read, and how much of it is left.
#[derive(Debug)]
pub(super) struct Range {
    starts: Vec<(TopicPartition, Start)>,
    /// `None` when it goes on for ever.
    ends: Option<Ends>,
    remark: Option<String>,
    leaders: Leaders,
}

impl Range {
    /// Asks the cluster where that is.
    pub(super) async fn find(client: &Client, consumer: &Consumer, options: &Options) -> Outcome<Range> {
        let (from, until) = from_and_until(&options.positions)?;
        let (partitions, leaders) = partitions(client, options).await?;
        let extents = extents(consumer, &partitions, from, until).await?;
        let (mut starts, mut ends, mut exact) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (partition, extent) in extents {
            let (start, is_exact) = extent.start(from);
            exact.insert(partition.partition, is_exact);
            match extent.stop(until.is_some(), options.exit) {
                Some(stop) if stop <= start => continue,
                Some(stop) => ends.insert(partition.clone(), stop),
                None => None,
            };
            starts.push((partition, Start::Offset(start)));
        }
        let has_end = options.exit || until.is_some();
        let ends = has_end.then(|| Ends::new(ends));
        Ok(Range { starts, ends, remark: position::remark(from, &exact), leaders })
    }

    /// The partitions to read, each from where.
    pub(super) fn starts(&mut self) -> Vec<(TopicPartition, Start)> {
        std::mem::take(&mut self.starts)
    }

    /// The brokers that lead the partitions.
    pub(super) fn leaders(&mut self) -> Leaders {
        std::mem::take(&mut self.leaders)
    }

    /// Something that the user may want to know before the records come.
    pub(super) fn remark(&mut self, is_quiet: bool) -> Option<String> {
        self.remark.take().filter(|_| !is_quiet)
    }

    /// Where it ends, if it does.
    pub(super) fn ends(&mut self) -> Option<&mut Ends> {
        self.ends.as_mut()
    }

    pub(super) fn is_done(&self) -> bool {
        self.ends.as_ref().is_some_and(Ends::are_reached)
    }

    /// The offset that nothing of this batch is to be printed from.
    pub(super) fn end_of(&self, batch: &Batch) -> i64 {
        self.ends.as_ref().map_or(i64::MAX, |ends| ends.of(batch.topic_partition()))
    }
}

/// At most one place to begin and one time to end.
fn from_and_until(positions: &[Position]) -> Outcome<(Position, Option<i64>)> {
    let (mut from, mut until) = (None, None);
    for position in positions {
        let earlier = match position {
            Position::Until(time) => until.replace(*time).is_some(),
            _ => from.replace(*position).is_some(),
        };
        if earlier {
            return Err(Failure::usage("-o: at most one place to begin, and one e@MS to end"));
        }
    }
    Ok((from.unwrap_or(Position::Beginning), until))
}

/// The one topic that is read without a group.
fn topic(topics: &[String]) -> Outcome<&str> {
    match topics {
        [topic] if !topic.starts_with('^') => Ok(topic),
        _ => Err(Failure::usage("several topics, and patterns of topics, are read by a group: -G GROUP")),
    }
}

/// Those to read, and who leads which.
async fn partitions(client: &Client, options: &Options) -> Outcome<(Vec<TopicPartition>, Leaders)> {
    let topic = topic(&options.topics)?;
    let infos = client.admin().partitions_for(topic).await?;
    let there: BTreeSet<i32> = infos.iter().map(|partition| partition.index).collect();
    let wanted: BTreeSet<i32> = options.partitions.iter().copied().collect();
    if let Some(missing) = wanted.difference(&there).next() {
        let count = there.len();
        return Err(Failure::failed(format!(
            "topic '{topic}' has {count} partitions, and no {missing} among them"
        )));
    }
    let chosen = if wanted.is_empty() { there } else { wanted };
    let mut leaders = Leaders::default();
    leaders.learn(topic, &infos);
    Ok((chosen.into_iter().map(|index| TopicPartition::new(topic, index)).collect(), leaders))
}

async fn extents(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    from: Position,
    until: Option<i64>,
) -> Outcome<BTreeMap<TopicPartition, Extent>> {
    let beginnings = consumer.beginning_offsets(partitions).await?;
    let ends = consumer.end_offsets(partitions).await?;
    let since = match from {
        Position::Since(time) => consumer.offsets_for_times(partitions.iter().map(|p| (p, time))).await?,
        _ => BTreeMap::new(),
    };
    let until = match until {
        Some(time) => consumer.offsets_for_times(partitions.iter().map(|p| (p, time))).await?,
        None => BTreeMap::new(),
    };
    let extents = partitions.iter().filter_map(|partition| {
        let extent = Extent {
            beginning: *beginnings.get(partition)?,
            end: *ends.get(partition)?,
            since: since.get(partition).copied().flatten(),
            until: until.get(partition).copied().flatten(),
        };
        Some((partition.clone(), extent))
    });
    Ok(extents.collect())
}
