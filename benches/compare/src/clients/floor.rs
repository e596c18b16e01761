//! Not a client, but what none on tokio can do without: the requests of a job are there before it begins, go to the socket
//! as they are, five of them unanswered at most, and of the answers only the ends are looked for. What a client takes
//! beyond that is its own.

use crate::job::Job;
use crate::measure::{Latencies, Marks};
use crate::modes::Client;
use crate::pace::{AsyncTicks, Pace};
use crate::payload::{self, Values};
use crate::sink::TOPIC;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla::messages::{Acks, ApiKey, ProducePartition, ProduceRequest, ProduceTopic, RequestHeader, api};
use ottla::records::{BatchBuilder, Stamp};
use ottla::wire;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// A version that names topics.
const VERSION: i16 = 12;
const IN_FLIGHT: usize = 5;
/// From this size on ours sends a batch without waiting for more.
const BATCH_BYTES: usize = 512 << 10;

pub struct Floor {
    runtime: Runtime,
    wire: Arc<Mutex<Wire>>,
}

/// A connection, and the requests that go there.
struct Wire {
    stream: TcpStream,
    /// A full batch, and how many records it has.
    full: (Vec<u8>, u64),
    /// A record alone.
    lone: Vec<u8>,
    /// What has come of answers.
    come: BytesMut,
}

impl Client for Floor {
    fn connect(job: &Job) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let stream = runtime.block_on(TcpStream::connect(job.address.as_str())).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let full = request(payload::pool(job.bytes).iter().cycle(), BATCH_BYTES);
        let (lone, _) = request(payload::one(job.bytes).iter(), 0);
        let wire = Wire { stream, full, lone, come: BytesMut::with_capacity(64 << 10) };
        Floor { runtime, wire: Arc::new(Mutex::new(wire)) }
    }

    fn fill(&self, values: Values) {
        let wire = Arc::clone(&self.wire);
        self.run(async move { wire.lock().await.fill(values.left()).await });
    }

    fn sustain(&self, _: Values, _: Marks) -> Marks {
        panic!("the floor is that of `produce` and `latency` alone");
    }

    fn paced(&self, _: Values, pace: Pace) -> Latencies {
        let wire = Arc::clone(&self.wire);
        self.run(async move { wire.lock().await.paced(pace).await })
    }
}

impl Floor {
    /// In a task, as clients do their work.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(self.runtime.spawn(work)).expect("a task that ends")
    }
}

impl Wire {
    /// Full batches, with so many records at least.
    async fn fill(&mut self, records: u64) {
        let mut waiting = 0;
        for _ in 0..records.div_ceil(self.full.1) {
            if waiting == IN_FLIGHT {
                waiting -= self.answers(1).await;
            }
            self.stream.write_all(&self.full.0).await.expect("a connection");
            waiting += 1;
        }
        self.answers(waiting).await;
    }

    /// A lone record at each tick, also while answers are on their way.
    async fn paced(&mut self, pace: Pace) -> Latencies {
        let mut latencies = Vec::with_capacity(pace.ticks as usize);
        let mut ticks = AsyncTicks::begin(pace);
        let mut waiting = VecDeque::new();
        let mut is_over = false;
        while !is_over || !waiting.is_empty() {
            tokio::select! {
                due = ticks.wait(), if !is_over && waiting.len() < IN_FLIGHT => match due {
                    Some(due) => {
                        self.stream.write_all(&self.lone).await.expect("a connection");
                        waiting.push_back(due);
                    }
                    None => is_over = true,
                },
                count = self.answers(1), if !waiting.is_empty() => {
                    latencies.extend(waiting.drain(..count).map(|due: Instant| due.elapsed()));
                }
            }
        }
        Latencies(latencies)
    }

    /// Waits until at least so many have come, and says how many have. Of one that is waited for
    /// nothing is lost when the future is dropped.
    async fn answers(&mut self, least: usize) -> usize {
        let mut ended = 0;
        while ended < least {
            while let Some(length) = self.come.first_chunk().copied().map(u32::from_be_bytes) {
                let whole = 4 + length as usize;
                if self.come.len() < whole {
                    break;
                }
                self.come.advance(whole);
                ended += 1;
            }
            if ended < least {
                self.come.reserve(1 << 10);
                let more = self.stream.read_buf(&mut self.come).await.expect("a connection");
                assert!(more > 0, "the sink is gone");
            }
        }
        ended
    }
}

/// A request with a batch of these values, of so many bytes or the first value alone, and how many records it has.
fn request<'a>(values: impl Iterator<Item = &'a Bytes>, bytes: usize) -> (Vec<u8>, u64) {
    let mut batch = BatchBuilder::with_capacity(2 * BATCH_BYTES);
    for value in values {
        batch.append(0, None, Some(value), []).expect("a batch with room");
        if batch.len() >= bytes {
            break;
        }
    }
    let records = u64::from(batch.record_count().unsigned_abs());
    let batch = batch.close().expect("records").seal(Stamp::NONE);
    let partition = ProducePartition { index: 0, records: Some(batch.bytes().clone().into()) };
    let topic = ProduceTopic { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
    let body =
        ProduceRequest { acks: Acks::ALL, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    let key = ApiKey::PRODUCE;
    let layout = api(key).expect("an API").request_header_version(VERSION);
    let header = RequestHeader { request_api_key: key, request_api_version: VERSION, ..Default::default() };
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    wire::encode(&header, layout, layout >= 2, &mut frame).expect("a header");
    wire::encode(&body, VERSION, true, &mut frame).expect("a request");
    let length = u32::try_from(frame.len() - 4).expect("a length");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    (frame.into(), records)
}
