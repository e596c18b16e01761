//! Whole groups against a coordinator: a network that loses requests and answers, processes that are stopped for a while,
//! applications that take their time, topics that come and go. No partition is read by two members whose leases hold, no
//! member asks without end, and when all is calm again every partition is read, and nobody joins any more.

mod classic;
mod modern;

use super::*;
use std::collections::BTreeMap;

const SEATS: usize = 4;
const SEEDS: u64 = 30;
/// How long things go wrong, and how long they take to settle. A member may have been stopped until the end of the storm;
/// then its session has to end, it has to hear of that, and to join again.
const STORM: Duration = Duration::from_secs(240);
const CALM: Duration = Duration::from_secs(120);
const SESSION: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(1);
const REBALANCE: Duration = Duration::from_secs(20);
/// So many steps a member may take at one moment.
const STEPS: usize = 16;
/// So many requests a member may send while things go wrong, of which every interval has one.
const REQUESTS: usize = 400;

/// Which request of which member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    seat: usize,
    number: u64,
}

/// A coordinator as small as can be.
trait Coordinator {
    /// Hears a request; it is answered at once, or later.
    fn hear(&mut self, call: Call, request: Request, now: Instant);
    /// Does what is due.
    fn tick(&mut self, now: Instant);
    /// When it has something to do.
    fn due(&self) -> Option<Instant>;
    /// The answers since it was asked last.
    fn answers(&mut self) -> Vec<(Call, Answer)>;
    /// There are so many partitions of topics.
    fn count(&mut self, topics: &BTreeMap<&'static str, i32>);
}

/// A member, its application, and its process.
struct Seat {
    member: Member,
    /// What the application reads.
    owned: BTreeSet<TopicPartition>,
    chore: Option<(Instant, Step)>,
    lead: Option<Instant>,
    calls: BTreeMap<u64, Request>,
    /// The process does nothing until then.
    stopped: Option<Instant>,
    wake: Option<Instant>,
    requests: usize,
}

#[derive(Debug)]
enum Mail {
    Request(Call, Request),
    Answer(Call, Answer),
}

struct World<C> {
    seed: u64,
    now: Instant,
    rng: fastrand::Rng,
    /// Lends its view, which everybody shares.
    bench: Bench,
    topics: BTreeMap<&'static str, i32>,
    coordinator: C,
    seats: Vec<Seat>,
    mail: Vec<(Instant, Mail)>,
    calls: u64,
    is_calm: bool,
}

impl<C: Coordinator> World<C> {
    fn new(seed: u64, coordinator: C, member: impl Fn(usize, Terms) -> Member) -> World<C> {
        let terms = |seat: usize| Terms {
            instance: (seed % 4 == 1 || seat == 3).then(|| format!("till-{seat}").into()),
            session_timeout: SESSION,
            heartbeat_interval: INTERVAL,
            rebalance_timeout: REBALANCE,
            ..terms()
        };
        let seat = |seat| Seat {
            member: member(seat, terms(seat)),
            owned: BTreeSet::new(),
            chore: None,
            lead: None,
            calls: BTreeMap::new(),
            stopped: None,
            wake: None,
            requests: 0,
        };
        let bench = Bench::new(member(SEATS, terms(SEATS)));
        let mut world = World {
            seed,
            now: bench.now,
            rng: fastrand::Rng::with_seed(seed),
            bench,
            topics: BTreeMap::from([("orders", 4), ("sensors", 4)]),
            coordinator,
            seats: (0..SEATS).map(seat).collect(),
            mail: Vec::new(),
            calls: 0,
            is_calm: false,
        };
        world.coordinator.count(&world.topics);
        world
    }

    fn live(&mut self) {
        self.subscribe_all();
        self.pass(STORM);
        let most = self.seats.iter().map(|seat| seat.requests).max();
        assert!(most <= Some(REQUESTS), "seed {}: {most:?} requests", self.seed);
        self.soothe();
        self.pass(CALM);
        self.check_everything_is_read();
        let before: Vec<(Identity, usize)> =
            self.seats.iter().map(|seat| (seat.member.identity(), seat.requests)).collect();
        self.pass(60 * INTERVAL);
        for (seat, (identity, requests)) in self.seats.iter().zip(before) {
            assert_eq!(seat.member.identity(), identity, "seed {}: it has not settled", self.seed);
            let beats = seat.requests - requests;
            assert!((50..=61).contains(&beats), "seed {}: {beats} requests in 60 intervals", self.seed);
        }
        self.check_everything_is_read();
    }

    fn subscribe_all(&mut self) {
        for seat in &mut self.seats {
            let topics = ["orders".into(), "sensors".into()].into();
            seat.member.subscribe(Subscription { topics, regex: None });
        }
    }

    /// Nothing goes wrong any more.
    fn soothe(&mut self) {
        self.is_calm = true;
        self.subscribe_all();
        self.grow();
        for seat in &mut self.seats {
            seat.member.resume();
        }
    }

    fn check_everything_is_read(&self) {
        let all: BTreeSet<TopicPartition> = self
            .topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|index| TopicPartition::new(*topic, index)))
            .collect();
        let read: Vec<&TopicPartition> = self.seats.iter().flat_map(|seat| &seat.owned).collect();
        assert_eq!(read.len(), all.len(), "seed {}: {read:?}", self.seed);
        assert_eq!(read.into_iter().cloned().collect::<BTreeSet<_>>(), all, "seed {}", self.seed);
        assert!(self.seats.iter().all(|seat| !seat.owned.is_empty()), "seed {}: one has nothing", self.seed);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut whim = self.now;
        while self.now < end {
            if !self.is_calm && whim <= self.now {
                whim = self.now + Duration::from_millis(self.rng.u64(10..4_000));
                self.whim();
            }
            self.deliver();
            self.coordinator.tick(self.now);
            self.post();
            for seat in 0..SEATS {
                self.run(seat);
            }
            self.check_owners();
            let whim = Some(whim).filter(|_| !self.is_calm);
            let dues = self.seats.iter().map(Seat::due).chain([whim, self.coordinator.due()]);
            let mail = self.mail.iter().map(|(at, _)| Some(*at));
            let next = dues.chain(mail).flatten().min().unwrap_or(end);
            // What is due now and not done belongs to somebody who is stopped.
            self.now = next.max(self.now + Duration::from_millis(1)).min(end);
        }
    }

    /// Who is stopped reads nothing, and loses what it had as soon as it hears.
    fn check_owners(&self) {
        let mut readers: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
        for (number, seat) in self.seats.iter().enumerate() {
            assert_eq!(seat.member.owned(), &seat.owned, "seed {}", self.seed);
            if seat.member.lease().is_none_or(|until| until < self.now) {
                continue;
            }
            for own in &seat.owned {
                let other = readers.insert(own, number);
                assert_eq!(other, None, "seed {}: {own} is read by {number}, too", self.seed);
            }
        }
    }

    /// A member does what it has to do now.
    fn run(&mut self, at: usize) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(at) else { return };
        if seat.stopped.is_some_and(|until| until > now) {
            return;
        }
        seat.stopped = None;
        if let Some((_, chore)) = seat.chore.take_if(|(until, _)| *until <= now) {
            match chore {
                Step::Revoke(gone) => seat.owned.retain(|own| !gone.contains(own)),
                Step::Assign(new) => seat.owned.extend(new),
                _ => seat.owned.clear(),
            }
            seat.member.done(now);
        }
        if seat.lead.take_if(|at| *at <= now).is_some() {
            let counts = self.topics.iter().map(|(topic, count)| (Text::from(*topic), *count));
            seat.member.lead(&counts.collect());
        }
        seat.member.heed(&self.bench.view);
        for _ in 0..STEPS {
            let Some(seat) = self.seats.get_mut(at) else { return };
            match seat.member.next(&self.bench.view, now) {
                Step::Wait(wake) => {
                    assert!(
                        wake.is_none_or(|wake| wake > now),
                        "seed {}: it waits for what is past",
                        self.seed
                    );
                    seat.wake = wake;
                    // Whatever the application does, the coordinator hears of the member in time.
                    let is_silent = seat.member.lease().is_some() && seat.calls.is_empty();
                    let is_due = wake.is_some_and(|wake| wake <= now + 2 * INTERVAL);
                    assert!(is_due || !is_silent, "seed {}: {at} sends no heartbeat", self.seed);
                    return;
                }
                Step::Send(request) => self.send(at, request),
                Step::Lead(_) => seat.lead = Some(now + Duration::from_millis(self.rng.u64(..500))),
                Step::Learn(_) => {}
                chore => {
                    assert!(seat.chore.is_none(), "seed {}: two chores at once", self.seed);
                    let most = if self.rng.u8(..8) == 0 { 5_000 } else { 50 };
                    seat.chore = Some((now + Duration::from_millis(self.rng.u64(..most)), chore));
                }
            }
        }
        panic!("seed {}: {at} takes steps without end", self.seed);
    }

    fn send(&mut self, seat: usize, request: Request) {
        self.calls += 1;
        let call = Call { seat, number: self.calls };
        self.seats[seat].calls.insert(call.number, request.clone());
        self.seats[seat].requests += 1;
        if self.goes_wrong() {
            return self.lose(call);
        }
        let at = self.after(30);
        self.mail.push((at, Mail::Request(call, request)));
    }

    /// What the coordinator says goes on its way.
    fn post(&mut self) {
        for (call, answer) in self.coordinator.answers() {
            if self.goes_wrong() {
                self.lose(call);
            } else {
                let at = self.after(30);
                self.mail.push((at, Mail::Answer(call, answer)));
            }
        }
    }

    /// The member hears that its request failed, sooner or later.
    fn lose(&mut self, call: Call) {
        let Some(request) = self.seats[call.seat].calls.get(&call.number) else { return };
        let answer = match request {
            Request::Join(_) => Answer::Join(Err(lost())),
            Request::Sync(_) => Answer::Sync(Err(lost())),
            Request::Heartbeat(_) => Answer::Heartbeat(Err(lost())),
            Request::Leave(..) => Answer::Leave(Err(lost())),
            Request::Modern(_) => Answer::Modern(Err(lost())),
        };
        let at = self.after(3_000);
        self.mail.push((at, Mail::Answer(call, answer)));
    }

    fn deliver(&mut self) {
        let now = self.now;
        let is_stopped = |seat: &Seat| seat.stopped.is_some_and(|until| until > now);
        let (mut ready, mut later) = (Vec::new(), Vec::new());
        for (at, mail) in std::mem::take(&mut self.mail) {
            let waits = matches!(&mail, Mail::Answer(call, _) if is_stopped(&self.seats[call.seat]));
            if at > now || waits { later.push((at, mail)) } else { ready.push((at, mail)) }
        }
        self.mail = later;
        ready.sort_by_key(|(at, _)| *at);
        for (_, mail) in ready {
            match mail {
                Mail::Request(call, request) => self.coordinator.hear(call, request, now),
                Mail::Answer(call, answer) => {
                    let seat = &mut self.seats[call.seat];
                    // Each request is answered once, whatever comes later.
                    if seat.calls.remove(&call.number).is_some() {
                        let tell = seat.member.digest(answer, now, &mut self.rng).tell;
                        assert!(tell.is_none(), "seed {}: {tell:?}", self.seed);
                    }
                }
            }
        }
    }

    fn goes_wrong(&mut self) -> bool {
        !self.is_calm && self.rng.u8(..24) == 0
    }

    fn after(&mut self, most: u64) -> Instant {
        self.now + Duration::from_millis(self.rng.u64(1..most))
    }

    /// Something happens to somebody.
    fn whim(&mut self) {
        let at = self.rng.usize(..SEATS);
        let stop = Duration::from_secs(self.rng.u64(1..35));
        let seat = &mut self.seats[at];
        let subscription = |names: &[&'static str]| Subscription {
            topics: names.iter().copied().map(Text::from).collect(),
            regex: None,
        };
        match self.rng.u8(..12) {
            0 => seat.stopped = Some(self.now + stop),
            1 => {
                let goodbye = seat.member.rest("whim");
                self.say(at, goodbye);
            }
            2 | 3 => seat.member.resume(),
            4 => seat.member.subscribe(subscription(&["orders"])),
            5 => seat.member.subscribe(subscription(&[])),
            6 | 7 => seat.member.subscribe(subscription(&["orders", "sensors"])),
            8 => seat.member.enforce_rebalance("whim"),
            9 => self.grow(),
            10 => {
                // The connection breaks.
                let calls: Vec<u64> = seat.calls.keys().copied().collect();
                calls.into_iter().for_each(|number| self.lose(Call { seat: at, number }));
            }
            _ => {}
        }
    }

    /// A goodbye is said beside whatever else is under way; nobody waits for the answer.
    fn say(&mut self, seat: usize, goodbye: Option<Goodbye>) {
        let request = match goodbye {
            Some(Goodbye::Classic(group, member)) => Request::Leave(group, member),
            Some(Goodbye::Modern(request)) => Request::Modern(request),
            None => return,
        };
        if !self.goes_wrong() {
            let at = self.after(200);
            self.mail.push((at, Mail::Request(Call { seat, number: 0 }, request)));
        }
    }

    /// A topic gets more partitions.
    fn grow(&mut self) {
        let count = self.topics.get_mut("sensors").map_or(0, |count| {
            *count = (*count + 1).min(12);
            *count
        });
        self.bench.learn("sensors", count);
        self.coordinator.count(&self.topics);
    }
}

impl Seat {
    fn due(&self) -> Option<Instant> {
        let due = [self.wake, self.lead, self.chore.as_ref().map(|(until, _)| *until)];
        let due = due.into_iter().flatten().min();
        self.stopped.map_or(due, |until| Some(due.map_or(until, |due| due.max(until))))
    }
}
