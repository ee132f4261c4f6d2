//! An executor host: the agent's process, its journal, and the executors under it.

mod calls;
mod effects;
mod link;
mod process;

use std::collections::BTreeMap;

use muster_agent::core::{Agent, Config, Entry, Event, Identity};
use muster_api::{Amount, Resources};
use muster_proto::ExecutorId;

use self::process::Process;
use crate::{
    disk::Disk,
    executor_node::ExecutorNode,
    frozen::Who,
    happening::Happening,
    network::Side,
    oracles::Violation,
    setting::{HostFacts, LICENCES},
    stage::{Alarm, Stage},
};

pub(crate) use self::process::AtWrite;

/// What of a host is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freezing {
    /// The agent's process.
    Agent,
    /// One of the supervisors.
    Supervisor,
    /// The process of one of the executors.
    Executor,
    /// All of it.
    Host,
}

/// A host, with all that outlives the agent's process.
#[derive(Debug)]
pub(crate) struct AgentNode {
    host: usize,
    pub(crate) clock: crate::clock::Clock,
    pub(crate) disk: Disk,
    config: Config,
    journal: Vec<Entry>,
    identity: Identity,
    pub(crate) executors: BTreeMap<ExecutorId, ExecutorNode>,
    process: Option<Process>,
    processes: u64,
    boots: u64,
    alarm: Alarm,
    /// Until when no wire to the master can be opened from here.
    pub(crate) cut_off_until: u64,
    /// Until when nothing can be fetched.
    pub(crate) fetch_fails_until: u64,
    /// The agent is killed when it writes to its journal next.
    pub(crate) doomed: Option<AtWrite>,
}

impl AgentNode {
    pub(crate) fn new(stage: &mut Stage, host: usize, facts: &HostFacts) -> Self {
        let HostFacts { cpus, licences, attributes } = facts;
        let mut resources = Resources::none();
        resources.set("cpus", Amount::from_thousandths(cpus * 1_000));
        resources.set("mem", Amount::from_thousandths(cpus * 1_024_000));
        if *licences > 0 {
            resources.set(LICENCES, Amount::from_thousandths(licences * 1_000));
        }
        stage.truth.host(host, resources.clone());
        let config = Config {
            hostname: format!("host{host}"),
            resources,
            attributes: attributes.clone(),
            ip: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 5051,
            boot_id: format!("boot-{host}-0"),
            executor_registration: muster_api::limits::EXECUTOR_REGISTRATION,
            executor_reregistration: muster_api::limits::FOREIGN_REREGISTRATION,
            authenticate_executors: false,
        };
        Self {
            host,
            clock: crate::clock::Clock::new(stage),
            disk: Disk::default(),
            config,
            journal: Vec::new(),
            identity: Identity::default(),
            executors: BTreeMap::new(),
            process: None,
            processes: 0,
            boots: 0,
            alarm: Alarm::default(),
            cut_off_until: 0,
            fetch_fails_until: 0,
            doomed: None,
        }
    }

    /// Whether this is the process that lives.
    pub(crate) fn is(&self, process: u64) -> bool {
        self.process.is_some() && self.processes == process
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether nothing of an executor lives here.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_up() && self.executors.values().all(ExecutorNode::is_over)
    }

    /// The agent starts from its journal, which it writes anew. Without room for that it cannot.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        if self.process.is_some() {
            return;
        }
        if self.disk.is_full(stage) {
            stage.log(format_args!("host{}: agent cannot start, for its disk is full", self.host));
            return self.start_later(stage);
        }
        self.processes += 1;
        let (config, identity) = (self.config.clone(), self.identity.clone());
        let (seed, now) = (stage.bits(), self.clock.now(stage));
        let entries = self.journal.clone();
        let (core, step) = match Agent::restore(config, identity, seed, entries, now) {
            Ok(started) => started,
            Err(error) => {
                let what = format!("host{}: {error}", self.host);
                let oracle = "what_is_stored_can_be_restored";
                return stage.judge(Err(Violation { oracle, what }));
            }
        };
        stage.log(format_args!("host{}: agent starts", self.host));
        self.journal = core.snapshot();
        self.process = Some(Process::new(core));
        self.write(stage, vec![step]);
        self.work(stage);
        self.dial_later(stage, 1);
    }

    fn start_later(&self, stage: &mut Stage) {
        let delay = stage.between(100, 5_000);
        stage.after(delay, Happening::AgentStarts { host: self.host });
    }

    /// The agent is killed; supervisors and executors live on.
    pub(crate) fn crash(&mut self, stage: &mut Stage) {
        let Some(process) = self.process.take() else { return };
        stage.log(format_args!("host{}: agent is killed", self.host));
        self.alarm.clear(stage);
        self.doomed = None;
        if let Some(link) = process.link {
            stage.close(link.wire, Side::Dialler);
        }
        for wire in process.sessions.into_values() {
            stage.close(wire, Side::Listener);
        }
        self.executors.values_mut().for_each(ExecutorNode::agent_is_gone);
        stage.thaw(&Who::Agent(self.host));
    }

    /// The agent is stopped, or one of the supervisors or executors here, or all that lives here.
    pub(crate) fn freeze(&mut self, stage: &mut Stage, whom: Freezing, until: u64) -> bool {
        let host = self.host;
        let who = match whom {
            Freezing::Agent => self.process.as_ref().map(|_| Who::Agent(host)),
            Freezing::Host => Some(Who::Host(host)),
            Freezing::Supervisor => {
                self.one_of(stage, ExecutorNode::is_supervised).map(|id| Who::Supervisor(host, id))
            }
            Freezing::Executor => {
                self.one_of(stage, ExecutorNode::runs).map(|id| Who::Executor(host, id))
            }
        };
        let Some(who) = who else { return false };
        stage.log(format_args!("{who} is frozen"));
        if matches!(whom, Freezing::Executor | Freezing::Host) {
            stage.truth.disturb(host);
        }
        let frozen = stage.freeze(who, until);
        self.executors.values().for_each(|node| node.guard_may_stop(stage, self.clock));
        frozen
    }

    /// Somebody sets the wall clock of the host; says by how much it is wrong then.
    pub(crate) fn set_wall(&mut self, stage: &mut Stage) -> i64 {
        stage.truth.disturb(self.host);
        let wrong = self.clock.set_wall(stage);
        self.executors.values().for_each(|executor| executor.clock_is_set(stage));
        wrong
    }

    /// Somebody goes on: supervisors may be among them.
    pub(crate) fn guards_go_on(&self, stage: &mut Stage) {
        self.executors.values().for_each(|node| node.guard_may_go_on(stage));
    }

    /// The host loses its power: nothing that lived here lives any more, and its clock starts anew.
    pub(crate) fn reboot(&mut self, stage: &mut Stage) {
        self.crash(stage);
        for (_, mut executor) in std::mem::take(&mut self.executors) {
            executor.vanish(stage);
        }
        stage.thaw(&Who::Host(self.host));
        self.boots += 1;
        self.config.boot_id = format!("boot-{}-{}", self.host, self.boots);
        self.journal.clear();
        self.clock = self.clock.rebooted(stage);
    }

    /// Some executor's process is killed; says whether there was one.
    pub(crate) fn kill_executor(&mut self, stage: &mut Stage, status: i32) -> bool {
        let Some(victim) = self.some_executor(stage, ExecutorNode::runs) else { return false };
        victim.process_ends(stage, status);
        true
    }

    /// Some supervisor is killed; says whether there was one.
    pub(crate) fn kill_supervisor(&mut self, stage: &mut Stage) -> bool {
        let process = self.process.as_ref().map(|_| self.processes);
        let clock = self.clock;
        let Some(victim) = self.some_executor(stage, ExecutorNode::is_supervised) else {
            return false;
        };
        victim.supervisor_dies(stage, clock, process);
        true
    }

    /// The supervisor that has something to say next is killed before it can.
    pub(crate) fn supervisor_will_be_speechless(&mut self) {
        self.executors.values_mut().for_each(ExecutorNode::speechless);
    }

    fn some_executor(
        &mut self,
        stage: &mut Stage,
        is_meant: fn(&ExecutorNode) -> bool,
    ) -> Option<&mut ExecutorNode> {
        let id = self.one_of(stage, is_meant)?;
        self.executors.get_mut(&id)
    }

    fn one_of(&self, stage: &mut Stage, is_meant: fn(&ExecutorNode) -> bool) -> Option<ExecutorId> {
        let meant = self.executors.iter().filter(|(_, node)| is_meant(node));
        let ids: Vec<_> = meant.map(|(id, _)| id.clone()).collect();
        stage.one_of(&ids)
    }

    /// The time has come that the core asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        self.step(stage, Event::Tick);
    }

    /// Finds out what became of an executor from before the agent's start.
    pub(crate) fn seek_supervisor(&mut self, stage: &mut Stage, executor: &ExecutorId) {
        let process = self.processes;
        let host = self.host;
        // Killed between its journal and the folder: there is nothing but the entry.
        let node = self
            .executors
            .entry(executor.clone())
            .or_insert_with(|| ExecutorNode::never_made(host, executor.clone()));
        node.attach(stage, process);
    }
}
