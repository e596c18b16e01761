//! What the members of a consumer group say to each other through JoinGroup and SyncGroup, of which the coordinator
//! understands nothing: subscriptions, assignments, and the user data of the sticky assignors.
//!
//! A subscription or assignment opens with its version. The peer may be any client, of any age: a newer version is read
//! as the newest that is known here, because versions only append (Java's `ConsumerProtocol` does the same), and so bytes
//! behind the last known field are no error in any of these. Whatever else is wrong with them is an error value: a blob
//! that nobody can read is its member's fault and must not fail the group.
//!
//! | version | subscription | assignment |
//! | --- | --- | --- |
//! | 0 | topics, user data | partitions, user data |
//! | 1 | what the member owns, for cooperative rebalances (KIP-429) | the same |
//! | 2 | the generation in which it came to own that (KIP-792) | the same |
//! | 3 | its rack (KIP-881) | the same |
//!
//! User data has no version. That of the assignor `sticky` is what the member was assigned, and since Kafka 2.3 the
//! generation behind it: which of the two is found by trying, as Java does. That of `cooperative-sticky` is a generation,
//! of use only where the subscription is older than version 2.

use super::GenerationId;
use crate::message;
use crate::wire::{Fault, Place, Reader, Text, Wire, WireError, encode};
use bytes::{BufMut, Bytes, BytesMut};

message! {
    /// What a member wants to read, and what it has.
    pub struct ConsumerProtocolSubscription {
        0.. => topics: Vec<Text>;
        /// For the assignor.
        0.. => user_data: Option<Bytes>, null 0..;
        1.. => owned_partitions: Vec<ConsumerProtocolPartitions>, ignorable;
        /// The generation in which the member came to own them: who has an older one than another has lost them.
        2.. => generation_id: GenerationId = GenerationId::NONE, ignorable;
        3.. => rack_id: Option<Text>, null 3.., ignorable;
    }

    /// What a member is to read.
    pub struct ConsumerProtocolAssignment {
        0.. => assigned_partitions: Vec<ConsumerProtocolPartitions>;
        /// From the assignor.
        0.. => user_data: Option<Bytes>, null 0..;
    }

    /// Partitions of one topic.
    pub struct ConsumerProtocolPartitions {
        0.. => topic: Text;
        0.. => partitions: Vec<i32>;
    }

    /// The user data of the assignor `sticky`, in the layouts that Java calls 0 and 1.
    pub struct StickyAssignorUserData {
        /// What the member was assigned last.
        0.. => previous_assignment: Vec<ConsumerProtocolPartitions>;
        /// In which generation.
        1.. => generation: GenerationId = GenerationId::NONE, ignorable;
    }

    /// The user data of the assignor `cooperative-sticky`.
    pub struct CooperativeStickyAssignorUserData {
        /// The generation in which the member came to own what its subscription says.
        0.. => generation: GenerationId;
    }
}

/// The newest version of subscriptions and assignments.
const NEWEST: i16 = 3;

impl ConsumerProtocolSubscription {
    /// The newest version.
    pub const VERSION: i16 = NEWEST;

    /// Reads a blob of any version.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn read(blob: &Bytes) -> Result<ConsumerProtocolSubscription, WireError> {
        read_versioned(blob, &Place { message: "ConsumerProtocolSubscription", field: "version" })
    }

    /// The blob. Fields that `version` lacks are left out.
    ///
    /// # Errors
    /// Text or a list that is too long.
    pub fn write(&self, version: i16) -> Result<Bytes, WireError> {
        write_versioned(self, version)
    }
}

impl ConsumerProtocolAssignment {
    /// The newest version.
    pub const VERSION: i16 = NEWEST;

    /// Reads a blob of any version.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn read(blob: &Bytes) -> Result<ConsumerProtocolAssignment, WireError> {
        read_versioned(blob, &Place { message: "ConsumerProtocolAssignment", field: "version" })
    }

    /// The blob.
    ///
    /// # Errors
    /// Text or a list that is too long.
    pub fn write(&self, version: i16) -> Result<Bytes, WireError> {
        write_versioned(self, version)
    }
}

impl StickyAssignorUserData {
    /// Reads user data with a generation or without one: [`GenerationId::NONE`] then.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn read(user_data: &Bytes) -> Result<StickyAssignorUserData, WireError> {
        read_prefix(Reader::new(user_data, 1, false))
            .or_else(|_| read_prefix(Reader::new(user_data, 0, false)))
    }

    /// The user data, with the generation.
    ///
    /// # Errors
    /// Text or a list that is too long.
    pub fn write(&self) -> Result<Bytes, WireError> {
        write_behind(BytesMut::new(), self, 1)
    }
}

impl CooperativeStickyAssignorUserData {
    /// Reads user data.
    ///
    /// # Errors
    /// It is too short.
    pub fn read(user_data: &Bytes) -> Result<CooperativeStickyAssignorUserData, WireError> {
        read_prefix(Reader::new(user_data, 0, false))
    }

    /// The user data.
    ///
    /// # Errors
    /// None.
    pub fn write(&self) -> Result<Bytes, WireError> {
        write_behind(BytesMut::new(), self, 0)
    }
}

fn read_versioned<T: Wire>(blob: &Bytes, place: &'static Place) -> Result<T, WireError> {
    let mut reader = Reader::new(blob, NEWEST, false);
    reader.at(place);
    let version = i16::decode(&mut reader);
    if version < 0 {
        reader.fail(Fault::Version(version));
    }
    reader.switch(version.min(NEWEST), false);
    read_prefix(reader)
}

fn read_prefix<T: Wire>(mut reader: Reader<'_>) -> Result<T, WireError> {
    let value = T::decode(&mut reader);
    reader.finish_prefix().map(|()| value)
}

fn write_versioned<T: Wire>(value: &T, version: i16) -> Result<Bytes, WireError> {
    let version = version.clamp(0, NEWEST);
    let mut blob = BytesMut::new();
    blob.put_i16(version);
    write_behind(blob, value, version)
}

fn write_behind<T: Wire>(mut blob: BytesMut, value: &T, version: i16) -> Result<Bytes, WireError> {
    encode(value, version, false, &mut blob)?;
    Ok(blob.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(topic: &'static str, partitions: &[i32]) -> ConsumerProtocolPartitions {
        ConsumerProtocolPartitions { topic: topic.into(), partitions: partitions.to_vec() }
    }

    fn subscription() -> ConsumerProtocolSubscription {
        ConsumerProtocolSubscription {
            topics: vec!["orders".into(), "payments".into()],
            user_data: Some(Bytes::from_static(b"mine")),
            owned_partitions: vec![partitions("orders", &[0, 2])],
            generation_id: GenerationId(7),
            rack_id: Some("eu-1a".into()),
        }
    }

    #[test]
    fn a_subscription_comes_back_as_far_as_its_version_goes() {
        let all = subscription();
        for version in 0..=3 {
            let blob = all.write(version).unwrap();
            assert_eq!(blob[..2], version.to_be_bytes());
            let expected = ConsumerProtocolSubscription {
                owned_partitions: if version >= 1 { all.owned_partitions.clone() } else { Vec::new() },
                generation_id: if version >= 2 { all.generation_id } else { GenerationId::NONE },
                rack_id: all.rack_id.clone().filter(|_| version >= 3),
                ..all.clone()
            };
            assert_eq!(ConsumerProtocolSubscription::read(&blob), Ok(expected), "version {version}");
        }
    }

    #[test]
    fn an_assignment_has_the_same_layout_in_every_version() {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![partitions("orders", &[1]), partitions("payments", &[0, 1])],
            user_data: None,
        };
        let oldest = assignment.write(0).unwrap();
        for version in 0..=3 {
            let blob = assignment.write(version).unwrap();
            assert_eq!(blob[2..], oldest[2..]);
            assert_eq!(ConsumerProtocolAssignment::read(&blob).as_ref(), Ok(&assignment));
        }
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_that_is_known() {
        let mut blob = BytesMut::from(&subscription().write(3).unwrap()[..]);
        blob[..2].copy_from_slice(&17i16.to_be_bytes());
        blob.extend_from_slice(b"fields of the future");
        assert_eq!(ConsumerProtocolSubscription::read(&blob.freeze()), Ok(subscription()));
    }

    #[test]
    fn a_blob_that_makes_no_sense_is_an_error_with_its_place() {
        let error = |blob: &[u8]| {
            ConsumerProtocolSubscription::read(&Bytes::copy_from_slice(blob)).unwrap_err().to_string()
        };
        assert_eq!(
            error(b""),
            "ConsumerProtocolSubscription.version: 2 bytes needed where 0 are left (byte 0)"
        );
        assert_eq!(
            error(&[0xff, 0xff, 0, 0]),
            "ConsumerProtocolSubscription.version: there is no version -1 (byte 2)"
        );
        assert!(
            error(&[0, 3, 0x7f, 0xff, 0xff, 0xff]).starts_with("ConsumerProtocolSubscription.topics: length")
        );
        let whole = subscription().write(3).unwrap();
        for cut in 0..whole.len() {
            assert!(ConsumerProtocolSubscription::read(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_user_data_of_sticky_is_read_with_and_without_a_generation() {
        let with = StickyAssignorUserData {
            previous_assignment: vec![partitions("orders", &[4])],
            generation: GenerationId(9),
        };
        let new = with.write().unwrap();
        assert_eq!(StickyAssignorUserData::read(&new).as_ref(), Ok(&with));
        let old = new.slice(..new.len() - 4);
        let without = StickyAssignorUserData { generation: GenerationId::NONE, ..with };
        assert_eq!(StickyAssignorUserData::read(&old), Ok(without));
        let error = StickyAssignorUserData::read(&old.slice(..old.len() - 1)).unwrap_err();
        assert_eq!((error.message, error.field), ("ConsumerProtocolPartitions", "partitions"));
    }

    #[test]
    fn the_user_data_of_cooperative_sticky_is_a_generation() {
        let user_data = CooperativeStickyAssignorUserData { generation: GenerationId(12) };
        assert_eq!(user_data.write().unwrap()[..], [0, 0, 0, 12]);
        let longer = Bytes::from_static(&[0, 0, 0, 12, 1, 2, 3]);
        assert_eq!(CooperativeStickyAssignorUserData::read(&longer), Ok(user_data));
        assert!(CooperativeStickyAssignorUserData::read(&Bytes::from_static(&[0, 0])).is_err());
    }

    /// Bytes of Kafka's own `StickyAssignor` and `ConsumerProtocol`, both ways.
    #[test]
    fn whole_blobs_are_those_of_javas_consumer() {
        let orders: &[u8] = &[0, 0, 0, 1, 0, 6, b'o', b'r', b'd', b'e', b'r', b's'];
        let orders_2 = [orders, &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        let remembered = [&orders_2[..], &[0, 0, 0, 7]].concat();
        let blob: [&[u8]; 6] =
            [&[0, 3], orders, &[0, 0, 0, 24], &remembered, &remembered, &[0, 2, b'r', b'1']];
        let blob = Bytes::from(blob.concat());

        let read = ConsumerProtocolSubscription::read(&blob).unwrap();
        let owned = vec![partitions("orders", &[2])];
        assert_eq!((&read.owned_partitions, read.generation_id), (&owned, GenerationId(7)));
        assert_eq!((&read.topics[..], read.rack_id.clone()), (&["orders".into()][..], Some("r1".into())));
        assert_eq!(read.write(ConsumerProtocolSubscription::VERSION).unwrap(), blob);
        let sticky = StickyAssignorUserData::read(&read.user_data.unwrap()).unwrap();
        let expected = StickyAssignorUserData { previous_assignment: owned, generation: GenerationId(7) };
        assert_eq!(sticky, expected);
        assert_eq!(sticky.write().unwrap(), remembered);
    }
}
