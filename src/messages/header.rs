//! What lies in front of every request and response.
//!
//! | request header | what changed |
//! | --- | --- |
//! | 0 | key, version, correlation id; Kafka 3 used it for ControlledShutdown 0 alone |
//! | 1 | client id |
//! | 2 | tagged fields; goes with every flexible version of an API (KIP-482) |
//!
//! | response header | what changed |
//! | --- | --- |
//! | 0 | correlation id |
//! | 1 | tagged fields; goes with every flexible version of an API, but for ApiVersions (KIP-511) |
//!
//! One thing is special: the client id keeps its two-byte length in version 2, so that a broker can read the header of a
//! version that it does not know. [`ClientId`] is that layout. Which version of a header goes with which message is told
//! by [`Api`].

use super::{Api, ApiKey, api};
use crate::message;
use crate::wire::schema::Type;
use crate::wire::{Fault, Nullable, Reader, Sink, Text, Wire};
use bytes::Bytes;

message! {
    /// In front of a request.
    pub struct RequestHeader {
        0.. => request_api_key: ApiKey;
        0.. => request_api_version: i16;
        /// Chosen by the client, repeated in the response.
        0.. => correlation_id: i32;
        /// What the client calls itself, for the broker's logs, metrics and quotas.
        1.. => client_id: Option<ClientId> = Some(ClientId::default()), null 1..;
    }

    /// In front of a response.
    pub struct ResponseHeader {
        0.. => correlation_id: i32;
    }
}

impl RequestHeader {
    /// Reads the header of a request's frame and leaves the reader at the body, set to the body's version.
    ///
    /// The header of an API that we do not know is read as version 1, whose fields every later version starts with.
    /// Its caller has to look whether the reader has failed, and whether key and version are served.
    pub fn open(frame: &Bytes) -> (RequestHeader, Reader<'_>) {
        let (key, version) = match frame.first_chunk() {
            Some(&[k0, k1, v0, v1]) => (ApiKey(i16::from_be_bytes([k0, k1])), i16::from_be_bytes([v0, v1])),
            None => (ApiKey(-1), 0),
        };
        let api = api(key);
        let header = api.map_or(1, |api| api.request_header_version(version));
        let mut reader = Reader::new(frame, header, header >= 2);
        let header = RequestHeader::decode(&mut reader);
        reader.switch(version, api.is_some_and(|api| api.flexible.has(version)));
        (header, reader)
    }
}

impl ResponseHeader {
    /// Reads the header of a response's frame and leaves the reader at the body, set to the body's version.
    pub fn open<'a>(frame: &'a Bytes, api: &Api, version: i16) -> (ResponseHeader, Reader<'a>) {
        let header = api.response_header_version(version);
        let mut reader = Reader::new(frame, header, header >= 1);
        let header = ResponseHeader::decode(&mut reader);
        reader.switch(version, api.flexible.has(version));
        (header, reader)
    }
}

/// Text behind a two-byte length in flexible versions too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientId(pub Text);

impl From<&str> for ClientId {
    fn from(text: &str) -> ClientId {
        ClientId(text.into())
    }
}

impl Wire for ClientId {
    const TYPE: Type = Text::TYPE;

    fn min_wire(_version: i16, _flexible: bool) -> usize {
        2
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        ClientId::encode_option(Some(self), sink);
    }

    fn decode(reader: &mut Reader<'_>) -> ClientId {
        ClientId::decode_option(reader).unwrap_or_else(|| {
            reader.fail(Fault::Null);
            ClientId::default()
        })
    }
}

impl Nullable for ClientId {
    fn encode_option<S: Sink>(value: Option<&ClientId>, sink: &mut S) {
        let Some(ClientId(text)) = value else { return sink.put(&(-1i16).to_be_bytes()) };
        match i16::try_from(text.as_bytes().len()) {
            Ok(len) => {
                sink.put(&len.to_be_bytes());
                sink.put(text.as_bytes());
            }
            Err(_) => sink.fail(Fault::TooLong(text.as_bytes().len())),
        }
    }

    fn decode_option(reader: &mut Reader<'_>) -> Option<ClientId> {
        let (version, flexible) = (reader.version(), reader.flexible());
        reader.switch(version, false);
        let text = reader.text();
        reader.switch(version, flexible);
        text.map(ClientId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode;
    use bytes::BytesMut;

    fn header(key: ApiKey, version: i16, client_id: Option<&str>) -> RequestHeader {
        RequestHeader {
            request_api_key: key,
            request_api_version: version,
            correlation_id: 7,
            client_id: client_id.map(ClientId::from),
        }
    }

    fn bytes_of<T: Wire>(value: &T, version: i16, flexible: bool) -> Bytes {
        let mut out = BytesMut::new();
        encode(value, version, flexible, &mut out).unwrap();
        out.freeze()
    }

    #[test]
    fn the_client_id_has_a_two_byte_length_in_every_version() {
        let header = header(ApiKey::METADATA, 12, Some("ab"));
        assert_eq!(bytes_of(&header, 1, false), &[0, 3, 0, 12, 0, 0, 0, 7, 0, 2, b'a', b'b'][..]);
        assert_eq!(bytes_of(&header, 2, true), &[0, 3, 0, 12, 0, 0, 0, 7, 0, 2, b'a', b'b', 0][..]);
    }

    #[test]
    fn opening_a_request_leaves_the_reader_at_its_body() {
        for (key, version, flexible) in [(ApiKey::METADATA, 8, false), (ApiKey::METADATA, 9, true)] {
            for client_id in [None, Some(""), Some("ottla")] {
                let header = header(key, version, client_id);
                let api = api(key).unwrap();
                let mut frame = BytesMut::new();
                encode(&header, api.request_header_version(version), flexible, &mut frame).unwrap();
                frame.extend_from_slice(b"body");
                let frame = frame.freeze();
                let (opened, mut reader) = RequestHeader::open(&frame);
                assert_eq!(opened, header);
                assert_eq!((reader.version(), reader.flexible()), (version, flexible));
                assert_eq!(reader.remaining(), "body");
            }
        }
    }

    #[test]
    fn an_unknown_api_or_version_still_has_a_header() {
        for (key, version, header_version) in [(ApiKey(999), 3, 1), (ApiKey::API_VERSIONS, 99, 2)] {
            let header = header(key, version, Some("ottla"));
            let frame = bytes_of(&header, header_version, header_version >= 2);
            let (opened, reader) = RequestHeader::open(&frame);
            assert_eq!((opened, reader.failed(), reader.left()), (header, false, 0));
        }
    }

    #[test]
    fn every_truncated_header_fails() {
        let frame = bytes_of(&header(ApiKey::METADATA, 12, Some("ottla")), 2, true);
        for cut in 0..frame.len() {
            let cut = frame.slice(..cut);
            assert!(RequestHeader::open(&cut).1.failed(), "{} bytes", cut.len());
        }
    }

    #[test]
    fn the_response_header_of_api_versions_is_never_flexible() {
        let api_versions = api(ApiKey::API_VERSIONS).unwrap();
        let frame = Bytes::from_static(&[0, 0, 0, 7, 42]);
        let (header, reader) = ResponseHeader::open(&frame, api_versions, 4);
        assert_eq!((header.correlation_id, reader.left(), reader.flexible()), (7, 1, true));
        let metadata = api(ApiKey::METADATA).unwrap();
        let frame = Bytes::from_static(&[0, 0, 0, 7, 1, 99, 2, 0, 0, 42]);
        let (header, reader) = ResponseHeader::open(&frame, metadata, 9);
        assert_eq!((header.correlation_id, reader.left(), reader.failed()), (7, 1, false));
    }
}
