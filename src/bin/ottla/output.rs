//! [`Output`]: standard output in large pieces, and without the panic of `println!` when nobody reads any more.

use crate::failure::{Failure, Outcome};
use std::io::{self, Write};

/// How much is collected before it is written.
const PIECE_BYTES: usize = 64 * 1024;

/// What is to go to standard output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    collected: Vec<u8>,
}

impl Output {
    /// Where to write to; nothing leaves the process before [`spill`](Self::spill) or [`flush`](Self::flush).
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.collected
    }

    /// Writes what has been collected, if it is much.
    pub(crate) fn spill(&mut self) -> Outcome {
        if self.collected.len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    /// Writes what has been collected.
    pub(crate) fn flush(&mut self) -> Outcome {
        if self.collected.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.collected).and_then(|()| stdout.flush());
        self.collected.clear();
        // One huge record must not stay for ever.
        self.collected.shrink_to(2 * PIECE_BYTES);
        written.map_err(|error| Failure::output(&error))
    }
}

/// Writes a text with its last newline.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = Output::default();
    output.buffer().extend_from_slice(text.as_bytes());
    output.buffer().push(b'\n');
    output.flush()
}
