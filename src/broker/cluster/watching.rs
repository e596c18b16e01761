//! What a [`Cluster`] sees of its clients, and does to their requests.

use super::Cluster;
use crate::broker::denials::{Denial, DenialId};
use crate::broker::faults::{Fate, Fault, FaultId};
use crate::broker::quotas::{Quota, QuotaEntity};
use crate::broker::watch::{SeenCommit, SeenConnect, SeenRequest};

/// Requests, and faults.
impl Cluster {
    /// The last requests to all brokers, oldest first: as many as
    /// [`keep_requests`](crate::broker::ClusterBuilder::keep_requests) says.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.with(|core| core.watch().seen())
    }

    /// The last connects to all brokers, oldest first: as many as
    /// [`keep_requests`](crate::broker::ClusterBuilder::keep_requests) says.
    pub fn connects(&self) -> Vec<SeenConnect> {
        self.shared.with(|core| core.watch().connects())
    }

    /// The last offsets that groups have committed, oldest first: as many as
    /// [`keep_requests`](crate::broker::ClusterBuilder::keep_requests) says.
    pub fn commits(&self) -> Vec<SeenCommit> {
        self.shared.with(|core| core.watch().commits())
    }

    /// Adds a fault, behind those that there are, for requests from now on.
    pub fn add_fault(&self, fault: Fault) -> FaultId {
        self.shared.with(|core| core.watch_mut().rules_mut().add(fault))
    }

    /// Removes a fault, and says whether it was still there: one for some requests only is gone after the last of them.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        self.shared.with(|core| core.watch_mut().rules_mut().remove(fault))
    }

    /// Removes all faults. Answers that they hold back stay so, connections that they silenced too.
    pub fn clear_faults(&self) {
        self.shared.with(|core| core.watch_mut().rules_mut().clear());
    }

    /// Decides from now on what becomes of each request that no fault strikes; see
    /// [`ClusterBuilder::on_request`](crate::broker::ClusterBuilder::on_request).
    pub fn on_request(&self, decide: impl FnMut(&SeenRequest) -> Fate + Send + 'static) {
        self.shared.with(|core| core.watch_mut().set_hook(Some(Box::new(decide))));
    }

    /// Keeps clients from something from now on, as an ACL that denies would: they are told TOPIC_AUTHORIZATION_FAILED and its
    /// like. Faults come first.
    pub fn deny(&self, denial: Denial) -> DenialId {
        self.shared.with(|core| core.state_mut().denials.add(denial))
    }

    /// Removes a denial, and says whether it was still there.
    pub fn allow(&self, denial: DenialId) -> bool {
        self.shared.with(|core| core.state_mut().denials.remove(denial))
    }

    /// Gives somebody a quota from now on, in place of the one that there was. Who goes beyond is told so (`throttle_time_ms`), and not
    /// read from for so long; fetches are answered with nothing.
    pub fn set_quota(&self, entity: QuotaEntity, quota: Quota) {
        self.shared.with(|core| core.state_mut().quotas.set(entity, quota));
    }

    /// Removes a quota, and says whether it was there. Who is held back stays so for as long as was said.
    pub fn remove_quota(&self, entity: &QuotaEntity) -> bool {
        self.shared.with(|core| core.state_mut().quotas.remove(entity))
    }
}
