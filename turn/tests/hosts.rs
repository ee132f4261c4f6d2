//! What is said and asked about hosts, through engine, session and embedded master as one.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use muster_api::{
    AgentId, Mono, Now, Timestamp, limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    views::{AgentState, AgentView, TriggerRequest},
};
use muster_engine::event::{
    Accepted, Command, CommandReply, Event as EngineEvent, Expect, Rejected, RequestId,
};
use muster_master::core::{Connection, Event as MasterEvent, Master};
use muster_proto::{
    AgentInfo, FrameworkId, Resource, StatusSource, TaskId, TaskState, TaskStatus,
    agent::{AgentBody, Heartbeat, Hello, Launch, MasterBody, Status, TaskHere},
};
use muster_turn::{Core, Effect, Event, Turn};
use serde_json::json;

/// The cores, what they have stored, and what was sent to agents.
struct World {
    core: Core,
    now: Now,
    stored: Records,
    launched: Vec<(Connection, Launch)>,
}

impl World {
    fn new() -> Self {
        let now = Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::default() };
        let (core, first) = Core::restore(1, &Records::new(), now).unwrap();
        let mut world = Self { core, now, stored: Records::new(), launched: Vec::new() };
        world.keep(&first);
        let app = json!({"name": "a", "command": "x", "lease": "off",
            "resources": {"cpus": 1, "mem": 32}});
        let spec = AppSpec::parse(app).unwrap().spec;
        world.command(Command::PutApp { spec, expect: Expect::Anything }).1.unwrap();
        world
    }

    fn keep(&mut self, turn: &Turn) {
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

    fn turn(&mut self, event: Event) -> Turn {
        let turn = self.core.turn(self.now, event);
        self.keep(&turn);
        turn
    }

    /// A command with its answer.
    fn command(&mut self, command: Command) -> (Turn, CommandReply) {
        let event = EngineEvent::Command { request: RequestId(7), command };
        let mut turn = self.turn(Event::Engine(event));
        let at = turn.effects.iter().position(|effect| matches!(effect, Effect::Reply { .. }));
        let Effect::Reply { reply, .. } = turn.effects.remove(at.unwrap()) else { unreachable!() };
        (turn, reply)
    }

    fn agent_says(&mut self, number: u64, body: AgentBody) -> Turn {
        let connection = Connection(number);
        self.turn(Event::Master(MasterEvent::FromAgent { connection, body }))
    }

    /// An agent with room for all, which registers on a connection of this number.
    fn hello(&mut self, number: u64, id: Option<&AgentId>, tasks: Vec<TaskHere>) -> Turn {
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
    fn run(&mut self, shards: usize) {
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

    fn settle(&mut self) {
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.turn(Event::Tick);
        }
        self.core.check();
    }

    fn wait(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
    }

    /// An agent as it is stored.
    fn view(&self, number: u64) -> AgentView {
        let agents = self.stored.iter().filter(|(key, _)| key.starts_with(b"A/"));
        let agents = agents.map(|(key, value)| (key.clone(), value.clone())).collect();
        let (master, _) = Master::restore(9, &agents, self.now).unwrap();
        let hostname = format!("host{number}");
        master.agents(self.now).into_iter().find(|view| view.hostname == hostname).unwrap()
    }
}

fn status(launch: &Launch, n: usize, state: TaskState) -> AgentBody {
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

#[test]
fn a_round_of_questions_is_bounded_and_changes_nothing_where_nothing_is_wrong() {
    // More than two steps ask about.
    let tasks = limits::RECONCILE_TASKS * 2 + 1;
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(tasks);
    for (n, (_, launch)) in world.launched.clone().iter().enumerate() {
        world.agent_says(1, status(launch, n, TaskState::Running));
    }
    let stored = world.stored.clone();
    let (turn, reply) = world.command(Command::Reconcile);
    assert!(matches!(reply, Ok(Accepted::Reconciling { tasks: n }) if n == tasks as u64));
    assert!(turn.writes.is_empty());
    let mut pauses = 0;
    loop {
        world.settle();
        let next = world.core.next_wakeup().mono.unwrap();
        if next.since(world.now.mono) != limits::RECONCILE_PAUSE {
            break;
        }
        world.wait(limits::RECONCILE_PAUSE);
        pauses += 1;
    }
    assert_eq!(pauses, 2, "one step asks about so many, and the last about the one that is left");
    assert_eq!(world.stored, stored, "nothing was wrong");
    // All have answered, so the one look for those that have not finds nobody.
    world.wait(limits::RECONCILE_AGAIN_FIRST);
    world.agent_says(1, AgentBody::Heartbeat(Heartbeat { number: 2 }));
    world.settle();
    world.agent_says(1, AgentBody::Heartbeat(Heartbeat { number: 3 }));
    let next = world.core.next_wakeup().mono.unwrap().since(world.now.mono);
    assert_eq!(next, limits::SILENT_AFTER, "then nothing is asked for a quarter of an hour");
}

/// A task that the master knows and the engine does not, as after a restore.
#[test]
fn what_should_not_be_there_is_ended_when_the_master_names_it() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(1);
    let (_, launch) = world.launched[0].clone();
    let stray = |id: &str| {
        let mut task = launch.task.clone().unwrap();
        task.task_id = Some(TaskId::new(id));
        let framework_id: Option<FrameworkId> = launch.framework.as_ref().unwrap().id.clone();
        TaskHere { framework_id, task: Some(task), state: TaskState::Running as i32 }
    };
    let agent: AgentId =
        launch.task.as_ref().unwrap().agent_id.clone().unwrap().value.parse().unwrap();
    let id = "019a0000-0000-7000-8000-00000000abcd";
    let turn = world.hello(1, Some(&agent), vec![stray(id)]);
    let killed: Vec<_> = turn
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::ToAgent { body: MasterBody::Kill(kill), .. } => kill.task_id.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(killed, [TaskId::new(id)]);
    assert_eq!(turn.notes.len(), 2, "a zombie, and the task that the agent came back without");
}

#[test]
fn that_a_host_is_gone_is_one_commit_with_all_that_follows() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(3);
    let agent = world.view(1).id;
    let (_, refused) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    assert!(matches!(refused, Err(Rejected::Conflict { .. })), "it is there");
    let nobody = "nobody".parse().unwrap();
    let (_, refused) = world.command(Command::MarkAgentGone { agent: nobody });
    assert!(matches!(refused, Err(Rejected::NotFound { kind: "agent", .. })));

    world.hello(2, None, Vec::new());
    world.turn(Event::Master(MasterEvent::Disconnected { connection: Connection(1) }));
    world.launched.clear();
    let (turn, reply) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    let Ok(Accepted::Agent(view)) = reply else { panic!("{reply:?}") };
    assert_eq!((view.state, view.tasks, view.id), (AgentState::Gone, 0, agent.clone()));
    let gone = |write: &&Write| matches!(write, Write::Delete { key } if key.starts_with(b"t/"));
    assert_eq!(turn.writes.iter().filter(gone).count(), 3, "its tasks are over");
    assert_eq!(world.view(1).state, AgentState::Gone, "it is stored with them");

    // Their back-off is one second.
    world.wait(Duration::from_secs(1));
    world.settle();
    assert_eq!(world.launched.len(), 3);
    assert!(world.launched.iter().all(|(connection, _)| *connection == Connection(2)));

    let (core, first) = Core::restore(2, &world.stored, world.now).unwrap();
    world.core = core;
    world.keep(&first);
    let (turn, reply) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    assert!(turn.writes.is_empty() && reply.is_ok(), "it is gone already");
    let turn = world.hello(1, Some(&agent), Vec::new());
    assert!(
        turn.effects.iter().any(|effect| matches!(
            effect,
            Effect::ToAgent { body: MasterBody::Refused(refused), .. } if refused.gone
        )),
        "nothing of it is taken back: {turn:?}"
    );
}
