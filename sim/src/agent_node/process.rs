//! The process of an agent: its core, what waits for it, and what waits for its journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use muster_agent::core::{Agent, Effect, Entry, Event, Identity, Request, Session, Step, Write};
use muster_proto::ExecutorId;

use super::{
    AgentNode,
    calls::Asked,
    link::{Link, REDIAL_FIRST},
};
use crate::{bugs::Bug, happening::Happening, network::WireId, stage::Stage};

/// Events that share one write of the journal (`agent/src/run.rs`).
const BATCH_MAX: usize = 64;

/// What becomes of what an agent writes down when it is killed around that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtWrite {
    /// It was not written.
    Lost,
    /// Some of its entries were.
    Torn,
    /// It is in the journal, and nothing that follows from it was done.
    Kept,
}

/// The process of an agent.
#[derive(Debug)]
pub(super) struct Process {
    core: Agent,
    inbox: VecDeque<Event>,
    /// What is on its way into the journal, and is done after it.
    writing: Option<Decided>,
    /// Whether something decided is being done right now.
    busy: bool,
    pub(super) link: Option<Link>,
    pub(super) connections: u64,
    pub(super) redial: u64,
    pub(super) sessions: BTreeMap<Session, WireId>,
    pub(super) sessions_opened: u64,
    /// Calls of plain Mesos without an answer.
    pub(super) asked: BTreeMap<Request, Asked>,
    pub(super) requests: u64,
    /// Executors that have subscribed since this process started.
    pub(super) heard_of: BTreeSet<ExecutorId>,
}

/// What some steps have decided.
#[derive(Debug, Default)]
pub(super) struct Decided {
    entries: Vec<Entry>,
    identity: Option<Identity>,
    effects: Vec<Effect>,
}

impl Process {
    pub(super) fn new(core: Agent) -> Self {
        Self {
            core,
            inbox: VecDeque::new(),
            writing: None,
            busy: false,
            link: None,
            connections: 0,
            redial: REDIAL_FIRST,
            sessions: BTreeMap::new(),
            sessions_opened: 0,
            asked: BTreeMap::new(),
            requests: 0,
            heard_of: BTreeSet::new(),
        }
    }

    /// The stream that is carried by a wire.
    pub(super) fn session_of(&self, wire: WireId) -> Option<Session> {
        self.sessions.iter().find(|(_, known)| **known == wire).map(|(session, _)| *session)
    }
}

impl AgentNode {
    /// Something reaches the core.
    pub(crate) fn step(&mut self, stage: &mut Stage, event: Event) {
        if let Some(process) = &mut self.process {
            process.inbox.push_back(event);
            self.work(stage);
        }
    }

    /// Takes in what waits, unless a write is under way: the agent has one thread.
    pub(super) fn work(&mut self, stage: &mut Stage) {
        let now = self.clock.now(stage);
        while let Some(process) = &mut self.process {
            if process.writing.is_some() || process.busy {
                return;
            }
            if process.inbox.is_empty() {
                return self.set_alarm(stage);
            }
            let waiting = process.inbox.len().min(BATCH_MAX);
            let events: Vec<Event> = process.inbox.drain(..waiting).collect();
            let steps = events.into_iter().map(|event| process.core.step(now, event)).collect();
            self.write(stage, steps);
        }
    }

    /// First what is to be stored, then what is to be done.
    pub(super) fn write(&mut self, stage: &mut Stage, steps: Vec<Step>) {
        let mut decided = Decided::default();
        for step in steps {
            for note in &step.notes {
                stage.log(format_args!("host{}: {note:?}", self.host));
            }
            for write in step.writes {
                match write {
                    Write::Entry(entry) => decided.entries.push(entry),
                    Write::Identity(newest) => decided.identity = Some(newest),
                }
            }
            decided.effects.extend(step.effects);
        }
        let nothing = decided.entries.is_empty() && decided.identity.is_none();
        let delay = if nothing { None } else { self.disk.delay(stage) };
        let Some(process) = &mut self.process else { return };
        match delay {
            None => self.carry_out(stage, decided),
            Some(delay) => {
                process.writing = Some(decided);
                self.alarm.clear(stage);
                let (host, process) = (self.host, self.processes);
                stage.after(delay, Happening::AgentWrites { host, process });
            }
        }
    }

    /// A write that took its time has come to its end.
    pub(crate) fn written(&mut self, stage: &mut Stage) {
        let decided = self.process.as_mut().and_then(|process| process.writing.take());
        if let Some(decided) = decided {
            self.carry_out(stage, decided);
            self.work(stage);
        }
    }

    fn carry_out(&mut self, stage: &mut Stage, decided: Decided) {
        let Decided { mut entries, identity, effects } = decided;
        if !entries.is_empty() || identity.is_some() {
            let doomed = self.doomed.take();
            let fails = self.disk.fails(stage);
            let written = match doomed {
                Some(AtWrite::Lost) => 0,
                _ if fails => 0,
                Some(AtWrite::Torn) => {
                    let last = stage.between(0, entries.len() as u64);
                    usize::try_from(last).unwrap_or(0)
                }
                Some(AtWrite::Kept) | None => entries.len(),
            };
            let is_whole = written == entries.len() && !fails;
            entries.truncate(written);
            if stage.bug != Some(Bug::JournalSkipped) {
                self.journal.extend(entries);
            }
            if let Some(identity) = identity.filter(|_| is_whole && doomed != Some(AtWrite::Lost)) {
                self.identity = identity;
            }
            if doomed.is_some() || fails {
                self.crash(stage);
                return self.start_later(stage);
            }
        }
        self.release_all(stage, effects);
    }

    fn release_all(&mut self, stage: &mut Stage, effects: Vec<Effect>) {
        if let Some(process) = &mut self.process {
            process.busy = true;
        }
        for effect in effects {
            self.release(stage, effect);
        }
        if let Some(process) = &mut self.process {
            process.busy = false;
        }
    }

    fn set_alarm(&mut self, stage: &mut Stage) {
        if let Some(process) = &self.process {
            let at = process.core.next_wakeup().map(|at| self.clock.world_time(at));
            self.alarm.set(stage, at, Happening::AgentWakes { host: self.host });
        }
    }
}
