//! Planted mistakes: a dialler whose connections change what is said, as if the client had a bug. From the broker's side it
//! cannot be told from one.

use bytes::{BufMut, Bytes, BytesMut};
use ottla::Result;
use ottla::messages::{AnyRequest, AnyResponse, ApiKey, ErrorCode, RequestHeader, ResponseHeader, api};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, Stream};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A batch gets the sequence number of the one before it.
    SequenceReused,
    /// An error of a broker counts as success.
    AcknowledgementInvented,
    /// A fetch begins one record too late.
    PositionSkipped,
    /// Who is not let in knocks again at once.
    HastyConnects,
    /// What was refused is asked for again at once.
    HastyRequests,
    /// None: the same way, and everything is carried as it is.
    Honest,
}

impl Lie {
    /// The invariants that it breaks.
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Lie::SequenceReused => &["lost", "misplaced"],
            Lie::AcknowledgementInvented => &["lost"],
            Lie::PositionSkipped => &["skipped"],
            Lie::HastyConnects | Lie::HastyRequests => &["storm"],
            Lie::Honest => &[],
        }
    }
}

/// One of so many chances to lie is taken.
const RARELY: u32 = 10;
/// Hardly a pause.
const HASTE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct LyingDial {
    pub inner: Arc<dyn Dial>,
    pub lie: Lie,
    pub seed: u64,
}

impl Dial for LyingDial {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            let mut dialled = self.inner.dial(endpoint, deadline).await;
            while dialled.is_err() && self.lie == Lie::HastyConnects && ottla::task::now() < deadline {
                tokio::time::sleep(HASTE).await;
                dialled = self.inner.dial(endpoint, deadline).await;
            }
            let Connected { stream, peer, .. } = dialled?;
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let liar = Liar { lie: self.lie, rng: fastrand::Rng::with_seed(self.seed), last: HashMap::new() };
            tokio::spawn(carry(theirs, stream, liar));
            Ok(Connected::new(Box::new(ours), peer))
        })
    }
}

struct Liar {
    lie: Lie,
    rng: fastrand::Rng,
    /// Base sequence and records of the last batch of each partition.
    last: HashMap<(String, i32), (i32, i32)>,
}

/// What was asked, by correlation id.
type Asked = Arc<Mutex<HashMap<i32, (ApiKey, i16, Bytes)>>>;

/// What becomes of an answer.
enum Heard {
    Pass(Bytes),
    /// This request is sent again in its place.
    Again(Bytes),
}

async fn carry(client: DuplexStream, broker: Box<dyn Stream>, liar: Liar) {
    let (client_in, client_out) = tokio::io::split(client);
    let (broker_in, broker_out) = tokio::io::split(broker);
    let asked = Asked::default();
    let liar = Arc::new(Mutex::new(liar));
    let (to_broker, to_client) = (tokio::sync::Mutex::new(broker_out), tokio::sync::Mutex::new(client_out));
    let up =
        pump(client_in, &to_broker, &to_broker, |frame| Heard::Pass(change_request(&liar, &asked, frame)));
    let down = pump(broker_in, &to_client, &to_broker, |frame| change_response(&liar, &asked, frame));
    tokio::select! {
        biased;
        _ = up => {}
        _ = down => {}
    }
}

/// Carries frames until either side ends; a frame that is cut off is carried as far as it came.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    to: &tokio::sync::Mutex<impl AsyncWrite + Unpin>,
    back: &tokio::sync::Mutex<impl AsyncWrite + Unpin>,
    change: impl Fn(Bytes) -> Heard,
) -> io::Result<()> {
    loop {
        let mut frame = BytesMut::zeroed(4);
        from.read_exact(&mut frame).await?;
        let length = usize::try_from(i32::from_be_bytes(frame[..4].try_into().unwrap())).unwrap();
        let mut body = BytesMut::zeroed(length);
        let mut filled = 0;
        while filled < length {
            let read = from.read(&mut body[filled..]).await?;
            filled += read;
            if read == 0 {
                frame.put_slice(&body[..filled]);
                return to.lock().await.write_all(&frame).await;
            }
        }
        match change(body.freeze()) {
            Heard::Pass(frame) => write(&mut *to.lock().await, &frame).await?,
            Heard::Again(frame) => {
                tokio::time::sleep(HASTE).await;
                write(&mut *back.lock().await, &frame).await?;
            }
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    to.write_i32(i32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await
}

fn change_request(liar: &Mutex<Liar>, asked: &Asked, frame: Bytes) -> Bytes {
    let (header, mut reader) = RequestHeader::open(&frame);
    let (key, version) = (header.request_api_key, header.request_api_version);
    asked.lock().unwrap().insert(header.correlation_id, (key, version, frame.clone()));
    let liar = &mut *liar.lock().unwrap();
    let wanted = match liar.lie {
        Lie::SequenceReused => ApiKey::PRODUCE,
        Lie::PositionSkipped => ApiKey::FETCH,
        _ => return frame,
    };
    if key != wanted {
        return frame;
    }
    let mut request = AnyRequest::read(key, &mut reader).unwrap();
    match &mut request {
        AnyRequest::Produce(request) => {
            for topic in &mut request.topic_data {
                let name = format!("{}{}", topic.name, topic.topic_id);
                for partition in &mut topic.partition_data {
                    if let Some(records) = &mut partition.records {
                        *records =
                            liar.reuse_sequence((name.clone(), partition.index), records.to_bytes()).into();
                    }
                }
            }
        }
        AnyRequest::Fetch(request) => {
            for partition in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                if partition.fetch_offset > 0 && liar.rng.u32(..RARELY) == 0 {
                    partition.fetch_offset += 1;
                }
            }
        }
        _ => {}
    }
    let api = api(key).unwrap();
    let mut out = BytesMut::new();
    let layout = api.request_header_version(version);
    ottla::wire::encode(&header, layout, layout >= 2, &mut out).unwrap();
    request.encode(version, &mut out).unwrap();
    out.freeze()
}

fn change_response(liar: &Mutex<Liar>, asked: &Asked, frame: Bytes) -> Heard {
    let correlation_id = frame.first_chunk().map_or(-1, |id| i32::from_be_bytes(*id));
    let found = asked.lock().unwrap().remove(&correlation_id);
    let Some((key, version, request)) = found else { return Heard::Pass(frame) };
    match liar.lock().unwrap().lie {
        Lie::AcknowledgementInvented if key == ApiKey::PRODUCE => {
            Heard::Pass(invent_acknowledgement(key, version, &frame))
        }
        Lie::HastyRequests if is_refusal(key, version, &frame) => {
            asked.lock().unwrap().insert(correlation_id, (key, version, request.clone()));
            Heard::Again(request)
        }
        _ => Heard::Pass(frame),
    }
}

/// Whether a Fetch or a Produce request is answered with an error for a partition.
fn is_refusal(key: ApiKey, version: i16, frame: &Bytes) -> bool {
    let (_, mut reader) = ResponseHeader::open(frame, api(key).unwrap(), version);
    match AnyResponse::read(key, &mut reader) {
        Ok(AnyResponse::Fetch(answer)) => {
            let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
            partitions.any(|partition| !partition.error_code.is_none())
        }
        Ok(AnyResponse::Produce(answer)) => {
            let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
            partitions.any(|partition| !partition.error_code.is_none())
        }
        _ => false,
    }
}

fn invent_acknowledgement(key: ApiKey, version: i16, frame: &Bytes) -> Bytes {
    let api = api(key).unwrap();
    let (header, mut reader) = ResponseHeader::open(frame, api, version);
    let mut response = AnyResponse::read(key, &mut reader).unwrap();
    if let AnyResponse::Produce(response) = &mut response {
        for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            if !partition.error_code.is_none() {
                (partition.error_code, partition.base_offset) = (ErrorCode::NONE, 0);
            }
        }
    }
    let mut out = BytesMut::new();
    let layout = api.response_header_version(version);
    ottla::wire::encode(&header, layout, layout >= 1, &mut out).unwrap();
    response.encode(version, &mut out).unwrap();
    out.freeze()
}

impl Liar {
    /// The batch, perhaps with the number of the one before it, if that was as long.
    fn reuse_sequence(&mut self, partition: (String, i32), batch: Bytes) -> Bytes {
        const CRC: std::ops::Range<usize> = 17..21;
        const BASE_SEQUENCE: std::ops::Range<usize> = 53..57;
        const COUNT: std::ops::Range<usize> = 57..61;
        let int = |range: std::ops::Range<usize>| i32::from_be_bytes(batch[range].try_into().unwrap());
        let (base, count) = (int(BASE_SEQUENCE), int(COUNT));
        let before = self.last.insert(partition, (base, count));
        match before {
            Some((other, as_many)) if base > other && as_many == count && self.rng.u32(..RARELY) == 0 => {
                let mut bytes = BytesMut::from(&batch[..]);
                bytes[BASE_SEQUENCE].copy_from_slice(&other.to_be_bytes());
                let crc = crc32c::crc32c(&bytes[CRC.end..]);
                bytes[CRC].copy_from_slice(&crc.to_be_bytes());
                bytes.freeze()
            }
            _ => batch,
        }
    }
}
