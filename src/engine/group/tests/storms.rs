//! Members against coordinators that answer at random: whatever they say, no member does two things at once, owns what it
//! was not told to begin with, or asks without end.

use super::*;
use crate::messages::{
    ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatPartitions, ConsumerProtocolAssignment,
    ConsumerProtocolPartitions, GenerationId, JoinGroupMember, MemberEpoch,
};
use bytes::Bytes;

const STEPS: usize = 3_000;
const SEEDS: u64 = 40;
/// So often in a row a member may ask again at the very moment when it was refused.
const HURRIES: usize = 5;

#[test]
fn classic_members_stand_whatever_the_coordinator_says() {
    for seed in 0..SEEDS {
        let strategies = [&Strategy::ALL[..], &[Strategy::CooperativeSticky]][seed as usize % 2];
        Storm::new(seed, Member::classic(terms_of(seed), strategies.to_vec())).rage();
    }
}

#[test]
fn modern_members_stand_whatever_the_coordinator_says() {
    for seed in 0..SEEDS {
        Storm::new(seed, Member::modern(terms_of(seed), "me".into(), None)).rage();
    }
}

fn terms_of(seed: u64) -> Terms {
    Terms { instance: seed.is_multiple_of(3).then(|| "till-1".into()), ..terms() }
}

/// A member, with all that is under way.
struct Storm {
    seed: u64,
    bench: Bench,
    rng: fastrand::Rng,
    /// What the application has been told to begin with, and not yet to give up.
    model: BTreeSet<TopicPartition>,
    flights: Vec<Request>,
    chore: Option<Step>,
    refused: Option<Instant>,
    hurries: usize,
    is_over: bool,
}

impl Storm {
    fn new(seed: u64, member: Member) -> Storm {
        let mut bench = Bench::new(member);
        bench.subscribe(&["orders"]);
        Storm {
            seed,
            bench,
            rng: fastrand::Rng::with_seed(seed),
            model: BTreeSet::new(),
            flights: Vec::new(),
            chore: None,
            refused: None,
            hurries: 0,
            is_over: false,
        }
    }

    fn rage(&mut self) {
        for _ in 0..STEPS {
            self.step();
            let owned: BTreeSet<TopicPartition> = self.bench.member.owned().clone();
            assert_eq!(owned, self.model, "seed {}", self.seed);
            if self.is_over && self.chore.is_none() && self.flights.is_empty() {
                self.check_end();
                return;
            }
        }
    }

    /// What has failed for good owns nothing and is silent.
    fn check_end(&mut self) {
        while let Step::Lose(_) = self.bench.next() {
            self.bench.done();
        }
        assert!(self.bench.owned().is_empty(), "seed {}", self.seed);
        self.bench.pass(Duration::from_secs(3_600));
        assert_eq!(self.bench.next(), Step::Wait(None), "seed {}", self.seed);
    }

    fn step(&mut self) {
        match self.bench.next() {
            Step::Send(request) => self.send(request),
            Step::Lead(topics) => {
                let counts = topics.into_iter().map(|topic| (topic, 4)).collect();
                self.bench.member.lead(&counts);
            }
            Step::Learn(_) => {}
            Step::Wait(until) => self.wait(until),
            chore => {
                assert_eq!(self.chore, None, "seed {}: two chores at once", self.seed);
                self.check_chore(&chore);
                if let Step::Assign(_) = chore {
                    self.hurries = 0;
                }
                self.chore = Some(chore);
            }
        }
    }

    fn check_chore(&self, chore: &Step) {
        match chore {
            Step::Revoke(gone) => {
                assert!(!gone.is_empty() && gone.iter().all(|own| self.model.contains(own)));
            }
            Step::Lose(gone) => assert!(gone.iter().eq(&self.model)),
            Step::Assign(new) => {
                assert!(new.iter().all(|new| !self.model.contains(new)));
                let subscribed = |new: &TopicPartition| ["orders", "sensors"].contains(&new.topic.as_str());
                assert!(new.iter().all(subscribed));
            }
            other => panic!("seed {}: {other:?} is no chore", self.seed),
        }
    }

    fn send(&mut self, request: Request) {
        let is_beat = |request: &Request| matches!(request, Request::Heartbeat(_));
        let is_leave = |request: &Request| matches!(request, Request::Leave(..));
        let kind = |request: &Request| (is_beat(request), is_leave(request));
        let alike = self.flights.iter().filter(|flight| kind(flight) == kind(&request)).count();
        if is_leave(&request) {
            assert!(
                self.model.is_empty() && self.chore.is_none(),
                "seed {}: leaves with hands full",
                self.seed
            );
            self.flights.retain(|flight| !is_leave(flight));
            self.flights.push(request);
            return;
        }
        assert_eq!(alike, 0, "seed {}: {request:?} beside {:?}", self.seed, self.flights);
        if let Request::Join(join) = &request {
            assert!(self.chore.is_none(), "seed {}: joins during a chore", self.seed);
            assert!(join.protocols.len() == 1 || self.model.is_empty(), "seed {}: eager", self.seed);
        }
        if let Request::Modern(beat) = &request {
            let joins = beat.member_epoch == MemberEpoch::JOIN;
            assert!(!joins || self.chore.is_none() && self.model.is_empty(), "seed {}", self.seed);
            let said: usize =
                beat.topic_partitions.iter().flatten().map(|topic| topic.partitions.len()).sum();
            let soon = if let Some(Step::Assign(new)) = &self.chore { new.len() } else { 0 };
            let is_true = beat.topic_partitions.is_none() || self.model.len() + soon == said;
            assert!(is_true, "seed {}: it says that it owns {said}", self.seed);
        }
        if self.refused.take_if(|_| !is_beat(&request)) == Some(self.bench.now) {
            self.hurries += 1;
            assert!(self.hurries <= HURRIES, "seed {}: it asks without end", self.seed);
        }
        self.flights.push(request);
    }

    /// Something happens, or nothing until the member has to do something.
    fn wait(&mut self, until: Option<Instant>) {
        assert!(until.is_none_or(|until| until > self.bench.now), "seed {}: what is past", self.seed);
        match self.rng.u8(..32) {
            0 => self.whim(),
            1..=5 => self.end_chore(),
            6..=20 if !self.flights.is_empty() => self.reply(),
            _ => match until {
                Some(until) if self.rng.bool() => self.bench.now = until,
                _ if self.flights.is_empty() && self.chore.is_none() => {
                    self.bench.pass(Duration::from_secs(1))
                }
                _ if self.chore.is_some() => self.end_chore(),
                _ => self.reply(),
            },
        }
    }

    fn end_chore(&mut self) {
        match self.chore.take() {
            Some(Step::Revoke(gone)) => self.model.retain(|own| !gone.contains(own)),
            Some(Step::Lose(_)) => self.model.clear(),
            Some(Step::Assign(new)) => self.model.extend(new),
            _ => return,
        }
        self.bench.done();
    }

    /// What the application does.
    fn whim(&mut self) {
        self.hurries = 0;
        match self.rng.u8(..7) {
            0 => drop(self.bench.member.rest("whim")),
            1 | 2 => self.bench.member.resume(),
            3 => self.bench.subscribe(&["orders"]),
            4 => self.bench.subscribe(&["orders", "sensors"]),
            5 => self.bench.subscribe(&[]),
            _ => self.bench.member.enforce_rebalance("whim"),
        }
        // Nobody is away for long.
        if self.rng.bool() {
            self.bench.member.resume();
        }
    }

    fn reply(&mut self) {
        let at = self.rng.usize(..self.flights.len());
        let request = self.flights.remove(at);
        self.bench.pass(Duration::from_millis(self.rng.u64(1..20)));
        let fault = self.fault();
        let answer = match request {
            Request::Join(request) => Answer::Join(fault.map(|code| self.joined(&request, code))),
            Request::Sync(_) => Answer::Sync(fault.map(|error_code| SyncGroupResponse {
                error_code,
                assignment: self.assignment(),
                ..Default::default()
            })),
            Request::Heartbeat(_) => Answer::Heartbeat(
                fault.map(|error_code| HeartbeatResponse { error_code, ..Default::default() }),
            ),
            Request::Leave(..) => {
                Answer::Leave(fault.map(|error_code| LeaveGroupResponse { error_code, ..Default::default() }))
            }
            Request::Modern(_) => Answer::Modern(fault.map(|code| self.heard(code))),
        };
        let said = match &answer {
            Answer::Join(Ok(answer)) => Some(answer.error_code),
            Answer::Sync(Ok(answer)) => Some(answer.error_code),
            Answer::Modern(Ok(answer)) => Some(answer.error_code),
            Answer::Heartbeat(_) | Answer::Leave(_) => Some(ErrorCode::NONE),
            _ => None,
        };
        if said != Some(ErrorCode::NONE) {
            self.refused = Some(self.bench.now);
        }
        let tell = self.bench.answer(answer).tell;
        if let Some(told) = tell {
            assert_eq!(
                told.code(),
                Some(ErrorCode::GROUP_AUTHORIZATION_FAILED),
                "seed {}: {told}",
                self.seed
            );
            self.is_over = true;
        }
    }

    fn fault(&mut self) -> Result<ErrorCode, Error> {
        let faults = [
            ErrorCode::REBALANCE_IN_PROGRESS,
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::ILLEGAL_GENERATION,
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::MEMBER_ID_REQUIRED,
            ErrorCode::FENCED_MEMBER_EPOCH,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ];
        match self.rng.u16(..1_000) {
            0 => Ok(ErrorCode::GROUP_AUTHORIZATION_FAILED),
            1..=600 => Ok(ErrorCode::NONE),
            601..=700 => Err(lost()),
            // Each protocol has its own.
            n => match faults[usize::from(n) % faults.len()] {
                ErrorCode::MEMBER_ID_REQUIRED | ErrorCode::TOPIC_AUTHORIZATION_FAILED => Err(lost()),
                ErrorCode::FENCED_MEMBER_EPOCH
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::ILLEGAL_GENERATION
                    if matches!(self.bench.member, Member::Modern(_)) =>
                {
                    Ok(ErrorCode::FENCED_MEMBER_EPOCH)
                }
                ErrorCode::FENCED_MEMBER_EPOCH => Ok(ErrorCode::REBALANCE_IN_PROGRESS),
                other => Ok(other),
            },
        }
    }

    fn joined(&mut self, request: &JoinGroupRequest, error_code: ErrorCode) -> JoinGroupResponse {
        let wants_id = request.member_id.is_empty() && self.rng.bool();
        let error_code = if wants_id { ErrorCode::MEMBER_ID_REQUIRED } else { error_code };
        let protocol = &request.protocols[self.rng.usize(..request.protocols.len())];
        let metadata = if self.rng.u8(..8) == 0 { self.noise() } else { protocol.metadata.clone() };
        JoinGroupResponse {
            error_code,
            generation_id: GenerationId(self.rng.i32(1..9)),
            protocol_name: Some(protocol.name.clone()),
            leader: if self.rng.bool() { "me".into() } else { "you".into() },
            member_id: "me".into(),
            members: vec![JoinGroupMember { member_id: "me".into(), group_instance_id: None, metadata }],
            skip_assignment: self.rng.u8(..8) == 0,
            ..Default::default()
        }
    }

    fn noise(&mut self) -> Bytes {
        let length = self.rng.usize(..32);
        (0..length).map(|_| self.rng.u8(..)).collect()
    }

    fn share(&mut self) -> Vec<(&'static str, Vec<i32>)> {
        let mut share = Vec::new();
        for topic in ["orders", "sensors"] {
            share.push((topic, (0..4).filter(|_| self.rng.bool()).collect()));
        }
        share
    }

    fn assignment(&mut self) -> Bytes {
        match self.rng.u8(..16) {
            0 => return Bytes::new(),
            1 => return self.noise(),
            _ => {}
        }
        let topic =
            |(topic, partitions): (&str, _)| ConsumerProtocolPartitions { topic: topic.into(), partitions };
        let assigned_partitions = self.share().into_iter().map(topic).collect();
        let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
        assignment.write(ConsumerProtocolAssignment::VERSION).unwrap()
    }

    fn heard(&mut self, error_code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
        let topic = |(topic, partitions): (&str, _)| ConsumerGroupHeartbeatPartitions {
            topic_id: id_of(topic),
            partitions,
        };
        let mut topic_partitions: Vec<_> = self.share().into_iter().map(topic).collect();
        if self.rng.u8(..8) == 0 {
            topic_partitions.push(topic(("unheard-of", vec![0])));
        }
        ConsumerGroupHeartbeatResponse {
            error_code,
            member_epoch: MemberEpoch(self.rng.i32(0..9)),
            heartbeat_interval_ms: if self.rng.bool() { 5_000 } else { self.rng.i32(-1..1) },
            assignment: self.rng.bool().then_some(ConsumerGroupHeartbeatAssignment { topic_partitions }),
            ..Default::default()
        }
    }
}
