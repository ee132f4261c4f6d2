//! The one hole in the promise of leases: what is under a supervisor outlives its lease for as long as
//! nobody can end it. The supervisor is frozen, alone or with its host; or it is dead, and its agent,
//! which would end what it left behind, is dead or frozen too. Only the epoch guards users then.
//!
//! Forgiven is nothing but this, and from that instant on only at which a supervisor that lives and
//! is not frozen would have killed everything; and no longer than until somebody can.

use muster_api::limits;

use super::ExecutorNode;
use crate::{clock::Clock, frozen::Who, stage::Stage};

impl ExecutorNode {
    fn guard(&self) -> Who {
        Who::Supervisor(self.host, self.id.clone())
    }

    /// Whether nobody could end it now.
    fn is_unguarded(&self, stage: &Stage) -> bool {
        self.orphaned || self.supervisor.is_some() && stage.frozen.holds(&self.guard())
    }

    /// If nobody can end it: from when on that counts, as far as the lease is known now.
    pub(crate) fn guard_may_stop(&self, stage: &mut Stage, clock: Clock) {
        if self.is_unguarded(stage) {
            let ends = self.lease_ends.map(|at| clock.world_time(at + limits::LEASE_KILL));
            stage.truth.guard_stops(self.host, &self.id, ends);
        }
    }

    /// If somebody can end it again: nothing is forgiven from the next instant on.
    pub(crate) fn guard_may_go_on(&self, stage: &mut Stage) {
        if !self.is_unguarded(stage) {
            stage.truth.guard_goes_on(self.host, &self.id);
        }
    }

    /// The supervisor is no more.
    pub(super) fn supervisor_is_gone(&self, stage: &mut Stage) {
        stage.thaw(&self.guard());
        self.guard_may_go_on(stage);
    }
}
