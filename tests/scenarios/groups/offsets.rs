//! What is committed, when, and where a group goes on.

use super::support::{read, settle, shared};
use super::{Ground, SECOND, World};
use ottla::messages::ErrorCode;
use ottla::{ErrorKind, OffsetAndMetadata, Start};
use std::collections::BTreeMap;

super::scenarios! {
    positions_and_given_offsets_are_committed_with_their_metadata
    what_is_done_is_committed_by_closing_and_by_itself
    without_an_offset_the_policy_says_where_to_begin
    who_assigns_himself_commits_without_being_a_member
    what_is_done_is_committed_before_the_partition_is_given_to_another_one
}

async fn positions_and_given_offsets_are_committed_with_their_metadata(ground: Ground) {
    let world = World::filled(&ground, 2, 10).await;
    let member = || world.member().set("enable.auto.commit", "false");
    let mut consumer = member().build().await.unwrap();
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[2])).await;
    for partition in 0..2 {
        consumer.seek(&world.at(partition), Start::Beginning).unwrap();
    }
    let mut records = consumer.records();
    let first = records.next().await.unwrap().unwrap();
    let (in_hand, other) = (first.partition.clone(), world.at(1 - first.partition.partition));
    for _ in 1..4 {
        assert_eq!(records.next().await.unwrap().unwrap().partition, in_hand, "one batch");
    }
    records.consumer().commit().await.unwrap();
    let committed = records.consumer().committed([&in_hand]).await.unwrap();
    assert_eq!(committed[&in_hand].offset, 4, "{}: the next one to read", world.protocol);
    drop(records);
    let note = OffsetAndMetadata::new(7).metadata("invoice 9");
    consumer.commit_offsets([(in_hand.clone(), note.clone())]).await.unwrap();
    consumer.commit_offsets([(other.clone(), 10)]).await.unwrap();
    assert_eq!(consumer.committed([&in_hand]).await.unwrap()[&in_hand], note);
    consumer.close(10 * SECOND).await.unwrap();
    assert_eq!(world.committed().await[&in_hand.partition], 7, "{}: nothing by itself", world.protocol);

    let mut again = member().build().await.unwrap();
    assert_eq!(again.records().next().await.unwrap().unwrap().offset, 7);
    let large = OffsetAndMetadata::new(8).metadata("x".repeat(5_000));
    let error = again.commit_offsets([(in_hand, large)]).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OFFSET_METADATA_TOO_LARGE), "{error}");
}

async fn what_is_done_is_committed_by_closing_and_by_itself(ground: Ground) {
    let world = World::filled(&ground, 1, 10).await;
    let member = || world.member().set("auto.commit.interval.ms", "100");
    let mut consumer = member().build().await.unwrap();
    let mut records = consumer.records();
    for offset in 0..4 {
        assert_eq!(records.next().await.unwrap().unwrap().offset, offset);
    }
    // The fourth is in hand.
    while world.committed().await != BTreeMap::from([(0, 3)]) {
        tokio::time::sleep(SECOND / 20).await;
    }
    drop(records);
    drop(consumer);
    let mut consumer = member().set("auto.commit.interval.ms", "3600000").build().await.unwrap();
    let mut records = consumer.records();
    for offset in 3..10 {
        assert_eq!(records.next().await.unwrap().unwrap().offset, offset, "{}", world.protocol);
    }
    drop(records);
    assert_eq!(world.committed().await[&0], 3, "{}", world.protocol);
    consumer.close(10 * SECOND).await.unwrap();
    let closed = world.committed().await[&0];
    assert_eq!(closed, 10, "{}: whoever closes is done", world.protocol);
}

async fn without_an_offset_the_policy_says_where_to_begin(ground: Ground) {
    let world = World::filled(&ground, 1, 3).await;
    let mut consumer = world.member().auto_offset_reset("none").build().await.unwrap();
    let error = consumer.poll().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset, "{error}");
    assert!(error.to_string().contains("auto.offset.reset"), "{error}");
    consumer.seek(&world.at(0), Start::Beginning).unwrap();
    assert_eq!(read(&mut consumer, 3).await.len(), 3);
    consumer.close(10 * SECOND).await.unwrap();

    let latest = world.member().group(format!("{}-latest", world.group)).auto_offset_reset("latest");
    let mut latest = latest.build().await.unwrap();
    settle(&mut [&mut latest], |assigned| shared(assigned, &[1])).await;
    while latest.position(&world.at(0)).unwrap() != Some(3) {
        settle(&mut [&mut latest], |_| true).await;
    }
    world.write(0, 3..4).await;
    assert_eq!(read(&mut latest, 1).await, [(0, "3".to_owned())], "{}", world.protocol);
    // What is committed is no longer there: the policy says where then.
    let gone = OffsetAndMetadata::new(1_000);
    latest.close(10 * SECOND).await.unwrap();
    let admin = world.client.admin();
    admin.alter_group_offsets(&world.group, [(world.at(0), gone)]).await.unwrap()[&world.at(0)]
        .clone()
        .unwrap();
    let mut lost = world.member().build().await.unwrap();
    assert_eq!(read(&mut lost, 4).await.len(), 4, "{}: from the beginning", world.protocol);
}

async fn who_assigns_himself_commits_without_being_a_member(ground: Ground) {
    let world = World::filled(&ground, 1, 10).await;
    let consumer = world.client.consumer().group(&world.group).assign([(world.at(0), Start::Beginning)]);
    let mut consumer = consumer.build().await.unwrap();
    read(&mut consumer, 10).await;
    consumer.commit().await.unwrap();
    assert_eq!(world.committed().await, BTreeMap::from([(0, 10)]));
    consumer.seek(&world.at(0), Start::Offset(5)).unwrap();
    consumer.close(10 * SECOND).await.unwrap();
    assert_eq!(world.committed().await, BTreeMap::from([(0, 5)]), "and by itself");
}

async fn what_is_done_is_committed_before_the_partition_is_given_to_another_one(ground: Ground) {
    let world = World::filled(&ground, 2, 10).await;
    // Nothing is committed by itself for an hour but by rebalances.
    let member = || world.member().set("auto.commit.interval.ms", "3600000");
    let mut one = member().build().await.unwrap();
    read(&mut one, 20).await;
    assert_eq!(world.committed().await, BTreeMap::new(), "{}", world.protocol);
    let mut two = member().build().await.unwrap();
    settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[1, 1])).await;
    let given = two.assigned()[0].partition;
    assert_eq!(world.committed().await[&given], 10, "{}", world.protocol);
}
