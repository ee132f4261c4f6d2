//! An agent without its shell: what it is told, and exactly what it does then.

use std::{collections::BTreeMap, time::Duration};

use muster_agent::{
    core::{
        Agent, Config, Connection, Container, Effect, Entry, Event, ExecutorKey, Identity, Session,
        Step, Write,
    },
    supervise::{Exit, Why},
};
use muster_api::{
    Mono, Now, Timestamp, limits,
    task::{self},
};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Labels, Resource, TaskId, TaskInfo,
    TaskState, TaskStatus,
    agent::{Acknowledge, AgentBody, HeartbeatAnswer, Launch, MasterBody, Status, VERSION},
    executor::{EventType, Subscribe, Update},
};

/// An agent, its clock and its journal.
pub struct World {
    pub agent: Agent,
    pub now: Now,
    pub journal: Vec<Entry>,
    pub identity: Identity,
    pub connections: u64,
}

pub fn config() -> Config {
    Config {
        hostname: "host-a".to_owned(),
        resources: "cpus:4;mem:4096".parse().unwrap(),
        attributes: BTreeMap::new(),
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        port: 5051,
        boot_id: "boot-1".to_owned(),
        executor_registration: limits::EXECUTOR_REGISTRATION,
        executor_reregistration: limits::FOREIGN_REREGISTRATION,
        authenticate_executors: false,
    }
}

pub fn id(executor: &str) -> ExecutorId {
    ExecutorId::new(executor)
}

pub fn container(name: &str) -> Container {
    Container::new(name)
}

pub fn executor(name: &str) -> ExecutorKey {
    ExecutorKey { framework: FrameworkId::new("f"), executor: id(name) }
}

pub fn framework() -> FrameworkInfo {
    FrameworkInfo { id: Some(FrameworkId::new("f")), ..FrameworkInfo::default() }
}

pub fn task(name: &str, executor: &str, lease: &str, expect: Option<&str>) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: Some(id(executor)),
        resources: vec![Resource::scalar("cpus", 1.0)],
        labels: Some(Labels::of([(task::LABEL_LEASE, lease)])),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        task_id: Some(TaskId::new(name)),
        resources: vec![Resource::scalar("cpus", 0.5)],
        executor: Some(executor),
        labels: expect.map(|expect| Labels::of([(task::LABEL_EXPECT, expect)])),
        ..TaskInfo::default()
    }
}

impl World {
    pub fn new() -> Self {
        let now =
            Now { wall: Timestamp::from_millis(1_000_000), mono: Mono::from_millis(1_000_000) };
        let (agent, step) = Agent::restore(config(), Identity::default(), 1, [], now).unwrap();
        assert_eq!(step, Step::default());
        let (journal, identity) = (Vec::new(), Identity::default());
        Self { agent, now, journal, identity, connections: 0 }
    }

    pub fn pass(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
    }

    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let step = self.agent.step(self.now, event);
        for write in step.writes {
            match write {
                Write::Entry(entry) => self.journal.push(entry),
                Write::Identity(identity) => self.identity = identity,
            }
        }
        step.effects
    }

    pub fn connection(&self) -> Connection {
        Connection(self.connections)
    }

    /// Connects and registers; the first heartbeat is answered if so wanted.
    pub fn register(&mut self, answered: bool) -> Vec<Effect> {
        self.connections += 1;
        let connection = self.connection();
        let hello = self.step(Event::Challenged { connection, term: 7, version: VERSION });
        assert!(matches!(hello[..], [Effect::Hello { .. }]));
        let agent = "agent-1".parse().unwrap();
        let effects = self.step(Event::Welcomed { connection, term: 7, agent });
        if answered {
            self.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
        }
        effects
    }

    pub fn say(&mut self, body: MasterBody) -> Vec<Effect> {
        let connection = self.connection();
        self.step(Event::FromMaster { connection, term: 7, body: Some(body) })
    }

    pub fn launch(&mut self, task: TaskInfo) -> Vec<Effect> {
        let framework = Some(framework());
        self.say(MasterBody::Launch(Launch {
            framework,
            task: Some(task),
            heartbeat: 1,
            ..Launch::default()
        }))
    }

    /// An executor that is started and subscribed, with one task.
    pub fn running(&mut self, lease: &str) {
        self.launch(task("t1", "e1", lease, None));
        self.step(Event::Fetched { container: container("e1"), outcome: Ok(()) });
        self.step(Event::Started { container: container("e1"), pid: 100 });
        self.subscribe(1, Vec::new());
    }

    pub fn subscribe(&mut self, session: u64, updates: Vec<TaskStatus>) -> Vec<Effect> {
        let updates = updates.into_iter().map(|status| Update { status: Some(status) }).collect();
        let subscribe = Subscribe { unacknowledged_updates: updates, ..Subscribe::default() };
        let session = Session(session);
        self.step(Event::Subscribed { session, container: container("e1"), subscribe })
    }

    pub fn update(&mut self, session: u64, state: TaskState, uuid: u8) -> Vec<Effect> {
        let status = Box::new(report(state, uuid));
        self.step(Event::Updated { session: Session(session), status })
    }

    pub fn acknowledge(&mut self, uuid: Vec<u8>) -> Vec<Effect> {
        let framework_id = framework().id;
        let task_id = Some(TaskId::new("t1"));
        self.say(MasterBody::Acknowledge(Acknowledge { framework_id, task_id, uuid }))
    }

    pub fn exit(&mut self, why: Why) -> Vec<Effect> {
        let output = Some("last words".to_owned());
        let exit = Exit { status: 9, output, ..Exit::unknown(why) };
        self.step(Event::Exited { container: container("e1"), exit })
    }

    /// The agent dies and comes back with its journal.
    pub fn restart(&mut self) -> Vec<Effect> {
        self.restart_as(config())
    }

    /// The agent is started again with another configuration.
    pub fn restart_as(&mut self, config: Config) -> Vec<Effect> {
        self.pass(Duration::from_secs(1));
        let journal = self.journal.clone();
        let restored = Agent::restore(config, self.identity.clone(), 2, journal, self.now);
        let (agent, step) = restored.unwrap();
        self.agent = agent;
        self.journal = self.agent.snapshot();
        step.effects
    }
}

pub fn report(state: TaskState, uuid: u8) -> TaskStatus {
    TaskStatus {
        task_id: Some(TaskId::new("t1")),
        state: state as i32,
        uuid: Some(vec![uuid; 16]),
        ..TaskStatus::default()
    }
}

pub fn statuses(effects: &[Effect]) -> Vec<Status> {
    let status = |effect: &Effect| match effect {
        Effect::ToMaster { body: AgentBody::Status(status), .. } => Some(status.clone()),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

pub fn states(effects: &[Effect]) -> Vec<(TaskState, TaskState)> {
    let of = |status: &Status| (status.status.as_ref().unwrap().state(), status.latest_state());
    statuses(effects).iter().map(of).collect()
}

pub fn only_status(effects: &[Effect]) -> TaskStatus {
    let all = statuses(effects);
    assert_eq!(all.len(), 1, "{effects:?}");
    all[0].status.clone().unwrap()
}

pub fn events(effects: &[Effect]) -> Vec<EventType> {
    let event = |effect: &Effect| match effect {
        Effect::ToExecutor { event, .. } => Some(event.r#type()),
        _ => None,
    };
    effects.iter().filter_map(event).collect()
}

pub const SECOND: Duration = Duration::from_secs(1);
