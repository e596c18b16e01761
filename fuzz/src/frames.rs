//! The framer: however a stream is cut into reads, the same frames and the same error come out.

use crate::input::Input;
use bytes::Bytes;
use ottla::engine::connection::{FrameError, Framer, Spares};

const LIMIT: usize = 1 << 20;
/// What may be reserved ahead of the bytes: one large frame up to 4 MiB, and a chunk.
const AHEAD: usize = (4 << 20) + (64 << 10);

type Outcome = (Vec<Bytes>, Option<FrameError>);

pub fn any_split_gives_the_same_frames(mut input: Input<'_>) {
    let (least, cut) = (input.below(16), 1 + input.below(64));
    let stream = input.rest();
    let whole = feed(stream, least, stream.len().max(1));
    assert_eq!(whole, feed(stream, least, 1));
    assert_eq!(whole, feed(stream, least, cut));
}

fn feed(stream: &[u8], least: usize, cut: usize) -> Outcome {
    let mut framer = Framer::new(least, LIMIT, Spares::new(LIMIT));
    let mut frames = Vec::new();
    let mut left = stream;
    while !left.is_empty() {
        let (space, room) = framer.space();
        assert!(room > 0, "no room for what comes");
        assert!(space.capacity() <= stream.len() + AHEAD, "{} reserved", space.capacity());
        let (now, later) = left.split_at(cut.min(room).min(left.len()));
        space.extend_from_slice(now);
        left = later;
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
