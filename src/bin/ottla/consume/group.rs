//! `ottla consume -G`: a [`Member`] of a consumer group that prints what it is given.
//!
//! A record is done when it was written to standard output: whatever ends the command, what was written is committed and
//! nothing else is, and the group is left. So each batch is written before the next one is asked for.

use super::format::Format;
use super::leaders::Leaders;
use super::{Options, be_modest};
use crate::connection;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals::Signals;
use ottla::config::ConsumerConfig;
use ottla::consumer::{Rebalance, RebalanceKind};
use ottla::{Batch, Client, Consumer, ErrorKind, Start, TopicPartition, task};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

/// How long the last commit and leaving may take. Who does not want to wait asks for the end once more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to look whether the ends were reached by something that no batch tells: control records, holes of compaction.
const LOOK: Duration = Duration::from_millis(100);

/// Reads as a member of the group until there is enough, or a signal.
pub(super) async fn run(
    connection: &connection::Options,
    options: &Options,
    group: &str,
    mut signals: Signals,
    output: &mut Output,
) -> Outcome {
    check(options)?;
    let mut member = tokio::select! {
        biased;
        number = signals.received() => return Err(Failure::Signal(number)),
        joined = Member::join(connection, options, group) => joined?,
    };
    let outcome = tokio::select! {
        biased;
        number = signals.received() => Err(Failure::Signal(number)),
        outcome = member.read(options, output) => outcome,
    };
    member.leave(outcome).await
}

/// What the group decides is nobody else's to say.
fn check(options: &Options) -> Outcome {
    if !options.positions.is_empty() {
        return Err(Failure::usage(
            "-o: a group goes on from what it has committed. `ottla groups reset-offsets` sets that, and \
             -X auto.offset.reset=earliest or latest says where to begin when there is nothing yet",
        ));
    }
    if !options.partitions.is_empty() {
        return Err(Failure::usage(
            "-p: a group gives each member its partitions; without -G they are chosen",
        ));
    }
    Ok(())
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    client: Client,
    consumer: Consumer,
    format: Format,
    progress: Progress,
    /// Where to stop, if there is an end.
    ends: Option<Ends>,
    /// The first record of the batch in hand that was not surely written.
    unwritten: Option<(TopicPartition, i64)>,
}

impl Member {
    async fn join(connection: &connection::Options, options: &Options, group: &str) -> Outcome<Member> {
        let mut settings = connection.settings()?;
        be_modest(&mut settings)?;
        settings.set("group.id", group)?;
        // What is wrong with them is told before a cluster is asked for anything.
        ConsumerConfig::from_settings(&settings)?;
        let client = connection::connect(settings).await?;
        let mut leaders = Leaders::default();
        // One that is not there would be waited for in silence.
        for topic in options.topics.iter().filter(|topic| !topic.starts_with('^')) {
            leaders.learn(topic, &client.admin().partitions_for(topic).await?);
        }
        let mut builder = client.consumer().subscribe(options.topics.iter().map(String::as_str));
        if !connection.is_quiet() {
            let (group, said) = (group.to_owned(), Mutex::new(String::new()));
            builder = builder.on_rebalance(move |rebalance| {
                let news = told(&rebalance);
                // Nothing new is of interest once.
                if let Ok(mut said) = said.lock()
                    && *said != news
                {
                    eprintln!("ottla: group '{group}': {news}");
                    *said = news;
                }
                std::future::ready(())
            });
        }
        Ok(Member {
            consumer: builder.build().await?,
            client,
            format: Format::new(options, leaders),
            progress: Progress::new(connection.shows_progress() && !std::io::stdout().is_terminal(), None),
            ends: options.exit.then(Ends::default),
            unwritten: None,
        })
    }

    async fn read(&mut self, options: &Options, output: &mut Output) -> Outcome {
        let mut left = options.count.unwrap_or(u64::MAX);
        while left > 0 && !self.is_at_end().await? {
            let Some(batch) = self.next().await? else { continue };
            let first = batch.iter().next().map(|record| record.offset());
            self.unwritten = first.map(|offset| (batch.topic_partition().clone(), offset));
            self.learn_leaders(batch.topic()).await;
            left -= self.print(&batch, left, options.unbuffered, output)?;
        }
        Ok(())
    }

    async fn is_at_end(&mut self) -> Outcome<bool> {
        match &mut self.ends {
            Some(ends) => ends.are_reached(&self.consumer).await,
            None => Ok(false),
        }
    }

    /// The next batch; `None` when it is time to look around.
    async fn next(&mut self) -> Outcome<Option<Batch>> {
        let polled = match &self.ends {
            Some(_) => task::until(task::after(task::now(), LOOK), self.consumer.poll()).await,
            None => Some(self.consumer.poll().await),
        };
        match polled.transpose() {
            Ok(batch) => Ok(batch.flatten()),
            // Whoever reads our output took that long. The log has told of it, and with the next call the group is joined again.
            Err(error) if error.kind() == ErrorKind::MaxPollExceeded => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks up who leads the partitions of a topic that a pattern has found, if that is to be printed.
    async fn learn_leaders(&mut self, topic: &str) {
        let Some(leaders) = self.format.leaders().filter(|leaders| !leaders.know(topic)) else { return };
        // A leader that is not known keeps no record from being printed.
        let partitions = self.client.admin().partitions_for(topic).await.unwrap_or_default();
        leaders.learn(topic, &partitions);
    }

    /// Writes the records of a batch, `left` of them at most. How many.
    fn print(&mut self, batch: &Batch, left: u64, unbuffered: bool, output: &mut Output) -> Outcome<u64> {
        let place = |offset| (batch.topic_partition().clone(), offset);
        let (mut printed, mut bytes) = (0, 0);
        let mut records = batch.iter();
        while printed < left
            && let Some(record) = records.next()
        {
            let before = output.buffer().len();
            self.format.print(&record, output.buffer());
            bytes += output.buffer().len() - before;
            printed += 1;
            if unbuffered {
                output.flush()?
            } else {
                output.spill()?
            }
            if output.buffer().is_empty() {
                self.unwritten = Some(place(record.offset().saturating_add(1)));
            }
        }
        output.flush()?;
        self.unwritten = records.next().map(|record| place(record.offset()));
        self.progress.add(printed, u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(printed)
    }

    /// Commits what was written, and leaves the group.
    async fn leave(mut self, outcome: Outcome) -> Outcome {
        self.progress.finish();
        if let Some((partition, offset)) = self.unwritten.take() {
            // If it was taken away meanwhile it is read again by another member.
            let _ = self.consumer.seek(&partition, Start::Offset(offset));
        }
        let Err(error) = self.consumer.close(CLOSE_TIMEOUT).await else { return outcome };
        let told = format!("what was printed last may be printed again by the group: {error}");
        match outcome {
            Ok(()) => Err(Failure::failed(told)),
            Err(_) => {
                eprintln!("ottla: {told}");
                outcome
            }
        }
    }
}

/// What a rebalance has come to, in kcat's words.
fn told(rebalance: &Rebalance) -> String {
    let what = match rebalance.kind() {
        RebalanceKind::Assigned => "assigned",
        RebalanceKind::Revoked => "revoked",
        _ => "lost",
    };
    let partitions: Vec<String> = rebalance
        .partitions()
        .iter()
        .map(|partition| format!("{} [{}]", partition.topic.as_str(), partition.partition))
        .collect();
    if partitions.is_empty() {
        format!("{what} nothing new")
    } else {
        format!("{what} {}", partitions.join(", "))
    }
}

/// Where the member's partitions end, as it was when it got them.
#[derive(Debug, Default)]
struct Ends(BTreeMap<TopicPartition, i64>);

impl Ends {
    /// Whether all partitions that the member has were read up to there. While it has none there may be some to come.
    async fn are_reached(&mut self, consumer: &Consumer) -> Outcome<bool> {
        let assigned = consumer.assigned();
        self.0.retain(|partition, _| assigned.binary_search(partition).is_ok());
        let is_new = |partition: &&TopicPartition| !self.0.contains_key(*partition);
        let new: Vec<TopicPartition> = assigned.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            self.0.extend(consumer.end_offsets(&new).await?);
        }
        let is_reached = |(partition, end): (&TopicPartition, &i64)| {
            consumer
                .position(partition)
                .is_ok_and(|position| position.is_some_and(|position| position >= *end))
        };
        Ok(!self.0.is_empty() && self.0.iter().all(is_reached))
    }
}
