//! A scheduler around the real engine, on a store in memory, with the test as its only agent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use muster_api::{
    AgentId, Now, TaskId, Timestamp, clock,
    events::TraceEvent,
    task::TaskReport,
    views::{AgentState, AgentView},
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step, TaskLaunch},
    event::{AgentRegistered, Event, Offer, RequestId, Signal, TaskUpdate},
    query::{Answer, Query},
};
use muster_proto::agent::{LogData, ReadLog};
use muster_scheduler::{
    Metrics, Request, RunsOver, Waiting,
    backup::Tapped,
    channel,
    rest::{LogError, LogFuture, LogSource, Rest, router, serve},
    secrets::{ADMIN_TOKEN, Token, open_token},
    store::{Commit, MemoryDisk, MemoryStore, State},
    trace::{Change, EventLog},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::client::Client;

/// What a test makes happen, beside its requests.
enum Happening {
    /// The engine is told something.
    Event(Box<Event>),
    /// The clocks jump.
    Advance(Duration),
}

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) logs: Arc<Logs>,
    pub(crate) launched: watch::Receiver<Vec<TaskLaunch>>,
    happenings: mpsc::UnboundedSender<(Happening, oneshot::Sender<()>)>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    token: Token,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = open_token(folder.path(), ADMIN_TOKEN).unwrap();
        let store = MemoryStore::open(&MemoryDisk::default());
        let store = Tapped::new(Box::new(store), "memory").unwrap();
        let (driver, requests, runs_over) = channel();
        let (happenings, happening) = mpsc::unbounded_channel();
        let (launch, launched) = watch::channel(Vec::new());
        let logs = Arc::new(Logs::default());
        let metrics = Arc::new(Metrics::new(clock::wall()));
        let log = EventLog::open(&*store.history()).unwrap();
        let rest = Rest::new(
            driver,
            store.history(),
            store.backups(),
            logs.clone(),
            log.listen(),
            metrics,
            token.clone(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(drive((store, log), requests, happening, runs_over, launch));
        let server = tokio::spawn(serve(listener, router(rest), async {
            let _ = stopped.await;
        }));
        let client = Client::new(address, Some(token.as_str()));
        Self {
            client,
            address,
            logs,
            launched,
            happenings,
            stop: Some(stop),
            server,
            token,
            _folder: folder,
        }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_str()
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.server.await.unwrap();
    }

    async fn happen(&self, happening: Happening) {
        let (done, wait) = oneshot::channel();
        assert!(self.happenings.send((happening, done)).is_ok());
        wait.await.unwrap();
    }

    pub(crate) async fn event(&self, event: Event) {
        self.happen(Happening::Event(Box::new(event))).await;
    }

    /// Lets time pass, and the engine notice.
    pub(crate) async fn advance(&self, time: Duration) {
        self.happen(Happening::Advance(time)).await;
        self.event(Event::Tick).await;
    }

    /// Offers room for many tasks.
    pub(crate) async fn offer(&self, number: u32) {
        let agent: AgentId = "agent-1".parse().unwrap();
        let hostname = "host-1".to_owned();
        if number == 1 {
            let (tasks, executors) = (Vec::new(), Vec::new());
            let (agent, hostname) = (agent.clone(), hostname.clone());
            let news = AgentRegistered {
                agent,
                hostname,
                attributes: BTreeMap::new(),
                resources: "cpus:64;mem:65536".parse().unwrap(),
                rebooted: false,
                tasks,
                executors,
            };
            self.event(Event::AgentRegistered(news)).await;
        }
        let id = format!("offer-{number}").parse().unwrap();
        let resources = "cpus:64;mem:65536".parse().unwrap();
        let attributes = BTreeMap::new();
        let executors = Vec::new();
        let offer = Offer { id, agent, hostname, attributes, resources, executors };
        self.event(Event::Offers(vec![offer])).await;
    }

    /// A host registers with all that it has.
    pub(crate) async fn host(&self, number: u32, attributes: &[(&str, &str)], all: &str) {
        self.event(Event::AgentRegistered(AgentRegistered {
            agent: format!("agent-{number}").parse().unwrap(),
            hostname: format!("host-{number}"),
            attributes: owned(attributes),
            resources: all.parse().unwrap(),
            rebooted: false,
            tasks: Vec::new(),
            executors: Vec::new(),
        }))
        .await;
    }

    /// A host offers what is free there.
    pub(crate) async fn offer_of(&self, number: u32, attributes: &[(&str, &str)], free: &str) {
        let id = uuid::Uuid::from_u128(clock::now().mono.as_millis().into());
        self.event(Event::Offers(vec![Offer {
            id: format!("offer-{id}-{free}").parse().unwrap(),
            agent: format!("agent-{number}").parse().unwrap(),
            hostname: format!("host-{number}"),
            attributes: owned(attributes),
            resources: free.parse().unwrap(),
            executors: Vec::new(),
        }]))
        .await;
    }

    /// Says what became of a task.
    pub(crate) async fn task(&self, task: TaskId, signal: Signal) {
        self.event(Event::Task(TaskUpdate {
            task,
            agent: Some("agent-1".parse().unwrap()),
            signal,
            source: Default::default(),
            at: None,
            message: String::new(),
            report: TaskReport { exit_code: Some(0), ..TaskReport::default() },
            uuid: Some([7; 16]),
        }))
        .await;
    }
}

fn owned(attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A driver that commits before it answers, and nothing else.
async fn drive(
    (mut store, mut log): (Tapped, EventLog),
    mut requests: mpsc::Receiver<Waiting>,
    mut happenings: mpsc::UnboundedReceiver<(Happening, oneshot::Sender<()>)>,
    runs_over: RunsOver,
    launched: watch::Sender<Vec<TaskLaunch>>,
) {
    let config = EngineConfig::new(|_, _| Vec::new());
    let mut shift = Duration::ZERO;
    let (mut engine, first) =
        Engine::restore(config, 1, &muster_scheduler::store::records(&store).unwrap(), now(shift))
            .unwrap();
    let mut sequence = 1;
    store.commit(&Commit { term: 1, sequence, writes: &first.writes }).unwrap();
    let (mut replies, mut answers) = (BTreeMap::new(), BTreeMap::new());
    let mut changes = BTreeMap::new();
    loop {
        sequence += 1;
        let id = RequestId(sequence);
        let mut done = None;
        let event = tokio::select! {
            Some(waiting) = requests.recv() => match waiting.request {
                Request::Command { by, command, reply } => {
                    replies.insert(id, reply);
                    changes.insert(id, Change::asked(by, &command));
                    Event::Command { request: id, command: *command }
                }
                Request::Query { query: Query::Agents, reply } => {
                    reply.send(Answer::Agents(vec![agent("b"), agent("a"), agent("c")])).unwrap();
                    continue;
                }
                Request::Forget { .. } => unreachable!("nothing keeps history within limits here"),
                Request::NoticeTried { notice, outcome } => Event::NoticeTried { notice, outcome },
                Request::Query { query, reply } => {
                    answers.insert(id, reply);
                    Event::Query { request: id, query }
                }
            },
            Some((happening, reply)) = happenings.recv() => {
                done = Some(reply);
                match happening {
                    Happening::Event(event) => *event,
                    Happening::Advance(time) => {
                        shift += time;
                        Event::Tick
                    }
                }
            }
            else => return,
        };
        let at = now(shift);
        let step = engine.step(at, event);
        let trace = told(at.wall, &step, &mut changes);
        let writes = [step.writes, log.write(at.wall, trace)].concat();
        store.commit(&Commit { term: 1, sequence, writes: &writes }).unwrap();
        log.committed();
        for effect in step.effects {
            match effect {
                Effect::Reply { request, reply } => {
                    let _ = replies.remove(&request).unwrap().send(reply);
                }
                Effect::Answer { request, answer } => {
                    let _ = answers.remove(&request).unwrap().send(answer);
                }
                Effect::Launch(batch) => launched.send_modify(|all| all.extend(batch.tasks)),
                Effect::RunOver(run) => runs_over.announce(run),
                _ => {}
            }
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// The present, so much later.
fn now(shift: Duration) -> Now {
    let now = clock::now();
    Now { wall: now.wall + shift, mono: now.mono + shift }
}

/// What a step tells, after the changes that it made for users.
fn told(at: Timestamp, step: &Step, changes: &mut BTreeMap<RequestId, Change>) -> Vec<TraceEvent> {
    let mut told = Vec::new();
    for effect in &step.effects {
        if let Effect::Reply { request, reply } = effect {
            let change = changes.remove(request).unwrap();
            told.extend(change.made(at, reply, &step.trace));
        }
    }
    told.extend(step.trace.iter().cloned());
    told
}

fn agent(name: &str) -> AgentView {
    AgentView {
        id: name.parse().unwrap(),
        hostname: format!("host-{name}"),
        state: AgentState::Active,
        resources: "cpus:4;mem:4096".parse().unwrap(),
        used: "cpus:1;mem:64".parse().unwrap(),
        attributes: BTreeMap::new(),
        tasks: 1,
        executors: 1,
        silent_since: None,
        silent_for: None,
        gone_at: None,
        drain: None,
        left: Vec::new(),
    }
}

/// The output of every task, in parts.
#[derive(Default)]
pub(crate) struct Logs {
    pub(crate) parts: Mutex<Vec<Result<LogData, LogError>>>,
    pub(crate) asked: Mutex<Vec<ReadLog>>,
}

impl LogSource for Logs {
    fn read(&self, _: AgentId, wanted: ReadLog) -> LogFuture {
        self.asked.lock().unwrap().push(wanted);
        let mut parts = self.parts.lock().unwrap();
        let part = if parts.is_empty() { Ok(LogData::default()) } else { parts.remove(0) };
        Box::pin(async move { part })
    }
}
