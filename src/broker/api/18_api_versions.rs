//! ApiVersions: what is served. A version that is not is answered with those that are (KIP-511).

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, FinalizedFeature, SupportedFeature,
};
use crate::wire::Text;

/// The features whose levels clients go by, at the levels that a new cluster of Kafka 4.3 has: which generation of
/// transactions producers may be of (KIP-890), and that there are groups of the new protocol (KIP-848). Levels begin with 0. Each
/// with the API and version that came with it: a broker of an older release has neither.
const FEATURES: [Feature; 2] = [
    Feature { name: "group.version", level: 1, since: (ApiKey::CONSUMER_GROUP_HEARTBEAT, 1) },
    Feature { name: "transaction.version", level: 2, since: (ApiKey::END_TXN, 5) },
];

struct Feature {
    name: &'static str,
    level: i16,
    since: (ApiKey, i16),
}

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
    let features = || FEATURES.iter().filter(|feature| offer.serves(feature.since.0, feature.since.1));
    ApiVersionsResponse {
        api_keys: offer.listing(),
        // Clients of version 3 cannot read levels that begin with 0 (KAFKA-17011).
        supported_features: features().filter(|_| context.version >= 4).map(supported).collect(),
        finalized_features_epoch: 0,
        finalized_features: features().map(finalized).collect(),
        ..Default::default()
    }
}

fn supported(feature: &Feature) -> SupportedFeature {
    SupportedFeature { name: Text::from_static(feature.name), min_version: 0, max_version: feature.level }
}

fn finalized(feature: &Feature) -> FinalizedFeature {
    FinalizedFeature {
        name: Text::from_static(feature.name),
        max_version_level: feature.level,
        min_version_level: feature.level,
    }
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
