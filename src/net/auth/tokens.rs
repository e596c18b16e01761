//! [`Tokens`]: the token of now, renewed before it expires (KIP-255), by one task for all connections of a client.
//!
//! Whoever authenticates takes the last token while it is good and never waits for the provider then. Invariants: the
//! provider is asked once at a time, with back-off after failures, and not at all while nobody has needed a token yet or
//! the last one has expired unneeded; a connection that is given up does not cut short what the provider is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};

use super::token::{Token, TokenProvider};
use crate::config::LoginRefresh;
use crate::engine::retry::Backoff;
use crate::engine::sasl::BearerToken;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{self, Owned};

/// A provider that takes longer is given up and asked again.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(60);

/// The tokens of a client.
pub(super) struct Tokens {
    rounds: watch::Receiver<Round>,
    wishes: Arc<Wishes>,
    _renewal: Owned,
}

/// What makes the task ask the provider.
#[derive(Default)]
struct Wishes {
    wake: Notify,
    /// A broker refused the last token: it may have been revoked.
    refused: AtomicBool,
}

/// How asking the provider went the last time.
#[derive(Default)]
struct Round {
    number: u64,
    last: Option<Issued>,
    failure: Option<Failure>,
}

struct Issued {
    bearer: BearerToken,
    at: Instant,
    /// When it is to be renewed and when it expires; `None` when it is for one authentication.
    life: Option<(Instant, Instant)>,
}

struct Failure {
    error: Error,
    /// The provider is not asked again before.
    until: Instant,
}

impl Tokens {
    /// Starts the task that asks `provider`, which does nothing until the first token is needed. `extensions` go with
    /// each token.
    pub(super) fn new(
        provider: Arc<dyn TokenProvider>,
        refresh: LoginRefresh,
        extensions: Vec<(String, String)>,
    ) -> Tokens {
        let wishes = Arc::new(Wishes::default());
        let (publish, rounds) = watch::channel(Round::default());
        let renewal = Renewal { provider, refresh, extensions, wishes: Arc::clone(&wishes), publish };
        Tokens { rounds, wishes, _renewal: Owned::spawn(renewal.run()) }
    }

    /// Waits until there is a token to authenticate with, or until it is known that there is none now.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// The provider is asked on when the future is dropped.
    pub(super) async fn ready(&self) -> Result<()> {
        {
            let round = self.rounds.borrow();
            // One for a single authentication is asked for when that needs it.
            if round.failure.is_none() && round.last.as_ref().is_some_and(|last| last.life.is_none()) {
                return Ok(());
            }
        }
        self.get().await.map(|_| ())
    }

    /// The last token while it is good, else a new one.
    ///
    /// # Errors
    /// What the provider said, with its kind: now, or a moment ago and it is not asked again so soon.
    ///
    /// # Cancel safety
    /// The provider is asked on when the future is dropped.
    pub(super) async fn get(&self) -> Result<BearerToken> {
        let mut rounds = self.rounds.clone();
        let mut first = None;
        loop {
            {
                let round = rounds.borrow_and_update();
                let is_new = first.is_some_and(|first| first != round.number);
                if let Some(outcome) = round.outcome(is_new, task::now()) {
                    return outcome;
                }
                first.get_or_insert(round.number);
            }
            self.wishes.wake.notify_one();
            if rounds.changed().await.is_err() {
                return Err(Error::new(
                    ErrorKind::Closed,
                    "get an OAUTHBEARER token from a client that was closed",
                ));
            }
        }
    }

    /// Takes note that a broker refused the last token: a new one is asked for, unless the last one is very young.
    pub(super) fn refused(&self) {
        self.wishes.refused.store(true, Ordering::Relaxed);
        self.wishes.wake.notify_one();
    }
}

impl Round {
    fn end(&mut self, outcome: Result<Issued>, until: Instant) {
        self.number = self.number.wrapping_add(1);
        match outcome {
            Ok(issued) => (self.last, self.failure) = (Some(issued), None),
            Err(error) => self.failure = Some(Failure { error, until }),
        }
    }

    /// What it means for somebody who needs a token; `None` when the provider must be asked first.
    fn outcome(&self, is_new: bool, now: Instant) -> Option<Result<BearerToken>> {
        if let Some(Issued { bearer, life: Some((_, expires)), .. }) = &self.last
            && *expires > now
        {
            return Some(Ok(bearer.clone()));
        }
        match (&self.failure, &self.last) {
            (Some(failure), last) if is_new || failure.until > now => {
                let attempt = match last {
                    Some(Issued { life: Some(_), .. }) => {
                        "get an OAUTHBEARER token: the last one has expired and there is no other"
                    }
                    _ => "get an OAUTHBEARER token",
                };
                Some(Err(Error::new(failure.error.kind(), attempt).with_source(failure.error.clone())))
            }
            (None, Some(last)) if is_new => Some(Ok(last.bearer.clone())),
            _ => None,
        }
    }

    /// When the provider is to be asked without anybody needing a token; `None` when somebody has to need one.
    fn renew_at(&self, now: Instant) -> Option<Instant> {
        let (renew, expires) = self.last.as_ref()?.life?;
        (expires > now).then_some(renew)
    }
}

struct Renewal {
    provider: Arc<dyn TokenProvider>,
    refresh: LoginRefresh,
    extensions: Vec<(String, String)>,
    wishes: Arc<Wishes>,
    publish: watch::Sender<Round>,
}

impl Renewal {
    async fn run(self) {
        let backoff = Backoff { base: self.refresh.retry_backoff, max: self.refresh.retry_backoff_max };
        let mut failures = 0u32;
        loop {
            self.wait().await;
            if !self.is_due(task::now()) {
                continue;
            }
            let outcome = self.ask().await.and_then(|token| self.issue(token, task::now()));
            let now = task::now();
            let mut until = now;
            match &outcome {
                Ok(_) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    until = task::after(now, backoff.after(failures, &mut task::rng()));
                    tracing::warn!(%error, failures, "no new OAUTHBEARER token");
                }
            }
            self.publish.send_modify(|round| round.end(outcome, until));
            task::sleep_until(until).await;
        }
    }

    /// Until a token is needed or is to be renewed.
    async fn wait(&self) {
        let renew_at = self.publish.borrow().renew_at(task::now());
        match renew_at {
            Some(at) => {
                task::until(at, self.wishes.wake.notified()).await;
            }
            None => self.wishes.wake.notified().await,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let refused = self.wishes.refused.swap(false, Ordering::Relaxed);
        let round = self.publish.borrow();
        let Some(Issued { at, life: Some((renew, _)), .. }) = &round.last else { return true };
        // A broker that refuses every token must not make us ask for one after the other.
        let is_young = now.saturating_duration_since(*at) < self.refresh.retry_backoff_max;
        *renew <= now || refused && !is_young
    }

    async fn ask(&self) -> Result<Token> {
        let provider = Arc::clone(&self.provider);
        let (tell, told) = oneshot::channel();
        // A task of its own: the provider is the application's, and may panic.
        let _call = Owned::spawn(async move {
            tell.send(provider.token().await).ok();
        });
        match task::until(task::after(task::now(), PROVIDER_TIMEOUT), told).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::new(ErrorKind::Authentication, "the token provider panicked")),
            None => Err(Error::new(ErrorKind::Timeout, "wait for the token provider")),
        }
    }

    fn issue(&self, token: Token, now: Instant) -> Result<Issued> {
        let Token { bearer, lifetime } = token.with_extensions(&self.extensions)?;
        if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return Err(Error::new(
                ErrorKind::Authentication,
                "the token provider gave a token that has expired",
            ));
        }
        let life = lifetime.map(|lifetime| {
            let renew = renew_after(lifetime, &self.refresh, task::rng().f64());
            (task::after(now, renew), task::after(now, lifetime))
        });
        Ok(Issued { bearer, at: now, life })
    }
}

/// When a token is renewed (KIP-255): after a share of its life, but no later than the buffer before its end, and no sooner
/// than the least period; these two do not count when the token does not live as long as both. `chance` is from 0 to 1.
fn renew_after(lifetime: Duration, refresh: &LoginRefresh, chance: f64) -> Duration {
    let LoginRefresh { window_factor, window_jitter, min_period, buffer, .. } = *refresh;
    let share = (window_factor + window_jitter * chance).clamp(0.0, 1.0);
    let by_share = lifetime.mul_f64(share).min(lifetime);
    match lifetime.checked_sub(min_period.saturating_add(buffer)) {
        None => by_share,
        Some(_) => by_share.min(lifetime.saturating_sub(buffer)).max(min_period),
    }
}

#[cfg(test)]
mod tests;
