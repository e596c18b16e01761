//! The task behind a producer: takes what is ready for each broker, sends it, and hands the answers back.
//!
//! Each broker has a carrier of its own, which compresses and sends one request after the other, so that the requests of a
//! broker stay in order and no broker waits for another. Answers are awaited beside that: up to
//! `max.in.flight.requests.per.connection` requests of a broker are under way at once.

use super::{Shared, compressor};
use crate::cluster::{Reach, Reply};
use crate::config::Acks as AcksSetting;
use crate::engine::batcher::{Answer, Completed, Identity, Shipment};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{
    Acks, BrokerId, InitProducerIdRequest, InitProducerIdResponse, Lane, ProduceRequest, ProducerEpoch,
    ProducerId,
};
use crate::records::Compressor;
use crate::task::{self, Tasks};
use crate::wire::Span;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Shipments that wait for a carrier; the batcher's limit of requests in flight is lower.
const SHIPMENTS: usize = 64;
/// Batches are compressed away from the runtime's threads from this size on; below, handing over costs more.
const BLOCKING_BYTES: usize = 32 * 1024;

/// The sender's end: with it, however it came about, every delivery is resolved.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.batcher.close();
        let error =
            Error::new(ErrorKind::Closed, "deliver the records: the runtime of the producer was shut down");
        let finished = state.batcher.fail_all(&error);
        drop(state);
        self.0.finish(finished);
    }
}

pub(super) async fn run(shared: Arc<Shared>) {
    let _ending = Ending(Arc::clone(&shared));
    let mut views = shared.cluster.views();
    let mut carriers: BTreeMap<BrokerId, mpsc::Sender<Shipment>> = BTreeMap::new();
    let mut carrying = Tasks::new();
    let mut asking = Tasks::new();
    let mut is_asking = false;
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
        tokio::select! {
            biased;
            () = shared.wake.notified() => {}
            changed = views.changed() => if changed.is_err() { return },
            () = asking.next() => is_asking = false,
            () = carrying.next() => {}
            () = task::sleep_until(deadline) => {}
        }
    }
}

/// Gives up what is too old and hands out what is ready; when to look again.
fn step(
    shared: &Arc<Shared>,
    carriers: &mut BTreeMap<BrokerId, mpsc::Sender<Shipment>>,
    carrying: &mut Tasks<()>,
) -> Instant {
    let now = task::now();
    let mut state = shared.state();
    let finished = state.batcher.expire(now);
    let mut shipments = Vec::new();
    for broker in state.batcher.ready(now) {
        while let Some(shipment) = state.batcher.drain(broker, now) {
            shipments.push(shipment);
        }
    }
    let leaderless = !state.batcher.leaderless().is_empty();
    let due = state.batcher.next_deadline();
    drop(state);
    shared.finish(finished);
    for shipment in shipments {
        let broker = shipment.broker();
        let carrier = carriers.entry(broker).or_insert_with(|| {
            let (carrier, shipments) = mpsc::channel(SHIPMENTS);
            carrying.spawn(carry(Arc::clone(shared), shipments));
            carrier
        });
        if let Err(refused) = carrier.try_send(shipment) {
            // It is gone: the next shipment gets another one.
            carriers.remove(&broker);
            let error = Error::new(ErrorKind::Internal, "hand a request to its carrier").sent(Sent::Never);
            shared.complete(refused.into_inner(), Answer::Failed(error));
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

/// Sends the requests of one broker, in order, until the producer is done.
async fn carry(shared: Arc<Shared>, mut shipments: mpsc::Receiver<Shipment>) {
    let mut answers: Tasks<()> = Tasks::new();
    loop {
        let next = tokio::select! {
            biased;
            next = shipments.recv() => next,
            () = answers.next() => continue,
        };
        let Some(shipment) = next else { return };
        let Some(mut shipment) = seal(&shared, shipment).await else { continue };
        match send(&shared, &mut shipment).await {
            Ok(reply) => {
                let shared = Arc::clone(&shared);
                answers.spawn(async move {
                    let answer = match reply.await {
                        Ok(_) if shared.config.acks == AcksSetting::None => Answer::Unacknowledged,
                        Ok(response) => Answer::Response(response),
                        Err(error) => Answer::Failed(error),
                    };
                    shared.complete(shipment, answer);
                });
            }
            Err(error) => {
                // What waits behind it has waited for the same connection; it may find a better one.
                while let Ok(waiting) = shipments.try_recv() {
                    shared.complete(waiting, Answer::Failed(error.clone().sent(Sent::Never)));
                }
                shared.complete(shipment, Answer::Failed(error));
            }
        }
    }
}

/// Compresses what is to be compressed, large batches away from the runtime's threads. `None` when the runtime is going
/// down; the records are given up then.
async fn seal(shared: &Arc<Shared>, mut shipment: Shipment) -> Option<Shipment> {
    let compressed = shared.config.compression != crate::config::CompressionType::None;
    if !(compressed && shipment.has_unsealed() && shipment.bytes() >= BLOCKING_BYTES) {
        seal_in_place(shared, &mut shipment);
        return Some(shipment);
    }
    let worker = Arc::clone(shared);
    let (id, broker) = (shipment.id(), shipment.broker());
    let sealing = task::blocking(move || {
        seal_in_place(&worker, &mut shipment);
        shipment
    });
    let sealed = sealing.await;
    if sealed.is_none() {
        let error = Error::new(ErrorKind::Internal, "compress a batch: its thread is gone");
        let finished = shared.state().batcher.lose(id, broker, &error);
        shared.finish(finished);
    }
    sealed
}

fn seal_in_place(shared: &Shared, shipment: &mut Shipment) {
    let mut codec: Option<Compressor> = None;
    shipment.seal(|topic, batch| {
        if codec.is_none() {
            codec = compressor(&shared.config).ok();
        }
        let Some(able) = &mut codec else { return };
        // A panic of a codec leaves the batch as it was, and the codec of no use.
        match catch_unwind(AssertUnwindSafe(|| batch.compress(able))) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(%topic, %error, "a batch was not compressed and goes as it is");
            }
            Err(_) => {
                tracing::error!(%topic, "compressing a batch panicked; it goes as it is");
                codec = None;
            }
        }
    });
}

/// Hands a request to the connection; what comes back waits for the answer.
async fn send(shared: &Shared, shipment: &mut Shipment) -> Result<Reply<ProduceRequest>> {
    let timeout = shared.cluster.config().request_timeout;
    let deadline = task::after(task::now(), timeout);
    let deadline = shipment.send_by().map_or(deadline, |by| by.min(deadline));
    let link = shared.cluster.link(shipment.broker(), Lane::Produce, deadline).await;
    let link = link.map_err(|error| error.sent(Sent::Never))?;
    let wanted = if shipment.has_topic_ids() { Span::from(3) } else { Span::new(3, 12) };
    let version = link.version::<ProduceRequest>(wanted).map_err(|error| error.sent(Sent::Never))?;
    let acks = match shared.config.acks {
        AcksSetting::All => Acks::ALL,
        AcksSetting::Leader => Acks::LEADER,
        AcksSetting::None => Acks::NONE,
    };
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let request = shipment.request(acks, timeout_ms, None);
    if acks == Acks::NONE {
        link.send_unanswered(&request, version).await
    } else {
        link.send(&request, version).await
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
            let finished = shared.state().batcher.fail_all(&error);
            shared.finish(finished);
        }
    }
    let pause = shared.cluster.config().retry_backoff;
    task::sleep_until(task::after(task::now(), pause)).await;
}

impl Shared {
    fn needs_identity(&self) -> bool {
        let state = self.state();
        state.batcher.needs_identity() && !state.batcher.is_empty()
    }

    /// Takes the answer to a request.
    fn complete(&self, shipment: Shipment, answer: Answer) {
        let now = task::now();
        let mut state = self.state();
        let super::State { batcher, rng, .. } = &mut *state;
        let Completed { finished, refresh, hints, endpoints } = batcher.complete(shipment, answer, now, rng);
        drop(state);
        self.finish(finished);
        let mut followed = 0;
        if !hints.is_empty() {
            self.cluster.amend_view(|view| {
                followed = view.apply_hints(&hints, &endpoints);
                followed > 0
            });
        }
        if refresh || followed < hints.len() {
            self.cluster.ask_for_metadata();
        }
        self.wake.notify_one();
    }
}
