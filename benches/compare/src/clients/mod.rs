//! The clients that are compared, one a file; and what those have in common that run on tokio.

#[cfg(feature = "krafka")]
mod krafka;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod ours;
#[cfg(feature = "rskafka")]
mod rskafka;

use crate::job::Job;
use crate::measure::Latencies;
use crate::modes::{Client, Mode, perform};
use crate::pace::{AsyncTicks, Pace};
use crate::payload::Values;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
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
];

pub fn dispatch(client: &str, job: &Job, mode: Mode) {
    match client {
        "ottla" => perform::<OnTokio<ours::Ottla>>(client, job, mode),
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
    type Delivery: Future<Output = Result<Self::Acknowledged, Self::Failure>> + Send;

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

    fn fill(&self, values: &mut Values) {
        self.run(values, |client, values, window| async move { fill(&*client, values, window).await });
    }

    fn paced(&self, values: &mut Values, pace: Pace) -> Latencies {
        self.run(values, |client, values, _| async move { paced(&client, values, pace).await })
    }
}

impl<A: AsyncClient> OnTokio<A> {
    /// In a task, lending it the values.
    fn run<T: Send + 'static, F: Future<Output = (Values, T)> + Send + 'static>(
        &self,
        values: &mut Values,
        work: impl FnOnce(Arc<A>, Values, usize) -> F,
    ) -> T {
        let lent = std::mem::replace(values, Values::count(&[], 0));
        let task = self.runtime.spawn(work(Arc::clone(&self.client), lent, self.window));
        let (back, result) = self.runtime.block_on(task).expect("a task that ends");
        *values = back;
        result
    }
}

/// The oldest delivery is waited for when the window is full.
async fn fill<A: AsyncClient>(client: &A, mut values: Values, window: usize) -> (Values, ()) {
    let mut waiting: VecDeque<A::Delivery> = VecDeque::with_capacity(window);
    while let Some(value) = values.next() {
        if waiting.len() == window {
            waiting.pop_front().expect("a window").await.expect("acknowledged");
        }
        waiting.push_back(client.queue(value).await);
    }
    for delivery in waiting {
        delivery.await.expect("acknowledged");
    }
    (values, ())
}

/// A task for each record, as a server has one for each request.
async fn paced<A: AsyncClient>(client: &Arc<A>, mut values: Values, pace: Pace) -> (Values, Latencies) {
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
    let latencies = std::mem::take(&mut *latencies.lock().expect("nobody panicked"));
    (values, Latencies(latencies))
}
