//! Quotas: how many bytes a second clients may send and get, by user and client id (KIP-13, KIP-55), and for how long those are not
//! read from who go beyond (KIP-219). The rules are those of `ClientQuotaManager` in Kafka 4.3.
//!
//! Produce counts the bytes of its requests, whatever comes of them; Fetch those of its answers: one that would go beyond is kept back, the
//! client gets an empty one, and nothing is counted. Each broker counts on its own, and forgets when it is started again.
//!
//! Different from Kafka: a client that no quota is for is not counted, so one that comes later begins with nothing;
//! `request_percentage` (there are no threads whose time could be shared), `controller_mutation_rate` and quotas of addresses are not there.

mod rate;

use crate::messages::BrokerId;
use rate::{BURST_SECONDS, Rate};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Who is counted at once; beyond it those go who were not heard of for the longest time.
const MAX_COUNTED: usize = 10_000;

/// How many bytes a second a client may send and get, for each broker. As made by [`Quota::new`] it limits nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> ottla::Result<()> {
/// use ottla::broker::{Broker, Quota, QuotaEntity};
///
/// let broker = Broker::builder().start().await?;
/// let billing = QuotaEntity::client_id("billing");
/// broker.set_quota(billing.clone(), Quota::new().producer_byte_rate(100_000));
/// // ... `throttle_time_ms`, and nothing is read for so long ...
/// broker.remove_quota(&billing);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Quota {
    producer_byte_rate: Option<u64>,
    consumer_byte_rate: Option<u64>,
}

/// Whom a quota is for: a user, a client id, or both, by name or whoever has no quota of his own. Who is not logged in is the user
/// `ANONYMOUS`.
///
/// Of several that a client falls under one holds, as in Kafka: that of the user by name before that of any user, that of any
/// user before that of no user in particular, and among those of one user that of the client id by name, that of any client id, that of none.
/// All clients that fall under one and have the same user and client id, as far as it names them, share its rate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use]
pub struct QuotaEntity {
    user: Name,
    client_id: Name,
}

/// In the order in which they are preferred.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Exactly(String),
    /// Whoever has no quota by name.
    Default,
    /// It does not matter.
    Unsaid,
}

impl Quota {
    /// Limits nothing.
    pub fn new() -> Quota {
        Quota::default()
    }

    /// How many bytes of Produce requests a second: Kafka's `producer_byte_rate`. 0 counts as 1. No limit by default.
    pub fn producer_byte_rate(self, bytes: u64) -> Quota {
        Quota { producer_byte_rate: Some(bytes.max(1)), ..self }
    }

    /// How many bytes of Fetch answers a second: Kafka's `consumer_byte_rate`. 0 counts as 1. No limit by default. As with
    /// Kafka, a batch of more than eleven seconds' worth is never got.
    pub fn consumer_byte_rate(self, bytes: u64) -> Quota {
        Quota { consumer_byte_rate: Some(bytes.max(1)), ..self }
    }

    fn of(&self, flow: Flow) -> Option<u64> {
        match flow {
            Flow::Produce => self.producer_byte_rate,
            Flow::Fetch => self.consumer_byte_rate,
        }
    }
}

impl QuotaEntity {
    /// This user, with any client id.
    pub fn user(name: impl Into<String>) -> QuotaEntity {
        QuotaEntity { user: Name::Exactly(name.into()), client_id: Name::Unsaid }
    }

    /// Each user that has no quota by name, with any client id.
    pub fn default_user() -> QuotaEntity {
        QuotaEntity { user: Name::Default, client_id: Name::Unsaid }
    }

    /// This `client.id`, whoever the user is.
    pub fn client_id(id: impl Into<String>) -> QuotaEntity {
        QuotaEntity { user: Name::Unsaid, client_id: Name::Exactly(id.into()) }
    }

    /// Each `client.id` that has no quota by name, whoever the user is.
    pub fn default_client_id() -> QuotaEntity {
        QuotaEntity { user: Name::Unsaid, client_id: Name::Default }
    }

    /// Only with this `client.id`.
    pub fn with_client_id(self, id: impl Into<String>) -> QuotaEntity {
        QuotaEntity { client_id: Name::Exactly(id.into()), ..self }
    }

    /// Each `client.id` on its own that has no quota by name with this user.
    pub fn with_default_client_id(self) -> QuotaEntity {
        QuotaEntity { client_id: Name::Default, ..self }
    }

    fn covers(&self, client: &Client) -> bool {
        self.user.covers(&client.user) && self.client_id.covers(&client.client_id)
    }
}

impl Name {
    fn covers(&self, name: &str) -> bool {
        match self {
            Name::Exactly(own) => own == name,
            Name::Default | Name::Unsaid => true,
        }
    }

    /// By what a quota tells those apart that it is for.
    fn part<'a>(&self, name: &'a str) -> Option<&'a str> {
        (*self != Name::Unsaid).then_some(name)
    }

    fn preference(&self) -> u8 {
        match self {
            Name::Exactly(_) => 0,
            Name::Default => 1,
            Name::Unsaid => 2,
        }
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flow {
    Produce,
    Fetch,
}

/// A client of a broker, as far as quotas tell clients apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) broker: BrokerId,
    pub(super) user: String,
    /// Empty for who says none.
    pub(super) client_id: String,
}

impl Client {
    /// Takes down who it is.
    pub(super) fn is_now(&mut self, user: &str, client_id: &str) {
        for (own, name) in [(&mut self.user, user), (&mut self.client_id, client_id)] {
            if own != name {
                name.clone_into(own);
            }
        }
    }
}

/// The quotas of a cluster, and what was counted for them.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    by_entity: BTreeMap<QuotaEntity, Quota>,
    counted: BTreeMap<Counted, Rate>,
}

/// Those who share a rate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    broker: BrokerId,
    flow: Flow,
    user: Option<String>,
    client_id: Option<String>,
}

impl Quotas {
    /// Gives somebody a quota in place of the one that there was; what was counted stays counted.
    pub(super) fn set(&mut self, entity: QuotaEntity, quota: Quota) {
        self.by_entity.insert(entity, quota);
    }

    /// Takes a quota out; whether it was there.
    pub(super) fn remove(&mut self, entity: &QuotaEntity) -> bool {
        self.by_entity.remove(entity).is_some()
    }

    /// Forgets what a broker has counted.
    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.counted.retain(|counted, _| counted.broker != broker);
    }

    /// The most bytes that a client can get at once without being over its quota by that alone.
    pub(super) fn most_at_once(&self, client: &Client) -> usize {
        let limit = self.limit(Flow::Fetch, client).map(|(limit, _)| limit);
        let most = limit.map_or(u64::MAX, |limit| limit.saturating_mul(BURST_SECONDS));
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Counts bytes that a client has sent, and says for how long it is not to be read from.
    pub(super) fn sent(&mut self, client: &Client, bytes: usize, now: Instant) -> Duration {
        let Some((limit, rate)) = self.rate(Flow::Produce, client, now) else { return Duration::ZERO };
        rate.count(bytes as f64, now);
        rate.pause(limit, now)
    }

    /// The same for bytes that a client is to get. When it says for how long they must not be sent, and are not counted.
    pub(super) fn gets(&mut self, client: &Client, bytes: impl FnOnce() -> usize, now: Instant) -> Duration {
        let Some((limit, rate)) = self.rate(Flow::Fetch, client, now) else { return Duration::ZERO };
        let bytes = bytes() as f64;
        rate.count(bytes, now);
        let pause = rate.pause(limit, now);
        if !pause.is_zero() {
            rate.count(-bytes, now);
        }
        pause
    }

    /// The limit that holds for a client, and for whom it is.
    fn limit(&self, flow: Flow, client: &Client) -> Option<(u64, &QuotaEntity)> {
        let limits = self.by_entity.iter().filter_map(|(entity, quota)| Some((quota.of(flow)?, entity)));
        limits
            .filter(|(_, entity)| entity.covers(client))
            .min_by_key(|(_, entity)| (entity.user.preference(), entity.client_id.preference()))
    }

    fn rate(&mut self, flow: Flow, client: &Client, now: Instant) -> Option<(u64, &mut Rate)> {
        let (limit, entity) = self.limit(flow, client)?;
        let counted = Counted {
            broker: client.broker,
            flow,
            user: entity.user.part(&client.user).map(str::to_owned),
            client_id: entity.client_id.part(&client.client_id).map(str::to_owned),
        };
        if self.counted.len() >= MAX_COUNTED && !self.counted.contains_key(&counted) {
            self.make_room(now);
        }
        Some((limit, self.counted.entry(counted).or_insert_with(|| Rate::new(now))))
    }

    fn make_room(&mut self, now: Instant) {
        self.counted.retain(|_, rate| !rate.is_over(now));
        if self.counted.len() >= MAX_COUNTED {
            let oldest =
                self.counted.iter().min_by_key(|(_, rate)| rate.last()).map(|(oldest, _)| oldest.clone());
            oldest.map(|oldest| self.counted.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task;

    fn client(broker: i32, user: &str, client_id: &str) -> Client {
        Client { broker: BrokerId(broker), user: user.to_owned(), client_id: client_id.to_owned() }
    }

    #[test]
    fn the_quota_that_says_most_of_the_user_holds_and_then_of_the_client_id() {
        // KIP-55, the first that there is.
        let order = [
            QuotaEntity::user("u").with_client_id("c"),
            QuotaEntity::user("u").with_default_client_id(),
            QuotaEntity::user("u"),
            QuotaEntity::default_user().with_client_id("c"),
            QuotaEntity::default_user().with_default_client_id(),
            QuotaEntity::default_user(),
            QuotaEntity::client_id("c"),
            QuotaEntity::default_client_id(),
        ];
        let mut quotas = Quotas::default();
        let others =
            [QuotaEntity::user("v"), QuotaEntity::client_id("d"), QuotaEntity::user("v").with_client_id("c")];
        others.into_iter().for_each(|entity| quotas.set(entity, Quota::new().consumer_byte_rate(1)));
        quotas.set(order[0].clone().with_client_id("c"), Quota::new().producer_byte_rate(1));
        for (rate, entity) in (1..=8).zip(order.iter().rev()) {
            quotas.set(entity.clone(), Quota::new().consumer_byte_rate(rate));
            assert_eq!(quotas.most_at_once(&client(1, "u", "c")) as u64, rate * 10, "{entity:?}");
        }
        for (rate, entity) in (1..=8).rev().zip(&order) {
            assert_eq!(quotas.most_at_once(&client(1, "u", "c")) as u64, rate * 10);
            assert!(quotas.remove(entity) && !quotas.remove(entity));
        }
        assert_eq!(quotas.most_at_once(&client(1, "u", "c")), usize::MAX);
    }

    #[test]
    fn a_rate_is_shared_by_those_whom_the_quota_does_not_tell_apart() {
        let now = task::now();
        let over = |entity: QuotaEntity, other: Client| {
            let mut quotas = Quotas::default();
            quotas.set(entity, Quota::new().producer_byte_rate(100));
            assert_eq!(quotas.sent(&client(1, "u", "c"), 1_000, now), Duration::ZERO);
            !quotas.sent(&other, 1_000, now).is_zero()
        };
        let (of_user, of_client) = (client(1, "u", "d"), client(1, "v", "c"));
        assert!(over(QuotaEntity::user("u"), of_user.clone()));
        assert!(over(QuotaEntity::default_user(), of_user.clone()));
        assert!(!over(QuotaEntity::default_user(), of_client.clone()));
        assert!(over(QuotaEntity::client_id("c"), of_client.clone()));
        assert!(over(QuotaEntity::default_client_id(), of_client.clone()));
        assert!(!over(QuotaEntity::default_client_id(), of_user.clone()));
        assert!(!over(QuotaEntity::default_user().with_default_client_id(), of_user));
        assert!(!over(QuotaEntity::default_user().with_default_client_id(), of_client));
        assert!(!over(QuotaEntity::user("u"), client(2, "u", "c")), "each broker counts on its own");
    }

    #[test]
    fn what_is_kept_back_is_not_counted() {
        let (mut quotas, now) = (Quotas::default(), task::now());
        quotas.set(QuotaEntity::default_client_id(), Quota::new().consumer_byte_rate(100));
        let client = client(1, "u", "c");
        assert_eq!(quotas.gets(&client, || 900, now), Duration::ZERO);
        assert_eq!(quotas.gets(&client, || 200, now), Duration::from_secs(1));
        assert_eq!(quotas.gets(&client, || 100, now), Duration::ZERO);
        assert_eq!(quotas.sent(&client, 1 << 40, now), Duration::ZERO, "the other way there is no limit");
        assert_eq!(quotas.gets(&client, || 100, now), Duration::from_secs(1));
        quotas.forget(BrokerId(1));
        assert_eq!(quotas.gets(&client, || 1_000, now), Duration::ZERO);
    }

    #[test]
    fn clients_by_the_thousand_take_no_more_memory_than_is_allowed() {
        let (mut quotas, began) = (Quotas::default(), task::now());
        quotas.set(QuotaEntity::default_client_id(), Quota::new().producer_byte_rate(1));
        let count = |quotas: &mut Quotas, from: usize, to: usize, now| {
            (from..to).for_each(|n| {
                let _ = quotas.sent(&client(1, "u", &n.to_string()), 5, now);
            });
            quotas.counted.len()
        };
        assert_eq!(count(&mut quotas, 0, MAX_COUNTED + 5, began), MAX_COUNTED);
        let later = began + Duration::from_secs(11);
        assert_eq!(count(&mut quotas, 0, 9, later), 9, "nothing is left of what the others have sent");
    }
}
