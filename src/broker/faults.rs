//! The one place that every request passes: it is recorded there, and a hook may decide what becomes of it.

use super::state::Now;
use crate::messages::{AnyRequest, ApiKey, SaslAuthenticateRequest};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is answered.
    Pass,
    /// It is answered, after a pause in which nothing else on its connection is.
    Delay(Duration),
    /// It is lost on its way: the broker does nothing, and says nothing.
    LoseRequest,
    /// The broker does what it is asked to, and its answer is lost.
    LoseAnswer,
    /// The connection is closed before the broker does anything.
    Close,
}

/// A request as it came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SeenRequest {
    /// When.
    pub at: Instant,
    /// The connection, by a number that no other has.
    pub connection: u64,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// Whom it is logged in as.
    pub principal: Option<String>,
    /// The API's key.
    pub api_key: i16,
    /// The API's name.
    pub api: &'static str,
    /// The version.
    pub version: i16,
    /// All of it, but for the token of a SaslAuthenticate.
    #[doc(hidden)]
    pub request: AnyRequest,
}

/// Decides what becomes of each request; called under the broker's lock, so it must be quick.
pub(super) type Hook = Box<dyn FnMut(&SeenRequest) -> Fate + Send>;

/// What watches the requests.
pub(super) struct Watch {
    hook: Option<Hook>,
    seen: VecDeque<SeenRequest>,
    keep: usize,
}

/// Who sent a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender<'a> {
    pub(super) connection: u64,
    pub(super) client_id: Option<&'a str>,
    pub(super) principal: Option<&'a str>,
}

impl Watch {
    /// Keeps the last `keep` requests.
    pub(super) fn new(keep: usize, hook: Option<Hook>) -> Watch {
        Watch { hook, seen: VecDeque::new(), keep }
    }

    /// Records a request and decides what becomes of it.
    pub(super) fn judge(
        &mut self,
        sender: &Sender<'_>,
        version: i16,
        request: &AnyRequest,
        now: Now,
    ) -> Fate {
        if self.keep == 0 && self.hook.is_none() {
            return Fate::Pass;
        }
        let key: ApiKey = request.key();
        let seen = SeenRequest {
            at: now.at,
            connection: sender.connection,
            client_id: sender.client_id.map(str::to_owned),
            principal: sender.principal.map(str::to_owned),
            api_key: key.0,
            api: key.name(),
            version,
            request: without_secrets(request),
        };
        let fate = self.hook.as_mut().map_or(Fate::Pass, |hook| hook(&seen));
        if self.keep > 0 {
            if self.seen.len() >= self.keep {
                self.seen.pop_front();
            }
            self.seen.push_back(seen);
        }
        fate
    }

    /// Replaces what decides.
    pub(super) fn set_hook(&mut self, hook: Option<Hook>) {
        self.hook = hook;
    }

    /// The requests that are kept, oldest first.
    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.iter().cloned().collect()
    }
}

/// The request as it may be shown: a SASL token may hold a password.
fn without_secrets(request: &AnyRequest) -> AnyRequest {
    match request {
        AnyRequest::SaslAuthenticate(_) => SaslAuthenticateRequest::default().into(),
        request => request.clone(),
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("hook", &self.hook.is_some())
            .field("seen", &self.seen.len())
            .field("keep", &self.keep)
            .finish()
    }
}
