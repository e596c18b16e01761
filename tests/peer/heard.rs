//! [`Heard`]: what a client's process has said, taken apart as it comes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// A line of the log behind which warnings are about the peer.
pub const BUILT: &str = "the client is built";
/// Lines of each kind that are kept as they are; the rest are counted.
const KEPT: usize = 40;

#[derive(Debug, Default)]
pub struct Heard {
    /// Values that were queued, in this order.
    pub sent: Vec<String>,
    /// Value and offset.
    pub acked: Vec<(String, i64)>,
    /// Offset and value.
    pub got: Vec<(i64, String)>,
    /// When a poll failed.
    pub errors: Vec<Instant>,
    /// When a record did, which, and whether it surely does not lie in the log.
    pub failures: Vec<(Instant, String, bool)>,
    /// The first of these.
    pub told: Vec<String>,
    /// When the log had errors and warnings, and the first of them.
    pub warnings: Vec<Instant>,
    pub logged: Vec<String>,
    /// When the log of a developer had errors.
    pub remarks: Vec<Instant>,
    /// When connections were to be made, and where to.
    pub dials: Vec<(Instant, String)>,
    /// The consumer's position, and how many records it had got by then.
    pub positions: Vec<(i64, usize)>,
    pub panics: Vec<String>,
    /// Lines with a secret in them.
    pub leaks: Vec<String>,
    /// Peak of memory in kB and processor time in milliseconds, from the client itself.
    pub end: Option<(u64, u64)>,
    /// The last lines, for what nobody thought of.
    pub last: Vec<String>,
    pub built: bool,
}

/// Everything that must not be seen, in each form that it could be printed in.
pub fn needles(secrets: &[String]) -> Vec<String> {
    let mut needles = Vec::new();
    for secret in secrets {
        let numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        // Base64 of what it is embedded in looks one of three ways, but for the ends.
        for padding in 0..3 {
            let encoded = BASE64_STANDARD.encode([&b"xxx"[..padding], secret.as_bytes()].concat());
            let from = if padding == 0 { 0 } else { 4 };
            let to = encoded.trim_end_matches('=').len() - 2;
            needles.push(encoded[from..to].to_owned());
        }
        needles.extend([secret.clone(), numbers.join(", "), hex]);
    }
    needles
}

/// Reads what a child says on its standard output until the end.
pub async fn listen(from: impl AsyncRead + Unpin, heard: Arc<Mutex<Heard>>, needles: Arc<Vec<String>>) {
    lines(from, |line| heard.lock().unwrap().said(line, &needles)).await;
}

/// Reads its log until the end.
pub async fn overhear(from: impl AsyncRead + Unpin, heard: Arc<Mutex<Heard>>, needles: Arc<Vec<String>>) {
    lines(from, |line| heard.lock().unwrap().logged(line, &needles)).await;
}

async fn lines(from: impl AsyncRead + Unpin, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

impl Heard {
    pub fn said(&mut self, line: &str, needles: &[String]) {
        self.search(line, needles);
        let Some((stamp, line)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) else {
            return;
        };
        let at = said_at(stamp);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut parts = rest.splitn(2, ' ');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let number = |text: &str| text.parse::<i64>().unwrap_or(i64::MIN);
        match word {
            "sent" => self.sent.push(first.to_owned()),
            "acked" => self.acked.push((first.to_owned(), number(second))),
            "got" => self.got.push((number(first), second.to_owned())),
            "error" => {
                self.errors.push(at);
                keep(&mut self.told, rest);
            }
            "failed" => {
                let (how, error) = second.split_once(' ').unwrap_or((second, ""));
                self.failures.push((at, first.to_owned(), how == "surely"));
                keep(&mut self.told, error);
            }
            "at" => self.positions.push((number(first), self.got.len())),
            "dial" => self.dials.push((at, first.to_owned())),
            "end" => self.end = Some((first.parse().unwrap_or(0), second.parse().unwrap_or(0))),
            _ => {}
        }
    }

    pub fn logged(&mut self, line: &str, needles: &[String]) {
        self.search(line, needles);
        if line.contains("panicked at") {
            keep(&mut self.panics, line);
        }
        if self.last.len() == KEPT {
            self.last.remove(0);
        }
        self.last.push(line.chars().take(400).collect());
        self.built |= line.ends_with(BUILT);
        let level = line.split_whitespace().nth(1);
        if self.built && level == Some("DEBUG") && line.contains("error=") {
            self.remarks.push(Instant::now());
        }
        if self.built && matches!(level, Some("WARN" | "ERROR")) {
            self.warnings.push(Instant::now());
            keep(&mut self.logged, line);
        }
    }

    fn search(&mut self, line: &str, needles: &[String]) {
        if needles.iter().any(|needle| line.contains(needle.as_str())) {
            keep(&mut self.leaks, line);
        }
    }
}

/// When a line was said, by the clock that the client shares with its judge; now, should that have been set.
fn said_at(stamp: &str) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let said = Duration::from_millis(stamp.parse().unwrap_or(u64::MAX));
    now.checked_sub(said).and_then(|ago| Instant::now().checked_sub(ago)).unwrap_or_else(Instant::now)
}

fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() < KEPT {
        lines.push(line.to_owned());
    }
}

#[test]
fn a_secret_is_found_however_it_is_printed() {
    let needles = needles(&["Marker-Passw0rd-8471".to_owned()]);
    let embedded = BASE64_STANDARD.encode("\0peer-user\0Marker-Passw0rd-8471");
    for line in [
        "password=Marker-Passw0rd-8471",
        r#"b"\0peer-user\0Marker-Passw0rd-8471""#,
        &format!("{:?}", b"xMarker-Passw0rd-8471"),
        &embedded,
        &format!("@1700000000000 error {}", BASE64_STANDARD.encode("ab Marker-Passw0rd-8471 cd")),
    ] {
        let mut heard = Heard::default();
        heard.logged(line, &needles);
        heard.said(line, &needles);
        assert_eq!(heard.leaks.len(), 2, "{line}");
    }
    let mut heard = Heard::default();
    heard.logged("2026 INFO password=*** marker", &needles);
    assert!(heard.leaks.is_empty());
}
