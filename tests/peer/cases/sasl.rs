//! SASL: refusals, challenges that are none, servers that prove nothing, and sessions that end.

use crate::case::{Act, Asked, Case, Mode, Onset, Security};
use bytes::Bytes;
use ottla::messages::{AnyResponse, ApiKey, ErrorCode, SaslAuthenticateResponse, SaslHandshakeResponse};
use ottla::wire::Text;

const HANDSHAKE: &[ApiKey] = &[ApiKey::SASL_HANDSHAKE];
const AUTHENTICATE: &[ApiKey] = &[ApiKey::SASL_AUTHENTICATE];

fn on(name: &str, keys: &'static [ApiKey], lie: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Case {
    Case::on("sasl", name, keys, lie).onset(Onset::OnceWellAnew).ends()
}

/// A lie in the answer to SaslHandshake.
fn handshake(name: &str, lie: impl Fn(&mut SaslHandshakeResponse) + Send + Sync + 'static) -> Case {
    on(name, HANDSHAKE, move |asked| {
        asked.but(|answer| match answer {
            AnyResponse::SaslHandshake(answer) => lie(answer),
            _ => unreachable!("only asked for this"),
        })
    })
}

/// A lie in each answer to SaslAuthenticate.
fn authenticate(name: &str, lie: impl Fn(&mut SaslAuthenticateResponse) + Send + Sync + 'static) -> Case {
    on(name, AUTHENTICATE, move |asked| {
        asked.but(|answer| match answer {
            AnyResponse::SaslAuthenticate(answer) => lie(answer),
            _ => unreachable!("only asked for this"),
        })
    })
}

/// Another text in place of the server's first or last message of SCRAM.
fn scram(name: &str, which: &'static str, lie: impl Fn(&str) -> String + Send + Sync + 'static) -> Case {
    let lie = move |asked: &Asked| {
        let AnyResponse::SaslAuthenticate(truth) = &asked.truth else { return None };
        let text = std::str::from_utf8(&truth.auth_bytes).unwrap();
        if !text.starts_with(which) {
            return None;
        }
        let said = SaslAuthenticateResponse { auth_bytes: lie(text).into(), ..truth.clone() };
        Some(asked.but(|answer| *answer = said.into()))
    };
    Case::new("sasl", name, crate::case::Lie::Answer(Box::new(lie)))
        .security(Security::Scram)
        .onset(Onset::OnceWellAnew)
        .ends()
}

fn iterations(count: &'static str) -> impl Fn(&str) -> String + Send + Sync {
    move |first| format!("{},i={count}", first.rsplit_once(",i=").unwrap().0)
}

pub(super) fn cases() -> Vec<Case> {
    let refuse = |answer: &mut SaslAuthenticateResponse| {
        *answer = SaslAuthenticateResponse {
            error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: Some(Text::from_static("Authentication failed: Invalid username or password")),
            ..Default::default()
        };
    };
    let garbage =
        |answer: &mut SaslAuthenticateResponse| answer.auth_bytes = Bytes::from_static(&[0xfe; 300]);
    vec![
        authenticate("bad password", refuse).quick(Mode::ForEver),
        authenticate("bad password from the beginning", refuse).onset(Onset::AtOnce),
        authenticate("bad password, SCRAM", refuse).security(Security::Scram),
        authenticate("unknown error code", |answer| answer.error_code = ErrorCode(999)),
        handshake("unsupported mechanism", |answer| {
            answer.error_code = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
            answer.mechanisms = vec![Text::from_static("GSSAPI"), Text::from_static("SCRAM-SHA-512")];
        })
        .quick(Mode::Twice),
        handshake("unsupported mechanism, none is", |answer| {
            answer.error_code = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
            answer.mechanisms = Vec::new();
        }),
        handshake("mechanisms with escapes in their names", |answer| {
            answer.error_code = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
            answer.mechanisms = vec![Text::from("\u{1b}[31m\r\nPLAIN\0".repeat(50))];
        }),
        authenticate("garbage challenge, PLAIN", garbage),
        authenticate("garbage challenge, SCRAM", garbage).security(Security::Scram),
        authenticate("empty challenge, SCRAM", |answer| answer.auth_bytes = Bytes::new())
            .security(Security::Scram),
        authenticate("challenge of a megabyte", |answer| answer.auth_bytes = vec![b'r'; 1 << 20].into())
            .security(Security::Scram),
        scram("nonce of its own", "r=", |first| {
            format!("r=AAAAAAAAAAAAAAAAAAAAAAAA,{}", first.split_once(',').unwrap().1)
        }),
        scram("nonce not extended", "r=", |first| {
            let (nonce, rest) = first[2..].split_once(',').unwrap();
            // The client's part has 32 characters.
            format!("r={},{rest}", &nonce[..32])
        }),
        scram("1 iteration", "r=", iterations("1")).quick(Mode::ForEver),
        scram("2^31-1 iterations", "r=", iterations("2147483647")).quick(Mode::Twice),
        scram("10^30 iterations", "r=", iterations("1000000000000000000000000000000")),
        scram("-1 iterations", "r=", iterations("-1")),
        scram("no salt", "r=", |first| first.replace(",s=", ",x=")),
        scram("error in the first message", "r=", |_| "e=other-error".to_owned()),
        scram("wrong signature", "v=", |_| "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())
            .quick(Mode::Twice),
        scram("missing signature", "v=", |_| String::new()),
        scram("error in the last message", "v=", |_| "e=invalid-proof".to_owned()),
        on("silence after SaslHandshake", HANDSHAKE, |_| Act::SayAndSilence(Vec::new())),
        on("silence after SaslAuthenticate", AUTHENTICATE, |_| Act::SayAndSilence(Vec::new())),
        on("closed after SaslHandshake", HANDSHAKE, |_| Act::SayAndClose(Vec::new())),
        on("closed in place of an answer", AUTHENTICATE, |_| Act::SayAndClose(Vec::new())),
        on("closed after the answer", AUTHENTICATE, |asked| Act::SayAndClose(asked.honestly()))
            .quick(Mode::ForEver),
        on("trailing bytes", AUTHENTICATE, |asked| {
            Act::Say(asked.around(&[asked.body(), vec![0; 9]].concat()))
        }),
        authenticate("session of -5 ms", |answer| answer.session_lifetime_ms = -5).harmless(),
        authenticate("session of 1 ms", |answer| answer.session_lifetime_ms = 1)
            .harmless()
            .quick(Mode::ForEver),
        authenticate("session of 100 ms", |answer| answer.session_lifetime_ms = 100).harmless(),
        authenticate("session without end", |answer| answer.session_lifetime_ms = i64::MAX).harmless(),
        authenticate("session of 1 ms, SCRAM", |answer| answer.session_lifetime_ms = 1)
            .harmless()
            .security(Security::Scram),
    ]
}
