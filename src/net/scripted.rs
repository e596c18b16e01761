//! [`Scripted`]: a broker for tests that does what its script says, in a [`MemNet`], and remembers who came when and
//! asked what. [`Picture`] is the cluster that a well-behaved script tells of.
//!
//! Tests here run on a paused clock: what takes half a minute takes no time, and counting connects for each second is exact.

#![expect(dead_code, reason = "a vocabulary: not every word of it is used in every script")]

use super::driver::Call;
use super::mem::{MemListener, MemNet, MemStream};
use crate::config::{ClientConfig, Settings};
use crate::messages::{
    AnyRequest, AnyResponse, ApiKey, ApiVersionsResponse, BrokerId, ErrorCode, LeaderEpoch, MetadataBroker,
    MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, RequestHeader, api,
};
use crate::task::{self, Owned};
use crate::wire::Text;
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a script does with a request.
pub(crate) enum Act {
    /// Answers as it should be.
    Answer(AnyResponse),
    /// Answers twice.
    Twice(AnyResponse),
    /// Answers with another correlation id.
    Misnumbered(AnyResponse),
    /// A right header, and this behind it.
    Body(&'static [u8]),
    /// These bytes, without a frame.
    Raw(&'static [u8]),
    /// So many bytes of the answer, then the end.
    Cut(AnyResponse, usize),
    /// Answers, then hangs up.
    Last(AnyResponse),
    /// Waits, then does that.
    After(Duration, Box<Act>),
    /// Nothing; the next request is read all the same.
    Silence,
    /// Hangs up.
    HangUp,
}

/// A request as a script sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    /// Counts the connections, from 1.
    pub(crate) connection: usize,
    pub(crate) header: RequestHeader,
    pub(crate) request: AnyRequest,
}

impl Asked {
    pub(crate) fn key(&self) -> ApiKey {
        self.header.request_api_key
    }
}

type Script = Box<dyn FnMut(&Asked) -> Act + Send>;

/// A broker at an address of a network, until it is dropped.
pub(crate) struct Scripted {
    seen: Arc<Seen>,
    _accepting: Owned,
}

struct Seen {
    script: Mutex<Script>,
    connects: Mutex<Vec<Instant>>,
    requests: Mutex<Vec<Asked>>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

impl Scripted {
    pub(crate) fn new(
        net: &MemNet,
        host: &str,
        port: u16,
        script: impl FnMut(&Asked) -> Act + Send + 'static,
    ) -> Scripted {
        let listener = net.listen(host, port).unwrap();
        let seen = Arc::new(Seen {
            script: Mutex::new(Box::new(script)),
            connects: Mutex::default(),
            requests: Mutex::default(),
        });
        Scripted { _accepting: Owned::spawn(accept(listener, Arc::clone(&seen))), seen }
    }

    /// Follows another script from now on, on open connections too.
    pub(crate) fn turn(&self, script: impl FnMut(&Asked) -> Act + Send + 'static) {
        *lock(&self.seen.script) = Box::new(script);
    }

    pub(crate) fn connects(&self) -> Vec<Instant> {
        lock(&self.seen.connects).clone()
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        lock(&self.seen.requests).clone()
    }

    /// When requests of an API came.
    pub(crate) fn times(&self, key: ApiKey) -> Vec<Instant> {
        self.requests().iter().filter(|asked| asked.key() == key).map(|asked| asked.at).collect()
    }

    pub(crate) fn count(&self, key: ApiKey) -> usize {
        self.times(key).len()
    }
}

/// The most that happened within any one second from `from` on.
pub(crate) fn most_in_a_second(times: &[Instant], from: Instant) -> usize {
    let within = |start: &Instant| times.iter().filter(|at| (*start..*start + SECOND).contains(*at)).count();
    times.iter().filter(|at| **at >= from).map(within).max().unwrap_or(0)
}

async fn accept(listener: MemListener, seen: Arc<Seen>) {
    let mut open = task::Tasks::new();
    loop {
        tokio::select! {
            biased;
            () = open.next() => {}
            (stream, _) = listener.accept() => {
                let connection = {
                    let mut connects = lock(&seen.connects);
                    connects.push(task::now());
                    connects.len()
                };
                let seen = Arc::clone(&seen);
                open.spawn(async move { serve(stream, connection, seen).await.unwrap_or(()) });
            }
        }
    }
}

/// Ends with the connection.
async fn serve(mut stream: MemStream, connection: usize, seen: Arc<Seen>) -> std::io::Result<()> {
    loop {
        let length = stream.read_i32().await?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut frame).await?;
        let frame = Bytes::from(frame);
        let (header, mut reader) = RequestHeader::open(&frame);
        let request = AnyRequest::read(header.request_api_key, &mut reader).unwrap();
        reader.finish().unwrap();
        let asked = Asked { at: task::now(), connection, header, request };
        lock(&seen.requests).push(asked.clone());
        let mut act = (lock(&seen.script))(&asked);
        while let Act::After(pause, then) = act {
            task::sleep_until(task::now() + pause).await;
            act = *then;
        }
        let id = asked.header.correlation_id;
        match act {
            Act::Answer(answer) => stream.write_all(&frame_of(&asked, id, &answer)).await?,
            Act::Twice(answer) => stream.write_all(&frame_of(&asked, id, &answer).repeat(2)).await?,
            Act::Misnumbered(answer) => stream.write_all(&frame_of(&asked, id + 7, &answer)).await?,
            Act::Body(body) => stream.write_all(&frame_around(&asked, id, body)).await?,
            Act::Raw(bytes) => stream.write_all(bytes).await?,
            Act::Cut(answer, at) => {
                stream.write_all(&frame_of(&asked, id, &answer)[..at]).await?;
                return Ok(());
            }
            Act::Last(answer) => {
                stream.write_all(&frame_of(&asked, id, &answer)).await?;
                return Ok(());
            }
            Act::Silence => {}
            Act::HangUp => return Ok(()),
            Act::After(..) => unreachable!("waited for above"),
        }
    }
}

fn frame_of(asked: &Asked, correlation_id: i32, answer: &AnyResponse) -> Vec<u8> {
    let mut body = BytesMut::new();
    // A refusal of ApiVersions has the layout of version 0 (KIP-511).
    let version = match answer {
        AnyResponse::ApiVersions(refusal) if refusal.error_code == ErrorCode::UNSUPPORTED_VERSION => 0,
        _ => asked.header.request_api_version,
    };
    answer.encode(version, &mut body).unwrap();
    frame_around(asked, correlation_id, &body)
}

fn frame_around(asked: &Asked, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i32(correlation_id);
    if api(asked.key()).unwrap().response_header_version(asked.header.request_api_version) == 1 {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame].concat()
}

/// A cluster, as its brokers tell of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    pub(crate) cluster_id: &'static str,
    pub(crate) brokers: Vec<(i32, &'static str, i32)>,
    /// Each with the leaders of its partitions.
    pub(crate) topics: Vec<(&'static str, Vec<i32>)>,
}

impl Picture {
    /// A cluster `c` of brokers that have no topics.
    pub(crate) fn of(brokers: &[(i32, &'static str, i32)]) -> Picture {
        Picture { cluster_id: "c", brokers: brokers.to_vec(), topics: Vec::new() }
    }

    pub(crate) fn topic(mut self, name: &'static str, leaders: &[i32]) -> Picture {
        self.topics.push((name, leaders.to_vec()));
        self
    }

    /// What a broker that is well answers.
    pub(crate) fn answer(&self, asked: &Asked) -> AnyResponse {
        match &asked.request {
            AnyRequest::ApiVersions(_) => versions().into(),
            AnyRequest::Metadata(request) => self.metadata(request).into(),
            _ => AnyResponse::default_of(asked.key()).unwrap(),
        }
    }

    pub(crate) fn act(&self, asked: &Asked) -> Act {
        Act::Answer(self.answer(asked))
    }

    /// A script that does nothing wrong.
    pub(crate) fn script(&self) -> impl FnMut(&Asked) -> Act + Send + 'static {
        let picture = self.clone();
        move |asked| picture.act(asked)
    }

    pub(crate) fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let all = self.topics.iter().map(|(name, _)| Text::from_static(name));
        let names: Vec<Text> = match &request.topics {
            None => all.collect(),
            Some(asked) => asked.iter().filter_map(|topic| topic.name.clone()).collect(),
        };
        MetadataResponse {
            brokers: self.brokers.iter().map(|&(id, host, port)| broker(id, host, port)).collect(),
            cluster_id: Some(Text::from_static(self.cluster_id)),
            controller_id: self.brokers.first().map_or(BrokerId::NONE, |(id, ..)| BrokerId(*id)),
            topics: names.into_iter().map(|name| self.told(name)).collect(),
            ..Default::default()
        }
    }

    fn told(&self, name: Text) -> MetadataTopic {
        let Some((_, leaders)) = self.topics.iter().find(|(known, _)| *known == name.as_str()) else {
            let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return MetadataTopic { error_code, name: Some(name), ..Default::default() };
        };
        let partitions = (0..).zip(leaders).map(|(partition_index, leader)| MetadataPartition {
            partition_index,
            leader_id: BrokerId(*leader),
            leader_epoch: LeaderEpoch(0),
            ..Default::default()
        });
        MetadataTopic { name: Some(name), partitions: partitions.collect(), ..Default::default() }
    }
}

fn broker(id: i32, host: &'static str, port: i32) -> MetadataBroker {
    MetadataBroker { node_id: BrokerId(id), host: Text::from_static(host), port, ..Default::default() }
}

/// Everything that we speak.
pub(crate) fn versions() -> ApiVersionsResponse {
    let api_keys = crate::messages::APIS
        .iter()
        .map(|api| crate::messages::ApiVersion {
            api_key: api.key,
            min_version: api.negotiable.first,
            max_version: api.negotiable.last,
        })
        .collect();
    ApiVersionsResponse { api_keys, ..Default::default() }
}

/// A request that every broker answers.
pub(crate) fn call_for_metadata() -> Call {
    let mut body = BytesMut::new();
    AnyRequest::from(MetadataRequest::default()).encode(12, &mut body).unwrap();
    let timeout = 30 * SECOND;
    Call {
        key: ApiKey::METADATA,
        version: 12,
        body: vec![body.freeze()],
        answered: true,
        timeout,
        send_by: None,
    }
}

/// Settings of a client that starts from these servers.
pub(crate) fn config(servers: &str, more: &[(&str, &str)]) -> ClientConfig {
    let mut settings = Settings::new();
    settings.set("bootstrap.servers", servers).unwrap();
    for (key, value) in more {
        settings.set(key, *value).unwrap();
    }
    ClientConfig::from_settings(&settings).unwrap()
}

/// Advances the clock, and lets everything happen that happens meanwhile.
pub(crate) async fn pass(time: Duration) {
    task::sleep_until(task::now() + time).await;
}

/// How many tasks the runtime has.
pub(crate) fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
