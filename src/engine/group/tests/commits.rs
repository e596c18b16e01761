use super::*;
use crate::engine::group::commits::{Commits, Offsets};
use crate::messages::{
    OffsetCommitPartitionResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopicResponse,
};

struct Desk {
    commits: Commits<&'static str>,
    now: Instant,
    rng: fastrand::Rng,
}

fn offsets(list: &[(i32, i64)]) -> Offsets {
    list.iter()
        .map(|(partition, offset)| (TopicPartition::new("orders", *partition), (*offset).into()))
        .collect()
}

fn who(generation: i32) -> Identity {
    Identity { member: "me".into(), generation, instance: None }
}

impl Desk {
    fn new() -> Desk {
        let commits = Commits::new("billing".into(), Backoff::RETRY);
        Desk { commits, now: Instant::now(), rng: fastrand::Rng::with_seed(1) }
    }

    fn order(&mut self, token: &'static str, list: &[(i32, i64)]) {
        self.commits.order(token, offsets(list), self.now + Duration::from_secs(60));
    }

    fn next(&mut self, generation: i32) -> Option<OffsetCommitRequest> {
        self.commits.next(Some(&who(generation)), self.now).map(|(request, _)| request)
    }

    fn said(&mut self, generation: i32) -> Vec<(i32, i64)> {
        let request = self.next(generation).unwrap();
        assert_eq!(request.generation_id_or_member_epoch.0, generation);
        let partitions = request.topics.into_iter().flat_map(|topic| topic.partitions);
        partitions.map(|one| (one.partition_index, one.committed_offset)).collect()
    }

    fn answer(&mut self, codes: &[(i32, ErrorCode)]) {
        let one = |(partition_index, error_code): &(i32, ErrorCode)| OffsetCommitPartitionResponse {
            partition_index: *partition_index,
            error_code: *error_code,
        };
        let topic = OffsetCommitTopicResponse {
            name: "orders".into(),
            partitions: codes.iter().map(one).collect(),
            ..Default::default()
        };
        let answer = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
        self.commits.digest(Ok(answer), self.now, &mut self.rng);
    }

    /// What is over: nothing when it is well, else the code.
    fn over(&mut self) -> Vec<(&'static str, Option<ErrorCode>)> {
        let over = self.commits.take_over().into_iter();
        over.map(|(token, outcome)| (token, outcome.err().map(|error| error.code().unwrap()))).collect()
    }

    fn wait(&mut self) {
        self.now = self.commits.due().unwrap();
    }
}

#[test]
fn what_is_ordered_while_a_commit_is_under_way_goes_into_the_next_one_the_newest_of_each_partition() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1), (1, 1)]);
    assert_eq!(desk.said(5), [(0, 1), (1, 1)]);
    desk.order("b", &[(0, 2)]);
    desk.order("c", &[(0, 3)]);
    assert!(desk.next(5).is_none(), "one at a time");
    desk.answer(&[(0, ErrorCode::NONE), (1, ErrorCode::NONE)]);
    assert_eq!(desk.over(), [("a", None)]);
    assert_eq!(desk.said(5), [(0, 3)]);
    desk.answer(&[(0, ErrorCode::NONE)]);
    assert_eq!(desk.over(), [("b", None), ("c", None)]);
    assert!(desk.commits.is_idle());
}

#[test]
fn what_failed_is_said_again_after_a_pause_but_never_after_something_newer() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    desk.said(5);
    desk.order("b", &[(0, 2)]);
    desk.commits.digest(Err(lost()), desk.now, &mut desk.rng);
    assert!(desk.next(5).is_none(), "it waits");
    desk.wait();
    assert_eq!(desk.said(5), [(0, 2)]);
    desk.answer(&[(0, ErrorCode::NONE)]);
    assert_eq!(desk.over(), [("a", None), ("b", None)]);
}

#[test]
fn an_older_generation_is_put_right_as_long_as_the_partition_was_kept() {
    let mut desk = Desk::new();
    desk.order("kept", &[(0, 1)]);
    desk.order("given away", &[(1, 1)]);
    desk.said(5);
    desk.answer(&[(0, ErrorCode::ILLEGAL_GENERATION), (1, ErrorCode::ILLEGAL_GENERATION)]);
    desk.commits.forget(&[TopicPartition::new("orders", 1)], ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(desk.over(), [("given away", Some(ErrorCode::ILLEGAL_GENERATION))]);
    desk.wait();
    assert_eq!(desk.said(6), [(0, 1)]);
    desk.answer(&[(0, ErrorCode::NONE)]);
    assert_eq!(desk.over(), [("kept", None)]);
}

#[test]
fn what_was_given_away_while_its_commit_was_under_way_is_not_said_again() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    desk.said(5);
    desk.commits.forget(&[TopicPartition::new("orders", 0)], ErrorCode::STALE_MEMBER_EPOCH);
    desk.commits.digest(Err(lost()), desk.now, &mut desk.rng);
    assert_eq!(desk.over(), [("a", Some(ErrorCode::STALE_MEMBER_EPOCH))]);
    assert!(desk.commits.is_idle());
}

#[test]
fn when_the_member_ends_nobody_waits_on_for_a_commit_that_is_under_way() {
    let mut desk = Desk::new();
    desk.order("under way", &[(0, 1)]);
    desk.said(5);
    desk.order("waiting", &[(0, 2)]);
    desk.commits.end(&code(ErrorCode::REQUEST_TIMED_OUT));
    let over = desk.commits.take_over();
    let told: Vec<(&str, bool)> = over
        .iter()
        .map(|(token, told)| {
            (*token, told.as_ref().unwrap_err().to_string().contains("may have been written"))
        })
        .collect();
    assert_eq!(told, [("under way", true), ("waiting", false)]);
    assert!(desk.commits.is_idle());
}

#[test]
fn each_order_hears_of_its_own_partitions() {
    let mut desk = Desk::new();
    desk.order("small", &[(0, 1)]);
    desk.order("large", &[(1, 1)]);
    desk.order("both", &[(0, 2), (1, 2)]);
    desk.said(5);
    desk.answer(&[(0, ErrorCode::NONE), (1, ErrorCode::OFFSET_METADATA_TOO_LARGE)]);
    let large = Some(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!(desk.over(), [("small", None), ("large", large), ("both", large)]);
}

#[test]
fn an_order_ends_in_time_with_the_last_fault() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    assert!(desk.commits.next(None, desk.now).is_none(), "it is no member yet");
    desk.now += Duration::from_secs(61);
    assert!(desk.commits.next(None, desk.now).is_none());
    let (_, outcome) = desk.commits.take_over().pop().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
}

/// What is due at once for ever keeps a processor busy.
#[test]
fn an_order_that_waits_for_a_member_to_join_is_not_due_before_it_is_too_late() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    let late = desk.now + Duration::from_secs(60);
    desk.said(5);
    desk.answer(&[(0, ErrorCode::REBALANCE_IN_PROGRESS)]);
    desk.now = desk.commits.due().unwrap();
    assert!(desk.now < late, "it is repeated before");
    assert!(desk.commits.next(None, desk.now).is_none(), "it is no member any more");
    assert_eq!(desk.commits.due(), Some(late));
    assert_eq!(desk.said(6), [(0, 1)], "it is repeated as soon as it is one again");
}

#[test]
fn a_topic_that_nobody_knows_is_not_asked_for_for_ever() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    for _ in 0..20 {
        if desk.next(5).is_some() {
            desk.answer(&[(0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]);
        }
        if let Some(due) = desk.commits.due() {
            desk.now = due;
        }
    }
    assert_eq!(desk.over(), [("a", Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))]);
}

#[test]
fn what_was_taken_before_it_was_given_away_is_committed() {
    let mut desk = Desk::new();
    desk.order("a", &[(0, 1)]);
    desk.said(5);
    desk.commits.forget(&[TopicPartition::new("orders", 0)], ErrorCode::STALE_MEMBER_EPOCH);
    desk.answer(&[(0, ErrorCode::NONE)]);
    assert_eq!(desk.over(), [("a", None)]);
}
