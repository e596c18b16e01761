//! What the members of a group send each other: any bytes are a value or an error, whatever is read can be written and is
//! read again, and bytes behind it change nothing.

use crate::input::Input;
use bytes::Bytes;
use ottla::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, CooperativeStickyAssignorUserData,
    GenerationId, StickyAssignorUserData,
};

pub fn blobs(mut input: Input<'_>) {
    let kind = input.below(4);
    let blob = input.frame();
    match kind {
        0 => subscription(&blob),
        1 => assignment(&blob),
        2 => sticky(&blob),
        _ => cooperative_sticky(&blob),
    }
}

fn subscription(blob: &Bytes) {
    let Ok(read) = ConsumerProtocolSubscription::read(blob) else { return };
    assert_eq!(ConsumerProtocolSubscription::read(&longer(blob)).as_ref(), Ok(&read));
    for version in 0..=ConsumerProtocolSubscription::VERSION {
        let written = read.write(version).expect("what was read can be written");
        let again = ConsumerProtocolSubscription::read(&written).expect("what was written can be read");
        assert_eq!(again.write(version).as_ref(), Ok(&written));
        if version == ConsumerProtocolSubscription::VERSION {
            assert_eq!(again, read);
        }
    }
    if let Some(user_data) = &read.user_data {
        sticky(user_data);
        cooperative_sticky(user_data);
    }
}

fn assignment(blob: &Bytes) {
    let Ok(read) = ConsumerProtocolAssignment::read(blob) else { return };
    assert_eq!(ConsumerProtocolAssignment::read(&longer(blob)).as_ref(), Ok(&read));
    for version in 0..=ConsumerProtocolAssignment::VERSION {
        let written = read.write(version).expect("what was read can be written");
        assert_eq!(ConsumerProtocolAssignment::read(&written).as_ref(), Ok(&read));
    }
}

fn sticky(user_data: &Bytes) {
    let Ok(read) = StickyAssignorUserData::read(user_data) else { return };
    let written = read.write().expect("what was read can be written");
    assert_eq!(StickyAssignorUserData::read(&written).as_ref(), Ok(&read));
    // Where there was no generation, what follows may become one.
    let longer = StickyAssignorUserData::read(&longer(user_data)).expect("a longer one");
    assert_eq!(longer.previous_assignment, read.previous_assignment);
    assert!(longer.generation == read.generation || read.generation == GenerationId::NONE);
}

fn cooperative_sticky(user_data: &Bytes) {
    let read = CooperativeStickyAssignorUserData::read(user_data);
    assert_eq!(read.is_ok(), user_data.len() >= 4);
    let Ok(read) = read else { return };
    assert_eq!(read.write().expect("a number"), user_data.slice(..4));
    assert_eq!(CooperativeStickyAssignorUserData::read(&longer(user_data)), Ok(read));
}

/// The same, and what versions to come may append.
fn longer(blob: &Bytes) -> Bytes {
    [blob, &b"appended"[..]].concat().into()
}
