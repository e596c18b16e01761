//! Groups of the classic protocol, second by second.

use super::super::{Answer, GroupSettings, Groups, Members, Ticket};
use super::*;
use crate::broker::core::ConnectionId;
use crate::messages::{BrokerId, ConsumerProtocolSubscription};
use bytes::Bytes;
use std::time::Duration;

/// One group, a clock, and who waits.
struct Bench {
    groups: Groups,
    rng: fastrand::Rng,
    start: Instant,
    now: Instant,
    coordinator: BrokerId,
    /// The connection of the last request; each has its own.
    connection: ConnectionId,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(GroupSettings::default())
    }

    fn with(settings: GroupSettings) -> Bench {
        let start = crate::task::now();
        let (rng, coordinator) = (fastrand::Rng::with_seed(7), BrokerId(1));
        Bench {
            groups: Groups::new(settings),
            rng,
            start,
            now: start,
            coordinator,
            connection: ConnectionId(0),
        }
    }

    fn id() -> Text {
        "g".into()
    }

    /// Goes to a second, and lets happen what is due.
    fn at(&mut self, second: u64) -> &mut Bench {
        self.now = self.start + Duration::from_secs(second);
        self.groups.enter(&Bench::id(), self.coordinator, self.now, &mut self.rng);
        self
    }

    fn with_group<T>(&mut self, work: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>) -> T) -> T {
        let id = Bench::id();
        self.groups.enter(&id, self.coordinator, self.now, &mut self.rng);
        self.groups.get_or_create(&id, self.coordinator).unwrap();
        let work = |group: &mut super::super::Group, turn: &mut Turn<'_>| match &mut group.members {
            Members::Classic(members) => work(members, turn),
            Members::Consumer(_) => panic!("another protocol"),
        };
        self.groups.with(&id, self.now, &mut self.rng, work).unwrap()
    }

    fn issue(&mut self) -> Ticket {
        self.connection.0 += 1;
        self.groups.issue(&Bench::id(), self.connection)
    }

    fn join_as(&mut self, join: Join) -> Ticket {
        let ticket = self.issue();
        self.with_group(|group, turn| group.join(join, ticket, turn));
        ticket
    }

    /// A dynamic member that joins at once, as old clients do.
    fn join(&mut self, id: &Text) -> Ticket {
        self.join_as(wish(id))
    }

    fn joined(&mut self, ticket: Ticket) -> Option<Joined> {
        match self.groups.take(ticket)? {
            Answer::Join(joined) => Some(joined),
            Answer::Sync(synced) => panic!("{synced:?}"),
        }
    }

    /// Joins, and is let in at once.
    fn admitted(&mut self, join: Join) -> Joined {
        let ticket = self.join_as(join);
        let joined = self.joined(ticket).expect("nobody to wait for");
        assert_eq!(joined.error_code, ErrorCode::NONE, "{joined:?}");
        joined
    }

    fn sync(&mut self, member: &Joined, assignments: &[(&Text, &'static [u8])]) -> Ticket {
        let assignments =
            assignments.iter().map(|(id, own)| ((*id).clone(), Bytes::from_static(own))).collect();
        self.sync_as(Sync { assignments, ..sync_of(member) })
    }

    fn sync_as(&mut self, sync: Sync) -> Ticket {
        let ticket = self.issue();
        self.with_group(|group, turn| group.sync(sync, ticket, turn));
        ticket
    }

    fn synced(&mut self, ticket: Ticket) -> Option<Synced> {
        match self.groups.take(ticket)? {
            Answer::Sync(synced) => Some(synced),
            Answer::Join(joined) => panic!("{joined:?}"),
        }
    }

    /// A member alone, with an assignment.
    fn settled(&mut self) -> Joined {
        let member = self.admitted(wish(&Text::default()));
        let ticket = self.sync(&member, &[(&member.member_id, b"all")]);
        assert_eq!(self.synced(ticket).unwrap().assignment, &b"all"[..]);
        member
    }

    fn beat(&mut self, member: &Joined) -> ErrorCode {
        let (id, generation) = (member.member_id.clone(), member.generation);
        self.with_group(|group, turn| group.heartbeat(&id, None, generation, turn)).err().unwrap_or_default()
    }

    fn state(&mut self) -> State {
        self.with_group(|group, _| group.state())
    }

    fn size(&mut self) -> usize {
        self.with_group(|group, _| group.members().count())
    }
}

/// Of a member that brings nobody's assignment.
fn sync_of(member: &Joined) -> Sync {
    Sync {
        member_id: member.member_id.clone(),
        instance_id: None,
        generation: member.generation,
        protocol_type: None,
        protocol: None,
        assignments: Vec::new(),
    }
}

/// A session of 10 s, and 30 s to join again.
fn wish(id: &Text) -> Join {
    Join {
        member_id: id.clone(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/here".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(30),
        protocol_type: CONSUMER.into(),
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::new() }],
        can_learn_its_id: false,
        can_skip_assignment: true,
    }
}

fn static_wish(instance: &str) -> Join {
    Join { instance_id: Some(instance.into()), ..wish(&Text::default()) }
}

#[test]
fn sessions_end_at_their_time_whenever_somebody_looks() {
    let mut bench = Bench::new();
    let member = bench.settled();
    assert_eq!(bench.at(9).beat(&member), ErrorCode::NONE);
    assert_eq!(bench.at(18).beat(&member), ErrorCode::NONE, "each heartbeat begins another session");
    assert_eq!(bench.at(27).size(), 1);
    assert_eq!(bench.at(28).size(), 0);
    assert_eq!(bench.beat(&member), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.with_group(|group, _| (group.state, group.generation)), (State::Empty, 2));
}

#[test]
fn the_first_members_wait_for_others_while_others_come() {
    let settings =
        GroupSettings { initial_rebalance_delay: Duration::from_secs(3), ..GroupSettings::default() };
    let mut bench = Bench::with(settings);
    let first = bench.join(&Text::default());
    let second = bench.at(2).join(&Text::default());
    assert_eq!(bench.at(3).joined(first), None, "somebody came meanwhile");
    let third = bench.at(5).join(&Text::default());
    assert_eq!(bench.at(8).joined(first), None);
    let all = bench.at(9).joined(first).expect("nobody came");
    assert_eq!((all.generation, all.members.len()), (1, 3));
    assert!(bench.joined(second).is_some() && bench.joined(third).is_some());
}

#[test]
fn the_first_members_wait_no_longer_than_they_have() {
    let settings =
        GroupSettings { initial_rebalance_delay: Duration::from_secs(20), ..GroupSettings::default() };
    let mut bench = Bench::with(settings);
    let first = bench.join(&Text::default());
    for second in [19, 29] {
        bench.at(second).join(&Text::default());
    }
    assert_eq!(bench.at(29).joined(first), None);
    assert_eq!(bench.at(30).joined(first).unwrap().members.len(), 3, "30 s in all");
}

#[test]
fn who_does_not_join_again_is_out() {
    let mut bench = Bench::new();
    let old = bench.settled();
    let new = bench.join(&Text::default());
    // Heartbeats keep the session, not the place.
    for second in [8, 16, 24] {
        assert_eq!(bench.at(second).beat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(bench.joined(new), None);
    }
    let alone = bench.at(30).joined(new).expect("30 s are over");
    assert_eq!((alone.generation, alone.members.len()), (2, 1));
    assert_eq!(alone.leader, alone.member_id);
}

#[test]
fn who_does_not_ask_for_its_assignment_is_out() {
    let mut bench = Bench::new();
    let first = bench.settled();
    let second = bench.join(&Text::default());
    let first = bench.admitted(wish(&first.member_id));
    let second = bench.joined(second).unwrap();
    let asking = bench.sync(&second, &[]);
    // The leader is alive, and says nothing.
    for at in [8, 16, 24] {
        assert_eq!(bench.at(at).beat(&first), ErrorCode::NONE);
    }
    assert_eq!(bench.at(29).synced(asking), None);
    assert_eq!(bench.at(30).synced(asking).unwrap().error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.size(), 1);
    let alone = bench.admitted(wish(&second.member_id));
    assert_eq!((alone.generation, &alone.leader), (3, &second.member_id));
}

#[test]
fn who_waits_for_others_is_not_silent() {
    let mut bench = Bench::new();
    let first = bench.settled();
    let second = bench.join(&Text::default());
    let waiting = bench.join(&first.member_id);
    let (first, second) = (bench.joined(waiting).unwrap(), bench.joined(second).unwrap());
    let asking = bench.sync(&second, &[]);
    assert_eq!(bench.at(9).beat(&first), ErrorCode::NONE);
    // The second's session would have been over at 10 s.
    let leading = bench.at(18).sync(&first, &[(&second.member_id, b"b")]);
    assert!(bench.synced(leading).is_some());
    assert_eq!(bench.synced(asking).unwrap().assignment, &b"b"[..]);
    assert_eq!(bench.at(27).size(), 2, "it has another one since it was answered");
    assert_eq!(bench.at(28).size(), 0);
}

#[test]
fn an_id_that_nobody_joins_with_is_waited_for_as_long_as_a_session() {
    let mut bench = Bench::new();
    let first = bench.settled();
    let ticket = bench.join_as(Join { can_learn_its_id: true, ..wish(&Text::default()) });
    let lent = bench.joined(ticket).unwrap();
    assert_eq!(lent.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    let again = bench.at(5).join(&first.member_id);
    assert_eq!(bench.at(9).joined(again), None, "somebody is coming");
    assert_eq!(bench.at(10).joined(again).unwrap().members.len(), 1);
    let late = bench.join(&lent.member_id);
    assert_eq!(bench.joined(late).unwrap().error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_member_stays_until_its_session_is_over() {
    let mut bench = Bench::new();
    let gone = bench.admitted(static_wish("one"));
    let ticket = bench.sync(&gone, &[]);
    assert!(bench.synced(ticket).is_some());
    let new = bench.at(1).join(&Text::default());
    assert_eq!(bench.at(9).joined(new), None);
    // Its session ends before the 30 s of the rebalance do.
    assert_eq!(bench.at(10).joined(new).unwrap().members.len(), 1);
}

#[test]
fn a_static_member_that_comes_back_in_a_rebalance_takes_its_place_in_it() {
    let mut bench = Bench::new();
    let one = bench.admitted(static_wish("one"));
    let ticket = bench.sync(&one, &[]);
    assert!(bench.synced(ticket).is_some());
    let new = bench.join(&Text::default());
    let back = bench.admitted(static_wish("one"));
    assert_ne!(back.member_id, one.member_id);
    assert_eq!((back.generation, back.members.len(), &back.leader), (2, 2, &back.member_id));
    assert!(bench.joined(new).is_some());
    // While the leader assigns, a static member that comes back starts everything again.
    let third = bench.join_as(static_wish("one"));
    assert_eq!(bench.joined(third), None);
    assert_eq!(bench.state(), State::PreparingRebalance);
}

#[test]
fn two_processes_with_one_instance_id_fence_each_other() {
    let mut bench = Bench::new();
    let first = bench.settled();
    let waiting = bench.join_as(static_wish("one"));
    let other = bench.join_as(static_wish("one"));
    assert_eq!(bench.joined(waiting).unwrap().error_code, ErrorCode::FENCED_INSTANCE_ID);
    let again = bench.join(&first.member_id);
    assert!(bench.joined(other).is_some_and(|other| other.error_code.is_none()));
    assert_eq!(bench.joined(again).unwrap().members.len(), 2);
}

#[test]
fn a_full_group_lets_nobody_in() {
    let mut bench = Bench::with(GroupSettings { max_size: 1, ..GroupSettings::default() });
    let member = bench.settled();
    let ticket = bench.join(&Text::default());
    assert_eq!(bench.joined(ticket).unwrap().error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!((bench.beat(&member), bench.state()), (ErrorCode::NONE, State::Stable));
}

#[test]
fn another_coordinator_knows_members_and_generation() {
    let mut bench = Bench::new();
    let member = bench.settled();
    bench.coordinator = BrokerId(2);
    assert_eq!(bench.at(60).beat(&member), ErrorCode::NONE, "while nobody coordinates no session ends");
    let asking = bench.sync(&member, &[]);
    assert_eq!(bench.synced(asking).unwrap().assignment, &b"all"[..]);
    assert_eq!(bench.at(70).size(), 0, "a session begins with the new one");
}

#[test]
fn who_waits_is_told_that_the_coordinator_is_another() {
    let mut bench = Bench::new();
    let old = bench.settled();
    let new = bench.join(&Text::default());
    bench.coordinator = BrokerId(2);
    assert_eq!(bench.at(5).joined(new).unwrap().error_code, ErrorCode::NOT_COORDINATOR);
    // Who had not been let in is in no log; the other one joins again.
    assert_eq!(bench.beat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.admitted(wish(&old.member_id)).members.len(), 1);
}

#[test]
fn a_coordinator_that_another_one_was_in_between_has_lost_sight_of_its_groups() {
    let mut bench = Bench::new();
    let member = bench.settled();
    bench.groups.brokers_changed(|_| Some(BrokerId(2)));
    bench.groups.brokers_changed(|_| Some(BrokerId(1)));
    assert_eq!(bench.at(60).beat(&member), ErrorCode::NONE);
}

#[test]
fn who_waits_is_woken_when_it_is_due_earlier_than_it_was() {
    let mut bench = Bench::new();
    let first = bench.settled();
    bench.join(&Text::default());
    let (id, waiting) = (Bench::id(), bench.connection);
    let seconds = |second| Some(bench.start + Duration::from_secs(second));
    let [five, ten] = [5, 10].map(seconds);
    assert_eq!(bench.groups.deadline(&id), ten, "the first's session");
    bench.groups.take_woken();
    bench.at(4).beat(&first);
    assert_eq!(bench.groups.take_woken(), [], "it is due later: it will see");
    let brief = Duration::from_secs(1);
    bench.join_as(Join { session_timeout: brief, can_learn_its_id: true, ..wish(&Text::default()) });
    assert!(bench.groups.take_woken().contains(&waiting), "it has to look at 5 s");
    assert_eq!(bench.groups.deadline(&id), five);
}

#[test]
fn when_one_who_waits_goes_another_one_looks() {
    let mut bench = Bench::new();
    bench.settled();
    let gone = bench.join(&Text::default());
    bench.join(&Text::default());
    let waiting = bench.connection;
    bench.groups.take_woken();
    bench.groups.forget(gone);
    assert_eq!(bench.groups.take_woken(), [waiting]);
    bench.at(60);
    assert_eq!(bench.groups.take(gone), None, "nobody is there to be told");
}

/// Nobody is there to lead, and nobody is given time: that must not be asked about again and again at the same instant.
#[test]
fn static_members_that_take_no_time_to_join_again_hold_nobody_up() {
    let mut bench = Bench::new();
    let one = bench.join_as(static_wish("one"));
    let one = bench.joined(one).unwrap();
    let two = bench.join_as(static_wish("two"));
    let again = bench.join_as(Join { member_id: one.member_id, ..static_wish("one") });
    let [one, two] = [again, two].map(|ticket| bench.joined(ticket).unwrap());
    for member in [&two, &one] {
        bench.sync(member, &[]);
    }
    // Both are other processes now, which have the place of those that were.
    let hurried = |instance| Join { rebalance_timeout: Duration::ZERO, ..static_wish(instance) };
    let one = bench.admitted(hurried("one"));
    bench.admitted(hurried("two"));
    assert_eq!(bench.state(), State::Stable);
    bench.with_group(|group, turn| group.leave(&[(one.member_id, Some("one".into()))], turn));
    assert_eq!((bench.state(), bench.size()), (State::PreparingRebalance, 1));
    let back = bench.at(5).admitted(hurried("two"));
    assert_eq!(back.members.len(), 1);
    assert_eq!(bench.at(50).size(), 0);
}

#[test]
fn no_more_ids_are_lent_than_a_group_may_have_members() {
    let mut bench = Bench::with(GroupSettings { max_size: 2, ..GroupSettings::default() });
    let asking = Join { can_learn_its_id: true, ..wish(&Text::default()) };
    let ask = |bench: &mut Bench| {
        let ticket = bench.join_as(asking.clone());
        bench.joined(ticket).unwrap()
    };
    let [first, second, third] = [(); 3].map(|()| ask(&mut bench));
    assert_eq!([&first, &second].map(|lent| lent.error_code), [ErrorCode::MEMBER_ID_REQUIRED; 2]);
    assert_eq!((third.error_code, third.member_id), (ErrorCode::GROUP_MAX_SIZE_REACHED, Text::default()));
    bench.admitted(wish(&first.member_id));
    assert_eq!(ask(&mut bench).error_code, ErrorCode::MEMBER_ID_REQUIRED, "one of them has come");
}

/// Members may name any number of assignors, and everybody waits until the one is found that they share.
#[test]
fn many_assignors_are_no_reason_to_take_long() {
    const MANY: usize = 200_000;
    let named = |prefix: &str, last: &str| Join {
        protocols: (0..MANY)
            .map(|at| format!("{prefix}{at}"))
            .chain([last.to_owned()])
            .map(|name| Protocol { name: name.into(), metadata: Bytes::new() })
            .collect(),
        ..wish(&Text::default())
    };
    let mut bench = Bench::new();
    let first = bench.admitted(named("a", "range"));
    let start = crate::task::now();
    let second = bench.join_as(named("b", "range"));
    let again = bench.join_as(Join { member_id: first.member_id, ..named("a", "range") });
    assert_eq!(bench.joined(again).unwrap().protocol, Some("range".into()));
    assert!(bench.joined(second).is_some());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn what_a_member_subscribes_to_that_cannot_be_read_may_be_any_topic() {
    let subscribes = |metadata: Bytes| {
        let mut bench = Bench::new();
        let protocols = vec![Protocol { name: "range".into(), metadata }];
        bench.admitted(Join { protocols, ..wish(&Text::default()) });
        bench.with_group(|group, _| [group.subscribes("orders"), group.subscribes("returns")])
    };
    let orders = ConsumerProtocolSubscription { topics: vec!["orders".into()], ..Default::default() };
    assert_eq!(subscribes(orders.write(1).unwrap()), [true, false]);
    assert_eq!(subscribes(Bytes::from_static(b"{}")), [true, true]);
}
