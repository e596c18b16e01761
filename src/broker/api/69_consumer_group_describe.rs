//! ConsumerGroupDescribe: groups of the protocol of KIP-848 with their members, and what each has and is to have.

use super::describe_groups::ALL_OPERATIONS;
use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::consumer::{ConsumerGroup, Member, Partitions};
use crate::broker::state::{Refused, State};
use crate::broker::topic::Topics;
use crate::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumerGroup,
    DescribedConsumerGroupAssignment, DescribedConsumerGroupMember, DescribedConsumerGroupPartitions,
    ErrorCode, MemberEpoch,
};
use crate::wire::Text;

/// A member of the protocol of KIP-848, not of the classic one.
const CONSUMER_MEMBER: i8 = 1;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.iter().map(|id| {
        match context
            .unless_denied(id, ErrorCode::GROUP_AUTHORIZATION_FAILED, || describe(state, context, id))
        {
            Ok(group) if request.include_authorized_operations => {
                DescribedConsumerGroup { authorized_operations: ALL_OPERATIONS, ..group }
            }
            Ok(group) => group,
            Err(Refused { code, text }) => DescribedConsumerGroup {
                group_id: id.clone(),
                error_code: code,
                error_message: tells(code).then(|| text.into()),
                ..Default::default()
            },
        }
    });
    ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() }
}

fn describe(state: &mut State, context: Context<'_>, id: &Text) -> Result<DescribedConsumerGroup, Refused> {
    let refuse = |code: ErrorCode, text: String| Refused { code, text };
    if id.is_empty() {
        return Err(refuse(ErrorCode::INVALID_GROUP_ID, String::new()));
    }
    state.enter_group(id, context).map_err(|code| refuse(code, String::new()))?;
    let group = state.groups.get(id).ok_or_else(|| format!("Group {id} not found."));
    let group = group.and_then(|group| match &group.members {
        Members::Consumer(members) => Ok(members),
        Members::Classic(_) => Err(format!("Group {id} is not a consumer group.")),
    });
    let group = group.map_err(|text| refuse(ErrorCode::GROUP_ID_NOT_FOUND, text))?;
    let group = described(id, group, &state.topics);
    let assignments = group.members.iter().flat_map(|member| [&member.assignment, &member.target_assignment]);
    for partitions in assignments.flat_map(|assignment| &assignment.topic_partitions) {
        context.unless_refused(&partitions.topic_name, None, || Ok(())).map_err(
            |Refused { code, .. }| {
                let text = "The group has described topic(s) that the client is not authorized to describe.";
                refuse(code, text.to_owned())
            },
        )?;
    }
    Ok(group)
}

/// Whether it says more than its code.
fn tells(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::TOPIC_AUTHORIZATION_FAILED)
}

fn described(id: &Text, group: &ConsumerGroup, topics: &Topics) -> DescribedConsumerGroup {
    let member = |(member_id, member): (&Text, &Member)| DescribedConsumerGroupMember {
        member_id: member_id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: MemberEpoch(member.epoch),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        subscribed_topic_regex: member.pattern().cloned(),
        assignment: assignment(topics, &member.assigned),
        target_assignment: assignment(topics, &member.target),
        member_type: CONSUMER_MEMBER,
    };
    DescribedConsumerGroup {
        group_id: id.clone(),
        group_state: Text::from_static(group.state().name()),
        group_epoch: group.epoch(),
        assignment_epoch: group.assignment_epoch(),
        assignor_name: Text::from_static(group.assignor().name()),
        members: group.members().map(member).collect(),
        ..Default::default()
    }
}

/// Topics that are gone have no name, and are left out.
fn assignment(topics: &Topics, partitions: &Partitions) -> DescribedConsumerGroupAssignment {
    let known = partitions.iter().filter_map(|(id, own)| Some((id, topics.name_of(id)?, own)));
    let topic_partitions = known.map(|(id, name, own)| DescribedConsumerGroupPartitions {
        topic_id: *id,
        topic_name: name.clone(),
        partitions: own.iter().copied().collect(),
    });
    DescribedConsumerGroupAssignment { topic_partitions: topic_partitions.collect() }
}
