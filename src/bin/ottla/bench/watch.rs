//! [`Watch`]: sees when records are acknowledged.
//!
//! Records that were handed over together are kept together. To look at each record that is under way whenever one may have
//! been acknowledged would cost more than to send them, so there are two looks: at the first of each lot, which wakes this
//! task and takes with it what else of its lot has come, and at all. Neither takes more than a fiftieth of the time: with
//! few records under way both are there at once, with very many a record is seen a moment late.

use super::figures::Figures;
use super::load::{Handed, Lot};
use ottla::{Delivered, Result, task};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::Sleep;

/// A look waits so many times as long as the last one took.
const PAUSE: u32 = 50;
/// One that took less than this needs no pause.
const FREE: Duration = Duration::from_micros(5);

/// Records that are under way.
#[derive(Debug)]
pub(super) struct Watch {
    handed: mpsc::Receiver<Handed>,
    /// Nothing more is handed over.
    is_last: bool,
    lots: Vec<Lot>,
    at_first: Look,
    at_all: Look,
    timer: Pin<Box<Sleep>>,
}

/// When it may be looked again.
#[derive(Debug)]
struct Look {
    next: Instant,
}

impl Look {
    /// It began then and is over now.
    fn done(&mut self, began: Instant) {
        let now = task::now();
        let took = now.saturating_duration_since(began);
        self.next = if took < FREE { now } else { task::after(now, took.saturating_mul(PAUSE)) };
    }
}

impl Watch {
    pub(super) fn new(handed: mpsc::Receiver<Handed>) -> Watch {
        let now = task::now();
        Watch {
            handed,
            is_last: false,
            lots: Vec::new(),
            at_first: Look { next: now },
            at_all: Look { next: now },
            timer: Box::pin(tokio::time::sleep_until(now.into())),
        }
    }

    /// Watches until all that is ever handed over is acknowledged or has failed.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call goes on.
    pub(super) async fn end(&mut self, figures: &mut Figures) {
        poll_fn(|cx| self.poll_end(cx, figures)).await;
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, figures: &mut Figures) -> Poll<()> {
        self.poll_handed(cx, figures);
        let now = task::now();
        if now >= self.at_first.next {
            for lot in &mut self.lots {
                look_at_first(lot, cx, now, figures);
            }
            self.at_first.done(now);
        }
        if now >= self.at_all.next {
            for lot in &mut self.lots {
                look_at_all(lot, now, figures);
            }
            self.at_all.done(now);
        }
        self.lots.retain(|lot| !lot.is_empty());
        match (self.lots.is_empty(), self.is_last) {
            (true, true) => Poll::Ready(()),
            (true, false) => Poll::Pending,
            (false, _) => {
                self.poll_timer(cx, now);
                Poll::Pending
            }
        }
    }

    fn poll_handed(&mut self, cx: &mut Context<'_>, figures: &mut Figures) {
        while !self.is_last {
            match self.handed.poll_recv(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => self.is_last = true,
                Poll::Ready(Some(Handed::Not(error))) => figures.failed(&error),
                Poll::Ready(Some(Handed::Over(mut lot))) => {
                    look_at_first(&mut lot, cx, task::now(), figures);
                    self.lots.push(lot);
                }
            }
        }
    }

    /// Comes back for the look that had to wait, and now and then for records that are not the first of their lot.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) {
        const NOW_AND_THEN: Duration = Duration::from_millis(1);
        let next = self.at_first.next.min(self.at_all.next).max(task::after(now, NOW_AND_THEN));
        self.timer.as_mut().reset(next.into());
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

fn look_at_first(lot: &mut Lot, cx: &mut Context<'_>, now: Instant, figures: &mut Figures) {
    let mut found = false;
    while let Some((due, delivery)) = lot.front_mut() {
        let Poll::Ready(outcome) = Pin::new(delivery).poll(cx) else { break };
        figures.settled(&outcome, *due, now);
        lot.pop_front();
        found = true;
    }
    if found {
        look_at_all(lot, now, figures);
    }
}

fn look_at_all(lot: &mut Lot, now: Instant, figures: &mut Figures) {
    let mut seen = |outcome: &Result<Delivered>, due| figures.settled(outcome, due, now);
    lot.retain(|(due, delivery)| match delivery.outcome() {
        Some(outcome) => {
            seen(&outcome, *due);
            false
        }
        None => true,
    });
}
