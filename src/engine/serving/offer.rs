//! What a serving side offers: its answer to ApiVersions, and what it holds clients to.

use super::Release;
use crate::messages::{ApiKey, ApiVersion, api};
use crate::wire::Span;

/// APIs and the versions of each that are served.
///
/// An API may be listed in more versions than are served: brokers list Produce from 0 on, which they refuse below 3,
/// because librdkafka takes a broker without Produce 0 to 2 for one that has none of the old features (KAFKA-18659).
#[derive(Debug, Clone)]
pub struct Offer {
    /// Ascending by key.
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    key: ApiKey,
    listed: Span,
    served: Span,
}

impl Offer {
    /// Some APIs, in the versions that Apache Kafka 4.3 serves and lists. Those that nobody here speaks are left out.
    pub fn kafka_4_3(keys: impl IntoIterator<Item = ApiKey>) -> Offer {
        let mut rows: Vec<Row> = keys
            .into_iter()
            .filter_map(api)
            .map(|api| {
                let served = api.negotiable;
                let first = if api.key == ApiKey::PRODUCE { 0 } else { served.first };
                Row { key: api.key, listed: Span::new(first, served.last), served }
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.key);
        rows.dedup_by_key(|row| row.key);
        Offer { rows }
    }

    /// Some APIs as far as a release of Kafka has them; their oldest versions are those of 4.3.
    pub fn kafka(release: Release, keys: impl IntoIterator<Item = ApiKey>) -> Offer {
        let all = Offer::kafka_4_3(keys);
        let keys: Vec<ApiKey> = all.rows.iter().map(|row| row.key).collect();
        keys.into_iter().fold(all, |offer, key| {
            let versions = release.newest(key).map_or(Span::NONE, |newest| Span::new(0, newest));
            offer.only(key, versions)
        })
    }

    /// The same with fewer versions of one API: none of them when `versions` has nothing in common with what is offered.
    #[must_use]
    pub fn only(mut self, key: ApiKey, versions: Span) -> Offer {
        for row in self.rows.iter_mut().filter(|row| row.key == key) {
            row.listed = row.listed.intersect(versions);
            row.served = row.served.intersect(versions);
        }
        self.rows.retain(|row| !row.listed.is_empty());
        self
    }

    /// Whether requests of this version are answered.
    pub fn serves(&self, key: ApiKey, version: i16) -> bool {
        self.row(key).is_some_and(|row| row.served.has(version))
    }

    /// The list for an answer to ApiVersions.
    pub fn listing(&self) -> Vec<ApiVersion> {
        self.rows.iter().map(Row::entry).collect()
    }

    /// The entry of one API, to tell a client that asked for ApiVersions in a version that is not served (KIP-511).
    pub fn entry(&self, key: ApiKey) -> Option<ApiVersion> {
        self.row(key).map(Row::entry)
    }

    fn row(&self, key: ApiKey) -> Option<&Row> {
        let index = self.rows.binary_search_by_key(&key, |row| row.key).ok()?;
        self.rows.get(index)
    }
}

impl Row {
    fn entry(&self) -> ApiVersion {
        ApiVersion { api_key: self.key, min_version: self.listed.first, max_version: self.listed.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(offer: &Offer, key: ApiKey) -> Option<(i16, i16)> {
        offer.entry(key).map(|entry| (entry.min_version, entry.max_version))
    }

    #[test]
    fn produce_is_listed_from_0_and_served_from_3() {
        let offer = Offer::kafka_4_3([ApiKey::PRODUCE, ApiKey::FETCH]);
        assert_eq!(versions(&offer, ApiKey::PRODUCE), Some((0, 13)));
        assert!(!offer.serves(ApiKey::PRODUCE, 2) && offer.serves(ApiKey::PRODUCE, 3));
        assert_eq!(versions(&offer, ApiKey::FETCH), Some((4, 18)));
    }

    #[test]
    fn older_releases_offer_less() {
        let keys = [ApiKey::PRODUCE, ApiKey::HEARTBEAT, ApiKey::CONSUMER_GROUP_HEARTBEAT];
        let of = |release| Offer::kafka(release, keys);
        let oldest = of(Release::ALL[0]);
        assert_eq!((versions(&oldest, ApiKey::PRODUCE), oldest.listing().len()), (Some((0, 9)), 2));
        assert_eq!(versions(&oldest, ApiKey::HEARTBEAT), Some((0, 4)));
        assert!(oldest.serves(ApiKey::PRODUCE, 9) && !oldest.serves(ApiKey::PRODUCE, 10));
        assert_eq!(of(Release::NEWEST).listing(), Offer::kafka_4_3(keys).listing());
    }

    #[test]
    fn what_is_unstable_or_not_spoken_is_not_offered() {
        let offer = Offer::kafka_4_3([ApiKey::INIT_PRODUCER_ID, ApiKey(999)]);
        assert_eq!(versions(&offer, ApiKey::INIT_PRODUCER_ID), Some((0, 5)));
        assert_eq!(offer.listing().len(), 1);
    }

    #[test]
    fn an_offer_can_be_cut_to_an_older_broker() {
        let offer = Offer::kafka_4_3([ApiKey::METADATA, ApiKey::FETCH])
            .only(ApiKey::METADATA, Span::new(0, 4))
            .only(ApiKey::FETCH, Span::new(0, 2));
        assert_eq!(versions(&offer, ApiKey::METADATA), Some((0, 4)));
        assert!(!offer.serves(ApiKey::METADATA, 5));
        assert_eq!(versions(&offer, ApiKey::FETCH), None);
    }
}
