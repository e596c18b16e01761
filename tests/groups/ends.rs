//! How a member ends: closed, dropped, killed, stopped for a while; and coordinators that do.

use crate::world::{
    GROUP, PROTOCOLS, SECOND, TOPIC, Told, World, at, paused, read, read_for, settle, shared,
};
use ottla::broker::Fate;
use ottla::consumer::RebalanceKind;
use ottla::messages::ApiKey;
use ottla::messages::ErrorCode;
use ottla::net::mem::{Faults, Way};
use ottla::{ErrorKind, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_consumer_that_is_closed_or_dropped_leaves_at_once() {
    for protocol in PROTOCOLS {
        for close in [true, false] {
            paused(21, async {
                let world = World::new(1, 2).await;
                let mut stays = world.member(protocol).build().await.unwrap();
                let mut goes = world.member(protocol).build().await.unwrap();
                settle(&mut [&mut stays, &mut goes], |assigned| shared(assigned, &[1, 1])).await;
                if close {
                    goes.close(5 * SECOND).await.unwrap();
                    assert!(goes.poll().await.unwrap().is_none(), "it is closed");
                }
                drop(goes);
                let began = tokio::time::Instant::now();
                settle(&mut [&mut stays], |assigned| shared(assigned, &[2])).await;
                assert!(began.elapsed() < 5 * SECOND, "{protocol}, {close}: {:?}", began.elapsed());
            });
        }
    }
}

/// The task that fetches has ended by then: that must not take the time away that the last commit has.
#[test]
fn closing_waits_for_a_commit_that_takes_long() {
    for protocol in PROTOCOLS {
        paused(26, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..3).await;
            let told = Told::default();
            let mut consumer = world.member(protocol).on_rebalance(told.listener()).build().await.unwrap();
            read(&mut consumer, 3).await;
            world.brokers.on_request(|asked| match ApiKey(asked.api_key) {
                ApiKey::OFFSET_COMMIT => Fate::Delay(3 * SECOND),
                _ => Fate::Pass,
            });
            consumer.close(10 * SECOND).await.unwrap();
            assert_eq!(world.committed(GROUP).await[&at(0)], 3, "{protocol}");
            assert_eq!(told.of(RebalanceKind::Revoked), [at(0)], "{protocol}");
        });
    }
}

#[test]
fn closing_is_bounded_while_the_coordinator_is_silent() {
    for protocol in PROTOCOLS {
        paused(22, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..3).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            read(&mut consumer, 3).await;
            world.brokers.on_request(|_| Fate::LoseRequest);
            let began = tokio::time::Instant::now();
            let error = consumer.close(3 * SECOND).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert!(began.elapsed() <= 4 * SECOND, "{:?}", began.elapsed());
        });
    }
}

/// A coordinator holds a JoinGroup back until the others have joined as well: for minutes, perhaps.
#[test]
fn a_consumer_that_is_closed_while_it_joins_leaves_no_connection_behind() {
    paused(37, async {
        let world = World::new(1, 1).await;
        world.write(0, 0..1).await;
        tokio::time::sleep(30 * SECOND).await;
        let before = world.net.open_ends();
        world.brokers.on_request(|asked| match asked.api {
            "JoinGroup" => Fate::LoseRequest,
            _ => Fate::Pass,
        });
        let mut consumer = world.member("classic").build().await.unwrap();
        tokio::time::sleep(5 * SECOND).await;
        consumer.close(5 * SECOND).await.unwrap();
        drop(consumer);
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(world.net.open_ends(), before);
    });
}

/// A commit that fails within a rebalance costs that commit, and nothing that comes later.
#[test]
fn a_commit_that_failed_once_is_no_reason_to_refuse_others() {
    for protocol in PROTOCOLS {
        paused(30, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..10).await;
            world.write(1, 0..10).await;
            let mut one = world.member(protocol).build().await.unwrap();
            read(&mut one, 20).await;
            world.brokers.on_request(|asked| match asked.api {
                "OffsetCommit" => Fate::Fail(ErrorCode::GROUP_AUTHORIZATION_FAILED),
                _ => Fate::Pass,
            });
            let mut two = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[1, 1])).await;
            // First of what was lost by it, then of itself.
            let codes = [one.commit().await, one.commit().await].map(|failed| failed.unwrap_err().code());
            assert_eq!(codes[1], Some(ErrorCode::GROUP_AUTHORIZATION_FAILED), "{protocol}: {codes:?}");
            world.brokers.on_request(|_| Fate::Pass);
            one.commit().await.unwrap();
            one.close(5 * SECOND).await.unwrap();
            // What fails at last is told by close.
            read_for(&mut two, 5 * SECOND).await;
            world.brokers.on_request(|asked| match asked.api {
                "OffsetCommit" => Fate::Fail(ErrorCode::GROUP_AUTHORIZATION_FAILED),
                _ => Fate::Pass,
            });
            let error = two.close(5 * SECOND).await.unwrap_err();
            assert_eq!(error.code(), Some(ErrorCode::GROUP_AUTHORIZATION_FAILED), "{protocol}: {error}");
        });
    }
}

#[test]
fn a_listener_that_panics_or_never_ends_holds_nobody_up() {
    for protocol in PROTOCOLS {
        paused(23, async {
            let world = World::new(1, 2).await;
            let told = Told::default();
            let heard = told.clone();
            let hangs = Arc::new(AtomicBool::new(false));
            let is_hanging = Arc::clone(&hangs);
            let mut one = world
                .member(protocol)
                .set("max.poll.interval.ms", "20000")
                .on_rebalance(move |rebalance| {
                    heard.add(&rebalance);
                    let hang = is_hanging.load(Ordering::Relaxed);
                    async move {
                        if hang {
                            std::future::pending::<()>().await;
                        }
                        panic!("the listener does that");
                    }
                })
                .build()
                .await
                .unwrap();
            settle(&mut [&mut one], |assigned| shared(assigned, &[2])).await;
            world.write(0, 0..3).await;
            assert_eq!(read(&mut one, 3).await.len(), 3, "{protocol}");
            hangs.store(true, Ordering::Relaxed);
            let mut two = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[1, 1])).await;
            assert!(!told.of(RebalanceKind::Revoked).is_empty(), "{protocol}");
        });
    }
}

#[test]
fn the_listener_can_commit_and_seek() {
    for protocol in PROTOCOLS {
        paused(24, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let mut consumer = world
                .member(protocol)
                .set("enable.auto.commit", "false")
                .on_rebalance(|rebalance| async move {
                    match rebalance.kind() {
                        RebalanceKind::Assigned => {
                            for partition in rebalance.partitions() {
                                rebalance.seek(partition, ottla::Start::Offset(6)).unwrap();
                            }
                        }
                        RebalanceKind::Revoked => rebalance.commit().await.unwrap(),
                        _ => {}
                    }
                })
                .build()
                .await
                .unwrap();
            let mut records = consumer.records();
            assert_eq!(records.next().await.unwrap().unwrap().offset, 6, "{protocol}");
            assert_eq!(records.next().await.unwrap().unwrap().offset, 7);
            drop(records);
            consumer.close(5 * SECOND).await.unwrap();
            assert_eq!(world.committed(GROUP).await[&at(0)], 8, "{protocol}");
        });
    }
}

/// The same of a stream in the middle of a batch.
#[test]
fn after_a_standstill_a_stream_hands_out_nothing_of_the_batch_that_it_has() {
    for protocol in PROTOCOLS {
        paused(29, async {
            let world = World::new(1, 1).await;
            let batch: Vec<_> =
                (0..50u32).map(|n| Record::to(TOPIC).partition(0).value(n.to_string())).collect();
            for record in batch {
                drop(world.producer.send(record).await.unwrap());
            }
            world.producer.flush().await.unwrap();
            let mut stopped = world.member(protocol).build().await.unwrap();
            let mut records = stopped.records();
            assert_eq!(records.next().await.unwrap().unwrap().offset, 0);
            tokio::time::sleep(2 * SECOND).await;
            assert_eq!(records.next().await.unwrap().unwrap().offset, 1);
            tokio::time::advance(Duration::from_secs(120)).await;
            let next = tokio::time::timeout(Duration::from_millis(1), records.next()).await;
            assert!(next.is_err(), "{protocol}: {next:?}");
        });
    }
}

/// A process that stands still keeps its connections; when it goes on its partitions are another one's.
#[test]
fn after_a_standstill_nothing_is_handed_out_that_others_have() {
    for protocol in PROTOCOLS {
        paused(25, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..1).await;
            let mut stopped = world.member(protocol).build().await.unwrap();
            assert_eq!(read(&mut stopped, 1).await.len(), 1);
            // Much is fetched ahead, in batches of their own.
            world.write(0, 1..100).await;
            tokio::time::sleep(2 * SECOND).await;
            // The task that beats the heart stands still as well: the clock runs on without it.
            tokio::time::advance(Duration::from_secs(120)).await;
            let polled = tokio::time::timeout(Duration::from_millis(1), stopped.poll()).await;
            assert!(polled.is_err(), "{protocol}: nothing before the coordinator was heard of");
        });
    }
}

#[test]
fn whoever_is_cut_off_loses_its_partitions_to_others_and_comes_back() {
    for protocol in PROTOCOLS {
        paused(26, async {
            let world = World::new(1, 2).await;
            let told = Told::default();
            let mut cut = world
                .cooperative_member("cut-off", protocol)
                .on_rebalance(told.listener())
                .build()
                .await
                .unwrap();
            let mut other = world.cooperative_member("other", protocol).build().await.unwrap();
            settle(&mut [&mut cut, &mut other], |assigned| shared(assigned, &[1, 1])).await;
            let is_cut = Arc::new(AtomicBool::new(true));
            let cuts = Arc::clone(&is_cut);
            world.brokers.on_request(move |asked| {
                let is_meant = asked.client_id.as_deref() == Some("cut-off");
                if is_meant && cuts.load(Ordering::Relaxed) { Fate::LoseRequest } else { Fate::Pass }
            });
            settle(&mut [&mut other], |assigned| shared(assigned, &[2])).await;
            is_cut.store(false, Ordering::Relaxed);
            settle(&mut [&mut cut, &mut other], |assigned| shared(assigned, &[1, 1])).await;
            assert!(!told.of(RebalanceKind::Lost).is_empty(), "{protocol}: {:?}", told.all());
        });
    }
}

/// Has the coordinator tell a member once that nobody knows it, after `begin`; its commits are to be repeated until then.
fn cast_out(world: &World, id: &'static str, begin: Arc<AtomicBool>) -> Arc<AtomicBool> {
    let is_told = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_told);
    world.brokers.on_request(move |asked| {
        let is_over = told.load(Ordering::Relaxed) || asked.client_id.as_deref() != Some(id);
        match asked.api {
            _ if is_over => Fate::Pass,
            "OffsetCommit" => {
                begin.store(true, Ordering::Relaxed);
                Fate::Fail(ErrorCode::REBALANCE_IN_PROGRESS)
            }
            "Heartbeat" | "ConsumerGroupHeartbeat" if begin.load(Ordering::Relaxed) => {
                told.store(true, Ordering::Relaxed);
                Fate::Fail(ErrorCode::UNKNOWN_MEMBER_ID)
            }
            _ => Fate::Pass,
        }
    });
    is_told
}

/// What it did is committed by nobody any more: it would wait until that had taken too long.
#[test]
fn who_is_cast_out_while_it_gives_back_does_not_wait_for_its_commit() {
    for protocol in PROTOCOLS {
        paused(38, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..10).await;
            world.write(1, 0..10).await;
            let told = Told::default();
            let one = world.cooperative_member("one", protocol).set("auto.commit.interval.ms", "600000");
            let mut one = one.on_rebalance(told.listener()).build().await.unwrap();
            read(&mut one, 20).await;
            let is_told = cast_out(&world, "one", Arc::default());
            let _two = world.cooperative_member("two", protocol).build().await.unwrap();
            while !is_told.load(Ordering::Relaxed) {
                assert_eq!(read_for(&mut one, SECOND / 10).await, []);
            }
            read_for(&mut one, 5 * SECOND).await;
            assert_eq!(told.of(RebalanceKind::Revoked).len(), 1, "{protocol}: {:?}", told.all());
        });
    }
}

/// Other partitions are given back meanwhile, and the application takes its time with that.
#[test]
fn who_is_cast_out_while_it_gives_back_hands_out_nothing_of_what_it_keeps() {
    for protocol in PROTOCOLS {
        paused(39, async {
            let world = World::new(1, 2).await;
            for n in 0..2_000u32 {
                let record = Record::to(TOPIC).partition(i32::try_from(n % 2).unwrap());
                drop(world.producer.send(record.value(n.to_string())).await.unwrap());
            }
            world.producer.flush().await.unwrap();
            let told = Told::default();
            let (heard, begun) = (told.clone(), Arc::new(AtomicBool::new(false)));
            let begin = Arc::clone(&begun);
            let one = world.cooperative_member("one", protocol).on_rebalance(move |rebalance| {
                heard.add(&rebalance);
                let gives = rebalance.kind() == RebalanceKind::Revoked && !rebalance.partitions().is_empty();
                begin.fetch_or(gives, Ordering::Relaxed);
                tokio::time::sleep(if gives { 60 * SECOND } else { Duration::ZERO })
            });
            let mut one = one.set("enable.auto.commit", "false").build().await.unwrap();
            let mut partitions = one.partition_streams();
            let mut streams = Vec::new();
            for _ in 0..2 {
                streams.push(partitions.next().await.unwrap().unwrap());
            }
            let _two = world.cooperative_member("two", protocol).build().await.unwrap();
            while !begun.load(Ordering::Relaxed) {
                for stream in &mut streams {
                    let _ = tokio::time::timeout(SECOND / 10, stream.next()).await;
                    tokio::time::sleep(SECOND / 20).await;
                }
            }
            let gone = told.of(RebalanceKind::Revoked);
            let kept = streams.into_iter().find(|stream| !gone.contains(stream.topic_partition()));
            let mut kept = kept.unwrap_or_else(|| panic!("{protocol}: {:?}", told.all()));
            let next = kept.next().await.unwrap().unwrap();
            assert!(next.offset < 900, "{protocol}: {next:?} has others of its batch behind it");
            let is_told = cast_out(&world, "one", begun);
            tokio::time::sleep(5 * SECOND).await;
            assert!(is_told.load(Ordering::Relaxed));
            let next = tokio::time::timeout(SECOND, kept.next()).await;
            assert!(next.is_err(), "{protocol}: {next:?}");
        });
    }
}

/// Commits and heartbeats go on within two seconds of an election, and nobody loses anything.
#[test]
fn another_coordinator_takes_over_without_a_rebalance() {
    for protocol in PROTOCOLS {
        paused(27, async {
            let world = World::new(3, 2).await;
            world.write(0, 0..10).await;
            let told = Told::default();
            let mut consumer = world.member(protocol).on_rebalance(told.listener()).build().await.unwrap();
            read(&mut consumer, 10).await;
            for round in 0..3 {
                let before = told.all().len();
                let gone = world.coordinator().await;
                world.brokers.stop_broker(gone).await.unwrap();
                let began = tokio::time::Instant::now();
                consumer.commit().await.unwrap();
                assert!(began.elapsed() < 2 * SECOND, "{protocol} {round}: {:?}", began.elapsed());
                assert_eq!(read_for(&mut consumer, 60 * SECOND).await, []);
                assert_eq!(told.all().len(), before, "{protocol} {round}: {:?}", told.all());
                world.brokers.start_broker(gone).await.unwrap();
            }
        });
    }
}

/// The coordinator stands still with open connections, and another one is elected.
#[test]
fn a_coordinator_that_does_not_answer_is_left() {
    for protocol in PROTOCOLS {
        paused(28, async {
            let world = World::new(3, 1).await;
            world.write(0, 0..10).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            read(&mut consumer, 10).await;
            // What is on its connections stays there, and nothing comes back.
            let silent = world.coordinator().await;
            let address = world.brokers.address(silent).unwrap();
            let (host, port) = address.rsplit_once(':').unwrap();
            let hold = Way { hold: true, ..Way::default() };
            let faults = Faults { to_server: hold.clone(), to_client: hold, ..Faults::default() };
            world.net.set_faults(host, port.parse().unwrap(), faults);
            let commit = consumer.commit();
            // The cluster takes its time to find out.
            tokio::time::sleep(Duration::from_millis(9_300)).await;
            world.brokers.stop_broker(silent).await.unwrap();
            let began = tokio::time::Instant::now();
            commit.await.unwrap();
            assert!(began.elapsed() < SECOND / 2, "{protocol}: {:?}", began.elapsed());
        });
    }
}
