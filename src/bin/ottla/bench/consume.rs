//! `ottla bench consume`.

use super::consumed::Consumed;
use super::cpu::CpuTime;
use super::figures::Figures;
use super::summary;
use crate::ends::Ends;
use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::{connection, output};
use ottla::consumer::TimestampType;
use ottla::{Batch, Client, Consumer, Start, TopicPartition, task};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The topic to read
    #[arg(short = 't', long)]
    topic: String,
    /// How many records to read. Without, all that are there when it begins; with --from-latest until Ctrl-C
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    num_records: Option<u64>,
    /// Read what is written from now on, in place of what is there. That alone tells how long records take: a record of
    /// which it is not known when it could have been had has no latency. It counts from the time in the record, which the
    /// producer gives (CreateTime) or the broker (LogAppendTime), in whole milliseconds and by that machine's clock, to when
    /// it was handed out by ours
    #[arg(long)]
    from_latest: bool,
    /// How long to wait for the next record before giving up, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// How often to say how it goes on, in milliseconds, on standard error
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,
    /// Print the outcome as one JSON object; latencies are in milliseconds
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut settings = connection.settings()?;
    // To look is not to create; and a beginning that went by while it was looked up is no error.
    for (key, value) in [("allow.auto.create.topics", "false"), ("auto.offset.reset", "earliest")] {
        if !settings.is_set(key) {
            settings.set(key, value)?;
        }
    }
    // Nor is it to commit, to whatever group the environment names.
    settings.set("enable.auto.commit", "false")?;
    let mut signals = Signals::listen();
    let client = connection::connect(settings).await?;
    let mut consumer = client.consumer().build().await?;
    // Where everything is, is asked before: it is not what is measured.
    let (starts, ends) = places(&client, &consumer, &options).await?;
    let before = CpuTime::so_far();
    let mut run = Run::new(&options, connection.is_quiet(), ends);
    consumer.assign(starts)?;
    let outcome = tokio::select! {
        biased;
        number = signals.received() => Err(Failure::Signal(number)),
        outcome = run.measure(&mut consumer) => outcome,
    };
    let cpu = CpuTime::so_far().zip(before).map(|(after, before)| after.since(before));
    let Run { figures, fresh, time, .. } = &run;
    let consumed = Consumed { topic: &options.topic, figures, fresh: *fresh, time: *time, cpu };
    output::print(&if options.json { consumed.json().to_string() } else { consumed.text() })?;
    outcome
}

/// Where each partition is read from, and where reading ends unless it ends by number.
async fn places(
    client: &Client,
    consumer: &Consumer,
    options: &Options,
) -> Outcome<(Vec<(TopicPartition, Start)>, Option<Ends>)> {
    let there = client.admin().partitions_for(&options.topic).await?;
    let partitions: Vec<TopicPartition> = there
        .into_iter()
        .map(|partition| TopicPartition::new(options.topic.as_str(), partition.index))
        .collect();
    let mut ends = consumer.end_offsets(&partitions).await?;
    let starts =
        if options.from_latest { ends.clone() } else { consumer.beginning_offsets(&partitions).await? };
    ends.retain(|partition, end| starts.get(partition).is_none_or(|start| start < end));
    let is_open = options.from_latest || options.num_records.is_some();
    let starts = starts.into_iter().map(|(partition, offset)| (partition, Start::Offset(offset)));
    Ok((starts.collect(), (!is_open).then(|| Ends::new(ends))))
}

struct Run {
    left: u64,
    ends: Option<Ends>,
    patience: Duration,
    interval: Duration,
    is_quiet: bool,
    /// When it began, in milliseconds since 1970.
    began_ms: i64,
    next_report: Instant,
    figures: Figures,
    fresh: u64,
    time: TimestampType,
}

impl Run {
    fn new(options: &Options, is_quiet: bool, ends: Option<Ends>) -> Run {
        let (now, interval) = (task::now(), Duration::from_millis(options.reporting_interval));
        Run {
            left: options.num_records.unwrap_or(u64::MAX),
            ends,
            patience: Duration::from_millis(options.timeout),
            interval,
            is_quiet,
            began_ms: task::wall_ms(),
            next_report: task::after(now, interval),
            figures: Figures::new(now),
            fresh: 0,
            time: TimestampType::CreateTime,
        }
    }

    /// Reads until there is enough.
    async fn measure(&mut self, consumer: &mut Consumer) -> Outcome {
        let mut gives_up = task::after(task::now(), self.patience);
        while self.left > 0 && self.ends.as_ref().is_none_or(|ends| !ends.are_reached()) {
            let wakes = gives_up.min(self.next_report);
            let next = async {
                match &mut self.ends {
                    Some(ends) => ends.next(consumer).await,
                    None => Ok(consumer.poll().await?),
                }
            };
            let batch = task::until(wakes, next).await.transpose()?.flatten();
            let now = task::now();
            if let Some(batch) = &batch {
                gives_up = task::after(now, self.patience);
                self.look(batch, now);
                if let Some(ends) = &mut self.ends {
                    ends.passed(batch, consumer);
                }
            }
            self.report(now);
            if now >= gives_up {
                return Err(Failure::failed(format!("no record came for {} ms", self.patience.as_millis())));
            }
        }
        Ok(())
    }

    /// Looks at each record, as somebody would who has a use for it.
    fn look(&mut self, batch: &Batch, now: Instant) {
        let end = self.ends.as_ref().map_or(i64::MAX, |ends| ends.of(batch.topic_partition()));
        let now_ms = task::wall_ms();
        let (mut records, mut bytes) = (0_u64, 0);
        for record in batch {
            if self.left == 0 || record.offset() >= end {
                break;
            }
            self.left -= 1;
            records += 1;
            bytes += record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
            let written_ms = record.timestamp_ms();
            if written_ms >= self.began_ms {
                self.fresh += 1;
                self.time = record.timestamp_type();
                let latency = u64::try_from(now_ms.saturating_sub(written_ms)).unwrap_or(0);
                self.figures.took(Duration::from_millis(latency));
            }
        }
        self.figures.done(records, bytes as u64, now);
    }

    fn report(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        self.next_report = task::after(now, self.interval);
        let recent = self.figures.take_recent();
        if !self.is_quiet {
            eprintln!("{}", summary::interim(&recent, "read"));
        }
    }
}
