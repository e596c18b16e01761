//! What becomes of batches: answers, retries, splits, and time running out.

use super::judge::{ATTEMPT, Fate, too_late};
use super::lane::{Batch, Content, Order};
use super::shipment::{Answer, Item, Shipment};
use super::{Batcher, Divide, absence};
use crate::engine::view::Hint;
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::{BrokerId, ErrorCode, NodeEndpoint, ProducePartitionResponse, ProduceResponse};
use crate::records::{Compression, Compressor};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::time::Instant;

/// What an answer brought.
#[derive(Debug)]
pub struct Completed<C> {
    /// The batches whose fate is known now.
    pub finished: Vec<Finished<C>>,
    /// Whether metadata is to be asked for, once for all the partitions that need it. Not for those with a hint.
    pub refresh: bool,
    /// Who the broker says leads partitions that it does not (KIP-951): for [`View::apply_hints`](crate::engine::view::View::apply_hints).
    pub hints: Vec<Hint>,
    /// Where the brokers of the hints are.
    pub endpoints: Vec<NodeEndpoint>,
    /// How many batches were halved because the broker found them too large.
    pub splits: u64,
}

/// A batch whose fate is known.
#[derive(Debug)]
pub struct Finished<C> {
    /// What its records share.
    pub completion: C,
    /// Its topic.
    pub topic: Text,
    /// Its partition.
    pub partition: i32,
    /// How many records it had.
    pub records: i32,
    /// When its first record was appended.
    pub created: Instant,
    /// Where it is, or why it is not known to be there.
    pub result: Result<Receipt, Rejection>,
}

/// Where a batch is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The offset of its first record; `None` when the broker does not say: with `acks=0`, or when the batch was written
    /// by an earlier attempt, too long ago.
    pub base_offset: Option<i64>,
    /// The broker's time, where the topic is set to LogAppendTime: it holds instead of the records' own.
    pub append_time_ms: Option<i64>,
}

/// Why a batch is not known to be in the log.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The error of each record that `records` does not name.
    pub error: Error,
    /// The records because of which the broker refused all of them (KIP-467), by index.
    pub records: Vec<(i32, Error)>,
}

impl<C: Divide> Batcher<C> {
    /// Takes the answer to a shipment's request: finishes what is finished and queues what is to be sent again.
    pub fn complete(
        &mut self,
        shipment: Shipment,
        answer: Answer,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Completed<C> {
        let mut done = Completed {
            finished: Vec::new(),
            refresh: false,
            hints: Vec::new(),
            endpoints: Vec::new(),
            splits: 0,
        };
        if self.shipments.remove(&shipment.id).is_some() {
            self.release(shipment.broker);
        }
        let mut answers = BTreeMap::new();
        let fallback = match answer {
            Answer::Response(response) => {
                answers = by_lane(&shipment, response, &mut done);
                // An answer that leaves a partition out acknowledges nothing of it.
                Some(
                    Error::new(ErrorKind::Protocol, "find the partition in the answer to a Produce request")
                        .sent(Sent::Maybe),
                )
            }
            Answer::Failed(error) => Some(error),
            Answer::Unacknowledged => None,
        };
        for item in shipment.items {
            let key = (item.lane, item.partition);
            // It may have been given up meanwhile.
            let landed = self.lanes.get_mut(item.lane).and_then(|lane| lane.land(item.order));
            let Some(mut batch) = landed else { continue };
            let place = |error: Error| error.topic(item.topic.as_str()).partition(item.partition);
            let fate = match (answers.remove(&key), &fallback) {
                (Some(answer), _) => self.judge_answer(&item, &mut batch, answer, now, rng, &mut done),
                (None, Some(error)) => self.judge(&mut batch, place(error.clone()), now, rng, &mut done),
                (None, None) => Fate::Written(Receipt { base_offset: None, append_time_ms: None }),
            };
            let fate = match fate {
                // Another broker leads now: it owes no pause for what this one did.
                Fate::Again(_) if self.has_moved(item.lane, shipment.broker) => Fate::Again(now),
                other => other,
            };
            batch.content = item.content;
            done.splits = done.splits.saturating_add(u64::from(matches!(fate, Fate::Split)));
            self.settle(item.lane, batch, fate, now, &mut done.finished);
        }
        done
    }

    /// Gives up a shipment that was not sent and will never be handed back, because who had it is gone; its records are
    /// lost with it.
    pub fn lose(&mut self, shipment: u64, broker: BrokerId, error: &Error) -> Vec<Finished<C>> {
        let mut finished = Vec::new();
        let Some(orders) = self.shipments.remove(&shipment) else { return finished };
        self.release(broker);
        for (lane, order) in orders {
            self.lose_in_flight(lane, order, None, error, &mut finished);
            self.settle_lane(lane);
        }
        finished
    }

    /// Gives up what waited for too long: [`next_deadline`](Self::next_deadline) says when to look. What is in flight then
    /// has its request's time-out.
    pub fn expire(&mut self, now: Instant) -> Vec<Finished<C>> {
        let mut finished = Vec::new();
        while let Some(&(at, lane)) = self.expiries.first()
            && at <= now
        {
            while let Some(batch) = self.pop_expired(lane, now) {
                let error = self.timed_out(lane, &batch);
                self.finish_lost(lane, batch, error, &mut finished);
            }
            self.settle_lane(lane);
        }
        finished
    }

    /// Gives up everything, at the end of a close whose time is over. Each batch's error says of which partition it is.
    pub fn fail_all(&mut self, error: &Error) -> Vec<Finished<C>> {
        let mut finished = Vec::new();
        for (_, orders) in std::mem::take(&mut self.shipments) {
            for (lane, order) in orders {
                self.lose_in_flight(lane, order, Some(Sent::Maybe), error, &mut finished);
            }
        }
        self.outlets.values_mut().for_each(|outlet| outlet.in_flight = 0);
        for lane in self.queued_lanes() {
            while let Some(batch) = self.lanes.get_mut(lane).and_then(|lane| lane.queue.pop_front()) {
                self.finish_lost(lane, batch, error.clone(), &mut finished);
            }
            self.settle_lane(lane);
        }
        finished
    }
}

impl<C: Divide> Batcher<C> {
    fn release(&mut self, broker: BrokerId) {
        if let Some(outlet) = self.outlets.get_mut(&broker) {
            outlet.in_flight = outlet.in_flight.saturating_sub(1);
        }
    }

    fn has_moved(&self, lane: usize, from: BrokerId) -> bool {
        let leader = self.lanes.get(lane).and_then(|lane| lane.leader);
        leader.is_some_and(|(broker, _)| broker != from)
    }

    fn settle(
        &mut self,
        lane: usize,
        mut batch: Batch<C>,
        fate: Fate,
        now: Instant,
        finished: &mut Vec<Finished<C>>,
    ) {
        match fate {
            Fate::Written(receipt) => {
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.sequences.acked(batch.order);
                }
                self.finish(lane, batch, Ok(receipt), finished);
            }
            Fate::Lost(rejection) => {
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.give_up(&batch);
                }
                let rejection = rejection.sent(batch.sent);
                self.finish(lane, batch, Err(rejection), finished);
            }
            Fate::Again(at) => {
                batch.not_before = at;
                self.recharge(&mut batch);
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.requeue(batch);
                }
            }
            Fate::Split => self.split(lane, batch, now, finished),
        }
        self.settle_lane(lane);
    }

    /// A batch that was compressed takes less than it did.
    fn recharge(&mut self, batch: &mut Batch<C>) {
        let charge = batch.content.memory().min(batch.charge);
        self.held = self.held.saturating_sub(batch.charge.saturating_sub(charge));
        batch.charge = charge;
    }

    /// Halves a batch, and keeps those to come from growing so large again: Kafka's Java client splits at the size that
    /// was too large, and so goes on for ever.
    fn split(&mut self, at: usize, batch: Batch<C>, now: Instant, finished: &mut Vec<Finished<C>>) {
        // The halves are compressed again when they are sent.
        let halves = match (&batch.content, Compressor::new(Compression::None, None)) {
            (Content::Sealed(sealed), Ok(mut plain)) => sealed.split(&mut plain).ok().flatten(),
            _ => None,
        };
        let Some([first, second]) = halves else {
            let error = Error::new(ErrorKind::Internal, "split a batch that is too large for the broker");
            return self.finish_lost(at, batch, error, finished);
        };
        let half_len = first.len().max(second.len());
        let Some(lane) = self.lanes.get_mut(at) else { return };
        if let Some(topic) = self.topics.get_mut(lane.topic) {
            topic.full_len = topic.full_len.min(half_len);
        }
        let Batch {
            order,
            completion,
            stamp,
            ordinal,
            created,
            open_until,
            newest,
            failures,
            attempts,
            sent,
            last_error,
            ..
        } = batch;
        self.held = self.held.saturating_sub(batch.charge);
        *self.unfinished.entry(order.serial).or_default() += 1;
        let records_first = first.record_count();
        let stamp_second = stamp.map(|stamp| crate::records::Stamp {
            base_sequence: super::advance(stamp.base_sequence, records_first),
            ..stamp
        });
        let [completion_first, completion_second] = completion.divide(records_first);
        let parts = [
            (first, completion_first, stamp, order),
            (
                second,
                completion_second,
                stamp_second,
                Order { part: order.part.saturating_add(records_first), ..order },
            ),
        ];
        for (half, completion, stamp, order) in parts {
            let charge = half.memory();
            self.held = self.held.saturating_add(charge);
            lane.requeue(Batch {
                order,
                completion,
                records: half.record_count(),
                content: Content::Closed(half),
                stamp,
                ordinal,
                created,
                open_until,
                newest,
                not_before: now,
                failures,
                attempts,
                sent,
                last_error: last_error.clone(),
                charge,
            });
        }
    }

    fn pop_expired(&mut self, lane: usize, now: Instant) -> Option<Batch<C>> {
        let limits = &self.limits;
        let queue = &mut self.lanes.get_mut(lane)?.queue;
        queue.front().filter(|batch| batch.is_expired(limits, now))?;
        queue.pop_front()
    }

    /// Why a batch that waited was not sent in time.
    fn timed_out(&self, lane: usize, batch: &Batch<C>) -> Error {
        let Some(lane) = self.lanes.get(lane) else { return Error::new(ErrorKind::Timeout, ATTEMPT) };
        let Some(topic) = self.topics.get(lane.topic) else { return Error::new(ErrorKind::Timeout, ATTEMPT) };
        let absence = lane.leader.is_none().then(|| absence(topic, lane.partition));
        match absence {
            // There is nowhere to send it: that says more than that it took long.
            Some(code @ ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Error::broker_code(code, ATTEMPT),
            Some(code) => too_late(Error::broker_code(code, "find the leader")),
            None => batch.last_error.clone().map_or_else(
                || {
                    Error::new(ErrorKind::Timeout, ATTEMPT)
                        .hint("delivery.timeout.ms passed before it could be sent")
                },
                too_late,
            ),
        }
    }

    fn lose_in_flight(
        &mut self,
        lane: usize,
        order: Order,
        sent: Option<Sent>,
        error: &Error,
        finished: &mut Vec<Finished<C>>,
    ) {
        if let Some(mut batch) = self.lanes.get_mut(lane).and_then(|lane| lane.land(order)) {
            batch.sent = sent.unwrap_or(batch.sent);
            self.finish_lost(lane, batch, error.clone(), finished);
        }
    }

    fn finish_lost(&mut self, lane: usize, batch: Batch<C>, error: Error, finished: &mut Vec<Finished<C>>) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.give_up(&batch);
        }
        let place =
            self.lanes.get(lane).and_then(|lane| Some((self.topics.get(lane.topic)?, lane.partition)));
        let error = match place {
            Some((topic, partition)) => error.topic(topic.name.as_str()).partition(partition),
            None => error,
        };
        let rejection = Rejection::from(error).sent(batch.sent);
        self.finish(lane, batch, Err(rejection), finished);
    }

    fn finish(
        &mut self,
        lane: usize,
        batch: Batch<C>,
        result: Result<Receipt, Rejection>,
        finished: &mut Vec<Finished<C>>,
    ) {
        self.held = self.held.saturating_sub(batch.charge);
        if let Some(buffer) = batch.content.into_buffer() {
            self.buffers.give(buffer);
        }
        if let Some(parts) = self.unfinished.get_mut(&batch.order.serial) {
            *parts = parts.saturating_sub(1);
            if *parts == 0 {
                self.unfinished.remove(&batch.order.serial);
            }
        }
        let Some(lane) = self.lanes.get(lane) else { return };
        let Some(topic) = self.topics.get(lane.topic) else { return };
        finished.push(Finished {
            completion: batch.completion,
            topic: topic.name.clone(),
            partition: lane.partition,
            records: batch.records,
            created: batch.created,
            result,
        });
    }
}

/// The partitions of a request, by names and ids as they were when it was sent: a topic may have been made anew meanwhile.
enum Asked<'a> {
    /// Nearly always there are few.
    Few(&'a [Item]),
    Many(BTreeMap<(&'a Text, i32), &'a Item>, BTreeMap<(Uuid, i32), &'a Item>),
}

impl<'a> Asked<'a> {
    const FEW: usize = 8;

    fn of(items: &'a [Item]) -> Asked<'a> {
        if items.len() <= Self::FEW {
            return Asked::Few(items);
        }
        let by_name = items.iter().map(|item| ((&item.topic, item.partition), item));
        let with_id = items.iter().filter(|item| !item.topic_id.is_zero());
        let by_id = with_id.map(|item| ((item.topic_id, item.partition), item));
        Asked::Many(by_name.collect(), by_id.collect())
    }

    /// From version 13 on topics have ids instead of names.
    fn find(&self, name: &'a Text, id: Uuid, partition: i32) -> Option<&'a Item> {
        match self {
            Asked::Few(items) => items.iter().find(|item| {
                item.partition == partition && (!id.is_zero() && item.topic_id == id || item.topic == *name)
            }),
            Asked::Many(by_name, by_id) => {
                by_id.get(&(id, partition)).or_else(|| by_name.get(&(name, partition))).copied()
            }
        }
    }
}

/// What an answer says of the partitions that were asked for, and of leaders. What it says of others is not heard.
fn by_lane<C>(
    shipment: &Shipment,
    response: ProduceResponse,
    done: &mut Completed<C>,
) -> BTreeMap<(usize, i32), ProducePartitionResponse> {
    done.endpoints = response.node_endpoints;
    let asked = Asked::of(&shipment.items);
    let mut answers = BTreeMap::new();
    for topic in response.responses {
        for partition in topic.partition_responses {
            let Some(item) = asked.find(&topic.name, topic.topic_id, partition.index) else { continue };
            if !partition.current_leader.leader_id.is_none() {
                let leader = partition.current_leader.clone();
                done.hints.push(Hint { topic: item.topic.clone(), partition: item.partition, leader });
            }
            answers.insert((item.lane, partition.index), partition);
        }
    }
    answers
}

impl Rejection {
    fn sent(self, sent: Sent) -> Rejection {
        let records = self.records.into_iter().map(|(index, error)| (index, error.sent(sent)));
        Rejection { error: self.error.sent(sent), records: records.collect() }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Rejection {
        Rejection { error, records: Vec::new() }
    }
}
