//! Drives one connection's state machine with tokio: reads, writes, waits, and carries requests in and answers out.
//!
//! One task owns the stream and the [`Connection`]; callers hold a [`Handle`]. A request crosses one bounded channel, its
//! answer one oneshot: nothing here is done for each record. What must not wait behind requests (closing, muting) goes
//! around the channel, through [`Orders`].
//!
//! Invariants:
//! * Whoever has handed a request over hears of it: its answer, or why there is none.
//! * Every wait has an end: answers have their request's time-out, bytes that the peer does not take have it too.
//! * When the last handle is gone nobody waits for an answer any more: the connection closes as soon as what was handed
//!   over is written.
//!
//! Cancel safety: dropping a call's future gives up its answer and nothing else.

mod io;

use crate::engine::connection::{Answer, Connection, Event, Options, Outgoing, Versions};
use crate::engine::sasl::{BearerToken, Derived};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::ApiKey;
use crate::net::auth::Auth;
use crate::task;
use bytes::Bytes;
use io::Outbox;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait in front of a connection's task; more make their senders wait.
const COMMANDS: usize = 64;
/// How long the peer may take for the last bytes and for the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A request, encoded but for its header.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: Vec<Bytes>,
    pub(crate) answered: bool,
    pub(crate) timeout: Duration,
    pub(crate) send_by: Option<Instant>,
}

/// The way to a connection that is set up.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    peer: String,
    since: Instant,
    versions: Arc<Versions>,
    /// Whether an answer on it has been understood.
    proven: AtomicBool,
    orders: Mutex<Orders>,
    end: OnceLock<End>,
}

/// What the connection's task is to do before it takes the next request.
#[derive(Debug, Default)]
struct Orders {
    mute: Option<Duration>,
    close: Option<Error>,
    /// Wakes the task.
    waker: Option<Waker>,
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) error: Error,
    pub(crate) at: Instant,
    /// We closed it because nobody needed it: nothing is wrong with the peer.
    pub(crate) by_us: bool,
    /// An answer on it was understood, and this long after it was made it ended.
    pub(crate) proven_for: Option<Duration>,
}

#[derive(Debug)]
struct Command {
    call: Call,
    answered: oneshot::Sender<Result<Answer, Error>>,
}

/// A request that is on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    answer: oneshot::Receiver<Result<Answer, Error>>,
    shared: Arc<Shared>,
}

impl Handle {
    /// Hands a request over. Requests reach the broker in the order of these calls.
    ///
    /// # Cancel safety
    /// A dropped future has either handed the request over or not.
    pub(crate) async fn send(&self, call: Call) -> Result<Pending, Error> {
        let (answered, answer) = oneshot::channel();
        match self.commands.send(Command { call, answered }).await {
            Ok(()) => Ok(Pending { answer, shared: Arc::clone(&self.shared) }),
            Err(_) => Err(self.shared.end_error().sent(Sent::Never)),
        }
    }

    /// What the broker offers.
    pub(crate) fn versions(&self) -> &Versions {
        &self.shared.versions
    }

    /// How errors name the broker.
    pub(crate) fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// Sends nothing for so long (KIP-219).
    pub(crate) fn mute(&self, throttle: Duration) {
        self.shared.order(|orders| orders.mute = orders.mute.max(Some(throttle)));
    }

    /// Closes the connection because of what its peer said.
    pub(crate) fn close(&self, error: Error) {
        self.shared.ended(error.clone());
        self.shared.order(|orders| orders.close = Some(error));
    }

    /// Takes note that an answer was understood: the peer is what it should be.
    pub(crate) fn proven(&self) {
        self.shared.proven.store(true, Ordering::Relaxed);
    }

    /// How it ended; `None` while requests can be sent.
    pub(crate) fn end(&self) -> Option<End> {
        match self.shared.end.get() {
            Some(end) => Some(end.clone()),
            None if self.commands.is_closed() => Some(self.shared.end(self.shared.lost())),
            None => None,
        }
    }
}

impl Shared {
    fn order(&self, order: impl FnOnce(&mut Orders)) {
        let waker = {
            let mut orders = self.orders();
            order(&mut orders);
            orders.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the end; the first word counts.
    fn ended(&self, error: Error) {
        self.end.set(self.end(error)).ok();
    }

    fn end(&self, error: Error) -> End {
        let at = task::now();
        let proven = self.proven.load(Ordering::Relaxed);
        let by_us = error.kind() == ErrorKind::Closed;
        let error = match by_us {
            // Nobody closed the client: the same request on another connection may do.
            true => Error::new(ErrorKind::Disconnected, "use an idle connection")
                .broker(&self.peer)
                .with_source(error),
            false => error,
        };
        let proven_for = proven.then(|| at.saturating_duration_since(self.since));
        End { error, at, by_us, proven_for }
    }

    fn end_error(&self) -> Error {
        self.end.get().map_or_else(|| self.lost(), |end| end.error.clone())
    }

    /// The task has panicked, or the runtime is going down.
    fn lost(&self) -> Error {
        Error::new(ErrorKind::Disconnected, "the connection's task is gone").broker(&self.peer)
    }
}

impl Future for Pending {
    type Output = Result<Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| match answer {
            Ok(answer) => answer,
            Err(_) => Err(self.shared.end_error().sent(Sent::Maybe)),
        })
    }
}

/// Sets up a connection on a stream: negotiates, authenticates, and starts its task.
///
/// # Errors
/// What went wrong before the connection was ready; the options hold the deadline.
///
/// # Cancel safety
/// A dropped future closes the stream.
pub(crate) async fn establish<S>(stream: S, options: Options, auth: Arc<Auth>) -> Result<Handle, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let peer = options.peer.clone();
    let (sender, commands) = mpsc::channel(COMMANDS);
    let mut driver = Driver {
        stream,
        connection: Connection::new(options),
        outbox: Outbox::default(),
        commands,
        commands_open: true,
        waiting: BTreeMap::new(),
        next_id: 0,
        ready: false,
        wrote_unanswered: false,
        timer: Timer::default(),
        patience: Duration::MAX,
        stuck_at: None,
        work: None,
        auth,
    };
    poll_fn(|cx| driver.poll_ready(cx)).await?;
    let shared = Arc::new(Shared {
        peer,
        since: task::now(),
        versions: Arc::clone(driver.connection.versions()),
        proven: AtomicBool::new(false),
        orders: Mutex::default(),
        end: OnceLock::new(),
    });
    let handle = Handle { commands: sender, shared: Arc::clone(&shared) };
    task::spawn(async move {
        let error = poll_fn(|cx| driver.poll_closed(&shared, cx)).await;
        match error.kind() {
            ErrorKind::Closed => tracing::debug!(%error, "connection closed"),
            // With `acks=0` nothing else tells that records may be lost. Who waits for an answer is told by its error, and
            // that a broker ends connections which nobody uses is as it should be.
            _ if driver.wrote_unanswered => tracing::warn!(%error, "connection lost"),
            _ => tracing::info!(%error, "connection lost"),
        }
        if error.kind() == ErrorKind::Authentication {
            // Refused when it was renewed: the next connection is not to try with the same.
            driver.auth.refused();
        }
        shared.ended(error);
        driver.settle(&shared).await;
        driver.shut_down().await;
    });
    Ok(handle)
}

struct Driver<S> {
    stream: S,
    connection: Connection,
    outbox: Outbox,
    commands: mpsc::Receiver<Command>,
    commands_open: bool,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Answer, Error>>>,
    next_id: u64,
    ready: bool,
    /// Whether there were requests that the peer does not answer.
    wrote_unanswered: bool,
    timer: Timer,
    /// How long the peer may take no bytes.
    patience: Duration,
    /// When that is over, if bytes wait.
    stuck_at: Option<Instant>,
    work: Option<Pin<Box<dyn Future<Output = Work> + Send>>>,
    auth: Arc<Auth>,
}

/// What the SASL exchange waited for.
enum Work {
    Derived(Option<Derived>),
    Token(Result<BearerToken, Error>),
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Driver<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.turn(cx);
        match self.connection.closed() {
            Some(error) => Poll::Ready(Err(error.clone())),
            None if self.ready => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    fn poll_closed(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Error> {
        self.take_orders(shared, cx);
        self.turn(cx);
        match self.connection.closed() {
            Some(error) => Poll::Ready(error.clone()),
            None => Poll::Pending,
        }
    }

    /// Does everything that can be done now, in a fixed order, until nothing moves.
    fn turn(&mut self, cx: &mut Context<'_>) {
        loop {
            self.take_events();
            if self.connection.closed().is_some() {
                return;
            }
            let moved = self.take_commands(cx)
                | self.write(cx)
                | self.read(cx)
                | self.finish_work(cx)
                | self.timer.poll(cx, self.connection.deadline().into_iter().chain(self.stuck_at).min());
            if !moved {
                return;
            }
            self.expire();
        }
    }

    fn expire(&mut self) {
        let now = task::now();
        if self.stuck_at.is_some_and(|at| at <= now) {
            self.stuck_at = None;
            self.connection
                .close(Error::new(ErrorKind::Timeout, "write to the broker, which takes no bytes"));
        }
        self.connection.expire(now);
    }

    fn take_orders(&mut self, shared: &Shared, cx: &Context<'_>) {
        let mut orders = shared.orders();
        if !orders.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            orders.waker = Some(cx.waker().clone());
        }
        if let Some(throttle) = orders.mute.take() {
            self.connection.mute(throttle, task::now());
        }
        if let Some(error) = orders.close.take() {
            self.connection.close(error);
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.event() {
            match event {
                Event::Ready => self.ready = true,
                Event::Answer(id, answer) => {
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // Whoever waited may have given up; the answer then interests nobody.
                        waiting.send(answer).ok();
                    }
                }
                Event::NeedMechanism => match self.auth.mechanism() {
                    Ok(mechanism) => self.connection.authenticate(mechanism, task::now()),
                    Err(error) => self.connection.close(error),
                },
                Event::Derive(derive) => {
                    self.work =
                        Some(Box::pin(
                            async move { Work::Derived(task::blocking(move || derive.run()).await) },
                        ));
                }
                Event::NeedToken => {
                    let auth = Arc::clone(&self.auth);
                    self.work = Some(Box::pin(async move { Work::Token(auth.token().await) }));
                }
            }
        }
    }

    fn take_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.commands_open && self.connection.room() > 0 {
            match self.commands.poll_recv(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(command)) => self.command(command),
                Poll::Ready(None) => {
                    self.commands_open = false;
                    (self.patience, self.stuck_at) = (GOODBYE, None);
                }
            }
            moved = true;
        }
        if !self.commands_open && self.is_unused() {
            self.connection.close(Error::new(ErrorKind::Closed, "nobody uses the connection any more"));
        }
        moved
    }

    fn is_unused(&self) -> bool {
        let nobody_waits = self.waiting.values().all(oneshot::Sender::is_closed);
        nobody_waits && self.outbox.is_empty() && !self.connection.has_transmits()
    }

    fn command(&mut self, Command { call, answered }: Command) {
        if answered.is_closed() {
            return;
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.waiting.insert(id, answered);
        let Call { key, version, body, answered, timeout, send_by } = call;
        self.patience = timeout;
        self.wrote_unanswered |= !answered;
        self.connection.send(Outgoing { id, key, version, body, answered, timeout, send_by }, task::now());
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        while self.outbox.has_room() {
            match self.connection.transmit() {
                Some(bytes) => self.outbox.push(bytes),
                None => break,
            }
        }
        let moved = match self.outbox.write(&mut self.stream, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(moved)) => moved,
            Poll::Ready(Err(error)) => {
                self.lost("write to the broker", error);
                true
            }
        };
        while self.outbox.take_written() {
            self.connection.written();
        }
        match (self.outbox.is_empty(), self.stuck_at) {
            (true, _) => self.stuck_at = None,
            (false, Some(_)) if !moved => {}
            (false, _) => self.stuck_at = Some(task::after(task::now(), self.patience)),
        }
        moved
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let (space, limit) = self.connection.space();
        match io::read(&mut self.stream, space, limit, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.connection.received_end();
                true
            }
            Poll::Ready(Ok(_)) => {
                self.connection.received(task::now());
                true
            }
            Poll::Ready(Err(error)) => {
                self.lost("read from the broker", error);
                true
            }
        }
    }

    fn lost(&mut self, attempt: &'static str, error: std::io::Error) {
        // What TLS had against the peer, or the peer against us, is in words already.
        let told = error.downcast::<Error>();
        let error =
            told.unwrap_or_else(|error| Error::new(ErrorKind::Disconnected, attempt).with_source(error));
        self.connection.close(error);
    }

    fn finish_work(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(work) = &mut self.work else { return false };
        let Poll::Ready(done) = work.as_mut().poll(cx) else { return false };
        self.work = None;
        let now = task::now();
        match done {
            Work::Derived(Some(derived)) => self.connection.derived(derived, now),
            Work::Derived(None) => {
                self.connection
                    .close(Error::new(ErrorKind::Internal, "hash the password: the worker thread is gone"));
            }
            Work::Token(Ok(token)) => self.connection.token(token, now),
            Work::Token(Err(error)) => self.connection.close(error),
        }
        true
    }

    /// Tells everybody who still waits that nothing will come.
    async fn settle(&mut self, shared: &Shared) {
        self.take_events();
        self.commands.close();
        // Waits for those who are about to hand a request over.
        while let Some(Command { answered, .. }) = self.commands.recv().await {
            answered.send(Err(shared.end_error().sent(Sent::Never))).ok();
        }
    }

    /// Says goodbye if the peer listens: TLS wants a close_notify.
    async fn shut_down(&mut self) {
        use tokio::io::AsyncWriteExt;
        task::until(task::after(task::now(), GOODBYE), self.stream.shutdown()).await;
    }
}

/// The connection's one timer, moved rather than made anew.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Timer {
    /// Whether `deadline` has come.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else { return false };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

#[cfg(test)]
mod tests;
