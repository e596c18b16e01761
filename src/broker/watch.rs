//! The one place that every request passes: it is recorded there, and rules or a hook decide what becomes of it.

use super::core::ConnectionId;
use super::faults::{Case, Decision, Fate, FaultId, Rules, concerned};
use super::state::{Now, State};
use crate::messages::{AnyRequest, ApiKey, BrokerId, SaslAuthenticateRequest};
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// A request as it came, and what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SeenRequest {
    /// When.
    pub at: Instant,
    /// The id of the broker that got it.
    pub broker: i32,
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
    /// The topics and partitions that it is about, `None` where it names topics only. A fetch is about all of its session.
    pub partitions: Vec<(String, Option<i32>)>,
    /// What becomes of it; a hook that is to decide is shown [`Fate::Pass`].
    pub fate: Fate,
    /// The fault that decided so, `None` for a hook or nobody.
    pub fault: Option<FaultId>,
    /// All of it, but for the token of a SaslAuthenticate.
    #[doc(hidden)]
    pub request: AnyRequest,
}

/// A connection as it was accepted, before TLS and SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenConnect {
    /// When.
    pub at: Instant,
    /// The id of the broker that accepted it.
    pub broker: i32,
    /// The connection, by a number that no other has.
    pub connection: u64,
    /// Where the client is.
    pub peer: String,
}

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenCommit {
    /// When.
    pub at: Instant,
    /// The connection of who has committed it.
    pub connection: u64,
    /// `group.id`.
    pub group: String,
    /// The member, empty for who is none.
    pub member_id: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next one to read.
    pub offset: i64,
}

/// Decides what becomes of each request; called under a lock, so it must be quick.
pub(super) type Hook = Box<dyn FnMut(&SeenRequest) -> Fate + Send>;

/// What watches the requests.
pub(super) struct Watch {
    rules: Rules,
    hook: Option<Hook>,
    seen: VecDeque<SeenRequest>,
    connects: VecDeque<SeenConnect>,
    commits: VecDeque<SeenCommit>,
    keep: usize,
}

/// Who sent a request, and to whom.
#[derive(Debug, Clone)]
pub(super) struct Sender<'a> {
    pub(super) broker: BrokerId,
    pub(super) connection: ConnectionId,
    pub(super) client_id: Option<&'a str>,
    pub(super) principal: Option<&'a str>,
}

impl Watch {
    /// Keeps the last `keep` requests, and as many connects and commits.
    pub(super) fn new(keep: usize, hook: Option<Hook>) -> Watch {
        let (seen, connects, commits) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Watch { rules: Rules::default(), hook, seen, connects, commits, keep }
    }

    /// Records what was committed.
    pub(super) fn committed(&mut self, commits: Vec<SeenCommit>) {
        commits.into_iter().for_each(|commit| keep_last(&mut self.commits, self.keep, commit));
    }

    /// Records a connection.
    pub(super) fn connected(&mut self, broker: BrokerId, connection: ConnectionId, peer: &str, now: Now) {
        let (BrokerId(broker), ConnectionId(connection)) = (broker, connection);
        let connect = SeenConnect { at: now.at, broker, connection, peer: peer.to_owned() };
        keep_last(&mut self.connects, self.keep, connect);
    }

    /// Records a request and decides what becomes of it.
    pub(super) fn judge(
        &mut self,
        state: &State,
        sender: &Sender<'_>,
        version: i16,
        request: &AnyRequest,
        now: Now,
    ) -> Decision {
        if self.keep == 0 && self.hook.is_none() && self.rules.is_empty() {
            return Decision::of(Fate::Pass);
        }
        let key: ApiKey = request.key();
        let mut seen = SeenRequest {
            at: now.at,
            broker: sender.broker.0,
            connection: sender.connection.0,
            client_id: sender.client_id.map(str::to_owned),
            principal: sender.principal.map(str::to_owned),
            api_key: key.0,
            api: key.name(),
            version,
            partitions: concerned(state, sender.broker, request),
            fate: Fate::Pass,
            fault: None,
            request: without_secrets(request),
        };
        let by_rule = self.rules.decide(&Case {
            broker: seen.broker,
            api: key,
            client_id: sender.client_id,
            about: &seen.partitions,
        });
        let by_hook = || Decision::of(self.hook.as_mut().map_or(Fate::Pass, |hook| hook(&seen)));
        let decision = by_rule.unwrap_or_else(by_hook);
        (seen.fate, seen.fault) = (decision.fate, decision.by);
        keep_last(&mut self.seen, self.keep, seen);
        decision
    }

    /// Rules for requests to come.
    pub(super) fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Replaces what decides where no rule does.
    pub(super) fn set_hook(&mut self, hook: Option<Hook>) {
        self.hook = hook;
    }

    /// The requests that are kept, oldest first.
    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.iter().cloned().collect()
    }

    /// The connects that are kept, oldest first.
    pub(super) fn connects(&self) -> Vec<SeenConnect> {
        self.connects.iter().cloned().collect()
    }

    /// The commits that are kept, oldest first.
    pub(super) fn commits(&self) -> Vec<SeenCommit> {
        self.commits.iter().cloned().collect()
    }
}

fn keep_last<T>(kept: &mut VecDeque<T>, count: usize, one: T) {
    if count == 0 {
        return;
    }
    if kept.len() >= count {
        kept.pop_front();
    }
    kept.push_back(one);
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
            .field("rules", &self.rules)
            .field("hook", &self.hook.is_some())
            .field("seen", &self.seen.len())
            .field("keep", &self.keep)
            .finish()
    }
}
