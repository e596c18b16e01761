//! The codec behind one face: any message that a spec describes, decoded and encoded by what it is called.

use super::reader::{Book, Message};
use bytes::{Bytes, BytesMut};
use ottla::messages::{
    APIS, AnyRequest, AnyResponse, ApiKey, ErrorCode, MessageError, RequestHeader, ResponseHeader,
};
use ottla::wire::{self, Counter, Gather, Sink, Wire, WireError};

/// A message of a spec, and what the codec has for it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What the spec says.
    pub message: &'a Message,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Request(ApiKey),
    Response(ApiKey),
    RequestHeader,
    ResponseHeader,
}

/// A decoded message.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    Request(AnyRequest),
    Response(AnyResponse),
    RequestHeader(RequestHeader),
    ResponseHeader(ResponseHeader),
}

/// Every message of the specs that the codec speaks: all of them, or `the_table_of_apis_equals_the_specs` fails.
pub fn subjects(book: &Book) -> Vec<Subject<'_>> {
    let spoken = |key: ApiKey| APIS.iter().any(|api| api.key == key);
    let apis = book.apis.iter().filter(|api| spoken(ApiKey(api.key))).flat_map(|api| {
        let key = ApiKey(api.key);
        [
            Subject { message: &api.request, kind: Kind::Request(key) },
            Subject { message: &api.response, kind: Kind::Response(key) },
        ]
    });
    let headers = book.headers.iter().map(|header| {
        let kind = match header.message.body.name.as_str() {
            "RequestHeader" => Kind::RequestHeader,
            "ResponseHeader" => Kind::ResponseHeader,
            other => panic!("a header `{other}`"),
        };
        Subject { message: &header.message, kind }
    });
    apis.chain(headers).collect()
}

impl Subject<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.message.body.name
    }

    /// Decodes a whole message.
    pub fn decode(&self, version: i16, bytes: &Bytes) -> Result<Decoded, WireError> {
        let flexible = self.message.flexible.has(version);
        match self.kind {
            Kind::Request(key) => {
                AnyRequest::decode(key, version, bytes).map(Decoded::Request).map_err(inner)
            }
            Kind::Response(key) => {
                AnyResponse::decode(key, version, bytes).map(Decoded::Response).map_err(inner)
            }
            Kind::RequestHeader => wire::decode(bytes, version, flexible).map(Decoded::RequestHeader),
            Kind::ResponseHeader => wire::decode(bytes, version, flexible).map(Decoded::ResponseHeader),
        }
    }

    /// Encodes a message that was decoded as this one.
    pub fn encode(&self, version: i16, value: &Decoded) -> Result<BytesMut, WireError> {
        let flexible = self.message.flexible.has(version);
        let mut out = BytesMut::new();
        match value {
            Decoded::Request(request) => request.encode(version, &mut out).map_err(inner),
            Decoded::Response(response) => response.encode(version, &mut out).map_err(inner),
            Decoded::RequestHeader(header) => wire::encode(header, version, flexible, &mut out),
            Decoded::ResponseHeader(header) => wire::encode(header, version, flexible, &mut out),
        }?;
        Ok(out)
    }

    /// Its exact size, counted.
    pub fn size(&self, version: i16, value: &Decoded) -> Result<usize, WireError> {
        let mut counter = Counter::new(version, self.message.flexible.has(version));
        value.write(&mut counter);
        counter.finish()
    }

    /// Its bytes, gathered behind `head`.
    pub fn gather(&self, version: i16, value: &Decoded, head: &[u8]) -> Result<Vec<Bytes>, WireError> {
        let mut gather = Gather::new(BytesMut::from(head), version, self.message.flexible.has(version));
        value.write(&mut gather);
        gather.finish()
    }
}

impl Decoded {
    fn write<S: Sink>(&self, sink: &mut S) {
        match self {
            Decoded::Request(request) => request.write(sink),
            Decoded::Response(response) => response.write(sink),
            Decoded::RequestHeader(header) => header.encode(sink),
            Decoded::ResponseHeader(header) => header.encode(sink),
        }
    }

    /// Every error code inside that is not NONE.
    pub fn faults(&self) -> Vec<i16> {
        let mut seen = Vec::new();
        let mut see = |ErrorCode(code): ErrorCode| seen.push(code);
        match self {
            Decoded::Request(request) => request.faults(&mut see),
            Decoded::Response(response) => response.faults(&mut see),
            Decoded::RequestHeader(_) | Decoded::ResponseHeader(_) => {}
        }
        seen
    }
}

fn inner(error: MessageError) -> WireError {
    match error {
        MessageError::Wire { error, .. } => error,
        other => panic!("{other}: the specs and the table of APIs differ"),
    }
}
