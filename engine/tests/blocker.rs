//! A run that needs much of a host starts within a bound while small ones keep coming, and none of
//! those waits for ever either.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use muster_api::{
    AgentId, Amount, JobName, Mono, Now, OfferId, Resources, TaskId, limits,
    spec::{AppSpec, JobSpec},
    step::Records,
    task::TaskReport,
    views::TriggerRequest,
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, LaunchBatch, Note},
    event::{AgentRegistered, Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
};
use proptest::prelude::*;
use serde_json::json;

const CONFIG: EngineConfig = EngineConfig::new(|_, app| app.name.as_str().as_bytes().to_vec());
/// What each host has, and what the executors and tasks need, in cpus.
const HOST: u64 = 4;
const EXECUTOR: f64 = 0.25;
const SMALL: f64 = 0.5;
const LARGE: f64 = 3.5;

fn cpus(amount: f64) -> Resources {
    let mut resources = Resources::none();
    resources.set("cpus", Amount::from_f64(amount).unwrap());
    resources.set("mem", Amount::from_f64(1.0).unwrap());
    resources
}

/// A task that runs: where, and what it holds.
struct Running {
    agent: AgentId,
    job: JobName,
    holds: Resources,
}

/// Hosts and a master, as far as the engine sees them.
struct World {
    engine: Engine,
    now: Now,
    offers: BTreeMap<OfferId, (AgentId, Resources)>,
    made: u32,
    running: BTreeMap<(Mono, TaskId), Running>,
    /// How long tasks take.
    task: Duration,
    /// Since when each job waits.
    waits: BTreeMap<JobName, Mono>,
    /// The longest that each kind of job waited.
    longest: BTreeMap<bool, Duration>,
    /// How many large runs have started.
    started: u32,
    /// Since when hosts are held, for how long they were in all, and at one time.
    held_since: Option<Mono>,
    held: Duration,
    longest_hold: Duration,
    events: VecDeque<Event>,
}

impl World {
    fn new(hosts: usize, task: Duration) -> Self {
        let now =
            Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::from_millis(1_000) };
        let (engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let mut world = Self {
            engine,
            now,
            offers: BTreeMap::new(),
            made: 0,
            running: BTreeMap::new(),
            task,
            waits: BTreeMap::new(),
            longest: BTreeMap::new(),
            started: 0,
            held_since: None,
            held: Duration::ZERO,
            longest_hold: Duration::ZERO,
            events: VecDeque::new(),
        };
        for name in ["small", "large"] {
            let app = json!({"name": name, "resources": {"cpus": EXECUTOR, "mem": 1}});
            let spec = AppSpec::parse(app).unwrap().spec;
            world.command(Command::PutApp { spec, expect: Expect::Nothing });
        }
        for number in 0..hosts {
            let agent: AgentId = format!("h{number}").parse().unwrap();
            let hostname = agent.to_string();
            let resources: Resources = format!("cpus:{HOST};mem:1000").parse().unwrap();
            world.events.push_back(Event::AgentRegistered(AgentRegistered {
                agent: agent.clone(),
                hostname,
                attributes: BTreeMap::new(),
                resources: resources.clone(),
                rebooted: false,
                tasks: Vec::new(),
                executors: Vec::new(),
            }));
            world.offer(&agent, resources);
        }
        world.run();
        world
    }

    fn job(&mut self, name: &str, app: &str, cpus: f64, more: &serde_json::Value) {
        let mut job = json!({"name": name, "app": app, "type": "script",
            "script": {"command": ":"}, "resources": {"cpus": cpus, "mem": 1},
            "sharding": {"count": 1}});
        for (field, value) in more.as_object().unwrap() {
            job[field] = value.clone();
        }
        let spec = JobSpec::parse(job).unwrap().spec;
        self.command(Command::PutJob { spec, expect: Expect::Nothing });
    }

    fn command(&mut self, command: Command) {
        self.events.push_back(Event::Command { request: RequestId(0), command });
        self.run();
    }

    /// Has a job run, unless it does or is about to.
    fn trigger(&mut self, job: &JobName) {
        let runs = self.running.values().any(|task| task.job == *job);
        if !runs && !self.waits.contains_key(job) {
            self.waits.insert(job.clone(), self.now.mono);
            let (job, request) = (job.clone(), TriggerRequest::default());
            self.command(Command::Trigger { job, request, idempotency_key: None });
        }
    }

    fn offer(&mut self, agent: &AgentId, resources: Resources) {
        if resources.is_empty() {
            return;
        }
        self.made += 1;
        let id: OfferId = format!("o{}", self.made).parse().unwrap();
        self.offers.insert(id.clone(), (agent.clone(), resources.clone()));
        self.events.push_back(Event::Offers(vec![Offer {
            id,
            agent: agent.clone(),
            hostname: agent.to_string(),
            attributes: BTreeMap::new(),
            resources,
            executors: Vec::new(),
        }]));
    }

    /// Lets the engine have what happened, and the hosts what it wants, until nobody has a word.
    fn run(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let step = self.engine.step(self.now, event);
            for note in step.notes {
                match note {
                    Note::HostsHeld { .. } => self.held_since = Some(self.now.mono),
                    Note::HostsReleased { .. } => {
                        let since = self.held_since.take().unwrap();
                        let held = self.now.mono.since(since);
                        self.held += held;
                        self.longest_hold = self.longest_hold.max(held);
                    }
                    _ => {}
                }
            }
            for effect in step.effects {
                match effect {
                    Effect::Launch(batch) => self.launch(batch),
                    Effect::Decline { offers, .. } => {
                        let (agent, sum) = self.take(&offers);
                        self.offer(&agent, sum);
                    }
                    Effect::Shutdown { executor, agent } => {
                        self.events.push_back(Event::ExecutorExited(executor));
                        self.offer(&agent, cpus(EXECUTOR));
                    }
                    _ => {}
                }
            }
        }
    }

    fn take(&mut self, offers: &[OfferId]) -> (AgentId, Resources) {
        let all = offers.iter().map(|id| self.offers.remove(id).unwrap());
        all.reduce(|(agent, sum), (_, more)| (agent, sum.checked_add(&more).unwrap())).unwrap()
    }

    fn launch(&mut self, batch: LaunchBatch) {
        let (agent, mut free) = self.take(&batch.offers);
        for task in batch.tasks {
            let overhead = if task.executor_is_new { cpus(EXECUTOR) } else { Resources::none() };
            free = free.checked_sub(&overhead).unwrap().checked_sub(&task.resources).unwrap();
            let job: JobName = task.name.split('#').next().unwrap().parse().unwrap();
            if let Some(since) = self.waits.remove(&job) {
                let large = job.as_str() == "large";
                let longest = self.longest.entry(large).or_default();
                *longest = self.now.mono.since(since).max(*longest);
                self.started += u32::from(large);
            }
            let running = Running { agent: agent.clone(), job, holds: task.resources };
            self.running.insert((self.now.mono + self.task, task.task), running);
        }
        self.offer(&agent, free);
    }

    /// A second passes.
    fn second(&mut self) {
        let second = Duration::from_secs(1);
        self.now = Now { wall: self.now.wall + second, mono: self.now.mono + second };
        while let Some(entry) = self.running.first_entry()
            && entry.key().0 <= self.now.mono
        {
            let ((_, task), running) = entry.remove_entry();
            self.events.push_back(Event::Task(TaskUpdate {
                task,
                agent: Some(running.agent.clone()),
                signal: Signal::Finished,
                source: Default::default(),
                at: None,
                message: String::new(),
                report: TaskReport::default(),
                uuid: Some([1; 16]),
            }));
            self.offer(&running.agent, running.holds);
            self.run();
        }
        while self.engine.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.events.push_back(Event::Tick);
            self.run();
        }
    }
}

/// Lets small runs come for so long that some always wait, with one large run after the other.
fn crowd(hosts: usize, task: u64, large: &serde_json::Value, seconds: u32) -> World {
    let mut world = World::new(hosts, Duration::from_secs(task));
    // On each host there is room for seven of them.
    let smalls: Vec<JobName> =
        (0..hosts * 10).map(|number| format!("small{number}").parse().unwrap()).collect();
    for job in &smalls {
        world.job(job.as_str(), "small", SMALL, &json!({}));
    }
    world.job("large", "large", LARGE, large);
    for second in 0..seconds {
        // They do not come all at once, or their ends would leave a host empty.
        for job in smalls.iter().skip(second as usize % 3).step_by(3) {
            world.trigger(job);
        }
        if second > 10 {
            world.trigger(&"large".parse().unwrap());
        }
        world.second();
    }
    world
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_large_run_starts_within_a_bound_and_nobody_starves(
        hosts in 1usize..3,
        task in 2u64..40,
        at_once in any::<bool>(),
    ) {
        let large = match at_once {
            true => json!({"launch": "all_at_once", "sharding": {"count": hosts}}),
            false => json!({}),
        };
        let world = crowd(hosts, task, &large, 300);
        // It is overtaken for a minute, after the rest of the former one; then hosts empty
        // themselves as fast as their tasks end, and each of those may have begun a moment before.
        let overtaken = seconds(limits::OVERTAKEN_MAX + limits::OVERTAKEN_LOOK);
        let bound = overtaken + 3 * task + 5;
        prop_assert!(world.started >= 1, "none started");
        let large: JobName = "large".parse().unwrap();
        let waits = world.waits.get(&large).map_or(0, |at| seconds(world.now.mono.since(*at)));
        prop_assert!(waits <= bound, "it waits for {waits} s");
        prop_assert!(seconds(world.longest[&true]) <= bound, "{:?}", world.longest);
        // Small runs wait for a turn among themselves, a hold and a large run.
        prop_assert!(seconds(world.longest[&false]) <= 8 * task + 20, "{:?}", world.longest);
        prop_assert!(2 * world.held <= Duration::from_secs(300), "held for {:?}", world.held);
    }
}

/// Two tasks never end, one on each host, so neither is ever empty: the run holds both for five
/// minutes, and then all go on as before for as long.
#[test]
fn what_cannot_start_all_the_same_holds_hosts_for_half_of_the_time() {
    let mut world = World::new(2, Duration::from_secs(1_000_000));
    world.job("long", "small", SMALL, &json!({"spread": "host", "sharding": {"count": 2}}));
    world.trigger(&"long".parse().unwrap());
    world.task = Duration::from_secs(2);
    for number in 0..14 {
        world.job(&format!("s{number}"), "small", SMALL, &json!({}));
    }
    world.job("large", "large", LARGE, &json!({}));
    for second in 0..1_300 {
        for number in (second % 3..14).step_by(3) {
            world.trigger(&format!("s{number}").parse().unwrap());
        }
        if second > 5 {
            world.trigger(&"large".parse().unwrap());
        }
        world.second();
    }
    assert_eq!((world.started, world.longest_hold), (0, limits::HOLD_MAX));
    let goes_on = world.held_since.map_or(0, |at| seconds(world.now.mono.since(at)));
    let held = seconds(world.held) + goes_on;
    assert!((550..=650).contains(&held), "held for {held} s of 1,300");
    // Whoever was kept out went on after five minutes.
    let longest = world.longest[&false];
    assert!(longest <= limits::HOLD_MAX + Duration::from_secs(20), "one waited {longest:?}");
}
