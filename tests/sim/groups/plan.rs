//! [`Plan`]: what a seed stands for.

use ottla::broker::{ApiKey, ErrorCode, Fate};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const STANDSTILLS: [Duration; 5] = [
    SECOND,
    Duration::from_secs(4),
    Duration::from_secs(9),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// Steps begin, and records are sent, within this time; then everything is put right.
pub const HEALED: Duration = Duration::from_secs(40);
/// How long a classic group keeps a member that is not heard of.
const CLASSIC_SESSION: Duration = Duration::from_secs(6);
/// The same of the new protocol, of which members are not told: it is what they take it for.
const CONSUMER_SESSION: Duration = Duration::from_secs(45);
/// How long a rebalance waits for members, and members for their applications.
pub const MAX_POLL: Duration = Duration::from_secs(20);

/// The longest time that a member is given to close.
pub const LONGEST_CLOSE: Duration = Duration::from_secs(5);

pub const SLOTS: usize = 5;
pub const BROKERS: i32 = 3;

/// What happens in a run: how everything is set, and what goes wrong when.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub knobs: Knobs,
    /// In the order of their times.
    pub steps: Vec<Step>,
}

/// How everything is set.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// `consumer` for the new protocol, otherwise the classic one's assignor.
    pub assignor: &'static str,
    /// Members have instance ids.
    pub is_static: bool,
    pub partitions: i32,
    pub records: u32,
    /// So many are sent at once.
    pub burst: u32,
    /// From a client to a broker and back.
    pub round_trip: Duration,
    pub jitter: Duration,
    pub auto_commit_ms: u32,
    pub fetch_wait_ms: u32,
    pub fetch_bytes: u32,
    pub metadata_age_ms: u32,
    /// What listeners take.
    pub listener: Duration,
    /// Who is there from the beginning.
    pub members: usize,
    pub slots: [Habits; SLOTS],
}

/// What the application of a member does.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    pub reading: Reading,
    pub committing: Committing,
    /// What a record takes, in streams; a batch, else.
    pub work: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Poll,
    Records,
    Streams,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committing {
    /// `enable.auto.commit`.
    Auto,
    /// Commits when a record or batch is done, and waits for that.
    Sync,
    /// The same, without waiting.
    Async,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// A member joins, if its place is free.
    Join { slot: usize },
    /// It is closed within a time.
    Close { slot: usize, limit: Duration },
    /// Its consumer is dropped.
    Drop { slot: usize },
    /// It is gone at once (SIGKILL); its connections are closed, or are not.
    Kill { slot: usize, is_heard: bool },
    /// It stands still (SIGSTOP).
    Stop { slot: usize, time: Duration },
    /// Requests of an API have this fate.
    Fault { api: ApiKey, fate: Fate, broker: Option<i32>, every: u64, times: u64 },
    /// What is under way to and from a broker does not arrive, for so long.
    Hold { broker: i32, time: Duration },
    /// A broker's connections are reset.
    Reset { broker: i32 },
    /// A broker goes and comes back; the others notice at once, or do not.
    Down { broker: i32, time: Duration, noticed: bool },
}

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let rng = &mut fastrand::Rng::with_seed(seed ^ 0x6770);
        let knobs = Knobs::draw(rng);
        let mut steps: Vec<Step> = (0..rng.usize(0..16))
            .map(|_| Step { at: (HEALED - 2 * SECOND).mul_f64(rng.f64()), what: What::draw(rng) })
            .collect();
        steps.sort_by_key(|step| step.at);
        Plan { seed, knobs, steps }
    }

    /// The smallest plan without some of these steps that was found to fail still.
    pub fn shrink(mut self, fails: impl Fn(&Plan) -> bool) -> Plan {
        let mut count = usize::MAX;
        while self.steps.len() < count {
            count = self.steps.len();
            for index in (0..self.steps.len()).rev() {
                let mut smaller = self.clone();
                smaller.steps.remove(index);
                if fails(&smaller) {
                    self = smaller;
                }
            }
        }
        self
    }
}

impl Knobs {
    /// How long the group keeps a member that is not heard of.
    pub fn session(&self) -> Duration {
        if self.assignor == "consumer" { CONSUMER_SESSION } else { CLASSIC_SESSION }
    }

    /// What a record takes the slowest member that fetches, works and commits one by one.
    pub fn slowest_record(&self) -> Duration {
        let work = self.slots.iter().map(|habits| habits.work).max().unwrap_or_default();
        work + 3 * (self.round_trip + self.jitter)
    }

    fn draw(rng: &mut fastrand::Rng) -> Knobs {
        let round_trip = rng.choice([Duration::from_micros(100), 2 * MS, 20 * MS, 150 * MS]).expect("some");
        let classic = ["range", "roundrobin", "sticky", "cooperative-sticky", "cooperative-sticky"];
        let assignor = if rng.u32(..5) < 2 { Some("consumer") } else { rng.choice(classic) };
        Knobs {
            assignor: assignor.expect("some"),
            is_static: rng.u32(..4) == 0,
            partitions: rng.i32(1..=8),
            records: rng.u32(20..250),
            burst: rng.choice([1, 1, 10, 40]).expect("some"),
            round_trip,
            jitter: if rng.bool() { Duration::ZERO } else { round_trip / 2 },
            auto_commit_ms: rng.choice([100, 1_000, 5_000, 3_600_000]).expect("some"),
            fetch_wait_ms: rng.choice([100, 500]).expect("some"),
            fetch_bytes: rng.choice([1, 500, 1 << 20]).expect("some"),
            metadata_age_ms: rng.choice([1_000, 300_000]).expect("some"),
            listener: rng.choice([Duration::ZERO, MS, 300 * MS]).expect("some"),
            members: rng.usize(1..=SLOTS),
            slots: std::array::from_fn(|_| Habits::draw(rng)),
        }
    }
}

impl Habits {
    fn draw(rng: &mut fastrand::Rng) -> Habits {
        Habits {
            reading: rng.choice([Reading::Poll, Reading::Records, Reading::Streams]).expect("some"),
            committing: rng
                .choice([Committing::Auto, Committing::Auto, Committing::Sync, Committing::Async])
                .expect("some"),
            work: rng.choice([Duration::ZERO, MS, 20 * MS, 200 * MS, 1_500 * MS]).expect("some"),
        }
    }
}

impl What {
    fn draw(rng: &mut fastrand::Rng) -> What {
        let slot = rng.usize(..SLOTS);
        let broker = rng.i32(1..=BROKERS);
        match rng.u32(..25) {
            0..=4 => What::Join { slot },
            5 | 6 => What::Close { slot, limit: rng.choice([MS, 500 * MS, LONGEST_CLOSE]).expect("some") },
            7 | 8 => What::Drop { slot },
            9 | 10 => What::Kill { slot, is_heard: rng.bool() },
            11..=13 => What::Stop { slot, time: rng.choice(STANDSTILLS).expect("some") },
            14..=19 => fault(rng, broker),
            20 => What::Hold { broker, time: MS * rng.u32(10..9_000) },
            21 => What::Reset { broker },
            _ => What::Down { broker, time: MS * rng.u32(10..9_000), noticed: rng.bool() },
        }
    }
}

fn fault(rng: &mut fastrand::Rng, broker: i32) -> What {
    let apis = [
        ApiKey::FIND_COORDINATOR,
        ApiKey::JOIN_GROUP,
        ApiKey::SYNC_GROUP,
        ApiKey::HEARTBEAT,
        ApiKey::LEAVE_GROUP,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_COMMIT,
        ApiKey::OFFSET_FETCH,
        ApiKey::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::FETCH,
        ApiKey::METADATA,
    ];
    let api = rng.choice(apis).expect("some");
    let is_of_groups = api != ApiKey::FETCH && api != ApiKey::METADATA;
    let moves = [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ];
    let fate = match rng.u32(..9) {
        0..=2 if is_of_groups => Fate::Fail(rng.choice(moves).expect("some")),
        0..=3 => Fate::LoseRequest,
        4 | 5 => Fate::LoseAnswer,
        6 => Fate::Delay(MS * rng.u32(1..3_000)),
        7 => Fate::DelayAnswer(MS * rng.u32(1..3_000)),
        _ => Fate::Close,
    };
    let broker = if rng.bool() { Some(broker) } else { None };
    What::Fault { api, fate, broker, every: rng.u64(1..4), times: rng.u64(1..8) }
}
