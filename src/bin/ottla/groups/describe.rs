//! `ottla groups describe`: where groups are, how far behind, and who reads what.

use super::logs::Logs;
use super::{none_of, of_group, table};
use crate::failure::{Failure, Outcome};
use crate::{connection, output};
use clap::builder::NonEmptyStringValueParser;
use ottla::admin::{GroupDescription, GroupListing, GroupMember, GroupType, ListGroups};
use ottla::{Admin, OffsetAndMetadata, TopicPartition};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[arg(required_unless_present = "all_groups", value_parser = NonEmptyStringValueParser::new())]
    groups: Vec<String>,
    /// All groups that there are
    #[arg(long, conflicts_with = "groups")]
    all_groups: bool,
    /// Print JSON, one group a line
    #[arg(short = 'J', long)]
    json: bool,
}

/// What Kafka's tool prints, in its widths.
const COLUMNS: [table::Column; 9] = [
    ("GROUP", 15),
    ("TOPIC", 15),
    ("PARTITION", 10),
    ("CURRENT-OFFSET", 15),
    ("LOG-END-OFFSET", 15),
    ("LAG", 15),
    ("CONSUMER-ID", 15),
    ("HOST", 15),
    ("CLIENT-ID", 0),
];

/// A group and what it has committed.
struct Found {
    group: GroupDescription,
    committed: BTreeMap<TopicPartition, OffsetAndMetadata>,
}

/// A partition that a group has committed something of or reads, or a member that reads nothing.
struct Row<'a> {
    partition: Option<&'a TopicPartition>,
    committed: Option<&'a OffsetAndMetadata>,
    end: Option<i64>,
    member: Option<&'a GroupMember>,
}

pub(super) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let client = connection.client().await?;
    let admin = client.admin();
    let mut failed = Vec::new();
    let names = match options.all_groups {
        false => options.groups,
        true => {
            let listed = admin.list_groups(&ListGroups::all()).await?;
            failed.extend(listed.errors.iter().map(ToString::to_string));
            // Of groups that share partitions, and of Kafka Streams', other requests would tell.
            let is_told = |group: &GroupListing| {
                !matches!(group.group_type, Some(GroupType::Share | GroupType::Streams))
            };
            listed.valid.into_iter().filter(is_told).map(|group| group.group_id).collect()
        }
    };
    let found = find(&admin, &names, &mut failed).await;
    let partitions: BTreeSet<TopicPartition> = found.iter().flat_map(Found::partitions).cloned().collect();
    let topics = partitions.iter().map(|partition| partition.topic.to_string()).collect();
    let logs = Logs::find(&client, &admin, &topics).await?;
    failed.extend(logs.failed());
    // Last, so that nobody has read more than there seems to be. Who asks may do so because brokers fail.
    let ends = match logs.ends(&partitions).await {
        Ok(ends) => ends,
        Err(Failure::Failed(why)) => {
            failed.push(why);
            BTreeMap::new()
        }
        Err(other) => return Err(other),
    };
    for (index, group) in found.iter().enumerate() {
        let rows = group.rows(&ends);
        if options.json {
            output::print(&as_json(&group.group, &rows).to_string())?;
            continue;
        }
        if !connection.is_quiet() {
            eprintln!("ottla: {}", headline(&group.group, &rows));
        }
        let cells: Vec<Vec<String>> = rows.iter().map(|row| as_cells(&group.group.group_id, row)).collect();
        let gap = if index == 0 { "" } else { "\n" };
        output::print(&format!("{gap}{}", table::render(&COLUMNS, &cells)))?;
    }
    none_of(&failed)
}

/// Groups, as far as there are such, and what they have committed; what is wrong with the others, and with single partitions.
async fn find(admin: &Admin, names: &[String], failed: &mut Vec<String>) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, described) in admin.describe_groups(names).await {
        let offsets = match &described {
            Ok(_) => admin.list_group_offsets(&name).await,
            Err(_) => Ok(BTreeMap::new()),
        };
        match (described, offsets) {
            (Ok(group), Ok(offsets)) => {
                let mut committed = BTreeMap::new();
                for (partition, outcome) in offsets {
                    match outcome {
                        Ok(offset) => drop(committed.insert(partition, offset)),
                        Err(error) => failed.push(of_group(&name, &error)),
                    }
                }
                found.push(Found { group, committed });
            }
            (Err(error), _) | (_, Err(error)) => failed.push(of_group(&name, &error)),
        }
    }
    found
}

impl Found {
    fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.committed
            .keys()
            .chain(self.group.members.iter().flat_map(|member| member.assignment.iter().flatten()))
    }

    /// By topic and partition, those that somebody reads first, as Kafka's tool has them; then members that read nothing.
    fn rows<'a>(&'a self, ends: &BTreeMap<TopicPartition, i64>) -> Vec<Row<'a>> {
        let mut readers: BTreeMap<&TopicPartition, &GroupMember> = BTreeMap::new();
        let mut idle = Vec::new();
        for member in &self.group.members {
            let assigned = member.assignment.as_deref().unwrap_or_default();
            readers.extend(assigned.iter().map(|partition| (partition, member)));
            if assigned.is_empty() {
                idle.push(Row { partition: None, committed: None, end: None, member: Some(member) });
            }
        }
        let mut partitions: Vec<&TopicPartition> = self.partitions().collect();
        partitions.sort_unstable_by_key(|partition| (!readers.contains_key(*partition), *partition));
        partitions.dedup();
        let row = |partition| Row {
            partition: Some(partition),
            committed: self.committed.get(partition),
            end: ends.get(partition).copied(),
            member: readers.get(partition).copied(),
        };
        partitions.into_iter().map(row).chain(idle).collect()
    }
}

impl Row<'_> {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?.offset).max(0))
    }
}

/// The group in one line.
fn headline(group: &GroupDescription, rows: &[Row<'_>]) -> String {
    let GroupDescription { group_id, group_type, state, assignor, coordinator, members, .. } = group;
    let assignor = assignor.as_ref().map_or(String::new(), |name| format!(", assignor {name}"));
    let coordinator = coordinator.as_ref().map_or(String::new(), |broker| {
        format!(", coordinator {} at {}:{}", broker.id, broker.host, broker.port)
    });
    let members = match members.len() {
        0 => "no members".to_owned(),
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    let lag: i64 = rows.iter().filter_map(Row::lag).sum();
    let lag = match without_lag(rows) {
        0 => format!("lag {lag} in all"),
        1 => format!("lag {lag} without 1 partition of which it is not known"),
        count => format!("lag {lag} without {count} partitions of which it is not known"),
    };
    format!("group '{group_id}': {state}, {group_type}{assignor}, {members}{coordinator}, {lag}")
}

/// Partitions of which nobody knows how far behind the group is: it has committed nothing, or their end was not told.
fn without_lag(rows: &[Row<'_>]) -> usize {
    rows.iter().filter(|row| row.partition.is_some() && row.lag().is_none()).count()
}

fn as_cells(group: &str, row: &Row<'_>) -> Vec<String> {
    let Row { partition, committed, end, member } = row;
    vec![
        group.to_owned(),
        table::or_dash(partition.map(|partition| &partition.topic)),
        table::or_dash(partition.map(|partition| partition.partition)),
        table::or_dash(committed.map(|committed| committed.offset)),
        table::or_dash(*end),
        table::or_dash(row.lag()),
        table::or_dash(member.map(|member| &member.member_id)),
        table::or_dash(member.map(|member| &member.host)),
        table::or_dash(member.map(|member| &member.client_id)),
    ]
}

fn as_json(group: &GroupDescription, rows: &[Row<'_>]) -> Value {
    let coordinator = group
        .coordinator
        .as_ref()
        .map(|broker| json!({ "id": broker.id, "host": broker.host, "port": broker.port }));
    let partitions: Vec<Value> = rows.iter().filter_map(partition_as_json).collect();
    json!({
        "group": group.group_id,
        "type": group.group_type.name(),
        "protocol_type": group.protocol_type,
        "state": group.state.name(),
        "assignor": group.assignor,
        "coordinator": coordinator,
        "group_epoch": group.group_epoch,
        "lag": rows.iter().filter_map(Row::lag).sum::<i64>(),
        "partitions_without_lag": without_lag(rows),
        "members": group.members.iter().map(member_as_json).collect::<Vec<_>>(),
        "partitions": partitions,
    })
}

fn member_as_json(member: &GroupMember) -> Value {
    json!({
        "member_id": member.member_id,
        "instance_id": member.group_instance_id,
        "client_id": member.client_id,
        "host": member.host,
        "rack": member.rack,
        "member_epoch": member.member_epoch,
        "subscription": member.subscription,
        "subscribed_regex": member.subscribed_regex,
    })
}

fn partition_as_json(row: &Row<'_>) -> Option<Value> {
    let partition = row.partition?;
    Some(json!({
        "topic": partition.topic.as_str(),
        "partition": partition.partition,
        "current_offset": row.committed.map(|committed| committed.offset),
        "leader_epoch": row.committed.and_then(|committed| committed.leader_epoch),
        "metadata": row.committed.map(|committed| &committed.metadata),
        "log_end_offset": row.end,
        "lag": row.lag(),
        "member_id": row.member.map(|member| &member.member_id),
    }))
}
