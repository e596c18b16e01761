//! The task that carries requests to one broker: compresses and sends one after the other, and beside that takes the
//! answers to those that are under way, up to `max.in.flight.requests.per.connection` of them.

use super::Shared;
use super::codecs::Press;
use crate::cluster::Reply;
use crate::config::Acks as AcksSetting;
use crate::engine::batcher::{Answer, Shipment};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{Acks, Lane, ProduceRequest, ProduceResponse};
use crate::task;
use crate::wire::Span;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::mpsc;
use tracing::Instrument;

/// Batches are compressed away from the runtime's threads from this size on; below, handing over costs more.
const BLOCKING_BYTES: usize = 32 * 1024;

/// Sends the requests of one broker, in order, until the producer is done.
pub(super) async fn carry(shared: Arc<Shared>, mut cargoes: mpsc::Receiver<Cargo>) {
    let mut answers = Answers { shared: &shared, awaited: Vec::new() };
    let mut press = Press::default();
    while let Some(mut cargo) = answers.beside(cargoes.recv()).await {
        if !answers.beside(cargo.seal(&mut press)).await {
            continue;
        }
        let span = cargo.span();
        let since = task::now();
        match answers.beside(cargo.send().instrument(span.clone())).await {
            Ok(reply) => answers.awaited.push(Awaited { cargo, reply, since, span }),
            Err(error) => {
                // What waits behind it has waited for the same connection; it may find a better one.
                while let Ok(waiting) = cargoes.try_recv() {
                    waiting.complete(Answer::Failed(error.clone().sent(Sent::Never)));
                }
                cargo.complete(Answer::Failed(error));
            }
        }
    }
    answers.beside(std::future::pending()).await
}

/// The requests of a broker that are not answered yet: a few.
struct Answers<'a> {
    shared: &'a Shared,
    awaited: Vec<Awaited>,
}

struct Awaited {
    cargo: Cargo,
    reply: Reply<ProduceRequest>,
    since: Instant,
    span: tracing::Span,
}

impl Answers<'_> {
    /// Takes answers as they come, until `work` is done.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.take(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Takes the answers that are there, in the order of their requests.
    fn take(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(awaited) = self.awaited.get_mut(at) {
            match Pin::new(&mut awaited.reply).poll(cx) {
                Poll::Ready(answer) => self.awaited.remove(at).answered(self.shared, answer),
                Poll::Pending => at += 1,
            }
        }
    }
}

impl Awaited {
    fn answered(self, shared: &Shared, answer: Result<ProduceResponse>) {
        let _entered = self.span.enter();
        let answer = match answer {
            Ok(_) if shared.config.acks == AcksSetting::None => Answer::Unacknowledged,
            Ok(response) => {
                let took = task::now().saturating_duration_since(self.since);
                shared.state().recorder.answered(took, response.throttle_time_ms);
                Answer::Response(response)
            }
            Err(error) => Answer::Failed(error),
        };
        self.cargo.complete(answer);
    }
}

/// A shipment in somebody's care: whatever becomes of him, it is handed back.
pub(super) struct Cargo {
    shared: Arc<Shared>,
    /// `None` once it was handed back.
    shipment: Option<Shipment>,
}

impl Cargo {
    pub(super) fn new(shared: &Arc<Shared>, shipment: Shipment) -> Cargo {
        Cargo { shared: Arc::clone(shared), shipment: Some(shipment) }
    }

    pub(super) fn complete(mut self, answer: Answer) {
        if let Some(shipment) = self.shipment.take() {
            self.shared.complete(shipment, answer);
        }
    }

    fn span(&self) -> tracing::Span {
        let Some(shipment) = &self.shipment else { return tracing::Span::none() };
        tracing::debug_span!(
            "Produce",
            broker = shipment.broker().0,
            batches = shipment.batch_count(),
            bytes = shipment.bytes(),
        )
    }

    /// Compresses what is to be compressed. `false` when the runtime is going down; the records are given up then.
    async fn seal(&mut self, press: &mut Press) -> bool {
        let Some(shipment) = self.shipment.take() else { return false };
        self.shipment = seal(&self.shared, shipment, press).await;
        self.shipment.is_some()
    }

    /// Hands the request to the connection; what comes back waits for the answer.
    async fn send(&mut self) -> Result<Reply<ProduceRequest>> {
        let Cargo { shared, shipment: Some(shipment) } = self else {
            return Err(Error::new(ErrorKind::Internal, "send a request that was handed back"));
        };
        let reply = send(shared, shipment).await?;
        shared.state().recorder.sent(shipment);
        Ok(reply)
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        if let Some(shipment) = self.shipment.take() {
            let error = Error::new(ErrorKind::Internal, "send a request: the task that did is gone");
            self.shared.complete(shipment, Answer::Failed(error.sent(Sent::Maybe)));
        }
    }
}

/// Compresses what is to be compressed, large batches away from the runtime's threads. `None` when the runtime is going
/// down; the records are given up then.
pub(super) async fn seal(
    shared: &Arc<Shared>,
    mut shipment: Shipment,
    press: &mut Press,
) -> Option<Shipment> {
    if !(shared.codecs.any() && shipment.has_unsealed() && shipment.bytes() >= BLOCKING_BYTES) {
        seal_in_place(shared, &mut shipment, press);
        return Some(shipment);
    }
    let worker = Arc::clone(shared);
    let (id, broker) = (shipment.id(), shipment.broker());
    let mut used = std::mem::take(press);
    let sealing = task::blocking(move || {
        seal_in_place(&worker, &mut shipment, &mut used);
        (shipment, used)
    });
    match sealing.await {
        Some((shipment, used)) => {
            *press = used;
            Some(shipment)
        }
        None => {
            let error = Error::new(ErrorKind::Internal, "compress a batch: its thread is gone");
            let mut state = shared.state();
            let finished = state.batcher.lose(id, broker, &error);
            shared.finish(state, finished, task::now());
            shared.wake.notify_one();
            None
        }
    }
}

fn seal_in_place(shared: &Shared, shipment: &mut Shipment, press: &mut Press) {
    shipment.seal(|topic, batch| press.compress(&shared.codecs, topic, batch));
}

/// Hands a request to the connection; what comes back waits for the answer.
async fn send(shared: &Shared, shipment: &mut Shipment) -> Result<Reply<ProduceRequest>> {
    let timeout = shared.cluster.config().request_timeout;
    let deadline = task::after(task::now(), timeout);
    let deadline = shipment.send_by().map_or(deadline, |by| by.min(deadline));
    let link = shared.cluster.link(shipment.broker(), Lane::Produce, deadline).await;
    let link = link.map_err(|error| error.sent(Sent::Never))?.send_by(shipment.send_by());
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
