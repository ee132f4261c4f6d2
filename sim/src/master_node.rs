//! A master in a process of its own, on a host of its own: the core of ours, with its disk. To the
//! scheduler, which is a framework there, it is a foreign one.

use std::collections::{BTreeSet, VecDeque};

use muster_api::{
    step::{Records, Write},
    views::{AgentView, FrameworkState, FrameworkView, OfferView},
};
use muster_master::core::{Effect, Event, Master, Step, Stream};

use crate::{
    clock::Clock,
    disk::Disk,
    doors::{AgentDoor, FrameworkDoor},
    frozen::Who,
    happening::Happening,
    network::{Packet, Side, WireId},
    oracles::Violation,
    scheduler_node::AtCommit,
    stage::{Alarm, Stage},
};

/// Key prefix of the records of frameworks (`master/src/core/record.rs`).
const FRAMEWORKS: &[u8] = b"F/";

/// The host of a master that is not in the scheduler's process.
#[derive(Debug)]
pub(crate) struct MasterNode {
    clock: Clock,
    pub(crate) disk: Disk,
    store: Records,
    process: Option<Process>,
    processes: u64,
    alarm: Alarm,
    /// The process is killed around its next commit.
    pub(crate) doomed: Option<AtCommit>,
    /// Until when no wire of the scheduler gets here.
    pub(crate) cut_off_until: u64,
    /// The frameworks that had ended for ever when they were forgotten. Operators know them still.
    forgotten: BTreeSet<String>,
}

#[derive(Debug)]
struct Process {
    core: Master,
    /// Whether its first commit is done, so that it listens.
    listens: bool,
    inbox: VecDeque<Event>,
    /// What is on its way to the disk, and may leave after it.
    committing: Option<Decided>,
    agents: AgentDoor,
    frameworks: FrameworkDoor,
}

/// What some steps have decided.
#[derive(Debug, Default)]
struct Decided {
    writes: Vec<Write>,
    effects: Vec<Effect>,
}

impl MasterNode {
    pub(crate) fn new(stage: &mut Stage) -> Self {
        Self {
            clock: Clock::new(stage),
            disk: Disk::default(),
            store: Records::new(),
            process: None,
            processes: 0,
            alarm: Alarm::default(),
            doomed: None,
            cut_off_until: 0,
            forgotten: BTreeSet::new(),
        }
    }

    /// Whether the process lives.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether somebody can open a wire now.
    pub(crate) fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.listens)
    }

    /// The process starts from what is on the disk.
    pub(crate) fn start(&mut self, stage: &mut Stage) {
        if self.process.is_some() {
            return;
        }
        self.processes += 1;
        let (seed, now) = (stage.bits(), self.clock.now(stage));
        let (core, step) = match Master::restore(seed, &self.store, now) {
            Ok(started) => started,
            Err(error) => {
                let (oracle, what) = ("what_is_stored_can_be_restored", format!("{error}"));
                return stage.judge(Err(Violation { oracle, what }));
            }
        };
        let term = core.term();
        stage.log(format_args!("master starts with term {term}"));
        self.process = Some(Process {
            core,
            listens: false,
            inbox: VecDeque::new(),
            committing: None,
            agents: AgentDoor::new(term),
            frameworks: FrameworkDoor::new(term),
        });
        let mut decided = Decided::default();
        decided.add(step, stage);
        self.commit(stage, decided);
    }

    /// The process is killed. What it wrote before is on the disk, nothing else.
    pub(crate) fn crash(&mut self, stage: &mut Stage) {
        let Some(process) = self.process.take() else { return };
        stage.log(format_args!("master is killed"));
        self.alarm.clear(stage);
        self.doomed = None;
        process.agents.close(stage);
        process.frameworks.close(stage);
        stage.thaw(&Who::Master);
    }

    /// What is known of frameworks is lost, as it is when another master of a Mesos cluster leads.
    pub(crate) fn forget_frameworks(&mut self, stage: &mut Stage) {
        stage.log(format_args!("master: frameworks are forgotten"));
        let now = self.clock.now(stage);
        if let Ok((core, _)) = Master::restore(0, &self.store, now) {
            let over = |it: &FrameworkView| it.state == FrameworkState::Removed;
            self.forgotten.extend(core.frameworks(now).into_iter().filter(over).map(|it| it.id));
        }
        self.store.retain(|key, _| !key.starts_with(FRAMEWORKS));
    }

    /// An operator removes a framework, if there is one; says whether that is so.
    pub(crate) fn remove_framework(&mut self, stage: &mut Stage) -> bool {
        self.remove_one_of(stage, |_, _| true)
    }

    /// An operator removes again what had ended for ever, and what a host tells of to a master that
    /// does not know so: nobody else would, before it has been away for too long.
    pub(crate) fn remove_what_returns(&mut self, stage: &mut Stage) {
        if self.forgotten.is_empty() {
            return;
        }
        self.remove_one_of(stage, |forgotten, it| {
            it.state == FrameworkState::Away && it.since.is_none() && forgotten.contains(&it.id)
        });
    }

    fn remove_one_of(
        &mut self,
        stage: &mut Stage,
        wanted: impl Fn(&BTreeSet<String>, &FrameworkView) -> bool,
    ) -> bool {
        let now = self.clock.now(stage);
        let idle = self.process.as_mut().filter(|process| process.committing.is_none());
        let Some(process) = idle else { return false };
        let known = process.core.frameworks(now).into_iter();
        let known: Vec<_> =
            known.filter(|it| wanted(&self.forgotten, it)).map(|it| it.id).collect();
        let removed = stage.one_of(&known).map(|id| process.core.remove(now, &id));
        let Some(Ok(step)) = removed else { return false };
        let mut decided = Decided::default();
        decided.add(step, stage);
        self.commit(stage, decided);
        true
    }

    /// Takes a new wire of an agent. With the process that was dialled the wire ends.
    pub(crate) fn accept_agent(&mut self, stage: &mut Stage, wire: WireId) {
        match self.process.as_mut().filter(|process| process.listens) {
            Some(process) => process.agents.accept(stage, wire),
            None => stage.close(wire, Side::Listener),
        }
    }

    /// Takes a new wire of a framework.
    pub(crate) fn accept_framework(&mut self, wire: WireId) {
        if let Some(process) = &mut self.process {
            process.frameworks.accept(wire);
        }
    }

    /// A packet of an agent comes out of a wire.
    pub(crate) fn hear_agent(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let event = process.agents.hear(stage, wire, packet);
        self.take(stage, event);
    }

    /// A packet of a framework comes out of a wire.
    pub(crate) fn hear_framework(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        if let Packet::Call { call, .. } = &packet {
            let verdict = stage.truth.nothing_is_launched_twice(call);
            stage.judge(verdict);
        }
        let event = process.frameworks.hear(stage, wire, packet);
        self.take(stage, event);
    }

    fn take(&mut self, stage: &mut Stage, event: Option<Event>) {
        if let (Some(process), Some(event)) = (&mut self.process, event) {
            process.inbox.push_back(event);
            self.work(stage);
        }
    }

    /// The time has come that the core asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        self.take(stage, Some(Event::Tick));
    }

    /// The time has come for a heartbeat on a stream.
    pub(crate) fn beat(&self, stage: &mut Stage, process: u64, stream: Stream) {
        let lives = self.process.as_ref().filter(|_| process == self.processes);
        if lives.is_some_and(|process| process.frameworks.beat(stage, stream)) {
            FrameworkDoor::beat_later(stage, process, stream);
        }
    }

    /// Takes in what waits, unless a commit is under way.
    fn work(&mut self, stage: &mut Stage) {
        let now = self.clock.now(stage);
        while let Some(process) = &mut self.process {
            if process.committing.is_some() {
                return;
            }
            if process.inbox.is_empty() {
                return self.set_alarm(stage);
            }
            let mut decided = Decided::default();
            for event in std::mem::take(&mut process.inbox) {
                decided.add(process.core.step(now, event), stage);
            }
            process.core.check();
            self.commit(stage, decided);
        }
    }

    /// Sends what was decided to the disk. Without writes there is nothing to wait for.
    fn commit(&mut self, stage: &mut Stage, decided: Decided) {
        if decided.writes.is_empty() {
            return self.release(stage, decided.effects);
        }
        let delay = self.disk.delay(stage).unwrap_or_else(|| stage.between(0, 8));
        if let Some(process) = &mut self.process {
            process.committing = Some(decided);
        }
        self.alarm.clear(stage);
        stage.after(delay, Happening::MasterCommits { process: self.processes });
    }

    /// The disk is done with the commit, or the process is killed around it.
    pub(crate) fn committed(&mut self, stage: &mut Stage, number: u64) {
        let lives = self.process.as_mut().filter(|_| number == self.processes);
        let Some(decided) = lives.and_then(|process| process.committing.take()) else { return };
        let doomed = self.doomed.take();
        if self.disk.fails(stage) || doomed == Some(AtCommit::Lost) {
            return self.die(stage);
        }
        stage.log.commit(stage.time(), "master: ", &decided.writes);
        for write in decided.writes {
            stage.truth.see_gone(&write);
            stage.truth.see_host(&write);
            match write {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
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
        stage.after(delay, Happening::MasterStarts);
    }

    fn release(&mut self, stage: &mut Stage, effects: Vec<Effect>) {
        for effect in effects {
            let Some(process) = &mut self.process else { return };
            let ended = match effect {
                Effect::ToAgent { connection, body } => {
                    process.agents.tell(stage, connection, body);
                    None
                }
                Effect::Close { connection } => process.agents.end(stage, connection),
                Effect::ToStream { stream, event } => {
                    process.frameworks.tell(stage, stream, event);
                    None
                }
                Effect::EndStream(stream) => process.frameworks.end(stage, stream),
                Effect::Answer { request, answer } => {
                    if let Some(stream) = process.frameworks.answer(stage, request, answer) {
                        FrameworkDoor::beat_later(stage, self.processes, stream);
                    }
                    None
                }
                // Nobody in its process is a framework, and nobody needs credentials.
                Effect::ToEmbedded(_)
                | Effect::Agent(_)
                | Effect::Shared(_)
                | Effect::Credentials(_) => None,
            };
            if let (Some(process), Some(event)) = (&mut self.process, ended) {
                process.inbox.push_back(event);
            }
        }
    }

    fn set_alarm(&mut self, stage: &mut Stage) {
        let Some(process) = &self.process else { return };
        let at = process.core.next_wakeup().map(|at| self.clock.world_time(at));
        self.alarm.set(stage, at, Happening::MasterWakes);
    }

    /// What it says of all hosts, and one of the offers that somebody has, when it has nothing else
    /// to do.
    pub(crate) fn looks(&self, stage: &Stage) -> Option<(Vec<AgentView>, Option<OfferView>)> {
        let now = self.clock.now(stage);
        let process = self.process.as_ref().filter(|process| process.committing.is_none())?;
        if process.core.next_wakeup().is_some_and(|at| at <= now.mono) {
            return None;
        }
        Some((process.core.agents(now), process.core.offers(now, 0, 1).pop()))
    }
}

impl Decided {
    fn add(&mut self, step: Step, stage: &mut Stage) {
        for note in &step.notes {
            stage.log(format_args!("master: {note}"));
        }
        self.writes.extend(step.writes);
        self.effects.extend(step.effects);
    }
}
