//! Members that come and go, and what their listeners hear.

use super::support::{Told, read, read_for, settle, shared};
use super::{Ground, SECOND, World};
use ottla::Consumer;
use ottla::consumer::{ConsumerBuilder, RebalanceKind, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

super::scenarios! {
    two_members_share_a_topic_and_one_leaves
    who_keeps_partitions_is_not_disturbed
    a_static_member_comes_back_without_a_rebalance
    two_members_with_one_instance_id_do_not_go_on_both
    a_pattern_is_matched_with_whole_names_and_follows_new_topics
    what_is_not_subscribed_to_any_more_is_not_read
    each_partition_has_a_stream_that_ends_when_it_is_given_away
}

/// A member whose listener writes down what it hears.
async fn listening(member: ConsumerBuilder) -> (Consumer, Told) {
    let told = Told::default();
    (member.on_rebalance(told.listener()).build().await.unwrap(), told)
}

async fn two_members_share_a_topic_and_one_leaves(ground: Ground) {
    let world = World::filled(&ground, 4, 10).await;
    let mut one = world.member().build().await.unwrap();
    assert_eq!(read(&mut one, 40).await.len(), 40);
    let mut two = world.member().build().await.unwrap();
    settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[2, 2])).await;
    for partition in 0..4 {
        world.write(partition, 10..20).await;
    }
    let (by_one, by_two) = tokio::join!(read(&mut one, 20), read(&mut two, 20));
    let partitions = |read: &[(i32, String)]| read.iter().map(|(partition, _)| *partition).collect();
    let partitions: [BTreeSet<i32>; 2] = [partitions(&by_one), partitions(&by_two)];
    assert!(partitions[0].is_disjoint(&partitions[1]), "{partitions:?}");
    let new = by_one.iter().chain(&by_two).all(|(_, value)| value.parse::<i64>().unwrap() >= 10);
    assert!(new, "{}: nothing comes twice", world.protocol);
    two.close(10 * SECOND).await.unwrap();
    settle(&mut [&mut one], |assigned| shared(assigned, &[4])).await;
    world.write(0, 20..21).await;
    world.write(3, 20..21).await;
    let mut last = read(&mut one, 2).await;
    last.sort();
    assert_eq!(last, [(0, "20".to_owned()), (3, "20".to_owned())], "{}", world.protocol);
    one.close(10 * SECOND).await.unwrap();
    let all = BTreeMap::from([(0, 21), (1, 20), (2, 20), (3, 21)]);
    assert_eq!(world.committed().await, all, "{}", world.protocol);
}

/// By a cooperative assignor, or by the new protocol.
async fn who_keeps_partitions_is_not_disturbed(ground: Ground) {
    let world = World::filled(&ground, 4, 0).await;
    let member = || match world.protocol {
        "classic" => world.member().set("partition.assignment.strategy", "cooperative-sticky"),
        _ => world.member(),
    };
    let (mut one, told) = listening(member()).await;
    settle(&mut [&mut one], |assigned| shared(assigned, &[4])).await;
    let mut two = member().build().await.unwrap();
    settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[2, 2])).await;
    let gone: BTreeSet<TopicPartition> = told.of(RebalanceKind::Revoked).into_iter().collect();
    assert_eq!(gone, two.assigned().into_iter().collect(), "{}: {:?}", world.protocol, told.all());
    assert_eq!(told.of(RebalanceKind::Assigned).len(), 4, "{}: {:?}", world.protocol, told.all());
    one.close(10 * SECOND).await.unwrap();
    let last = told.all().pop().unwrap();
    assert_eq!((last.0, last.1.len()), (RebalanceKind::Revoked, 2), "{}: {:?}", world.protocol, told.all());
}

async fn a_static_member_comes_back_without_a_rebalance(ground: Ground) {
    let world = World::filled(&ground, 2, 0).await;
    let member = |id: &str| world.member().set("group.instance.id", id);
    let (mut stays, told) = listening(member("a")).await;
    let mut goes = member("b").build().await.unwrap();
    settle(&mut [&mut stays, &mut goes], |assigned| shared(assigned, &[1, 1])).await;
    let (before, had) = (told.all().len(), goes.assigned());
    goes.close(10 * SECOND).await.unwrap();
    drop(goes);
    assert_eq!(read_for(&mut stays, SECOND).await, []);
    let mut goes = member("b").build().await.unwrap();
    settle(&mut [&mut stays, &mut goes], |assigned| shared(assigned, &[1, 1])).await;
    assert_eq!(goes.assigned(), had, "{}", world.protocol);
    assert_eq!(told.all().len(), before, "{}: {:?}", world.protocol, told.all());
}

/// The classic protocol drops the first; the new one refuses the second as long as the first is there.
async fn two_members_with_one_instance_id_do_not_go_on_both(ground: Ground) {
    let world = World::filled(&ground, 2, 0).await;
    let member = || world.member().set("group.instance.id", "a");
    let mut first = member().build().await.unwrap();
    settle(&mut [&mut first], |assigned| shared(assigned, &[2])).await;
    let mut second = member().build().await.unwrap();
    let told = match world.protocol {
        "classic" => {
            settle(&mut [&mut second], |assigned| shared(assigned, &[2])).await;
            first.poll().await.unwrap_err()
        }
        _ => second.poll().await.unwrap_err(),
    };
    let expected = if world.protocol == "classic" { "FENCED_INSTANCE_ID" } else { "UNRELEASED_INSTANCE_ID" };
    assert_eq!(told.code().unwrap().name(), expected, "{told}");
    assert!(told.to_string().contains("group.instance.id=a"), "{told}");
}

async fn a_pattern_is_matched_with_whole_names_and_follows_new_topics(ground: Ground) {
    let world = World::filled(&ground, 1, 0).await;
    let named = |before: &str, after: &str| format!("{before}{}{after}", world.topic);
    world.create(&named("", "-eu"), 1).await;
    world.create(&named("re-", ""), 1).await;
    let member = world.member_of(&format!("^{}.*", world.topic));
    let mut consumer = member.build().await.unwrap();
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[2])).await;
    let names: Vec<String> = consumer.assigned().iter().map(|of| of.topic.to_string()).collect();
    assert_eq!(names, [named("", ""), named("", "-eu")], "{}", world.protocol);
    world.create(&named("", "-us"), 1).await;
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[3])).await;
}

async fn what_is_not_subscribed_to_any_more_is_not_read(ground: Ground) {
    let world = World::filled(&ground, 1, 5).await;
    let sensors = format!("{}-sensors", world.topic);
    world.create(&sensors, 1).await;
    let mut consumer = world.member_of(&sensors).build().await.unwrap();
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[1])).await;
    consumer.subscribe([world.topic.as_str()]).unwrap();
    assert_eq!(read(&mut consumer, 5).await.len(), 5, "{}", world.protocol);
    consumer.subscribe([sensors.as_str()]).unwrap();
    let is_sensors = |assigned: &[Vec<TopicPartition>]| {
        let topics: Vec<&str> = assigned[0].iter().map(|of| of.topic.as_str()).collect();
        topics == [sensors.as_str()]
    };
    settle(&mut [&mut consumer], is_sensors).await;
    world.write(0, 5..10).await;
    assert_eq!(read_for(&mut consumer, SECOND).await, [], "{}", world.protocol);
    consumer.unsubscribe().unwrap();
    settle(&mut [&mut consumer], |assigned| shared(assigned, &[0])).await;
    let admin = world.client.admin();
    while !admin.describe_groups([&world.group]).await[&world.group].as_ref().unwrap().members.is_empty() {
        tokio::time::sleep(SECOND / 20).await;
    }
    consumer.subscribe([world.topic.as_str()]).unwrap();
    assert_eq!(read(&mut consumer, 5).await.len(), 5, "{}", world.protocol);
}

/// The record in hand is waited for, and what was done is committed.
async fn each_partition_has_a_stream_that_ends_when_it_is_given_away(ground: Ground) {
    let world = World::filled(&ground, 4, 2_000).await;
    let mut one = world.member().build().await.unwrap();
    let done: Arc<Mutex<BTreeMap<TopicPartition, i64>>> = Arc::default();
    let ended: Arc<Mutex<BTreeSet<TopicPartition>>> = Arc::default();
    let (log, ends) = (Arc::clone(&done), Arc::clone(&ended));
    let reader = tokio::spawn(async move {
        let mut partitions = one.partition_streams();
        let mut readers = tokio::task::JoinSet::new();
        while let Some(stream) = partitions.next().await {
            let (mut records, log, ends) = (stream.unwrap(), Arc::clone(&log), Arc::clone(&ends));
            readers.spawn(async move {
                while let Some(record) = records.next().await {
                    let record = record.unwrap();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    log.lock().unwrap().insert(record.partition, record.offset + 1);
                }
                ends.lock().unwrap().insert(records.topic_partition().clone());
            });
        }
    });
    while done.lock().unwrap().len() < 4 {
        tokio::time::sleep(SECOND / 20).await;
    }
    let mut two = world.member().set("enable.auto.commit", "false").build().await.unwrap();
    settle(&mut [&mut two], |assigned| assigned[0].len() == 2).await;
    let given: BTreeSet<TopicPartition> = two.assigned().into_iter().collect();
    let committed = two.committed(&given).await.unwrap();
    for partition in &given {
        let done = done.lock().unwrap()[partition];
        assert_eq!(committed[partition].offset, done, "{}: {partition} was awaited", world.protocol);
        assert!(ended.lock().unwrap().contains(partition), "{}: {partition}", world.protocol);
    }
    reader.abort();
}
