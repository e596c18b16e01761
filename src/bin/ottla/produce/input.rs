//! [`Input`]: standard input and files, read by a thread of its own in pieces of whole lines, or each file as a whole.
//!
//! A piece goes on as soon as there is a whole line, so that what is typed or trickles in is not kept waiting; what is read
//! ahead is bounded by the channel. A line or a file longer than a record may be is passed over, not kept.

use crate::delimiter;
use crate::failure::{Failure, Outcome};
use bytes::{Buf, Bytes, BytesMut};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::thread;
use tokio::sync::mpsc;

/// How much is read at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// How many pieces may wait.
const PIECES: usize = 4;

/// Something that was read.
#[derive(Debug)]
pub(super) enum Piece {
    /// From here on the lines are those of this source, by its place among all.
    Source(usize),
    /// Whole lines with their delimiters; the last one of a source may lack it.
    Lines(Bytes),
    /// A file that is one record.
    File(Bytes),
    /// A line of so many bytes, which was not kept.
    TooLong(usize),
    /// A file of so many bytes, which was to be one record and is too long for it.
    FileTooLong(usize),
    /// The source cannot be read any further.
    Unreadable(String),
}

/// How to read.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// Whether files are read by lines, and not each as one record.
    pub(super) by_lines: bool,
    /// What ends a line.
    pub(super) delimiter: Vec<u8>,
    /// How long a record may be.
    pub(super) limit: usize,
}

/// What is going to be read.
#[derive(Debug)]
pub(super) struct Sources {
    /// The names of the sources; standard input has none.
    pub(super) names: Vec<Option<String>>,
    /// How much there is, when there are only files.
    pub(super) total_bytes: Option<u64>,
    /// Whether a person types the lines.
    pub(super) is_terminal: bool,
}

/// The lines of all sources, one after the other.
#[derive(Debug)]
pub(super) struct Input {
    pieces: mpsc::Receiver<Piece>,
}

impl Input {
    /// Opens all sources, so that a missing file is told before anything is sent, and starts to read them.
    pub(super) fn open(files: &[PathBuf], manner: &Manner) -> Outcome<(Input, Sources)> {
        let standard_input = [PathBuf::from("-")];
        let files = if files.is_empty() { standard_input.as_slice() } else { files };
        let mut sources = Sources { names: Vec::new(), total_bytes: Some(0), is_terminal: false };
        let mut opened = Vec::new();
        for path in files {
            if path.as_os_str() == "-" {
                sources.names.push(None);
                sources.total_bytes = None;
                sources.is_terminal |= io::stdin().is_terminal();
                opened.push(None);
                continue;
            }
            let unreadable = |error| Failure::failed(format!("cannot read {}: {error}", path.display()));
            let file = File::open(path).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                return Err(Failure::failed(format!("cannot read {}: it is a folder", path.display())));
            }
            // A pipe has no length of its own.
            let length = Some(metadata.len()).filter(|_| metadata.is_file());
            sources.total_bytes =
                sources.total_bytes.zip(length).map(|(sum, length)| sum.saturating_add(length));
            sources.names.push(Some(path.display().to_string()));
            opened.push(Some(file));
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        let Manner { by_lines, delimiter, limit } = manner.clone();
        let reader = Reader { sender, by_lines, delimiter, limit };
        thread::spawn(move || reader.read_all(opened));
        Ok((Input { pieces }, sources))
    }

    /// The next piece; `None` after the last one.
    ///
    /// # Cancel safety
    /// No piece is lost.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// Reads no more; the pieces that wait are still to be had.
    pub(super) fn stop(&mut self) {
        self.pieces.close();
    }
}

/// How many lines there are.
pub(super) fn count_lines(mut lines: Bytes, delimiter: &[u8]) -> u64 {
    let mut count = 0;
    while !lines.is_empty() {
        first_line(&mut lines, delimiter);
        count += 1;
    }
    count
}

/// Takes the first line off, without its delimiter.
pub(super) fn first_line(lines: &mut Bytes, delimiter: &[u8]) -> Bytes {
    match delimiter::find(lines, delimiter) {
        Some(at) => {
            let line = lines.split_to(at);
            lines.advance(delimiter.len());
            line
        }
        None => std::mem::take(lines),
    }
}

/// The reading thread. It ends when everything is read, or when nobody wants to know any more.
struct Reader {
    sender: mpsc::Sender<Piece>,
    by_lines: bool,
    delimiter: Vec<u8>,
    limit: usize,
}

/// Nobody wants to know any more.
struct Unwanted;

impl Reader {
    fn read_all(&self, sources: Vec<Option<File>>) {
        for (index, source) in sources.into_iter().enumerate() {
            let read = self.hand_on(Piece::Source(index)).and_then(|()| match source {
                Some(file) if !self.by_lines => self.read_whole(file),
                Some(file) => self.read(BufReader::with_capacity(BLOCK_BYTES, file)),
                None => self.read(BufReader::with_capacity(BLOCK_BYTES, io::stdin().lock())),
            });
            if read.is_err() {
                return;
            }
        }
    }

    fn read_whole(&self, mut file: File) -> Result<(), Unwanted> {
        let mut content = Vec::new();
        // One byte more than a record may have shows that it has too many.
        let most = u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1);
        if let Err(error) = file.by_ref().take(most).read_to_end(&mut content) {
            return self.hand_on(Piece::Unreadable(error.to_string()));
        }
        if content.len() <= self.limit {
            return self.hand_on(Piece::File(content.into()));
        }
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        self.hand_on(Piece::FileTooLong(content.len().max(usize::try_from(length).unwrap_or(usize::MAX))))
    }

    fn read(&self, mut source: impl BufRead) -> Result<(), Unwanted> {
        // What has been read of a line that is not whole.
        let mut begun = BytesMut::new();
        // How much of it was passed over because it is too long.
        let mut passed_over = 0;
        loop {
            let block = match source.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.hand_on(Piece::Unreadable(error.to_string())),
            };
            let length = block.len();
            if length == 0 {
                return self.finish(begun, passed_over);
            }
            begun.extend_from_slice(block);
            source.consume(length);
            if passed_over > 0 && !self.pass_over(&mut begun, &mut passed_over)? {
                continue;
            }
            // The delimiter may have begun in the block before.
            let fresh = begun.len().saturating_sub(length + self.delimiter.len() - 1);
            let end = begun.get(fresh..).and_then(|fresh| delimiter::last_end(fresh, &self.delimiter));
            if let Some(end) = end {
                self.hand_on(Piece::Lines(begun.split_to(fresh + end).freeze()))?;
            }
            if begun.len() > self.limit + self.delimiter.len() {
                self.pass_over(&mut begun, &mut passed_over)?;
            }
        }
    }

    /// Goes on in a line that is too long: drops what is there of it. Whether its end was found, and told.
    fn pass_over(&self, begun: &mut BytesMut, passed_over: &mut usize) -> Result<bool, Unwanted> {
        let (dropped, ended) = match delimiter::find(begun, &self.delimiter) {
            Some(at) => (at, true),
            // A delimiter may have begun at the end.
            None => (begun.len().saturating_sub(self.delimiter.len() - 1), false),
        };
        *passed_over += dropped;
        begun.advance(dropped);
        if ended {
            begun.advance(self.delimiter.len());
            self.hand_on(Piece::TooLong(std::mem::take(passed_over)))?;
        }
        Ok(ended)
    }

    fn finish(&self, begun: BytesMut, passed_over: usize) -> Result<(), Unwanted> {
        match (begun.is_empty(), passed_over) {
            (true, 0) => Ok(()),
            (false, 0) => self.hand_on(Piece::Lines(begun.freeze())),
            (_, passed_over) => self.hand_on(Piece::TooLong(passed_over + begun.len())),
        }
    }

    fn hand_on(&self, piece: Piece) -> Result<(), Unwanted> {
        self.sender.blocking_send(piece).map_err(|_| Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out at most `step` bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    /// The lines as text, and `!size` for one that is too long.
    fn lines(text: &str, delimiter: &str, limit: usize, step: usize) -> Vec<String> {
        let (sender, mut pieces) = mpsc::channel(1000);
        let reader = Reader { sender, by_lines: true, delimiter: delimiter.into(), limit };
        assert!(reader.read(BufReader::new(Slow(text.as_bytes(), step))).is_ok());
        drop(reader);
        let mut all = Vec::new();
        while let Ok(piece) = pieces.try_recv() {
            match piece {
                Piece::Lines(mut lines) => {
                    while !lines.is_empty() {
                        let line = first_line(&mut lines, delimiter.as_bytes());
                        all.push(String::from_utf8(line.to_vec()).unwrap());
                    }
                }
                Piece::TooLong(size) => all.push(format!("!{size}")),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    #[test]
    fn lines_are_the_same_however_they_trickle_in() {
        for step in 1..20 {
            assert_eq!(lines("one\n\nthree\nlast", "\n", 100, step), ["one", "", "three", "last"], "{step}");
            assert_eq!(lines("a:b::c:::d::", "::", 100, step), ["a:b", "c", ":d"], "{step}");
            assert!(lines("", "\n", 100, step).is_empty());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_with_its_size_and_the_others_go_on() {
        let long = "x".repeat(50);
        for step in 1..60 {
            for delimiter in ["\n", "\r\n", "=-="] {
                let text = ["one", &long, "two", &long].join(delimiter);
                // A block may hold whole lines of any length; those are refused later, by their record.
                let expected = ["one", "!50", "two", "!50"];
                let whole = ["one", &long, "two", &long];
                let read = lines(&text, delimiter, 10, step);
                for (at, line) in read.iter().enumerate() {
                    assert!(line == expected[at] || line == whole[at], "{step}: {read:?}");
                }
                assert_eq!(read.len(), 4, "{step}: {read:?}");
            }
        }
        assert_eq!(lines(&format!("one\n{long}\ntwo"), "\n", 10, 5), ["one", "!50", "two"]);
    }

    #[test]
    fn a_line_as_long_as_the_limit_is_kept() {
        assert_eq!(lines("0123456789\n0123456789", "\n", 10, 3), ["0123456789", "0123456789"]);
    }
}
