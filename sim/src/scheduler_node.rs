//! The scheduler: its core, its store, and a driver that commits before effects leave.

use std::collections::{BTreeMap, VecDeque};

use muster_api::step::{Records, Write};
use muster_engine::event::{Command, Event as EngineEvent, RequestId};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_proto::agent::MasterBody;
use muster_turn::{Core, Effect, Event, Turn};

use crate::{
    faults::Bug,
    network::{Packet, Side, WireId},
    oracles,
    stage::{Alarm, Clock, Happening, Stage},
};

/// Turns that share one commit.
const TURNS_PER_COMMIT: usize = 64;

/// What becomes of a commit when the process is killed around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtCommit {
    /// It never reached the disk.
    Lost,
    /// It is on the disk, and none of its effects left.
    Kept,
}

/// The host of the scheduler.
#[derive(Debug)]
pub(crate) struct SchedulerNode {
    clock: Clock,
    /// What is on its disk.
    pub(crate) store: Records,
    process: Option<Process>,
    processes: u64,
    alarm: Alarm,
    /// The process is killed around its next commit.
    pub(crate) doomed: Option<AtCommit>,
}

#[derive(Debug)]
struct Process {
    core: Core,
    /// Whether its first commit is done, so that it listens.
    listens: bool,
    inbox: VecDeque<Event>,
    /// What is on its way to the disk, and may leave after it.
    committing: Option<Decided>,
    wires: BTreeMap<Connection, WireId>,
    connections: u64,
}

/// What some turns have decided.
#[derive(Debug, Default)]
struct Decided {
    writes: Vec<Write>,
    effects: Vec<Effect>,
}

impl SchedulerNode {
    pub(crate) fn new(stage: &mut Stage) -> Self {
        Self {
            clock: Clock::new(stage),
            store: Records::new(),
            process: None,
            processes: 0,
            alarm: Alarm::default(),
            doomed: None,
        }
    }

    /// Whether the process lives.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The process starts from what is on the disk.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        if self.process.is_some() {
            return;
        }
        self.processes += 1;
        let seed = stage.bits();
        stage.judge(oracles::nothing_accepted_is_lost(&stage.truth, &self.store));
        let (core, first) = match Core::restore(seed, &self.store, self.clock.now(stage)) {
            Ok(started) => started,
            Err(error) => {
                return stage.judge(Err(oracles::Violation {
                    oracle: "what_is_stored_can_be_restored",
                    what: format!("{error}: {:?}", std::error::Error::source(&error)),
                }));
            }
        };
        core.check();
        stage.log(format_args!("scheduler starts with term {}", core.term()));
        self.process = Some(Process {
            core,
            listens: false,
            inbox: VecDeque::new(),
            committing: None,
            wires: BTreeMap::new(),
            connections: 0,
        });
        let mut decided = Decided::default();
        decided.add(first, stage);
        self.commit(stage, decided);
    }

    /// The process is killed. What it wrote before is on the disk, nothing else.
    pub(crate) fn crash(&mut self, stage: &mut Stage) {
        let Some(process) = self.process.take() else { return };
        stage.log(format_args!("scheduler is killed"));
        self.alarm.clear(stage);
        self.doomed = None;
        for wire in process.wires.into_values() {
            stage.close(wire, Side::Listener);
        }
    }

    /// Takes a new wire of an agent, if the scheduler listens.
    pub(crate) fn accept(&mut self, stage: &mut Stage, wire: WireId) -> bool {
        let Some(process) = self.process.as_ref().filter(|process| process.listens) else {
            return false;
        };
        let term = process.core.term();
        stage.send(wire, Side::Listener, Packet::Challenge { term });
        true
    }

    /// Whether an agent can open a wire now.
    pub(crate) fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.listens)
    }

    /// A user asks for a change; says whether there is anybody to hear it.
    pub(crate) fn ask(&mut self, stage: &mut Stage, request: RequestId, command: Command) -> bool {
        if !self.listens() {
            return false;
        }
        self.take(stage, Event::Engine(EngineEvent::Command { request, command }));
        true
    }

    /// A packet of an agent comes out of a wire.
    pub(crate) fn hear(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let known = process.wires.iter().find(|(_, known)| **known == wire).map(|(c, _)| *c);
        match (packet, known) {
            (Packet::Hello(hello), None) => {
                process.connections += 1;
                let connection = Connection(process.connections);
                process.wires.insert(connection, wire);
                self.take(stage, Event::Master(MasterEvent::Hello { connection, hello }));
            }
            (Packet::FromAgent { term, body }, Some(connection)) => {
                if term == process.core.term() {
                    let event = MasterEvent::FromAgent { connection, body };
                    self.take(stage, Event::Master(event));
                } else {
                    self.end(stage, connection);
                }
            }
            (Packet::Closed, Some(connection)) => {
                process.wires.remove(&connection);
                stage.hang_up(wire, Side::Listener);
                self.take(stage, Event::Master(MasterEvent::Disconnected { connection }));
            }
            (Packet::Closed, None) => stage.hang_up(wire, Side::Listener),
            _ => stage.close(wire, Side::Listener),
        }
    }

    /// Ends the wire of an agent, and tells the core of its end.
    fn end(&mut self, stage: &mut Stage, connection: Connection) {
        let Some(process) = &mut self.process else { return };
        if let Some(wire) = process.wires.remove(&connection) {
            stage.close(wire, Side::Listener);
            self.take(stage, Event::Master(MasterEvent::Disconnected { connection }));
        }
    }

    fn take(&mut self, stage: &mut Stage, event: Event) {
        if let Some(process) = &mut self.process {
            process.inbox.push_back(event);
            self.work(stage);
        }
    }

    /// The time has come that the core asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        self.take(stage, Event::Tick);
    }

    /// Takes in what waits, unless a commit is under way: the driver has one thread.
    fn work(&mut self, stage: &mut Stage) {
        loop {
            let now = self.clock.now(stage);
            let Some(process) = &mut self.process else { return };
            if process.committing.is_some() {
                return;
            }
            let mut decided = Decided::default();
            for _ in 0..TURNS_PER_COMMIT {
                let Some(event) = process.inbox.pop_front() else { break };
                let turn = process.core.turn(now, event);
                process.core.check();
                decided.add(turn, stage);
            }
            self.commit(stage, decided);
            let more = self.process.as_ref().is_some_and(|process| !process.inbox.is_empty());
            if !more {
                return self.set_alarm(stage);
            }
        }
    }

    /// Sends what was decided to the disk. Without writes there is nothing to wait for.
    fn commit(&mut self, stage: &mut Stage, decided: Decided) {
        let Some(process) = &mut self.process else { return };
        if decided.writes.is_empty() {
            return self.release(stage, decided.effects);
        }
        process.committing = Some(decided);
        self.alarm.clear(stage);
        let delay = stage.between(0, 8);
        stage.after(delay, Happening::SchedulerCommits { process: self.processes });
    }

    /// The commit has reached the disk, or the process is killed around it.
    pub(crate) fn committed(&mut self, stage: &mut Stage, number: u64) {
        if number != self.processes {
            return;
        }
        let Some(decided) = self.process.as_mut().and_then(|p| p.committing.take()) else { return };
        let doomed = self.doomed.take();
        if doomed == Some(AtCommit::Lost) {
            if stage.bug == Some(Bug::EffectsBeforeCommit) {
                self.release(stage, decided.effects);
            }
            return self.die(stage);
        }
        self.store(stage, decided.writes);
        if doomed == Some(AtCommit::Kept) {
            return self.die(stage);
        }
        if let Some(process) = &mut self.process {
            process.listens = true;
        }
        self.release(stage, decided.effects);
        self.work(stage);
    }

    fn die(&mut self, stage: &mut Stage) {
        self.crash(stage);
        let delay = stage.between(100, 5_000);
        stage.after(delay, Happening::SchedulerStarts);
    }

    fn store(&mut self, stage: &mut Stage, writes: Vec<Write>) {
        stage.log.commit(stage.time(), &writes);
        for write in writes {
            stage.judge(oracles::terminal_is_final(&stage.truth, &self.store, &write));
            let verdict = oracles::what_is_over_does_not_run(&mut stage.truth, &write);
            stage.judge(verdict);
            match write {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
    }

    fn set_alarm(&mut self, stage: &mut Stage) {
        let Some(process) = &self.process else { return };
        if process.committing.is_some() {
            return;
        }
        let wakeup = process.core.next_wakeup();
        let wall = wakeup.wall.map(Clock::world_time_of_wall);
        let mono = wakeup.mono.map(|at| self.clock.world_time(at));
        let at = wall.into_iter().chain(mono).min();
        self.alarm.set(stage, at, Happening::SchedulerWakes);
    }

    fn release(&mut self, stage: &mut Stage, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { request, reply } => {
                    let delay = stage.between(0, 20);
                    stage.after(delay, Happening::UserHears { request, reply });
                }
                Effect::Answer { .. } | Effect::RunOver(_) => {}
                Effect::ToAgent { connection, body } => self.tell(stage, connection, body),
                Effect::CloseAgent(connection) => self.end(stage, connection),
            }
        }
    }

    fn tell(&self, stage: &mut Stage, connection: Connection, body: MasterBody) {
        let Some(process) = &self.process else { return };
        if let Some(wire) = process.wires.get(&connection) {
            let term = process.core.term();
            stage.send(*wire, Side::Listener, Packet::FromMaster { term, body });
        }
    }
}

impl Decided {
    fn add(&mut self, turn: Turn, stage: &mut Stage) {
        for note in &turn.notes {
            stage.log(format_args!("engine: {note:?}"));
        }
        for note in &turn.master_notes {
            stage.log(format_args!("master: {note}"));
        }
        for what in &turn.passed_over {
            stage.log(format_args!("session passes over {what}"));
        }
        self.writes.extend(turn.writes);
        self.effects.extend(turn.effects);
    }
}
