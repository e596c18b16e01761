//! A member: a process of its own with one consumer, and an application that says what it does.

use super::history::{Deed, Log};
use super::plan::{Committing, Habits, Knobs, MAX_POLL, Reading};
use super::world::{GROUP, TOPIC};
use bytes::BytesMut;
use ottla::consumer::{Batch, Commit, ConsumerRecord, PartitionStream, Rebalance, RebalanceKind};
use ottla::messages::{ApiKey, OffsetCommitRequest, RequestHeader};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, Stream};
use ottla::net::mem::{MemDial, MemNet};
use ottla::task::Process;
use ottla::wire::Wire;
use ottla::{Client, Consumer, Error, ErrorKind, Result, TopicPartition};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A pause of who was told an error.
const PAUSE: Duration = Duration::from_millis(100);

/// How an application is to end.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Close(Duration),
    Drop,
}

pub struct Member {
    pub number: usize,
    pub process: Process,
    pub cables: Cables,
    pub orders: mpsc::UnboundedSender<Order>,
    pub application: JoinHandle<()>,
}

/// What a member needs to know.
#[derive(Clone)]
pub struct Terms {
    pub number: usize,
    pub knobs: Knobs,
    pub habits: Habits,
    pub instance: Option<String>,
    pub bootstrap: String,
    pub log: Log,
}

impl Member {
    pub fn start(terms: Terms, net: &MemNet) -> Member {
        let process = Process::new();
        let number = terms.number;
        let cables = Cables::new(net.dialer(), number, terms.log.clone());
        let (orders, heard) = mpsc::unbounded_channel();
        let application = process.spawn(live(terms, cables.clone(), heard));
        Member { number, process, cables, orders, application }
    }

    pub fn is_over(&self) -> bool {
        self.application.is_finished()
    }
}

/// What an application has while it runs.
struct Application {
    terms: Terms,
    orders: mpsc::UnboundedReceiver<Order>,
}

async fn live(terms: Terms, cables: Cables, orders: mpsc::UnboundedReceiver<Order>) {
    let client = Client::builder()
        .bootstrap(terms.bootstrap.clone())
        .client_id(format!("m{}", terms.number))
        .dial(Arc::new(cables))
        .set("request.timeout.ms", "5000")
        .set("default.api.timeout.ms", "8000")
        .set("metadata.max.age.ms", terms.knobs.metadata_age_ms.to_string())
        .build()
        .unwrap();
    let mut consumer = build(&client, &terms).await;
    let mut application = Application { terms, orders };
    let order = match application.terms.habits.reading {
        Reading::Poll => application.poll(&mut consumer).await,
        Reading::Records => application.records(&mut consumer).await,
        Reading::Streams => application.streams(&mut consumer).await,
    };
    let Terms { log, number, .. } = application.terms;
    match order {
        Order::Close(limit) => {
            log.add(number, Deed::Closing { limit });
            let began = ottla::task::now();
            let closed = consumer.close(limit).await;
            let took = ottla::task::now() - began;
            log.add(number, Deed::Closed { took, limit, error: closed.err().map(|error| error.to_string()) });
        }
        Order::Drop => log.add(number, Deed::Dropped),
    }
}

async fn build(client: &Client, terms: &Terms) -> Consumer {
    let Terms { knobs, habits, log, number, .. } = terms;
    let (log, number, pause) = (log.clone(), *number, knobs.listener);
    let commits = habits.committing != Committing::Auto;
    let mut consumer = client
        .consumer()
        .group(GROUP)
        .auto_offset_reset("earliest")
        .set("max.poll.interval.ms", MAX_POLL.as_millis().to_string())
        .set("enable.auto.commit", (!commits).to_string())
        .set("auto.commit.interval.ms", knobs.auto_commit_ms.to_string())
        .set("fetch.max.wait.ms", knobs.fetch_wait_ms.to_string())
        .set("max.partition.fetch.bytes", knobs.fetch_bytes.to_string())
        .subscribe([TOPIC])
        .on_rebalance(move |rebalance| told(rebalance, log.clone(), number, pause));
    consumer = match knobs.assignor {
        "consumer" => consumer.set("group.protocol", "consumer"),
        assignor => consumer
            .set("partition.assignment.strategy", assignor)
            .set("session.timeout.ms", knobs.session().as_millis().to_string())
            .set("heartbeat.interval.ms", "1000"),
    };
    if let Some(instance) = &terms.instance {
        consumer = consumer.set("group.instance.id", instance.clone());
    }
    consumer.build().await.unwrap()
}

/// The listener. A partition is a member's from the first moment in which it may be, to the last.
async fn told(rebalance: Rebalance, log: Log, number: usize, pause: Duration) {
    let partitions: Vec<i32> = rebalance.partitions().iter().map(|one| one.partition).collect();
    let mut deed = Some(Deed::Told(rebalance.kind(), partitions));
    let is_last = rebalance.kind() == RebalanceKind::Revoked;
    // Whoever takes too long is not let come to its end, and was told all the same.
    let _told = is_last.then(|| AtEnd { log: log.clone(), number, deed: deed.take() });
    deed.into_iter().for_each(|deed| log.add(number, deed));
    sleep(pause).await;
}

/// Says something when it goes.
struct AtEnd {
    log: Log,
    number: usize,
    deed: Option<Deed>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.deed.take().into_iter().for_each(|deed| self.log.add(self.number, deed));
    }
}

impl Application {
    fn add(&self, deed: Deed) {
        self.terms.log.add(self.terms.number, deed);
    }

    /// Tells of an error, and waits a little.
    async fn failed(&mut self, error: Error) -> Option<Order> {
        self.add(Deed::Failed(error.to_string()));
        self.work(PAUSE).await
    }

    /// Works, unless it is told to end.
    async fn work(&mut self, time: Duration) -> Option<Order> {
        tokio::select! {
            biased;
            order = self.orders.recv() => order,
            () = sleep(time) => None,
        }
    }

    async fn poll(&mut self, consumer: &mut Consumer) -> Order {
        loop {
            let polled = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => return order,
                polled = consumer.poll() => polled,
            };
            let order = match polled {
                Ok(Some(batch)) => self.work_through(consumer, &batch).await,
                Ok(None) => return Order::Drop,
                Err(error) => self.failed(error).await,
            };
            if let Some(order) = order {
                return order;
            }
        }
    }

    async fn work_through(&mut self, consumer: &Consumer, batch: &Batch) -> Option<Order> {
        for record in batch {
            self.add(Deed::handed_out(record.partition(), record.offset(), record.value()));
        }
        let order = self.work(self.terms.habits.work).await;
        // What is in hand when a consumer is closed counts as done, what is when it is dropped does not.
        if !matches!(order, Some(Order::Drop)) {
            self.add(Deed::Done { partition: batch.partition(), next: batch.next_offset() });
            self.commit(|| consumer.commit()).await;
        }
        order
    }

    async fn records(&mut self, consumer: &mut Consumer) -> Order {
        let mut records = consumer.records();
        loop {
            let next = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => return order,
                next = records.next() => next,
            };
            let order = match next {
                Some(Ok(record)) => {
                    self.add(Deed::of(&record));
                    let order = self.work(self.terms.habits.work / 10).await;
                    if !matches!(order, Some(Order::Drop)) {
                        self.add(Deed::done(&record));
                        let offset = record.offset + 1;
                        self.commit(|| records.consumer().commit_offsets([(record.partition, offset)])).await;
                    }
                    order
                }
                Some(Err(error)) => self.failed(error).await,
                None => return Order::Drop,
            };
            if let Some(order) = order {
                return order;
            }
        }
    }

    async fn streams(&mut self, consumer: &mut Consumer) -> Order {
        let mut partitions = consumer.partition_streams();
        loop {
            let next = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => return order,
                next = partitions.next() => next,
            };
            let order = match next {
                Some(Ok(stream)) => {
                    drop(ottla::task::spawn(read_stream(stream, self.terms.clone())));
                    None
                }
                Some(Err(error)) => self.failed(error).await,
                None => return Order::Drop,
            };
            if let Some(order) = order {
                return order;
            }
        }
    }

    async fn commit(&self, commit: impl FnOnce() -> Commit) {
        self.terms.commit(commit).await;
    }
}

impl Terms {
    async fn commit(&self, commit: impl FnOnce() -> Commit) {
        let committed = match self.habits.committing {
            Committing::Auto => return,
            Committing::Sync => commit().await,
            Committing::Async => return drop(commit()),
        };
        if let Err(error) = committed {
            self.log.add(self.number, Deed::Failed(error.to_string()));
        }
    }
}

async fn read_stream(mut stream: PartitionStream, terms: Terms) {
    while let Some(record) = stream.next().await {
        match record {
            Ok(record) => {
                terms.log.add(terms.number, Deed::of(&record));
                sleep(terms.habits.work).await;
                terms.log.add(terms.number, Deed::done(&record));
                terms.commit(|| stream.commit()).await;
            }
            Err(error) => {
                terms.log.add(terms.number, Deed::Failed(error.to_string()));
                sleep(PAUSE).await;
            }
        }
    }
}

/// The connections of one member.
#[derive(Clone)]
pub struct Cables(Arc<Cabinet>);

struct Cabinet {
    inner: MemDial,
    number: usize,
    log: Log,
    is_dead: AtomicBool,
    open: Mutex<Vec<Weak<Mutex<Plug>>>>,
    /// Whose ends are still there.
    buried: Mutex<Vec<Box<dyn Stream>>>,
}

type Plug = Option<Box<dyn Stream>>;

impl Cables {
    fn new(inner: MemDial, number: usize, log: Log) -> Cables {
        let (open, buried) = (Mutex::default(), Mutex::default());
        Cables(Arc::new(Cabinet { inner, number, log, is_dead: AtomicBool::new(false), open, buried }))
    }

    pub fn are_pulled(&self) -> bool {
        self.0.is_dead.load(Ordering::Relaxed)
    }

    /// Nothing more is said by their owner; the other ends hear that the connections are closed, or do not.
    pub fn pull(&self, is_heard: bool) {
        self.0.is_dead.store(true, Ordering::Relaxed);
        let open = self.0.open.lock().unwrap();
        for stream in open.iter().filter_map(|open| open.upgrade()?.lock().unwrap().take()) {
            if !is_heard {
                self.0.buried.lock().unwrap().push(stream);
            }
        }
    }
}

impl std::fmt::Debug for Cables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cables")
    }
}

impl Dial for Cables {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            if self.0.is_dead.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Connect, "connect after its death"));
            }
            let Connected { stream, peer, .. } = self.0.inner.dial(endpoint, deadline).await?;
            let plug = Arc::new(Mutex::new(Some(stream)));
            let mut open = self.0.open.lock().unwrap();
            open.retain(|open| open.strong_count() > 0);
            open.push(Arc::downgrade(&plug));
            let cable = Cable { plug, cabinet: Arc::clone(&self.0), said: BytesMut::new() };
            Ok(Connected::new(Box::new(cable), peer))
        })
    }
}

struct Cable {
    plug: Arc<Mutex<Plug>>,
    cabinet: Arc<Cabinet>,
    /// The request that is only partly written.
    said: BytesMut,
}

impl Cable {
    /// Notes which offsets are committed by what goes out here.
    fn overhear(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        while let Some((length, rest)) = self.said.split_first_chunk() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap();
            if rest.len() < length {
                return;
            }
            let frame = self.said.split_to(4 + length).freeze().slice(4..);
            let (header, mut reader) = RequestHeader::open(&frame);
            if header.request_api_key != ApiKey::OFFSET_COMMIT {
                continue;
            }
            let commit = <OffsetCommitRequest as Wire>::decode(&mut reader);
            reader.finish().unwrap();
            for partition in commit.topics.iter().flat_map(|topic| &topic.partitions) {
                let deed =
                    Deed::Sent { partition: partition.partition_index, next: partition.committed_offset };
                self.cabinet.log.add(self.cabinet.number, deed);
            }
        }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(Pin<&mut Box<dyn Stream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *self.plug.lock().unwrap() {
            Some(stream) => work(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.with(|stream| stream.poll_write(cx, bytes));
        if let Poll::Ready(Ok(length)) = written {
            self.overhear(&bytes[..length]);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

/// What a member says of a record.
impl Deed {
    fn of(record: &ConsumerRecord) -> Deed {
        Deed::handed_out(record.partition.partition, record.offset, record.value.as_deref())
    }

    fn done(record: &ConsumerRecord) -> Deed {
        let TopicPartition { partition, .. } = record.partition;
        Deed::Done { partition, next: record.offset + 1 }
    }
}
