//! TLS: certificates that do not hold, peers that speak something else, handshakes that do not end.

use crate::case::{Case, Certificate, Greeting, Lie, Mode, Onset, Security};

fn shown(name: &str, certificate: Certificate) -> Case {
    Case::new("tls", name, Lie::Handshake(certificate)).security(Security::Tls).ends()
}

fn greet(name: &str, greeting: Greeting) -> Case {
    Case::new("tls", name, Lie::Greet(greeting)).security(Security::Tls)
}

pub(super) fn cases() -> Vec<Case> {
    // A ServerHello's head, and a part of it.
    let hello = vec![0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3, 1, 2, 3];
    vec![
        shown("expired", Certificate::Expired).quick(Mode::ForEver),
        shown("expired from the beginning", Certificate::Expired).onset(Onset::AtOnce),
        shown("not yet valid", Certificate::Future),
        shown("wrong host", Certificate::WrongHost),
        shown("unknown authority", Certificate::OtherAuthority).quick(Mode::Twice),
        shown("unknown authority from the beginning", Certificate::OtherAuthority).onset(Onset::AtOnce),
        // What a Kafka broker does that takes the hello for a frame: it hangs up.
        greet("plaintext port", Greeting::Say(Vec::new())),
        greet("plaintext port that answers", Greeting::Say(vec![0, 0, 0, 6, 0, 0, 0, 0, 0, 35])),
        greet("HTTP", Greeting::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        greet("garbage", Greeting::Say((0..200u8).map(|n| n.wrapping_mul(151)).collect())),
        greet("endless garbage", Greeting::Endless(0x5a)),
        greet("alert", Greeting::Say(vec![0x15, 3, 3, 0, 2, 2, 40])),
        greet("stall", Greeting::Silence).quick(Mode::ForEver),
        greet("stall in the middle", Greeting::SayAndSilence(hello.clone())),
        greet("closed at once", Greeting::Close),
        greet("closed in the middle", Greeting::Say(hello)),
        greet("reset", Greeting::Reset),
    ]
}
