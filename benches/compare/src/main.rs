//! One client, one job, one line of figures: `run` beside this calls them in turn and makes the table.
//!
//! ```text
//! compare sink                                     a broker that answers at once and keeps nothing; prints its address
//! compare produce CLIENT BOOTSTRAP RECORDS BYTES   hands over each record on its own and hears of each on its own
//! ```
//!
//! What counts is the client's own CPU time, user and system, for each record: a sink on the same machine takes of the
//! elapsed time what it likes. A tenth of the records go before, and are not counted.

mod client;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod sink;

use std::time::{Duration, Instant};

/// What a client is to do.
pub struct Job {
    pub bootstrap: String,
    pub records: u64,
    pub bytes: usize,
}

/// The topic, which has six partitions.
pub const TOPIC: &str = "compare";
/// Settings for a client beside the defaults, `key=value` with blanks between, from `COMPARE_SETTINGS`.
pub fn settings() -> Vec<(String, String)> {
    let text = std::env::var("COMPARE_SETTINGS").unwrap_or_default();
    let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    text.split_whitespace().filter_map(pair).collect()
}

/// Measures from its making on.
pub struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { began: Instant::now(), cpu: cpu() }
    }

    pub fn report(&self, client: &str, records: u64) {
        let (elapsed, cpu) = (self.began.elapsed(), cpu() - self.cpu);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
        println!(
            "{client} cpu_us={:.3} elapsed_us={:.3} records={records} rss_mib={}",
            each(cpu),
            each(elapsed),
            peak_mib()
        );
    }
}

/// User and system time of the whole process, also of threads that have ended.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
    Duration::from_micros(ticks.sum::<u64>() * 1_000_000 / rustix::param::clock_ticks_per_second())
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["sink"] => sink::run(),
        ["produce", client, bootstrap, records, bytes] => {
            let job = Job {
                bootstrap: bootstrap.to_owned(),
                records: records.parse().expect("a number of records"),
                bytes: bytes.parse().expect("a number of bytes"),
            };
            match client {
                "ottla" => client::produce(&job),
                #[cfg(feature = "rdkafka")]
                "librdkafka" => librdkafka::produce(&job),
                other => panic!("no client '{other}' in this build"),
            }
        }
        _ => {
            eprintln!("compare sink | compare produce CLIENT BOOTSTRAP RECORDS BYTES");
            std::process::exit(2);
        }
    }
}
