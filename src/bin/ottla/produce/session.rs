//! [`Session`]: one run of the command, from the first line to the last delivery.
//!
//! A first signal ends the reading. What was read is then sent, within a time of grace; what is not delivered by the end of
//! it is given up and counted. A second signal ends the process at once.

use super::input::{self, Input, Piece};
use super::line::Format;
use super::report::{self, Place, Reports};
use super::window::Window;
use crate::failure::{Failure, Outcome};
use crate::signals::{Event, Interruption, Signals};
use bytes::Bytes;
use ottla::{Error, ErrorKind, Producer, Record};
use std::pin::pin;
use std::time::Duration;

/// One run of the command.
pub(super) struct Session {
    format: Format,
    producer: Producer,
    window: Window,
    interruption: Interruption,
    delimiter: Vec<u8>,
    /// `max.request.size`.
    limit: usize,
    /// How many records may still be sent.
    left: u64,
    skips_malformed: bool,
    /// The line at hand.
    place: Place,
}

/// Why no more lines are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are none, or enough were sent.
    Done,
    /// What failed would fail for the next line as well.
    Broken,
    /// The time of grace is over.
    Late,
}

impl Session {
    pub(super) fn new(
        format: Format,
        producer: Producer,
        window: Window,
        signals: Signals,
        grace: Duration,
    ) -> Session {
        Session {
            format,
            producer,
            window,
            interruption: Interruption::new(signals, grace),
            delimiter: b"\n".to_vec(),
            limit: usize::MAX,
            left: u64::MAX,
            skips_malformed: false,
            place: Place::default(),
        }
    }

    /// What ends a line, and how long a record may be.
    pub(super) fn delimited(self, delimiter: Vec<u8>, limit: usize) -> Session {
        Session { delimiter, limit, ..self }
    }

    /// Ends after so many records.
    pub(super) fn counting(self, count: Option<u64>) -> Session {
        Session { left: count.unwrap_or(u64::MAX), ..self }
    }

    pub(super) fn skipping_malformed(self, skips_malformed: bool) -> Session {
        Session { skips_malformed, ..self }
    }

    pub(super) async fn run(mut self, mut input: Input) -> Outcome {
        let end = self.take(&mut input).await;
        self.settle().await;
        if end == End::Late {
            self.count_unsent(&mut input).await;
        }
        let signal = self.interruption.number();
        let mut reports = self.window.into_reports();
        reports.finish();
        match (end, signal) {
            // What failed was told line by line.
            (_, Some(number)) => {
                let verdict = match reports.are_bad() {
                    true => reports.verdict(),
                    false => "all that was read is delivered".to_owned(),
                };
                reports.say(&format!("interrupted: {verdict}"));
                Err(Failure::Signal(number))
            }
            (End::Broken, _) => {
                Err(Failure::failed(format!("{}; the rest of the input was not sent", reports.verdict())))
            }
            _ if reports.are_bad() => Err(Failure::failed(reports.verdict())),
            _ => Ok(()),
        }
    }

    /// Takes lines until there is a reason to take no more.
    async fn take(&mut self, input: &mut Input) -> End {
        while !self.window.is_broken() {
            let piece = tokio::select! {
                biased;
                event = self.interruption.next() => {
                    if event == Event::Late {
                        return End::Late;
                    }
                    hear(self.window.reports());
                    input.stop();
                    continue;
                }
                piece = input.next() => piece,
                () = self.window.settle_one(), if !self.window.is_empty() => continue,
            };
            let end = match piece {
                Some(piece) => self.take_piece(piece, input).await,
                None => Some(End::Done),
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Broken
    }

    async fn take_piece(&mut self, piece: Piece, input: &mut Input) -> Option<End> {
        match piece {
            Piece::Source(source) => self.place = Place { source, line: 0 },
            Piece::TooLong(size) => {
                self.place.line += 1;
                let error = ErrorKind::RecordTooLarge { size, limit: self.limit };
                self.window.reports().refused(self.place, &Error::new(error, "read the line"));
            }
            Piece::FileTooLong(size) => {
                let error = ErrorKind::RecordTooLarge { size, limit: self.limit };
                let error =
                    Error::new(error, "read the file as one record").hint("-l sends each of its lines");
                self.window.reports().refused(self.place, &error);
            }
            Piece::Unreadable(why) => {
                self.window.reports().refused(self.place, &why);
                return Some(End::Broken);
            }
            Piece::File(content) => {
                let bytes = content.len();
                let end = self.send(content, input).await;
                self.window.reports().progress(1, bytes);
                return end;
            }
            Piece::Lines(mut lines) => {
                let bytes = lines.len();
                let before = self.left;
                let mut end = None;
                while end.is_none() && !lines.is_empty() {
                    let line = input::first_line(&mut lines, &self.delimiter);
                    self.place.line += 1;
                    end = self.send(line, input).await;
                }
                if end == Some(End::Late) {
                    self.window.reports().unsent(input::count_lines(lines, &self.delimiter));
                }
                self.window.sweep();
                self.window.reports().flush();
                self.window.reports().progress(before - self.left, bytes);
                return end;
            }
        }
        None
    }

    async fn send(&mut self, line: Bytes, input: &mut Input) -> Option<End> {
        if self.left == 0 {
            return Some(End::Done);
        }
        let made = match self.format.record(line.clone()) {
            Ok(made) => made,
            Err(why) => {
                self.window.reports().refused(self.place, &why);
                return (!self.skips_malformed).then_some(End::Broken);
            }
        };
        let outcome = self.queue(made.record, input).await;
        match outcome {
            Some(Ok(delivery)) => {
                self.left -= 1;
                self.window.reports().sent(&line, &self.delimiter);
                self.window.push(self.place, made.bytes, delivery);
                if !self.make_room(input).await {
                    return Some(End::Late);
                }
                (self.left == 0).then_some(End::Done)
            }
            Some(Err(error)) => {
                self.window.reports().refused(self.place, &error);
                (!report::concerns_one_record(&error)).then_some(End::Broken)
            }
            None => {
                self.window.reports().unsent(1);
                Some(End::Late)
            }
        }
    }

    /// Hands a record to the producer. It may wait for long: for the topic, or for room. `None` when the time of grace was
    /// over before.
    async fn queue(&mut self, record: Record, input: &mut Input) -> Option<ottla::Result<ottla::Delivery>> {
        let mut sending = pin!(self.producer.send(record));
        loop {
            tokio::select! {
                biased;
                outcome = &mut sending => return Some(outcome),
                event = self.interruption.next() => {
                    if event == Event::Late {
                        return None;
                    }
                    hear(self.window.reports());
                    input.stop();
                }
            }
        }
    }

    /// Waits until the window has room; whether there was time for that.
    async fn make_room(&mut self, input: &mut Input) -> bool {
        while self.window.is_full() {
            tokio::select! {
                biased;
                () = self.window.settle_one() => {}
                event = self.interruption.next() => {
                    if event == Event::Late {
                        return false;
                    }
                    hear(self.window.reports());
                    input.stop();
                }
            }
        }
        true
    }

    /// Waits for everything that is under way, but no longer than the time of grace.
    async fn settle(&mut self) {
        let producer = self.producer.clone();
        let mut flushing = pin!(producer.flush());
        loop {
            tokio::select! {
                biased;
                event = self.interruption.next() => {
                    if event == Event::Late {
                        // What is not delivered now fails; the deliveries tell it record by record.
                        let _ = producer.close(Duration::ZERO).await;
                        break;
                    }
                    hear(self.window.reports());
                }
                // What a flush has to complain about is in the deliveries too.
                _ = &mut flushing => break,
                () = self.window.settle_one(), if !self.window.is_empty() => {}
            }
        }
        self.window.drain().await;
    }

    /// Counts what was read and not taken.
    async fn count_unsent(&mut self, input: &mut Input) {
        input.stop();
        while let Some(piece) = input.next().await {
            let records = match piece {
                Piece::Lines(lines) => input::count_lines(lines, &self.delimiter),
                Piece::File(_) | Piece::TooLong(_) | Piece::FileTooLong(_) => 1,
                Piece::Source(_) | Piece::Unreadable(_) => 0,
            };
            self.window.reports().unsent(records);
        }
    }
}

/// Says what becomes of the first signal.
fn hear(reports: &Reports) {
    reports.say("sending what was read; interrupt once more to give that up");
}
