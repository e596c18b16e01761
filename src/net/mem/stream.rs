//! [`MemStream`]: one end of a connection.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::{Given, Pipe};
use super::{Faults, Way, lock};
use crate::net::dial::BoxFuture;
use crate::task;

/// One end of a connection in memory.
pub struct MemStream {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    faults: Arc<Mutex<Faults>>,
    is_client: bool,
    /// Until the next bytes arrive.
    arrival: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl MemStream {
    pub(super) fn new(
        is_client: bool,
        incoming: &Arc<Mutex<Pipe>>,
        outgoing: &Arc<Mutex<Pipe>>,
        faults: &Arc<Mutex<Faults>>,
    ) -> Self {
        let [incoming, outgoing] = [incoming, outgoing].map(Arc::clone);
        Self { incoming, outgoing, faults: Arc::clone(faults), is_client, arrival: None }
    }

    fn way_in(&self) -> Way {
        let faults = lock(&self.faults);
        if self.is_client { faults.to_client.clone() } else { faults.to_server.clone() }
    }

    fn way_out(&self) -> Way {
        let faults = lock(&self.faults);
        if self.is_client { faults.to_server.clone() } else { faults.to_client.clone() }
    }
}

impl AsyncRead for MemStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let way = self.way_in();
            let room = buffer.remaining();
            let given = lock(&self.incoming).poll_read(context, room, &way, |bytes| buffer.put_slice(bytes));
            let at = match ready!(given)? {
                Given::Now => return Poll::Ready(Ok(())),
                Given::Later(at) => at,
            };
            if self.arrival.as_ref().is_none_or(|(set, _)| *set != at) {
                self.arrival = Some((at, Box::pin(task::sleep_until(at))));
            }
            if let Some((_, timer)) = &mut self.arrival {
                ready!(timer.as_mut().poll(context));
                self.arrival = None;
            }
        }
    }
}

impl AsyncWrite for MemStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let way = self.way_out();
        let taken = ready!(lock(&self.outgoing).poll_write(context, slices, &way))?;
        if taken.cut {
            lock(&self.incoming).reset();
        }
        match taken.bytes {
            0 if taken.cut => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            bytes => Poll::Ready(Ok(bytes)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.outgoing).close(&self.way_out());
        Poll::Ready(Ok(()))
    }
}

/// Closes both ways; what was written still arrives.
impl Drop for MemStream {
    fn drop(&mut self) {
        lock(&self.outgoing).close(&self.way_out());
        lock(&self.incoming).leave();
    }
}

impl fmt::Debug for MemStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemStream").field("is_client", &self.is_client).finish_non_exhaustive()
    }
}
