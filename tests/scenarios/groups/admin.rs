//! What administrators see of a group and do to it.

use super::support::{read, settle, shared};
use super::{CLIENT_ID, Ground, SECOND, World};
use ottla::OffsetAndMetadata;
use ottla::admin::{GroupState, GroupType, ListGroups};
use ottla::messages::ErrorCode;
use std::collections::BTreeMap;

super::scenarios! {
    groups_are_listed_described_moved_and_deleted
}

async fn groups_are_listed_described_moved_and_deleted(ground: Ground) {
    let world = World::filled(&ground, 2, 10).await;
    let (admin, group) = (world.client.admin(), &world.group);
    let (one, two) = (world.at(0), world.at(1));
    let none = admin.describe_groups([group]).await;
    assert_eq!(none[group].as_ref().unwrap_err().code(), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(world.committed().await, BTreeMap::new());

    let mut consumer = world.member().build().await.unwrap();
    read(&mut consumer, 20).await;
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[2])).await;
    consumer.commit().await.unwrap();
    let group_type = if world.protocol == "classic" { GroupType::Classic } else { GroupType::Consumer };
    let listed = |state: GroupState| {
        let (admin, which) = (admin.clone(), ListGroups::all().states([state.clone()]));
        async move {
            let listed = admin.list_groups(&which).await.unwrap().all().unwrap();
            listed.into_iter().find(|listed| listed.group_id == *group)
        }
    };
    let stable = listed(GroupState::Stable).await.expect("it is listed as stable");
    assert_eq!(stable.protocol_type, "consumer", "{}", world.protocol);
    assert_eq!(listed(GroupState::Empty).await, None, "{}", world.protocol);
    let described = admin.describe_groups([group]).await[group].clone().unwrap();
    assert_eq!((&described.group_type, &described.state), (&group_type, &GroupState::Stable));
    let [member] = &described.members[..] else { unreachable!("{described:?}") };
    assert_eq!(member.client_id, CLIENT_ID, "{described:?}");
    assert_eq!(member.subscription, Some(vec![world.topic.clone()]), "{described:?}");
    assert_eq!(member.assignment, Some(vec![one.clone(), two.clone()]), "{described:?}");

    // Who has members is not touched.
    let there = OffsetAndMetadata::new(4);
    let altered = admin.alter_group_offsets(group, [(one.clone(), there.clone())]).await.unwrap();
    assert_eq!(altered[&one].as_ref().unwrap_err().code(), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    let deleted = admin.delete_group_offsets(group, [one.clone()]).await.unwrap();
    assert_eq!(deleted[&one].as_ref().unwrap_err().code(), Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC));
    let deleted = admin.delete_groups([group]).await;
    assert_eq!(deleted[group].as_ref().unwrap_err().code(), Some(ErrorCode::NON_EMPTY_GROUP));

    consumer.close(10 * SECOND).await.unwrap();
    assert!(listed(GroupState::Empty).await.is_some(), "{}", world.protocol);
    assert_eq!(world.committed().await, BTreeMap::from([(0, 10), (1, 10)]));
    admin.alter_group_offsets(group, [(one.clone(), there)]).await.unwrap()[&one].clone().unwrap();
    admin.delete_group_offsets(group, [two.clone()]).await.unwrap()[&two].clone().unwrap();
    assert_eq!(world.committed().await, BTreeMap::from([(0, 4)]), "{}", world.protocol);
    let mut consumer = world.member().build().await.unwrap();
    assert_eq!(read(&mut consumer, 6 + 10).await.len(), 6 + 10, "{}", world.protocol);
    consumer.close(10 * SECOND).await.unwrap();

    admin.delete_groups([group]).await[group].clone().unwrap();
    assert!(listed(GroupState::Empty).await.is_none(), "{}", world.protocol);
    let none = admin.describe_groups([group]).await;
    assert_eq!(none[group].as_ref().unwrap_err().code(), Some(ErrorCode::GROUP_ID_NOT_FOUND));
}
