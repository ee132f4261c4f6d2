//! Changes of an app with many jobs: no step grows with their number, and nobody can tell.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    Mono, Now, Timestamp, limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step},
    event::{Command, CommandReply, Event, Expect, Offer, RequestId},
    records::{self, AppRecord, CursorRecord},
};
use serde_json::json;

const CONFIG: EngineConfig = EngineConfig::new(|_, _| Vec::new());

/// More than two steps can change.
const JOBS: usize = 1_200;

struct World {
    engine: Engine,
    now: Now,
    stored: Records,
}

impl World {
    fn with_jobs() -> Self {
        Self::with(&json!({"every": "1m", "from": "2026-01-01T00:00:00Z"}))
    }

    /// With many jobs of this schedule.
    fn with(schedule: &serde_json::Value) -> Self {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = Now { wall, mono: Mono::from_millis(1_000) };
        let (engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let mut world = Self { engine, now, stored: Records::new() };
        let resources = json!({"cpus": 1, "mem": 32});
        let app = AppSpec::parse(json!({"name": "a", "resources": resources})).unwrap().spec;
        world.ask(Command::PutApp { spec: app, expect: Expect::Nothing }).unwrap();
        for number in 0..JOBS {
            let job = json!({
                "name": format!("j{number:04}"), "app": "a", "type": "script",
                "script": {"command": ":"}, "sharding": {"count": 1}, "resources": resources,
                "schedule": schedule, "start_within": "2m",
            });
            let spec = JobSpec::parse(job).unwrap().spec;
            world.ask(Command::PutJob { spec, expect: Expect::Nothing }).unwrap();
        }
        world
    }

    fn step(&mut self, event: Event) -> Step {
        let step = self.engine.step(self.now, event);
        assert!(step.writes.len() <= limits::COMMIT_RECORDS, "{} writes", step.writes.len());
        for write in step.writes.clone() {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        step
    }

    fn ask(&mut self, command: Command) -> CommandReply {
        let step = self.step(Event::Command { request: RequestId(1), command });
        let replies = step.effects.into_iter().filter_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        replies.last().unwrap()
    }

    fn switch(&mut self, disabled: bool) -> CommandReply {
        let name = "a".parse().unwrap();
        self.ask(Command::SetAppDisabled { name, disabled, kill: false })
    }

    fn restart(&mut self) {
        self.engine = Engine::restore(CONFIG, 2, &self.stored, self.now).unwrap().0;
    }

    fn wait(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
    }

    /// Ticks for as long as something is to be done at once; says how often.
    fn settle(&mut self) -> usize {
        for ticks in 0.. {
            let wakeup = self.engine.next_wakeup();
            let now = wakeup.wall.is_some_and(|at| at <= self.now.wall)
                || wakeup.mono.is_some_and(|at| at <= self.now.mono);
            if !now {
                self.engine.check();
                return ticks;
            }
            self.step(Event::Tick);
        }
        unreachable!("the range has no end");
    }

    fn rows<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> BTreeMap<String, T> {
        let rows = self.stored.range(prefix.as_bytes().to_vec()..);
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        rows.map(|(key, value)| {
            (String::from_utf8_lossy(key).into_owned(), records::decode(value).unwrap())
        })
        .collect()
    }

    fn planned(&self) -> usize {
        let cursors: BTreeMap<_, CursorRecord> = self.rows(records::CURSORS);
        cursors.values().filter(|cursor| cursor.next.is_some()).count()
    }
}

#[test]
fn an_app_is_disabled_and_enabled_in_bounded_steps() {
    let mut world = World::with_jobs();
    assert_eq!(world.planned(), JOBS);
    world.wait(Duration::from_secs(90));
    world.switch(true).unwrap();
    assert!(world.planned() > 0, "it takes more than one step");
    // The other way round has to wait, however the scheduler is treated meanwhile.
    assert!(world.switch(false).is_err());
    world.restart();
    assert!(world.switch(false).is_err());
    world.wait(Duration::from_secs(60));
    assert!(world.settle() > 1);
    assert_eq!(world.planned(), 0);
    // Each job had its instant of before the change, and none of after it.
    let runs: BTreeMap<_, records::RunRecord> = world.rows(records::PAST_RUNS);
    assert_eq!(runs.len(), JOBS);
    let minute: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    assert!(runs.values().all(|run| (run.planned_at, run.planned_until) == (minute, minute)));
    assert!(world.rows::<records::RunRecord>(records::RUNS).is_empty());

    world.wait(Duration::from_secs(600));
    world.switch(false).unwrap();
    let planned = world.planned();
    assert!(0 < planned && planned < JOBS, "{planned} at once");
    world.restart();
    world.settle();
    assert_eq!(world.planned(), JOBS);
    let apps: BTreeMap<_, AppRecord> = world.rows(records::APPS);
    assert!(apps["a/a"].sweep.is_none() && !apps["a/a"].disabled);
    world.wait(Duration::from_secs(60));
    world.settle();
    let runs: BTreeMap<_, records::RunRecord> = world.rows(records::RUNS);
    assert_eq!(runs.len(), JOBS, "no burst");
    assert!(runs.values().all(|run| run.fires == Some(1)));
}

#[test]
fn an_app_is_deleted_in_bounded_steps() {
    let mut world = World::with_jobs();
    world.wait(Duration::from_secs(90));
    world.settle();
    let delete = || Command::DeleteApp { name: "a".parse().unwrap(), expect: Expect::Anything };
    world.ask(delete()).unwrap();
    let left: BTreeMap<_, records::JobRecord> = world.rows(records::JOBS);
    assert!(!left.is_empty() && left.len() < JOBS, "{} at once", left.len());
    // Nobody can have it back before it is gone, nor add to it.
    assert!(world.switch(false).is_err());
    let job = left.values().next_back().unwrap();
    let spec = JobSpec { description: "again".into(), ..(*job.spec).clone() };
    assert!(world.ask(Command::PutJob { spec, expect: Expect::Anything }).is_err());
    world.restart();
    world.settle();
    let left = world.stored.keys().filter(|key| !key.starts_with(b"h/"));
    let left: Vec<_> = left.map(|key| String::from_utf8_lossy(key)).collect();
    assert!(left.iter().all(|key| key.starts_with("m/")), "{left:?}");
}

#[test]
fn a_job_that_is_changed_before_its_turn_has_followed_its_app() {
    let mut world = World::with_jobs();
    world.wait(Duration::from_secs(90));
    world.switch(true).unwrap();
    let jobs: BTreeMap<_, records::JobRecord> = world.rows(records::JOBS);
    let last = jobs.values().next_back().unwrap();
    let schedule = json!({"every": "1h", "from": "2026-01-01T00:00:00Z"});
    let schedule = serde_json::from_value(schedule).unwrap();
    let spec = JobSpec { schedule: Some(schedule), ..(*last.spec).clone() };
    world.ask(Command::PutJob { spec, expect: Expect::Anything }).unwrap();
    world.settle();
    let runs: BTreeMap<_, records::RunRecord> = world.rows(records::PAST_RUNS);
    let mine = runs.values().filter(|run| run.job_uid == last.uid);
    assert_eq!(mine.map(|run| run.fires).collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(runs.len(), JOBS);
}

#[test]
fn a_run_of_a_disabled_app_does_not_expire_before_its_job_has_followed() {
    let mut world = World::with_jobs();
    world.wait(Duration::from_secs(90));
    world.settle();
    world.wait(Duration::from_secs(80));
    world.switch(true).unwrap();
    let waiting: BTreeMap<_, records::RunRecord> = world.rows(records::RUNS);
    assert!(!waiting.is_empty(), "not all jobs have followed");
    // By now every run of which nothing was launched has expired.
    world.wait(Duration::from_secs(300));
    world.settle();
    let runs: BTreeMap<_, records::RunRecord> = world.rows(records::PAST_RUNS);
    assert_eq!(runs.len(), JOBS);
    let disabled = |run: &&records::RunRecord| run.reason.as_deref() == Some("disabled");
    assert_eq!(runs.values().filter(disabled).count(), JOBS);
}

#[test]
fn many_runs_expire_in_bounded_steps_and_none_starts_meanwhile() {
    let mut world = World::with(&json!({"at": "2026-01-01T00:01:00Z"}));
    world.wait(Duration::from_secs(60));
    world.settle();
    assert_eq!(world.rows::<records::RunRecord>(records::RUNS).len(), JOBS);
    // The scheduler is away while all of them expire, and room for all comes with its return.
    world.wait(Duration::from_secs(120));
    world.restart();
    let step = world.step(Event::Offers(vec![Offer {
        id: "offer".parse().unwrap(),
        agent: "agent".parse().unwrap(),
        hostname: "host".to_owned(),
        attributes: BTreeMap::new(),
        resources: "cpus:9000;mem:9000000".parse().unwrap(),
        executors: Vec::new(),
    }]));
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Launch(_))));
    assert!(!world.rows::<records::RunRecord>(records::RUNS).is_empty(), "all at once");
    world.settle();
    let runs: BTreeMap<_, records::RunRecord> = world.rows(records::PAST_RUNS);
    assert_eq!(runs.len(), JOBS);
    let reason = "not started within 2m of its planned time";
    assert!(runs.values().all(|run| run.reason.as_deref() == Some(reason)));
}
