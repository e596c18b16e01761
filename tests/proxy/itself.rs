//! The proxy's own tests, before an echo.

use crate::proxy::{Fate, Road, Weather};
use ottla::messages::ApiKey;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener that says again what it hears; what it has heard in all ends with it.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn connect(road: &Road) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", road.to(&echo().await).await)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Says so many bytes and hears them again; how long that took.
async fn there_and_back(stream: &mut TcpStream, bytes: usize) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let said: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
    let mut heard = vec![0; bytes];
    let (mut read, mut write) = stream.split();
    let (written, read) = tokio::join!(write.write_all(&said), read.read_exact(&mut heard));
    written.unwrap();
    read.unwrap();
    (heard, began.elapsed())
}

fn between(took: Duration, least_ms: u64, most_ms: u64) {
    let (least, most) = (Duration::from_millis(least_ms), Duration::from_millis(most_ms));
    assert!((least..most).contains(&took), "{took:?} is not within {least:?} and {most:?}");
}

#[tokio::test]
async fn in_fine_weather_everything_arrives_as_it_was() {
    let road = Road::new();
    let mut stream = connect(&road).await;
    let (heard, _) = there_and_back(&mut stream, 300_000).await;
    assert!(heard.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "an end is passed on");
}

#[tokio::test]
async fn latency_counts_both_ways_and_is_no_bandwidth() {
    let road = Road::new();
    let mut stream = connect(&road).await;
    road.weather(|weather| weather.latency = Duration::from_millis(100));
    between(there_and_back(&mut stream, 10).await.1, 200, 1_500);
    // Each of its chunks by itself would take two seconds.
    between(there_and_back(&mut stream, 300_000).await.1, 200, 1_500);
}

#[tokio::test]
async fn bandwidth_and_drips_take_their_time() {
    let road = Road::new();
    let mut stream = connect(&road).await;
    road.weather(|weather| weather.bandwidth[0] = Some(100_000));
    between(there_and_back(&mut stream, 50_000).await.1, 450, 3_000);
    road.weather(|weather| {
        *weather = Weather { drip: Some((10, Duration::from_millis(20))), ..Weather::default() }
    });
    between(there_and_back(&mut stream, 200).await.1, 360, 3_000);
}

#[tokio::test]
async fn a_blackhole_keeps_what_it_took() {
    let road = Road::new();
    let mut stream = connect(&road).await;
    road.weather(|weather| weather.blackhole = true);
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    let nothing = tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut heard)).await;
    assert!(nothing.is_err());
    road.weather(|weather| weather.blackhole = false);
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn a_cut_comes_after_so_many_bytes_and_a_reset_is_one() {
    let road = Road::new();
    road.weather(|weather| weather.cut_after = Some(1_000));
    let mut stream = connect(&road).await;
    stream.write_all(&[7; 5_000]).await.unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert_eq!(heard.len(), 1_000);

    road.weather(|weather| weather.cut_after = None);
    let mut stream = connect(&road).await;
    there_and_back(&mut stream, 10).await;
    road.reset();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bits_are_flipped_where_they_should_be() {
    let road = Road::new();
    road.weather(|weather| weather.flip_every = Some(100));
    let mut stream = connect(&road).await;
    let (heard, _) = there_and_back(&mut stream, 1_000).await;
    let wrong: Vec<usize> = (0..1_000).filter(|n| heard[*n] != (n % 251) as u8).collect();
    assert_eq!(wrong, (1..10).map(|n| n * 100).collect::<Vec<_>>());
}

/// A request of this API with this number in it.
fn request(key: ApiKey, n: i32) -> Vec<u8> {
    let body = [&key.0.to_be_bytes()[..], &9i16.to_be_bytes(), &n.to_be_bytes()].concat();
    [&8i32.to_be_bytes()[..], &body].concat()
}

#[tokio::test]
async fn requests_and_answers_are_lost_by_rule() {
    let road = Road::new();
    road.rule(|passing| match (passing.key, passing.nth) {
        (ApiKey::FETCH, _) => Fate::Pass,
        (_, 1) => Fate::LoseRequest,
        (_, 3) => Fate::LoseAnswer,
        (_, 5) => Fate::FlipFromEnd(0),
        (_, 7) => Fate::CutAnswer,
        _ => Fate::Pass,
    });
    let mut stream = connect(&road).await;
    for n in 0..9 {
        // The echo is its own answer.
        stream.write_all(&request(ApiKey::PRODUCE, n)).await.unwrap();
        stream.write_all(&request(ApiKey::FETCH, 100 + n)).await.unwrap();
    }
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    let numbers: Vec<i32> =
        heard.chunks_exact(12).map(|frame| i32::from_be_bytes(frame[8..].try_into().unwrap())).collect();
    assert_eq!(numbers, [0, 100, 101, 2, 102, 103, 4, 104, 5 ^ 0x10, 105, 6, 106]);
    let met = [Fate::LoseRequest, Fate::LoseAnswer, Fate::FlipFromEnd(0), Fate::CutAnswer]
        .map(|fate| road.met(fate));
    assert_eq!(met, [1; 4]);

    // Each connection is cut by itself, and before the broker hears of it.
    road.rule(|_| Fate::CutRequest);
    let mut stream = connect(&road).await;
    stream.write_all(&request(ApiKey::PRODUCE, 1)).await.unwrap();
    assert!(!matches!(stream.read(&mut [0; 8]).await, Ok(1..)));
}

/// What is not answered does not take the place of what is.
#[tokio::test]
async fn a_produce_request_without_acks_awaits_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Says again what it hears, but for Produce requests.
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Ok(length) = stream.read_u32().await {
            let mut frame = vec![0; length as usize];
            stream.read_exact(&mut frame).await.unwrap();
            if frame[..2] != ApiKey::PRODUCE.0.to_be_bytes() {
                stream.write_all(&[&length.to_be_bytes()[..], &frame].concat()).await.unwrap();
            }
        }
    });
    let road = Road::new();
    road.rule(|passing| match (passing.key, passing.nth) {
        (ApiKey::FETCH, 0) => Fate::LoseAnswer,
        _ => Fate::Pass,
    });
    let mut stream = TcpStream::connect(("127.0.0.1", road.to(&address).await)).await.unwrap();
    // Produce 3, correlation id 1, no client id, no transactional id, acks 0, a second, no topic.
    let body = [0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0];
    let produce = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
    for bytes in [produce, request(ApiKey::FETCH, 1), request(ApiKey::FETCH, 2)] {
        stream.write_all(&bytes).await.unwrap();
    }
    let mut heard = [0; 12];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard.to_vec(), request(ApiKey::FETCH, 2), "the first was lost");
    assert_eq!((road.in_flight(ApiKey::PRODUCE), road.in_flight(ApiKey::FETCH)), (0, 0));
}

#[tokio::test]
#[should_panic(expected = "would not obey")]
async fn a_rule_that_comes_too_late_is_no_rule() {
    let road = Road::new();
    let mut stream = connect(&road).await;
    there_and_back(&mut stream, 10).await;
    road.rule(|_| Fate::LoseRequest);
}
