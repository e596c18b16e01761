//! What is committed, when, and what becomes of it.

use crate::world::{GROUP, PROTOCOLS, SECOND, World, at, paused, read, read_for, settle, shared};
use ottla::broker::Fate;
use ottla::messages::{ApiKey, ErrorCode};
use ottla::{ErrorKind, OffsetAndMetadata, Start, TopicPartition};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn offsets(offset: i64) -> BTreeMap<TopicPartition, i64> {
    BTreeMap::from([(at(0), offset)])
}

#[test]
fn what_was_handed_out_is_committed_by_itself_once_the_application_has_come_back() {
    for protocol in PROTOCOLS {
        paused(11, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            let handed_out = i64::try_from(read(&mut consumer, 1).await.len()).unwrap();
            tokio::time::sleep(20 * SECOND).await;
            assert_eq!(world.committed(GROUP).await, offsets(0), "{protocol}: it is still in hand");
            // It comes back, and gets the next one.
            let before = handed_out;
            let more = i64::try_from(read(&mut consumer, 1).await.len()).unwrap();
            tokio::time::sleep(20 * SECOND).await;
            assert_eq!(world.committed(GROUP).await, offsets(before), "{protocol}: {more} are in hand");
            consumer.close(5 * SECOND).await.unwrap();
            assert_eq!(world.committed(GROUP).await, offsets(before + more), "{protocol}");
        });
    }
}

#[test]
fn a_record_in_hand_when_the_consumer_is_dropped_is_read_again() {
    for protocol in PROTOCOLS {
        paused(12, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            let mut records = consumer.records();
            for offset in 0..4 {
                assert_eq!(records.next().await.unwrap().unwrap().offset, offset);
            }
            drop(records);
            drop(consumer);
            tokio::time::sleep(5 * SECOND).await;
            assert_eq!(world.committed(GROUP).await, offsets(3), "{protocol}");
            let mut again = world.member(protocol).build().await.unwrap();
            assert_eq!(again.records().next().await.unwrap().unwrap().offset, 3);
        });
    }
}

#[test]
fn positions_and_given_offsets_are_committed_with_their_metadata() {
    for protocol in PROTOCOLS {
        paused(13, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..10).await;
            let member = || world.member(protocol).set("enable.auto.commit", "false");
            let mut consumer = member().build().await.unwrap();
            let mut records = consumer.records();
            for _ in 0..4 {
                records.next().await.unwrap().unwrap();
            }
            records.consumer().commit().await.unwrap();
            let committed = records.consumer().committed(&[at(0), at(1)]).await.unwrap();
            assert_eq!(committed[&at(0)].offset, 4, "{protocol}: the next one to read");
            drop(records);
            let note = OffsetAndMetadata::new(7).metadata("invoice 9");
            consumer.commit_offsets([(at(0), note.clone())]).await.unwrap();
            assert_eq!(consumer.committed(&[at(0)]).await.unwrap()[&at(0)], note);
            // Nothing is committed by itself.
            consumer.close(5 * SECOND).await.unwrap();
            assert_eq!(world.committed(GROUP).await[&at(0)], 7, "{protocol}");
            let mut again = member().build().await.unwrap();
            assert_eq!(again.records().next().await.unwrap().unwrap().offset, 7);
            let error = again.commit_offsets([(at(0), -1)]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let large = OffsetAndMetadata::new(8).metadata("x".repeat(5_000));
            let error = again.commit_offsets([(at(0), large)]).await.unwrap_err();
            assert_eq!(error.code(), Some(ErrorCode::OFFSET_METADATA_TOO_LARGE), "{error}");
        });
    }
}

#[test]
fn who_assigns_himself_commits_without_being_a_member() {
    paused(14, async {
        let world = World::new(1, 1).await;
        world.write(0, 0..10).await;
        let client = world.client();
        let consumer = client.consumer().group(GROUP).assign([(at(0), Start::Beginning)]);
        let mut consumer = consumer.build().await.unwrap();
        read(&mut consumer, 10).await;
        consumer.commit().await.unwrap();
        assert_eq!(world.committed(GROUP).await, offsets(10));
        assert_eq!(consumer.subscribe(["orders"]).unwrap_err().kind(), ErrorKind::InvalidInput);
        consumer.seek(&at(0), Start::Offset(5)).unwrap();
        consumer.close(5 * SECOND).await.unwrap();
        assert_eq!(world.committed(GROUP).await, offsets(5), "and by itself");
        // Without a group there is nothing to commit to.
        let consumer = client.consumer().assign([(at(0), Start::Beginning)]).build().await.unwrap();
        let error = consumer.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("group.id"), "{error}");
    });
}

#[test]
fn a_commit_for_a_partition_that_was_given_away_is_refused_with_a_kind() {
    for protocol in PROTOCOLS {
        paused(15, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let member = || world.member(protocol).set("enable.auto.commit", "false");
            let mut slow = member().set("max.poll.interval.ms", "30000").build().await.unwrap();
            read(&mut slow, 1).await;
            let mut other = member().build().await.unwrap();
            assert_eq!(read(&mut other, 10).await.len(), 10, "{protocol}");
            other.commit().await.unwrap();
            let error = slow.commit().await.unwrap_err();
            let stale = ["ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH"];
            assert!(stale.contains(&error.code().unwrap().name()), "{protocol}: {error}");
            assert!(!error.is_retriable(), "{error}");
            assert_eq!(world.committed(GROUP).await, offsets(10), "{protocol}");
        });
    }
}

/// Each commit of one record after the other is under way while the next one is ordered.
#[test]
fn commits_never_go_back_whatever_the_coordinator_says() {
    for protocol in PROTOCOLS {
        paused(16, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..200).await;
            let seen = Arc::new(Mutex::new(Vec::new()));
            let count = AtomicUsize::new(0);
            let log = Arc::clone(&seen);
            world.brokers.on_request(move |asked| {
                if asked.api_key != ApiKey::OFFSET_COMMIT.0 {
                    return Fate::Pass;
                }
                log.lock().unwrap().push(());
                match count.fetch_add(1, Ordering::Relaxed) % 4 {
                    1 => Fate::Fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
                    2 => Fate::LoseAnswer,
                    _ => Fate::Pass,
                }
            });
            let mut consumer =
                world.member(protocol).set("enable.auto.commit", "false").build().await.unwrap();
            let mut records = consumer.records();
            let mut commits = Vec::new();
            for _ in 0..200 {
                let record = records.next().await.unwrap().unwrap();
                commits.push((record.offset, records.consumer().commit()));
                if record.offset % 10 == 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            let mut last = -1;
            for (offset, commit) in commits {
                commit.await.unwrap();
                let committed = world.committed(GROUP).await[&at(0)];
                assert!(committed > offset && committed >= last, "{protocol}: {committed} after {last}");
                last = committed;
            }
            let requests = seen.lock().unwrap().len();
            assert!(requests < 100, "{requests} requests for 200 commits");
        });
    }
}

#[test]
fn what_is_done_is_committed_before_the_partition_is_given_to_another_one() {
    for protocol in PROTOCOLS {
        paused(17, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..10).await;
            world.write(1, 0..10).await;
            // Nothing is committed by itself for an hour but by rebalances.
            let member = || world.member(protocol).set("auto.commit.interval.ms", "3600000");
            let mut one = member().build().await.unwrap();
            read(&mut one, 20).await;
            let mut two = member().build().await.unwrap();
            settle(&mut [&mut one, &mut two], |assigned| shared(assigned, &[1, 1])).await;
            assert_eq!(read_for(&mut two, 10 * SECOND).await, [], "{protocol}: nothing comes twice");
        });
    }
}

#[test]
fn without_an_offset_and_without_a_reset_the_application_is_asked() {
    for protocol in PROTOCOLS {
        paused(18, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..3).await;
            let mut consumer = world.member(protocol).auto_offset_reset("none").build().await.unwrap();
            let error = consumer.poll().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoOffset, "{error}");
            assert!(error.to_string().contains("auto.offset.reset"), "{error}");
            consumer.seek(&at(0), Start::Beginning).unwrap();
            assert_eq!(read(&mut consumer, 3).await.len(), 3);
        });
    }
}
