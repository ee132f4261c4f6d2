//! One engine with the hosts that carry out what it wants, as far as these tests need them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_api::{
    ExecutorId, Mono, Now, RunId, TaskId,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::{TaskPayload, TaskReport},
    views::TriggerRequest,
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step, TaskLaunch},
    event::{
        Accepted, AgentRegistered, Command, CommandReply, Event, Expect, Offer, RequestId, Signal,
        TaskUpdate,
    },
    query::{Answer, Query},
    records::{self, JobRecord, RunRecord},
};
use serde_json::{Value, json};

const CONFIG: EngineConfig =
    EngineConfig::new(|id, app| format!("{id} of {}", app.name).into_bytes());

/// What a host has.
const HOST: &str = "cpus:64;mem:65536";

/// A task that lives on a host.
struct Live {
    executor: ExecutorId,
    /// It goes on until it is told to end.
    is_resident: bool,
    runs: bool,
    is_told_to_end: bool,
}

/// An engine, what it has stored, and the one host that its tasks are on.
pub(crate) struct Cluster {
    engine: Engine,
    pub(crate) now: Now,
    stored: Records,
    seed: u64,
    offers: u32,
    host: &'static str,
    live: BTreeMap<TaskId, Live>,
    executors: BTreeMap<ExecutorId, bool>,
    /// Whether nothing reaches the host, and nothing is heard of it.
    is_cut_off: bool,
    /// What the host would say of its tasks, and has not said yet.
    unsaid: Vec<(TaskId, Signal)>,
    /// The tasks that the engine told to end, since the last look.
    killed: BTreeSet<TaskId>,
    replies: Vec<CommandReply>,
    answers: Vec<Answer>,
    /// Offers that were given back.
    pub(crate) declined: usize,
    /// All tasks that were ever launched.
    pub(crate) launched: Vec<TaskLaunch>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let wall = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = Now { wall, mono: Mono::from_millis(1_000_000) };
        let (engine, step) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let mut cluster = Self {
            engine,
            now,
            stored: Records::new(),
            seed: 1,
            offers: 0,
            host: "h1",
            live: BTreeMap::new(),
            executors: BTreeMap::new(),
            is_cut_off: false,
            unsaid: Vec::new(),
            killed: BTreeSet::new(),
            replies: Vec::new(),
            answers: Vec::new(),
            declined: 0,
            launched: Vec::new(),
        };
        cluster.take(step);
        cluster.step(Event::Subscribed);
        cluster.register();
        cluster
    }

    pub(crate) fn step(&mut self, event: Event) {
        let step = self.engine.step(self.now, event);
        self.engine.check();
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for write in step.writes {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        for effect in step.effects {
            match effect {
                Effect::Launch(batch) => {
                    for task in batch.tasks {
                        self.executors.entry(task.executor).or_default();
                        let executor = task.executor;
                        let payload = TaskPayload::decode(&task.payload).unwrap();
                        let is_resident = payload.resident.is_some();
                        let live =
                            Live { executor, is_resident, runs: false, is_told_to_end: false };
                        self.live.insert(task.task, live);
                        self.launched.push(task);
                    }
                }
                Effect::Kill { task, .. } => {
                    self.killed.insert(task);
                    if let Some(live) = self.live.get_mut(&task).filter(|_| !self.is_cut_off) {
                        live.is_told_to_end = true;
                    }
                }
                Effect::Shutdown { executor, .. } if !self.is_cut_off => {
                    if let Some(is_told_to_end) = self.executors.get_mut(&executor) {
                        *is_told_to_end = true;
                    }
                }
                Effect::Reply { reply, .. } => self.replies.push(reply),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                Effect::Decline { offers, .. } => self.declined += offers.len(),
                _ => {}
            }
        }
    }

    pub(crate) fn ask(&mut self, command: Command) -> CommandReply {
        self.step(Event::Command { request: RequestId(1), command });
        self.replies.pop().expect("each command is answered")
    }

    pub(crate) fn query(&mut self, query: Query) -> Answer {
        self.step(Event::Query { request: RequestId(1), query });
        self.answers.pop().expect("each question is answered")
    }

    pub(crate) fn put_app(&mut self, name: &str, changes: &Value) {
        let mut document = json!({
            "name": name, "resources": {"cpus": 1, "mem": 32}, "idle_timeout": "10s",
        });
        merge(&mut document, changes);
        let spec = AppSpec::parse(document).unwrap().spec;
        self.ask(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    }

    pub(crate) fn put_job(&mut self, name: &str, app: &str, changes: &Value) {
        let mut document = json!({
            "name": name, "app": app, "type": "script", "script": {"command": ":"},
            "sharding": {"count": 1}, "resources": {"cpus": 1, "mem": 32},
        });
        merge(&mut document, changes);
        let spec = JobSpec::parse(document).unwrap().spec;
        self.ask(Command::PutJob { spec, expect: Expect::Anything }).unwrap();
    }

    pub(crate) fn trigger(&mut self, job: &str) -> CommandReply {
        let (job, request) = (job.parse().unwrap(), TriggerRequest::default());
        self.ask(Command::Trigger { job, request, idempotency_key: None })
    }

    /// The id of the run that a trigger makes.
    pub(crate) fn start(&mut self, job: &str) -> RunId {
        match self.trigger(job).unwrap() {
            Accepted::Run(run) => run.id,
            other => panic!("a trigger makes a run and not {other:?}"),
        }
    }

    pub(crate) fn offer(&mut self) {
        self.offers += 1;
        self.step(Event::Offers(vec![Offer {
            id: format!("offer{}", self.offers).parse().unwrap(),
            agent: self.host.parse().unwrap(),
            hostname: self.host.to_owned(),
            attributes: BTreeMap::new(),
            resources: HOST.parse().unwrap(),
            executors: Vec::new(),
        }]));
    }

    fn register(&mut self) {
        self.step(Event::AgentRegistered(AgentRegistered {
            agent: self.host.parse().unwrap(),
            hostname: self.host.to_owned(),
            attributes: BTreeMap::new(),
            resources: HOST.parse().unwrap(),
            rebooted: false,
            tasks: self.live.keys().copied().collect(),
            executors: self.executors.keys().copied().collect(),
        }));
    }

    /// Says of every task that it runs.
    pub(crate) fn run_all(&mut self) {
        for task in self.tasks() {
            self.say(task, Signal::Running);
        }
    }

    /// The tasks that live, the oldest first.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        self.live.keys().copied().collect()
    }

    /// Something is said of a task.
    pub(crate) fn say(&mut self, task: TaskId, signal: Signal) {
        match signal {
            Signal::Running | Signal::Stuck { .. } => {
                if let Some(live) = self.live.get_mut(&task) {
                    live.runs = true;
                }
            }
            _ => {
                self.live.remove(&task);
            }
        }
        let began = Some(self.now.wall).filter(|_| signal != Signal::Killed);
        self.step(Event::Task(TaskUpdate {
            task,
            agent: Some(self.host.parse().unwrap()),
            signal,
            source: Default::default(),
            at: Some(self.now.wall),
            message: String::new(),
            report: TaskReport { started_at: began, ..TaskReport::default() },
            uuid: Some([7; 16]),
        }));
    }

    /// The executors end, and what became of their tasks is not said yet.
    pub(crate) fn executors_end(&mut self) {
        for executor in std::mem::take(&mut self.executors).into_keys() {
            self.step(Event::ExecutorExited(executor));
        }
        let tasks = std::mem::take(&mut self.live).into_keys();
        self.unsaid.extend(tasks.map(|task| (task, Signal::DiedWithExecutor)));
    }

    /// Nothing is heard of the host any more.
    pub(crate) fn cut_off(&mut self) {
        self.is_cut_off = true;
        let since = self.now.mono;
        self.step(Event::AgentSilent { agent: self.host.parse().unwrap(), since });
    }

    /// The host never comes back; there is another one.
    pub(crate) fn lose_the_host(&mut self) {
        self.cut_off();
        (self.host, self.is_cut_off) = ("h2", false);
        self.live.clear();
        self.executors.clear();
        self.register();
    }

    /// Starts again from what is stored.
    pub(crate) fn restart(&mut self) {
        self.seed += 1;
        let (engine, step) = Engine::restore(CONFIG, self.seed, &self.stored, self.now).unwrap();
        self.engine = engine;
        self.take(step);
        self.step(Event::Subscribed);
        if self.is_cut_off {
            let since = self.now.mono;
            self.step(Event::AgentSilent { agent: self.host.parse().unwrap(), since });
        } else if self.host == "h2" {
            let since = self.now.mono;
            self.step(Event::AgentSilent { agent: "h1".parse().unwrap(), since });
            self.register();
        } else {
            self.register();
        }
    }

    /// Starts again from what is stored as one starts from a backup.
    pub(crate) fn restore(&mut self) {
        let Write::Put { key, value } = records::held_write(self.now.wall) else {
            panic!("the mark is put");
        };
        self.stored.insert(key, value);
        self.restart();
    }

    pub(crate) fn is_held(&self) -> bool {
        self.engine.held().is_some()
    }

    /// The tasks that the engine told to end since the last call.
    pub(crate) fn killed(&mut self) -> BTreeSet<TaskId> {
        std::mem::take(&mut self.killed)
    }

    /// Lets all come to rest: what is held goes on, who was cut off is back, tasks end well unless
    /// they are told to end, and time passes.
    pub(crate) fn settle(&mut self) {
        if self.is_held() {
            self.ask(Command::Resume { replay: false }).unwrap();
        }
        if std::mem::take(&mut self.is_cut_off) {
            self.register();
        }
        self.say_what_is_unsaid();
        for _ in 0..1_000 {
            // What begins ends before its time-out, however far away the next wakeup is.
            self.hosts_work();
            self.hosts_work();
            if self.is_at_rest() {
                return;
            }
            self.offer();
            self.wait();
        }
        panic!("it does not come to rest: {:?}", self.keys());
    }

    /// The host says what it has not said yet.
    pub(crate) fn say_what_is_unsaid(&mut self) {
        for (task, signal) in std::mem::take(&mut self.unsaid) {
            self.say(task, signal);
        }
    }

    /// Lets some time pass in which hosts do what they are told; what is resident stays.
    pub(crate) fn go_on(&mut self) {
        for _ in 0..50 {
            self.hosts_work();
            self.offer();
            self.wait();
        }
        self.hosts_work();
    }

    fn hosts_work(&mut self) {
        for task in self.tasks() {
            let Some(live) = self.live.get(&task) else { continue };
            match (live.is_told_to_end, live.runs) {
                (true, _) => self.say(task, Signal::Killed),
                (false, true) if live.is_resident => {}
                (false, true) => self.say(task, Signal::Finished),
                (false, false) => self.say(task, Signal::Running),
            }
        }
        let ended = |(_, is_told): &(&ExecutorId, &bool)| **is_told;
        let ended: Vec<_> = self.executors.iter().filter(ended).map(|(id, _)| *id).collect();
        for executor in ended {
            let has_tasks = self.live.values().any(|live| live.executor == executor);
            if !has_tasks {
                self.executors.remove(&executor);
                self.step(Event::ExecutorExited(executor));
            }
        }
    }

    /// Nothing goes on and nothing is left to be done of what was asked for.
    fn is_at_rest(&self) -> bool {
        let is_work = |key: &String| {
            let kinds = [records::RUNS, records::TASKS, records::EXECUTORS, records::SETTLING];
            kinds.iter().any(|kind| key.starts_with(kind))
        };
        let has_more = self.engine.next_wakeup().mono == Some(Mono::default());
        !has_more && !self.keys().iter().any(is_work)
    }

    /// Lets so much time pass, and the engine look once.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
        self.step(Event::Tick);
    }

    /// Whether something is due now.
    pub(crate) fn has_more_to_do(&self) -> bool {
        self.engine.next_wakeup().mono.is_some_and(|at| at <= self.now.mono)
    }

    /// Lets time pass until the engine wants to be woken.
    pub(crate) fn wait(&mut self) {
        let wakeup = self.engine.next_wakeup();
        let wall = wakeup.wall.map(|at| at.since(self.now.wall));
        let mono = wakeup.mono.map(|at| at.since(self.now.mono));
        let span = [wall, mono].into_iter().flatten().min().unwrap_or(Duration::from_secs(1));
        self.pass(span);
    }

    /// The keys of all that is stored but history.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.stored.keys().map(|key| String::from_utf8_lossy(key).into_owned());
        keys.filter(|key| !key.starts_with("h/")).collect()
    }

    /// What is stored is what is known: each record, byte for byte. While executors live that is not
    /// so, for that something was heard of them is not stored.
    pub(crate) fn stored_is_known(&mut self) {
        let known = self.engine.all_records(self.now);
        let known: Records = known
            .into_iter()
            .filter_map(|write| match write {
                Write::Put { key, value } => Some((key, value)),
                Write::Delete { .. } => None,
            })
            .collect();
        let stored: Records = self
            .stored
            .iter()
            .filter(|(key, _)| !key.starts_with(b"h/"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let keys = known.keys().chain(stored.keys());
        let other = keys.filter(|key| known.get(*key) != stored.get(*key));
        let other: Vec<_> = other.map(|key| String::from_utf8_lossy(key)).collect();
        assert!(other.is_empty(), "stored is something else than what is known: {other:?}");
    }

    /// The jobs by name.
    pub(crate) fn jobs(&self) -> BTreeMap<String, JobRecord> {
        let rows = self.stored.iter().filter(|(key, _)| key.starts_with(b"j/"));
        rows.map(|(key, value)| {
            (String::from_utf8_lossy(&key[2..]).into_owned(), records::decode(value).unwrap())
        })
        .collect()
    }

    /// The run, if it is over.
    pub(crate) fn past_run(&self, id: RunId) -> Option<RunRecord> {
        let keys = records::PAST_STATES.iter().map(|state| records::past_run_key((*state, id)));
        let mut found = keys.filter_map(|key| self.stored.get(&key));
        found.next().map(|value| records::decode(value).unwrap())
    }
}

fn merge(document: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
}
