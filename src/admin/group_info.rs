//! What the brokers tell of groups, as the admin client hands it out.

use super::BrokerInfo;
use crate::engine::TopicPartition;
use crate::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, DescribedConsumerGroup,
    DescribedConsumerGroupAssignment, DescribedConsumerGroupMember, DescribedGroup, DescribedGroupMember,
    ListedGroup,
};
use crate::wire::Text;
use bytes::Bytes;
use std::fmt;

/// Makes an enum of names that brokers use, open for those of later brokers.
macro_rules! names {
    ($( #[$meta:meta] )* pub enum $enum:ident { $( $( #[$about:meta] )* $variant:ident = $name:literal, )* }) => {
        $( #[$meta] )*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $enum {
            $( $( #[$about] )* #[doc = concat!("`", $name, "`")] $variant, )*
            /// Another one, of a later broker perhaps; by the name that the broker used.
            Other(String),
        }

        impl $enum {
            /// The name that brokers use.
            pub fn name(&self) -> &str {
                match self {
                    $( $enum::$variant => $name, )*
                    $enum::Other(name) => name,
                }
            }
        }

        /// By the name that brokers use, in any case.
        impl From<&str> for $enum {
            fn from(name: &str) -> $enum {
                $( if name.eq_ignore_ascii_case($name) { return $enum::$variant; } )*
                $enum::Other(name.to_owned())
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

names! {
    /// What a group is at.
    pub enum GroupState {
        /// Members are waited for, so that partitions can be assigned:
        PreparingRebalance = "PreparingRebalance",
        /// The assignment is waited for:
        CompletingRebalance = "CompletingRebalance",
        /// In the new protocol, the assignment is being made:
        Assigning = "Assigning",
        /// In the new protocol, members are giving partitions back and taking new ones over:
        Reconciling = "Reconciling",
        /// Every member has what it was assigned:
        Stable = "Stable",
        /// There are no members, but perhaps offsets:
        Empty = "Empty",
        /// It is about to be removed:
        Dead = "Dead",
        /// Of a streams group whose topics are not there:
        NotReady = "NotReady",
    }
}

names! {
    /// Which protocol the members of a group speak.
    pub enum GroupType {
        /// Members assign partitions among themselves; also that of a group that has offsets only:
        Classic = "classic",
        /// The coordinator assigns partitions (KIP-848):
        Consumer = "consumer",
        /// Members share partitions (KIP-932):
        Share = "share",
        /// Kafka Streams (KIP-1071):
        Streams = "streams",
    }
}

/// One line of a list of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id (`group.id`).
    pub group_id: String,
    /// What its members do: `consumer`, or `connect` for Kafka Connect's workers; empty for a group that has offsets only.
    pub protocol_type: String,
    /// What it is at; `None` from brokers before 2.6.
    pub state: Option<GroupState>,
    /// Which protocol its members speak; `None` from brokers before 3.8.
    pub group_type: Option<GroupType>,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id (`group.id`).
    pub group_id: String,
    /// [`GroupType::Classic`] or [`GroupType::Consumer`].
    pub group_type: GroupType,
    /// What its members do: `consumer`, or `connect` for Kafka Connect's workers; empty for a group that has offsets only.
    pub protocol_type: String,
    /// What it is at.
    pub state: GroupState,
    /// Who assigns the partitions: the assignor's name. `None` while a classic group is not stable.
    pub assignor: Option<String>,
    /// The broker that coordinates it; `None` when that has just changed.
    pub coordinator: Option<BrokerInfo>,
    /// In the new protocol: a number that grows when members or subscriptions change.
    pub group_epoch: Option<i32>,
    /// In the new protocol: the group epoch that the present target assignment was made for.
    pub assignment_epoch: Option<i32>,
    /// Its members, in the coordinator's order.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The id that it has in the group.
    pub member_id: String,
    /// `group.instance.id`, of a static member.
    pub group_instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it is, as the coordinator sees it: `/` and an address.
    pub host: String,
    /// Its rack (`client.rack`), if it told.
    pub rack: Option<String>,
    /// In the new protocol: the epoch that it has got to.
    pub member_epoch: Option<i32>,
    /// The topics that it has subscribed to; `None` where they are not known: while a classic group is not stable, and of members
    /// that are no consumers.
    pub subscription: Option<Vec<String>>,
    /// In the new protocol: the regular expression that it has subscribed to.
    pub subscribed_regex: Option<String>,
    /// The partitions that it has, in order; `None` where they are not known, as for `subscription`.
    pub assignment: Option<Vec<TopicPartition>>,
    /// In the new protocol: the partitions that it is to have.
    pub target_assignment: Option<Vec<TopicPartition>>,
}

impl GroupListing {
    pub(super) fn of(group: &ListedGroup) -> GroupListing {
        let ListedGroup { group_id, protocol_type, group_state, group_type } = group;
        GroupListing {
            group_id: group_id.to_string(),
            protocol_type: protocol_type.to_string(),
            state: told(group_state).map(GroupState::from),
            group_type: told(group_type).map(GroupType::from),
        }
    }
}

impl GroupDescription {
    pub(super) fn of_classic(group: &DescribedGroup) -> GroupDescription {
        GroupDescription {
            group_id: group.group_id.to_string(),
            group_type: GroupType::Classic,
            protocol_type: group.protocol_type.to_string(),
            state: GroupState::from(group.group_state.as_str()),
            assignor: told(&group.protocol_data).map(str::to_owned),
            coordinator: None,
            group_epoch: None,
            assignment_epoch: None,
            members: group.members.iter().map(GroupMember::of_classic).collect(),
        }
    }

    pub(super) fn of_consumer(group: &DescribedConsumerGroup) -> GroupDescription {
        GroupDescription {
            group_id: group.group_id.to_string(),
            group_type: GroupType::Consumer,
            protocol_type: "consumer".to_owned(),
            state: GroupState::from(group.group_state.as_str()),
            assignor: told(&group.assignor_name).map(str::to_owned),
            coordinator: None,
            group_epoch: Some(group.group_epoch),
            assignment_epoch: Some(group.assignment_epoch),
            members: group.members.iter().map(GroupMember::of_consumer).collect(),
        }
    }
}

impl GroupMember {
    fn of_classic(member: &DescribedGroupMember) -> GroupMember {
        let subscription = readable(&member.member_metadata, ConsumerProtocolSubscription::read);
        let assignment = readable(&member.member_assignment, ConsumerProtocolAssignment::read);
        let partitions = |assignment: ConsumerProtocolAssignment| {
            let topics = assignment.assigned_partitions.into_iter();
            in_order(topics.map(|topic| (topic.topic.detach(), topic.partitions)))
        };
        GroupMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.as_ref().map(Text::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            rack: subscription.as_ref().and_then(|told| told.rack_id.as_ref()).map(Text::to_string),
            member_epoch: None,
            subscription: subscription.map(|told| told.topics.iter().map(Text::to_string).collect()),
            subscribed_regex: None,
            assignment: assignment.map(partitions),
            target_assignment: None,
        }
    }

    fn of_consumer(member: &DescribedConsumerGroupMember) -> GroupMember {
        let partitions = |assignment: &DescribedConsumerGroupAssignment| {
            let topics = assignment.topic_partitions.iter();
            in_order(topics.map(|topic| (topic.topic_name.detach(), topic.partitions.clone())))
        };
        GroupMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.as_ref().map(Text::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            rack: member.rack_id.as_ref().map(Text::to_string),
            member_epoch: Some(member.member_epoch.0),
            subscription: Some(member.subscribed_topic_names.iter().map(Text::to_string).collect()),
            subscribed_regex: member
                .subscribed_topic_regex
                .as_deref()
                .filter(|it| !it.is_empty())
                .map(str::to_owned),
            assignment: Some(partitions(&member.assignment)),
            target_assignment: Some(partitions(&member.target_assignment)),
        }
    }
}

/// Text that a broker may leave empty when it has nothing to tell.
fn told(text: &Text) -> Option<&str> {
    Some(text.as_str()).filter(|text| !text.is_empty())
}

/// What a member wrote for others like it: that nobody else can read it is no fault.
fn readable<T, E>(blob: &Bytes, read: impl Fn(&Bytes) -> Result<T, E>) -> Option<T> {
    if blob.is_empty() { None } else { read(blob).ok() }
}

fn in_order(topics: impl Iterator<Item = (Text, Vec<i32>)>) -> Vec<TopicPartition> {
    let expand = |(topic, indexes): (Text, Vec<i32>)| {
        indexes.into_iter().map(move |index| TopicPartition::new(topic.clone(), index))
    };
    let mut partitions: Vec<TopicPartition> = topics.flat_map(expand).collect();
    partitions.sort_unstable();
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::ConsumerProtocolPartitions;

    fn member(metadata: Bytes, assignment: Bytes) -> GroupMember {
        GroupMember::of_classic(&DescribedGroupMember {
            member_metadata: metadata,
            member_assignment: assignment,
            ..Default::default()
        })
    }

    #[test]
    fn blobs_of_consumers_are_read_and_others_are_not_known() {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["orders".into(), "returns".into()],
            rack_id: Some("eu-1a".into()),
            ..Default::default()
        };
        let some = |topic: &'static str, partitions: &[i32]| ConsumerProtocolPartitions {
            topic: topic.into(),
            partitions: partitions.to_vec(),
        };
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![some("returns", &[1]), some("orders", &[2, 0])],
            user_data: None,
        };
        let read = member(subscription.write(3).unwrap(), assignment.write(3).unwrap());
        assert_eq!(read.subscription.unwrap(), ["orders", "returns"]);
        assert_eq!(read.rack.as_deref(), Some("eu-1a"));
        let names: Vec<String> = read.assignment.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["orders-0", "orders-2", "returns-1"]);
        for foreign in [&b""[..], b"\0", b"\xff\xff\0\0", b"\0\x01\x7f\xff\xff\xff", b"{\"worker\": 1}"] {
            let foreign = Bytes::from_static(foreign);
            let read = member(foreign.clone(), foreign);
            assert_eq!((read.subscription, read.assignment), (None, None));
        }
    }

    #[test]
    fn states_and_types_are_known_by_name_and_others_kept() {
        assert_eq!(GroupState::from("stable"), GroupState::Stable);
        assert_eq!(GroupType::from("Consumer"), GroupType::Consumer);
        let later = GroupState::from("Sleeping");
        assert_eq!((later.name(), later.to_string().as_str()), ("Sleeping", "Sleeping"));
        let old = GroupListing::of(&ListedGroup { group_id: "billing".into(), ..Default::default() });
        assert_eq!((old.state, old.group_type), (None, None));
    }
}
