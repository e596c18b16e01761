//! The one clock, the one spawn, and the one source of chance: everything that would make a run unrepeatable.
//!
//! In a simulation (a current-thread runtime with paused clock) the clock is the runtime's, blocking work runs in place,
//! and chance comes from the seed that [`simulate`] was given.

mod process;

#[doc(hidden)]
pub use process::Process;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The time, as the runtime sees it: a paused clock reaches everything.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits until `deadline`.
///
/// # Cancel safety
/// Dropping the future stops the wait and nothing else.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}

/// Lets every other task go first that can go on, and sockets be looked at.
///
/// # Cancel safety
/// Dropping the future does nothing.
pub async fn give_way() {
    tokio::task::yield_now().await;
}

/// Lets other tasks run, if this one has had its share of the runtime. Until then, and for tasks without a share, it is ready.
///
/// # Cancel safety
/// Dropping the future does nothing.
pub async fn take_part() {
    tokio::task::coop::consume_budget().await;
}

/// Whether [`take_part`] would be ready at once.
#[inline]
pub fn has_part_left() -> bool {
    tokio::task::coop::has_budget_remaining()
}

/// Waits for `future` no longer than until `deadline`; `None` when it was not ready by then.
///
/// # Cancel safety
/// As `future`'s own.
pub async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline.into(), future).await.ok()
}

/// Tries `items` one after the other, each `stagger` after the one before or at once when nothing is under way, until one
/// succeeds; otherwise what came of each that ended before `deadline`.
///
/// # Errors
/// What the attempts failed with, in that order.
///
/// # Cancel safety
/// All attempts end when the future is dropped, and the others when one has succeeded.
pub async fn race<T, O, E, F>(
    items: Vec<T>,
    stagger: Duration,
    deadline: Instant,
    attempt: impl Fn(T) -> F,
) -> Result<O, Vec<E>>
where
    F: Future<Output = Result<O, E>>,
{
    let mut waiting = items.into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut failed = Vec::new();
    loop {
        match waiting.next() {
            Some(item) => running.push(Box::pin(attempt(item))),
            None if running.is_empty() => return Err(failed),
            None => {}
        }
        let next_start = if waiting.len() == 0 { deadline } else { deadline.min(after(now(), stagger)) };
        while let Some(outcome) = until(next_start, any(&mut running)).await {
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) => failed.push(error),
            }
            if running.is_empty() {
                break;
            }
        }
        if now() >= deadline {
            return Err(failed);
        }
    }
}

/// Runs futures side by side on this task and gives what they gave, in their order.
///
/// # Cancel safety
/// All of them end when the future is dropped.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// Waits for whichever ends first, and takes it out. Never ready when there is none.
async fn any<F: Future + ?Sized>(running: &mut Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|cx| {
        for index in 0..running.len() {
            let Some(attempt) = running.get_mut(index) else { break };
            if let Poll::Ready(outcome) = attempt.as_mut().poll(cx) {
                drop(running.remove(index));
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    })
    .await
}

/// Futures that run side by side on the task that waits for them: none of them costs a task of its own, nor a way to
/// another one when it ends. They are few, and each is looked at whenever one of them may go on.
pub struct Together<'a, T>(Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>);

impl<'a, T> Together<'a, T> {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "nobody asks for a default")]
    pub const fn new() -> Together<'a, T> {
        Together(Vec::new())
    }

    /// Adds one. It begins when [`next`](Self::next) is awaited.
    pub fn push(&mut self, future: impl Future<Output = T> + Send + 'a) {
        self.0.push(Box::pin(future));
    }

    /// What the next one gave that ends; never ready while there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> T {
        any(&mut self.0).await
    }
}

impl<T> std::fmt::Debug for Together<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Together").field(&self.0.len()).finish()
    }
}

/// `now` plus `wait`, or a day from now if that is past what the clock can say.
pub fn after(now: Instant, wait: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(86_400);
    now.checked_add(wait).or_else(|| now.checked_add(DAY)).unwrap_or(now)
}

/// Starts a task on the current runtime.
#[expect(clippy::disallowed_methods, reason = "this is the one spawn")]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Process::current() {
        Some(process) => process.start(Box::pin(future)),
        None => tokio::spawn(future),
    }
}

/// Tasks that belong to somebody: they end when he does.
#[derive(Debug)]
pub struct Tasks<T>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> Tasks<T> {
    /// No tasks yet.
    pub fn new() -> Tasks<T> {
        Tasks(tokio::task::JoinSet::new())
    }

    /// Starts a task on the current runtime.
    pub fn spawn(&mut self, future: impl Future<Output = T> + Send + 'static) {
        match Process::current() {
            Some(process) => process.start_in(&mut self.0, Box::pin(future)),
            None => drop(self.0.spawn(future)),
        }
    }

    /// What the next task gave that ends; never ready while there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> T {
        loop {
            match self.0.join_next().await {
                Some(Ok(output)) => return output,
                // A panic was reported by the runtime; its task gives nothing.
                Some(Err(error)) => tracing::error!(%error, "a task ended by itself"),
                None => return std::future::pending().await,
            }
        }
    }

    /// Ends all of them; ready when they are gone.
    ///
    /// # Cancel safety
    /// They end all the same when the future is dropped.
    pub async fn end(mut self) {
        self.0.shutdown().await;
    }
}

impl<T: Send + 'static> Default for Tasks<T> {
    fn default() -> Tasks<T> {
        Tasks::new()
    }
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub struct Owned(JoinHandle<()>);

impl Owned {
    /// Starts a task on the current runtime.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Owned {
        Owned(spawn(future))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The time that records know: milliseconds since 1970. Follows the wall clock wherever it jumps; nothing is timed by it.
pub fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time, on the clock that things are timed by and on the one that records know.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Time {
    /// As of [`now`].
    pub now: Instant,
    /// As of [`wall_ms`].
    pub wall_ms: i64,
}

/// A clock for what happens for each record, where [`now`] would be a tenth of the cost: it looks at the clock only when the
/// system's tick has changed (every 1 to 10 ms). [`Time::now`] is never behind, so that nobody is late who is timed by it, and
/// ahead by [`TICK`] at most.
///
/// Exact where the system has no such tick, and on current-thread runtimes: their clock can be paused.
#[derive(Debug)]
pub struct CoarseClock {
    is_exact: bool,
    tick: Option<coarsetime::Instant>,
    read: Time,
}

impl CoarseClock {
    /// A clock for the current runtime.
    pub fn new() -> CoarseClock {
        use tokio::runtime::{Handle, RuntimeFlavor};
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        CoarseClock {
            is_exact: !matches!(flavor, Ok(RuntimeFlavor::MultiThread)),
            tick: None,
            read: Time { now: now(), wall_ms: wall_ms() },
        }
    }

    /// The time.
    #[inline]
    pub fn read(&mut self) -> Time {
        let tick = (!self.is_exact).then(coarsetime::Instant::now);
        if tick.is_none() || tick != self.tick {
            self.tick = tick;
            let ahead = if self.is_exact { Duration::ZERO } else { TICK };
            self.read = Time { now: after(now(), ahead), wall_ms: wall_ms() };
        }
        self.read
    }
}

/// The longest tick of a system.
const TICK: Duration = Duration::from_millis(10);

impl Default for CoarseClock {
    fn default() -> CoarseClock {
        CoarseClock::new()
    }
}

/// Runs work that takes long on a thread for such work; in place in a simulation.
///
/// `None` when the work panicked or the runtime is going down.
///
/// # Cancel safety
/// Work that has begun goes on when the future is dropped; its result is lost.
#[expect(clippy::disallowed_methods, reason = "this is the one place that blocks")]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if simulated() {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

thread_local! {
    static SIMULATION: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
}

/// Whether this thread runs a simulation.
pub fn simulated() -> bool {
    SIMULATION.with_borrow(Option::is_some)
}

/// Makes this thread a simulation until the guard is dropped: chance comes from `seed`, blocking work runs in place.
#[doc(hidden)]
pub fn simulate(seed: u64) -> Simulation {
    SIMULATION.set(Some(fastrand::Rng::with_seed(seed)));
    Simulation(())
}

/// Ends a simulation when dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct Simulation(());

impl Drop for Simulation {
    fn drop(&mut self) {
        SIMULATION.set(None);
    }
}

/// Random bytes: from the operating system, or from the simulation's seed.
///
/// # Errors
/// When the operating system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    let seeded = SIMULATION.with_borrow_mut(|rng| rng.as_mut().map(|rng| rng.fill(&mut bytes)));
    if seeded.is_none() {
        getrandom::fill(&mut bytes)?;
    }
    Ok(bytes)
}

/// A generator for what need not be secret: jitter, shuffles, sticky partitions.
pub fn rng() -> fastrand::Rng {
    let seed = random::<8>().map_or(0x6f74_746c_6121, u64::from_le_bytes);
    fastrand::Rng::with_seed(seed)
}

#[cfg(test)]
mod tests;
