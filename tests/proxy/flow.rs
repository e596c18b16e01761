//! How fast, and how much at once (BEHAVIOUR 23, 70 and 82).

use crate::memory::peak_bytes;
use crate::proxy::{Fate, Road};
use crate::real::{self, kafka::RealKafka};
use crate::{LIMIT, direct, over, topic};
use ottla::messages::ApiKey;
use ottla::{ErrorKind, Record, Start, TopicPartition};
use std::process::Command;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Names the environment file of the Kafka, for the process that measures its memory.
const ALONE: &str = "OTTLA_PROXY_ALONE";

/// With 100 kB a second `send` waits, and what the producer holds is its buffer, not what it was given. The memory of the
/// whole process is measured, so the test below runs this one alone in a process of its own.
#[test]
fn back_pressure_in_a_process_of_its_own() {
    let Ok(servers) = std::env::var(ALONE) else { return };
    let (servers, topic) = servers.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    const BUFFER: usize = 32 * MIB;
    // The proxy has buffers too, of this process here: they are there before the measurement begins.
    let (road, producer) = runtime.block_on(async {
        let road = Road::new();
        let builder = ottla::Client::builder().bootstrap(servers).dial(road.dial());
        let client = builder.set("send.buffer.bytes", "65536").build().unwrap();
        let producer = client.producer().set("buffer.memory", BUFFER.to_string()).build().unwrap();
        producer.send(Record::to(topic).value("first")).await.unwrap().await.unwrap();
        (road, producer)
    });
    road.weather(|weather| weather.bandwidth[0] = Some(100_000));
    let mut taken = 0;
    let mut refused = 0;
    let peak = peak_bytes(|| {
        runtime.block_on(async {
            let until = Instant::now() + Duration::from_secs(5);
            while Instant::now() < until {
                let send = producer.send(Record::to(topic).value(vec![b'x'; 10_000]));
                match tokio::time::timeout(Duration::from_millis(200), send).await {
                    Ok(delivery) => taken += usize::from(delivery.is_ok()),
                    Err(_) => refused += 1,
                }
            }
            let error = producer.try_send(Record::to(topic).value(vec![b'x'; 10_000])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
        });
    });
    let peak = peak.expect("Linux tells");
    println!("{taken} records of 10 kB taken, {refused} times it had to wait, {} kB of memory", peak >> 10);
    assert!(taken * 10_000 < BUFFER + 2 * MIB, "{taken} records were taken");
    assert!(taken * 10_000 > BUFFER / 2, "{taken} records were taken: the buffer was not used");
    assert!(refused > 10, "it had to wait {refused} times");
    assert!(peak < BUFFER + BUFFER / 5, "{} kB", peak >> 10);
}

#[tokio::test]
async fn back_pressure_reaches_the_application_and_memory_stays() {
    let kafka = real_kafka!();
    if peak_bytes(|| ()).is_none() {
        return real::skip("the peak of memory is only known on Linux");
    }
    let topic = topic(kafka, "pressure").await;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flow::back_pressure_in_a_process_of_its_own", "--nocapture"])
        .env(ALONE, format!("{} {topic}", kafka.plaintext()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A child that ran no test has succeeded too.
    assert!(said.contains("records of 10 kB taken"), "nothing was measured: {said}");
    println!("{said}");
}

/// Answers that come in drops are waited for as a whole: they are read to the end when that is in time, and given up when
/// it is not, with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_drip_is_progress_until_the_request_takes_too_long() {
    let kafka = real_kafka!();
    let topic = topic(kafka, "drip").await;
    let writing = direct(kafka).producer().build().unwrap();
    for n in 0..200u32 {
        let value = [&n.to_be_bytes()[..], &[b'x'; 996]].concat();
        drop(writing.send(Record::to(topic.as_str()).partition(0).value(value)).await.unwrap());
    }
    writing.flush().await.unwrap();

    let road = Road::new();
    // 200 kB a second in drops of 2 kB.
    road.weather(|weather| weather.drip = Some((2_000, Duration::from_millis(10))));
    let client = over(&road, kafka).build().unwrap();
    let start = (TopicPartition::new(topic.as_str(), 0), Start::Beginning);
    let slow = client.consumer().set("max.partition.fetch.bytes", "100000").assign([start.clone()]);
    let mut consumer = slow.build().await.unwrap();
    assert_eq!(records(&mut consumer, 200).await, 200);
    drop(consumer);

    // 10 kB a second: an answer of 100 kB takes 10 s, and a request 2 s at most.
    road.weather(|weather| weather.drip = Some((100, Duration::from_millis(10))));
    let before = road.connections().len();
    let slow = client.consumer().set("max.partition.fetch.bytes", "100000").assign([start]);
    let mut consumer = slow.build().await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(6), records(&mut consumer, 1)).await;
    assert!(early.is_err(), "nothing can come in time");
    let connections = road.connections().len() - before;
    assert!((1..=12).contains(&connections), "{connections} connections in 6 s");
    road.weather(|weather| weather.drip = None);
    let late = tokio::time::timeout(Duration::from_secs(15), records(&mut consumer, 200)).await;
    assert_eq!(late.expect("well again within 15 s"), 200);
}

async fn records(consumer: &mut ottla::Consumer, count: usize) -> usize {
    let mut seen = 0;
    while seen < count {
        let batch = tokio::time::timeout(LIMIT, consumer.poll()).await.expect("a batch in time");
        seen += batch.map_or(0, |batch| batch.map_or(0, |batch| batch.len()));
    }
    seen
}

/// One record at a time, `linger.ms=0`: beside the broker's own time and the road's, an acknowledgement takes less than 5 ms for
/// half of them, on a machine that runs other tests. Twenty a second here; [`one_record_a_second`] has the machine for itself,
/// and judges all but one in a hundred.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_alone_is_not_held_back() {
    let kafka: &RealKafka = real_kafka!();
    alone(kafka, 150, Duration::from_millis(50), 50).await;
}

/// The same at a record a second, for two minutes: whatever falls asleep meanwhile wakes up in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes: .ci/soak latency"]
async fn one_record_a_second() {
    let kafka: &RealKafka = real_kafka!();
    alone(kafka, 120, Duration::from_secs(1), 99).await;
}

/// Sends records one by one, each `pace` after the last, over 20 ms of road; so many in a hundred are to be in time.
async fn alone(kafka: &RealKafka, records: usize, pace: Duration, judged: usize) {
    const LATENCY: Duration = Duration::from_millis(10);
    let topic = topic(kafka, "alone").await;
    let road = Road::new();
    road.rule(|_| Fate::Pass);
    road.weather(|weather| weather.latency = LATENCY);
    let client = over(&road, kafka).build().unwrap();
    let producer = client.producer().set("linger.ms", "0").build().unwrap();
    // The first one pays for connecting.
    producer.send(Record::to(topic.as_str()).value("first")).await.unwrap().await.unwrap();
    let mut took = Vec::new();
    for n in 0..records {
        tokio::time::sleep(pace).await;
        let began = Instant::now();
        let record = Record::to(topic.as_str()).key("one").value(n.to_string());
        producer.send(record).await.unwrap().await.unwrap();
        took.push(began.elapsed());
    }
    let answered = road.answered(ApiKey::PRODUCE);
    assert_eq!(answered.len(), records + 1, "one request for each record");
    // The broker's time has one way of the road in it.
    let ours = took.iter().zip(&answered[1..]).map(|(took, broker)| took.saturating_sub(*broker + LATENCY));
    let mut ours: Vec<Duration> = ours.collect();
    ours.sort_unstable();
    took.sort_unstable();
    let percent = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{records} records: p50 {:?}, p99 {:?} in all; beside broker and road p50 {:?}, p99 {:?}, longest {:?}",
        percent(&took, 50),
        percent(&took, 99),
        percent(&ours, 50),
        percent(&ours, 99),
        ours[ours.len() - 1]
    );
    assert!(percent(&took, 50) >= 2 * LATENCY, "the road is that long");
    let slowest = percent(&ours, judged);
    assert!(slowest < Duration::from_millis(5), "{slowest:?} for {judged} of 100");
}
