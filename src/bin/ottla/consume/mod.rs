//! `ottla consume`: prints records, as text or as JSON, from where one likes to where one likes.
//!
//! [`range`] decides what is to be read, `read` reads it batch by batch, [`format`] prints: by a [`template`] or as [`json`].
//! What is printed collects in a buffer that is let out when it is large, and before each wait. With `-G` a [`group`] decides
//! what is to be read, and its [`Member`](group::Member) reads it.

mod format;
mod group;
mod json;
mod leaders;
mod position;
mod range;
mod template;

use crate::ends::Ends;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{connection, delimiter};
use format::Format;
use ottla::config::{ConfigError, Settings};
use ottla::{Batch, Consumer};
use position::Position;
use range::Range;
use std::future::poll_fn;
use std::io::IsTerminal;
use std::pin::pin;
use std::task::Poll;
use template::Template;

/// The bytes of a delimiter; the path keeps clap from taking each byte for an argument of its own.
type Delimiter = std::vec::Vec<u8>;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The topic to read; with -G as many as there are to be, and a name that begins with ^ is a pattern for whole names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Read as a member of this consumer group: it shares the topics' partitions among its members, goes on from what it has
    /// committed (where there is nothing yet, at the end: -X auto.offset.reset=earliest begins at the beginning), and
    /// commits what was written to standard output. -X group.protocol=consumer is the protocol of KIP-848, -X
    /// enable.auto.commit=false commits nothing
    #[arg(short = 'G', long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    group: Option<String>,
    /// A partition to read; can be given again and again. All of them when none is given
    #[arg(short = 'p', long = "partition", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Where to begin: beginning (the default), end, OFFSET, -N for the last N of each partition, s@MS for a time. And
    /// where to end: e@MS, before the first record of that time, or at the end as it is now where there is none yet
    #[arg(short = 'o', long = "offset", value_name = "POSITION", allow_hyphen_values = true)]
    #[arg(value_parser = Position::parse)]
    positions: Vec<Position>,
    /// Stop at the end, as it is when the command begins; in a group at the end of all partitions that it has given, as it
    /// is then
    #[arg(short = 'e', long)]
    exit: bool,
    /// Print this many records and end
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Print each record as kcat -J prints it, an object with topic, partition, offset, tstype, ts, broker, headers (if there are
    /// any, names and values in turn), key and payload, as `ottla produce -J` reads it. What is not UTF-8 is
    /// {"base64":".."}, where kcat's line would be no JSON. broker is the one that led the partition when the command began
    #[arg(short = 'J', long, conflicts_with_all = ["key_delimiter", "format"])]
    json: bool,
    #[arg(short = 'f', long, value_name = "FORMAT", value_parser = Template::parse, help = template::help())]
    format: Option<Template>,
    /// Print the key, and this, before the value
    #[arg(short = 'K', long, value_name = "DELIMITER", value_parser = delimiter::parse_for_output)]
    key_delimiter: Option<Delimiter>,
    /// What to print after each record; can be empty
    #[arg(short = 'D', long, value_name = "DELIMITER", default_value = r"\n")]
    #[arg(value_parser = delimiter::parse_for_output)]
    delimiter: Delimiter,
    /// Print null keys and values as NULL and not as nothing, which empty ones are. In JSON they are null in any case
    #[arg(short = 'Z', long)]
    null_marker: bool,
    /// Write each record at once, even when more are there
    #[arg(short = 'u', long)]
    unbuffered: bool,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut signals = Signals::listen();
    let mut output = Output::default();
    if let Some(group) = &options.group {
        return group::run(connection, &options, group, signals, &mut output).await;
    }
    let outcome = tokio::select! {
        biased;
        number = signals.received() => Err(Failure::Signal(number)),
        outcome = read(connection, &options, &mut output) => outcome,
    };
    // Also what was read before an error is worth printing.
    output.flush()?;
    outcome
}

async fn read(connection: &connection::Options, options: &Options, output: &mut Output) -> Outcome {
    let mut settings = connection.settings()?;
    be_modest(&mut settings)?;
    // A beginning that went by while it was looked up is no error.
    if !settings.is_set("auto.offset.reset") {
        settings.set("auto.offset.reset", "earliest")?;
    }
    // To look is not to commit, to whatever group the environment names.
    settings.set("enable.auto.commit", "false")?;
    let client = connection::connect(settings).await?;
    let mut consumer = client.consumer().build().await?;
    let mut range = Range::find(&client, &consumer, options).await?;
    if let Some(remark) = range.remark(connection.is_quiet()) {
        eprintln!("ottla: {remark}");
    }
    consumer.assign(range.starts())?;
    let format = Format::new(options, range.leaders());
    let mut progress = Progress::new(connection.shows_progress() && !std::io::stdout().is_terminal(), None);
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 && !range.is_done() {
        let Some(batch) = next(&mut consumer, output, range.ends()).await? else { continue };
        let end = range.end_of(&batch);
        let (mut records, mut bytes) = (0, 0);
        for record in &batch {
            if left == 0 || record.offset() >= end {
                break;
            }
            let before = output.buffer().len();
            format.print(&record, output.buffer());
            bytes += output.buffer().len() - before;
            records += 1;
            left -= 1;
            if options.unbuffered { output.flush()? } else { output.spill()? }
        }
        progress.add(records, u64::try_from(bytes).unwrap_or(u64::MAX));
        if let Some(ends) = range.ends() {
            ends.passed(&batch, &mut consumer);
        }
    }
    output.flush()?;
    progress.finish();
    Ok(())
}

/// The next batch, or `None` after a while without one. Before it waits it lets out what is there to be seen.
async fn next(
    consumer: &mut Consumer,
    output: &mut Output,
    ends: Option<&mut Ends>,
) -> Outcome<Option<Batch>> {
    let at_once = {
        let mut poll = pin!(consumer.poll());
        poll_fn(|cx| Poll::Ready(poll.as_mut().poll(cx))).await
    };
    if let Poll::Ready(batch) = at_once {
        return Ok(batch?);
    }
    output.flush()?;
    match ends {
        Some(ends) => ends.next(consumer).await,
        None => Ok(consumer.poll().await?),
    }
}

/// Fetches less ahead than a service would, unless somebody has said how much, and creates nothing.
fn be_modest(settings: &mut Settings) -> Result<(), ConfigError> {
    let modest = [
        ("queued.max.messages.kbytes", "8192"),
        ("fetch.max.bytes", "2097152"),
        // To look is not to create.
        ("allow.auto.create.topics", "false"),
    ];
    for (key, value) in modest {
        if !settings.is_set(key) {
            settings.set(key, value)?;
        }
    }
    Ok(())
}
