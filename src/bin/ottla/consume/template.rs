//! [`Template`]: what `-f` says, in kcat's tokens, which many a script is written in.

use crate::escape;
use ottla::consumer::{FetchedRecord, Header};
use std::io::Write;

/// What is printed of each record, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// Something of the record.
    Token(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Value,
    ValueLength,
    BinaryValueLength,
    Key,
    KeyLength,
    Timestamp,
    Headers,
    Topic,
    Partition,
    Offset,
}

/// The letters behind a percent sign, and what they stand for.
const TOKENS: [(char, Token, &str); 10] = [
    ('s', Token::Value, "value"),
    ('S', Token::ValueLength, "its length in bytes, -1 for null"),
    ('R', Token::BinaryValueLength, "that length as four bytes, big-endian"),
    ('k', Token::Key, "key"),
    ('K', Token::KeyLength, "its length"),
    ('T', Token::Timestamp, "timestamp in ms"),
    ('h', Token::Headers, "headers as name=value,name=value (NULL for null)"),
    ('t', Token::Topic, "topic"),
    ('p', Token::Partition, "partition"),
    ('o', Token::Offset, "offset"),
];

impl Template {
    /// Escapes are those of delimiters, but that a backslash at the end or before a token is one: `%t\%p` is no slip.
    ///
    /// # Errors
    /// When there is a token or an escape that is none.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        let (mut pieces, mut literal, mut letters) = (Vec::new(), Vec::new(), text.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if matches!(letters.peek(), None | Some('%')) => literal.push(b'\\'),
                '\\' => escape::read(&mut letters, &mut literal)?,
                '%' => match letters.next() {
                    Some('%') => literal.push(b'%'),
                    other => {
                        push_literal(&mut pieces, &mut literal);
                        pieces.push(Piece::Token(token(other)?));
                    }
                },
                letter => escape::append(letter, &mut literal),
            }
        }
        push_literal(&mut pieces, &mut literal);
        Ok(Template(pieces))
    }

    /// The key and what follows it, if keys are wanted, then the value and what follows that.
    pub(super) fn delimited(key_delimiter: Option<Vec<u8>>, delimiter: Vec<u8>) -> Template {
        let mut pieces = Vec::new();
        if let Some(key_delimiter) = key_delimiter {
            pieces.extend([Piece::Token(Token::Key), Piece::Literal(key_delimiter)]);
        }
        pieces.extend([Piece::Token(Token::Value), Piece::Literal(delimiter)]);
        Template(pieces)
    }

    /// Prints a record; `null` is what a key or a value looks like that is null.
    pub(super) fn print(&self, record: &FetchedRecord<'_>, null: &[u8], to: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => to.extend_from_slice(bytes),
                Piece::Token(token) => token.print(record, null, to),
            }
        }
    }
}

impl Token {
    fn print(self, record: &FetchedRecord<'_>, null: &[u8], to: &mut Vec<u8>) {
        match self {
            Token::Value => to.extend_from_slice(record.value().unwrap_or(null)),
            Token::ValueLength => print_number(length(record.value()), to),
            Token::BinaryValueLength => to.extend_from_slice(&length(record.value()).to_be_bytes()),
            Token::Key => to.extend_from_slice(record.key().unwrap_or(null)),
            Token::KeyLength => print_number(length(record.key()), to),
            Token::Timestamp => print_number(record.timestamp_ms(), to),
            Token::Headers => print_headers(record.headers(), to),
            Token::Topic => to.extend_from_slice(record.topic().as_bytes()),
            Token::Partition => print_number(record.partition(), to),
            Token::Offset => print_number(record.offset(), to),
        }
    }
}

/// What to say of `-f` to people who ask.
pub(super) fn help() -> String {
    format!(
        "Print each record like this, whatever -K and -D say, as in -f '%t [%p] %o: %k: %s\\n'. Tokens: {}. Escapes: \\n, \\r, \\t, \\0, \\xNN, \\\\",
        tokens()
    )
}

/// What the tokens are, for people who ask or who have got one wrong.
pub(super) fn tokens() -> String {
    let known: Vec<String> =
        TOKENS.iter().map(|(letter, _, meaning)| format!("%{letter} {meaning}")).collect();
    format!("{}, %% a percent sign", known.join(", "))
}

fn token(letter: Option<char>) -> Result<Token, String> {
    let known = TOKENS.iter().find(|(known, ..)| Some(*known) == letter);
    known.map(|(_, token, _)| *token).ok_or_else(|| {
        let found = letter.map_or("a % at the end".to_owned(), |letter| format!("%{letter}"));
        format!("{found} is no token: {}", tokens())
    })
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

/// No key and no value is longer than such a number can say: the protocol's own lengths are no larger.
fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

fn print_number(number: impl std::fmt::Display, to: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(to, "{number}");
}

/// A null value is NULL whether null keys and values are or not, for it is not an empty one.
fn print_headers<'a>(headers: impl Iterator<Item = Header<'a>>, to: &mut Vec<u8>) {
    for (at, header) in headers.enumerate() {
        if at > 0 {
            to.push(b',');
        }
        to.extend_from_slice(header.key);
        to.push(b'=');
        to.extend_from_slice(header.value.unwrap_or(b"NULL"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.as_bytes().to_vec())
    }

    fn parsed(text: &str) -> Vec<Piece> {
        Template::parse(text).unwrap().0
    }

    #[test]
    fn kcats_example_is_understood() {
        assert_eq!(
            parsed(r"Topic %t [%p] at offset %o: key %k: %s\n"),
            [
                literal("Topic "),
                Piece::Token(Token::Topic),
                literal(" ["),
                Piece::Token(Token::Partition),
                literal("] at offset "),
                Piece::Token(Token::Offset),
                literal(": key "),
                Piece::Token(Token::Key),
                literal(": "),
                Piece::Token(Token::Value),
                literal("\n"),
            ]
        );
    }

    #[test]
    fn percent_signs_and_backslashes_can_be_said() {
        assert_eq!(parsed("100%%"), [literal("100%")]);
        assert_eq!(parsed("%%s"), [literal("%s")]);
        assert_eq!(parsed("%%%s"), [literal("%"), Piece::Token(Token::Value)]);
        for windows in [r"\%s", r"\\%s"] {
            assert_eq!(parsed(windows), [literal("\\"), Piece::Token(Token::Value)]);
        }
        assert_eq!(parsed(r"end\"), [literal("end\\")]);
        assert_eq!(parsed(r"\x25s\0"), [literal("%s\0")]);
        assert_eq!(parsed(""), []);
    }

    #[test]
    fn what_is_no_token_is_told_with_those_that_are() {
        for (wrong, told) in [
            ("%q", "%q is no token: "),
            ("a%", "a % at the end is no token: "),
            ("%s%", "a % at the end is no token: "),
            ("%5s", "%5 is no token: "),
            ("% s", "%  is no token: "),
            ("%č", "%č is no token: "),
        ] {
            let error = Template::parse(wrong).unwrap_err();
            assert!(error.starts_with(told), "{wrong}: {error}");
            for (letter, _, meaning) in TOKENS {
                assert!(error.contains(&format!("%{letter} {meaning}")), "{wrong}: {error}");
            }
        }
        assert!(Template::parse(r"%s\q").unwrap_err().contains(r"\n, \r"));
    }

    /// The text that stands for such a piece.
    fn said(piece: &Piece) -> String {
        let byte = |byte: &u8| match byte {
            b'%' => "%%".to_owned(),
            b'a'..=b'z' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        match piece {
            Piece::Literal(bytes) => bytes.iter().map(byte).collect(),
            Piece::Token(token) => TOKENS
                .iter()
                .find(|(_, known, _)| known == token)
                .map(|(letter, ..)| format!("%{letter}"))
                .unwrap(),
        }
    }

    fn any_pieces() -> impl Strategy<Value = Vec<Piece>> {
        let token = prop::sample::select(TOKENS.as_slice()).prop_map(|(_, token, _)| Piece::Token(token));
        let literal = prop::collection::vec(any::<u8>(), 1..5).prop_map(Piece::Literal);
        prop::collection::vec(prop_oneof![token, literal], 0..10).prop_map(|mut pieces| {
            pieces.dedup_by(|one, before| matches!((one, before), (Piece::Literal(_), Piece::Literal(_))));
            pieces
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_understood_or_refused(text: String) {
            let _ = Template::parse(&text);
        }

        #[test]
        fn any_text_of_what_matters_is_understood_or_refused(text in r"[%\\xsSkh0-9né]{0,20}") {
            let _ = Template::parse(&text);
        }

        #[test]
        fn text_without_signs_is_what_it_is(text in r"[^%\\]{1,30}") {
            prop_assert_eq!(parsed(&text), [literal(&text)]);
        }

        #[test]
        fn whatever_is_said_is_understood(pieces in any_pieces()) {
            let text: String = pieces.iter().map(said).collect();
            prop_assert_eq!(parsed(&text), pieces, "{}", text);
        }
    }
}
