//! An agent with executors of foreign frameworks.

use std::time::Duration;

use muster_agent::{
    core::{Answer, Bearer, Call, Container, Effect, Event, ExecutorKey, Request, Session, What},
    supervise::{Exit, Why},
};
use muster_proto::{
    CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Resource, TaskId, TaskInfo,
    TaskState, TaskStatus,
    agent::{
        Acknowledge, AgentBody, ExecutorExited, Hello, Kill, Launch, LaunchGroup, MasterBody,
        VERSION,
    },
    executor::{Subscribe, Update},
};

use super::world::World;

/// An agent that is registered, and what foreign executors ask of it.
pub struct Guest {
    pub world: World,
    /// Whether frameworks want their executors to outlive the agent.
    pub checkpoint: bool,
    requests: u64,
    sessions: u64,
}

/// The framework of this id.
pub fn framework(id: &str, checkpoint: bool) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(FrameworkId::new(id)),
        checkpoint: Some(checkpoint),
        ..FrameworkInfo::default()
    }
}

pub fn key(framework: &str, executor: &str) -> ExecutorKey {
    let (framework, executor) = (FrameworkId::new(framework), ExecutorId::new(executor));
    ExecutorKey { framework, executor }
}

/// A task in an executor that its framework has described.
pub fn task(name: &str, executor: &str) -> TaskInfo {
    let command = CommandInfo { value: Some("./executor".to_owned()), ..CommandInfo::default() };
    TaskInfo {
        task_id: Some(TaskId::new(name)),
        resources: vec![Resource::scalar("cpus", 0.5)],
        executor: Some(ExecutorInfo {
            executor_id: Some(ExecutorId::new(executor)),
            resources: vec![Resource::scalar("cpus", 0.1)],
            command: Some(command),
            ..ExecutorInfo::default()
        }),
        ..TaskInfo::default()
    }
}

/// A task that is a command.
pub fn command(name: &str, command: CommandInfo) -> TaskInfo {
    TaskInfo { executor: None, command: Some(command), ..task(name, "") }
}

pub fn status(task: &str, state: TaskState, uuid: u8) -> TaskStatus {
    TaskStatus {
        task_id: Some(TaskId::new(task)),
        state: state as i32,
        uuid: Some(vec![uuid; 16]),
        ..TaskStatus::default()
    }
}

impl Guest {
    pub fn new(checkpoint: bool) -> Self {
        let mut world = World::new();
        world.register(true);
        Self { world, checkpoint, requests: 0, sessions: 0 }
    }

    pub fn launch_for(&mut self, by: &str, task: TaskInfo) -> Vec<Effect> {
        let framework = Some(framework(by, self.checkpoint));
        self.world.say(MasterBody::Launch(Launch {
            framework,
            task: Some(task),
            heartbeat: 1,
            ..Launch::default()
        }))
    }

    pub fn launch(&mut self, task: TaskInfo) -> Vec<Effect> {
        self.launch_for("f", task)
    }

    pub fn launch_group(&mut self, tasks: Vec<TaskInfo>) -> Vec<Effect> {
        let framework = Some(framework("f", self.checkpoint));
        self.world.say(MasterBody::LaunchGroup(LaunchGroup {
            framework,
            tasks,
            heartbeat: 1,
            ..LaunchGroup::default()
        }))
    }

    /// The process of the executor in this container is started.
    pub fn begin(&mut self, container: &Container) -> Vec<Effect> {
        let container = container.clone();
        self.world.step(Event::Fetched { container: container.clone(), outcome: Ok(()) });
        self.world.step(Event::Started { container, pid: 100 })
    }

    /// An executor that is started and subscribed, with the task `t1`; gives its container.
    pub fn running(&mut self) -> Container {
        let container = fetched(&self.launch(task("t1", "e1")));
        self.begin(&container);
        let (answer, _) = self.subscribe(Subscribe::default());
        assert_eq!(answer, Answer::Accepted);
        container
    }

    /// Makes a call; gives its answer and what else is done.
    pub fn call(&mut self, by: ExecutorKey, bearer: Bearer, what: What) -> (Answer, Vec<Effect>) {
        self.requests += 1;
        let request = Request(self.requests);
        let call = Call { by, bearer, what };
        let mut effects = self.world.step(Event::Called { request, call });
        let last = effects.pop();
        let Some(Effect::Answer { request: answered, answer }) = last else { panic!("{last:?}") };
        assert_eq!(answered, request);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Answer { .. })));
        (answer, effects)
    }

    /// The newest stream that was asked for.
    pub fn session(&self) -> Session {
        Session(self.sessions)
    }

    pub fn subscription(&mut self, subscribe: Subscribe) -> What {
        self.sessions += 1;
        What::Subscribe { session: self.session(), subscribe }
    }

    pub fn subscribe(&mut self, subscribe: Subscribe) -> (Answer, Vec<Effect>) {
        let what = self.subscription(subscribe);
        self.call(key("f", "e1"), Bearer::Nobody, what)
    }

    pub fn update(&mut self, status: TaskStatus) -> (Answer, Vec<Effect>) {
        self.call(key("f", "e1"), Bearer::Nobody, What::Update(Box::new(status)))
    }

    pub fn kill(&mut self, task: &str) -> Vec<Effect> {
        self.world.say(MasterBody::Kill(Kill {
            framework_id: Some(FrameworkId::new("f")),
            task_id: Some(TaskId::new(task)),
            kill_policy: None,
        }))
    }

    pub fn acknowledge(&mut self, task: &str, uuid: Vec<u8>) -> Vec<Effect> {
        self.world.say(MasterBody::Acknowledge(Acknowledge {
            framework_id: Some(FrameworkId::new("f")),
            task_id: Some(TaskId::new(task)),
            uuid,
        }))
    }

    /// The executor ends, with this raw wait status.
    pub fn exit(&mut self, container: &Container, status: i32) -> Vec<Effect> {
        let session = self.session();
        let mut effects = self.world.step(Event::Left { session });
        let output = Some("last words".to_owned());
        let exit = Exit { status, output, ..Exit::unknown(Why::Exited) };
        effects.extend(self.world.step(Event::Exited { container: container.clone(), exit }));
        effects
    }

    pub fn tick_after(&mut self, span: Duration) -> Vec<Effect> {
        self.world.pass(span);
        self.world.step(Event::Tick)
    }

    /// What the next hello says lives here: executors, then tasks.
    pub fn hello(&mut self) -> (Vec<String>, Vec<(String, TaskState)>) {
        let hello = self.whole_hello();
        let executors = hello.executors.iter().map(|here| {
            here.executor.as_ref().unwrap().executor_id.as_ref().unwrap().value.clone()
        });
        let tasks = hello.tasks.iter().map(|here| {
            let task = here.task.as_ref().unwrap();
            (task.task_id.as_ref().unwrap().value.clone(), here.state())
        });
        (executors.collect(), tasks.collect())
    }

    /// The agent connects anew and is welcomed; gives its hello.
    pub fn whole_hello(&mut self) -> Hello {
        self.hello_in(VERSION)
    }

    /// The same, with a master of this version of the protocol.
    pub fn hello_in(&mut self, version: u32) -> Hello {
        let connection = self.world.connection();
        self.world.step(Event::Disconnected { connection });
        self.world.connections += 1;
        let connection = self.world.connection();
        let effects = self.world.step(Event::Challenged { connection, term: 7, version });
        let [Effect::Hello { hello, .. }] = &effects[..] else { panic!("{effects:?}") };
        let agent = "agent-1".parse().unwrap();
        self.world.step(Event::Welcomed { connection, term: 7, agent });
        (**hello).clone()
    }
}

/// A subscription with these updates that were not acknowledged.
pub fn with_updates(statuses: Vec<TaskStatus>) -> Subscribe {
    let updates = statuses.into_iter().map(|status| Update { status: Some(status) });
    Subscribe { unacknowledged_updates: updates.collect(), ..Subscribe::default() }
}

/// The container that is filled.
pub fn fetched(effects: &[Effect]) -> Container {
    let fetch = effects.iter().find_map(|effect| match effect {
        Effect::Fetch { container, .. } => Some(container.clone()),
        _ => None,
    });
    fetch.unwrap_or_else(|| panic!("nothing is fetched: {effects:?}"))
}

/// The ends of executors that the master is told of.
pub fn ended(effects: &[Effect]) -> Vec<ExecutorExited> {
    let exited = |effect: &Effect| match effect {
        Effect::ToMaster { body: AgentBody::ExecutorExited(exited), .. } => Some(exited.clone()),
        _ => None,
    };
    effects.iter().filter_map(exited).collect()
}
