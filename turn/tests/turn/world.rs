//! The cores as one, what they have stored, and short ways to say what agents, users and other
//! frameworks say.

use std::time::Duration;

use muster_api::{
    AgentId, Mono, Now, Timestamp,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    views::{AgentView, TriggerRequest},
};
use muster_engine::event::{Command, CommandReply, Event as EngineEvent, Expect, RequestId};
use muster_engine::query::{Answer, Query};
use muster_master::core::{
    Connection, Event as MasterEvent, Foreign, Master, Request, Stream, StreamName,
};
use muster_proto::{
    AgentInfo, Filters, FrameworkId, FrameworkInfo, Offer, OfferId, Resource, StatusSource,
    TaskState, TaskStatus,
    agent::{AgentBody, ExecutorExited, Heartbeat, Hello, Launch, MasterBody, Status, TaskHere},
    scheduler::{Call, CallType, Decline, Subscribe},
};
use muster_turn::{Core, Effect, Event, Turn};
use serde_json::{Value, json};

/// The cores, what they have stored, and what was sent to agents.
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Now,
    pub(crate) stored: Records,
    pub(crate) launched: Vec<(Connection, Launch)>,
    beats: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::default() };
        let (core, first) = Core::restore(1, &Records::new(), now).unwrap();
        let mut world = Self { core, now, stored: Records::new(), launched: Vec::new(), beats: 0 };
        world.keep(&first);
        let app = json!({"name": "a", "command": "x", "lease": "off",
            "resources": {"cpus": 1, "mem": 32}});
        let spec = AppSpec::parse(app).unwrap().spec;
        world.command(Command::PutApp { spec, expect: Expect::Anything }).1.unwrap();
        world
    }

    pub(crate) fn keep(&mut self, turn: &Turn) {
        for write in turn.writes.clone() {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        for effect in &turn.effects {
            if let Effect::ToAgent { connection, body: MasterBody::Launch(launch) } = effect {
                self.launched.push((*connection, launch.clone()));
            }
        }
    }

    pub(crate) fn turn(&mut self, event: Event) -> Turn {
        let turn = self.core.turn(self.now, event);
        self.keep(&turn);
        turn
    }

    /// A command with its answer.
    pub(crate) fn command(&mut self, command: Command) -> (Turn, CommandReply) {
        let event = EngineEvent::Command { request: RequestId(7), command };
        let mut turn = self.turn(Event::Engine(event));
        let at = turn.effects.iter().position(|effect| matches!(effect, Effect::Reply { .. }));
        let Effect::Reply { reply, .. } = turn.effects.remove(at.unwrap()) else { unreachable!() };
        (turn, reply)
    }

    pub(crate) fn agent_says(&mut self, number: u64, body: AgentBody) -> Turn {
        let connection = Connection(number);
        self.turn(Event::Master(MasterEvent::FromAgent { connection, body }))
    }

    /// An agent with room for all, which registers on a connection of this number.
    pub(crate) fn hello(
        &mut self,
        number: u64,
        id: Option<&AgentId>,
        tasks: Vec<TaskHere>,
    ) -> Turn {
        let resource = |name: &str, amount: f64| Resource::scalar(name, amount);
        let info = AgentInfo {
            hostname: format!("host{number}"),
            resources: vec![resource("cpus", 64.0), resource("mem", 1_000_000.0)],
            id: id.map(|id| muster_proto::AgentId::new(id.as_str())),
            ..AgentInfo::default()
        };
        let boot_id = "boot".to_owned();
        let hello = Hello { version: 1, info: Some(info), boot_id, tasks, ..Hello::default() };
        let connection = Connection(number);
        let turn = self.turn(Event::Master(MasterEvent::Hello { connection, hello }));
        self.agent_says(number, AgentBody::Heartbeat(Heartbeat { number: 1 }));
        turn
    }

    /// Starts so many shards, which take one after the other what has room.
    pub(crate) fn run(&mut self, shards: usize) {
        let job = json!({
            "name": "j", "app": "a", "type": "simple", "sharding": {"count": shards},
            "resources": {"cpus": 0.001, "mem": 1},
        });
        let spec = JobSpec::parse(job).unwrap().spec;
        self.command(Command::PutJob { spec, expect: Expect::Anything }).1.unwrap();
        let (job, request) = ("j".parse().unwrap(), TriggerRequest::default());
        let trigger = Command::Trigger { job, request, idempotency_key: None };
        self.command(trigger).1.unwrap();
        self.settle();
        assert_eq!(self.launched.len(), shards);
    }

    /// A job of one app whose every shard needs so much of a resource.
    pub(crate) fn job(&mut self, shards: usize, name: &str, amount: f64) {
        let mut resources = json!({"cpus": 0.001, "mem": 1});
        resources[name] = json!(amount);
        let job = json!({
            "name": "j", "app": "a", "type": "simple", "sharding": {"count": shards},
            "resources": resources,
        });
        let spec = JobSpec::parse(job).unwrap().spec;
        self.command(Command::PutJob { spec, expect: Expect::Anything }).1.unwrap();
    }

    /// A job of one app with shards of so many cpus, and what else its document says.
    pub(crate) fn job_of(&mut self, cpus: f64, rest: &Value) {
        let mut job = json!({
            "name": "j", "app": "a", "type": "simple", "resources": {"cpus": cpus, "mem": 1},
        });
        for (name, value) in rest.as_object().unwrap() {
            job[name] = value.clone();
        }
        let spec = JobSpec::parse(job).unwrap().spec;
        self.command(Command::PutJob { spec, expect: Expect::Anything }).1.unwrap();
    }

    /// Triggers a job.
    pub(crate) fn trigger(&mut self, job: &str) {
        let (job, request) = (job.parse().unwrap(), TriggerRequest::default());
        let trigger = Command::Trigger { job, request, idempotency_key: None };
        self.command(trigger).1.unwrap();
    }

    pub(crate) fn beat(&mut self, connection: u64, number: u64) {
        self.agent_says(connection, AgentBody::Heartbeat(Heartbeat { number }));
    }

    /// Lets the cores do all that is due, with heartbeats of these connections before.
    pub(crate) fn settle_with(&mut self, heard: &[u64]) -> Vec<Turn> {
        let mut turns = Vec::new();
        self.beats += 1;
        for connection in heard {
            let body = AgentBody::Heartbeat(Heartbeat { number: 1000 + self.beats });
            turns.push(self.agent_says(*connection, body));
        }
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            turns.push(self.turn(Event::Tick));
        }
        self.core.check();
        turns
    }

    /// Does what is due; what is offered to the other framework meanwhile.
    pub(crate) fn settle_and_see_offers(&mut self) -> Vec<Offer> {
        let mut offers = Vec::new();
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            offers.extend(offers_to_others(&self.turn(Event::Tick)));
        }
        self.core.check();
        offers
    }

    /// An executor ends, with all that is below it.
    pub(crate) fn executor_exits(&mut self, connection: u64, launch: &Launch) {
        let executor = launch.task.as_ref().unwrap().executor.as_ref().unwrap();
        let exited = ExecutorExited {
            framework_id: launch.framework.as_ref().unwrap().id.clone(),
            executor_id: executor.executor_id.clone(),
            status: 0,
        };
        self.agent_says(connection, AgentBody::ExecutorExited(exited));
    }

    /// An agent as users see it now.
    pub(crate) fn agent(&mut self, id: &AgentId) -> AgentView {
        let event = EngineEvent::Query { request: RequestId(8), query: Query::Agents };
        let turn = self.turn(Event::Engine(event));
        let agents = turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer: Answer::Agents(agents), .. } => Some(agents),
            _ => None,
        });
        agents.unwrap().into_iter().find(|agent| agent.id == *id).unwrap()
    }

    /// Whether our framework holds an offer.
    pub(crate) fn we_hold_offers(&mut self) -> bool {
        let query = Query::Offers { skip: 0, limit: 100 };
        let turn = self.turn(Event::Engine(EngineEvent::Query { request: RequestId(8), query }));
        let offers = turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer: Answer::Offers(offers), .. } => Some(offers),
            _ => None,
        });
        offers.unwrap().iter().any(|offer| offer.framework != another().value)
    }

    /// Another framework subscribes; what it is offered.
    pub(crate) fn subscribe_another(&mut self) -> (Turn, Vec<Offer>) {
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: "another".to_owned(),
            id: Some(another()),
            ..FrameworkInfo::default()
        };
        self.other_calls(Call {
            subscribe: Some(Subscribe { framework_info: Some(info), ..Subscribe::default() }),
            ..bare(CallType::Subscribe)
        })
    }

    /// The other framework gives offers back.
    pub(crate) fn other_declines(&mut self, ids: Vec<OfferId>, refuse: f64) -> (Turn, Vec<Offer>) {
        let filters = Some(Filters { refuse_seconds: Some(refuse) });
        let decline = Some(Decline { offer_ids: ids, filters });
        self.other_calls(Call { decline, ..bare(CallType::Decline) })
    }

    fn other_calls(&mut self, call: Call) -> (Turn, Vec<Offer>) {
        let is_subscribe = call.r#type == Some(CallType::Subscribe as i32);
        let by = Foreign { request: Request(1), principal: None, call };
        let event = match is_subscribe {
            true => MasterEvent::Subscribe { by, stream: STREAM },
            false => MasterEvent::Foreign { by, named: StreamName::Open(STREAM) },
        };
        let turn = self.turn(Event::Master(event));
        let offers = offers_to_others(&turn);
        (turn, offers)
    }

    pub(crate) fn settle(&mut self) {
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.turn(Event::Tick);
        }
        self.core.check();
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
    }

    /// An agent as it is stored.
    pub(crate) fn view(&self, number: u64) -> AgentView {
        let agents = self.stored.iter().filter(|(key, _)| key.starts_with(b"A/"));
        let agents = agents.map(|(key, value)| (key.clone(), value.clone())).collect();
        let (master, _) = Master::restore(9, &agents, self.now).unwrap();
        let hostname = format!("host{number}");
        master.agents(self.now).into_iter().find(|view| view.hostname == hostname).unwrap()
    }
}

/// The stream of the framework beside ours.
pub(crate) const STREAM: Stream = Stream(1);

/// The framework beside ours: by its id it comes before ours.
pub(crate) fn another() -> FrameworkId {
    FrameworkId::new("0-another")
}

fn bare(kind: CallType) -> Call {
    Call { framework_id: Some(another()), r#type: Some(kind as i32), ..Call::default() }
}

/// What is offered to frameworks that are not ours.
pub(crate) fn offers_to_others(turn: &Turn) -> Vec<Offer> {
    let pick = |effect: &Effect| match effect {
        Effect::ToStream { event, .. } => event.offers.clone(),
        _ => None,
    };
    turn.effects.iter().filter_map(pick).flat_map(|offers| offers.offers).collect()
}

/// What an executor says of a task.
pub(crate) fn status(launch: &Launch, n: usize, state: TaskState) -> AgentBody {
    let framework_id = launch.framework.as_ref().unwrap().id.clone();
    let task = launch.task.as_ref().unwrap();
    let status = TaskStatus {
        task_id: task.task_id.clone(),
        state: state as i32,
        source: Some(StatusSource::Executor as i32),
        agent_id: task.agent_id.clone(),
        uuid: Some((n as u128).to_be_bytes().to_vec()),
        ..TaskStatus::default()
    };
    AgentBody::Status(Status { framework_id, status: Some(status), latest_state: state as i32 })
}
