//! A task for each partition, in a group.

use crate::world::{GROUP, PROTOCOLS, SECOND, World, at, paused, read, settle};
use ottla::ErrorKind;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[test]
fn each_partition_has_a_stream_that_ends_when_it_is_given_away_after_its_record_is_done() {
    for protocol in PROTOCOLS {
        paused(31, async {
            let world = World::new(1, 4).await;
            for partition in 0..4 {
                world.write(partition, 0..100).await;
            }
            let mut one = world.member(protocol).build().await.unwrap();
            let done: Arc<Mutex<BTreeMap<i32, i64>>> = Arc::default();
            let tasks = Arc::clone(&done);
            let reader = tokio::spawn(async move {
                let mut partitions = one.partition_streams();
                let mut readers = tokio::task::JoinSet::new();
                while let Some(stream) = partitions.next().await {
                    let (mut records, done) = (stream.unwrap(), Arc::clone(&tasks));
                    readers.spawn(async move {
                        while let Some(record) = records.next().await {
                            let record = record.unwrap();
                            tokio::time::sleep(SECOND).await;
                            done.lock().unwrap().insert(record.partition.partition, record.offset + 1);
                        }
                    });
                }
                while readers.join_next().await.is_some() {}
            });
            tokio::time::sleep(20 * SECOND).await;
            let mut two = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut two], |assigned| assigned[0].len() == 2).await;
            let done = done.lock().unwrap().clone();
            for partition in two.assigned() {
                let begins = two.committed([&partition]).await.unwrap()[&partition].offset;
                let done = done[&partition.partition];
                assert_eq!(begins, done, "{protocol}: {partition} was awaited");
            }
            reader.abort();
        });
    }
}

#[test]
fn a_stream_that_is_dropped_in_the_middle_of_a_record_has_not_done_it() {
    for protocol in PROTOCOLS {
        paused(32, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            let mut partitions = consumer.partition_streams();
            let mut stream = partitions.next().await.unwrap().unwrap();
            for offset in 0..5 {
                assert_eq!(stream.next().await.unwrap().unwrap().offset, offset);
            }
            drop(stream);
            consumer.close(5 * SECOND).await.unwrap();
            assert_eq!(world.committed(GROUP).await[&at(0)], 4, "{protocol}");
        });
    }
}

#[test]
fn a_stream_that_hangs_is_told_of_and_its_partition_given_to_others() {
    for protocol in PROTOCOLS {
        paused(33, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..10).await;
            let mut hangs =
                world.member(protocol).set("max.poll.interval.ms", "30000").build().await.unwrap();
            let mut partitions = hangs.partition_streams();
            let mut stream = partitions.next().await.unwrap().unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap().offset, 0);
            let error = partitions.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MaxPollExceeded, "{protocol}: {error}");
            let mut other = world.member(protocol).build().await.unwrap();
            assert_eq!(read(&mut other, 10).await.len(), 10, "{protocol}: nothing was done");
            assert!(stream.next().await.is_none(), "{protocol}: it has ended");
        });
    }
}
