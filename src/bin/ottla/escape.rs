//! What a backslash stands for on the command line, in delimiters and formats alike: `\n`, `\x1e`, `\0`, as kcat has it.

use std::iter::Peekable;
use std::str::Chars;

/// Reads what follows a backslash, and appends the bytes that both together stand for.
///
/// A number without `x` is octal behind a 0, else decimal, as C's `strtoul` reads it for kcat. Other than kcat, a letter
/// that means nothing is an error and does not stand for itself, and the number of `\x` ends after two digits.
///
/// # Errors
/// When it is no escape.
pub(crate) fn read(letters: &mut Peekable<Chars<'_>>, to: &mut Vec<u8>) -> Result<(), String> {
    match letters.peek().copied() {
        Some('0') => to.push(number(letters, 8, 4)?),
        Some('1'..='9') => to.push(number(letters, 10, 3)?),
        other => {
            letters.next();
            match other {
                Some('n') => to.push(b'\n'),
                Some('r') => to.push(b'\r'),
                Some('t') => to.push(b'\t'),
                Some('x') => to.push(number(letters, 16, 2)?),
                Some(sign) if !sign.is_alphanumeric() => append(sign, to),
                _ => return Err("known escapes are \\n, \\r, \\t, \\0, \\xNN and \\\\".to_owned()),
            }
        }
    }
    Ok(())
}

/// Appends a character that stands for itself.
pub(crate) fn append(letter: char, to: &mut Vec<u8>) {
    to.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn number(letters: &mut Peekable<Chars<'_>>, radix: u32, most_digits: u32) -> Result<u8, String> {
    let (mut number, mut digits) = (0, 0);
    while digits < most_digits
        && let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(radix))
    {
        letters.next();
        number = number * radix + digit;
        digits += 1;
    }
    if digits == 0 {
        return Err("hexadecimal digits are expected after \\x".to_owned());
    }
    u8::try_from(number).map_err(|_| format!("an escape is one byte, 0 to 255, and not {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<u8>, String> {
        let (mut letters, mut bytes) = (text.chars().peekable(), Vec::new());
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => read(&mut letters, &mut bytes)?,
                letter => append(letter, &mut bytes),
            }
        }
        Ok(bytes)
    }

    #[test]
    fn escapes_are_bytes() {
        for (text, bytes) in [
            (r"\n\r\t", b"\n\r\t".as_slice()),
            (r"\x1e\x1E\xff", b"\x1e\x1e\xff"),
            (r"\x1|\x1g\x0a1", b"\x01|\x01g\n1"),
            (r"\0|\033|\08|\0377", b"\0|\x1b|\x008|\xff"),
            (r"\10|\101|\2550", b"\n|e|\xff0"),
            (r#"\\\"\'\:\→\%"#, "\\\"':→%".as_bytes()),
        ] {
            assert_eq!(all(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_is_told() {
        for (text, told) in [
            (r"\", "known escapes"),
            (r"\q", "known escapes"),
            (r"\č", "known escapes"),
            (r"\x", "hexadecimal digits"),
            (r"\xg", "hexadecimal digits"),
            (r"\x+1", "hexadecimal digits"),
            (r"\256", "not 256"),
            (r"\0777", "not 511"),
        ] {
            assert!(all(text).unwrap_err().contains(told), "{text}");
        }
    }
}
