//! The client's and the broker's logic as state machines: bytes, times and seeds go in; bytes, events and deadlines come out.

pub mod connection;
pub mod sasl;
