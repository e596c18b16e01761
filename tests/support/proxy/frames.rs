//! Requests and answers in the stream of bytes, and what becomes of them.

use super::Shared;
use bytes::Bytes;
use ottla::messages::{Acks, AnyRequest, ApiKey, RequestHeader};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request that passes by.
#[derive(Debug, Clone)]
pub struct Passing {
    pub key: ApiKey,
    pub version: i16,
    /// Counts the requests of this API over the road, from 0.
    pub nth: usize,
    /// Bytes behind the length.
    pub bytes: usize,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// The broker never gets it; the connection stays.
    LoseRequest,
    /// The client never gets the answer; the connection stays.
    LoseAnswer,
    /// The connection ends before the broker has got it.
    CutRequest,
    /// The connection ends when the broker has answered, before the client has got it.
    CutAnswer,
    /// A bit is flipped, so many bytes before the end of the request.
    FlipFromEnd(usize),
}

type Rule = Box<dyn FnMut(&Passing) -> Fate + Send>;

/// All requests of a road.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) rule: Option<Rule>,
    /// Directions of connections that are not cut into frames, as there was no rule when their first bytes came.
    pub(super) uncut: usize,
    /// Requests that were read here and whose answers were not, of connections that are there.
    pub(super) in_flight: Vec<ApiKey>,
    counts: Vec<(ApiKey, usize)>,
    /// Each fate other than to pass.
    pub(super) met: Vec<Fate>,
    /// From when a request was read here to when its answer was.
    pub(super) answered: Vec<(ApiKey, Duration)>,
}

/// A request whose answer is to come.
struct Awaited {
    fate: Fate,
    key: ApiKey,
    since: Instant,
}

/// Whether an answer is to come: none does for a Produce request with acks=0.
fn is_answered(key: ApiKey, frame: &[u8]) -> bool {
    if key != ApiKey::PRODUCE {
        return true;
    }
    let bytes = Bytes::copy_from_slice(&frame[4..]);
    let (_, mut reader) = RequestHeader::open(&bytes);
    let request = AnyRequest::read(key, &mut reader).ok().filter(|_| reader.finish().is_ok());
    !matches!(request, Some(AnyRequest::Produce(request)) if request.acks == Acks::NONE)
}

impl Requests {
    pub(super) fn asked(&self, key: ApiKey) -> usize {
        self.counts.iter().filter(|(known, _)| *known == key).map(|(_, count)| count).sum()
    }

    pub(super) fn asked_in_all(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    fn answered_or_gone(&mut self, key: ApiKey) {
        if let Some(at) = self.in_flight.iter().position(|known| *known == key) {
            self.in_flight.swap_remove(at);
        }
    }

    fn judge(&mut self, key: ApiKey, version: i16, bytes: usize) -> Fate {
        let nth = match self.counts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.counts.push((key, 1));
                0
            }
        };
        let fate = self.rule.as_mut().map_or(Fate::Pass, |rule| rule(&Passing { key, version, nth, bytes }));
        if fate != Fate::Pass {
            self.met.push(fate);
        }
        fate
    }
}

/// What is to be passed on.
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// Here the connection ends.
    Cut,
}

/// One direction of a connection: cuts it into frames once there is a rule, and passes bytes on as they are until then.
pub(super) struct Cutter {
    road: Arc<Shared>,
    awaited: Arc<Mutex<VecDeque<Awaited>>>,
    is_up: bool,
    buffer: Vec<u8>,
    framing: Option<bool>,
    counts_as_uncut: bool,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        let mut requests = self.road.requests.lock().unwrap();
        requests.uncut -= usize::from(self.counts_as_uncut);
        for Awaited { key, .. } in self.awaited.lock().unwrap().drain(..) {
            requests.answered_or_gone(key);
        }
    }
}

impl Cutter {
    pub(super) fn pair(road: &Arc<Shared>) -> (Cutter, Cutter) {
        let awaited = Arc::<Mutex<VecDeque<Awaited>>>::default();
        let cutter = |is_up| Cutter {
            road: Arc::clone(road),
            awaited: Arc::clone(&awaited),
            is_up,
            buffer: Vec::new(),
            framing: None,
            counts_as_uncut: false,
        };
        (cutter(true), cutter(false))
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let road = &self.road;
        let framing = self.framing.get_or_insert_with(|| road.requests.lock().unwrap().rule.is_some());
        if !*framing {
            // Counted once: see `drop`.
            self.counts_as_uncut = self.counts_as_uncut || {
                road.requests.lock().unwrap().uncut += 1;
                true
            };
            return vec![Piece::Bytes(bytes.to_vec())];
        }
        self.buffer.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while let Some(frame) = self.next_frame() {
            pieces.extend(if self.is_up { self.request(frame) } else { self.answer(frame) });
        }
        pieces
    }

    /// A whole frame with its length.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(*self.buffer.first_chunk()?);
        let total = 4 + length as usize;
        (self.buffer.len() >= total).then(|| self.buffer.drain(..total).collect())
    }

    fn request(&mut self, mut frame: Vec<u8>) -> Option<Piece> {
        let head = frame.get(4..8).map_or([0xff; 4], |head| head.try_into().unwrap());
        let (key, version) = (i16::from_be_bytes([head[0], head[1]]), i16::from_be_bytes([head[2], head[3]]));
        let key = ApiKey(key);
        let fate = self.road.requests.lock().unwrap().judge(key, version, frame.len() - 4);
        match fate {
            Fate::LoseRequest => return None,
            Fate::CutRequest => return Some(Piece::Cut),
            Fate::FlipFromEnd(at) => {
                let at = frame.len().saturating_sub(at + 1);
                frame[at] ^= 0x10;
            }
            Fate::Pass | Fate::LoseAnswer | Fate::CutAnswer => {}
        }
        if is_answered(key, &frame) {
            self.road.requests.lock().unwrap().in_flight.push(key);
            self.awaited.lock().unwrap().push_back(Awaited { fate, key, since: Instant::now() });
        }
        Some(Piece::Bytes(frame))
    }

    fn answer(&self, frame: Vec<u8>) -> Option<Piece> {
        let Some(request) = self.awaited.lock().unwrap().pop_front() else {
            return Some(Piece::Bytes(frame));
        };
        let mut requests = self.road.requests.lock().unwrap();
        requests.answered.push((request.key, request.since.elapsed()));
        requests.answered_or_gone(request.key);
        drop(requests);
        match request.fate {
            Fate::LoseAnswer => None,
            Fate::CutAnswer => Some(Piece::Cut),
            _ => Some(Piece::Bytes(frame)),
        }
    }
}
