//! A connection's task: reads, lets the core answer, writes. One direction at a time, as answers keep the order of their
//! requests; a client that does not read is not read from.

use super::core::{Call, ConnectionId, Step};
use super::server::{Shared, now};
use crate::engine::serving::{End, Received, SaslStep, Serving};
use crate::messages::AnyRequest;
use crate::net::listen::Accepted;
use crate::task;
use bytes::{Buf, BufMut, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::select;
use tokio::sync::{Notify, watch};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How long a client may take to read an answer.
const MAX_WRITE: Duration = Duration::from_secs(120);
/// Answers that are gathered before they are written.
const GATHERED_BYTES: usize = 256 * 1024;
/// What is read of a client that waits for an answer, to notice when it goes away.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Tells when the broker shuts down.
pub(super) type Stop = watch::Receiver<bool>;

/// Serves a connection from its first byte to its last.
pub(super) async fn serve(accepted: Accepted, shared: Arc<Shared>, mut stop: Stop) {
    let deadline = task::after(task::now(), HANDSHAKE);
    let secured = select! {
        biased;
        () = stopped(&mut stop) => return,
        secured = accepted.secure(deadline) => secured,
    };
    let connected = match secured {
        Ok(connected) => connected,
        Err(error) => {
            tracing::debug!(%error, "a client did not get through the TLS handshake");
            return;
        }
    };
    let registered = Registered::new(shared);
    let serving = Serving::new(registered.shared.serving_options(), task::now());
    let mut connection =
        Connection { stream: connected.stream, serving, registered, outbox: Outbox::default(), stop };
    let end = connection.run().await;
    if end.is_ordinary() {
        tracing::debug!(peer = connected.peer, %end, "a connection has ended");
    } else {
        tracing::info!(peer = connected.peer, %end, "a connection has ended");
    }
}

/// Ready when the broker shuts down.
pub(super) async fn stopped(stop: &mut Stop) {
    // An error means that the broker is gone altogether.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection's entry in the core; gone when dropped, however its task ends.
struct Registered {
    shared: Arc<Shared>,
    id: ConnectionId,
    wake: Arc<Notify>,
}

impl Registered {
    fn new(shared: Arc<Shared>) -> Registered {
        let (id, wake) = shared.connect();
        Registered { shared, id, wake }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.disconnect(self.id);
    }
}

struct Connection<S> {
    stream: S,
    serving: Serving,
    registered: Registered,
    outbox: Outbox,
    stop: Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> End {
        loop {
            while let Some(received) = self.serving.next(task::now()) {
                if let Err(end) = self.answer(received).await {
                    self.serving.end(end);
                }
                self.outbox.push(self.serving.transmit());
                if self.outbox.bytes >= GATHERED_BYTES && self.flush().await.is_err() {
                    return End::Closed;
                }
            }
            if self.flush().await.is_err() {
                return End::Closed;
            }
            match self.serving.ended() {
                Some(end) => return end.clone(),
                None => self.read().await,
            }
        }
    }

    async fn answer(&mut self, received: Received) -> Result<(), End> {
        let Registered { shared, id, .. } = &self.registered;
        let (shared, id) = (Arc::clone(shared), *id);
        let call = Call::new(received);
        let mut step = shared.with(|core| core.call(id, call, self.serving.principal(), now()));
        loop {
            match step {
                Step::Respond(response) => {
                    self.serving.respond(&response, task::now());
                    return Ok(());
                }
                Step::Skip => {
                    self.serving.skip(task::now());
                    return Ok(());
                }
                Step::Close(why) => return Err(End::Owner(why)),
                Step::Authenticate(request) => return self.authenticate(&request).await,
                Step::Wait(until) => {
                    self.flush().await.map_err(|_| End::Closed)?;
                    self.wait(until).await?;
                    step = shared.with(|core| core.resume(id, now()));
                }
            }
        }
    }

    async fn authenticate(&mut self, request: &AnyRequest) -> Result<(), End> {
        let nonce = task::random().map_err(|_| End::Internal("no randomness for a nonce"))?;
        let mut step = self.serving.sasl(request, nonce, task::now());
        loop {
            match step {
                SaslStep::Respond(response) => {
                    self.serving.respond(&response, task::now());
                    return Ok(());
                }
                SaslStep::Ask(query) => {
                    let answer = self.registered.shared.users().answer(query).await;
                    step = self.serving.sasl_answer(answer, task::now());
                }
            }
        }
    }

    /// Reads what the client sends next; what ends the connection is the serving side's to tell.
    async fn read(&mut self) {
        let deadline = self.serving.deadline().unwrap_or_else(|| task::after(task::now(), MAX_WRITE));
        let read = select! {
            biased;
            () = stopped(&mut self.stop) => return self.serving.end(End::Owner("the broker is shutting down")),
            read = read_some(&mut self.stream, &mut self.serving) => Some(read),
            () = task::sleep_until(deadline) => None,
        };
        match read {
            Some(Ok(0) | Err(_)) => self.serving.end(End::Closed),
            Some(Ok(_)) => {}
            None => self.serving.expire(task::now()),
        }
    }

    /// Waits until something happened or it is time, and notices when the client goes away meanwhile.
    async fn wait(&mut self, until: Instant) -> Result<(), End> {
        let mut ahead = 0usize;
        loop {
            let wake = Arc::clone(&self.registered.wake);
            select! {
                biased;
                () = stopped(&mut self.stop) => return Err(End::Owner("the broker is shutting down")),
                () = wake.notified() => return Ok(()),
                () = task::sleep_until(until) => return Ok(()),
                read = read_some(&mut self.stream, &mut self.serving), if ahead < READ_AHEAD_BYTES => match read {
                    Ok(0) | Err(_) => return Err(End::Closed),
                    Ok(read) => ahead = ahead.saturating_add(read),
                },
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.outbox.bytes == 0 {
            return Ok(());
        }
        let write = async {
            self.stream.write_all_buf(&mut self.outbox).await?;
            self.stream.flush().await
        };
        let deadline = task::after(task::now(), MAX_WRITE);
        task::until(deadline, write).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }
}

async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, serving: &mut Serving) -> io::Result<usize> {
    let (space, limit) = serving.space();
    stream.read_buf(&mut space.limit(limit)).await
}

/// Segments on their way into the stream.
#[derive(Debug, Default)]
struct Outbox {
    segments: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    fn push(&mut self, segments: Vec<Bytes>) {
        for segment in segments.into_iter().filter(|segment| !segment.is_empty()) {
            self.bytes = self.bytes.saturating_add(segment.len());
            self.segments.push_back(segment);
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().map_or(&[], |segment| segment)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled =
            slices.iter_mut().zip(&self.segments).map(|(slice, segment)| *slice = IoSlice::new(segment));
        filled.count()
    }

    fn advance(&mut self, mut n: usize) {
        self.bytes = self.bytes.saturating_sub(n);
        while let Some(front) = self.segments.front_mut() {
            if n < front.len() {
                front.advance(n);
                return;
            }
            n = n.saturating_sub(front.len());
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_gives_its_bytes_in_order_however_they_are_taken() {
        for step in 1..12 {
            let mut outbox = Outbox::default();
            outbox.push([&b"abc"[..], b"", b"d", b"efghij"].map(Bytes::from_static).to_vec());
            let mut taken: Vec<u8> = Vec::new();
            while outbox.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 2];
                let count = outbox.chunks_vectored(&mut slices);
                let ahead: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let n = step.min(ahead.len());
                taken.extend(&ahead[..n]);
                outbox.advance(n);
            }
            assert_eq!(taken, b"abcdefghij", "{step} at a time");
        }
    }
}
