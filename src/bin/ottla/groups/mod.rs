//! `ottla groups`: which groups there are, how far behind they are, where they are to read on, and which are to go.

mod describe;
mod logs;
mod reset;
mod table;
mod target;
mod time;

use crate::failure::{Failure, Outcome};
use crate::{connection, output};
use clap::builder::NonEmptyStringValueParser;
use ottla::Admin;
use ottla::admin::{GroupListing, GroupState, GroupType, ListGroups};
use serde_json::json;

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
    /// The groups there are; what happens when no command is given
    List(List),
    /// Where groups are in each partition, how far behind, and who reads it; as kafka-consumer-groups.sh prints it
    Describe(describe::Options),
    /// Set where a group without members reads on; only shows it unless --execute is given
    ResetOffsets(reset::Options),
    /// Delete groups without members, and all that they have committed
    Delete {
        #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
        groups: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only groups in this state, Stable or Empty for example; can be given again and again
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    states: Vec<String>,
    /// Only groups of this type: classic, consumer, share or streams; can be given again and again
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Print JSON, one group a line
    #[arg(short = 'J', long)]
    json: bool,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    match options.command.unwrap_or(Command::List(options.list)) {
        Command::List(options) => {
            let which = which(&options)?;
            list(&connection.client().await?.admin(), &which, options.json).await
        }
        Command::Describe(options) => describe::run(connection, options).await,
        Command::ResetOffsets(options) => reset::run(connection, options).await,
        Command::Delete { groups } => delete(&connection.client().await?.admin(), &groups).await,
    }
}

/// A name that is none would find nothing, and look as if there were no such groups.
fn which(options: &List) -> Outcome<ListGroups> {
    let states: Vec<GroupState> = options.states.iter().map(|name| GroupState::from(name.as_str())).collect();
    let types: Vec<GroupType> = options.types.iter().map(|name| GroupType::from(name.as_str())).collect();
    if let Some(GroupState::Other(name)) = states.iter().find(|it| matches!(it, GroupState::Other(_))) {
        return Err(Failure::usage(format!(
            "--state {name}: Stable, Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, NotReady or Dead is expected"
        )));
    }
    if let Some(GroupType::Other(name)) = types.iter().find(|it| matches!(it, GroupType::Other(_))) {
        return Err(Failure::usage(format!(
            "--type {name}: classic, consumer, share or streams is expected"
        )));
    }
    Ok(ListGroups::all().states(states).types(types))
}

async fn list(admin: &Admin, which: &ListGroups, json: bool) -> Outcome {
    let listed = admin.list_groups(which).await?;
    if json {
        for group in &listed.valid {
            output::print(&as_json(group).to_string())?;
        }
    } else {
        let rows: Vec<Vec<String>> = listed.valid.iter().map(as_row).collect();
        output::print(&table::render(&[("GROUP", 25), ("TYPE", 10), ("STATE", 20), ("PROTOCOL", 0)], &rows))?;
    }
    none_of(&listed.errors)
}

fn as_row(group: &GroupListing) -> Vec<String> {
    vec![
        group.group_id.clone(),
        table::or_dash(group.group_type.as_ref()),
        table::or_dash(group.state.as_ref()),
        table::or_dash(Some(&group.protocol_type).filter(|protocol| !protocol.is_empty())),
    ]
}

fn as_json(group: &GroupListing) -> serde_json::Value {
    json!({
        "group": group.group_id,
        "type": group.group_type.as_ref().map(GroupType::name),
        "state": group.state.as_ref().map(GroupState::name),
        "protocol_type": group.protocol_type,
    })
}

async fn delete(admin: &Admin, groups: &[String]) -> Outcome {
    let mut failed = Vec::new();
    for (group, outcome) in admin.delete_groups(groups).await {
        match outcome {
            Ok(()) => output::print(&format!("deleted {group}"))?,
            Err(error) => failed.push(of_group(&group, &error)),
        }
    }
    none_of(&failed)
}

/// What is wrong with a group, with its name: a broker that does not answer says nothing of groups.
fn of_group(group: &str, error: &ottla::Error) -> String {
    let told = error.to_string();
    if told.contains(&format!("'{group}'")) { told } else { format!("group '{group}': {told}") }
}

/// Each of these is told.
fn none_of(failed: &[impl ToString]) -> Outcome {
    if failed.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = failed.iter().map(ToString::to_string).collect();
    Err(Failure::failed(told.join("\nottla: ")))
}
