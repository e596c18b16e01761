//! The task behind a producer: takes what is ready for each broker and hands it to the broker's
//! [carrier](super::carrier), so that the requests of a broker stay in order and no broker waits for another.

use super::Shared;
use super::carrier::{Cargo, carry};
use super::queue::State;
use crate::cluster::Reach;
use crate::engine::batcher::{Answer, Completed, Identity, Shipment};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::{
    BrokerId, InitProducerIdRequest, InitProducerIdResponse, Lane, ProducerEpoch, ProducerId,
};
use crate::task::{self, Owned, Tasks};
use crate::wire::Span;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The sender's end: with it, however it came about, every delivery is resolved.
pub(super) struct Ending(pub(super) Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.batcher.close();
        let error =
            Error::new(ErrorKind::Closed, "deliver the records: the runtime of the producer was shut down");
        let finished = state.batcher.fail_all(&error);
        self.0.finish(state, finished, task::now());
    }
}

pub(super) async fn run(ending: Ending) {
    let shared = Arc::clone(&ending.0);
    let mut views = shared.cluster.views();
    let mut carriers: BTreeMap<BrokerId, mpsc::Sender<Cargo>> = BTreeMap::new();
    let mut carrying = Tasks::new();
    let mut asking = Tasks::new();
    let mut is_asking = false;
    let (mut ahead, mut look_ahead_at) = (BTreeMap::new(), task::now());
    loop {
        let view = views.borrow_and_update().clone();
        shared.learn(view, task::now());
        let deadline = step(&shared, &mut carriers, &mut carrying);
        if shared.closing.load(Ordering::Acquire) && shared.state().batcher.is_empty() {
            return;
        }
        if !is_asking && shared.needs_identity() {
            is_asking = true;
            let shared = Arc::clone(&shared);
            asking.spawn(async move { init_producer_id(&shared).await });
        }
        if is_asking && task::now() >= look_ahead_at {
            connect_ahead(&shared, &mut ahead);
            if !ahead.is_empty() {
                // Not for each batch: it looks at all of them.
                look_ahead_at = task::after(task::now(), shared.cluster.config().retry_backoff);
            }
        }
        tokio::select! {
            biased;
            () = shared.wake.notified() => {}
            changed = views.changed() => if changed.is_err() { return },
            () = asking.next() => is_asking = false,
            () = carrying.next() => {}
            () = task::sleep_until(deadline) => {}
        }
        // Whoever wakes it without end must not keep its runtime.
        task::take_part().await;
    }
}

/// Gives up what is too old and hands out what is ready; when to look again.
fn step(
    shared: &Arc<Shared>,
    carriers: &mut BTreeMap<BrokerId, mpsc::Sender<Cargo>>,
    carrying: &mut Tasks<()>,
) -> Instant {
    let now = task::now();
    let mut state = shared.state();
    let finished = state.batcher.expire(now);
    let mut shipments = Vec::new();
    for broker in state.batcher.ready(now) {
        while let Some(shipment) = state.batcher.drain(broker, now) {
            state.recorder.taken(&shipment, now);
            shipments.push(shipment);
        }
    }
    let leaderless = state.batcher.has_leaderless();
    let due = state.batcher.next_deadline();
    shared.finish(state, finished, now);
    for shipment in shipments {
        let broker = shipment.broker();
        let carrier = carriers.entry(broker).or_insert_with(|| {
            // As many as the batcher lets be under way: it is never full.
            let (carrier, shipments) = mpsc::channel(shared.config.max_in_flight);
            carrying.spawn(carry(Arc::clone(shared), shipments));
            carrier
        });
        if let Err(refused) = carrier.try_send(Cargo::new(shared, shipment)) {
            // It is gone: the next shipment gets another one.
            carriers.remove(&broker);
            let error = Error::new(ErrorKind::Internal, "hand a request to its carrier").sent(Sent::Never);
            refused.into_inner().complete(Answer::Failed(error));
        }
    }
    let a_while = task::after(now, shared.cluster.config().retry_backoff_max);
    if leaderless {
        shared.cluster.ask_for_metadata();
    }
    match due {
        // Nobody tells when a refresh has failed: ask again after a while.
        _ if leaderless => due.map_or(a_while, |due| due.min(a_while)),
        Some(due) => due,
        None => task::after(now, Duration::from_secs(86_400)),
    }
}

/// Connects to the leaders of what waits for a producer id: it will be there no later than the connections.
fn connect_ahead(shared: &Arc<Shared>, ahead: &mut BTreeMap<BrokerId, Owned>) {
    let leaders = shared.state().batcher.leaders_of_queued();
    let deadline = task::after(task::now(), shared.cluster.config().request_timeout);
    for broker in leaders {
        ahead.entry(broker).or_insert_with(|| {
            let cluster = shared.cluster.clone();
            // When that fails, whoever sends will see it.
            Owned::spawn(async move { drop(cluster.link(broker, Lane::Produce, deadline).await) })
        });
    }
}

/// Asks for a producer id, until there is one or it is refused for good.
async fn init_producer_id(shared: &Shared) {
    let request = InitProducerIdRequest {
        transactional_id: None,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        ..Default::default()
    };
    let judge = |answer: &InitProducerIdResponse| {
        let InitProducerIdResponse {
            producer_id: ProducerId(id), producer_epoch: ProducerEpoch(epoch), ..
        } = answer;
        match answer.error_code.ok() {
            Err(code) => Some(Error::broker_code(code, "get a producer id (InitProducerId)")),
            Ok(()) if *id >= 0 && *epoch >= 0 => None,
            Ok(()) => {
                let attempt =
                    format!("get a producer id (InitProducerId): the broker gave {id} with epoch {epoch}");
                Some(Error::new(ErrorKind::Protocol, attempt))
            }
        }
    };
    let build = |_| request.clone();
    let deadline = task::after(task::now(), shared.config.delivery_timeout);
    // Who waits for the topic has asked for metadata already, and one answer will do for both.
    let mut views = shared.cluster.views();
    drop(task::until(deadline, views.wait_for(|view| !view.is_empty())).await);
    match shared.cluster.call(Reach::Any, build, Span::from(0), deadline, judge).await {
        Ok(answer) => {
            let identity = Identity { id: answer.producer_id, epoch: answer.producer_epoch };
            shared.state().batcher.set_identity(identity);
            return;
        }
        Err(error) if error.is_retriable() => tracing::warn!(%error, "no producer id yet"),
        Err(error) => {
            let hint = "without it nothing can be sent; enable.idempotence=false does without";
            let error = error.hint(hint).sent(Sent::Never);
            let mut state = shared.state();
            let finished = state.batcher.fail_all(&error);
            shared.finish(state, finished, task::now());
        }
    }
    let pause = shared.cluster.config().retry_backoff;
    task::sleep_until(task::after(task::now(), pause)).await;
}

impl Shared {
    fn needs_identity(&self) -> bool {
        let state = self.state();
        let is_starting = self.starting.swap(false, Ordering::Relaxed);
        state.batcher.needs_identity() && (is_starting || !state.batcher.is_empty())
    }

    /// Takes the answer to a request.
    pub(super) fn complete(&self, shipment: Shipment, answer: Answer) {
        let now = task::now();
        let mut state = self.state();
        let State { batcher, rng, recorder, .. } = &mut *state;
        let Completed { finished, refresh, hints, endpoints, splits } =
            batcher.complete(shipment, answer, now, rng);
        recorder.split(splits);
        let has_queued = batcher.has_queued();
        self.finish(state, finished, now);
        let mut is_abreast = true;
        if !hints.is_empty() {
            self.cluster.amend_view(|view| {
                let is_better = view.apply_hints(&hints, &endpoints) > 0;
                is_abreast = hints.iter().all(|hint| view.is_abreast_of(hint));
                is_better
            });
        }
        if refresh || !is_abreast {
            self.cluster.ask_for_metadata();
        }
        // With nothing queued there is nothing to do for the sender but to end.
        if has_queued || self.closing.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }
}
