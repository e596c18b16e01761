//! SASL mechanisms, both sides, against whatever the other side says.

use crate::input::Input;
use crate::serving::look_up;
use ottla::engine::sasl::{
    BearerToken, Credentials, Input as In, ScramHash, ServerInput, ServerStep, Step, server_mechanism,
};
use zeroize::Zeroizing;

const MOST_ITERATIONS: u32 = 8192;
const TURNS: usize = 8;

pub fn client(mut input: Input<'_>) {
    let (username, password) = ("user".to_owned(), Zeroizing::new("pencil".to_owned()));
    let credentials = match input.below(4) {
        0 => Credentials::Plain { username, password },
        1 => Credentials::Scram { hash: ScramHash::Sha256, username, password, token_auth: false },
        2 => Credentials::Scram { hash: ScramHash::Sha512, username, password, token_auth: true },
        _ => Credentials::OAuthBearer,
    };
    let mut mechanism = credentials.mechanism([7; 24]).expect("sound credentials");
    let mut next = mechanism.step(In::Start);
    for _ in 0..TURNS {
        next = match next {
            Ok(Step::Send(_)) => mechanism.step(In::Challenge(input.chunk())),
            Ok(Step::Derive(derive)) if derive.iterations() <= MOST_ITERATIONS => {
                mechanism.step(In::Derived(derive.run()))
            }
            Ok(Step::NeedToken) => mechanism.step(In::Token(BearerToken::new("a.b.c").expect("a token"))),
            Ok(Step::Derive(_) | Step::Done) => return,
            Err(error) => return assert!(!error.to_string().contains("pencil")),
        };
    }
    panic!("no end after {TURNS} turns");
}

pub fn server(mut input: Input<'_>) {
    let name = *input.one_of(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]);
    let mut mechanism = server_mechanism(name, [9; 24]).expect("one that we have");
    let mut next = mechanism.step(ServerInput::Client(input.chunk()));
    for _ in 0..TURNS {
        next = match next {
            Ok(ServerStep::Ask(query)) => mechanism.step(ServerInput::Answer(look_up(query))),
            Ok(ServerStep::Send(_)) => mechanism.step(ServerInput::Client(input.chunk())),
            Ok(ServerStep::Done { principal, .. }) => return assert_eq!(principal, "user"),
            Err(error) => return assert!(!error.to_string().contains("pencil")),
        };
    }
    panic!("no end after {TURNS} turns");
}
