//! Who may log in: names and passwords, and for SCRAM what is derived of them; and whoever has a token that is good.

use super::tokens::{Check, TokenOwner};
use crate::engine::sasl::{Answer, MIN_ITERATIONS, Query, ScramCredential, ScramHash, TokenVerdict};
use crate::task;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The mechanism that a token is good for.
pub(super) const OAUTHBEARER: &str = "OAUTHBEARER";
/// The mechanisms that a password is good for.
pub(super) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Users, shared by the connections.
#[derive(Default)]
pub(super) struct Users {
    by_name: Mutex<BTreeMap<String, User>>,
    tokens: Option<Check>,
}

struct User {
    password: Zeroizing<String>,
    /// By the mechanism's name; derived when it is first asked for, which takes a millisecond.
    scram: BTreeMap<&'static str, ScramCredential>,
}

impl Users {
    /// Adds a user, or gives an old one another password.
    pub(super) fn add(&self, name: String, password: Zeroizing<String>) {
        self.with(|users| users.insert(name, User { password, scram: BTreeMap::new() }));
    }

    /// Removes a user; who is logged in stays.
    pub(super) fn remove(&self, name: &str) -> bool {
        self.with(|users| users.remove(name)).is_some()
    }

    /// Answers a mechanism's question.
    pub(super) async fn answer(&self, query: Query) -> Answer {
        match query {
            Query::Password { username } => {
                let password = self.with(|users| users.get(&username).map(|user| user.password.clone()));
                password.map_or(Answer::Nobody, Answer::Password)
            }
            Query::Scram { hash, username } => {
                self.scram(hash, username).await.map_or(Answer::Nobody, Answer::Scram)
            }
            Query::Token(token) => Answer::Token(self.check(token.value())),
        }
    }

    /// Takes tokens that this takes for good.
    pub(super) fn take_tokens(&mut self, check: Check) {
        self.tokens = Some(check);
    }

    /// Whether tokens are taken.
    pub(super) fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    fn check(&self, token: &str) -> TokenVerdict {
        let owner = self.tokens.as_ref().map(|check| check(token));
        match owner.unwrap_or_else(|| Err("no tokens are taken here".to_owned())) {
            Ok(TokenOwner { principal, lifetime }) => TokenVerdict::Accepted { principal, lifetime },
            Err(reason) => {
                tracing::info!(reason, "a token was refused");
                TokenVerdict::Refused { status: "invalid_token".to_owned(), scope: None }
            }
        }
    }

    async fn scram(&self, hash: ScramHash, username: String) -> Option<ScramCredential> {
        let mechanism = hash.mechanism_name();
        let known = |users: &mut BTreeMap<String, User>| {
            let user = users.get(&username)?;
            Some((user.password.clone(), user.scram.get(mechanism).cloned()))
        };
        let (password, credential) = self.with(known)?;
        if credential.is_some() {
            return credential;
        }
        let salt = task::random::<16>().ok()?.to_vec();
        let of = password.clone();
        let derive = move || ScramCredential::derive(hash, &of, salt, MIN_ITERATIONS);
        let derived = task::blocking(derive).await?;
        self.with(|users| {
            // Unless the password was changed meanwhile.
            if let Some(user) = users.get_mut(&username).filter(|user| user.password == password) {
                user.scram.insert(mechanism, derived.clone());
            }
        });
        Some(derived)
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, User>) -> T) -> T {
        work(&mut self.by_name.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.with(|users| users.keys().cloned().collect());
        f.debug_tuple("Users").field(&names).finish()
    }
}
