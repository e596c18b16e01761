//! A task for each partition, in a group.

use crate::world::{GROUP, PROTOCOLS, SECOND, World, at, paused, read, settle};
use ottla::consumer::{Parallel, ProcessError};
use ottla::{ErrorKind, Record};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Handlers end in another order than they begin: what is committed goes up to the first that has not.
#[test]
fn records_side_by_side_keep_the_order_of_their_keys_and_commit_no_gap() {
    for protocol in PROTOCOLS {
        paused(34, async {
            let world = World::new(1, 2).await;
            for n in 0..200u32 {
                let record = Record::to("orders").partition(i32::try_from(n % 2).unwrap());
                let record = record.key(format!("k{}", n % 7)).value(n.to_string());
                world.producer.send(record).await.unwrap().await.unwrap();
            }
            let done: Arc<Mutex<Vec<(i32, i64, String)>>> = Arc::default();
            let most = Arc::new(AtomicUsize::new(0));
            let (log, now, peak) = (Arc::clone(&done), Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
            let mut consumer =
                world.member(protocol).set("auto.commit.interval.ms", "200").build().await.unwrap();
            let processing = consumer.process(Parallel::by_key(8), move |record| {
                let (log, now, peak) = (Arc::clone(&log), Arc::clone(&now), Arc::clone(&peak));
                async move {
                    peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let slow = record.offset % 10 == 3;
                    tokio::time::sleep(if slow { SECOND } else { SECOND / 50 }).await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                    log.lock().unwrap().push((record.partition.partition, record.offset, key));
                    Ok::<(), std::io::Error>(())
                }
            });
            let checking = async {
                loop {
                    tokio::time::sleep(SECOND / 10).await;
                    let committed = world.committed(GROUP).await;
                    let done = done.lock().unwrap().clone();
                    for (partition, offset) in &committed {
                        let of = done.iter().filter(|(of, at, _)| *of == partition.partition && at < offset);
                        assert_eq!(i64::try_from(of.count()).unwrap(), *offset, "{protocol}: a gap");
                    }
                    if committed.values().sum::<i64>() == 200 {
                        return;
                    }
                }
            };
            tokio::select! {
                ended = processing => panic!("{ended:?}"),
                () = checking => {}
            }
            let mut last: BTreeMap<(i32, String), i64> = BTreeMap::new();
            for (partition, offset, key) in done.lock().unwrap().iter() {
                let before = last.insert((*partition, key.clone()), *offset);
                assert!(before < Some(*offset), "{protocol}: {key} out of order");
            }
            assert_eq!(most.load(Ordering::Relaxed), 8, "{protocol}: so many at once");
        });
    }
}

#[test]
fn a_record_that_is_refused_is_not_done_and_comes_again() {
    for protocol in PROTOCOLS {
        paused(35, async {
            let world = World::new(1, 1).await;
            world.write(0, 0..20).await;
            let mut consumer = world.member(protocol).build().await.unwrap();
            let first = consumer.process(Parallel::by_partition(4), |record| async move {
                if record.offset == 5 { Err(std::io::Error::other("no")) } else { Ok(()) }
            });
            let error = first.await.unwrap_err();
            assert!(matches!(&error, ProcessError::Handler { offset: 5, .. }), "{error}");
            consumer.commit().await.unwrap();
            assert_eq!(world.committed(GROUP).await[&at(0)], 5, "{protocol}");
            let second = consumer.process(Parallel::by_key(4), |record| async move {
                assert!(record.offset != 8, "the handler does that");
                Ok::<(), std::io::Error>(())
            });
            let error = second.await.unwrap_err();
            assert!(matches!(&error, ProcessError::Panicked { offset: 8, .. }), "{error}");
            let batch = consumer.poll().await.unwrap().unwrap();
            assert_eq!(batch.iter().next().unwrap().offset(), 8, "{protocol}: it comes again");
        });
    }
}

#[test]
fn what_was_begun_side_by_side_is_awaited_before_the_partition_is_given_away() {
    for protocol in PROTOCOLS {
        paused(36, async {
            let world = World::new(1, 2).await;
            world.write(0, 0..60).await;
            world.write(1, 0..60).await;
            let done: Arc<Mutex<Vec<(i32, i64)>>> = Arc::default();
            let log = Arc::clone(&done);
            let mut one = world.member(protocol).build().await.unwrap();
            let working = tokio::spawn(async move {
                one.process(Parallel::by_key(4), move |record| {
                    let log = Arc::clone(&log);
                    async move {
                        tokio::time::sleep(SECOND).await;
                        log.lock().unwrap().push((record.partition.partition, record.offset));
                        Ok::<(), std::io::Error>(())
                    }
                })
                .await
            });
            tokio::time::sleep(10 * SECOND).await;
            let mut two = world.member(protocol).build().await.unwrap();
            let first = two.records().next().await.unwrap().unwrap();
            let given = first.partition.partition;
            let done = done.lock().unwrap().clone();
            let before: Vec<i64> = done.iter().filter(|(of, _)| *of == given).map(|(_, at)| *at).collect();
            assert_eq!(i64::try_from(before.len()).unwrap(), first.offset, "{protocol}: {before:?}");
            working.abort();
        });
    }
}

/// Whoever waits for a first partition does nothing wrong, however long it takes.
#[test]
fn who_waited_long_for_a_partition_is_not_away_when_it_comes() {
    for protocol in PROTOCOLS {
        paused(34, async {
            let world = World::new(1, 1).await;
            let mut has = world.member(protocol).build().await.unwrap();
            settle(&mut [&mut has], |assigned| assigned[0].len() == 1).await;
            let mut waits =
                world.member(protocol).set("max.poll.interval.ms", "30000").build().await.unwrap();
            let mut partitions = waits.partition_streams();
            let goes = tokio::spawn(async move {
                tokio::time::timeout(60 * SECOND, has.poll()).await.unwrap_err();
                has.close(5 * SECOND).await.unwrap();
            });
            let came = partitions.next().await.unwrap().unwrap();
            assert_eq!(came.topic_partition(), &at(0), "{protocol}");
            goes.await.unwrap();
        });
    }
}
