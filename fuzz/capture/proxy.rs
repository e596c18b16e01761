//! A proxy between a client and a broker that turns what passes into inputs.

use crate::{Corpus, chunk};
use bytes::Bytes;
use ottla::messages::{AnyRequest, AnyResponse, ApiKey, RequestHeader, ResponseHeader, api};
use ottla::records::Compression;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Longer frames say nothing that shorter ones do not.
const LONGEST: usize = 8192;
/// Bytes in front of the records of a batch, and where its attributes are.
const BATCH_HEADER: usize = 61;
const ATTRIBUTES_AT: usize = 22;

pub fn start(listen: &str, upstream: &str, corpus: Corpus) {
    let listener = TcpListener::bind(listen).expect("a free port");
    let upstream = upstream.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(broker) = TcpStream::connect(&upstream) else { continue };
            relay(client, broker, corpus.clone());
        }
    });
}

/// Both directions of a connection, each in a thread of its own; a request is known before its answer comes.
fn relay(client: TcpStream, broker: TcpStream, corpus: Corpus) {
    let talk =
        Arc::new(Mutex::new(Talk { corpus, asked: VecDeque::new(), client: vec![1], server: vec![0] }));
    let (there, back) = (Arc::clone(&talk), talk);
    let ends = |socket: &TcpStream| socket.try_clone().expect("a second handle");
    let (from_client, to_client) = (ends(&client), client);
    let (from_broker, to_broker) = (ends(&broker), broker);
    thread::spawn(move || pass(from_client, to_broker, |frame| there.lock().expect("sound").request(frame)));
    thread::spawn(move || {
        pass(from_broker, to_client, |frame| back.lock().expect("sound").response(frame));
        back.lock().expect("sound").end();
    });
}

/// Passes bytes on, frame by frame.
fn pass(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(Bytes)) {
    let mut length = [0; 4];
    while from.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if from.read_exact(&mut frame).is_err() {
            break;
        }
        see(frame.clone().into());
        if to.write_all(&[&length, frame.as_slice()].concat()).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// What was said on one connection.
struct Talk {
    corpus: Corpus,
    /// Requests without their answers yet.
    asked: VecDeque<RequestHeader>,
    /// The script that plays the peer of our client, and of our serving side.
    client: Vec<u8>,
    server: Vec<u8>,
}

impl Talk {
    fn request(&mut self, frame: Bytes) {
        let (header, reader) = RequestHeader::open(&frame);
        if frame.len() > LONGEST || reader.failed() || api(header.request_api_key).is_none() {
            return self.asked.push_back(header);
        }
        let (key, version) = (header.request_api_key, header.request_api_version);
        let body = reader.peek();
        let row = row(key, version);
        self.corpus.add("requests", &[&row, body]);
        self.corpus.add("headers", &[&row, &frame]);
        self.server.extend([0]);
        let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
        self.server.extend(chunk(&[&length, frame.as_ref()].concat()));
        self.server.extend([3, 0]);
        self.corpus.add("frames", &[&[8, 3], &length, &frame, &length, &frame]);
        // As our client would ask; ApiVersions and SASL it asks by itself.
        if !matches!(key, ApiKey::API_VERSIONS | ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE) {
            self.client.extend([6]);
            self.client.extend(row);
            if key == ApiKey::PRODUCE {
                self.client.extend([1]);
            }
            self.client.extend([117, 48]);
            self.client.extend(chunk(&body[..body.len().min(64)]));
        }
        if let Ok(AnyRequest::Produce(produce)) = AnyRequest::decode(key, version, &body.to_vec().into()) {
            let partitions = produce.topic_data.iter().flat_map(|topic| &topic.partition_data);
            partitions.flat_map(|partition| &partition.records).for_each(|records| self.records(records));
        }
        self.asked.push_back(header);
    }

    fn response(&mut self, frame: Bytes) {
        let Some(asked) = self.asked.pop_front() else { return };
        let (key, version) = (asked.request_api_key, asked.request_api_version);
        let Some(api) = api(key).filter(|_| frame.len() <= LONGEST) else { return };
        let (_, reader) = ResponseHeader::open(&frame, api, version);
        let body: Bytes = reader.peek().to_vec().into();
        self.corpus.add("responses", &[&row(key, version), &body]);
        self.client.extend([1]);
        self.client.extend(chunk(&frame[4..]));
        match AnyResponse::decode(key, version, &body) {
            Ok(AnyResponse::Fetch(fetch)) => {
                let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
                partitions.flat_map(|partition| &partition.records).for_each(|records| self.records(records));
            }
            Ok(AnyResponse::Metadata(_)) => {
                let version = u8::try_from(version).expect("few versions");
                self.corpus.add("view", &[&[version, 0], &chunk(&body), &[version, 1], &chunk(&body)]);
            }
            _ => {}
        }
    }

    /// A record set, and what a codec made of its first batch.
    fn records(&self, set: &Bytes) {
        if set.is_empty() || set.len() > LONGEST {
            return;
        }
        self.corpus.add("records", &[&[0], set]);
        let Some(payload) = set.get(BATCH_HEADER..) else { return };
        let codec = set[ATTRIBUTES_AT] & 7;
        if Compression::from_id(codec).is_some_and(|codec| codec != Compression::None) {
            self.corpus.add("decompress", &[&[codec, 255, 255], payload]);
        }
    }

    fn end(&self) {
        if self.client.len() <= LONGEST {
            self.corpus.add("connection", &[&self.client]);
        }
        if self.server.len() <= LONGEST {
            self.corpus.add("serving", &[&self.server]);
        }
    }
}

pub fn row(key: ApiKey, version: i16) -> [u8; 2] {
    [u8::try_from(key.0).expect("a small key"), u8::try_from(version).expect("a small version")]
}
