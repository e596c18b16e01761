//! What a broker offers, and which version of an API is spoken with it (KIP-35).

use crate::error::{Error, ErrorKind};
use crate::messages::{ApiKey, ApiVersionsResponse, api};
use crate::wire::Span;

/// The version ranges of one connection's broker.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    /// By API key, ascending.
    offered: Vec<(ApiKey, Span)>,
    features: Vec<(String, Span)>,
}

impl Versions {
    /// What an ApiVersions answer offers. Of an API named twice the first entry counts.
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Versions {
        let mut offered: Vec<_> = response
            .api_keys
            .iter()
            .map(|entry| (entry.api_key, Span::new(entry.min_version, entry.max_version)))
            .collect();
        offered.sort_by_key(|(key, _)| key.0);
        offered.dedup_by_key(|(key, _)| key.0);
        let features = response
            .finalized_features
            .iter()
            .map(|f| (f.name.to_string(), Span::new(f.min_version_level, f.max_version_level)))
            .collect();
        Versions { offered, features }
    }

    /// The range that the broker offers of an API.
    pub fn offered(&self, key: ApiKey) -> Option<Span> {
        let at = self.offered.binary_search_by_key(&key.0, |(key, _)| key.0).ok()?;
        self.offered.get(at).map(|(_, span)| *span)
    }

    /// The finalized level of a feature (KIP-584), as `transaction.version`.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.iter().find(|(feature, _)| feature == name).map(|(_, span)| span.last)
    }

    /// The newest version that both sides speak, and that `wanted` allows.
    ///
    /// # Errors
    /// [`ErrorKind::UnsupportedVersion`], with both ranges.
    pub fn pick(&self, key: ApiKey, wanted: Span) -> Result<i16, Error> {
        let fail = |offered: &str| {
            Error::new(
                ErrorKind::UnsupportedVersion,
                format!("{key}: the broker offers {offered}, this client needs {wanted}"),
            )
            .hint("brokers from Apache Kafka 2.1 on are supported")
        };
        let ours = api(key).map_or(Span::NONE, |api| api.negotiable).intersect(wanted);
        let Some(offered) = self.offered(key) else { return Err(fail("no version")) };
        let common = ours.intersect(offered);
        if common.is_empty() { Err(fail(&offered.to_string())) } else { Ok(common.last) }
    }
}
