//! Groups: which there are, who is in them, and which are to go.

use super::group_info::{GroupDescription, GroupListing, GroupState, GroupType};
use super::{Admin, BrokerInfo};
use crate::cluster::Reach;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{
    BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, ErrorClass, ErrorCode,
    ListGroupsRequest, ListGroupsResponse,
};
use crate::task;
use crate::wire::{Span, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Groups that are asked about at a time: each has a request of its own.
const AT_ONCE: usize = 64;
/// Those that have taken so long do not count among them any more: their coordinator may be silent, and those of others may not.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which groups to list; all of them unless it is said otherwise.
///
/// ```
/// use ottla::admin::{GroupState, GroupType, ListGroups};
///
/// let idle = ListGroups::all().states([GroupState::Empty]).types([GroupType::Consumer, GroupType::Classic]);
/// # let _ = idle;
/// ```
#[derive(Debug, Clone, Default)]
pub struct ListGroups {
    states: Vec<GroupState>,
    types: Vec<GroupType>,
}

impl ListGroups {
    /// All groups.
    pub fn all() -> ListGroups {
        ListGroups::default()
    }

    /// Only groups in one of these states; brokers before 2.6 cannot tell.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = GroupState>) -> ListGroups {
        self.states.extend(states);
        self
    }

    /// Only groups of one of these types; brokers before 3.8 cannot tell.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = GroupType>) -> ListGroups {
        self.types.extend(types);
        self
    }

    fn request(&self) -> ListGroupsRequest {
        ListGroupsRequest {
            states_filter: self.states.iter().map(|state| state.name().into()).collect(),
            types_filter: self.types.iter().map(|group_type| group_type.name().into()).collect(),
        }
    }

    /// The versions that can say it.
    fn versions(&self) -> Span {
        Span::from(match (self.types.is_empty(), self.states.is_empty()) {
            (false, _) => 5,
            (true, false) => 4,
            (true, true) => 0,
        })
    }
}

/// Groups, and which brokers did not tell theirs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupListings {
    /// What was told, by group id.
    pub valid: Vec<GroupListing>,
    /// One for each broker whose groups are missing.
    pub errors: Vec<Error>,
}

impl GroupListings {
    /// All groups.
    ///
    /// # Errors
    /// That of a broker that did not tell its groups.
    pub fn all(self) -> Result<Vec<GroupListing>> {
        self.errors.into_iter().next().map_or(Ok(self.valid), Err)
    }
}

impl Admin {
    /// The groups that there are. Every broker is asked, as each tells of those that it coordinates.
    ///
    /// ```no_run
    /// use ottla::admin::{GroupState, ListGroups};
    ///
    /// # async fn list(client: ottla::Client) -> ottla::Result<()> {
    /// let empty = ListGroups::all().states([GroupState::Empty]);
    /// for group in client.admin().list_groups(&empty).await?.all()? {
    ///     println!("{} has no members", group.group_id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When no broker answers in time, or none will. What single brokers fail with is in the result:
    /// [`GroupListings::all`] takes it for an error as well.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn list_groups(&self, which: &ListGroups) -> Result<GroupListings> {
        let deadline = self.deadline();
        let view = self.cluster.refresh(deadline).await?;
        let asking = view.brokers().map(|broker| self.groups_of(broker.id, which, deadline));
        let mut groups = BTreeMap::new();
        let mut errors = Vec::new();
        for told in task::join_all(asking).await {
            match told {
                // One that changes hands meanwhile may be told of twice.
                Ok(answer) => {
                    let listed = answer.groups.iter().map(GroupListing::of);
                    groups.extend(listed.map(|group| (group.group_id.clone(), group)));
                }
                Err(error) => errors.push(error),
            }
        }
        Ok(GroupListings { valid: groups.into_values().collect(), errors })
    }

    /// Groups of consumers with their members, of both protocols, each with what came of it. Also other classic groups, as of
    /// Kafka Connect's workers, are told of, as far as a broker can.
    ///
    /// # Errors
    /// Those of a group are in its own outcome: GROUP_ID_NOT_FOUND when there is none, GROUP_AUTHORIZATION_FAILED, or a time-out.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn describe_groups<T: AsRef<str>>(
        &self,
        groups: impl IntoIterator<Item = T>,
    ) -> BTreeMap<String, Result<GroupDescription>> {
        let deadline = self.deadline();
        self.each(groups, |group| self.describe_group(group, deadline)).await
    }

    /// Deletes groups with all that they have committed, each with what came of it.
    ///
    /// # Errors
    /// Those of a group are in its own outcome: NON_EMPTY_GROUP while it has members, GROUP_ID_NOT_FOUND, or a time-out, after which
    /// it may be deleted all the same.
    ///
    /// # Cancel safety
    /// The groups may be deleted all the same when the future is dropped.
    pub async fn delete_groups<T: AsRef<str>>(
        &self,
        groups: impl IntoIterator<Item = T>,
    ) -> BTreeMap<String, Result<()>> {
        let deadline = self.deadline();
        self.each(groups, |group| self.delete_group(group, deadline)).await
    }

    /// Does the same for each group, some at a time.
    async fn each<T: AsRef<str>, O, F: Future<Output = (Text, O)> + Send>(
        &self,
        groups: impl IntoIterator<Item = T>,
        work: impl Fn(Text) -> F,
    ) -> BTreeMap<String, O> {
        let groups: BTreeSet<Text> = groups.into_iter().map(|group| Text::from(group.as_ref())).collect();
        let mut waiting = groups.into_iter();
        let mut running = task::Together::new();
        let (mut count, mut slow) = (0usize, 0usize);
        let mut outcomes = BTreeMap::new();
        loop {
            let begin: Vec<Text> = waiting.by_ref().take(AT_ONCE.saturating_sub(count - slow)).collect();
            count += begin.len();
            begin.into_iter().for_each(|group| running.push(work(group)));
            if count == 0 {
                return outcomes;
            }
            match task::until(task::after(task::now(), PATIENCE), running.next()).await {
                Some((group, outcome)) => {
                    outcomes.insert(group.to_string(), outcome);
                    count -= 1;
                    slow = slow.min(count);
                }
                None => slow = count,
            }
        }
    }

    async fn groups_of(
        &self,
        broker: BrokerId,
        which: &ListGroups,
        deadline: Instant,
    ) -> Result<ListGroupsResponse> {
        let attempt = "list the groups of a broker";
        let judge = |answer: &ListGroupsResponse| {
            answer.error_code.ok().err().map(|code| Error::broker_code(code, attempt).broker(broker))
        };
        let build = |_| which.request();
        let asked = self.cluster.call(Reach::Broker(broker), build, which.versions(), deadline, judge);
        // The groups of a broker that goes are taken over by others, which may have been asked before.
        let mut views = self.cluster.views();
        let gone = async { views.wait_for(|view| view.broker(broker).is_none()).await.is_ok() };
        tokio::select! {
            biased;
            told = asked => told,
            _ = gone => Err(Error::new(ErrorKind::Disconnected, attempt)
                .broker(broker)
                .hint("it has left the cluster: ask again, and others tell of its groups")),
        }
    }

    async fn describe_group(&self, group: Text, deadline: Instant) -> (Text, Result<GroupDescription>) {
        // Which protocol its members speak only its coordinator knows; Java asks in this order as well.
        let described = match self.describe_consumer_group(&group, deadline).await {
            Err(error) if is_for_the_classic_protocol(&error) => {
                self.describe_classic_group(&group, deadline).await
            }
            described => described,
        };
        let described = match described {
            Ok(mut described) => {
                let coordinator = self.cluster.coordinator(&group, deadline).await.ok();
                let view = self.cluster.view();
                described.coordinator =
                    coordinator.and_then(|id| view.broker(id)).map(|broker| BrokerInfo::of(broker));
                Ok(described)
            }
            failed => failed,
        };
        (group, described)
    }

    async fn describe_consumer_group(&self, group: &Text, deadline: Instant) -> Result<GroupDescription> {
        let request = ConsumerGroupDescribeRequest { group_ids: vec![group.clone()], ..Default::default() };
        let attempt = || format!("describe group '{group}'");
        let judge = |answer: &ConsumerGroupDescribeResponse| {
            let told = answer.groups.iter().find(|told| told.group_id == *group);
            let Some(told) = told else { return Some(missing(attempt())) };
            let code = told.error_code.ok().err()?;
            Some(group_error(code, told.error_message.as_deref(), attempt()))
        };
        let build = |_| request.clone();
        let answer = self.cluster.call(Reach::Group(group), build, Span::from(0), deadline, judge).await?;
        let told = answer.groups.iter().find(|told| told.group_id == *group);
        told.map(GroupDescription::of_consumer).ok_or_else(|| missing(attempt()))
    }

    async fn describe_classic_group(&self, group: &Text, deadline: Instant) -> Result<GroupDescription> {
        let request = DescribeGroupsRequest { groups: vec![group.clone()], ..Default::default() };
        let attempt = || format!("describe group '{group}'");
        let judge = |answer: &DescribeGroupsResponse| {
            let told = answer.groups.iter().find(|told| told.group_id == *group);
            let Some(told) = told else { return Some(missing(attempt())) };
            match told.error_code.ok() {
                Err(code) => Some(group_error(code, told.error_message.as_deref(), attempt())),
                // This is how brokers before 4.0 say that there is none (KIP-1043).
                Ok(()) if told.group_state == "Dead" && told.members.is_empty() => {
                    Some(group_error(ErrorCode::GROUP_ID_NOT_FOUND, None, attempt()))
                }
                Ok(()) => None,
            }
        };
        let build = |_| request.clone();
        let answer = self.cluster.call(Reach::Group(group), build, Span::from(0), deadline, judge).await?;
        let told = answer.groups.iter().find(|told| told.group_id == *group);
        told.map(GroupDescription::of_classic).ok_or_else(|| missing(attempt()))
    }

    async fn delete_group(&self, group: Text, deadline: Instant) -> (Text, Result<()>) {
        let request = DeleteGroupsRequest { groups_names: vec![group.clone()] };
        let judge = |answer: &DeleteGroupsResponse| {
            let attempt = format!("delete group '{group}'");
            let told = answer.results.iter().find(|told| told.group_id == group);
            let Some(told) = told else { return Some(missing(attempt)) };
            let code = told.error_code.ok().err()?;
            Some(group_error(code, None, attempt))
        };
        let build = |_| request.clone();
        let deleted = self.cluster.call(Reach::Group(&group), build, Span::from(0), deadline, judge).await;
        let outcome = deleted.map(drop);
        (group, outcome)
    }
}

/// Whether the answer to ConsumerGroupDescribe leaves it to DescribeGroups: no group of the new protocol, or an older broker.
fn is_for_the_classic_protocol(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnsupportedVersion
            | ErrorKind::Broker(ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION)
    )
}

/// The answer tells of other groups than the one that was asked about.
fn missing(attempt: String) -> Error {
    Error::new(ErrorKind::Protocol, format!("{attempt}: the answer does not have it"))
}

/// What a coordinator said of a group.
pub(super) fn group_error(code: ErrorCode, message: Option<&str>, attempt: String) -> Error {
    let error = Error::broker_code(code, attempt);
    match (code, message) {
        (ErrorCode::NON_EMPTY_GROUP, _) => error.hint("it has members: stop its consumers first"),
        (ErrorCode::GROUP_ID_NOT_FOUND, _) => {
            error.hint("is its id right? a group without members is gone when its offsets have expired")
        }
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, _) => {
            error.hint("the user may not do this to the group: which ACLs does he have?")
        }
        (_, Some(message)) if !message.is_empty() => error.hint(format!("the broker says: {message}")),
        _ => error,
    }
}

/// Whether a code says that the request is to be sent again, here or to another coordinator: nothing was done.
pub(super) fn is_of_the_coordinator(code: ErrorCode) -> bool {
    code.class() == ErrorClass::StaleCoordinator || code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
}
