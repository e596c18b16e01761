//! `ottla bench produce`.

use super::cpu::CpuTime;
use super::figures::Figures;
use super::load::{Load, Records};
use super::summary::{self, Asked, Summary};
use super::watch::Watch;
use crate::failure::{Failure, Outcome};
use crate::signals::{Event, Interruption, Signals};
use crate::{connection, output};
use ottla::{Producer, task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The topic to send to
    #[arg(short = 't', long)]
    topic: String,
    /// How many records to send
    #[arg(short = 'c', long, value_name = "N", default_value_t = 1_000_000)]
    num_records: u64,
    /// How many bytes the value of each record has. They are random capitals, which gzip and zstd make about 0.6 of, and
    /// snappy and lz4 hardly less
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    record_size: usize,
    /// How many records are due in each second; -1 is as many as can be. With a rate, latency counts from when a record was
    /// due: that it was held up by those before it is part of it. The tool's own timer is late by some 0.1 ms, which is in
    /// it too. Without, it counts from when the record was handed over, and is mostly the time it waits for its turn in a
    /// full buffer
    #[arg(long, value_name = "RATE", default_value_t = -1, allow_negative_numbers = true)]
    #[arg(value_parser = rate)]
    throughput: i64,
    /// Give each record one of so many keys; without, they have none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: Option<u64>,
    /// So many of the records come first, and are not measured
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup_records: u64,
    /// How often to say how it goes on, in milliseconds, on standard error
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,
    /// Print the outcome as one JSON object; latencies are in milliseconds
    #[arg(long)]
    json: bool,
    /// How long an interrupted run may take to send what was handed over, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u32,
}

fn rate(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(rate) if rate == -1 || rate > 0 => Ok(rate),
        _ => Err("records a second are expected, or -1 for no limit".to_owned()),
    }
}

pub(super) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    if options.warmup_records >= options.num_records {
        return Err(Failure::usage("--warmup-records: they are some of --num-records, and not all"));
    }
    let producer = connection.client().await?.producer().build()?;
    // To get to know the topic is not what is measured.
    producer.partitions_for(&options.topic).await?;
    let asked = Asked {
        topic: options.topic,
        record_bytes: options.record_size,
        rate: u64::try_from(options.throughput).ok(),
    };
    let mut run = Run {
        records: Records::new(&asked.topic, asked.record_bytes, options.keys),
        asked,
        producer,
        interruption: Interruption::new(Signals::listen(), Duration::from_secs(options.grace.into())),
        interval: Duration::from_millis(options.reporting_interval),
        is_quiet: connection.is_quiet(),
    };
    if options.warmup_records > 0 {
        let warm_up = run.measure(0..options.warmup_records).await;
        if warm_up.failed > 0 || run.interruption.number().is_some() {
            return run.tell(&warm_up, None, options.json);
        }
    }
    let before = CpuTime::so_far();
    let figures = run.measure(options.warmup_records..options.num_records).await;
    let cpu = CpuTime::so_far().zip(before).map(|(after, before)| after.since(before));
    run.tell(&figures, cpu, options.json)
}

struct Run {
    asked: Asked,
    records: Records,
    producer: Producer,
    interruption: Interruption,
    interval: Duration,
    is_quiet: bool,
}

impl Run {
    /// Sends the records of these numbers and waits for all of them.
    async fn measure(&mut self, numbers: std::ops::Range<u64>) -> Figures {
        let stop = Arc::new(AtomicBool::new(false));
        let load = Load {
            producer: self.producer.clone(),
            records: self.records.clone(),
            numbers,
            rate: self.asked.rate,
            stop: Arc::clone(&stop),
        };
        let began = task::now();
        let mut figures = Figures::of_records(self.asked.record_bytes as u64, began);
        let mut watch = Watch::new(load.start());
        let mut next_report = task::after(began, self.interval);
        let mut given_up = false;
        loop {
            tokio::select! {
                biased;
                event = self.interruption.next(), if !given_up => {
                    stop.store(true, Ordering::Relaxed);
                    match event {
                        Event::Heard => {
                            eprintln!("ottla: waiting for what was sent; interrupt once more to give that up");
                        }
                        // What is not delivered now fails, and the watch sees it.
                        Event::Late => {
                            given_up = true;
                            let _ = self.producer.close(Duration::ZERO).await;
                        }
                    }
                }
                () = task::sleep_until(next_report) => {
                    next_report = task::after(next_report, self.interval);
                    let recent = figures.take_recent();
                    if !self.is_quiet {
                        eprintln!("{}", summary::interim(&recent, "acknowledged"));
                    }
                }
                () = watch.end(&mut figures) => return figures,
            }
        }
    }

    /// Says what it came to.
    fn tell(&self, figures: &Figures, cpu: Option<CpuTime>, json: bool) -> Outcome {
        let summary = Summary { asked: &self.asked, figures, cpu };
        output::print(&if json { summary.json().to_string() } else { summary.text() })?;
        match (self.interruption.number(), figures.failed) {
            (Some(number), _) => Err(Failure::Signal(number)),
            (None, 0) => Ok(()),
            (None, failed) => {
                let all = failed.saturating_add(figures.done);
                Err(Failure::failed(format!("{failed} of {all} records were not delivered")))
            }
        }
    }
}
