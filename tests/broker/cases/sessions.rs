//! Fetch sessions (KIP-227).

use super::{Target, Topic};
use crate::batch;
use ottla::messages::{ErrorCode, FetchRequest, FetchResponse, ForgottenTopic};

/// A request within a session.
fn within(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest { session_id, session_epoch, max_bytes: 1 << 25, ..Default::default() }
}

/// A request for partitions of a topic.
fn asking(topic: &Topic, partitions: &[i32], session_id: i32, session_epoch: i32) -> FetchRequest {
    let mut request = FetchRequest { session_id, session_epoch, ..topic.fetch(0) };
    request.topics[0].partitions = partitions
        .iter()
        .map(|partition| topic.fetch_of(*partition, 0).topics[0].partitions[0].clone())
        .collect();
    request
}

fn told(response: &FetchResponse) -> Vec<i32> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.partition_index).collect()
}

pub fn a_session_tells_only_news(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(3, &[]));
    for version in [12, 18] {
        let first = peer.ask(version, asking(&topic, &[0, 1, 2], 0, 0));
        assert_eq!(told(&first), [0, 1, 2], "the first answer tells all");
        let id = first.session_id;
        assert_ne!(id, 0);
        let second = peer.ask(version, within(id, 1));
        assert_eq!((second.error_code, second.session_id), (ErrorCode::NONE, id));
        assert_eq!(
            told(&second),
            if version == 12 { vec![] } else { vec![1] },
            "records are told until they are read"
        );
        peer.ask(12, topic.produce_to(1, Some(batch::of(1))));
        let third = peer.ask(version, within(id, 2));
        assert_eq!(told(&third), [1]);
        let mut read = asking(&topic, &[1], id, 3);
        read.topics[0].partitions[0].fetch_offset = if version == 12 { 1 } else { 2 };
        assert!(told(&peer.ask(version, read)).is_empty());
        let last = peer.ask(version, asking(&topic, &[0], id, -1));
        assert_eq!((told(&last), last.session_id), (vec![0], 0), "-1 ends the session");
    }
}

pub fn wrong_ids_and_epochs_are_refused(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let id = peer.ask(12, asking(&topic, &[0], 0, 0)).session_id;
    let refused = |response: FetchResponse| (response.error_code, response.session_id, told(&response).len());
    let unknown = if id == 77 { 78 } else { 77 };
    assert_eq!(refused(peer.ask(12, within(unknown, 1))), (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0, 0));
    assert_eq!(refused(peer.ask(12, within(id, 2))), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0, 0));
    assert_eq!(refused(peer.ask(13, within(id, 1))), (ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR, 0, 0));
    assert_eq!(refused(peer.ask(12, within(id, 1))), (ErrorCode::NONE, id, 0));
    assert_eq!(refused(peer.ask(12, within(id, 1))), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0, 0));
}

pub fn partitions_are_added_and_forgotten(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(3, &[]));
    let id = peer.ask(12, asking(&topic, &[0], 0, 0)).session_id;
    assert_eq!(told(&peer.ask(12, asking(&topic, &[1], id, 1))), [1], "what is new is told");
    for partition in 0..3 {
        peer.ask(12, topic.produce_to(partition, Some(batch::of(1))));
    }
    let mut both = told(&peer.ask(12, within(id, 2)));
    both.sort_unstable();
    assert_eq!(both, [0, 1]);
    let forgotten = ForgottenTopic { topic: topic.name.clone(), topic_id: topic.id, partitions: vec![0] };
    let forget = FetchRequest { forgotten_topics_data: vec![forgotten], ..within(id, 3) };
    assert_eq!(told(&peer.ask(12, forget)), [1]);
}
