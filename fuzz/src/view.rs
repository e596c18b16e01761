//! The picture of the cluster, fed with one Metadata answer after the other.

use crate::input::Input;
use bytes::Bytes;
use ottla::engine::view::{Asked, View};
use ottla::messages::{AnyResponse, ApiKey};

pub fn metadata(mut input: Input<'_>) {
    let mut view = View::default();
    while !input.is_empty() {
        let version = i16::from(input.byte() % 14);
        let asked = if input.byte() & 1 == 1 { Asked::AllTopics } else { Asked::SomeTopics };
        let body = Bytes::copy_from_slice(input.chunk());
        let Ok(AnyResponse::Metadata(answer)) = AnyResponse::decode(ApiKey::METADATA, version, &body) else {
            continue;
        };
        let before = format!("{view:?}");
        if view.apply(answer, asked).is_err() {
            assert_eq!(before, format!("{view:?}"), "refused, and yet something changed");
        }
        for topic in view.topics() {
            for partition in &topic.partitions {
                let _ = view.leader(topic.name.as_str(), partition.index);
            }
        }
    }
}
