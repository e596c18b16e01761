//! [`HostPort`]: one entry of `bootstrap.servers`.

use std::fmt;
use std::net::Ipv6Addr;

/// The port of an entry that names none, as librdkafka has it (Java wants one).
const DEFAULT_PORT: u16 = 9092;

/// A host, by name or by address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct HostPort {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// A host, an IPv6 address without brackets, and a port.
    pub fn new(host: impl Into<String>, port: u16) -> HostPort {
        HostPort { host: host.into(), port }
    }

    /// Reads `host:port`, `host`, `[IPv6]:port` or `[IPv6]`; the error says what is wrong with the entry.
    pub(super) fn parse(entry: &str) -> Result<HostPort, &'static str> {
        let (host, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or("the bracket is not closed")?;
                if !is_ipv6(address) {
                    return Err("what stands in brackets is not an IPv6 address");
                }
                (address, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(BAD_PORT)?) })
            }
            None if entry.matches(':').count() > 1 => {
                return Err("an IPv6 address stands in brackets, as in [::1]:9092");
            }
            None => entry.split_once(':').map_or((entry, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err("the host is missing");
        }
        if !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%')) {
            return Err("the host is neither a name nor an address");
        }
        Ok(HostPort::new(host, port.map_or(Ok(DEFAULT_PORT), parse_port)?))
    }
}

const BAD_PORT: &str = "the port is not a number from 1 to 65535";

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| only_digits && port > 0).ok_or(BAD_PORT)
}

/// With a zone (`%eth0`) or without.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_read() {
        for (entry, host, port) in [
            ("kafka.example.com:9093", "kafka.example.com", 9093),
            ("kafka", "kafka", 9092),
            ("kafka_1:1", "kafka_1", 1),
            ("10.0.0.1:65535", "10.0.0.1", 65535),
            ("[::1]:9093", "::1", 9093),
            ("[2001:db8::1]", "2001:db8::1", 9092),
            ("[fe80::1%eth0]:9093", "fe80::1%eth0", 9093),
        ] {
            assert_eq!(HostPort::parse(entry), Ok(HostPort::new(host, port)), "{entry}");
        }
    }

    #[test]
    fn faulty_entries_are_refused() {
        for entry in [
            "",
            ":9092",
            "kafka:",
            "kafka:0",
            "kafka:65536",
            "kafka:+1",
            "kafka:x",
            "::1",
            "::1:9092",
            "[::1",
            "[kafka]:1",
            "[::1]9092",
            "[]:1",
            "a b:1",
            "kafka/x:1",
            "кафка:1",
            "http://kafka:9092",
        ] {
            assert!(HostPort::parse(entry).is_err(), "{entry}");
        }
    }

    proptest! {
        #[test]
        fn no_entry_makes_it_panic(entry in "[\\PC]{0,30}|[\\[\\]:%a0-9]{0,12}") {
            let _ = HostPort::parse(&entry);
        }

        #[test]
        fn what_is_written_is_read(host in "[a-z0-9.-]{1,20}|[0-9a-f]{1,4}::[0-9a-f]{1,4}", port in 1_u16..) {
            let server = HostPort::new(host, port);
            prop_assert_eq!(HostPort::parse(&server.to_string()), Ok(server));
        }
    }
}
