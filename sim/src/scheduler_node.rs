//! The scheduler: its core, its store, and a driver that commits before effects leave.

mod commits;
mod effects;

use std::collections::{BTreeMap, VecDeque};

use muster_api::{
    Now,
    step::{Records, Write},
    views::AgentView,
};
use muster_engine::{
    Wakeup,
    event::{Event as EngineEvent, RequestId},
    query::{Answer, Query},
};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_turn::{Core, Effect, Event, Turn};

use crate::{
    bugs::Bug,
    clock::Clock,
    disk::Disk,
    happening::Happening,
    network::{Packet, Side, WireId},
    oracles,
    stage::{Alarm, Stage},
};

/// Turns that share one commit.
const TURNS_PER_COMMIT: usize = 64;
/// How long the driver sleeps at most, and so does not notice that the wall clock was set.
const LONGEST_SLEEP: u64 = 1_000;

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
    pub(crate) disk: Disk,
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
        let clock = Clock::new(stage);
        let hurried = stage.bug == Some(Bug::FailoverBeforeFencing);
        Self {
            clock: if hurried { clock.hurried(1_000_000) } else { clock },
            disk: Disk::default(),
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

    /// The wall clock of its host is set.
    pub(crate) fn set_wall(&mut self, stage: &mut Stage) -> bool {
        let wrong = self.clock.set_wall(stage);
        stage.log(format_args!("scheduler: the wall clock is wrong by {wrong} ms now"));
        let delay = stage.between(0, LONGEST_SLEEP);
        stage.after(delay, Happening::SchedulerWakes);
        true
    }

    /// A user asks for a change, or a question. Where nobody listens, the wait for an answer is as
    /// good as a refusal.
    pub(crate) fn ask(&mut self, stage: &mut Stage, event: EngineEvent) {
        if self.listens() {
            self.take(stage, Event::Engine(event));
        }
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

    /// What the master says of all hosts, when it has nothing else to do.
    pub(crate) fn agents(&mut self, stage: &Stage) -> Option<Vec<AgentView>> {
        let now = self.clock.now(stage);
        let process = self.process.as_mut()?;
        if process.committing.is_some() || is_due(&process.core, now) {
            return None;
        }
        let event = EngineEvent::Query { request: RequestId(0), query: Query::Agents };
        let turn = process.core.advance(now, Event::Engine(event));
        turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer: Answer::Agents(agents), .. } => Some(agents),
            _ => None,
        })
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
            for turns in 0..TURNS_PER_COMMIT {
                // A question is alone in its commit, so that its answer is about what is stored.
                let asks = process.inbox.front().is_some_and(is_question);
                if asks && turns > 0 {
                    break;
                }
                if asks {
                    process.do_what_is_due(now, &mut decided, stage);
                }
                let Some(event) = process.inbox.pop_front() else { break };
                let changes = matches!(event, Event::Engine(EngineEvent::Command { .. }));
                // The driver asks for writes once a commit. Here each change of a document shows,
                // and what was so before, so that it is known which schedule was planned when.
                if changes {
                    decided.writes.extend(process.core.take_writes(now));
                }
                let turn = process.core.advance(now, event);
                decided.add(turn, stage);
                if changes {
                    decided.writes.extend(process.core.take_writes(now));
                }
                if asks {
                    break;
                }
            }
            decided.writes.extend(process.core.take_writes(now));
            process.core.check();
            self.commit(stage, decided);
            let more = self.process.as_ref().is_some_and(|process| !process.inbox.is_empty());
            if !more {
                return self.set_alarm(stage);
            }
        }
    }

    fn set_alarm(&mut self, stage: &mut Stage) {
        let Some(process) = &self.process else { return };
        if process.committing.is_some() {
            return;
        }
        let wakeup = process.core.next_wakeup();
        let wall = wakeup.wall.map(|at| self.clock.world_time_of_wall(at));
        let mono = wakeup.mono.map(|at| self.clock.world_time(at));
        let at = wall.into_iter().chain(mono).min();
        self.alarm.set(stage, at, Happening::SchedulerWakes);
    }
}

fn is_due(core: &Core, now: Now) -> bool {
    let Wakeup { wall, mono } = core.next_wakeup();
    wall.is_some_and(|at| at <= now.wall) || mono.is_some_and(|at| at <= now.mono)
}

fn is_question(event: &Event) -> bool {
    matches!(event, Event::Engine(EngineEvent::Query { .. }))
}

impl Process {
    /// An answer is about the state before its step does anything that is due, so that is done.
    fn do_what_is_due(&mut self, now: Now, decided: &mut Decided, stage: &mut Stage) {
        for _ in 0..TURNS_PER_COMMIT {
            if !is_due(&self.core, now) {
                return;
            }
            decided.add(self.core.advance(now, Event::Tick), stage);
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
