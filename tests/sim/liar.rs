//! Planted mistakes: a dialler whose connections change what is said, as if the client had a bug. From the broker's side it
//! cannot be told from one.

use bytes::{BufMut, Bytes, BytesMut};
use ottla::Result;
use ottla::messages::{AnyRequest, AnyResponse, ApiKey, ErrorCode, RequestHeader, ResponseHeader, api};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, Stream};
use ottla::net::mem::MemDial;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A batch gets the sequence number of the one before it.
    SequenceReused,
    /// An error of a broker counts as success.
    AcknowledgementInvented,
    /// A fetch begins one record too late.
    PositionSkipped,
}

/// One of so many chances to lie is taken.
const RARELY: u32 = 10;

#[derive(Debug)]
pub struct LyingDial {
    pub inner: MemDial,
    pub lie: Lie,
    pub seed: u64,
}

impl Dial for LyingDial {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            let Connected { stream, peer, .. } = self.inner.dial(endpoint, deadline).await?;
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
type Asked = Arc<Mutex<HashMap<i32, (ApiKey, i16)>>>;

async fn carry(client: DuplexStream, broker: Box<dyn Stream>, liar: Liar) {
    let (client_in, client_out) = tokio::io::split(client);
    let (broker_in, broker_out) = tokio::io::split(broker);
    let asked = Asked::default();
    let liar = Arc::new(Mutex::new(liar));
    let up = pump(client_in, broker_out, |frame| change_request(&liar, &asked, frame));
    let down = pump(broker_in, client_out, |frame| change_response(&liar, &asked, frame));
    tokio::select! {
        biased;
        _ = up => {}
        _ = down => {}
    }
}

/// Carries frames until either side ends; a frame that is cut off is carried as far as it came.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    change: impl Fn(Bytes) -> Bytes,
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
                to.write_all(&frame).await?;
                return Ok(());
            }
        }
        let changed = change(body.freeze());
        to.write_i32(i32::try_from(changed.len()).unwrap()).await?;
        to.write_all(&changed).await?;
    }
}

fn change_request(liar: &Mutex<Liar>, asked: &Asked, frame: Bytes) -> Bytes {
    let (header, mut reader) = RequestHeader::open(&frame);
    let (key, version) = (header.request_api_key, header.request_api_version);
    asked.lock().unwrap().insert(header.correlation_id, (key, version));
    let liar = &mut *liar.lock().unwrap();
    let wanted = match liar.lie {
        Lie::SequenceReused => ApiKey::PRODUCE,
        Lie::PositionSkipped => ApiKey::FETCH,
        Lie::AcknowledgementInvented => return frame,
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
                        records.0 = liar.reuse_sequence((name.clone(), partition.index), records.0.clone());
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

fn change_response(liar: &Mutex<Liar>, asked: &Asked, frame: Bytes) -> Bytes {
    let correlation_id = frame.first_chunk().map_or(-1, |id| i32::from_be_bytes(*id));
    let Some((key, version)) = asked.lock().unwrap().remove(&correlation_id) else { return frame };
    if liar.lock().unwrap().lie != Lie::AcknowledgementInvented || key != ApiKey::PRODUCE {
        return frame;
    }
    let api = api(key).unwrap();
    let (header, mut reader) = ResponseHeader::open(&frame, api, version);
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
