//! The scheduler, what it has stored, and short ways to say what its master and its users say.

use std::time::Duration;

use muster_api::{
    Mono, Now, Timestamp,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    views::{AgentView, RunView, ShardState, TriggerRequest},
};
use muster_engine::{
    event::{Accepted, Command, CommandReply, Event as EngineEvent, Expect, RequestId},
    query::{Answer, Query},
};
use muster_proto::{
    self as mesos, Reason, Resource, StatusSource, TaskState, TaskStatus,
    scheduler::{Call, CallType, Event as Says, EventType, Failure, Offers, Subscribed, Update},
};
use muster_session::{
    Identity,
    link::{self, Attempt, CallNumber, Effect as LinkEffect, Event as LinkEvent, Outcome},
};
use muster_turn::{Core, Effect, Event, Foreign, Loader, RestoreError, Turn};
use serde_json::json;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const WAIT: Duration = Duration::from_secs(300);

pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) stored: Records,
    pub(super) attempt: Attempt,
    /// The one whose stream has begun.
    pub(super) streaming: Attempt,
    /// The calls of the newest turn that made some, and what was stored with them.
    pub(super) calls: Vec<(CallNumber, Call)>,
    /// Those that are not answered yet.
    pub(super) open: Vec<CallNumber>,
    pub(super) offers: u32,
    pub(super) updates: u128,
    pub(super) seed: u64,
}

/// What is to be known of the master.
pub(super) fn foreign() -> Foreign {
    Foreign {
        masters: "http://m:5050".parse().unwrap(),
        identity: Identity { user: "u".to_owned(), ..Identity::default() },
        unreachable_wait: WAIT,
        program: "http://here/muster".to_owned(),
    }
}

/// Starts from what is stored, on another master or on that of this process.
pub(super) fn load(
    seed: u64,
    stored: &Records,
    now: Now,
    foreign: Option<Foreign>,
) -> Result<(Core, Turn), RestoreError> {
    let mut loader = Loader::default();
    if let Some(foreign) = foreign {
        loader.foreign(foreign);
    }
    for (key, value) in stored {
        loader.take(key, value);
    }
    loader.finish(seed, now)
}

impl World {
    pub(super) fn new() -> Self {
        let now = Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::default() };
        let (core, first) = load(1, &Records::new(), now, Some(foreign())).unwrap();
        let mut world = Self {
            core,
            now,
            stored: Records::new(),
            attempt: Attempt(0),
            streaming: Attempt(0),
            calls: Vec::new(),
            open: Vec::new(),
            offers: 0,
            updates: 0,
            seed: 1,
        };
        world.keep(first);
        world
    }

    /// The process is killed, and another one begins with what is stored.
    pub(super) fn restart(&mut self) {
        self.restart_with(Some(foreign())).unwrap();
    }

    /// The same on another master, on one that is described otherwise, or on that of the process.
    pub(super) fn restart_with(&mut self, foreign: Option<Foreign>) -> Result<(), RestoreError> {
        self.seed += 1;
        self.attempt = Attempt(0);
        self.open.clear();
        let (core, first) = load(self.seed, &self.stored, self.now, foreign)?;
        self.core = core;
        self.keep(first);
        Ok(())
    }

    pub(super) fn keep(&mut self, turn: Turn) -> Turn {
        for write in turn.writes.clone() {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        for effect in &turn.effects {
            match effect {
                Effect::Link(LinkEffect::Subscribe { attempt, .. }) => self.attempt = *attempt,
                Effect::Link(LinkEffect::Call { number, call, stream_id, .. }) => {
                    assert_eq!(stream_id.as_deref(), Some("stream"));
                    self.calls.push((*number, call.clone()));
                    self.open.push(*number);
                }
                _ => {}
            }
        }
        assert!(turn.passed_over.is_empty(), "{:?}", turn.passed_over);
        self.core.check();
        turn
    }

    pub(super) fn turn(&mut self, event: Event) -> Turn {
        let turn = self.core.turn(self.now, event);
        self.keep(turn)
    }

    pub(super) fn link(&mut self, event: LinkEvent) -> Turn {
        self.turn(Event::Link(event))
    }

    pub(super) fn says(&mut self, event: Says) -> Turn {
        self.link(LinkEvent::Heard { attempt: self.attempt, event })
    }

    /// The master takes the subscription under this id.
    pub(super) fn subscribe(&mut self, id: &str) -> Turn {
        let stream_id = Some("stream".to_owned());
        self.streaming = self.attempt;
        self.link(LinkEvent::Opened { attempt: self.attempt, stream_id });
        let body = Subscribed {
            framework_id: Some(mesos::FrameworkId::new(id)),
            heartbeat_interval_seconds: Some(15.0),
            master_info: None,
        };
        self.says(Says { subscribed: Some(body), ..kind(EventType::Subscribed) })
    }

    pub(super) fn break_off(&mut self) {
        self.link(LinkEvent::Closed { attempt: self.attempt, why: "it broke".to_owned() });
        let before = self.attempt;
        while self.attempt == before {
            self.wait(SECOND);
        }
    }

    /// The calls that were made since the last look, by their names.
    pub(super) fn names(&mut self) -> Vec<CallType> {
        let calls = std::mem::take(&mut self.calls);
        calls.iter().map(|(_, call)| CallType::try_from(call.r#type.unwrap()).unwrap()).collect()
    }

    /// What was launched since the last look.
    pub(super) fn launched(&mut self) -> Vec<(CallNumber, mesos::TaskInfo)> {
        let mut tasks = Vec::new();
        for (number, call) in std::mem::take(&mut self.calls) {
            let operations = call.accept.into_iter().flat_map(|accept| accept.operations);
            let infos = operations.flat_map(|operation| operation.launch.unwrap().task_infos);
            tasks.extend(infos.map(|info| (number, info)));
        }
        tasks
    }

    pub(super) fn offer(&mut self, agent: &str, executors: &[&str]) -> Turn {
        let offer = self.offer_of(agent, executors);
        self.says(offer)
    }

    /// An offer of a host with room, on which these executors of ours live.
    pub(super) fn offer_of(&mut self, agent: &str, executors: &[&str]) -> Says {
        self.offers += 1;
        let resource = |name: &str, amount: f64| Resource {
            role: Some("*".to_owned()),
            ..Resource::scalar(name, amount)
        };
        // What is kept for others is none of ours.
        let reserved = Resource { role: Some("db".to_owned()), ..Resource::scalar("cpus", 99.0) };
        let offer = mesos::Offer {
            id: Some(mesos::OfferId::new(format!("o{}", self.offers))),
            framework_id: Some(mesos::FrameworkId::new("f")),
            agent_id: Some(mesos::AgentId::new(agent)),
            hostname: format!("host-{agent}"),
            resources: vec![resource("cpus", 4.0), resource("mem", 4096.0), reserved],
            executor_ids: executors.iter().map(|id| mesos::ExecutorId::new(*id)).collect(),
            ..mesos::Offer::default()
        };
        let offers = Some(Offers { offers: vec![offer] });
        Says { offers, ..kind(EventType::Offers) }
    }

    /// A status by an executor or its agent, which has to be acknowledged, or by the master, which
    /// has not.
    pub(super) fn status(&mut self, task: &mesos::TaskInfo, state: TaskState, by: Said) -> Turn {
        self.updates += 1;
        let uuid = Some(self.updates.to_be_bytes().to_vec());
        let (source, reason, uuid) = match by {
            Said::Executor => (StatusSource::Executor, None, uuid),
            Said::Agent(reason) => (StatusSource::Agent, Some(reason as i32), uuid),
            Said::Master(reason) => (StatusSource::Master, Some(reason as i32), None),
        };
        let status = TaskStatus {
            task_id: task.task_id.clone(),
            state: state as i32,
            agent_id: task.agent_id.clone(),
            source: Some(source as i32),
            reason,
            uuid,
            ..TaskStatus::default()
        };
        let update = Some(Update { status: Some(status) });
        self.says(Says { update, ..kind(EventType::Update) })
    }

    pub(super) fn failure(&mut self, agent: &str, executor: Option<&str>) -> Turn {
        let failure = Some(Failure {
            agent_id: Some(mesos::AgentId::new(agent)),
            executor_id: executor.map(mesos::ExecutorId::new),
            status: executor.map(|_| 9),
        });
        self.says(Says { failure, ..kind(EventType::Failure) })
    }

    /// The master takes what it was told so far.
    pub(super) fn take_calls(&mut self) {
        while let Some(number) = self.open.pop() {
            let outcome = answer(202, "");
            self.link(LinkEvent::Called { attempt: self.attempt, number, outcome });
        }
    }

    /// Lets time pass, with heartbeats.
    pub(super) fn wait(&mut self, span: Duration) {
        self.wait_in_steps(span, SECOND);
    }

    /// The same with fewer of them.
    pub(super) fn wait_in_steps(&mut self, span: Duration, step: Duration) {
        let until = self.now.mono + span;
        while self.now.mono < until {
            let step = step.min(until.since(self.now.mono));
            self.take_calls();
            self.now = Now { wall: self.now.wall + step, mono: self.now.mono + step };
            let (attempt, event) = (self.streaming, kind(EventType::Heartbeat));
            self.link(LinkEvent::Heard { attempt, event });
            self.settle();
        }
    }

    pub(super) fn settle(&mut self) {
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.turn(Event::Tick);
        }
    }

    pub(super) fn command(&mut self, command: Command) -> CommandReply {
        let event = EngineEvent::Command { request: RequestId(7), command };
        let turn = self.turn(Event::Engine(event));
        let reply = turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        self.settle();
        reply.unwrap()
    }

    pub(super) fn query(&mut self, query: Query) -> Answer {
        let turn = self.turn(Event::Engine(EngineEvent::Query { request: RequestId(8), query }));
        let answer = turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer),
            _ => None,
        });
        answer.unwrap()
    }

    /// Subscribed, with a run of one shard that is launched on host `s1`.
    pub(super) fn with_a_launch() -> (Self, RunView, (CallNumber, mesos::TaskInfo)) {
        let mut world = Self::new();
        world.subscribe("f");
        let run = world.run(1, true);
        world.calls.clear();
        world.offer("s1", &[]);
        let launch = world.launched().pop().unwrap();
        (world, run, launch)
    }

    /// The same when it runs.
    pub(super) fn with_a_running_task() -> (Self, RunView, mesos::TaskInfo) {
        let (mut world, run, (_, task)) = Self::with_a_launch();
        world.status(&task, TaskState::Running, Said::Executor);
        (world, run, task)
    }

    /// A job of so many shards that may be tried again so often, and a run of it.
    pub(super) fn run(&mut self, shards: u32, failover: bool) -> RunView {
        let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}, "lease": "15s"});
        let spec = AppSpec::parse(app).unwrap().spec;
        self.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
        self.run_of(json!({
            "name": "j", "app": "a", "type": "script", "script": {"command": "x"},
            "sharding": {"count": shards}, "resources": {"cpus": 0.5, "mem": 16},
            "failover": {"enabled": failover, "max_attempts": 1, "backoff": "1s..1s"},
        }))
    }

    /// A job with this document, and a run of it.
    pub(super) fn run_of(&mut self, job: serde_json::Value) -> RunView {
        let spec = JobSpec::parse(job).unwrap().spec;
        let (job, request) = (spec.name.clone(), TriggerRequest::default());
        self.command(Command::PutJob { spec, expect: Expect::Anything }).unwrap();
        let trigger = Command::Trigger { job, request, idempotency_key: None };
        let Accepted::Run(run) = self.command(trigger).unwrap() else { panic!("it is a run") };
        *run
    }

    pub(super) fn state_of(&mut self, run: &RunView, item: usize) -> ShardState {
        let query = Query::Shards { run: run.id, state: None, after: None, limit: 100 };
        match self.query(query) {
            Answer::Shards(Some(shards)) => shards[item].state,
            other => panic!("{other:?}"),
        }
    }

    /// The hosts as users see them.
    pub(super) fn agents(&mut self) -> Vec<AgentView> {
        match self.query(Query::Agents) {
            Answer::Agents(agents) => agents,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a run is over, by its record.
    pub(super) fn is_over(&self, run: &RunView) -> bool {
        !self.stored.contains_key(format!("r/{}", run.id).as_bytes())
    }
}

#[derive(Clone, Copy)]
pub(super) enum Said {
    Executor,
    Agent(Reason),
    Master(Reason),
}

pub(super) const ASKED: Said = Said::Master(Reason::Reconciliation);

pub(super) fn answer(status: u16, body: &str) -> Outcome {
    Outcome::Answered(link::Answer { status, body: body.to_owned(), ..Default::default() })
}

pub(super) fn kind(kind: EventType) -> Says {
    Says { r#type: Some(kind as i32), ..Says::default() }
}

pub(super) fn has(turn: &Turn, prefix: &str) -> bool {
    turn.writes.iter().any(|write| write.key().starts_with(prefix.as_bytes()))
}

pub(super) fn executor_of(info: &mesos::TaskInfo) -> String {
    info.executor.as_ref().unwrap().executor_id.as_ref().unwrap().value.clone()
}
