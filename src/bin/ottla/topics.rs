//! `ottla topics`: what there is, what is to be, what is to go.

use crate::failure::{Failure, Outcome};
use crate::{connection, output};
use ottla::admin::{PartitionInfo, TopicInfo};
use ottla::{Admin, NewTopic};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The cluster, its brokers and its topics; what happens when no command is given
    List(List),
    /// Topics with their partitions, leaders and replicas
    Describe {
        #[arg(required = true)]
        topics: Vec<String>,
        /// Print JSON, one topic a line
        #[arg(short = 'J', long)]
        json: bool,
    },
    /// Create topics
    Create {
        #[arg(required = true)]
        topics: Vec<String>,
        /// How many partitions; the cluster's default when not given
        #[arg(short = 'p', long, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// How many replicas of each; the cluster's default when not given
        #[arg(short = 'r', long, value_parser = clap::value_parser!(i16).range(1..))]
        replication_factor: Option<i16>,
        /// A setting of the topics; can be given again and again
        #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
        configs: Vec<String>,
    },
    /// Delete topics and everything in them
    Delete {
        #[arg(required = true)]
        topics: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Show Kafka's own topics too
    #[arg(long)]
    internal: bool,
    /// Print JSON, one topic a line
    #[arg(short = 'J', long)]
    json: bool,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let command = options.command.unwrap_or(Command::List(options.list));
    let wanted = match &command {
        Command::Create { topics, partitions, replication_factor, configs } => {
            new_topics(topics, *partitions, *replication_factor, configs)?
        }
        _ => Vec::new(),
    };
    let admin = connection.client().await?.admin();
    match command {
        Command::List(options) => list(&admin, &options).await,
        Command::Describe { topics, json } => describe(&admin, &topics, json).await,
        Command::Create { .. } => tell(admin.create_topics(wanted).await?, "created"),
        Command::Delete { topics } => tell(admin.delete_topics(topics).await?, "deleted"),
    }
}

fn new_topics(
    names: &[String],
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    configs: &[String],
) -> Outcome<Vec<NewTopic>> {
    let mut pairs = Vec::new();
    for pair in configs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("-c {pair}: KEY=VALUE is expected")));
        };
        pairs.push((key, value));
    }
    let wanted = names.iter().map(|name| {
        let topic = NewTopic::named(name);
        let topic = partitions.into_iter().fold(topic, NewTopic::partitions);
        let topic = replication_factor.into_iter().fold(topic, NewTopic::replication_factor);
        pairs.iter().fold(topic, |topic, (key, value)| topic.config(*key, *value))
    });
    Ok(wanted.collect())
}

fn tell(outcomes: BTreeMap<String, ottla::Result<()>>, done: &str) -> Outcome {
    let mut failed = Vec::new();
    for (topic, outcome) in outcomes {
        match outcome {
            Ok(()) => output::print(&format!("{done} {topic}"))?,
            Err(error) => failed.push(error),
        }
    }
    none_of(&failed)
}

/// Each of these is told.
fn none_of(failed: &[ottla::Error]) -> Outcome {
    if failed.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = failed.iter().map(ToString::to_string).collect();
    Err(Failure::failed(told.join("\nottla: ")))
}

async fn list(admin: &Admin, options: &List) -> Outcome {
    let mut topics = admin.list_topics().await?;
    topics.retain(|topic| options.internal || !topic.is_internal);
    let mut lines: Vec<String> = Vec::new();
    if options.json {
        lines.extend(topics.iter().map(|topic| as_json(topic).to_string()));
    } else {
        let cluster = admin.describe_cluster().await?;
        lines.push(format!("cluster {}", cluster.cluster_id.as_deref().unwrap_or("without an id")));
        for broker in &cluster.brokers {
            let controller = if cluster.controller == Some(broker.id) { " (controller)" } else { "" };
            let rack = broker.rack.as_ref().map_or(String::new(), |rack| format!(", rack {rack}"));
            lines.push(format!("broker {} at {}:{}{rack}{controller}", broker.id, broker.host, broker.port));
        }
        lines.push(counted(topics.len(), "topic"));
        lines.extend(topics.iter().map(as_line));
    }
    if lines.is_empty() { Ok(()) } else { output::print(&lines.join("\n")) }
}

async fn describe(admin: &Admin, names: &[String], json: bool) -> Outcome {
    let mut failed = Vec::new();
    for (_, outcome) in admin.describe_topics(names).await? {
        match outcome {
            Ok(topic) if json => output::print(&as_json(&topic).to_string())?,
            Ok(topic) => output::print(&as_text(&topic))?,
            Err(error) => failed.push(error),
        }
    }
    none_of(&failed)
}

fn as_line(topic: &TopicInfo) -> String {
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    let mut line = format!(
        "  {}: {}, {}",
        topic.name,
        counted(topic.partitions.len(), "partition"),
        counted(replicas, "replica")
    );
    let leaderless = topic.partitions.iter().filter(|partition| partition.leader.is_none()).count();
    if leaderless > 0 {
        let _ = write!(line, ", {leaderless} WITHOUT A LEADER");
    }
    line
}

fn as_text(topic: &TopicInfo) -> String {
    let id = topic.id.as_ref().map_or(String::new(), |id| format!(", id {id}"));
    let mut lines =
        vec![format!("topic {}: {}{id}", topic.name, counted(topic.partitions.len(), "partition"))];
    for partition in &topic.partitions {
        let PartitionInfo { index, leader, replicas, isr, .. } = partition;
        let leader = leader.map_or("NONE".to_owned(), |id| id.to_string());
        lines.push(format!(
            "  partition {index}: leader {leader}, replicas {}, in sync {}",
            ids(replicas),
            ids(isr)
        ));
    }
    lines.join("\n")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn as_json(topic: &TopicInfo) -> serde_json::Value {
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| {
            json!({
                "partition": partition.index,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "isr": partition.isr,
                "offline": partition.offline,
            })
        })
        .collect();
    json!({ "topic": topic.name, "id": topic.id, "internal": topic.is_internal, "partitions": partitions })
}
