//! [`Window`]: the deliveries that have not been looked at yet, oldest first.

use super::report::{Place, Reports, concerns_one_record};
use ottla::{Delivered, Delivery, Result};
use std::collections::VecDeque;

/// How many deliveries may wait: some megabytes, and more than a fast link has under way.
const LIMIT: usize = 100_000;
/// So often the settled ones are taken out.
const SWEEP: usize = 1_000;

/// The deliveries that have not been looked at yet.
#[derive(Debug)]
pub(super) struct Window {
    waiting: VecDeque<Waiting>,
    reports: Reports,
    topic: String,
    is_broken: bool,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    bytes: usize,
    delivery: Delivery,
}

impl Window {
    /// For deliveries to one topic.
    pub(super) fn new(reports: Reports, topic: String) -> Window {
        Window { waiting: VecDeque::new(), reports, topic, is_broken: false }
    }

    /// Adds the delivery of a record of so many bytes. When it [is full](Self::is_full) then, the oldest is to be settled.
    pub(super) fn push(&mut self, place: Place, bytes: usize, delivery: Delivery) {
        self.waiting.push_back(Waiting { place, bytes, delivery });
        if self.waiting.len().is_multiple_of(SWEEP) {
            self.sweep();
        }
    }

    /// Takes out the settled ones at the front, without waiting for any.
    pub(super) fn sweep(&mut self) {
        while let Some(outcome) = self.waiting.front().and_then(|oldest| oldest.delivery.outcome()) {
            self.look_at(outcome);
        }
    }

    /// Waits for the oldest, and takes out all that are settled by then.
    ///
    /// # Cancel safety
    /// No delivery is lost.
    pub(super) async fn settle_one(&mut self) {
        if let Some(oldest) = self.waiting.front_mut() {
            let outcome = (&mut oldest.delivery).await;
            self.look_at(outcome);
        }
        self.sweep();
        // Whoever was waited for is reported, and not kept until there is more to tell.
        self.reports.flush();
    }

    /// Waits for all of them.
    pub(super) async fn drain(&mut self) {
        while !self.is_empty() {
            self.settle_one().await;
        }
    }

    /// Takes the oldest out.
    fn look_at(&mut self, outcome: Result<Delivered>) {
        let Some(Waiting { place, bytes, .. }) = self.waiting.pop_front() else { return };
        match outcome {
            Ok(at) => self.reports.delivered(&at, bytes),
            Err(error) => {
                self.is_broken |= !concerns_one_record(&error);
                // What ends the producer as a whole is about no topic.
                let error = if error.topic_name().is_none() { error.topic(&self.topic) } else { error };
                self.reports.refused(place, &error);
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= LIMIT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a delivery failed for a reason that will not spare the next ones.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    pub(super) fn reports(&mut self) -> &mut Reports {
        &mut self.reports
    }

    pub(super) fn into_reports(self) -> Reports {
        self.reports
    }
}
