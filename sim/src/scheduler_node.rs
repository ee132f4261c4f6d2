//! The scheduler: its core, its store, and a driver that commits before effects leave.

mod commits;
mod effects;
mod requests;
mod upstream;
mod work;

use std::{collections::VecDeque, num::NonZeroU32, time::Duration};

use muster_api::{
    Timestamp, limits,
    step::{Records, Write},
};
use muster_master::core::{Event as MasterEvent, Stream};
use muster_session::Identity;
use muster_turn::{Core, Effect, Event, Foreign, Loader};

use self::upstream::Upstream;
use crate::{
    bugs::Bug,
    clock::Clock,
    disk::Disk,
    doors::{AgentDoor, FrameworkDoor},
    frozen::Who,
    happening::Happening,
    network::{Packet, Side, WireId},
    oracles,
    setting::{ForeignFacts, Setting},
    stage::{Alarm, Stage},
};

/// How long the driver sleeps at most, and so does not notice that the wall clock was set.
const LONGEST_SLEEP: u64 = 1_000;

pub(crate) use self::upstream::Errand;

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
    /// The master that has the hosts, where that is not its own.
    foreign: Option<ForeignFacts>,
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
    agents: AgentDoor,
    frameworks: FrameworkDoor,
    /// The way to a master that is another process, while there is one.
    upstream: Option<Upstream>,
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
            foreign: setting.foreign.clone(),
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
        if let Some(foreign) = self.foreign_master(stage) {
            loader.foreign(foreign);
        }
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
        stage.truth.doubts_begin_anew();
        let term = core.term();
        stage.log(format_args!("scheduler starts with term {term}"));
        self.process = Some(Process {
            core,
            listens: false,
            inbox: VecDeque::new(),
            committing: None,
            agents: AgentDoor::new(term),
            frameworks: FrameworkDoor::new(term),
            upstream: None,
        });
        let mut decided = Decided { decided_at: self.clock.now(stage).wall, ..Decided::default() };
        decided.add(first, stage);
        self.commit(stage, decided);
    }

    /// What the core is told of a master that is not its own.
    fn foreign_master(&self, stage: &Stage) -> Option<Foreign> {
        let ForeignFacts { masters, unreachable_wait } = self.foreign.as_ref()?;
        let hurried = stage.bug == Some(Bug::UnreachableWaitShort);
        let wait = if hurried { Duration::from_secs(1) } else { *unreachable_wait };
        Some(Foreign {
            masters: masters.parse().expect("it is written as users write it"),
            identity: Identity { user: "muster".to_owned(), ..Identity::default() },
            unreachable_wait: wait,
            program: "http://scheduler/muster".to_owned(),
        })
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
        process.agents.close(stage);
        process.frameworks.close(stage);
        if let Some(upstream) = process.upstream {
            upstream.close(stage);
        }
        stage.thaw(&Who::Scheduler);
    }

    /// Takes a new wire of an agent. With the process that was dialled the wire ends.
    pub(crate) fn accept(&mut self, stage: &mut Stage, wire: WireId) {
        match self.process.as_mut().filter(|process| process.listens) {
            Some(process) => process.agents.accept(stage, wire),
            None => stage.close(wire, Side::Listener),
        }
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
    pub(crate) fn hear_agent(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let event = process.agents.hear(stage, wire, packet);
        self.take_of_master(stage, event);
    }

    /// Takes a new wire of another framework.
    pub(crate) fn accept_framework(&mut self, wire: WireId) {
        if let Some(process) = &mut self.process {
            process.frameworks.accept(wire);
        }
    }

    /// A packet of another framework comes out of a wire.
    pub(crate) fn hear_framework(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let event = process.frameworks.hear(stage, wire, packet);
        self.take_of_master(stage, event);
    }

    /// The time has come for a heartbeat on a stream.
    pub(crate) fn beat(&self, stage: &mut Stage, process: u64, stream: Stream) {
        let lives = self.process.as_ref().filter(|_| process == self.processes);
        if lives.is_some_and(|process| process.frameworks.beat(stage, stream)) {
            FrameworkDoor::beat_later(stage, process, stream);
        }
    }

    /// Something happens to the scheduler's own master.
    fn take_of_master(&mut self, stage: &mut Stage, event: Option<MasterEvent>) {
        if let Some(event) = event {
            self.take(stage, Event::Master(event));
        }
    }
}
