//! One framework: its subscription, its filters, and where its tasks are.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AgentId, Mono, Resources, Timestamp};
use muster_proto::{CapabilityType, FrameworkId, FrameworkInfo, OfferId, TaskId, TaskState};

/// A framework that the master knows.
#[derive(Debug)]
pub(super) struct Framework {
    /// With its id filled in.
    pub(super) info: FrameworkInfo,
    pub(super) standing: Standing,
    /// Its outstanding offers.
    pub(super) offers: BTreeSet<OfferId>,
    /// What it does not want for now.
    pub(super) filters: BTreeMap<AgentId, Vec<Filter>>,
    /// The agent of each of its tasks.
    pub(super) tasks: BTreeMap<TaskId, AgentId>,
}

/// Where a framework stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Known, and not subscribed since this master started.
    Away,
    /// It gets events, and offers unless it has suppressed them.
    Subscribed {
        /// Whether it wants no offers.
        suppressed: bool,
    },
    /// It was torn down and cannot come back.
    Removed {
        /// When.
        at: Timestamp,
    },
}

/// Resources that were declined: nothing that lies within them is offered before the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) refused: Resources,
    pub(super) until: Mono,
}

impl Framework {
    pub(super) fn new(id: &FrameworkId, info: FrameworkInfo, standing: Standing) -> Self {
        Self {
            info: FrameworkInfo { id: Some(id.clone()), ..info },
            standing,
            offers: BTreeSet::new(),
            filters: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.standing, Standing::Subscribed { .. })
    }

    pub(super) fn is_removed(&self) -> bool {
        matches!(self.standing, Standing::Removed { .. })
    }

    /// Whether `free` on `agent` may be offered to it.
    pub(super) fn wants(&self, agent: &AgentId, free: &Resources) -> bool {
        self.standing == Standing::Subscribed { suppressed: false }
            && !self
                .filters
                .get(agent)
                .is_some_and(|filters| filters.iter().any(|filter| filter.refused.covers(free)))
    }

    /// `state`; or LOST where it is one of the finer states and the framework does not know them.
    pub(super) fn told(&self, state: TaskState) -> TaskState {
        use TaskState as S;
        let aware = CapabilityType::PartitionAware as i32;
        let is_fine =
            matches!(state, S::Dropped | S::Unreachable | S::Gone | S::GoneByOperator | S::Unknown);
        if !is_fine || self.info.capabilities.iter().any(|one| one.r#type == Some(aware)) {
            state
        } else {
            S::Lost
        }
    }
}
