//! ApiVersions: what is served. A version that is not is answered with those that are (KIP-511).

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode};

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &ApiVersionsRequest,
) -> ApiVersionsResponse {
    let offer = &state.settings.offer;
    let refused = context.refused_code();
    if let Some(error_code) = refused.filter(|code| *code != ErrorCode::UNSUPPORTED_VERSION) {
        return ApiVersionsResponse { error_code, ..Default::default() };
    }
    if refused.is_some() || !offer.serves(ApiKey::API_VERSIONS, context.version) {
        return ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            api_keys: offer.entry(ApiKey::API_VERSIONS).into_iter().collect(),
            ..Default::default()
        };
    }
    let names = [&request.client_software_name, &request.client_software_version];
    if context.version >= 3 && !names.iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    ApiVersionsResponse { api_keys: offer.listing(), ..Default::default() }
}

/// Letters and digits, with dots and dashes between them.
fn is_software_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names_are_those_of_kip_511() {
        for name in ["librdkafka", "apache-kafka-java", "4.3.1", "a"] {
            assert!(is_software_name(name), "{name}");
        }
        for name in ["", "-a", "a-", ".", "a b", "kafka_python", "ü"] {
            assert!(!is_software_name(name), "{name}");
        }
    }
}
