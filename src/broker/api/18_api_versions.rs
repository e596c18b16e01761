//! ApiVersions: what is served. A version that is not is answered with those that are (KIP-511).

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, FinalizedFeature, SupportedFeature,
};
use crate::wire::Text;

/// The features whose levels clients go by, at the levels that a new cluster of Kafka 4.3 has: which generation of
/// transactions producers may be of (KIP-890), and that there are groups of the new protocol (KIP-848). Levels begin with 0.
const FEATURES: [(&str, i16); 2] = [("group.version", 1), ("transaction.version", 2)];

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
    ApiVersionsResponse {
        api_keys: offer.listing(),
        // Clients of version 3 cannot read levels that begin with 0 (KAFKA-17011).
        supported_features: FEATURES.iter().filter(|_| context.version >= 4).map(supported).collect(),
        finalized_features_epoch: 0,
        finalized_features: FEATURES.iter().map(finalized).collect(),
        ..Default::default()
    }
}

fn supported((name, level): &(&'static str, i16)) -> SupportedFeature {
    SupportedFeature { name: Text::from_static(name), min_version: 0, max_version: *level }
}

fn finalized((name, level): &(&'static str, i16)) -> FinalizedFeature {
    FinalizedFeature { name: Text::from_static(name), max_version_level: *level, min_version_level: *level }
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
