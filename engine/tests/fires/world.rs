//! An engine with one app and one host, and what it has stored.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    JobUid, Mono, Now, RunId, TaskId, Timestamp, limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::TaskReport,
    views::{Cause, FireOutcome, TriggerRequest},
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step, Tally},
    event::{Command, CommandReply, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
    records::{self, CursorRecord, FireRangeRecord, JobRecord, RunRecord},
};
use serde_json::{Value, json};

/// What became of an instant: for those that another run stands for, that run's own instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Ran,
    Coalesced(Timestamp),
    Skipped,
    Dropped,
}

pub(crate) struct World {
    engine: Engine,
    config: EngineConfig,
    pub(crate) now: Now,
    stored: Records,
    seed: u64,
    offers: u32,
    /// The task that lives on the host, which has room for one.
    pub(crate) task: Option<TaskId>,
    pub(crate) tally: Tally,
    /// The most writes that one step had.
    pub(crate) most_writes: usize,
}

impl World {
    pub(crate) fn new(waiting_runs: usize) -> Self {
        let config = EngineConfig { waiting_runs, ..EngineConfig::new(|_, _| Vec::new()) };
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = Now { wall, mono: Mono::from_millis(1_000) };
        let (engine, first) = Engine::restore(config.clone(), 1, &Records::new(), now).unwrap();
        let mut world = Self {
            engine,
            config,
            now,
            stored: Records::new(),
            seed: 1,
            offers: 0,
            task: None,
            tally: Tally::default(),
            most_writes: 0,
        };
        world.took(&first);
        let resources = json!({"cpus": 1, "mem": 1});
        let app = json!({"name": "a", "resources": resources, "lease": "off"});
        let spec = AppSpec::parse(app).unwrap().spec;
        world.ask(Command::PutApp { spec, expect: Expect::Nothing }).unwrap();
        world
    }

    pub(crate) fn put_job(&mut self, name: &str, fields: &Value) -> CommandReply {
        let mut job = json!({
            "name": name, "app": "a", "type": "script", "script": {"command": ":"},
            "sharding": {"count": 1}, "resources": {"cpus": 1, "mem": 1},
        });
        job.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let spec = JobSpec::parse(job).unwrap().spec;
        self.ask(Command::PutJob { spec, expect: Expect::Anything })
    }

    pub(crate) fn trigger(&mut self, name: &str, key: Option<&str>) -> CommandReply {
        let (job, request) = (name.parse().unwrap(), TriggerRequest::default());
        self.ask(Command::Trigger { job, request, idempotency_key: key.map(str::to_owned) })
    }

    pub(crate) fn disable(&mut self, name: &str, disabled: bool) {
        let name = name.parse().unwrap();
        self.ask(Command::SetJobDisabled { name, disabled, kill: false }).unwrap();
    }

    pub(crate) fn cancel(&mut self, run: RunId) {
        self.ask(Command::Cancel { run }).unwrap();
    }

    pub(crate) fn ask(&mut self, command: Command) -> CommandReply {
        let step = self.step(Event::Command { request: RequestId(1), command });
        let replies = step.effects.into_iter().filter_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        replies.last().unwrap()
    }

    /// Offers room for one task.
    pub(crate) fn offer(&mut self) {
        self.offers += 1;
        self.step(Event::Offers(vec![Offer {
            id: format!("offer{}", self.offers).parse().unwrap(),
            agent: "host".parse().unwrap(),
            hostname: "host".to_owned(),
            attributes: BTreeMap::new(),
            resources: "cpus:2;mem:2".parse().unwrap(),
            executors: Vec::new(),
        }]));
        self.started();
    }

    /// Says that the task that was launched, if one was, is running.
    pub(crate) fn started(&mut self) {
        self.status(Signal::Running);
    }

    /// Ends the task that lives.
    pub(crate) fn finish(&mut self) {
        self.status(Signal::Finished);
        self.task = None;
    }

    fn status(&mut self, signal: Signal) {
        let Some(task) = self.task else { return };
        self.step(Event::Task(TaskUpdate {
            task,
            agent: Some("host".parse().unwrap()),
            signal,
            source: Default::default(),
            at: Some(self.now.wall),
            message: String::new(),
            report: TaskReport::default(),
            uuid: Some([1; 16]),
        }));
    }

    pub(crate) fn step(&mut self, event: Event) -> Step {
        let step = self.engine.step(self.now, event);
        self.engine.check();
        self.took(&step);
        step
    }

    fn took(&mut self, step: &Step) {
        self.most_writes = self.most_writes.max(step.writes.len());
        self.tally.add(step.tally.clone());
        for write in step.writes.clone() {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        for effect in &step.effects {
            if let Effect::Launch(batch) = effect {
                assert!(self.task.is_none() && batch.tasks.len() == 1, "the host has room for one");
                self.task = Some(batch.tasks[0].task);
            }
        }
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
    }

    /// Starts again from what is stored.
    pub(crate) fn restart(&mut self) {
        self.seed += 1;
        let restored = Engine::restore(self.config.clone(), self.seed, &self.stored, self.now);
        let (engine, step) = restored.unwrap();
        self.engine = engine;
        self.took(&step);
    }

    /// When something is due next: at once, or at an instant of the wall clock.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        let wakeup = self.engine.next_wakeup();
        let mono = wakeup.mono.map(|at| self.now.wall + at.since(self.now.mono));
        [wakeup.wall, mono].into_iter().flatten().min()
    }

    /// Ticks for as long as something is due; says how often.
    pub(crate) fn settle(&mut self) -> usize {
        for ticks in 0..100 {
            if self.next_wakeup().is_none_or(|at| at > self.now.wall) {
                return ticks;
            }
            self.step(Event::Tick);
            self.started();
        }
        panic!("it does not come to rest");
    }

    pub(crate) fn rows<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> BTreeMap<String, T> {
        let rows = self.stored.range(prefix.as_bytes().to_vec()..);
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        rows.map(|(key, value)| {
            (String::from_utf8_lossy(key).into_owned(), records::decode(value).unwrap())
        })
        .collect()
    }

    pub(crate) fn job(&self, name: &str) -> JobRecord {
        self.rows(records::JOBS).remove(&format!("{}{name}", records::JOBS)).unwrap()
    }

    pub(crate) fn settled(&self, job: &JobUid) -> Timestamp {
        let key = format!("{}{job}", records::CURSORS);
        self.rows::<CursorRecord>(&key)[&key].settled
    }

    /// The scheduled runs of a job that are not over, by planned instant.
    pub(crate) fn live_runs(&self, job: &JobUid) -> BTreeMap<Timestamp, RunRecord> {
        let runs = self.rows::<RunRecord>(records::RUNS).into_values();
        let scheduled = runs.filter(|run| run.job_uid == *job && run.cause == Cause::Schedule);
        scheduled.map(|run| (run.planned_at, run)).collect()
    }

    /// The ledger of a job as it is stored, instant by instant; each must be there once.
    pub(crate) fn ledger(&self, job: &JobUid) -> BTreeMap<Timestamp, Outcome> {
        let mut all = BTreeMap::new();
        let mut add = |at: Timestamp, outcome| {
            let before = all.insert(at, outcome);
            assert_eq!(before, None, "{at} is {outcome:?} too");
        };
        let mut runs = self.rows::<RunRecord>(records::RUNS);
        runs.extend(self.rows::<RunRecord>(records::PAST_RUNS));
        let of_job = |run: &&RunRecord| run.job_uid == *job && run.cause == Cause::Schedule;
        let runs: BTreeMap<RunId, &RunRecord> =
            runs.values().filter(of_job).map(|run| (run.id, run)).collect();
        for run in runs.values() {
            let outcome = match (run.started_at, run.ended_at, run.merged_into) {
                (Some(_), ..) => Outcome::Ran,
                (None, None, _) => Outcome::Waiting,
                (None, Some(_), Some(into)) => Outcome::Coalesced(runs[&into].planned_at),
                (None, Some(_), None) => Outcome::Skipped,
            };
            add(run.planned_at, outcome);
        }
        for range in self.rows::<FireRangeRecord>(&format!("{}{job}/", records::FIRES)).values() {
            let outcome = match range.outcome {
                FireOutcome::Coalesced => Outcome::Coalesced(runs[&range.run.unwrap()].planned_at),
                FireOutcome::Skipped => Outcome::Skipped,
                FireOutcome::Dropped => Outcome::Dropped,
                other => panic!("a range of {other:?}"),
            };
            let every = range.schedule.every.unwrap().duration();
            let mut at = range.first;
            while at <= range.last {
                add(at, outcome);
                at = at + every;
            }
            assert_eq!(at, range.last + every, "a range ends with an instant");
        }
        all
    }

    /// How many ranges a job has.
    pub(crate) fn ranges(&self, job: &JobUid) -> usize {
        self.rows::<FireRangeRecord>(&format!("{}{job}/", records::FIRES)).len()
    }
}

/// The usual bound.
pub(crate) const WIDE: usize = limits::WAITING_RUNS;
