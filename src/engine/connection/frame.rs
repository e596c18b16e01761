//! Frames: a length of four bytes, then that many bytes.

use bytes::{Bytes, BytesMut};
use std::fmt;

/// Bytes that a read may bring at once when no large frame is under way.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that a read may bring behind a large frame: probably there is another one, whose beginning is not to be moved.
const PEEK_BYTES: usize = 512;
/// Up to here a frame's buffer is made in one piece; beyond, it doubles as the bytes arrive.
const EXACT_BYTES: usize = 4 * 1024 * 1024;
/// The length in front of each frame.
const LENGTH_BYTES: usize = 4;

/// Cuts a stream of bytes into frames.
///
/// A driver reads into [`space`](Framer::space) and takes frames with [`next_frame`](Framer::next_frame). What is reserved ahead of
/// the bytes is bounded: the chunk, or one large frame up to 4 MiB.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    max_frame_bytes: usize,
    min_frame_bytes: usize,
    /// Whether the last frame was larger than a chunk.
    was_large: bool,
}

/// A length that no frame of Kafka's can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Negative, or too short for a header.
    Length {
        /// The length as sent.
        length: i32,
        /// What the peer seems to speak instead.
        looks_like: Option<&'static str>,
    },
    /// Above the limit.
    TooLarge {
        /// The length as sent, in bytes.
        length: i32,
        /// The limit, in bytes.
        limit: usize,
        /// What the peer seems to speak instead.
        looks_like: Option<&'static str>,
    },
}

impl Framer {
    /// A framer that refuses frames of more than `max_frame_bytes` and fewer than `min_frame_bytes`.
    pub fn new(min_frame_bytes: usize, max_frame_bytes: usize) -> Framer {
        Framer { buffer: BytesMut::new(), max_frame_bytes, min_frame_bytes, was_large: false }
    }

    /// Changes the limit from the next frame on; one that has begun under another limit is looked at again.
    pub fn set_max_frame_bytes(&mut self, max_frame_bytes: usize) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// Where the next bytes go, and how many may be read at most.
    ///
    /// A large frame gets a buffer of its own, and the read stops at its end: nothing of it is copied again, and it
    /// pins nothing but itself.
    pub fn space(&mut self) -> (&mut BytesMut, usize) {
        let have = self.buffer.len();
        let missing = self.frame_bytes().map_or(0, |total| total.saturating_sub(have));
        if missing <= CHUNK_BYTES {
            if self.buffer.capacity().saturating_sub(have) < missing.max(LENGTH_BYTES) {
                self.buffer.reserve(CHUNK_BYTES);
            }
            let room = self.buffer.capacity().saturating_sub(have);
            let room = if self.was_large && have < PEEK_BYTES { room.min(PEEK_BYTES) } else { room };
            return (&mut self.buffer, room);
        }
        if self.buffer.capacity() == have {
            let ahead = if have == 0 { EXACT_BYTES } else { have.max(EXACT_BYTES) };
            self.buffer.reserve(missing.min(ahead));
        } else if have <= CHUNK_BYTES
            && self.buffer.capacity().saturating_sub(have) < missing.min(EXACT_BYTES)
        {
            self.buffer.reserve(missing.min(EXACT_BYTES));
        }
        (&mut self.buffer, missing)
    }

    /// The next whole frame without its length; `None` when more bytes are needed.
    ///
    /// # Errors
    /// A length that cannot be; the stream is of no use after it.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.check()?;
        match self.frame_bytes() {
            Some(total) if self.buffer.len() >= total => {
                self.was_large = total > CHUNK_BYTES;
                let mut frame = self.buffer.split_to(total).freeze();
                Ok(Some(frame.split_off(LENGTH_BYTES)))
            }
            _ => Ok(None),
        }
    }

    /// Whether a frame has begun that is not whole.
    pub fn is_inside_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn length(&self) -> Option<i32> {
        self.buffer.first_chunk::<LENGTH_BYTES>().map(|head| i32::from_be_bytes(*head))
    }

    fn frame_bytes(&self) -> Option<usize> {
        let length = usize::try_from(self.length()?).ok()?;
        Some(length.saturating_add(LENGTH_BYTES))
    }

    fn check(&self) -> Result<(), FrameError> {
        let Some(length) = self.length() else { return Ok(()) };
        let looks_like = || looks_like(&self.buffer);
        match usize::try_from(length) {
            Ok(n) if n > self.max_frame_bytes => {
                Err(FrameError::TooLarge { length, limit: self.max_frame_bytes, looks_like: looks_like() })
            }
            Ok(n) if n >= self.min_frame_bytes => Ok(()),
            _ => Err(FrameError::Length { length, looks_like: looks_like() }),
        }
    }
}

/// What a peer that does not speak Kafka seems to speak, from its first bytes.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'H', b'T', b'T', b'P', ..] => Some("an HTTP server"),
        [0x15, 0x03, ..] => {
            Some("a TLS listener (it answered with a TLS alert): security.protocol should be SSL or SASL_SSL")
        }
        [0x16, 0x03, ..] => Some("a TLS peer: is security.protocol right?"),
        [b'S', b'S', b'H', b'-', ..] => Some("an SSH server"),
        [b'2', b'2', b'0', b' ' | b'-', ..] => Some("a mail or FTP server"),
        _ => None,
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks_like = match self {
            FrameError::Length { length, looks_like } => {
                write!(f, "a frame of {length} bytes cannot be")?;
                looks_like
            }
            FrameError::TooLarge { length, limit, looks_like } => {
                write!(
                    f,
                    "a frame of {length} bytes is above the limit of {limit} (receive.message.max.bytes)"
                )?;
                looks_like
            }
        };
        looks_like.map_or(Ok(()), |what| write!(f, "; the peer looks like {what}"))
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn feed(framer: &mut Framer, mut bytes: &[u8], at_once: usize) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (space, limit) = framer.space();
            assert!(limit > 0);
            let n = at_once.min(limit).min(bytes.len());
            space.put_slice(&bytes[..n]);
            bytes = &bytes[n..];
            while let Some(frame) = framer.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        let sizes = [4usize, 5, 100, 70_000, 4, 200_000, 9_000_000, 7];
        for (i, size) in sizes.iter().enumerate() {
            stream.put_i32(*size as i32);
            stream.extend(std::iter::repeat_n(i as u8, *size));
        }
        for at_once in [1, 3, 1_000, 65_536, usize::MAX] {
            let stream = if at_once < 1_000 { &stream[..70_200] } else { &stream[..] };
            let mut framer = Framer::new(4, 100 << 20);
            for (i, frame) in feed(&mut framer, stream, at_once).iter().enumerate() {
                assert_eq!(frame.len(), sizes[i], "{at_once} bytes at once");
                assert!(frame.iter().all(|b| *b == i as u8));
            }
        }
    }

    #[test]
    fn nothing_is_reserved_ahead_of_a_length_alone() {
        let mut framer = Framer::new(4, 100 << 20);
        framer.space().0.put_i32(100 << 20);
        assert_eq!(framer.next_frame(), Ok(None));
        let (space, _) = framer.space();
        assert!(space.capacity() <= EXACT_BYTES + CHUNK_BYTES, "{}", space.capacity());
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_and_the_peer_is_guessed() {
        for (head, expected) in [
            (&b"\xff\xff\xff\xff"[..], "a frame of -1 bytes cannot be"),
            (b"\x00\x00\x00\x03", "a frame of 3 bytes cannot be"),
            (b"\x7f\xff\xff\xff", "a frame of 2147483647 bytes is above the limit of 1000"),
            (b"HTTP/1.1 400", "looks like an HTTP server"),
            (b"\x15\x03\x03\x00\x02", "looks like a TLS listener"),
        ] {
            let mut framer = Framer::new(4, 1_000);
            framer.space().0.put_slice(head);
            let error = framer.next_frame().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
