//! Messages of every API, version and direction: hostile bytes are an error and no more; what decodes, encodes, and decodes
//! to the same.

use crate::input::Input;
use bytes::{Bytes, BytesMut};
use ottla::messages::{
    APIS, AnyRequest, AnyResponse, Api, ApiKey, ErrorCode, MessageError, RequestHeader, ResponseHeader, api,
};
use std::fmt::Debug;

/// Both directions have the same functions and no trait.
macro_rules! round_trips {
    ($name:ident, $any:ident) => {
        pub fn $name(mut input: Input<'_>) {
            let (api, version) = row(&mut input);
            let body = input.frame();
            let decode = |version, body: &Bytes| $any::decode(api.key, version, body);
            let Ok(message) = decode(version, &body) else { return };
            message.faults(&mut |code| assert!(code != ErrorCode::NONE));
            for other in api.versions.first..=api.versions.last {
                let encode = |message: &$any| {
                    let mut out = BytesMut::new();
                    message.encode(other, &mut out).map(|()| out.freeze())
                };
                check(&message, other == version, encode, |body| decode(other, body));
            }
        }
    };
}
round_trips!(responses, AnyResponse);
round_trips!(requests, AnyRequest);

/// What a version can express comes back from it; the version that the message was read in can express it.
fn check<M: PartialEq + Debug>(
    message: &M,
    own: bool,
    encode: impl Fn(&M) -> Result<Bytes, MessageError>,
    decode: impl Fn(&Bytes) -> Result<M, MessageError>,
) {
    let bytes = match encode(message) {
        Ok(bytes) => bytes,
        Err(error) => return assert!(!own, "read but cannot be written: {error}\n{message:?}"),
    };
    let again =
        decode(&bytes).unwrap_or_else(|error| panic!("written but cannot be read: {error}\n{message:?}"));
    if own {
        assert_eq!(&again, message);
    }
    assert_eq!(encode(&again).as_ref(), Ok(&bytes), "not the same bytes twice");
}

/// Headers, then the bodies behind them.
pub fn headers(mut input: Input<'_>) {
    let (api, version) = row(&mut input);
    let frame = input.frame();
    let (header, mut reader) = RequestHeader::open(&frame);
    if !reader.failed() && AnyRequest::read(header.request_api_key, &mut reader).is_ok() {
        let _ = reader.finish();
    }
    let (_, mut reader) = ResponseHeader::open(&frame, api, version);
    if !reader.failed() && AnyResponse::read(api.key, &mut reader).is_ok() {
        let _ = reader.finish();
    }
}

/// An API by its key and a version by its number, so that the corpus keeps its meaning when APIs are added; other bytes
/// pick one too.
pub fn row(input: &mut Input<'_>) -> (&'static Api, i16) {
    let (key, number) = (i16::from(input.byte()), i16::from(input.byte()));
    let api = api(ApiKey(key)).unwrap_or(APIS[usize::try_from(key).unwrap() % APIS.len()]);
    let (first, last) = (api.versions.first, api.versions.last);
    (api, if api.versions.has(number) { number } else { first + number % (last - first + 1) })
}
