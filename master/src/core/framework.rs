//! One framework: its subscription, its roles, its filters, and where its tasks are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_api::{AgentId, Mono, Resources, Timestamp, limits};
use muster_proto::{CapabilityType, FrameworkId, FrameworkInfo, OfferId, TaskId, TaskState};
use prost::Message as _;

use super::{agent::Agent, constraints::Constraints, event::Stream, role::Role, wire};

/// A framework that the master knows.
#[derive(Debug)]
pub(super) struct Framework {
    /// With its id filled in.
    pub(super) info: FrameworkInfo,
    /// How long that is on the wire.
    pub(super) info_bytes: usize,
    /// Whether all that is known of it is that an agent has tasks of it.
    pub(super) hearsay: bool,
    pub(super) standing: Standing,
    /// What it wants in each of its roles.
    pub(super) roles: BTreeMap<Role, Interest>,
    /// Its outstanding offers.
    pub(super) offers: BTreeSet<OfferId>,
    /// The agent of each of its tasks.
    pub(super) tasks: BTreeMap<TaskId, AgentId>,
}

/// Where a framework stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Known, and not subscribed.
    Away {
        /// Since when, if it left while there was a master.
        since: Option<Timestamp>,
        /// When it is removed.
        until: Mono,
    },
    /// It gets events, and offers in the roles where it wants them.
    Subscribed {
        /// The way to it.
        door: Door,
        /// Since when.
        since: Timestamp,
        /// Who it has proved to be.
        principal: Option<String>,
    },
    /// It was torn down and cannot come back.
    Removed {
        /// When.
        at: Timestamp,
    },
}

/// The way to a subscribed framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// It is the scheduler of this process.
    Embedded,
    /// A stream over HTTP.
    Stream(Stream),
}

/// What a framework wants in one of its roles.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Whether it wants no offers.
    pub(super) suppressed: bool,
    /// What it does not want for now.
    pub(super) filters: BTreeMap<AgentId, Vec<Filter>>,
    /// What an offer must at least hold: one of these. None: what the master thinks worth an offer.
    pub(super) least: Option<Vec<Resources>>,
    /// Which agents it wants to see at all.
    pub(super) constraints: Option<Constraints>,
}

/// Resources that were declined: nothing that lies within them is offered before the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) refused: Resources,
    pub(super) until: Mono,
    /// Before this it ends in no case, whatever its framework wants meanwhile.
    pub(super) at_least: Mono,
}

impl Framework {
    pub(super) fn new(
        id: &FrameworkId,
        info: FrameworkInfo,
        roles: BTreeMap<Role, Interest>,
        standing: Standing,
    ) -> Self {
        let mut framework = Self {
            info: FrameworkInfo::default(),
            info_bytes: 0,
            hearsay: false,
            standing,
            roles,
            offers: BTreeSet::new(),
            tasks: BTreeMap::new(),
        };
        framework.describe(id, info);
        framework
    }

    /// It says this of itself from now on.
    pub(super) fn describe(&mut self, id: &FrameworkId, info: FrameworkInfo) {
        self.info = FrameworkInfo { id: Some(id.clone()), ..info };
        self.info_bytes = self.info.encoded_len();
    }

    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.standing, Standing::Subscribed { .. })
    }

    pub(super) fn is_removed(&self) -> bool {
        matches!(self.standing, Standing::Removed { .. })
    }

    /// The way to it, if it is subscribed.
    pub(super) fn door(&self) -> Option<Door> {
        match self.standing {
            Standing::Subscribed { door, .. } => Some(door),
            Standing::Away { .. } | Standing::Removed { .. } => None,
        }
    }

    /// Its stream, if it is subscribed over HTTP.
    pub(super) fn stream(&self) -> Option<Stream> {
        match self.door()? {
            Door::Stream(stream) => Some(stream),
            Door::Embedded => None,
        }
    }

    /// Whether it says that it understands something.
    pub(super) fn has(&self, capability: CapabilityType) -> bool {
        self.info.capabilities.iter().any(|one| one.r#type == Some(capability as i32))
    }

    /// Whether its executors survive a restart of their agent.
    pub(super) fn keeps_executors(&self) -> bool {
        self.info.checkpoint.unwrap_or(false)
    }

    /// How many agents it refuses, in all its roles.
    pub(super) fn refusals(&self) -> usize {
        self.roles.values().map(|interest| interest.filters.len()).sum()
    }

    /// How long it may be away, as it said.
    pub(super) fn failover(&self) -> Duration {
        wire::failover_timeout(&self.info)
    }

    /// The roles in which `free` on `agent` may be offered to it.
    pub(super) fn wanting<'a, 'b>(
        &'a self,
        id: &'b AgentId,
        agent: &'b Agent,
        free: &'b Resources,
    ) -> impl Iterator<Item = &'a Role> + use<'a, 'b> {
        let door = self.door().filter(|door| match door {
            Door::Embedded => true,
            Door::Stream(_) => self.understands(agent),
        });
        self.roles.iter().filter_map(move |(role, interest)| {
            let wants = match door? {
                Door::Embedded => interest.is_open(id, free),
                Door::Stream(_) => interest.is_open(id, free) && interest.is_met(agent, free),
            };
            wants.then_some(role)
        })
    }

    /// Hosts with GPUs are for those who say that they want them.
    fn understands(&self, agent: &Agent) -> bool {
        agent.facts.resources.get("gpus").thousandths() == 0
            || self.has(CapabilityType::GpuResources)
    }

    /// `state`; or LOST where it is one of the finer states and the framework does not know them.
    pub(super) fn told(&self, state: TaskState) -> TaskState {
        use TaskState as S;
        let is_fine =
            matches!(state, S::Dropped | S::Unreachable | S::Gone | S::GoneByOperator | S::Unknown);
        if !is_fine || self.has(CapabilityType::PartitionAware) { state } else { S::Lost }
    }
}

impl Interest {
    fn is_open(&self, agent: &AgentId, free: &Resources) -> bool {
        let filters = self.filters.get(agent);
        !self.suppressed
            && !filters
                .is_some_and(|filters| filters.iter().any(|filter| filter.refused.covers(free)))
    }

    /// Whether an agent and what is free there is worth an offer.
    fn is_met(&self, agent: &Agent, free: &Resources) -> bool {
        let enough = match &self.least {
            Some(least) => least.is_empty() || least.iter().any(|least| free.covers(least)),
            None => limits::OFFER_LEAST
                .iter()
                .any(|(name, least)| free.get(name).thousandths() >= *least),
        };
        enough
            && self.constraints.as_ref().is_none_or(|constraints| constraints.admit(&agent.facts))
    }
}
