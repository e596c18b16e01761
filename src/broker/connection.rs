//! A connection's task: reads, lets the core answer, writes. One direction at a time, as answers keep the order of their
//! requests; a client that does not read is not read from.

use super::core::{Call, ConnectionId, Step};
use super::faults::Manner;
use super::outbox::Outbox;
use super::server::{Shared, now};
use crate::engine::serving::{End, Received, SaslStep, Serving};
use crate::messages::{AnyRequest, AnyResponse, BrokerId};
use crate::net::listen::Accepted;
use crate::task;
use bytes::{Buf, BufMut, BytesMut};
use std::io;
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
/// How long a client may take to notice that its answer was cut.
const HANG_UP: Duration = Duration::from_secs(5);
/// What is read of a client that waits for an answer, to notice when it goes away.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Tells how the broker ends, once it does.
pub(super) type Stop = watch::Receiver<Option<Ending>>;

/// How a broker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Answers that are being written may reach their clients.
    Gentle,
    /// All connections end at once.
    Abrupt,
}

/// Serves a connection from its first byte to its last.
pub(super) async fn serve(accepted: Accepted, broker: BrokerId, shared: Arc<Shared>, mut stop: Stop) {
    let registered = Registered::new(shared, broker, accepted.peer());
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
    let serving = Serving::new(registered.shared.serving_options(), task::now());
    let mut connection = Connection {
        stream: connected.stream,
        is_gone: false,
        serving,
        registered,
        outbox: Outbox::default(),
        stop,
    };
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
    let _ = stop.wait_for(Option::is_some).await;
}

/// A connection's entry in the core; gone when dropped, however its task ends.
struct Registered {
    shared: Arc<Shared>,
    id: ConnectionId,
    wake: Arc<Notify>,
}

impl Registered {
    fn new(shared: Arc<Shared>, broker: BrokerId, peer: &str) -> Registered {
        let (id, wake) = shared.connect(broker, peer);
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
    /// Whether the client is: then what was read of it is carried out, and answered to nobody.
    is_gone: bool,
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
                if self.outbox.remaining() >= GATHERED_BYTES && self.flush().await.is_err() {
                    return End::Closed;
                }
            }
            if self.flush().await.is_err() || self.is_gone {
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
                Step::Respond(response, manner) => return self.respond(&response, manner).await,
                Step::Skip => {
                    self.serving.skip(task::now());
                    return Ok(());
                }
                Step::Mute(pause) => {
                    self.serving.skip(task::now());
                    self.flush().await.map_err(|_| End::Closed)?;
                    return self.pause(pause).await;
                }
                Step::Close(why) => return Err(End::Owner(why)),
                Step::Authenticate(request, manner) => return self.authenticate(&request, manner).await,
                Step::Silence => return Err(self.ignore(None).await),
                Step::Wait(until) => {
                    self.flush().await.map_err(|_| End::Closed)?;
                    self.wait(until).await?;
                    step = shared.with(|core| core.resume(id, now()));
                }
                Step::Delay(until) => {
                    self.flush().await.map_err(|_| End::Closed)?;
                    self.wait_out(until).await?;
                    step = shared.with(|core| core.resume(id, now()));
                }
            }
        }
    }

    /// Answers, as it should be or as a fault has it.
    async fn respond(&mut self, response: &AnyResponse, manner: Manner) -> Result<(), End> {
        self.serving.respond(response, task::now());
        if manner == Manner::Whole {
            return Ok(());
        }
        // What came before is not concerned.
        self.flush().await.map_err(|_| End::Closed)?;
        self.outbox.push(self.serving.transmit());
        match manner {
            Manner::Whole => Ok(()),
            Manner::Late(pause) => self.pause(pause).await,
            Manner::Muted(pause) => {
                self.flush().await.map_err(|_| End::Closed)?;
                self.pause(pause).await
            }
            Manner::Corrupt(at) => {
                self.outbox.invert(at);
                Ok(())
            }
            Manner::Cut(bytes) => {
                let _ = self.outbox.split_off(bytes);
                self.hang_up().await
            }
            Manner::Split { bytes, pause } => self.flush_in_pieces(bytes.max(1), pause).await,
        }
    }

    async fn flush_in_pieces(&mut self, bytes: usize, pause: Duration) -> Result<(), End> {
        loop {
            let rest = self.outbox.split_off(bytes);
            self.flush().await.map_err(|_| End::Closed)?;
            if !rest.has_remaining() {
                return Ok(());
            }
            self.outbox = rest;
            self.pause(pause).await?;
        }
    }

    /// Does nothing for so long.
    async fn pause(&mut self, pause: Duration) -> Result<(), End> {
        let end = task::after(task::now(), pause);
        select! {
            biased;
            () = stopped(&mut self.stop) => Err(End::Owner("the broker is shutting down")),
            () = task::sleep_until(end) => Ok(()),
        }
    }

    /// Sends what there is and ends the connection in such a way that it arrives.
    async fn hang_up(&mut self) -> Result<(), End> {
        self.flush().await.map_err(|_| End::Closed)?;
        self.stream.shutdown().await.map_err(|_| End::Closed)?;
        // Closing a socket that has bytes to be read would take back those that were sent.
        Err(self.ignore(Some(task::after(task::now(), HANG_UP))).await)
    }

    /// Takes no notice of the client until it goes away, or until a time.
    async fn ignore(&mut self, until: Option<Instant>) -> End {
        let mut ignored = BytesMut::new();
        let until = until.unwrap_or_else(|| task::after(task::now(), Duration::MAX));
        loop {
            ignored.clear();
            ignored.reserve(READ_AHEAD_BYTES);
            select! {
                biased;
                () = stopped(&mut self.stop) => return End::Owner("the broker is shutting down"),
                read = self.stream.read_buf(&mut ignored) => match read {
                    Ok(0) | Err(_) => return End::Closed,
                    Ok(_) => {}
                },
                () = task::sleep_until(until) => return End::Owner("so decided by a fault"),
            }
        }
    }

    async fn authenticate(&mut self, request: &AnyRequest, manner: Manner) -> Result<(), End> {
        let nonce = task::random().map_err(|_| End::Internal("no randomness for a nonce"))?;
        let mut step = self.serving.sasl(request, nonce, task::now());
        loop {
            match step {
                SaslStep::Respond(response) => return self.respond(&response, manner).await,
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
        if self.is_gone {
            return Err(End::Closed);
        }
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

    /// Waits until it is time, whether or not the client does.
    async fn wait_out(&mut self, until: Instant) -> Result<(), End> {
        let mut ahead = 0usize;
        loop {
            let wake = Arc::clone(&self.registered.wake);
            let listens = !self.is_gone && ahead < READ_AHEAD_BYTES;
            select! {
                biased;
                () = stopped(&mut self.stop) => return Err(End::Owner("the broker is shutting down")),
                // The broker may have been stopped: the core knows.
                () = wake.notified() => return Ok(()),
                () = task::sleep_until(until) => return Ok(()),
                read = read_some(&mut self.stream, &mut self.serving), if listens => match read {
                    Ok(0) | Err(_) => self.is_gone = true,
                    Ok(read) => ahead = ahead.saturating_add(read),
                },
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.is_gone {
            self.outbox = Outbox::default();
        }
        if !self.outbox.has_remaining() {
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
