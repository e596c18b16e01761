//! [`Plan`]: what a seed stands for.

use ottla::broker::{ApiKey, Byte, ErrorCode, Fate};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// What happens in a run: how everything is set, and what goes wrong when.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub knobs: Knobs,
    /// In the order of their times.
    pub steps: Vec<Step>,
}

/// How everything is set. [`Knobs::plain`] is how it is where nothing was drawn.
#[derive(Debug, Clone)]
pub struct Knobs {
    pub brokers: i32,
    pub partitions: i32,
    pub records: u32,
    pub keys: u32,
    /// Between two sends.
    pub pace: Duration,
    pub value_bytes: usize,
    /// From the client to a broker and back.
    pub round_trip: Duration,
    pub jitter: Duration,
    /// Reads and writes of one byte, or little more.
    pub small_reads: bool,
    pub idempotent: bool,
    pub in_flight: u32,
    pub batch_bytes: u32,
    pub linger_ms: u32,
    pub codec: &'static str,
    pub request_timeout_ms: u64,
    pub delivery_timeout_ms: u64,
    pub metadata_age_ms: u64,
    pub fetch_wait_ms: u32,
    pub fetch_bytes: u32,
    pub queued_kbytes: u32,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// Requests of an API have this fate.
    Fault {
        api: ApiKey,
        fate: Fate,
        broker: Option<i32>,
        every: u64,
        times: u64,
    },
    /// What is under way to and from a broker does not arrive, for so long.
    Hold {
        broker: i32,
        time: Duration,
    },
    /// A broker's connections are reset.
    Reset {
        broker: i32,
    },
    /// A broker refuses connections, for so long.
    Refuse {
        broker: i32,
        time: Duration,
    },
    /// A broker is killed and comes back; the others notice at once, or do not.
    Kill {
        broker: i32,
        time: Duration,
        noticed: bool,
    },
    Move {
        partition: i32,
        to: i32,
    },
    /// A broker tells of the cluster as it was, for so long.
    Lag {
        broker: i32,
        time: Duration,
    },
    /// The consumer goes back to the beginning of a partition, or pauses it for a while.
    Seek {
        partition: i32,
    },
    Pause {
        partition: i32,
        time: Duration,
    },
}

impl Knobs {
    /// Nothing out of the ordinary.
    pub fn plain() -> Knobs {
        Knobs {
            brokers: 1,
            partitions: 1,
            records: 20,
            keys: 3,
            pace: 5 * MS,
            value_bytes: 20,
            round_trip: MS,
            jitter: Duration::ZERO,
            small_reads: false,
            idempotent: true,
            in_flight: 5,
            batch_bytes: 16_384,
            linger_ms: 5,
            codec: "none",
            request_timeout_ms: 2_000,
            delivery_timeout_ms: 20_000,
            metadata_age_ms: 300_000,
            fetch_wait_ms: 500,
            fetch_bytes: 1 << 20,
            queued_kbytes: 65_536,
        }
    }

    fn draw(rng: &mut fastrand::Rng) -> Knobs {
        let idempotent = rng.u32(..8) > 0;
        let small_reads = rng.u32(..8) == 0;
        let round_trip = rng.choice(ROUND_TRIPS).expect("some");
        // A time-out below the round trip would only say that it is too short.
        let least = u64::try_from(round_trip.as_millis()).expect("short") * 3 + 300;
        Knobs {
            brokers: rng.i32(1..=3),
            partitions: rng.i32(1..=3),
            records: if small_reads { rng.u32(5..20) } else { rng.u32(10..80) },
            keys: rng.u32(1..5),
            pace: rng.choice([Duration::ZERO, MS, 10 * MS, 40 * MS]).expect("some"),
            value_bytes: rng.choice([8, 100, 2_000]).expect("some"),
            round_trip,
            jitter: if rng.bool() { Duration::ZERO } else { round_trip / 2 },
            small_reads,
            idempotent,
            in_flight: if idempotent { rng.u32(1..=5) } else { 1 },
            batch_bytes: rng.choice([100, 1_000, 16_384]).expect("some"),
            linger_ms: rng.choice([0, 1, 20]).expect("some"),
            codec: rng.choice(["none", "none", "lz4", "gzip", "snappy", "zstd"]).expect("some"),
            request_timeout_ms: least + rng.u64(..2_000),
            delivery_timeout_ms: if rng.u32(..4) == 0 { least * 2 + 2_500 } else { 20_000 },
            metadata_age_ms: rng.choice([100, 1_000, 300_000]).expect("some"),
            fetch_wait_ms: rng.choice([10, 100, 500]).expect("some"),
            fetch_bytes: rng.choice([1, 500, 1 << 20]).expect("some"),
            queued_kbytes: rng.choice([1, 64, 65_536]).expect("some"),
        }
    }
}

/// From a machine next door to the other side of the earth, by way of a satellite.
const ROUND_TRIPS: [Duration; 6] = [
    Duration::from_micros(20),
    Duration::from_micros(500),
    Duration::from_millis(5),
    Duration::from_millis(40),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// Steps begin within this time.
const ALL: Duration = Duration::from_secs(3);

impl Plan {
    /// What the seed stands for.
    pub fn draw(seed: u64) -> Plan {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let knobs = Knobs::draw(rng);
        // Half of what goes wrong does so while records are sent.
        let busy = (knobs.pace * knobs.records + knobs.round_trip * 4).min(ALL);
        let mut steps: Vec<Step> = (0..rng.usize(0..12))
            .map(|_| {
                let within = if rng.bool() { busy } else { ALL };
                Step { at: within.mul_f64(rng.f64()), what: What::draw(&knobs, rng) }
            })
            .collect();
        steps.sort_by_key(|step| step.at);
        // No broker finds a batch too large that it may have appended before: the halves would be other batches to it.
        if steps.iter().any(|step| step.what.is_too_large()) {
            steps.retain(|step| step.what.tells_what_became_of_a_batch());
        }
        Plan { seed, knobs, steps }
    }
}

impl What {
    fn is_too_large(&self) -> bool {
        matches!(self, What::Fault { fate: Fate::Fail(ErrorCode::MESSAGE_TOO_LARGE), .. })
    }

    /// Whether the client knows all the time whether its batches were written.
    fn tells_what_became_of_a_batch(&self) -> bool {
        match self {
            What::Fault { api, fate, .. } => *api != ApiKey::PRODUCE || matches!(fate, Fate::Fail(_)),
            What::Seek { .. } | What::Pause { .. } => true,
            _ => false,
        }
    }

    fn draw(knobs: &Knobs, rng: &mut fastrand::Rng) -> What {
        let broker = rng.i32(1..=knobs.brokers);
        let partition = rng.i32(0..knobs.partitions);
        let time = Duration::from_millis(rng.u64(10..1_500));
        match rng.u32(..18) {
            0..=7 => {
                let (api, fate) = fault(rng);
                let broker = if rng.bool() { Some(broker) } else { None };
                What::Fault { api, fate, broker, every: rng.u64(1..4), times: rng.u64(1..10) }
            }
            8 => What::Hold { broker, time },
            9 => What::Reset { broker },
            10 => What::Refuse { broker, time },
            11 | 12 => What::Kill { broker, time, noticed: rng.bool() },
            13 => What::Move { partition, to: broker },
            14 | 15 => What::Lag { broker, time },
            16 => What::Seek { partition },
            _ => What::Pause { partition, time },
        }
    }
}

fn fault(rng: &mut fastrand::Rng) -> (ApiKey, Fate) {
    let api = rng.choice([
        ApiKey::PRODUCE,
        ApiKey::PRODUCE,
        ApiKey::PRODUCE,
        ApiKey::FETCH,
        ApiKey::FETCH,
        ApiKey::METADATA,
        ApiKey::LIST_OFFSETS,
        ApiKey::INIT_PRODUCER_ID,
        ApiKey::API_VERSIONS,
    ]);
    let api = api.expect("some");
    let fate = match rng.u32(..13) {
        0..=3 => code(api, rng).unwrap_or(Fate::Close),
        4 => Fate::LoseRequest,
        5 | 6 => Fate::LoseAnswer,
        7 => Fate::Delay(Duration::from_millis(rng.u64(1..3_000))),
        8 => Fate::Silence,
        9 => Fate::Cut(rng.usize(..80)),
        10 => Fate::DelayAnswer(Duration::from_millis(rng.u64(1..3_000))),
        11 => Fate::Split { bytes: rng.usize(1..40), pause: Duration::from_millis(rng.u64(..20)) },
        // What the checksum of the first batch covers, and nothing else: TCP has its own for the rest.
        _ if api == ApiKey::FETCH => Fate::Corrupt(Byte::OfRecords(rng.usize(21..61))),
        _ => Fate::Close,
    };
    (api, fate)
}

/// What a broker of good will may answer.
fn code(api: ApiKey, rng: &mut fastrand::Rng) -> Option<Fate> {
    let before =
        |codes: &[ErrorCode], rng: &mut fastrand::Rng| rng.choice(codes.iter().copied()).map(Fate::Fail);
    match api {
        ApiKey::PRODUCE if rng.u32(..3) == 0 => rng
            .choice([
                ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                ErrorCode::REQUEST_TIMED_OUT,
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::NETWORK_EXCEPTION,
            ])
            .map(Fate::FailAfterwards),
        ApiKey::PRODUCE => before(
            &[
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::NOT_ENOUGH_REPLICAS,
                ErrorCode::REQUEST_TIMED_OUT,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::CORRUPT_MESSAGE,
                ErrorCode::KAFKA_STORAGE_ERROR,
                ErrorCode::MESSAGE_TOO_LARGE,
                ErrorCode::FENCED_LEADER_EPOCH,
                ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ],
            rng,
        ),
        ApiKey::FETCH => before(
            &[
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::FENCED_LEADER_EPOCH,
                ErrorCode::UNKNOWN_LEADER_EPOCH,
                ErrorCode::OFFSET_NOT_AVAILABLE,
                ErrorCode::KAFKA_STORAGE_ERROR,
                ErrorCode::UNKNOWN_SERVER_ERROR,
            ],
            rng,
        ),
        ApiKey::METADATA => before(&[ErrorCode::LEADER_NOT_AVAILABLE], rng),
        ApiKey::LIST_OFFSETS => before(
            &[
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::LEADER_NOT_AVAILABLE,
                ErrorCode::OFFSET_NOT_AVAILABLE,
            ],
            rng,
        ),
        ApiKey::INIT_PRODUCER_ID => before(
            &[
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                ErrorCode::NOT_COORDINATOR,
                ErrorCode::REQUEST_TIMED_OUT,
            ],
            rng,
        ),
        _ => None,
    }
}
