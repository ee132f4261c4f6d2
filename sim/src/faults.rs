//! The faults: what can go wrong, how often, and for how long.

mod kind;
mod upstream;

use std::collections::BTreeMap;

pub use self::kind::Fault;
use crate::{
    agent_node::{AgentNode, AtWrite, Freezing},
    disk::Disk,
    frozen::Who,
    happening::Happening,
    master_node::MasterNode,
    network::{BOTH, Between, Side, WireId},
    scheduler_node::{AtCommit, SchedulerNode},
    stage::Stage,
    users::{Trouble, Users},
};

/// The status of a process that was ended by SIGKILL.
const KILLED: i32 = 9;

/// The faults of one world.
#[derive(Debug)]
pub(crate) struct Faults {
    kinds: Vec<Fault>,
    /// The longest time between two.
    every: u64,
    calm_at: u64,
    pub(crate) struck: BTreeMap<Fault, u64>,
}

/// What faults can strike.
pub(crate) struct Targets<'a> {
    pub(crate) scheduler: &'a mut SchedulerNode,
    pub(crate) master: &'a mut Option<MasterNode>,
    pub(crate) agents: &'a mut [AgentNode],
    pub(crate) users: &'a mut Users,
}

impl Faults {
    /// Draws the kinds that this world has: with few of them each gets its chance. Said is
    /// whether the scheduler has a master that is not its own, and whether a framework is beside it.
    pub(crate) fn new(stage: &mut Stage, calm_at: u64, (foreign, shared): (bool, bool)) -> Self {
        let share = stage.between(15, 70);
        let all = Fault::ALL.iter().copied();
        let all = all.filter(|fault| foreign || !fault.is_of_master());
        let all = all.filter(|fault| foreign || shared || !fault.is_of_calls());
        let kinds = all.filter(|_| stage.percent(share)).collect();
        let every = stage.between(2_000, 60_000);
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
    pub(crate) fn strike(&mut self, stage: &mut Stage, targets: Targets<'_>) {
        self.plan(stage);
        let Some(fault) = stage.one_of(&self.kinds) else { return };
        let Targets { scheduler, master, agents, users } = targets;
        let host = usize::try_from(stage.between(0, agents.len() as u64 - 1)).unwrap_or(0);
        let agent = &mut agents[host];
        let (whom, struck) = match fault {
            Fault::RequestLost
            | Fault::RequestDelayed
            | Fault::RequestRepeated
            | Fault::AnswerLost => ("users".to_owned(), trouble(users, fault)),
            Fault::SchedulerKilled
            | Fault::CommitLost
            | Fault::CommitKept
            | Fault::SchedulerDiskSlow
            | Fault::SchedulerDiskFull
            | Fault::SchedulerDiskFails
            | Fault::SchedulerFrozen
            | Fault::SchedulerClockSet => {
                ("scheduler".to_owned(), self.strike_scheduler(stage, scheduler, fault))
            }
            of_calls if fault.is_of_calls() => {
                ("calls".to_owned(), self.strike_calls(stage, of_calls))
            }
            of_master if fault.is_of_master() => {
                let struck =
                    master.as_mut().is_some_and(|it| self.strike_master(stage, it, of_master));
                ("master".to_owned(), struck)
            }
            of_a_host => (format!("host{host}"), self.strike_host(stage, agent, host, of_a_host)),
        };
        if struck {
            stage.log(format_args!("fault: {fault} ({whom})"));
            *self.struck.entry(fault).or_default() += 1;
        }
    }

    fn strike_scheduler(
        &self,
        stage: &mut Stage,
        scheduler: &mut SchedulerNode,
        fault: Fault,
    ) -> bool {
        match fault {
            Fault::CommitLost => doom(scheduler.is_up(), &mut scheduler.doomed, AtCommit::Lost),
            Fault::CommitKept => doom(scheduler.is_up(), &mut scheduler.doomed, AtCommit::Kept),
            Fault::SchedulerDiskSlow => self.slow_down(stage, &mut scheduler.disk),
            Fault::SchedulerDiskFull => self.fill(stage, &mut scheduler.disk),
            Fault::SchedulerDiskFails => scheduler.disk.fail_once(),
            Fault::SchedulerFrozen => {
                let until = self.until(stage);
                scheduler.is_up() && stage.freeze(Who::Scheduler, until)
            }
            Fault::SchedulerClockSet => scheduler.set_wall(stage),
            _ => kill_scheduler(stage, scheduler),
        }
    }

    fn strike_host(
        &self,
        stage: &mut Stage,
        agent: &mut AgentNode,
        host: usize,
        fault: Fault,
    ) -> bool {
        let sleeps = stage.frozen.holds(&Who::Host(host));
        match fault {
            Fault::HostRebooted => kill_host(stage, agent, host, AgentNode::reboot),
            Fault::HostAway => self.take_away(stage, agent, host),
            Fault::CutOff => self.cut_off(stage, agent, host, &BOTH),
            Fault::CutOffOneWay => {
                let way = if stage.percent(50) { Side::Dialler } else { Side::Listener };
                self.cut_off(stage, agent, host, &[way])
            }
            // Nobody there could do anything to anybody.
            _ if sleeps => false,
            Fault::AgentFrozen => self.freeze(stage, agent, Freezing::Agent),
            Fault::SupervisorFrozen => self.freeze(stage, agent, Freezing::Supervisor),
            Fault::ExecutorFrozen => self.freeze(stage, agent, Freezing::Executor),
            Fault::HostFrozen => self.freeze(stage, agent, Freezing::Host),
            Fault::SupervisorSpeechless => {
                agent.supervisor_will_be_speechless();
                true
            }
            Fault::AgentDiskFails => agent.disk.fail_once(),
            Fault::EntryLost => doom(agent.is_up(), &mut agent.doomed, AtWrite::Lost),
            Fault::EntryTorn => doom(agent.is_up(), &mut agent.doomed, AtWrite::Torn),
            Fault::EntryKept => doom(agent.is_up(), &mut agent.doomed, AtWrite::Kept),
            Fault::AgentDiskSlow => self.slow_down(stage, &mut agent.disk),
            Fault::AgentDiskFull => self.fill(stage, &mut agent.disk),
            Fault::AgentClockSet => {
                let wrong = agent.set_wall(stage);
                stage.log(format_args!("host{host}: the wall clock is wrong by {wrong} ms now"));
                true
            }
            Fault::SupervisorKilled => agent.kill_supervisor(stage),
            Fault::ExecutorKilled => agent.kill_executor(stage, KILLED),
            Fault::FetchFails => {
                agent.fetch_fails_until = self.until(stage);
                true
            }
            Fault::LinkBroken => break_wire(stage, is_link),
            Fault::LinkStalled => self.stall(stage, is_link),
            Fault::StreamBroken => break_wire(stage, is_local),
            _ => kill_host(stage, agent, host, AgentNode::crash),
        }
    }

    fn take_away(&self, stage: &mut Stage, agent: &mut AgentNode, host: usize) -> bool {
        if !agent.is_up() {
            return false;
        }
        agent.reboot(stage);
        let back = (stage.time() + stage.between(60_000, 600_000)).min(self.calm_at);
        stage.at(back, Happening::AgentStarts { host });
        true
    }

    /// A freeze may be shorter than a lease, or longer.
    fn until(&self, stage: &mut Stage) -> u64 {
        (stage.time() + outage(stage)).min(self.calm_at)
    }

    fn freeze(&self, stage: &mut Stage, agent: &mut AgentNode, whom: Freezing) -> bool {
        let until = self.until(stage);
        agent.freeze(stage, whom, until)
    }

    fn slow_down(&self, stage: &mut Stage, disk: &mut Disk) -> bool {
        disk.slow_down(self.until(stage));
        true
    }

    fn fill(&self, stage: &mut Stage, disk: &mut Disk) -> bool {
        disk.fill(self.until(stage));
        true
    }

    fn stall(&self, stage: &mut Stage, is_meant: fn(&Between) -> bool) -> bool {
        let Some(wire) = some_wire(stage, is_meant) else { return false };
        let way = if stage.percent(50) { Side::Dialler } else { Side::Listener };
        let until = self.until(stage);
        stage.stall_wire(wire, way, until);
        true
    }

    /// What is sent to some sides of a host's wires is lost, or waits until that is over.
    fn cut_off(&self, stage: &mut Stage, agent: &mut AgentNode, host: usize, to: &[Side]) -> bool {
        let until = self.until(stage);
        agent.cut_off_until = until;
        let is_lost = stage.percent(50);
        for (wire, between) in stage.network.working() {
            if !matches!(between, Between::AgentAndMaster { host: of, .. } if of == host) {
                continue;
            }
            for side in to {
                if is_lost {
                    stage.freeze_wire(wire, *side);
                } else {
                    stage.stall_wire(wire, *side, until);
                }
            }
        }
        true
    }
}

/// How long something is away: mostly shorter than any lease, sometimes longer than most.
fn outage(stage: &mut Stage) -> u64 {
    if stage.percent(75) { stage.between(100, 8_000) } else { stage.between(8_000, 200_000) }
}

fn trouble(users: &mut Users, fault: Fault) -> bool {
    let trouble = match fault {
        Fault::RequestLost => Trouble::Lost,
        Fault::RequestDelayed => Trouble::Delayed,
        Fault::RequestRepeated => Trouble::Repeated,
        _ => Trouble::AnswerLost,
    };
    doom(true, &mut users.trouble, trouble)
}

/// Something is going to happen to whoever it is, unless something else is already.
fn doom<T>(can_be: bool, doomed: &mut Option<T>, how: T) -> bool {
    let can = can_be && doomed.is_none();
    if can {
        *doomed = Some(how);
    }
    can
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

fn kill_host(
    stage: &mut Stage,
    agent: &mut AgentNode,
    host: usize,
    kill: fn(&mut AgentNode, &mut Stage),
) -> bool {
    if !agent.is_up() {
        return false;
    }
    kill(agent, stage);
    let delay = outage(stage);
    stage.after(delay, Happening::AgentStarts { host });
    true
}

fn is_link(between: &Between) -> bool {
    matches!(between, Between::AgentAndMaster { .. })
}

fn is_local(between: &Between) -> bool {
    matches!(between, Between::ExecutorAndAgent { .. })
}

fn some_wire(stage: &mut Stage, is_meant: impl Fn(&Between) -> bool) -> Option<WireId> {
    let working = stage.network.working();
    let meant: Vec<_> = working.iter().filter(|(_, b)| is_meant(b)).map(|(id, _)| *id).collect();
    stage.one_of(&meant)
}

fn break_wire(stage: &mut Stage, is_meant: impl Fn(&Between) -> bool) -> bool {
    let Some(wire) = some_wire(stage, is_meant) else { return false };
    stage.break_wire(wire);
    true
}
