//! What a client may do, as bits (KIP-430).

/// On a topic where nothing is forbidden: read, write, create, delete, alter, describe, and describe and alter its settings.
pub(super) const OF_TOPIC: i32 = 0b1101_1111_1000;
/// The same for the cluster: create, alter, describe, act, describe and alter settings, write idempotently.
pub(super) const OF_CLUSTER: i32 = 0b1_1111_1010_0000;
/// Nobody asked.
pub(super) const NOT_ASKED: i32 = i32::MIN;
