//! The clients that are compared, one a file; and what those have in common that run on tokio.

mod floor;
#[cfg(feature = "krafka")]
mod krafka;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod ours;
#[cfg(feature = "rskafka")]
pub mod rskafka;

use crate::job::Job;
use crate::measure::{Latencies, Marks};
use crate::modes::{Client, Mode, perform};
use crate::pace::{AsyncTicks, Pace};
use crate::payload::Values;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Runtime;

/// Those that this program can be, in the table's order; franz-go is a program of its own.
pub const BUILT: &[&str] = &[
    "ottla",
    #[cfg(feature = "rdkafka")]
    "librdkafka",
    #[cfg(feature = "krafka")]
    "krafka",
    #[cfg(feature = "rskafka")]
    "rskafka",
    FLOOR,
];

/// What no client can do without: see its module.
pub const FLOOR: &str = "floor";

pub fn dispatch(client: &str, job: &Job, mode: Mode) {
    match client {
        "ottla" => perform::<OnTokio<ours::Ottla>>(client, job, mode),
        FLOOR => perform::<floor::Floor>(client, job, mode),
        #[cfg(feature = "rdkafka")]
        "librdkafka" => perform::<librdkafka::Librdkafka>(client, job, mode),
        #[cfg(feature = "krafka")]
        "krafka" => perform::<OnTokio<krafka::Krafka>>(client, job, mode),
        #[cfg(feature = "rskafka")]
        "rskafka" => perform::<OnTokio<rskafka::Rskafka>>(client, job, mode),
        other => panic!("no client '{other}' in this build, only {BUILT:?}; is it a feature?"),
    }
}

/// A client whose acknowledgements are futures.
trait AsyncClient: Send + Sync + Sized + 'static {
    type Acknowledged: Send;
    type Failure: Debug + Send;
    type Delivery: Future<Output = Result<Self::Acknowledged, Self::Failure>> + Send + Unpin;

    fn connect(job: &Job) -> impl Future<Output = Self> + Send;

    /// Done once the client has taken the record; what comes back is done once the record is acknowledged.
    fn queue(&self, value: &Bytes) -> impl Future<Output = Self::Delivery> + Send;
}

/// As a server has it: a runtime with as many workers as there are processors to run on, and work that runs in tasks.
struct OnTokio<A> {
    runtime: Runtime,
    client: Arc<A>,
    window: usize,
}

impl<A: AsyncClient> Client for OnTokio<A> {
    fn connect(job: &Job) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let client = Arc::new(runtime.block_on(A::connect(job)));
        OnTokio { runtime, client, window: job.window }
    }

    fn fill(&self, values: Values) {
        let (client, window) = (Arc::clone(&self.client), self.window);
        self.run(async move { fill(&*client, values, window).await });
    }

    fn sustain(&self, values: Values, marks: Marks) -> Marks {
        let (client, window) = (Arc::clone(&self.client), self.window);
        self.run(async move { sustain(&*client, values, marks, window).await })
    }

    fn paced(&self, values: Values, pace: Pace) -> Latencies {
        let client = Arc::clone(&self.client);
        self.run(async move { paced(&client, values, pace).await })
    }
}

impl<A: AsyncClient> OnTokio<A> {
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(self.runtime.spawn(work)).expect("a task that ends")
    }
}

/// The oldest delivery is waited for when the window is full.
async fn fill<A: AsyncClient>(client: &A, values: Values, window: usize) {
    let mut waiting: VecDeque<A::Delivery> = VecDeque::with_capacity(window);
    for value in values {
        if waiting.len() == window {
            waiting.pop_front().expect("a window").await.expect("acknowledged");
        }
        waiting.push_back(client.queue(value).await);
    }
    for delivery in waiting {
        delivery.await.expect("acknowledged");
    }
}

/// Deliveries that are done are taken out every 64 records.
async fn sustain<A: AsyncClient>(client: &A, values: Values, mut marks: Marks, window: usize) -> Marks {
    let mut waiting: VecDeque<A::Delivery> = VecDeque::new();
    for (given, value) in (0u64..).zip(values) {
        if given % 64 == 0 {
            while let Some(Poll::Ready(result)) = waiting.front_mut().map(look) {
                result.expect("acknowledged");
                waiting.pop_front();
            }
            if !marks.go_on(given - waiting.len() as u64) {
                break;
            }
        }
        if waiting.len() == window {
            waiting.pop_front().expect("a window").await.expect("acknowledged");
        }
        waiting.push_back(client.queue(value).await);
    }
    marks
}

/// Whether it is done, without waiting for it.
fn look<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A task for each record, as a server has one for each request.
async fn paced<A: AsyncClient>(client: &Arc<A>, mut values: Values, pace: Pace) -> Latencies {
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(pace.ticks as usize)));
    let mut ticks = AsyncTicks::begin(pace);
    let mut tasks = VecDeque::new();
    while let Some(due) = ticks.wait().await {
        let value = values.next().expect("values without end");
        let (client, latencies) = (Arc::clone(client), Arc::clone(&latencies));
        tasks.push_back(tokio::spawn(async move {
            client.queue(value).await.await.expect("acknowledged");
            latencies.lock().expect("nobody panicked").push(due.elapsed());
        }));
        while tasks.front().is_some_and(|task| task.is_finished()) {
            tasks.pop_front().expect("one").await.expect("acknowledged");
        }
    }
    for task in tasks {
        task.await.expect("acknowledged");
    }
    Latencies(std::mem::take(&mut *latencies.lock().expect("nobody panicked")))
}
