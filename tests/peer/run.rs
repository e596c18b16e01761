//! Plays cases: a peer, a client's process, the phases, and the report.

use crate::case::{Case, LYING, Lie, Mode, Onset, Security};
use crate::client::{ASK, SEPARATORS, SETTINGS, spent};
use crate::forge;
use crate::heard::{self, Heard};
use crate::report::{MAX_RECOVERY, Report};
use crate::serve::{PASSWORD, Peer, USER};
use crate::tls::{Doors, doors};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// How long records may take to flow before the first lie.
const WARM_UP: Duration = Duration::from_secs(20);
/// How long a lie that is told twice may take until it was.
const TWICE: Duration = Duration::from_secs(12);
/// From a client's return to the lie: so long it may go on about the end of its connections.
const SETTLED: Duration = Duration::from_millis(300);
/// How long the client may take to close everything.
const CLOSING: Duration = Duration::from_secs(8);

/// Plays all of these, as many at once as `PEER_JOBS` says; most of the time they wait.
pub fn all(plays: Vec<(Case, Mode)>) -> Vec<Report> {
    let jobs = std::env::var("PEER_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(32);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let turns = Arc::new(Semaphore::new(jobs));
        let doors = doors();
        // A gibibyte is not compressed where everybody waits for it.
        let names: Vec<String> = plays.iter().map(|(case, _)| case.full_name()).collect();
        tokio::task::spawn_blocking(move || forge::make_bombs(&names)).await.unwrap();
        let started = plays.into_iter().map(|(case, mode)| {
            let (turns, doors) = (Arc::clone(&turns), doors.clone());
            tokio::spawn(async move {
                let _turn = turns.acquire().await;
                play(case, mode, "ottla", doors).await
            })
        });
        let mut reports = Vec::new();
        for started in started.collect::<Vec<_>>() {
            reports.push(started.await.expect("a case can be played"));
        }
        reports
    })
}

/// Plays one case with a client of this kind.
pub async fn play(case: Case, mode: Mode, which: &str, doors: Option<Doors>) -> Report {
    let mut report = Report {
        case: case.full_name(),
        mode: mode.to_string(),
        lasts: mode == Mode::ForEver,
        // What two connections were denied is perhaps nothing that these two had to do.
        harmless: case.harmless || case.restarts && mode == Mode::Twice,
        rereads: case.rereads,
        acknowledges: case.acknowledges,
        ..Report::default()
    };
    let doors = Doors::of(&case, &doors);
    let (onset, security, anew) = (case.onset, case.security, case.begins_anew());
    let counts = !matches!(case.lie, Lie::Refuse | Lie::Hang);
    let settings = settings(security, doors.as_ref());
    let mut secrets = vec![PASSWORD.to_owned()];
    secrets.extend(doors.iter().flat_map(Doors::secrets));
    let peer = Peer::start(case, doors).await;
    if onset == Onset::AtOnce {
        report.onset = Some(Instant::now());
        peer.lie(mode);
    }
    let mut client = Process::start(which, peer.port, settings, &secrets);
    if onset != Onset::AtOnce {
        let flows = || client.with(|heard| heard.acked.len() >= 2 && heard.got.len() >= 2);
        if wait(WARM_UP, flows).await.is_none() {
            report.unplayed =
                Some(format!("records do not flow: {}", client.with(|heard| heard.last.join("\n"))));
            client.kill().await;
            return report;
        }
        if anew {
            peer.disconnect();
            // It comes back at once, and has said by then what there was to say.
            wait(WARM_UP, || peer.state.seen.lock().unwrap().waiting).await;
            tokio::time::sleep(SETTLED).await;
        }
        report.onset = Some(Instant::now());
        peer.lie(mode);
    }
    let (began, busy_before) = (Instant::now(), client.cpu());
    match mode {
        Mode::ForEver => tokio::time::sleep(LYING).await,
        Mode::Twice => {
            let told =
                || if counts { peer.state.seen.lock().unwrap().lies >= 2 } else { !peer.state.is_lying() };
            wait(TWICE, told).await;
        }
    }
    (report.busy, report.lasted) = (client.cpu().saturating_sub(busy_before), began.elapsed());
    peer.be_well();
    let well = Instant::now();
    let end = peer.state.broker.lock().unwrap().log_end();
    let acked = client.with(|heard| heard.acked.len());
    let recovered = || {
        client.with(|heard| heard.acked.len() > acked && heard.got.iter().any(|(offset, _)| *offset >= end))
    };
    report.recovered = wait(MAX_RECOVERY, recovered).await.map(|()| well.elapsed());
    // A storm may come after the rain.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = client.end().await;
    report.ended = status.is_some_and(|status| status.success());
    let seen = std::mem::take(&mut *peer.state.seen.lock().unwrap());
    (report.lies, report.connects, report.requests) = (seen.lies, seen.connects, seen.requests);
    (report.behind, report.restarted, report.acknowledged) = (seen.behind, seen.restarted, seen.acknowledged);
    report.written = std::mem::take(&mut peer.state.broker.lock().unwrap().written);
    report.rss_kb = client.rss_kb();
    report.heard = client.take();
    report
}

/// How the client is set, so that what takes half a minute takes seconds.
fn settings(security: Security, doors: Option<&Doors>) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        ("request.timeout.ms", "3000"),
        ("delivery.timeout.ms", "6000"),
        ("max.block.ms", "3000"),
        ("linger.ms", "20"),
        ("metadata.max.age.ms", "1000"),
        ("socket.connection.setup.timeout.ms", "2000"),
        ("auto.offset.reset", "earliest"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let mechanism = match security {
        Security::Tls => {
            settings.extend(doors.map(Doors::settings).unwrap_or_default());
            return settings;
        }
        Security::Plain => "PLAIN",
        Security::Scram => "SCRAM-SHA-256",
    };
    let login = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ];
    settings.extend(login.map(|(key, value)| (key.to_owned(), value.to_owned())));
    settings
}

/// Waits until it is so, for `limit` at most.
async fn wait(limit: Duration, is_so: impl Fn() -> bool) -> Option<()> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if is_so() {
            return Some(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// A client's process; killed when dropped.
struct Process {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    listening: [tokio::task::JoinHandle<()>; 2],
    /// The most memory that was seen, should it not live to tell.
    peak: Arc<Mutex<u64>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Process {
    fn start(which: &str, port: u16, mut settings: Vec<(String, String)>, secrets: &[String]) -> Process {
        settings.push(("bootstrap.servers".to_owned(), format!("localhost:{port}")));
        let [between, inside] = SEPARATORS.map(String::from);
        let settings: Vec<String> =
            settings.into_iter().map(|(key, value)| format!("{key}{inside}{value}")).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "client_process", "--nocapture", "--test-threads=1"])
            .env(ASK, which)
            .env(SETTINGS, settings.join(&between))
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let needles = Arc::new(heard::needles(secrets));
        let (out, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let listening = [
            tokio::spawn(heard::listen(out, Arc::clone(&heard), Arc::clone(&needles))),
            tokio::spawn(heard::overhear(log, Arc::clone(&heard), needles)),
        ];
        let peak = Arc::new(Mutex::new(0));
        let (id, most) = (child.id().unwrap().to_string(), Arc::clone(&peak));
        let watching = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let mut most = most.lock().unwrap();
                *most = spent(&id).0.max(*most);
            }
        });
        Process { child, heard, listening, peak, watching }
    }

    fn with<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap())
    }

    fn cpu(&self) -> Duration {
        Duration::from_millis(self.child.id().map_or(0, |id| spent(&id.to_string()).1))
    }

    fn rss_kb(&self) -> u64 {
        let told = self.with(|heard| heard.end.map_or(0, |(rss_kb, _)| rss_kb));
        told.max(*self.peak.lock().unwrap())
    }

    /// Asks it to end, and waits until it has; `None` when it does not.
    async fn end(&mut self) -> Option<ExitStatus> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(CLOSING, self.child.wait()).await;
        if ended.is_err() {
            self.kill().await;
        }
        for listening in &mut self.listening {
            let _ = listening.await;
        }
        ended.ok().and_then(Result::ok)
    }

    async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    fn take(&self) -> Heard {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
