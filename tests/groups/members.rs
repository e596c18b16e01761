//! Members that come and go.

use crate::world::{
    GROUP, PROTOCOLS, SECOND, TOPIC, Told, World, at, paused, read, read_for, settle, shared,
};
use ottla::ErrorKind;
use ottla::broker::{ApiKey, ErrorCode, Fate, Fault};
use ottla::consumer::RebalanceKind;

#[test]
fn two_instances_share_partitions_and_another_group_reads_everything() {
    for protocol in PROTOCOLS {
        paused(1, async {
            let world = World::new(3, 6).await;
            for partition in 0..6 {
                world.write(partition, 0..10).await;
            }
            let mut one = world.member(protocol).build().await.unwrap();
            assert_eq!(read(&mut one, 60).await.len(), 60);
            let mut two = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[3, 3])).await;
            for partition in 0..6 {
                world.write(partition, 10..20).await;
            }
            let both = tokio::join!(read_for(&mut one, 5 * SECOND), read_for(&mut two, 5 * SECOND));
            assert_eq!((both.0.len(), both.1.len()), (30, 30), "{protocol}");
            let mut audit = world.member(protocol).group("audit").build().await.unwrap();
            assert_eq!(read(&mut audit, 120).await.len(), 120);
            // One goes, and the other one has everything.
            two.close(5 * SECOND).await.unwrap();
            settle(&mut [&mut one], |assigned| shared(assigned, &[6])).await;
            assert_eq!(read_for(&mut one, 5 * SECOND).await, [], "{protocol}: everything was committed");
        });
    }
}

#[test]
fn all_assignors_share_out_and_go_on_where_others_have_stopped() {
    for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        paused(2, async {
            let world = World::new(1, 4).await;
            let member = || world.member("classic").set("partition.assignment.strategy", assignor);
            let mut one = member().build().await.unwrap();
            settle(&mut [&mut one], |assigned| shared(assigned, &[4])).await;
            let mut two = member().build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[2, 2])).await;
            let mut three = member().build().await.unwrap();
            let all = |assigned: &[Vec<_>]| {
                assigned.iter().map(Vec::len).sum::<usize>() == 4
                    && assigned.iter().all(|own| !own.is_empty())
            };
            settle(&mut [&mut one, &mut two, &mut three], all).await;
            drop(one);
            settle(&mut [&mut two, &mut three], |assigned| shared(assigned, &[2, 2])).await;
        });
    }
}

#[test]
fn the_listener_hears_of_what_comes_and_goes_before_it_does() {
    for protocol in PROTOCOLS {
        paused(3, async {
            let world = World::new(1, 2).await;
            let told = Told::default();
            let mut one = world.member(protocol).on_rebalance(told.listener()).build().await.unwrap();
            settle(&mut [&mut one], |assigned| shared(assigned, &[2])).await;
            assert_eq!(told.of(RebalanceKind::Assigned), [at(0), at(1)]);
            let mut two = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[1, 1])).await;
            assert!(!told.of(RebalanceKind::Revoked).is_empty(), "{protocol}: {:?}", told.all());
            one.close(5 * SECOND).await.unwrap();
            let last = told.all().pop().unwrap();
            assert_eq!(last.0, RebalanceKind::Revoked, "{protocol}: {:?}", told.all());
        });
    }
}

/// `max.poll.interval.ms` bounds the listener, not the time until it is known where to begin.
#[test]
fn the_listener_hears_of_partitions_however_long_it_takes_to_find_out_where_to_begin() {
    for protocol in PROTOCOLS {
        paused(8, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..3).await;
            let loading = Fate::Fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            world.brokers.add_fault(Fault::new(loading).api(ApiKey::OFFSET_FETCH));
            let told = Told::default();
            let heard = told.clone();
            let member = world.member(protocol).set("max.poll.interval.ms", "10000");
            let member = member.on_rebalance(move |rebalance| {
                heard.add(&rebalance);
                async {}
            });
            let mut member = member.build().await.unwrap();
            assert_eq!(read_for(&mut member, 60 * SECOND).await, [], "{protocol}");
            world.brokers.clear_faults();
            assert_eq!(read(&mut member, 3).await.len(), 3, "{protocol}");
            assert_eq!(told.of(RebalanceKind::Assigned), [at(0)], "{protocol}: {:?}", told.all());
        });
    }
}

#[test]
fn whoever_does_not_come_back_in_time_hears_of_it_and_joins_again() {
    for protocol in PROTOCOLS {
        paused(4, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..3).await;
            let mut slow = world.member(protocol).set("max.poll.interval.ms", "60000").build().await.unwrap();
            assert!(!read(&mut slow, 1).await.is_empty());
            let mut other = world.member(protocol).build().await.unwrap();
            let others = read_for(&mut other, 30 * SECOND).await;
            assert_eq!(others, [], "{protocol}: nothing is given away before its time");
            let others = read_for(&mut other, 60 * SECOND).await;
            assert_eq!(others.len(), 3, "{protocol}: nothing was done of it");
            let error = slow.poll().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MaxPollExceeded, "{error}");
            settle(&mut [&mut slow, &mut other], |assigned| shared(assigned, &[1, 1])).await;
        });
    }
}

#[test]
fn whoever_waits_for_records_is_not_away() {
    for protocol in PROTOCOLS {
        paused(5, async {
            let world = World::new(1, 2).await;
            let mut waiting =
                world.member(protocol).set("max.poll.interval.ms", "60000").build().await.unwrap();
            assert_eq!(read_for(&mut waiting, 300 * SECOND).await, []);
            world.write(0, 0..1).await;
            assert_eq!(read(&mut waiting, 1).await.len(), 1);
        });
    }
}

#[test]
fn patterns_are_matched_with_whole_names_and_follow_new_topics() {
    for protocol in PROTOCOLS {
        paused(6, async {
            let world = World::new(1, 1).await;
            world.brokers.create_topic("orders-eu", 1).unwrap();
            world.brokers.create_topic("reorders", 1).unwrap();
            let client = world.client();
            let consumer = client
                .consumer()
                .group(GROUP)
                .set("group.protocol", protocol)
                .subscribe(["^orders.*"])
                .build();
            let mut consumer = consumer.await.unwrap();
            settle(&mut [&mut consumer], |assigned| assigned[0].len() == 2).await;
            let names: Vec<_> = consumer.assigned().iter().map(ToString::to_string).collect();
            assert_eq!(names, ["orders-0", "orders-eu-0"], "{protocol}");
            world.brokers.create_topic("orders-us", 1).unwrap();
            // Metadata are as old as five minutes.
            assert_eq!(read_for(&mut consumer, 330 * SECOND).await, []);
            settle(&mut [&mut consumer], |assigned| assigned[0].len() == 3).await;
        });
    }
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    for protocol in PROTOCOLS {
        paused(8, async {
            let world = World::new(1, 2).await;
            let told = Told::default();
            let member = |id: &str| world.member(protocol).set("group.instance.id", id);
            let mut stays = member("a").on_rebalance(told.listener()).build().await.unwrap();
            let mut goes = member("b").build().await.unwrap();
            settle(&mut [&mut stays, &mut goes], |assigned| shared(assigned, &[1, 1])).await;
            let (before, had) = (told.all().len(), goes.assigned());
            goes.close(5 * SECOND).await.unwrap();
            assert_eq!(read_for(&mut stays, 10 * SECOND).await, []);
            let mut goes = member("b").build().await.unwrap();
            settle(&mut [&mut stays, &mut goes], |assigned| shared(assigned, &[1, 1])).await;
            assert_eq!((told.all().len(), goes.assigned()), (before, had), "{protocol}: {:?}", told.all());
        });
    }
}

#[test]
fn two_members_with_one_instance_id_do_not_go_on_both() {
    paused(9, async {
        let world = World::new(1, 2).await;
        let member = || world.member("classic").set("group.instance.id", "a");
        let mut first = member().build().await.unwrap();
        settle(&mut [&mut first], |assigned| shared(assigned, &[2])).await;
        let mut second = member().build().await.unwrap();
        settle(&mut [&mut second], |assigned| shared(assigned, &[2])).await;
        let error = first.poll().await.unwrap_err();
        assert_eq!(error.code().unwrap().name(), "FENCED_INSTANCE_ID", "{error}");
        assert!(error.to_string().contains("group.instance.id=a"), "{error}");
        let again = first.poll().await.unwrap_err();
        assert_eq!(again.code(), error.code(), "it is told as long as somebody asks");
    });
}

#[test]
fn what_is_not_subscribed_to_any_more_is_not_read() {
    for protocol in PROTOCOLS {
        paused(10, async {
            let world = World::new(1, 1).await;
            world.brokers.create_topic("sensors", 1).unwrap();
            let mut consumer = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut consumer], |assigned| shared(assigned, &[1])).await;
            consumer.subscribe(["sensors"]).unwrap();
            world.write(0, 0..5).await;
            assert_eq!(read_for(&mut consumer, 10 * SECOND).await, [], "{protocol}");
            assert_eq!(consumer.assigned()[0].topic.as_str(), "sensors", "{protocol}");
            consumer.unsubscribe().unwrap();
            assert_eq!(read_for(&mut consumer, 10 * SECOND).await, []);
            assert_eq!(consumer.assigned(), [], "{protocol}");
            let groups = world.client.admin().describe_groups([GROUP]).await;
            assert_eq!(groups[GROUP].as_ref().unwrap().members.len(), 0, "{protocol}");
            consumer.subscribe([TOPIC]).unwrap();
            assert_eq!(read(&mut consumer, 5).await.len(), 5, "{protocol}");
        });
    }
}
