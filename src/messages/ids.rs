//! Numbers that must not be mixed up: identifiers of brokers, producers and epochs, and the small open enumerations.
//!
//! Each is transparent on the wire. Partition indexes (`i32`) and offsets (`i64`) stay plain numbers: users count with
//! them, and once every other identifier has a type of its own they are the only numbers of their width in a signature.

use crate::wire::schema::Type;
use crate::wire::{Reader, Sink, Wire};
use std::fmt;

/// Makes identifiers: a public number, its "none" where the protocol has one, shown as the number.
macro_rules! ids {
    ($( $(#[$meta:meta])* pub struct $name:ident($int:ty) $(, none $none:literal)?; )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        $( impl $name {
            /// The protocol's "there is none".
            pub const NONE: $name = $name($none);

            /// Whether this is the protocol's "there is none".
            pub const fn is_none(self) -> bool {
                self.0 == $none
            }
        } )?

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl Wire for $name {
            const TYPE: Type = <$int>::TYPE;

            #[inline(always)]
            fn min_wire(version: i16, flexible: bool) -> usize {
                <$int>::min_wire(version, flexible)
            }

            #[inline(always)]
            fn encode<S: Sink>(&self, sink: &mut S) {
                self.0.encode(sink);
            }

            #[inline(always)]
            fn decode(reader: &mut Reader<'_>) -> $name {
                $name(<$int>::decode(reader))
            }
        }

        impl From<$int> for $name {
            fn from(number: $int) -> $name {
                $name(number)
            }
        }
    )* };
}

ids! {
    /// The id of a broker, unique in its cluster. The default is 0, as in messages; unknown is [`BrokerId::NONE`].
    pub struct BrokerId(i32), none -1;

    /// Counts the leaders of a partition: each election raises it (KIP-320).
    pub struct LeaderEpoch(i32), none -1;

    /// The id under which a broker remembers an idempotent producer's sequence numbers (KIP-98).
    pub struct ProducerId(i64), none -1;

    /// Raised when a producer is fenced or starts its sequence numbers again (KIP-98, KIP-360).
    pub struct ProducerEpoch(i16), none -1;

    /// Counts the rebalances of a group of the classic protocol; a commit or heartbeat of an older one is refused.
    pub struct GenerationId(i32), none -1;

    /// Up to where a member of a group of the new protocol has followed its assignments (KIP-848); the values with which
    /// it comes and goes are constants.
    pub struct MemberEpoch(i32);

    /// What a consumer sees of transactions; the values that Kafka knows are constants.
    pub struct IsolationLevel(i8);

    /// How many acknowledgements a Produce request waits for; the values that Kafka knows are constants.
    pub struct Acks(i16);

    /// What a coordinator coordinates; the values that Kafka knows are constants.
    pub struct CoordinatorType(i8);

    /// Whose settings they are; the values that Kafka knows are constants.
    pub struct ConfigResourceType(i8);

    /// How a setting is changed; the values that Kafka knows are constants.
    pub struct AlterConfigOperation(i8);

    /// What nodes of a cluster are asked for; the values that Kafka knows are constants.
    pub struct EndpointType(i8);
}

impl MemberEpoch {
    /// Joins the group.
    pub const JOIN: MemberEpoch = MemberEpoch(0);
    /// Leaves it.
    pub const LEAVE: MemberEpoch = MemberEpoch(-1);
    /// Goes, but a member with the same group instance id comes back within the session time-out.
    pub const LEAVE_STATIC: MemberEpoch = MemberEpoch(-2);
    /// In OffsetFetch: no member asks.
    pub const NONE: MemberEpoch = MemberEpoch(-1);
}

impl IsolationLevel {
    /// Every record below the high watermark.
    pub const READ_UNCOMMITTED: IsolationLevel = IsolationLevel(0);
    /// Records below the last stable offset; the answer lists the aborted transactions among them.
    pub const READ_COMMITTED: IsolationLevel = IsolationLevel(1);
}

impl Acks {
    /// The whole ISR, at least `min.insync.replicas` of it.
    pub const ALL: Acks = Acks(-1);
    /// None: the broker sends no response at all.
    pub const NONE: Acks = Acks(0);
    /// The leader only.
    pub const LEADER: Acks = Acks(1);
}

impl CoordinatorType {
    /// Of a consumer group; the key is the group id.
    pub const GROUP: CoordinatorType = CoordinatorType(0);
    /// Of a transactional id, which is the key.
    pub const TRANSACTION: CoordinatorType = CoordinatorType(1);
    /// Of a share partition (KIP-932); the key is `group:topic id:partition`.
    pub const SHARE: CoordinatorType = CoordinatorType(2);
}

impl ConfigResourceType {
    /// A topic's, by its name.
    pub const TOPIC: ConfigResourceType = ConfigResourceType(2);
    /// A broker's, by its id; of all brokers when that is empty.
    pub const BROKER: ConfigResourceType = ConfigResourceType(4);
    /// The levels of a broker's loggers, by its id.
    pub const BROKER_LOGGER: ConfigResourceType = ConfigResourceType(8);
    /// What clients are to tell of their metrics (KIP-714).
    pub const CLIENT_METRICS: ConfigResourceType = ConfigResourceType(16);
    /// A group's, by its id (KIP-848).
    pub const GROUP: ConfigResourceType = ConfigResourceType(32);
}

impl AlterConfigOperation {
    /// It gets this value.
    pub const SET: AlterConfigOperation = AlterConfigOperation(0);
    /// It goes back to its default.
    pub const DELETE: AlterConfigOperation = AlterConfigOperation(1);
    /// The value is added to its list.
    pub const APPEND: AlterConfigOperation = AlterConfigOperation(2);
    /// The value is taken out of its list.
    pub const SUBTRACT: AlterConfigOperation = AlterConfigOperation(3);
}

impl EndpointType {
    /// Brokers.
    pub const BROKERS: EndpointType = EndpointType(1);
    /// Controllers (KIP-919).
    pub const CONTROLLERS: EndpointType = EndpointType(2);
}
