//! [`Asking`]: a wait for what comes next, which is over when its future is dropped: who does not wait any more has to come
//! back within `max.poll.interval.ms`.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Whoever hands things out.
pub(super) trait Asks {
    type Item;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Self::Item>;

    /// Nobody waits any more.
    fn stop_waiting(&mut self);
}

/// Waits for the next item.
#[derive(Debug)]
pub(super) struct Asking<'a, A: Asks> {
    of: &'a mut A,
    waits: bool,
}

impl<'a, A: Asks> Asking<'a, A> {
    pub(super) fn new(of: &'a mut A) -> Asking<'a, A> {
        Asking { of, waits: false }
    }
}

impl<A: Asks> Future for Asking<'_, A> {
    type Output = A::Item;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Item> {
        let item = self.of.poll_item(cx);
        self.waits = item.is_pending();
        item
    }
}

impl<A: Asks> Drop for Asking<'_, A> {
    fn drop(&mut self) {
        if self.waits {
            self.of.stop_waiting();
        }
    }
}
