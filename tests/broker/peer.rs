//! A client that says exactly what it is told to, and hears everything.

use bytes::{BufMut, Bytes, BytesMut};
use ottla::messages::{AnyRequest, AnyResponse, ClientId, Request, RequestHeader, ResponseHeader, api};
use ottla::wire::{self, Wire};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One connection.
pub struct Peer {
    stream: TcpStream,
    client_id: &'static str,
    next_correlation_id: i32,
}

impl Peer {
    pub fn connect(address: &str) -> Peer {
        Peer::named("peer", address)
    }

    /// One that calls itself by this name.
    pub fn named(client_id: &'static str, address: &str) -> Peer {
        let stream = TcpStream::connect(address).expect("the broker takes connections");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, client_id, next_correlation_id: 0 }
    }

    /// Asks in a version and takes the answer.
    #[track_caller]
    pub fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.try_ask(version, request).expect("an answer")
    }

    /// The same, where the broker may hang up instead.
    pub fn try_ask<R: Request>(&mut self, version: i16, request: R) -> io::Result<R::Response> {
        let correlation_id = self.send(version, request.into());
        self.take::<R>(version, correlation_id)
    }

    /// Asks any API and takes the answer.
    pub fn ask_any(&mut self, version: i16, request: AnyRequest) -> io::Result<AnyResponse> {
        let key = request.key();
        let correlation_id = self.send(version, request);
        let frame = self.take_frame()?;
        let (header, mut reader) = ResponseHeader::open(&frame, api(key).unwrap(), version);
        assert_eq!(header.correlation_id, correlation_id);
        let answer = AnyResponse::read(key, &mut reader).unwrap();
        reader.finish().unwrap_or_else(|error| panic!("the answer of {key} {version}: {error}"));
        Ok(answer)
    }

    /// Sends without waiting for an answer.
    pub fn send(&mut self, version: i16, request: AnyRequest) -> i32 {
        self.next_correlation_id += 1;
        let frame = frame_of(self.client_id, version, self.next_correlation_id, &request);
        self.send_frame(&frame);
        self.next_correlation_id
    }

    /// Sends bytes behind their length.
    pub fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = i32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        // A broker that has closed the connection is found out when it is read from.
        let _ = self.stream.write_all(&bytes);
    }

    /// Takes the answer to a request.
    pub fn take<R: Request>(&mut self, version: i16, correlation_id: i32) -> io::Result<R::Response> {
        let frame = self.take_frame()?;
        let (header, mut reader) = ResponseHeader::open(&frame, R::API, version);
        assert_eq!(header.correlation_id, correlation_id);
        let answer = R::Response::decode(&mut reader);
        reader.finish().unwrap_or_else(|error| panic!("the answer of {} {version}: {error}", R::API.name()));
        Ok(answer)
    }

    /// The next frame, whatever is in it.
    pub fn take_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Whether the broker closes the connection without a further word.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// The bare socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// A request as it lies on the wire, without its length.
pub fn frame(version: i16, correlation_id: i32, request: &AnyRequest) -> Vec<u8> {
    frame_of("peer", version, correlation_id, request)
}

fn frame_of(client_id: &'static str, version: i16, correlation_id: i32, request: &AnyRequest) -> Vec<u8> {
    let key = request.key();
    let header = RequestHeader {
        request_api_key: key,
        request_api_version: version,
        correlation_id,
        client_id: Some(ClientId(client_id.into())),
    };
    let header_version = api(key).unwrap().request_header_version(version);
    let mut bytes = BytesMut::new();
    wire::encode(&header, header_version, header_version >= 2, &mut bytes).unwrap();
    let mut body = BytesMut::new();
    request.encode(version, &mut body).unwrap_or_else(|error| panic!("{error}"));
    bytes.put_slice(&body);
    bytes.to_vec()
}
