use super::*;
use crate::wire::schema::Field;

#[test]
fn rows_ascend_and_hold_together() {
    assert!(APIS.is_sorted_by(|a, b| a.key < b.key), "`api` searches by halving");
    for row in APIS {
        assert!(std::ptr::eq(api(row.key).unwrap(), *row));
        assert_ne!(row.name(), "Unknown");
        assert_eq!(row.negotiable.first, row.versions.first);
        assert!(row.negotiable.last <= row.versions.last);
    }
    assert!(api(ApiKey(999)).is_none() && api(ApiKey::VOTE).is_none());
}

#[test]
fn an_unstable_version_is_decoded_but_never_agreed_on() {
    let api = InitProducerIdRequest::API;
    assert_eq!(api.versions, Span::new(0, 6));
    assert_eq!(api.negotiate(Span::new(0, 6)), Some(5));
    assert_eq!(api.negotiate(Span::new(0, 2)), Some(2));
    assert_eq!(api.negotiate(Span::new(6, 9)), None);
}

#[test]
fn what_a_broker_may_hold_back_holds_up_nothing_else() {
    let on = |lane| APIS.iter().filter(|row| row.lane == lane).map(|row| row.name()).collect::<Vec<_>>();
    assert_eq!(on(Lane::Produce), ["Produce"]);
    assert_eq!(on(Lane::Fetch), ["Fetch"]);
    assert_eq!(on(Lane::Group), ["JoinGroup", "Heartbeat", "SyncGroup", "ConsumerGroupHeartbeat"]);
}

#[test]
fn header_versions_follow_flexibility() {
    let headers = |key, version| {
        let api = api(key).unwrap();
        (api.request_header_version(version), api.response_header_version(version))
    };
    assert_eq!(headers(ApiKey::METADATA, 8), (1, 0));
    assert_eq!(headers(ApiKey::METADATA, 9), (2, 1));
    assert_eq!(headers(ApiKey::METADATA, 99), (2, 1), "versions that are newer than the table are flexible");
    assert_eq!(headers(ApiKey::SASL_HANDSHAKE, 1), (1, 0));
    assert_eq!(headers(ApiKey::API_VERSIONS, 4), (2, 0), "the answer's header is version 0 for ever");
}

#[test]
fn what_is_not_spoken_is_refused_by_name() {
    let decode = |key, version| AnyRequest::decode(key, version, &Bytes::new()).unwrap_err();
    assert_eq!(decode(ApiKey(999), 0), MessageError::UnknownApi(ApiKey(999)));
    let error = decode(ApiKey::PRODUCE, 2);
    assert_eq!(error, MessageError::UnknownVersion { key: ApiKey::PRODUCE, version: 2 });
    assert_eq!(error.to_string(), "version 2 of API Produce (0) is not one that is spoken here");
    let error = decode(ApiKey::METADATA, 1).to_string();
    assert!(error.starts_with("Metadata (3) version 1: MetadataRequest.topics: 4 bytes needed"), "{error}");
}

#[test]
fn throttle_time_is_read_from_any_response_that_has_it() {
    for row in APIS {
        let Type::Struct(_, fields) = row.response else { panic!("{} answers with a struct", row.name()) };
        let has_it = fields.iter().any(|field| field.name == "throttle_time_ms");
        assert_eq!(has_it, !row.client_throttles.is_empty(), "{}", row.name());
    }
    let response = MetadataResponse { throttle_time_ms: 17, ..Default::default() };
    assert_eq!(AnyResponse::from(response).throttle_time_ms(), 17);
    assert_eq!(AnyResponse::from(SaslHandshakeResponse::default()).throttle_time_ms(), 0);
}

#[test]
fn error_codes_are_found_at_any_depth() {
    let partition = MetadataPartition { error_code: ErrorCode::LEADER_NOT_AVAILABLE, ..Default::default() };
    let topic =
        MetadataTopic { error_code: ErrorCode(999), partitions: vec![partition], ..Default::default() };
    let response = MetadataResponse { topics: vec![MetadataTopic::default(), topic], ..Default::default() };
    let mut seen = Vec::new();
    AnyResponse::from(response).faults(&mut |code| seen.push(code));
    assert_eq!(seen, [ErrorCode(999), ErrorCode::LEADER_NOT_AVAILABLE]);
}

/// Every message in every version: `(key, version, is a request)`.
fn every_version() -> impl Iterator<Item = (&'static Api, i16, bool)> {
    APIS.iter().flat_map(|api| {
        let versions = api.versions.first..=api.versions.last;
        versions.flat_map(move |version| [(*api, version, true), (*api, version, false)])
    })
}

/// Decodes and encodes again; a request or a response.
fn again(key: ApiKey, version: i16, request: bool, body: &Bytes) -> Result<Bytes, MessageError> {
    let mut out = BytesMut::new();
    if request {
        AnyRequest::decode(key, version, body)?.encode(version, &mut out)?;
    } else {
        AnyResponse::decode(key, version, body)?.encode(version, &mut out)?;
    }
    Ok(out.freeze())
}

#[test]
fn defaults_come_back_in_every_version() {
    for (api, version, request) in every_version() {
        let mut body = BytesMut::new();
        if request {
            AnyRequest::default_of(api.key).unwrap().encode(version, &mut body).unwrap();
        } else {
            AnyResponse::default_of(api.key).unwrap().encode(version, &mut body).unwrap();
        }
        let body = body.freeze();
        assert_eq!(again(api.key, version, request, &body).unwrap(), body, "{} {version}", api.name());
    }
}

#[test]
fn filled_messages_come_back_in_every_version_and_no_truncation_passes() {
    for (api, version, request) in every_version() {
        let mut fill = Fill { version, flexible: api.flexible.has(version), next: 0, out: Vec::new() };
        fill.value(if request { &api.request } else { &api.response });
        let body = Bytes::from(fill.out);
        assert_eq!(again(api.key, version, request, &body).unwrap(), body, "{} {version}", api.name());
        for cut in 0..body.len() {
            let error = again(api.key, version, request, &body.slice(..cut)).unwrap_err();
            let MessageError::Wire { error, .. } = error else { panic!("{error}") };
            assert!(
                error.offset <= cut && !error.message.is_empty(),
                "{} {version} at {cut}: {error}",
                api.name()
            );
        }
        let long: Bytes = body.iter().copied().chain([0]).collect();
        let error = again(api.key, version, request, &long).unwrap_err();
        assert!(error.to_string().contains("behind the last field"), "{} {version}: {error}", api.name());
    }
}

/// Writes a message from its listing: every field present, nothing null, two elements in each list, no two values alike.
struct Fill {
    version: i16,
    flexible: bool,
    next: u8,
    out: Vec<u8>,
}

impl Fill {
    fn value(&mut self, ty: &Type) {
        match ty {
            Type::Primitive("bool") => self.out.push(1),
            Type::Primitive("int8") => self.number(1),
            Type::Primitive("int16") => self.number(2),
            Type::Primitive("int32") => self.number(4),
            Type::Primitive("int64") => self.number(8),
            Type::Primitive("uuid") => self.number(16),
            Type::Primitive("string") => {
                self.len(3, 2);
                self.number(3);
            }
            Type::Primitive("bytes" | "records") => {
                self.len(5, 4);
                self.number(5);
            }
            Type::Primitive(other) => panic!("no message has a {other}"),
            Type::Array(element) => {
                self.len(2, 4);
                self.value(element);
                self.value(element);
            }
            Type::Struct(_, fields) => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        let here = |field: &&Field| field.versions.has(self.version);
        let (tagged, plain): (Vec<&Field>, Vec<&Field>) =
            fields.iter().filter(here).partition(|field| field.tag.is_some());
        for field in plain {
            if matches!(field.ty, Type::Struct(..)) && field.nullable.has(self.version) {
                self.out.push(1);
            }
            self.value(&field.ty);
        }
        if !self.flexible {
            assert!(tagged.is_empty());
            return;
        }
        self.out.push(u8::try_from(tagged.len()).unwrap());
        for field in tagged {
            let outer = std::mem::take(&mut self.out);
            self.value(&field.ty);
            let value = std::mem::replace(&mut self.out, outer);
            let len = u8::try_from(value.len()).unwrap();
            assert!(len < 128, "one byte of length is enough");
            self.out.extend([u8::try_from(field.tag.unwrap()).unwrap(), len]);
            self.out.extend(value);
        }
    }

    fn number(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.next = self.next % 0x7e + 1;
            self.out.push(self.next);
        }
    }

    fn len(&mut self, len: u8, classic_bytes: usize) {
        if self.flexible {
            return self.out.push(len + 1);
        }
        self.out.extend(std::iter::repeat_n(0, classic_bytes - 1));
        self.out.push(len);
    }
}
