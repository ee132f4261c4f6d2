//! An agent whose executors are started and do as they are told, and a master that says whatever
//! the bytes hold.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use muster_agent::{
    core::{
        Agent, Bearer, Call, Config, Connection, Container, Effect, Entry, Event, ExecutorKey,
        Identity, Origin, Request, Session, What, Write,
    },
    supervise::{Exit, Why},
};
use muster_api::Now;
use muster_proto::{
    ExecutorInfo, FrameworkInfo, TaskId, TaskState, TaskStatus,
    agent::{AgentBody, FromAgent, FromMaster, HeartbeatAnswer, MasterBody, VERSION},
    executor::{self, CallMessage, EventType, Subscribe},
};
use prost::Message;

use super::{START, arrives, later, pause_before, records};

/// The term of the master that the agent is registered with.
pub(super) const TERM: u64 = 7;

pub(super) fn check(bytes: &[u8]) {
    let mut world = World::new();
    for record in records(bytes) {
        world.pass(pause_before(&record));
        world.hear(&record);
    }
    world.pass(Duration::from_secs(100));
    world.restart();
}

struct World {
    agent: Agent,
    identity: Identity,
    journal: Vec<Entry>,
    now: Now,
    connection: Connection,
    /// Who lives in a container that was started, and where it comes from.
    started: BTreeMap<Container, (ExecutorKey, Origin)>,
    sessions: BTreeMap<Session, Container>,
    /// Numbers for streams, requests and reports.
    numbers: u64,
}

impl World {
    fn new() -> Self {
        let identity = Identity::default();
        let (agent, _) = Agent::restore(config(), identity.clone(), 1, [], START)
            .expect("nothing is a valid state");
        let mut world = Self {
            agent,
            identity,
            journal: Vec::new(),
            now: START,
            connection: Connection(0),
            started: BTreeMap::new(),
            sessions: BTreeMap::new(),
            numbers: 0,
        };
        world.register();
        world
    }

    /// Registers on a new connection, on which the first heartbeat is answered.
    fn register(&mut self) {
        self.connection = Connection(self.connection.0 + 1);
        let connection = self.connection;
        self.step(Event::Challenged { connection, term: TERM, version: VERSION });
        let agent = "agent-1".parse().expect("it is a valid id");
        self.step(Event::Welcomed { connection, term: TERM, agent });
        let body = Some(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
        self.step(Event::FromMaster { connection, term: TERM, body });
    }

    /// One record, as the reader of a connection takes it. A damaged one ends the connection.
    fn hear(&mut self, record: &[u8]) {
        let connection = self.connection;
        match FromMaster::decode(record) {
            Ok(FromMaster { term, body }) => {
                self.step(Event::FromMaster { connection, term, body });
            }
            Err(_) => {
                self.step(Event::Disconnected { connection });
                self.register();
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = later(self.now, span);
        while let Some(at) = self.agent.next_wakeup().filter(|at| *at <= end.mono) {
            self.now = later(self.now, at.since(self.now.mono));
            self.step(Event::Tick);
        }
        self.now = end;
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let step = self.agent.step(self.now, event);
            for write in step.writes {
                match write {
                    Write::Entry(entry) => self.journal.push(entry),
                    Write::Identity(identity) => self.identity = identity,
                }
            }
            let effects: Vec<_> =
                step.effects.into_iter().flat_map(|effect| self.carry_out(effect)).collect();
            events.extend(effects);
        }
    }

    /// What comes of an effect, without delay.
    fn carry_out(&mut self, effect: Effect) -> Vec<Event> {
        match effect {
            Effect::Hello { hello, .. } => {
                let body = Some(AgentBody::Hello(*hello));
                arrives(&FromAgent { term: TERM, body });
                vec![]
            }
            Effect::ToMaster { term, body, .. } => {
                arrives(&FromAgent { term, body: Some(body) });
                vec![]
            }
            Effect::Disconnect { connection } => vec![Event::Disconnected { connection }],
            Effect::Fetch { container, .. } => {
                vec![Event::Fetched { container, outcome: Ok(()) }]
            }
            Effect::Start { container, framework, info, origin, .. } => {
                self.start(container, *framework, *info, origin)
            }
            Effect::End { container, .. } => {
                self.started.remove(&container);
                vec![Event::Exited { container, exit: Exit::unknown(Why::Ended) }]
            }
            Effect::ToExecutor { session, event } => {
                arrives(&*event);
                self.obey(session, *event)
            }
            Effect::CloseSession { session } => {
                self.sessions.remove(&session);
                vec![Event::Left { session }]
            }
            _ => vec![],
        }
    }

    /// An executor starts and subscribes. Events are taken from the end of the list.
    fn start(
        &mut self,
        container: Container,
        framework: FrameworkInfo,
        info: ExecutorInfo,
        origin: Origin,
    ) -> Vec<Event> {
        let session = Session(self.number());
        let key = ExecutorKey {
            framework: framework.id.unwrap_or_default(),
            executor: info.executor_id.unwrap_or_default(),
        };
        self.started.insert(container.clone(), (key, origin));
        self.sessions.insert(session, container.clone());
        let subscribe = Subscribe::default();
        let subscribed = match origin {
            Origin::Ours => Event::Subscribed { session, container: container.clone(), subscribe },
            Origin::Foreign | Origin::Command => {
                self.call(&container, What::Subscribe { session, subscribe })
            }
        };
        vec![subscribed, Event::Started { container, pid: 1 }]
    }

    /// What an executor says to an event.
    fn obey(&mut self, session: Session, event: executor::Event) -> Vec<Event> {
        let Some(container) = self.sessions.get(&session).cloned() else { return vec![] };
        if event.r#type == Some(EventType::Shutdown as i32) {
            self.started.remove(&container);
            return vec![Event::Exited { container, exit: Exit::unknown(Why::Exited) }];
        }
        let group = event.launch_group.and_then(|launch| launch.task_group);
        let launched = event.launch.into_iter().filter_map(|launch| launch.task);
        let launched = launched.chain(group.into_iter().flat_map(|group| group.tasks));
        let running = launched.filter_map(|task| Some((task.task_id?, TaskState::Running)));
        let killed = event.kill.and_then(|kill| Some((kill.task_id?, TaskState::Killed)));
        let reports: Vec<_> = running.chain(killed).collect();
        let mut said: Vec<_> = reports
            .into_iter()
            .map(|(task, state)| self.report(session, &container, task, state))
            .collect();
        if let Some(message) = event.message {
            let message = CallMessage { data: message.data, number: Some(1) };
            said.push(Event::Said { session, message });
        }
        said
    }

    fn report(
        &mut self,
        session: Session,
        container: &Container,
        task: TaskId,
        state: TaskState,
    ) -> Event {
        let uuid = [&[0; 8][..], &self.number().to_be_bytes()].concat();
        let status = Box::new(TaskStatus {
            task_id: Some(task),
            state: state as i32,
            uuid: Some(uuid),
            ..TaskStatus::default()
        });
        match self.started.get(container) {
            Some((_, Origin::Foreign | Origin::Command)) => {
                self.call(container, What::Update(status))
            }
            _ => Event::Updated { session, status },
        }
    }

    fn call(&mut self, container: &Container, what: What) -> Event {
        let (key, _) = &self.started[container];
        let call = Call { by: key.clone(), bearer: Bearer::Of(container.clone()), what };
        Event::Called { request: Request(self.number()), call }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The next life of the agent: what it has written down it can read, and its shortest journal
    /// says the same. A master may have launched more than there is, which is told by name.
    fn restart(self) {
        let restored = Agent::restore(config(), self.identity.clone(), 2, self.journal, self.now);
        if let Ok((agent, _)) = restored {
            let short = agent.snapshot();
            let again = Agent::restore(config(), self.identity, 3, short.clone(), self.now);
            let (again, _) = again.expect("a journal written anew can be read");
            assert_eq!(again.snapshot().len(), short.len());
        }
    }
}

fn config() -> Config {
    Config {
        hostname: "h".into(),
        resources: "cpus:4;mem:4096".parse().expect("they are valid"),
        attributes: BTreeMap::new(),
        ip: Ipv4Addr::LOCALHOST.into(),
        port: 5051,
        boot_id: "boot".into(),
        executor_registration: Duration::from_secs(60),
        executor_reregistration: Duration::from_secs(2),
        authenticate_executors: false,
    }
}
