//! The scheduler: its core, its store, and a driver that commits before effects leave.

mod commits;
mod effects;
mod requests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU32,
};

use muster_api::{
    Now, Timestamp, limits,
    step::{Records, Write},
};
use muster_engine::{Wakeup, event::Event as EngineEvent};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_turn::{Core, Effect, Event, Loader, Turn};

use crate::{
    bugs::Bug,
    clock::Clock,
    disk::Disk,
    frozen::Who,
    happening::Happening,
    network::{Packet, Side, WireId},
    oracles,
    setting::Setting,
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
    /// How many runs may wait.
    waiting_runs: usize,
    /// How many tasks may be there at once.
    tasks: Option<NonZeroU32>,
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
    /// Wires of agents that have not said hello.
    unproven: BTreeSet<WireId>,
    wires: BTreeMap<Connection, WireId>,
    connections: u64,
}

/// What some turns have decided.
#[derive(Debug, Default)]
struct Decided {
    decided_at: Timestamp,
    writes: Vec<Write>,
    effects: Vec<Effect>,
}

impl SchedulerNode {
    pub(crate) fn new(stage: &mut Stage, setting: &Setting) -> Self {
        let clock = Clock::new(stage);
        // In some worlds there is room for few, so that cursors must wait.
        let few = usize::try_from(stage.between(2, 20)).unwrap_or(2);
        let waiting_runs = if stage.percent(25) { few } else { limits::WAITING_RUNS };
        let hurried = stage.bug == Some(Bug::FailoverBeforeFencing);
        Self {
            clock: if hurried { clock.hurried(1_000_000) } else { clock },
            disk: Disk::default(),
            waiting_runs,
            tasks: setting.tasks,
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
        self.harm(stage);
        let mut loader = Loader::bounded(self.waiting_runs);
        self.store.iter().for_each(|(key, value)| loader.take(key, value));
        let (mut core, first) = match loader.finish(seed, self.clock.now(stage)) {
            Ok(started) => started,
            Err(error) => {
                return stage.judge(Err(oracles::Violation {
                    oracle: "what_is_stored_can_be_restored",
                    what: format!("{error}: {:?}", std::error::Error::source(&error)),
                }));
            }
        };
        core.check();
        core.limit_tasks(self.limit(stage));
        stage.truth.scheduler_up_since = stage.time();
        stage.log(format_args!("scheduler starts with term {}", core.term()));
        self.process = Some(Process {
            core,
            listens: false,
            inbox: VecDeque::new(),
            committing: None,
            unproven: BTreeSet::new(),
            wires: BTreeMap::new(),
            connections: 0,
        });
        let mut decided = Decided { decided_at: self.clock.now(stage).wall, ..Decided::default() };
        decided.add(first, stage);
        self.commit(stage, decided);
    }

    /// How many tasks the core is told that there may be.
    fn limit(&self, stage: &Stage) -> Option<NonZeroU32> {
        match stage.bug {
            Some(Bug::LimitOffByOne) => self.tasks.map(|most| most.saturating_add(1)),
            _ => self.tasks,
        }
    }

    /// The process is killed. What it wrote before is on the disk, nothing else.
    pub(crate) fn crash(&mut self, stage: &mut Stage) {
        let Some(process) = self.process.take() else { return };
        stage.log(format_args!("scheduler is killed"));
        self.alarm.clear(stage);
        self.doomed = None;
        for wire in process.wires.into_values().chain(process.unproven) {
            stage.close(wire, Side::Listener);
        }
        stage.thaw(&Who::Scheduler);
    }

    /// Takes a new wire of an agent. With the process that was dialled the wire ends.
    pub(crate) fn accept(&mut self, stage: &mut Stage, wire: WireId) {
        let Some(process) = self.process.as_mut().filter(|process| process.listens) else {
            return stage.close(wire, Side::Listener);
        };
        process.unproven.insert(wire);
        let term = process.core.term();
        stage.send(wire, Side::Listener, Packet::Challenge { term });
    }

    /// Whether an agent can open a wire now.
    pub(crate) fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.listens)
    }

    /// The wall clock of its host is set.
    pub(crate) fn set_wall(&mut self, stage: &mut Stage) -> bool {
        let wrong = self.clock.set_wall(stage);
        stage.truth.wall_was_set = true;
        stage.log(format_args!("scheduler: the wall clock is wrong by {wrong} ms now"));
        let delay = stage.between(0, LONGEST_SLEEP);
        stage.after(delay, Happening::SchedulerWakes);
        true
    }

    /// A packet of an agent comes out of a wire.
    pub(crate) fn hear(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let known = process.wires.iter().find(|(_, known)| **known == wire).map(|(c, _)| *c);
        let unproven = process.unproven.remove(&wire);
        match (packet, known) {
            (Packet::Hello(hello), None) if unproven => {
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
            let mut decided = Decided { decided_at: now.wall, ..Decided::default() };
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
