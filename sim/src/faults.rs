//! The faults: what can go wrong, how often, and for how long.

use std::{collections::BTreeMap, fmt};

use crate::{
    agent_node::{AgentNode, AtWrite},
    executor_node::ExecutorNode,
    network::Between,
    scheduler_node::{AtCommit, SchedulerNode},
    stage::{Happening, Stage},
};

/// The status of a process that was ended by SIGKILL.
const KILLED: i32 = 9;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The scheduler is killed, and starts again.
    SchedulerKilled,
    /// The scheduler is killed before its next commit is on the disk.
    CommitLost,
    /// The scheduler is killed after its next commit, before any effect of it.
    CommitKept,
    /// An agent is killed, and starts again.
    AgentKilled,
    /// An agent is killed before its next entry is in the journal.
    EntryLost,
    /// An agent is killed after its next entry, before anything follows from it.
    EntryKept,
    /// The process of an executor is killed.
    ExecutorKilled,
    /// The wire between an agent and the master breaks.
    LinkBroken,
    /// The wire between an executor and its agent breaks.
    StreamBroken,
    /// Nothing gets from a host to the master for a while.
    CutOff,
    /// A host loses its power, and boots anew.
    HostRebooted,
}

impl Fault {
    const ALL: [Self; 11] = [
        Self::SchedulerKilled,
        Self::CommitLost,
        Self::CommitKept,
        Self::AgentKilled,
        Self::EntryLost,
        Self::EntryKept,
        Self::ExecutorKilled,
        Self::LinkBroken,
        Self::StreamBroken,
        Self::CutOff,
        Self::HostRebooted,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SchedulerKilled => "scheduler killed",
            Self::CommitLost => "scheduler killed before a commit",
            Self::CommitKept => "scheduler killed between a commit and its effects",
            Self::AgentKilled => "agent killed",
            Self::EntryLost => "agent killed before a journal entry",
            Self::EntryKept => "agent killed between a journal entry and its effects",
            Self::ExecutorKilled => "executor killed",
            Self::LinkBroken => "wire between agent and master broken",
            Self::StreamBroken => "wire between executor and agent broken",
            Self::CutOff => "host cut off from the master",
            Self::HostRebooted => "host rebooted",
        })
    }
}

/// A bug that is planted into the world, to prove that an oracle finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The effects of a commit leave although the commit is lost.
    EffectsBeforeCommit,
    /// Supervisors let executors live on when their leases have ended.
    LeasesIgnored,
    /// Supervisors report the end of an executor while code that it started still runs.
    OrphansLeft,
}

/// The faults of one world.
#[derive(Debug)]
pub(crate) struct Faults {
    kinds: Vec<Fault>,
    /// The longest time between two.
    every: u64,
    calm_at: u64,
    pub(crate) struck: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Draws the kinds that this world has: with few of them each gets its chance.
    pub(crate) fn new(stage: &mut Stage, calm_at: u64) -> Self {
        let kinds = Fault::ALL.into_iter().filter(|_| stage.percent(50)).collect();
        let every = stage.between(2_000, 90_000);
        Self { kinds, every, calm_at, struck: BTreeMap::new() }
    }

    /// Plans the next fault.
    pub(crate) fn plan(&self, stage: &mut Stage) {
        let delay = stage.between(100, self.every);
        if stage.time() + delay < self.calm_at {
            stage.after(delay, Happening::FaultStrikes);
        }
    }

    /// Some fault strikes.
    pub(crate) fn strike(
        &mut self,
        stage: &mut Stage,
        scheduler: &mut SchedulerNode,
        agents: &mut [AgentNode],
    ) {
        self.plan(stage);
        let Some(fault) = stage.one_of(&self.kinds) else { return };
        let host = usize::try_from(stage.between(0, agents.len() as u64 - 1)).unwrap_or(0);
        let struck = match fault {
            Fault::SchedulerKilled => kill_scheduler(stage, scheduler),
            Fault::CommitLost => doom_scheduler(scheduler, AtCommit::Lost),
            Fault::CommitKept => doom_scheduler(scheduler, AtCommit::Kept),
            Fault::AgentKilled => kill_agent(stage, &mut agents[host], host),
            Fault::EntryLost => doom_agent(&mut agents[host], AtWrite::Lost),
            Fault::EntryKept => doom_agent(&mut agents[host], AtWrite::Kept),
            Fault::ExecutorKilled => kill_executor(stage, &mut agents[host]),
            Fault::LinkBroken => {
                break_wire(stage, |between| matches!(between, Between::AgentAndMaster { .. }))
            }
            Fault::StreamBroken => {
                break_wire(stage, |between| matches!(between, Between::ExecutorAndAgent { .. }))
            }
            Fault::CutOff => self.cut_off(stage, &mut agents[host], host),
            Fault::HostRebooted => reboot(stage, &mut agents[host], host),
        };
        if struck {
            stage.log(format_args!("fault: {fault} (host{host})"));
            *self.struck.entry(fault).or_default() += 1;
        }
    }

    fn cut_off(&self, stage: &mut Stage, agent: &mut AgentNode, host: usize) -> bool {
        let until = stage.time() + outage(stage);
        agent.cut_off_until = until.min(self.calm_at);
        for (wire, between) in stage.network.working() {
            if matches!(between, Between::AgentAndMaster { host: of, .. } if of == host) {
                stage.freeze_wire(wire);
            }
        }
        true
    }
}

/// How long something is away: mostly shorter than any lease, sometimes longer than most.
fn outage(stage: &mut Stage) -> u64 {
    if stage.percent(75) { stage.between(100, 8_000) } else { stage.between(8_000, 200_000) }
}

fn kill_scheduler(stage: &mut Stage, scheduler: &mut SchedulerNode) -> bool {
    if !scheduler.is_up() {
        return false;
    }
    scheduler.crash(stage);
    let delay = outage(stage);
    stage.after(delay, Happening::SchedulerStarts);
    true
}

fn doom_scheduler(scheduler: &mut SchedulerNode, how: AtCommit) -> bool {
    let can = scheduler.is_up() && scheduler.doomed.is_none();
    if can {
        scheduler.doomed = Some(how);
    }
    can
}

fn kill_agent(stage: &mut Stage, agent: &mut AgentNode, host: usize) -> bool {
    if !agent.is_up() {
        return false;
    }
    agent.crash(stage);
    let delay = outage(stage);
    stage.after(delay, Happening::AgentStarts { host });
    true
}

fn reboot(stage: &mut Stage, agent: &mut AgentNode, host: usize) -> bool {
    if !agent.is_up() {
        return false;
    }
    agent.reboot(stage);
    let delay = outage(stage);
    stage.after(delay, Happening::AgentStarts { host });
    true
}

fn doom_agent(agent: &mut AgentNode, how: AtWrite) -> bool {
    let can = agent.is_up() && agent.doomed.is_none();
    if can {
        agent.doomed = Some(how);
    }
    can
}

fn kill_executor(stage: &mut Stage, agent: &mut AgentNode) -> bool {
    let live = agent.executors.iter().filter(|(_, node)| node.runs());
    let ids: Vec<_> = live.map(|(id, _)| id.clone()).collect();
    let victim = stage.one_of(&ids).and_then(|id| agent.executors.get_mut(&id));
    let Some(victim): Option<&mut ExecutorNode> = victim else { return false };
    victim.process_ends(stage, KILLED);
    true
}

fn break_wire(stage: &mut Stage, is_meant: impl Fn(&Between) -> bool) -> bool {
    let working = stage.network.working();
    let meant: Vec<_> = working.iter().filter(|(_, b)| is_meant(b)).map(|(id, _)| *id).collect();
    let Some(wire) = stage.one_of(&meant) else { return false };
    stage.break_wire(wire);
    true
}
