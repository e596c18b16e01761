//! The clients that are compared, reading, one a file.

#[cfg(feature = "krafka")]
mod krafka;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod ours;
#[cfg(feature = "rskafka")]
mod rskafka;

use crate::job::ReadJob;
use crate::reading::{Eyes, Reader, Reading, perform};
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

pub fn dispatch(client: &str, address: &str, topic: &str, partitions: i32, reading: Reading) {
    match client {
        "ottla" => perform::<OnTokio<ours::Ottla>>(client, address, topic, partitions, reading),
        "ottla-group" => perform::<OnTokio<ours::OttlaInGroup>>(client, address, topic, partitions, reading),
        #[cfg(feature = "rdkafka")]
        "librdkafka" => perform::<librdkafka::Librdkafka>(client, address, topic, partitions, reading),
        #[cfg(feature = "krafka")]
        "krafka" => perform::<OnTokio<krafka::Krafka>>(client, address, topic, partitions, reading),
        #[cfg(feature = "rskafka")]
        "rskafka" => perform::<OnTokio<rskafka::Rskafka>>(client, address, topic, partitions, reading),
        other => {
            panic!("no client '{other}' in this build, only {:?}; is it a feature?", crate::clients::BUILT)
        }
    }
}

/// A client that reads in a task.
trait AsyncReader {
    fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) -> impl Future<Output = ()> + Send;
}

/// As a server has it: a runtime with as many workers as there are processors to run on, and work that runs in tasks.
struct OnTokio<A>(std::marker::PhantomData<A>);

impl<A: AsyncReader + 'static> Reader for OnTokio<A> {
    fn read<E: Eyes>(job: &ReadJob, eyes: E) -> E {
        let runtime = Runtime::new().expect("a runtime");
        let shared = Shared(Arc::new(Mutex::new(Some(eyes))));
        let (job, limit) = (Arc::new(job.clone()), job.limit.unwrap_or(std::time::Duration::MAX));
        let work = A::read(job, shared.clone());
        let task = runtime.spawn(async move {
            // Who is late has just read for as long as was wanted.
            let _ = tokio::time::timeout(limit, work).await;
        });
        runtime.block_on(task).expect("a task that ends");
        let eyes = shared.0.lock().expect("nobody panicked").take();
        // What the client still does is nobody's business.
        runtime.shutdown_background();
        eyes.expect("eyes")
    }
}

/// Eyes of several tasks: each takes them for as many records as it has at hand.
struct Shared<E>(Arc<Mutex<Option<E>>>);

impl<E> Clone for Shared<E> {
    fn clone(&self) -> Shared<E> {
        Shared(Arc::clone(&self.0))
    }
}

impl<E: Eyes> Shared<E> {
    /// Whether to go on: `look` is to end with `false` at the first record that is enough.
    fn with(&self, look: impl FnOnce(&mut E) -> bool) -> bool {
        self.0.lock().expect("nobody panicked").as_mut().is_some_and(look)
    }
}
