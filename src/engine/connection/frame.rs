//! Frames: a length of four bytes, then that many bytes.

use super::spares::Spares;
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

/// Frames that are not large, in a row, after which a spare buffer is let go.
const PATIENCE: u32 = 64;

/// Cuts a stream of bytes into frames.
///
/// A driver reads into [`space`](Framer::space) and takes frames with [`next_frame`](Framer::next_frame). What is reserved ahead of
/// the bytes is bounded: the chunk, or one large frame up to 4 MiB. The buffers of large frames are used again ([`Spares`]).
#[derive(Debug)]
pub struct Framer {
    /// What came outside of a large frame.
    chunk: BytesMut,
    /// The large frame that is under way, from its first byte.
    large: Option<BytesMut>,
    spares: Spares,
    max_frame_bytes: usize,
    min_frame_bytes: usize,
    /// Frames since the last large one; `None` before the first.
    since_large: Option<u32>,
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
    pub fn new(min_frame_bytes: usize, max_frame_bytes: usize, spares: Spares) -> Framer {
        let chunk = BytesMut::new();
        Framer { chunk, large: None, spares, max_frame_bytes, min_frame_bytes, since_large: None }
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
        let have = self.begun().len();
        let total = self.frame_bytes().unwrap_or(0);
        let missing = total.saturating_sub(have);
        if self.large.is_none() && missing > CHUNK_BYTES {
            let mut large = self.spares.take_ahead(total, have.saturating_add(EXACT_BYTES));
            large.extend_from_slice(&self.chunk);
            self.chunk.clear();
            self.large = Some(large);
        }
        if let Some(large) = &mut self.large {
            if large.capacity() == have {
                large.reserve(missing.min(have));
            }
            return (large, missing);
        }
        if self.chunk.capacity().saturating_sub(have) < missing.max(LENGTH_BYTES) {
            self.chunk.reserve(CHUNK_BYTES);
        }
        let room = self.chunk.capacity().saturating_sub(have);
        let peeks = self.since_large == Some(0) && have < PEEK_BYTES;
        (&mut self.chunk, if peeks { room.min(PEEK_BYTES) } else { room })
    }

    /// The next whole frame without its length; `None` when more bytes are needed.
    ///
    /// # Errors
    /// A length that cannot be; the stream is of no use after it.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.check()?;
        let Some(total) = self.frame_bytes().filter(|total| self.begun().len() >= *total) else {
            return Ok(None);
        };
        let mut frame = match self.large.take() {
            Some(large) => {
                self.since_large = Some(0);
                self.spares.lend(large)
            }
            None => {
                self.count_small();
                self.chunk.split_to(total).freeze()
            }
        };
        Ok(Some(frame.split_off(LENGTH_BYTES)))
    }

    /// Whether a frame has begun that is not whole.
    pub fn is_inside_frame(&self) -> bool {
        !self.begun().is_empty()
    }

    /// What there is of the next frame, and in the chunk of those behind it.
    fn begun(&self) -> &BytesMut {
        self.large.as_ref().unwrap_or(&self.chunk)
    }

    fn count_small(&mut self) {
        let Some(count) = &mut self.since_large else { return };
        *count = count.saturating_add(1);
        if *count > PATIENCE {
            *count = 1;
            self.spares.let_one_go();
        }
    }

    fn length(&self) -> Option<i32> {
        self.begun().first_chunk::<LENGTH_BYTES>().map(|head| i32::from_be_bytes(*head))
    }

    fn frame_bytes(&self) -> Option<usize> {
        let length = usize::try_from(self.length()?).ok()?;
        Some(length.saturating_add(LENGTH_BYTES))
    }

    fn check(&self) -> Result<(), FrameError> {
        let Some(length) = self.length() else { return Ok(()) };
        let looks_like = || looks_like(self.begun());
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
            let mut framer = Framer::new(4, 100 << 20, Spares::new(8 << 20));
            for (i, frame) in feed(&mut framer, stream, at_once).iter().enumerate() {
                assert_eq!(frame.len(), sizes[i], "{at_once} bytes at once");
                assert!(frame.iter().all(|b| *b == i as u8));
            }
        }
    }

    #[test]
    fn nothing_is_reserved_ahead_of_a_length_alone() {
        let mut framer = Framer::new(4, 100 << 20, Spares::new(8 << 20));
        framer.space().0.put_i32(100 << 20);
        assert_eq!(framer.next_frame(), Ok(None));
        let (space, _) = framer.space();
        assert!(space.capacity() <= EXACT_BYTES + CHUNK_BYTES, "{}", space.capacity());
    }

    #[test]
    fn the_memory_of_large_frames_is_used_again_until_it_is_not_wanted() {
        let one = |size: usize| [&(size as i32).to_be_bytes()[..], &vec![3; size]].concat();
        let (large, small) = (one(1_000_000), one(9));
        let mut framer = Framer::new(4, 100 << 20, Spares::new(8 << 20));
        let mut place = |stream: &[u8]| feed(&mut framer, stream, 50_000)[0].as_ptr();
        let first = place(&large);
        assert_eq!(place(&[&large[..], &small].concat()), first);
        for _ in 1..PATIENCE {
            place(&small);
        }
        assert_eq!(place(&large), first, "still wanted");
        for _ in 0..=PATIENCE {
            place(&small);
        }
        assert!(framer.spares.take_ahead(1_000_000, 0).capacity() < 1_000_000, "let go");
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
            let mut framer = Framer::new(4, 1_000, Spares::new(0));
            framer.space().0.put_slice(head);
            let error = framer.next_frame().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
