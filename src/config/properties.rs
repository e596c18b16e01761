//! The syntax of Java's `.properties` files, which kcat's and librdkafka's `key=value` files are a part of.

use zeroize::Zeroizing;

/// One setting of a file, as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    /// Without the white space around it, but for what is escaped.
    pub(super) value: String,
    /// The line it starts at, from 1.
    pub(super) line: usize,
}

/// What is wrong, and in which line. Never shows what stands there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// Reads the text as Java's `Properties.load` does: comments begin with `#` or `!`; a key ends at `=`, `:` or white space;
/// a line that ends in an odd number of `\` goes on in the next; `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes, and any
/// other character stands for itself after a `\`. Other than there white space at the end of a value is dropped.
pub(super) fn parse(text: &str) -> Result<Vec<Property>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    logical_lines(text).into_iter().map(|(line, text)| property(&text, line)).collect()
}

/// The lines that say something, with their continuations, and where each starts.
fn logical_lines(text: &str) -> Vec<(usize, Zeroizing<String>)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, Zeroizing<String>)> = None;
    for (index, line) in natural_lines(text).enumerate() {
        let line = line.trim_start_matches(is_blank);
        let (start, mut whole) = match open.take() {
            Some(begun) => begun,
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => (index + 1, Zeroizing::new(String::new())),
        };
        match continued(line) {
            Some(part) => {
                whole.push_str(part);
                open = Some((start, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((start, whole));
            }
        }
    }
    lines.extend(open);
    lines
}

/// Lines end at `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The line without its last `\`, if that one means that it goes on.
fn continued(line: &str) -> Option<&str> {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    if backslashes % 2 == 1 { line.strip_suffix('\\') } else { None }
}

fn property(line: &str, number: usize) -> Result<Property, Fault> {
    let (key, rest) = split_key(line);
    let fault = |what| Fault { line: number, what };
    let value = unescape(without_blanks(rest)).map_err(fault)?;
    Ok(Property { key: unescape(key).map_err(fault)?, value, line: number })
}

/// A blank that a `\` escapes is part of the value.
fn without_blanks(value: &str) -> &str {
    let value = value.trim_start();
    let end = value.trim_end();
    match (continued(end), value.strip_prefix(end).and_then(|rest| rest.chars().next())) {
        (Some(_), Some(blank)) => value.get(..end.len() + blank.len_utf8()).unwrap_or(value),
        _ => end,
    }
}

/// The key, and the value after the separator: white space with at most one `=` or `:` in it.
fn split_key(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at_checked(end.unwrap_or(line.len())).unwrap_or((line, ""));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut units: Vec<u16> = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('u') => {
                    units.push(
                        four_digits(&mut chars).ok_or("\\u is not followed by four hexadecimal digits")?,
                    );
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => continue,
            },
            (c, false) => c,
        };
        flush(&mut units, &mut out)?;
        out.push(plain);
    }
    flush(&mut units, &mut out)?;
    Ok(out)
}

fn four_digits(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits = chars.as_str().get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    chars.nth(3)?;
    u16::from_str_radix(digits, 16).ok()
}

/// Escapes in a row are UTF-16: a character beyond 65535 is two of them.
fn flush(units: &mut Vec<u16>, out: &mut String) -> Result<(), &'static str> {
    if !units.is_empty() {
        let text = String::from_utf16(units).map_err(|_| "\\u escapes that are half of a character")?;
        out.push_str(&text);
        units.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|property| (property.key, property.value)).collect()
    }

    #[test]
    fn the_syntax_is_javas() {
        for (text, key, value) in [
            ("acks=all", "acks", "all"),
            ("acks = all", "acks", "all"),
            ("  acks:all", "acks", "all"),
            ("acks all", "acks", "all"),
            ("acks\t:\tall ", "acks", "all"),
            ("user=\\ al\\\\ ice\\  ", "user", " al\\ ice "),
            ("user=\\\\ ", "user", "\\"),
            ("user= \u{a0}x\u{a0}", "user", "x"),
            ("acks==all", "acks", "=all"),
            ("acks", "acks", ""),
            ("=value", "", "value"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b c", "a b", "c"),
            ("key=a\\\n   b\\\r\n\tc", "key", "abc"),
            ("key=a\\\\\n", "key", "a\\"),
            ("key=a\\\\\\\nb", "key", "a\\b"),
            ("key=tab\\tnew\\nback\\\\q\\q", "key", "tab\tnew\nback\\qq"),
            ("key=\\u00e9\\uD83D\\uDE00!", "key", "é😀!"),
            ("key=\\", "key", ""),
            ("\u{feff}key=v", "key", "v"),
            (
                "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n  username=\"a\" \\\n  password=\"b=c:d\";",
                "sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"a\" password=\"b=c:d\";",
            ),
        ] {
            assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        assert_eq!(pairs("# a=b\n  ! c=d \\\n\n \t\r\ne=f\r#g=h\r\n"), [("e".to_owned(), "f".to_owned())]);
        assert_eq!(pairs("a=b\\\n# not a comment"), [("a".to_owned(), "b# not a comment".to_owned())]);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn a_setting_knows_its_line() {
        let lines: Vec<_> =
            parse("# one\na=1\\\n2\n\nb=3").unwrap().into_iter().map(|p| (p.line, p.value)).collect();
        assert_eq!(lines, [(2, "12".to_owned()), (5, "3".to_owned())]);
    }

    #[test]
    fn faulty_escapes_are_named_by_line() {
        for text in ["a=1\nb=\\u12", "a=1\nb=\\u12g4", "a=1\nb=\\uD83D", "a=1\nb=\\uDE00x", "a=1\nb=\\u+123"]
        {
            assert_eq!(parse(text).unwrap_err().line, 2, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\\\u\n\r =:#!\t]){0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_escaped_comes_back(key in "[a-z.]{1,10}", value in "\\PC{0,30}") {
            let escaped: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(pairs(&format!("{key}={escaped}")), [(key, value)]);
        }
    }
}
