//! The values that all clients send: events as JSON, alike as events are, cut to one size. No two within a batch are the
//! same, so that a codec finds what it would find in life.

use bytes::Bytes;
use std::fmt::Write;

/// How many different values there are: more than a batch of a megabyte takes of 1 KiB, and prime, so that each partition
/// gets them all whatever the order.
const DISTINCT: usize = 4_093;

/// Values one after the other, made from a fixed seed.
pub fn make(bytes: usize) -> Vec<u8> {
    first(DISTINCT, bytes)
}

fn first(count: usize, bytes: usize) -> Vec<u8> {
    let mut random = Random(0x6f74_746c_6121);
    let mut all = Vec::with_capacity(count * bytes);
    let mut text = String::new();
    for number in 0..count {
        text.clear();
        while text.len() < bytes {
            event(&mut text, &mut random, number);
        }
        all.extend_from_slice(&text.as_bytes()[..bytes]);
    }
    all
}

fn event(text: &mut String, random: &mut Random, number: usize) {
    const KINDS: [&str; 5] = ["order.placed", "order.paid", "order.shipped", "cart.changed", "page.viewed"];
    const CITIES: [&str; 6] = ["Praha", "Brno", "Wien", "Berlin", "Kraków", "Budapest"];
    let (kind, city) = (KINDS[random.below(5)], CITIES[random.below(6)]);
    let (id, trace) = ([random.next(), random.next()], [random.next(), random.next()]);
    let (customer, cents, host) = (random.below(1_000_000), random.below(100_000), random.below(65_536));
    let at = 1_760_000_000_000 + number * 37 + random.below(37);
    writeln!(
        text,
        "{{\"type\":\"{kind}\",\"id\":\"{:016x}{:016x}\",\"at\":{at},\"customer\":{customer},\"city\":\"{city}\",\
         \"amount\":{{\"cents\":{cents},\"currency\":\"CZK\"}},\"source\":\"10.17.{}.{}\",\"trace\":\"{:016x}{:016x}\"}}",
        id[0], id[1], host >> 8, host & 255, trace[0], trace[1]
    )
    .expect("a string");
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Values in turn, until there were so many.
pub struct Values {
    pool: &'static [Bytes],
    next: usize,
    given: u64,
    limit: u64,
}

/// All different values, in memory for as long as the process lives.
pub fn pool(bytes: usize) -> &'static [Bytes] {
    leak(DISTINCT, bytes)
}

/// The first of them, for those in a hurry.
pub fn one(bytes: usize) -> &'static [Bytes] {
    leak(1, bytes)
}

fn leak(count: usize, bytes: usize) -> &'static [Bytes] {
    let all = Bytes::from(first(count, bytes));
    let values: Vec<Bytes> = (0..count).map(|index| all.slice(index * bytes..(index + 1) * bytes)).collect();
    values.leak()
}

impl Values {
    pub fn count(pool: &'static [Bytes], limit: u64) -> Values {
        Values { pool, next: 0, given: 0, limit }
    }

    pub fn endless(pool: &'static [Bytes]) -> Values {
        Values::count(pool, u64::MAX)
    }

    /// How many are still to be given.
    pub fn left(&self) -> u64 {
        self.limit - self.given
    }
}

impl Iterator for Values {
    type Item = &'static Bytes;

    fn next(&mut self) -> Option<&'static Bytes> {
        if self.given == self.limit {
            return None;
        }
        let value = &self.pool[self.next];
        self.next = if self.next + 1 == self.pool.len() { 0 } else { self.next + 1 };
        self.given += 1;
        Some(value)
    }
}
