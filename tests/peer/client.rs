//! The client under test, in its own process: sends, polls, and tells on its standard output what came of it. Whatever
//! else it has to say goes to standard error, at TRACE.
//!
//! ```text
//! @sent VALUE                a record was queued           @got OFFSET VALUE      a record was handed out
//! @acked VALUE OFFSET        its delivery said so          @error ERROR           a poll failed
//! @failed VALUE HOW ERROR    it was not delivered          @at POSITION           the consumer's position
//! @closed ERROR              closing the producer failed   @dial TO               a connection is to be made
//! @end RSS_KB CPU_MS         everything is closed
//! ```
//! HOW is `perhaps` or `surely`: whether the record may lie in the log. Behind each `@` stands the time, in milliseconds since
//! 1970: who listens may be late.

use crate::planted;
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, SocketOptions, TcpDial};
use ottla::{Client, ClientBuilder, Error, Record, Result, Start, TopicPartition};
use std::fmt::Display;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Says that this process is a client, and which: `ottla`, or one of the planted ones.
pub const ASK: &str = "OTTLA_PEER_CLIENT";
/// Its settings.
pub const SETTINGS: &str = "OTTLA_PEER_SETTINGS";
/// Between settings, and between key and value: nothing that PEM or a password has.
pub const SEPARATORS: [char; 2] = ['\u{1e}', '\u{1f}'];

/// The topic that is written to.
pub const SENT: &str = "sent";
/// The topic that is read.
pub const READ: &str = "read";

/// Between two rounds of sending.
const ROUND: Duration = Duration::from_millis(400);
/// Records of a round; they make one batch.
const RECORDS: u64 = 4;
/// How long deliveries may take to come to an end when their producer is closed.
const LAST: Duration = Duration::from_secs(1);

pub fn run_if_asked() {
    let Ok(which) = std::env::var(ASK) else { return };
    // What the test harness printed has no end of line yet.
    println!();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings = settings();
    runtime.block_on(async {
        match which.as_str() {
            "ottla" => run(builder(&settings), Counting(TcpDial::new(SocketOptions::default()))).await,
            planted => planted::run(planted, &settings).await,
        }
    });
    let (rss_kb, cpu_ms) = spent("self");
    say("end", format_args!("{rss_kb} {cpu_ms}"));
}

fn settings() -> Vec<(String, String)> {
    let [between, inside] = SEPARATORS;
    let text = std::env::var(SETTINGS).unwrap_or_default();
    let pairs = text.split(between).filter_map(|pair| pair.split_once(inside));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub fn builder(settings: &[(String, String)]) -> ClientBuilder {
    settings.iter().fold(Client::builder(), |builder, (key, value)| builder.set(key, value))
}

pub async fn run(builder: ClientBuilder, dial: impl Dial + 'static) {
    // Whatever is printed is searched for secrets.
    say("built", format_args!("{builder:?}"));
    let client = builder.dial(Arc::new(dial)).build().unwrap();
    say("built", format_args!("{client:?}"));
    let producer = client.producer().build().unwrap();
    let partition = TopicPartition::new(READ, 0);
    let assigned = client.consumer().assign([(partition.clone(), Start::Beginning)]);
    let mut consumer = assigned.build().await.unwrap();
    say("built", format_args!("{producer:?} {consumer:?}"));
    tracing::info!("{}", crate::heard::BUILT);

    let deliveries = Arc::new(Mutex::new(JoinSet::new()));
    let sending = tokio::spawn({
        let (producer, deliveries) = (producer.clone(), Arc::clone(&deliveries));
        async move { send_for_ever(&producer, &deliveries).await }
    });
    let polling = async {
        loop {
            match consumer.poll().await {
                Ok(Some(batch)) => {
                    for record in &batch {
                        let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
                        say("got", format_args!("{} {value}", record.offset()));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tell("error", &error);
                    if let Ok(Some(position)) = consumer.position(&partition) {
                        say("at", position);
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = asked_to_end() => {}
        () = polling => {}
    }
    sending.abort();
    drop(consumer);
    if let Err(error) = producer.close(Duration::from_secs(1)).await {
        say("closed", error);
    }
    client.close();
    // It ends at its next await: what it has queued is in the set then.
    drop(sending.await);
    let mut deliveries = std::mem::take(&mut *deliveries.lock().unwrap());
    let last = async { while deliveries.join_next().await.is_some() {} };
    drop(tokio::time::timeout(LAST, last).await);
}

async fn send_for_ever(producer: &ottla::Producer, deliveries: &Mutex<JoinSet<()>>) {
    let mut next = 0..;
    loop {
        let round = (&mut next).take(RECORDS as usize).map(|n: u64| async move {
            let value = format!("r{n}");
            let record = Record::to(SENT).partition(0).value(value.clone());
            match producer.send(record).await {
                Err(error) => failed(&value, &error),
                Ok(delivery) => {
                    say("sent", &value);
                    let told = async move {
                        match delivery.await {
                            Ok(at) => say("acked", format_args!("{value} {}", at.offset)),
                            Err(error) => failed(&value, &error),
                        }
                    };
                    deliveries.lock().unwrap().spawn(told);
                }
            }
        });
        ottla::task::join_all(round.collect::<Vec<_>>()).await;
        while deliveries.lock().unwrap().try_join_next().is_some() {}
        tokio::time::sleep(ROUND).await;
    }
}

/// Ends when standard input does.
pub async fn asked_to_end() {
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

fn failed(value: &str, error: &Error) {
    let how = if error.is_possibly_written() { "perhaps" } else { "surely" };
    say("failed", format_args!("{value} {how} {error}"));
    tracing::trace!(?error, "told to the application");
}

fn tell(word: &str, error: &Error) {
    say(word, error);
    // Searched for secrets, as everything is.
    tracing::trace!(?error, "told to the application");
}

pub fn say(word: &str, what: impl Display) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let line = format!("@{} {word} {what}", since_1970.as_millis()).replace('\n', " ");
    let mut out = std::io::stdout().lock();
    // Who asked may have hung up.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// The peak of memory in kB and the processor time in milliseconds that a process has taken; zeros when it is gone.
pub fn spent(process: &str) -> (u64, u64) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let status = read("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let rss = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    // Fields 14 and 15 of proc(5), counted behind the name; a tick is a hundredth of a second.
    let stat = read("stat");
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    (rss, ticks * 10)
}

/// Sockets as the client makes them, and counts them: a refused one is seen by nobody else.
#[derive(Debug)]
pub struct Counting(pub TcpDial);

impl Dial for Counting {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        say("dial", endpoint);
        self.0.dial(endpoint, deadline)
    }
}
