//! Which APIs, and up to which versions, the releases of Kafka have.

use crate::messages::ApiKey;
use std::fmt;

/// A release of Apache Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u8,
    minor: u8,
}

const fn release(major: u8, minor: u8) -> Release {
    Release { major, minor }
}

const R2_8: Release = release(2, 8);
const R3_0: Release = release(3, 0);
const R3_1: Release = release(3, 1);
const R3_2: Release = release(3, 2);
const R3_5: Release = release(3, 5);
const R3_6: Release = release(3, 6);
const R3_7: Release = release(3, 7);
const R3_8: Release = release(3, 8);
const R3_9: Release = release(3, 9);
const R4_0: Release = release(4, 0);
const R4_1: Release = release(4, 1);
const R4_2: Release = release(4, 2);

/// The newest version of an API since each of these releases; none before the first. APIs that are not here are in 2.8 what
/// they are in 4.3.
static NEWEST: &[(ApiKey, &[(Release, i16)])] = &[
    (ApiKey::PRODUCE, &[(R2_8, 9), (R3_7, 10), (R3_8, 11), (R4_0, 12), (R4_1, 13)]),
    (ApiKey::FETCH, &[(R2_8, 12), (R3_1, 13), (R3_5, 15), (R3_7, 16), (R3_9, 17), (R4_1, 18)]),
    (ApiKey::LIST_OFFSETS, &[(R2_8, 6), (R3_0, 7), (R3_5, 8), (R3_9, 9), (R4_0, 10), (R4_2, 11)]),
    (ApiKey::METADATA, &[(R2_8, 11), (R3_1, 12), (R4_0, 13)]),
    (ApiKey::OFFSET_COMMIT, &[(R2_8, 8), (R3_7, 9), (R4_2, 10)]),
    (ApiKey::OFFSET_FETCH, &[(R2_8, 7), (R3_0, 8), (R3_7, 9), (R4_2, 10)]),
    (ApiKey::FIND_COORDINATOR, &[(R2_8, 3), (R3_0, 4), (R3_8, 5), (R3_9, 6)]),
    (ApiKey::JOIN_GROUP, &[(R2_8, 7), (R3_2, 9)]),
    (ApiKey::LEAVE_GROUP, &[(R2_8, 4), (R3_2, 5)]),
    (ApiKey::DESCRIBE_GROUPS, &[(R2_8, 5), (R4_0, 6)]),
    (ApiKey::LIST_GROUPS, &[(R2_8, 4), (R3_8, 5)]),
    (ApiKey::API_VERSIONS, &[(R2_8, 3), (R3_9, 4)]),
    (ApiKey::INIT_PRODUCER_ID, &[(R2_8, 4), (R3_8, 5)]),
    (ApiKey::ADD_PARTITIONS_TO_TXN, &[(R2_8, 3), (R3_6, 4), (R3_8, 5)]),
    (ApiKey::ADD_OFFSETS_TO_TXN, &[(R2_8, 3), (R3_8, 4)]),
    (ApiKey::END_TXN, &[(R2_8, 3), (R3_8, 4), (R4_0, 5)]),
    (ApiKey::WRITE_TXN_MARKERS, &[(R2_8, 1), (R4_2, 2)]),
    (ApiKey::TXN_OFFSET_COMMIT, &[(R2_8, 3), (R3_8, 4), (R4_0, 5)]),
    (ApiKey::DESCRIBE_CLUSTER, &[(R2_8, 0), (R3_7, 1), (R4_0, 2)]),
    (ApiKey::CONSUMER_GROUP_HEARTBEAT, &[(R3_7, 0), (R4_0, 1)]),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, &[(R3_8, 0), (R4_0, 1)]),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, &[(R3_8, 0)]),
];

impl Release {
    /// The one whose messages are spoken.
    pub const NEWEST: Release = release(4, 3);

    /// All that a broker can pass for, oldest first.
    pub const ALL: [Release; 15] = [
        R2_8,
        R3_0,
        R3_1,
        R3_2,
        release(3, 3),
        release(3, 4),
        R3_5,
        R3_6,
        R3_7,
        R3_8,
        R3_9,
        R4_0,
        R4_1,
        R4_2,
        Release::NEWEST,
    ];

    /// The newest version of an API that brokers of this release have: `None` when they do not have it at all, the newest that
    /// there is when it has not changed since.
    pub(super) fn newest(self, key: ApiKey) -> Option<i16> {
        match NEWEST.iter().find(|(own, _)| *own == key) {
            None => Some(i16::MAX),
            Some((_, since)) => {
                since.iter().take_while(|(since, _)| *since <= self).last().map(|(_, version)| *version)
            }
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::APIS;

    #[test]
    fn the_newest_release_has_what_is_spoken() {
        for api in APIS {
            let newest = Release::NEWEST.newest(api.key).unwrap();
            assert!(newest == i16::MAX || newest == api.negotiable.last, "{}: {newest}", api.name());
        }
    }

    #[test]
    fn older_releases_have_less() {
        assert!(Release::ALL.is_sorted());
        for key in APIS.iter().map(|api| api.key) {
            assert!(Release::ALL.iter().map(|release| release.newest(key)).is_sorted(), "{key}");
        }
        let newest = |major, minor, key| release(major, minor).newest(key);
        assert_eq!(newest(2, 8, ApiKey::CONSUMER_GROUP_HEARTBEAT), None);
        assert_eq!(newest(3, 4, ApiKey::FETCH), Some(13));
        assert_eq!(newest(3, 9, ApiKey::DESCRIBE_TOPIC_PARTITIONS), Some(0));
        assert_eq!(newest(4, 0, ApiKey::PRODUCE), Some(12));
    }
}
