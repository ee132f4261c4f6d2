//! An executor host: the agent's process, its journal, and the executors under it.

mod link;

use std::collections::BTreeMap;

use muster_agent::core::{Agent, Config, Effect, Entry, Event, Identity, Session, Step, Write};
use muster_api::{Amount, Resources};
use muster_proto::{
    ExecutorId,
    executor::{self, CallType},
};

use self::link::{Link, REDIAL_FIRST};
use crate::{
    executor_node::ExecutorNode,
    network::{Packet, Side, WireId},
    oracles::{self, Violation},
    stage::{Alarm, Clock, Happening, Stage},
};

/// What becomes of what an agent wrote down when it is killed around that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtWrite {
    /// It was not written.
    Lost,
    /// It is in the journal, and nothing that follows from it was done.
    Kept,
}

/// A host, with all that outlives the agent's process.
#[derive(Debug)]
pub(crate) struct AgentNode {
    host: usize,
    pub(crate) clock: Clock,
    config: Config,
    journal: Vec<Entry>,
    identity: Identity,
    pub(crate) executors: BTreeMap<ExecutorId, ExecutorNode>,
    process: Option<Process>,
    processes: u64,
    boots: u64,
    alarm: Alarm,
    /// Until when nothing gets from here to the master.
    pub(crate) cut_off_until: u64,
    /// The agent is killed when it writes to its journal next.
    pub(crate) doomed: Option<AtWrite>,
}

#[derive(Debug)]
struct Process {
    core: Agent,
    link: Option<Link>,
    connections: u64,
    redial: u64,
    sessions: BTreeMap<Session, WireId>,
    sessions_opened: u64,
}

impl AgentNode {
    pub(crate) fn new(stage: &mut Stage, host: usize, cpus: u64) -> Self {
        let mut resources = Resources::none();
        resources.set("cpus", Amount::from_thousandths(cpus * 1_000));
        resources.set("mem", Amount::from_thousandths(cpus * 1_024_000));
        stage.truth.host(host, resources.clone());
        let config = Config {
            hostname: format!("host{host}"),
            resources,
            attributes: BTreeMap::new(),
            port: 5051,
            boot_id: format!("boot-{host}-0"),
        };
        Self {
            host,
            clock: Clock::new(stage),
            config,
            journal: Vec::new(),
            identity: Identity::default(),
            executors: BTreeMap::new(),
            process: None,
            processes: 0,
            boots: 0,
            alarm: Alarm::default(),
            cut_off_until: 0,
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

    /// The agent starts from its journal.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        if self.process.is_some() {
            return;
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
        self.process = Some(Process {
            core,
            link: None,
            connections: 0,
            redial: REDIAL_FIRST,
            sessions: BTreeMap::new(),
            sessions_opened: 0,
        });
        self.carry_out(stage, step);
        self.dial_later(stage, 1);
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
    }

    /// The host loses its power: nothing that lived here lives any more, and its clock starts anew.
    pub(crate) fn reboot(&mut self, stage: &mut Stage) {
        self.crash(stage);
        for (_, mut executor) in std::mem::take(&mut self.executors) {
            executor.vanish(stage);
        }
        self.boots += 1;
        self.config.boot_id = format!("boot-{}-{}", self.host, self.boots);
        self.journal.clear();
        self.clock = Clock::new(stage);
    }

    /// A packet of an executor comes out of a wire.
    pub(crate) fn hear_executor(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        executor: &ExecutorId,
        packet: Packet,
    ) {
        let Some(process) = &mut self.process else { return };
        let known = process.sessions.iter().find(|(_, known)| **known == wire).map(|(s, _)| *s);
        match (packet, known) {
            (Packet::Calls(calls), _) => {
                for call in calls {
                    self.hear_call(stage, wire, executor, call);
                }
            }
            (_, Some(session)) => {
                process.sessions.remove(&session);
                stage.hang_up(wire, Side::Listener);
                self.step(stage, Event::Left { session });
            }
            (_, None) => stage.hang_up(wire, Side::Listener),
        }
    }

    fn hear_call(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        executor: &ExecutorId,
        call: executor::Call,
    ) {
        let Some(process) = &mut self.process else { return };
        let known = process.sessions.iter().find(|(_, known)| **known == wire).map(|(s, _)| *s);
        match (call.r#type(), known) {
            (CallType::Subscribe, None) => {
                process.sessions_opened += 1;
                let session = Session(process.sessions_opened);
                process.sessions.insert(session, wire);
                let subscribe = call.subscribe.unwrap_or_default();
                let executor = executor.clone();
                self.step(stage, Event::Subscribed { session, executor, subscribe });
            }
            (CallType::Update, Some(session)) => {
                if let Some(status) = call.update.and_then(|update| update.status) {
                    self.step(stage, Event::Updated { session, status: Box::new(status) });
                }
            }
            _ => {}
        }
    }

    /// The time has come that the core asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        self.step(stage, Event::Tick);
    }

    /// Hands the core an event, and does what it decides.
    pub(crate) fn step(&mut self, stage: &mut Stage, event: Event) {
        let now = self.clock.now(stage);
        if let Some(process) = &mut self.process {
            let step = process.core.step(now, event);
            self.carry_out(stage, step);
        }
    }

    /// First what is to be stored, then what is to be done.
    fn carry_out(&mut self, stage: &mut Stage, step: Step) {
        for note in &step.notes {
            stage.log(format_args!("host{}: {note:?}", self.host));
        }
        let doomed = if step.writes.is_empty() { None } else { self.doomed.take() };
        if doomed != Some(AtWrite::Lost) {
            for write in step.writes {
                match write {
                    Write::Entry(entry) => self.journal.push(entry),
                    Write::Identity(identity) => self.identity = identity,
                }
            }
        }
        if doomed.is_some() {
            self.crash(stage);
            let delay = stage.between(100, 5_000);
            stage.after(delay, Happening::AgentStarts { host: self.host });
            return;
        }
        for effect in step.effects {
            self.release(stage, effect);
        }
        if let Some(process) = &self.process {
            let at = process.core.next_wakeup().map(|at| self.clock.world_time(at));
            self.alarm.set(stage, at, Happening::AgentWakes { host: self.host });
        }
    }

    fn release(&mut self, stage: &mut Stage, effect: Effect) {
        let (host, process) = (self.host, self.processes);
        match effect {
            Effect::Hello { connection, hello } => {
                let hello =
                    muster_proto::agent::Hello { version: muster_proto::agent::VERSION, ..*hello };
                self.say(stage, connection, Packet::Hello(hello));
            }
            Effect::ToMaster { connection, term, body } => {
                self.say(stage, connection, Packet::FromAgent { term, body });
            }
            Effect::Disconnect { connection } => self.hang_up(stage, connection),
            Effect::GiveUp { message } => {
                stage.judge(oracles::nobody_gives_up(&self.config.hostname, &message));
            }
            Effect::Fetch { info } => {
                let executor = info.executor_id.clone().unwrap_or_default();
                self.executors.insert(executor.clone(), ExecutorNode::new(host, *info));
                let delay = stage.between(1, 2_000);
                let event = Event::Fetched { executor, outcome: Ok(()) };
                stage.after(delay, Happening::AgentHears { host, process, event });
            }
            Effect::Start { framework, info, deadline } => {
                let executor = info.executor_id.unwrap_or_default();
                if let Some(node) = self.executors.get_mut(&executor) {
                    node.plan(stage, framework.id.unwrap_or_default(), deadline, process);
                }
            }
            Effect::Attach { executor } => {
                let delay = stage.between(1, 50);
                stage.after(delay, Happening::SupervisorSought { host, process, executor });
            }
            Effect::SetDeadline { executor, at } => {
                let event = muster_agent::supervise::Event::Deadline(at);
                self.tell_supervisor(stage, &executor, event);
            }
            Effect::End { executor, grace } => {
                let event = muster_agent::supervise::Event::End { grace };
                self.tell_supervisor(stage, &executor, event);
            }
            Effect::ToExecutor { session, event } => {
                let wire = self.process.as_ref().and_then(|p| p.sessions.get(&session));
                if let Some(wire) = wire {
                    stage.send(*wire, Side::Listener, Packet::Event(*event));
                }
            }
            Effect::CloseSession { session } => {
                let closed = self.process.as_mut().and_then(|p| p.sessions.remove(&session));
                if let Some(wire) = closed {
                    stage.close(wire, Side::Listener);
                    let event = Event::Left { session };
                    stage.after(1, Happening::AgentHears { host, process, event });
                }
            }
            Effect::Registered { .. }
            | Effect::ReadLog { .. }
            | Effect::TaskBegan { .. }
            | Effect::TaskOver { .. } => {}
        }
    }

    fn tell_supervisor(
        &mut self,
        stage: &mut Stage,
        executor: &ExecutorId,
        event: muster_agent::supervise::Event,
    ) {
        if let Some(node) = self.executors.get_mut(executor) {
            node.tell_supervisor(stage, event);
        }
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
