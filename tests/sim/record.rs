//! [`Sent`]: a record, all of whose bytes follow from its name; so whatever is stored or read can be compared whole.

use crate::plan::Knobs;
use ottla::Record;

pub const TOPIC: &str = "t";
/// A time that all records have: the machine's clock must not show.
const TIME_MS: i64 = 1_700_000_000_000;

/// A record that was sent: the key it has, and its number under that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub key: u32,
    pub number: u32,
}

impl Sent {
    pub fn record(self, knobs: &Knobs) -> Record {
        Record::to(TOPIC).key(self.key.to_string()).value(self.value(knobs)).timestamp_ms(TIME_MS)
    }

    /// The two numbers, and as much behind them as there is to be, of which no two neighbours have the same.
    fn value(self, knobs: &Knobs) -> String {
        let Sent { key, number } = self;
        let letter = char::from(b'a' + u8::try_from((key * 5 + number) % 26).unwrap());
        format!("{key} {number} {}", letter.to_string().repeat(knobs.value_bytes))
    }

    /// The record that these bytes are, and no other.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(
        knobs: &Knobs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<Sent, String> {
        let text = String::from_utf8_lossy(value.unwrap_or_default());
        let mut numbers = text.split(' ').map(str::parse);
        let Some((Ok(name), Ok(number))) = numbers.next().zip(numbers.next()) else {
            return Err(format!("{:?} is no value of ours", short(&text)));
        };
        let sent = Sent { key: name, number };
        if text != sent.value(knobs) {
            return Err(format!("{sent:?} has {:?} for its value", short(&text)));
        }
        if key != Some(name.to_string().as_bytes()) || timestamp_ms != TIME_MS {
            return Err(format!("{sent:?} has the key {key:?} and the time {timestamp_ms}"));
        }
        Ok(sent)
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[test]
fn only_what_is_whole_is_a_record() {
    let knobs = Knobs { value_bytes: 4, ..Knobs::plain() };
    let sent = Sent { key: 1, number: 3 };
    let value = sent.value(&knobs);
    assert_eq!(value, "1 3 iiii");
    let read = |key: &[u8], value: &str, time| Sent::read(&knobs, Some(key), Some(value.as_bytes()), time);
    assert_eq!(read(b"1", &value, TIME_MS), Ok(sent));
    for (key, value, time, word) in [
        (&b"1"[..], "1 3 iii", TIME_MS, "for its value"),
        (b"1", "1 3 iiij", TIME_MS, "for its value"),
        (b"2", "1 3 iiii", TIME_MS, "has the key"),
        (b"1", "1 3 iiii", TIME_MS + 1, "the time"),
        (b"1", "", TIME_MS, "no value of ours"),
        (b"1", "x 3 iiii", TIME_MS, "no value of ours"),
    ] {
        let error = read(key, value, time).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    assert!(Sent::read(&knobs, None, Some(value.as_bytes()), TIME_MS).is_err(), "no key");
}
