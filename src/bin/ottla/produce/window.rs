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
    waiting: VecDeque<(Place, Delivery)>,
    reports: Reports,
    is_broken: bool,
}

impl Window {
    pub(super) fn new(reports: Reports) -> Window {
        Window { waiting: VecDeque::new(), reports, is_broken: false }
    }

    /// Adds a delivery. When it [is full](Self::is_full) then, the oldest is to be settled.
    pub(super) fn push(&mut self, place: Place, delivery: Delivery) {
        self.waiting.push_back((place, delivery));
        if self.waiting.len().is_multiple_of(SWEEP) {
            self.sweep();
        }
    }

    /// Takes out the settled ones at the front, without waiting for any.
    pub(super) fn sweep(&mut self) {
        while let Some((place, outcome)) =
            self.waiting.front().and_then(|(place, delivery)| Some((*place, delivery.outcome()?)))
        {
            self.waiting.pop_front();
            self.look_at(place, outcome);
        }
    }

    /// Waits for the oldest, and takes out all that are settled by then.
    ///
    /// # Cancel safety
    /// No delivery is lost.
    pub(super) async fn settle_one(&mut self) {
        if let Some((place, delivery)) = self.waiting.front_mut() {
            let (place, outcome) = (*place, delivery.await);
            self.waiting.pop_front();
            self.look_at(place, outcome);
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

    fn look_at(&mut self, place: Place, outcome: Result<Delivered>) {
        match outcome {
            Ok(at) => self.reports.delivered(&at),
            Err(error) => {
                self.is_broken |= !concerns_one_record(&error);
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
