//! The engine: one event at a time, in one place.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use muster_api::{
    AgentId, ExecutorId, Mono, Now, RunId, Timestamp, limits,
    spec::{AppSpec, NoticeKind},
    step::{Records, Write},
    views::{AgentView, LeftView},
};

use crate::{
    cx::Cx,
    deadlines,
    dispatch::{handle, serve_timers},
    drains,
    effect::Step,
    event::Event,
    fires, hosts,
    load::Loader,
    outbox, place,
    records::{self, InvalidRecord},
    restore, rolls, sharing, sweeps,
    world::World,
};

/// What is told of every job and host of an installation, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installation {
    /// What is told of.
    pub on: BTreeSet<NoticeKind>,
    /// The webhook that is told, and of the jobs that have none of their own; empty: there is none.
    pub webhook: String,
}

/// What the engine is told once.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Describes an executor to whoever starts it. The bytes mean nothing to the engine: it keeps
    /// them and uses the same ones for as long as the executor lives.
    pub describe_executor: fn(ExecutorId, &AppSpec) -> Vec<u8>,
    /// How many runs may wait, of all jobs: [`limits::WAITING_RUNS`], but for tests.
    pub waiting_runs: usize,
    /// What is told of all jobs and hosts.
    pub installation: Installation,
    /// What else is to be known of a master that is not our own; nothing where it is.
    pub foreign: Option<ForeignMaster>,
}

/// What the engine is told of a master that is not our own. Its hosts are known from their offers
/// alone, and no leases end what runs there.
#[derive(Debug, Clone)]
pub struct ForeignMaster {
    /// How long a task counts as perhaps alive of which nobody can say whether it lives. After that it
    /// counts as dead.
    pub unreachable_wait: Duration,
    /// Where hosts find our program.
    pub program: String,
    /// Takes the place of [`EngineConfig::describe_executor`], and is told where our program is.
    pub describe_executor: fn(ExecutorId, &AppSpec, &str) -> Vec<u8>,
}

impl EngineConfig {
    /// What is usual beside a description of executors.
    pub const fn new(describe_executor: fn(ExecutorId, &AppSpec) -> Vec<u8>) -> Self {
        let installation = Installation { on: BTreeSet::new(), webhook: String::new() };
        let waiting_runs = limits::WAITING_RUNS;
        Self { describe_executor, waiting_runs, installation, foreign: None }
    }

    /// The description of an executor, for whoever starts it.
    pub(crate) fn describe(&self, id: ExecutorId, app: &AppSpec) -> Vec<u8> {
        match &self.foreign {
            None => (self.describe_executor)(id, app),
            Some(foreign) => (foreign.describe_executor)(id, app, &foreign.program),
        }
    }
}

/// When the engine wants to be woken by [`Event::Tick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wakeup {
    /// At this instant of the wall clock: something is planned.
    pub wall: Option<Timestamp>,
    /// At this instant of the other clock: some wait is over.
    pub mono: Option<Mono>,
}

/// Stored records that the engine cannot start from.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A record cannot be read.
    #[error("the stored record `{key}` cannot be read")]
    Record {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: InvalidRecord,
    },
    /// A key is not of any kind that is known here.
    #[error("the stored record `{key}` is of no known kind; it is of a newer version of Muster")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A record refers to another one that is missing.
    #[error("the stored record `{key}` refers to {missing}, which is missing")]
    Missing {
        /// Its key.
        key: String,
        /// What is missing.
        missing: String,
    },
}

/// The scheduling core.
#[derive(Debug)]
pub struct Engine {
    world: World,
    config: EngineConfig,
    #[cfg(debug_assertions)]
    steps: u64,
}

/// Records up to which debug builds check the world after each step, and not after each 64th.
#[cfg(debug_assertions)]
const CHECKED_RECORDS: usize = 100;

impl Engine {
    /// The engine as it was when `records` were written. `seed` is fresh entropy.
    pub fn restore(
        config: EngineConfig,
        seed: u64,
        records: &Records,
        now: Now,
    ) -> Result<(Self, Step), RestoreError> {
        let mut loader = Loader::default();
        for (key, value) in records {
            loader.take(key, value)?;
        }
        loader.finish(config, seed, now)
    }

    /// The engine of the records that a loader took in.
    pub(crate) fn loaded(
        config: EngineConfig,
        seed: u64,
        stored: Loader,
        now: Now,
    ) -> Result<(Self, Step), RestoreError> {
        let mut world = restore::world(seed, stored, now)?;
        world.unreachable_wait = config.foreign.as_ref().map(|foreign| foreign.unreachable_wait);
        let mut engine = Self {
            world,
            config,
            #[cfg(debug_assertions)]
            steps: 0,
        };
        let mut step = Step::default();
        let mut cx = engine.cx(now, &mut step);
        restore::recover(&mut cx);
        outbox::go_on(&mut cx);
        engine.collect(now, &mut step);
        Ok((engine, step))
    }

    /// Takes in one event. Never fails: bad input is a reply or a note. The step holds all of its
    /// writes.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = self.advance(now, event);
        self.collect(now, &mut step);
        step
    }

    /// Takes in one event, and keeps back the writes of records that many events change, such as
    /// that of a run: [`Engine::take_writes`] has them, once for all events of a commit.
    pub fn advance(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        let mut cx = self.cx(now, &mut step);
        let is_tick = matches!(event, Event::Tick);
        handle(&mut cx, event);
        serve_timers(&mut cx);
        fires::fire_due(&mut cx);
        deadlines::expire_due(&mut cx);
        // Events have agents and users behind them that wait; jobs can follow their app between.
        if is_tick {
            sweeps::go_on(&mut cx);
        }
        rolls::go_on(&mut cx);
        place::round(&mut cx);
        outbox::go_on(&mut cx);
        sharing::settle(&mut cx);
        #[cfg(debug_assertions)]
        self.check_sometimes();
        step
    }

    /// The writes that [`Engine::advance`] kept back. They belong into the commit of what that
    /// gave, before any of its effects leaves.
    pub fn take_writes(&mut self, now: Now) -> Vec<Write> {
        let mut step = Step::default();
        self.collect(now, &mut step);
        step.writes
    }

    /// Every record, as it would be stored now, and what [`Engine::take_writes`] would give: for
    /// those who compare what is stored with what is known.
    pub fn all_records(&mut self, now: Now) -> Vec<Write> {
        self.world.touch();
        self.take_writes(now)
    }

    /// The runs that have shards to start, in the order in which they are served.
    pub fn waiting(&self) -> Vec<RunId> {
        self.world.waiting.iter().map(|place| place.3).collect()
    }

    /// What of ours is on an agent that is drained, and what becomes of it.
    pub fn left_on(&self, now: Now, agent: &AgentId) -> Vec<LeftView> {
        drains::left(&self.world, now, agent)
    }

    /// The hosts of a master that is not our own, as far as they are known here.
    pub fn hosts(&self, now: Now) -> Vec<AgentView> {
        hosts::agents(&self.world, now)
    }

    /// The hosts that tasks of ours are on, or else those of executors that have none.
    pub fn hosts_in_use(&self) -> Vec<&AgentId> {
        hosts::in_use(&self.world)
    }

    /// How many tasks are not over: each of them lives, or may.
    pub fn tasks(&self) -> usize {
        self.world.tasks.len()
    }

    /// How many writes are kept back.
    pub fn unwritten(&self) -> usize {
        self.world.unwritten()
    }

    /// When something is to be done next.
    pub fn next_wakeup(&self) -> Wakeup {
        let held = self.world.held().is_some();
        let full = self.world.waiting.len() >= self.config.waiting_runs;
        let fire = self.world.fires_by_time.first_key_value().filter(|_| !full);
        let fire = fire.map(|((at, _), _)| *at);
        let expiry = self.world.expiries.first().map(|(at, _)| *at);
        let wall = [fire, expiry].into_iter().flatten().min().filter(|_| !held);
        let rolls = rolls::are_due(&self.world);
        let mono = if self.world.can_place() || !self.world.sweeping.is_empty() || rolls {
            Some(Mono::default())
        } else {
            self.world.timers.first().map(|(at, _)| *at)
        };
        Wakeup { wall, mono }
    }

    /// Since when this restored store is held, if it is.
    pub fn held(&self) -> Option<Timestamp> {
        self.world.held()
    }

    /// How many tasks may run at one time, of all apps; none is no bound.
    pub fn limit_tasks(&mut self, most: Option<NonZeroU32>) {
        self.world.limit_tasks(most);
    }

    /// Panics if something that must always hold does not.
    pub fn check(&self) {
        crate::check::check(&self.world);
    }

    fn cx<'a>(&'a mut self, now: Now, out: &'a mut Step) -> Cx<'a> {
        Cx { world: &mut self.world, config: &self.config, now, out }
    }

    #[cfg(debug_assertions)]
    fn check_sometimes(&mut self) {
        self.steps += 1;
        let shards: u32 = self.world.runs.iter().map(|(_, run)| run.counts().total()).sum();
        let work = shards as usize + self.world.runs.len() + self.world.jobs.len();
        let records = work + self.world.notices.len() + self.world.agents.len();
        if records < CHECKED_RECORDS || self.steps.is_multiple_of(64) {
            self.check();
        }
    }

    /// Turns what changed in the tables into writes.
    fn collect(&mut self, now: Now, step: &mut Step) {
        let world = &mut self.world;
        let writes = &mut step.writes;
        world.apps.drain(|name, app| writes.push(write(records::app_key(name), app)));
        world.jobs.drain(|name, job| writes.push(write(records::job_key(name), job)));
        world.revisions.drain(|(uid, revision), spec| {
            writes.push(write(format!("{}{uid}/{revision:020}", records::REVISIONS), spec));
        });
        world.versions.drain(|(uid, version), spec| {
            writes.push(write(format!("{}{uid}/{version:020}", records::VERSIONS), spec));
        });
        world.cursors.drain(|uid, cursor| writes.push(write(records::cursor_key(uid), cursor)));
        world.runs.drain(|id, run| {
            let record = run.map(|run| run.to_record(now));
            writes.push(write(records::run_key(id), record.as_ref()));
        });
        world.tasks.drain(|id, task| {
            let record = task.map(crate::task::Task::record);
            writes.push(write(format!("{}{id}", records::TASKS), record.as_ref()));
        });
        world.executors.drain(|id, executor| {
            let record = executor.map(|executor| &executor.record);
            writes.push(write(format!("{}{id}", records::EXECUTORS), record));
        });
        world.idempotency.drain(|(uid, key), record| {
            writes.push(write(format!("{}{uid}/{key}", records::IDEMPOTENCY), record));
        });
        world.counters.drain(|(), counters| writes.push(write(records::COUNTERS, counters)));
        world.held.drain(|(), held| writes.push(write(records::HELD, held)));
        world.resumed.drain(|(), resumed| writes.push(write(records::RESUMED, resumed)));
        world.settling_mark.drain(|(), mark| writes.push(write(records::SETTLING, mark)));
        world.zones.drain(|(), zones| writes.push(write(records::ZONES, zones)));
        world.notices.drain(|id, waiting| {
            let record = waiting.map(|waiting| &waiting.record);
            writes.push(write(format!("{}{id}", records::NOTICES), record));
        });
        world.told.drain(|uid, told| {
            writes.push(write(format!("{}{uid}", records::TOLD), told));
        });
        world.disowned.drain(|(), disowned| writes.push(write(records::DISOWNED, disowned)));
        world.lost.drain(|agent, lost| {
            writes.push(write(format!("{}{agent}", records::LOST), lost));
        });
    }
}

fn write(key: impl Into<Vec<u8>>, record: Option<&impl serde::Serialize>) -> Write {
    let key = key.into();
    match record {
        Some(record) => Write::Put { key, value: records::encode(record) },
        None => Write::Delete { key },
    }
}
