//! What a member says to its coordinator, and on which connection.

use crate::cluster::{Link, OwnLane};
use crate::consumer::shared::Shared;
use crate::engine::group::{Answer, Goodbye, Request};
use crate::error::{Error, Result};
use crate::messages::{BrokerId, Lane, LeaveGroupRequest, LeaveGroupResponse, LeavingMember};
use crate::task;
use crate::wire::{Span, Text};
use std::time::Duration;

/// How long the answer to a request that is not held back may take until it is doubted that this broker still coordinates.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same of JoinGroup and SyncGroup, for which the others are waited for.
const PATIENCE_WHILE_JOINING: Duration = Duration::from_secs(5);
/// How long the last goodbye may take when there is no time left.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What JoinGroup may take beyond `max.poll.interval.ms`, as in the Java client.
const JOIN_LAPSE: Duration = Duration::from_secs(5);

/// Asks the coordinator. Looks meanwhile whether it is another broker by now, if the answer takes long.
pub(super) async fn send(
    shared: &Shared,
    lane: &OwnLane,
    group: &Text,
    patience: Duration,
    request: Request,
) -> (Option<BrokerId>, Answer) {
    let cluster = &shared.cluster;
    let timeout = cluster.config().request_timeout;
    let found = cluster.coordinator(group, task::after(task::now(), timeout)).await;
    let versions = request.versions();
    let broker = found.as_ref().ok().copied();
    let join_timeout = timeout.max(patience.saturating_add(JOIN_LAPSE));
    let normal = |broker| cluster.link(broker, Lane::Normal, task::after(task::now(), timeout));
    let own = |broker| lane.link(broker, task::after(task::now(), timeout));
    macro_rules! ask {
        ($answer:ident, $patience:expr, $link:expr, $call:expr) => {
            Answer::$answer(match found {
                Err(error) => Err(error),
                Ok(broker) => {
                    let asked = async {
                        let link: Link = $link(broker).await?;
                        $call(link).await
                    };
                    cluster.unless_moved(group, broker, $patience, asked).await
                }
            })
        };
    }
    let answer = match request {
        Request::Join(request) => ask!(Join, PATIENCE_WHILE_JOINING, own, async |link: Link| {
            link.with_timeout(join_timeout).call(&request, versions).await
        }),
        Request::Sync(request) => {
            ask!(Sync, PATIENCE_WHILE_JOINING, own, async |link: Link| link.call(&request, versions).await)
        }
        Request::Heartbeat(request) => {
            ask!(Heartbeat, PATIENCE, own, async |link: Link| link.call(&request, versions).await)
        }
        Request::Modern(request) => {
            ask!(Modern, PATIENCE, own, async |link: Link| link.call(&request, versions).await)
        }
        Request::Leave(group_id, member) => {
            ask!(Leave, PATIENCE, normal, async |link: Link| { leave(&link, &group_id, &member).await })
        }
    };
    (broker, answer)
}

/// Tells the coordinator that the member is gone; whether it hears of it or not.
pub(super) async fn say_goodbye(shared: &Shared, goodbye: Goodbye) {
    let cluster = &shared.cluster;
    let group = shared.with(|state| state.ties.as_ref().map(|ties| ties.group.clone()));
    let Some(group) = group else { return };
    let deadline = task::after(task::now(), LAST_WORDS);
    let said = async {
        let broker = cluster.coordinator(&group, deadline).await?;
        let link = cluster.link(broker, Lane::Normal, deadline).await?;
        match goodbye {
            Goodbye::Classic(group, member) => drop(leave(&link, &group, &member).await?),
            Goodbye::Modern(request) => drop(link.call(&request, Span::from(0)).await?),
        }
        Ok::<(), Error>(())
    };
    match task::until(deadline, said).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "the group did not hear that the member has left"),
        None => tracing::debug!("the group did not hear in time that the member has left"),
    }
}

async fn leave(link: &Link, group: &Text, member: &LeavingMember) -> Result<LeaveGroupResponse> {
    let version = link.version::<LeaveGroupRequest>(Span::from(0))?;
    link.send(&Goodbye::leave(group, member, version), version).await?.await
}
