//! The codec behind one face: any message that a spec describes, decoded and encoded by what it is called.

use super::reader::{Book, Message};
use bytes::{Bytes, BytesMut};
use ottla::messages::{
    APIS, AnyRequest, AnyResponse, ApiKey, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    CooperativeStickyAssignorUserData, ErrorCode, MessageError, RequestHeader, ResponseHeader,
    StickyAssignorUserData,
};
use ottla::wire::{self, Counter, Gather, Sink, Wire, WireError, schema};

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
    Layout(Layout),
}

/// A decoded message.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    Request(AnyRequest),
    Response(AnyResponse),
    Layout(DecodedLayout),
}

/// What is no message of an API, and has no enumeration of the codec's own.
macro_rules! layouts {
    ($($name:ident),*) => {
        #[derive(Clone, Copy)]
        enum Layout { $($name),* }

        #[derive(Debug, Clone, PartialEq)]
        pub enum DecodedLayout { $($name($name)),* }

        impl Layout {
            fn named(name: &str) -> Layout {
                match name {
                    $( stringify!($name) => Layout::$name, )*
                    other => panic!("the codec has no {other}"),
                }
            }

            fn decode(self, version: i16, flexible: bool, bytes: &Bytes) -> Result<DecodedLayout, WireError> {
                match self {
                    $( Layout::$name => wire::decode(bytes, version, flexible).map(DecodedLayout::$name), )*
                }
            }

            fn ty(self) -> schema::Type {
                match self { $( Layout::$name => $name::TYPE, )* }
            }
        }

        impl DecodedLayout {
            fn encode(&self, version: i16, flexible: bool, out: &mut BytesMut) -> Result<(), WireError> {
                match self { $( DecodedLayout::$name(value) => wire::encode(value, version, flexible, out), )* }
            }

            fn write<S: Sink>(&self, sink: &mut S) {
                match self { $( DecodedLayout::$name(value) => value.encode(sink), )* }
            }
        }
    };
}

layouts!(
    RequestHeader,
    ResponseHeader,
    ConsumerProtocolSubscription,
    ConsumerProtocolAssignment,
    StickyAssignorUserData,
    CooperativeStickyAssignorUserData
);

/// What the codec lists of headers, and of what goes inside a field.
pub fn type_of_layout(name: &str) -> schema::Type {
    Layout::named(name).ty()
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
    let layouts = book.headers.iter().chain(&book.data).map(|layout| Subject {
        message: &layout.message,
        kind: Kind::Layout(Layout::named(&layout.message.body.name)),
    });
    apis.chain(layouts).collect()
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
            Kind::Layout(layout) => layout.decode(version, flexible, bytes).map(Decoded::Layout),
        }
    }

    /// Encodes a message that was decoded as this one.
    pub fn encode(&self, version: i16, value: &Decoded) -> Result<BytesMut, WireError> {
        let flexible = self.message.flexible.has(version);
        let mut out = BytesMut::new();
        match value {
            Decoded::Request(request) => request.encode(version, &mut out).map_err(inner),
            Decoded::Response(response) => response.encode(version, &mut out).map_err(inner),
            Decoded::Layout(layout) => layout.encode(version, flexible, &mut out),
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
            Decoded::Layout(layout) => layout.write(sink),
        }
    }

    /// Every error code inside that is not NONE.
    pub fn faults(&self) -> Vec<i16> {
        let mut seen = Vec::new();
        let mut see = |ErrorCode(code): ErrorCode| seen.push(code);
        match self {
            Decoded::Request(request) => request.faults(&mut see),
            Decoded::Response(response) => response.faults(&mut see),
            Decoded::Layout(_) => {}
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
