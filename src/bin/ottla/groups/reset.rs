//! `ottla groups reset-offsets`: shows where a group would read on, and with `--execute` lets it.

use super::logs::Logs;
use super::target::{self, Extent, Target};
use super::{none_of, table};
use crate::failure::{Failure, Outcome};
use crate::{connection, output};
use clap::builder::NonEmptyStringValueParser;
use ottla::admin::{GroupDescription, GroupState};
use ottla::error::ErrorCode;
use ottla::{Admin, OffsetAndMetadata, TopicPartition};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The group
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    group: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    target: target::Options,
    /// Do it, and do not only show it
    #[arg(long, conflicts_with = "dry_run")]
    execute: bool,
    /// Only show what would be done, as without --execute
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, one partition a line
    #[arg(short = 'J', long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(id = "scope", required = true, multiple = false)]
struct Scope {
    /// A topic, or some partitions of it; can be given again and again
    #[arg(long = "topic", value_name = "TOPIC[:PARTITION,..]", value_parser = parse_topic)]
    topics: Vec<Chosen>,
    /// Every partition that the group has committed something of
    #[arg(long)]
    all_topics: bool,
}

/// A topic, and which of its partitions; all of them when none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    topic: String,
    partitions: BTreeSet<i32>,
}

const COLUMNS: [table::Column; 5] =
    [("GROUP", 15), ("TOPIC", 15), ("PARTITION", 10), ("CURRENT-OFFSET", 15), ("NEW-OFFSET", 0)];

/// Where a partition is and is to be.
struct Step {
    partition: TopicPartition,
    committed: Option<i64>,
    new: i64,
}

fn parse_topic(text: &str) -> Result<Chosen, String> {
    let (topic, partitions) = match text.split_once(':') {
        Some((topic, list)) => {
            let index = |text: &str| text.parse::<i32>().ok().filter(|index| *index >= 0);
            (topic, list.split(',').map(index).collect::<Option<BTreeSet<i32>>>())
        }
        None => (text, Some(BTreeSet::new())),
    };
    match partitions {
        Some(partitions) if !topic.is_empty() => Ok(Chosen { topic: topic.to_owned(), partitions }),
        _ => Err("TOPIC or TOPIC:PARTITION,PARTITION is expected".to_owned()),
    }
}

pub(super) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let client = connection.client().await?;
    let admin = client.admin();
    let remark = |text: &str| {
        if !connection.is_quiet() {
            eprintln!("ottla: {text}");
        }
    };
    if let Some(in_the_way) = members(&admin, &options.group).await? {
        if options.execute {
            return Err(Failure::failed(in_the_way));
        }
        remark(&in_the_way);
    }
    let committed = committed(&admin, &options.group).await?;
    let topics: BTreeSet<String> = match options.scope.all_topics {
        true => committed.keys().map(|partition| partition.topic.to_string()).collect(),
        false => options.scope.topics.iter().map(|chosen| chosen.topic.clone()).collect(),
    };
    let logs = Logs::find(&client, &admin, &topics).await?;
    let partitions = partitions(&options, &committed, &logs)?;
    let (steps, remarks) = plan(options.target.target(), &partitions, &committed, &logs).await?;
    remarks.iter().for_each(|text| remark(text));
    if !options.execute {
        show(&options, &steps)?;
        remark("nothing was changed: --execute does it");
        return Ok(());
    }
    let offsets = steps.iter().map(|step| (step.partition.clone(), OffsetAndMetadata::new(step.new)));
    let mut outcomes = admin.alter_group_offsets(&options.group, offsets).await?;
    let mut failed = Vec::new();
    let mut done = Vec::new();
    for step in steps {
        match outcomes.remove(&step.partition) {
            Some(Ok(())) => done.push(step),
            Some(Err(error)) => failed.push(error.to_string()),
            None => failed.push(format!("{}: nobody tells whether it was set", step.partition)),
        }
    }
    show(&options, &done)?;
    none_of(&failed)
}

/// Why the group's offsets cannot be set now, if that is so. One that is not there will be made.
async fn members(admin: &Admin, group: &str) -> Outcome<Option<String>> {
    let described = admin.describe_groups([group]).await.remove(group);
    let GroupDescription { state, members, .. } = match described {
        Some(Ok(described)) => described,
        Some(Err(error)) if error.code() != Some(ErrorCode::GROUP_ID_NOT_FOUND) => return Err(error.into()),
        _ => return Ok(None),
    };
    if members.is_empty() && matches!(state, GroupState::Empty | GroupState::Dead) {
        return Ok(None);
    }
    let mut where_they_are: Vec<String> =
        members.iter().map(|member| format!("{} at {}", member.client_id, member.host)).collect();
    where_they_are.sort();
    where_they_are.dedup();
    const NAMED: usize = 5;
    let more = where_they_are.len().saturating_sub(NAMED);
    where_they_are.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Some(format!(
        "group '{group}' is {state} with {} members ({}{more}): offsets can be set only while it has none; stop its consumers first",
        members.len(),
        where_they_are.join(", ")
    )))
}

async fn committed(admin: &Admin, group: &str) -> Outcome<BTreeMap<TopicPartition, i64>> {
    let mut committed = BTreeMap::new();
    for (partition, outcome) in admin.list_group_offsets(group).await? {
        committed.insert(partition, outcome?.offset);
    }
    Ok(committed)
}

/// The partitions to set, all of which somebody can be asked about.
fn partitions(
    options: &Options,
    committed: &BTreeMap<TopicPartition, i64>,
    logs: &Logs,
) -> Outcome<BTreeSet<TopicPartition>> {
    let group = &options.group;
    let partitions: BTreeSet<TopicPartition> = if options.scope.all_topics {
        // To leave out what may be there would be half of what was asked for.
        if let Some(why) = logs.failed().next() {
            return Err(Failure::failed(why));
        }
        // What was committed of a topic that is gone is of no use to anybody.
        committed.keys().filter(|one| !logs.is_gone(&one.topic)).cloned().collect()
    } else {
        let mut partitions = BTreeSet::new();
        for chosen in &options.scope.topics {
            let there = match logs.topic(&chosen.topic) {
                Some(Ok(there)) => there,
                Some(Err(error)) => return Err(error.clone().into()),
                None => return Err(Failure::failed(format!("topic '{}' was not described", chosen.topic))),
            };
            if let Some(missing) = chosen.partitions.iter().find(|index| !there.contains_key(index)) {
                let (topic, count) = (&chosen.topic, there.len());
                return Err(Failure::failed(format!(
                    "topic '{topic}' has {count} partitions, and no {missing} among them"
                )));
            }
            let wanted = |index: &&i32| chosen.partitions.is_empty() || chosen.partitions.contains(index);
            let indexes = there.keys().filter(wanted);
            partitions.extend(indexes.map(|index| TopicPartition::new(chosen.topic.as_str(), *index)));
        }
        partitions
    };
    if partitions.is_empty() {
        return Err(Failure::failed(format!(
            "group '{group}' has committed nothing: --topic says what it is to read"
        )));
    }
    match partitions.iter().find(|one| !logs.is_led(one)) {
        Some(TopicPartition { topic, partition, .. }) => Err(Failure::failed(format!(
            "topic '{topic}', partition {partition} has no leader, so nobody knows its offsets: are enough brokers up?"
        ))),
        None => Ok(partitions),
    }
}

/// Where each partition is to be, and what is to be told of it.
async fn plan(
    target: Target,
    partitions: &BTreeSet<TopicPartition>,
    committed: &BTreeMap<TopicPartition, i64>,
    logs: &Logs,
) -> Outcome<(Vec<Step>, Vec<String>)> {
    let beginnings = logs.beginnings(partitions).await?;
    let ends = logs.ends(partitions).await?;
    let at_time = match target.time() {
        Some(time_ms) => logs.at(partitions, time_ms).await?,
        None => BTreeMap::new(),
    };
    let (mut steps, mut remarks) = (Vec::new(), Vec::new());
    for partition in partitions {
        let committed = committed.get(partition).copied();
        let told = |offsets: &BTreeMap<TopicPartition, i64>| {
            let nobody = || Failure::failed(format!("{partition}: nobody tells where it begins and ends"));
            offsets.get(partition).copied().ok_or_else(nobody)
        };
        let extent = Extent {
            beginning: told(&beginnings)?,
            end: told(&ends)?,
            committed,
            at_time: at_time.get(partition).copied().flatten(),
        };
        let (new, remark) = target.offset(extent).map_err(|why| {
            Failure::failed(format!("topic '{}', partition {}: {why}", partition.topic, partition.partition))
        })?;
        remarks.extend(
            remark.map(|text| {
                format!("topic '{}', partition {}: {text}", partition.topic, partition.partition)
            }),
        );
        steps.push(Step { partition: partition.clone(), committed, new });
    }
    Ok((steps, remarks))
}

fn show(options: &Options, steps: &[Step]) -> Outcome {
    let cells = |step: &Step| {
        vec![
            options.group.clone(),
            step.partition.topic.to_string(),
            step.partition.partition.to_string(),
            table::or_dash(step.committed),
            step.new.to_string(),
        ]
    };
    if options.json {
        for Step { partition, committed, new } in steps {
            let line = json!({
                "group": options.group,
                "topic": partition.topic.as_str(),
                "partition": partition.partition,
                "current_offset": committed,
                "new_offset": new,
                "executed": options.execute,
            });
            output::print(&line.to_string())?;
        }
        return Ok(());
    }
    output::print(&table::render(&COLUMNS, &steps.iter().map(cells).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_comes_with_partitions_or_without() {
        let chosen = |topic: &str, partitions: &[i32]| {
            Ok(Chosen { topic: topic.to_owned(), partitions: partitions.iter().copied().collect() })
        };
        assert_eq!(parse_topic("orders"), chosen("orders", &[]));
        assert_eq!(parse_topic("orders:2,0"), chosen("orders", &[0, 2]));
        for wrong in ["", ":1", "orders:", "orders:x", "orders:1,", "orders:-1"] {
            assert!(parse_topic(wrong).is_err(), "{wrong}");
        }
    }
}
