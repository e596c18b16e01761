//! Delimiters as kcat has them on its command line: `:`, `\n`, `\t`, `\x1e`, or several of these.

use crate::escape;
use std::io::BufRead;

/// The bytes that a text stands for.
///
/// # Errors
/// When it is empty, or has an escape that is none.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let bytes = parse_for_output(text)?;
    if bytes.is_empty() { Err("a delimiter cannot be empty".to_owned()) } else { Ok(bytes) }
}

/// The bytes that a text stands for, and none for none: what is printed needs nothing between.
///
/// # Errors
/// When it has an escape that is none.
pub(crate) fn parse_for_output(text: &str) -> Result<Vec<u8>, String> {
    let (mut bytes, mut letters) = (Vec::with_capacity(text.len()), text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => escape::read(&mut letters, &mut bytes)?,
            letter => escape::append(letter, &mut bytes),
        }
    }
    Ok(bytes)
}

/// Where the first delimiter begins.
pub(crate) fn find(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    match delimiter {
        [one] => find_byte(bytes, *one),
        _ => bytes.windows(delimiter.len().max(1)).position(|window| window == delimiter),
    }
}

/// The standard library's own search for a byte is fast, and to be had only in this way.
fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    let mut rest = bytes;
    let last = rest.skip_until(byte).ok()?.checked_sub(1)?;
    (bytes.get(last) == Some(&byte)).then_some(last)
}

/// Where the last delimiter ends of those that are found from left to right, so that `::` is found once in `:::`.
pub(crate) fn last_end(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    if let [one] = delimiter {
        return bytes.iter().rposition(|byte| byte == one).map(|at| at + 1);
    }
    let mut end = 0;
    while let Some(at) = bytes.get(end..).and_then(|rest| find(rest, delimiter)) {
        end += at + delimiter.len();
    }
    Some(end).filter(|end| *end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(parse(":").unwrap(), b":");
        assert_eq!(parse(r"\n").unwrap(), b"\n");
        assert_eq!(parse(r"\r\n").unwrap(), b"\r\n");
        assert_eq!(parse(r"\x1e\\\0\t").unwrap(), b"\x1e\\\0\t");
        assert_eq!(parse("→").unwrap(), "→".as_bytes());
    }

    #[test]
    fn what_is_no_delimiter_is_told() {
        for wrong in ["", r"\", r"\q", r"\x", r"\xg", r"\x+1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_for_output("").unwrap(), b"");
        assert!(parse_for_output(r"\").is_err());
    }

    #[test]
    fn the_first_and_the_last_are_found() {
        assert_eq!((find(b"a::b::c", b"::"), last_end(b"a::b::c", b"::")), (Some(1), Some(6)));
        assert_eq!((find(b"a:::", b"::"), last_end(b"a:::", b"::")), (Some(1), Some(3)));
        assert_eq!((find(b"a:b:c", b":"), last_end(b"a:b:c", b":")), (Some(1), Some(4)));
        assert_eq!((find(b"", b"::"), last_end(b"abc", b"::")), (None, None));
        assert_eq!((find(b"", b":"), find(b"abc", b":"), find(b"ab:", b":")), (None, None, Some(2)));
        assert_eq!((last_end(b"", b":"), last_end(b"abc", b":")), (None, None));
    }
}
