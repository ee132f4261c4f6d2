//! A master, an executor and an agent for tests, each over real sockets.
#![allow(clippy::unwrap_used, reason = "this is test code")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]

pub mod foreign;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use muster_agent::AgentConfig;
use muster_api::{clock, limits, task};
use muster_proto::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Labels, Resource,
    StatusSource, TaskId, TaskInfo, TaskState, TaskStatus,
    agent::{self, AgentBody, FromAgent, FromMaster, Hello, MasterBody},
    executor,
    recordio::{self, Decoder},
};
use prost::Message;
use sha2::Sha256;

pub const TOKEN: &str = "join-token";
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program that stands in for `muster`.
pub fn muster() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/supervise");
    assert!(program.exists(), "{} is missing: run `cargo build --examples`", program.display());
    program
}

/// Waits for a condition, with a deadline.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = clock::mono() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::mono() < until, "never came true: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The pid that a file holds, once it does.
pub fn pid_in(path: &Path) -> i32 {
    eventually(&format!("{} holds a pid", path.display()), || {
        let text = std::fs::read_to_string(path).ok()?;
        if text.ends_with('\n') { text.trim().parse().ok() } else { None }
    })
}

pub fn kill_9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// How an agent of tests is configured.
pub fn config(work_dir: &Path, master: &Master) -> AgentConfig {
    AgentConfig {
        master: master.address(),
        work_dir: work_dir.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        resources: Some("cpus:4;mem:4096".parse().unwrap()),
        attributes: [("rack".to_owned(), "r1".to_owned())].into(),
        hostname: Some("host-a".to_owned()),
        join_token: TOKEN.to_owned(),
        plaintext: false,
        muster_program: muster(),
        executor_registration: limits::EXECUTOR_REGISTRATION,
        executor_reregistration: limits::FOREIGN_REREGISTRATION,
        authenticate_executors: false,
    }
}

/// An agent in this process.
pub struct RunningAgent {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<anyhow::Result<()>>>,
}

impl RunningAgent {
    pub fn start(work_dir: &Path, master: &Master) -> Self {
        Self::start_with(config(work_dir, master))
    }

    pub fn start_with(config: AgentConfig) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let outcome = runtime.block_on(muster_agent::run(config, async {
                let _ = stopped.await;
            }));
            // What still ends in the background holds the work folder's lock, and tests start again
            // at once.
            runtime.shutdown_timeout(Duration::from_secs(5));
            outcome
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    pub fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.join().unwrap();
    }

    pub fn join(&mut self) -> anyhow::Result<()> {
        self.thread.take().unwrap().join().unwrap()
    }
}

/// A stream of records over a blocking socket.
struct Records {
    socket: TcpStream,
    decoder: Decoder,
}

impl Records {
    fn new(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, decoder: Decoder::new(1 << 26) }
    }

    fn next<M: Message + Default>(&mut self) -> Option<M> {
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                return Some(M::decode(record).unwrap());
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.decoder.feed(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came in time")
                }
                Err(_) => return None,
            }
        }
    }

    fn send(&mut self, message: &impl Message) {
        let mut bytes = Vec::new();
        recordio::encode_message(message, &mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }
}

fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed after {head:?}");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A master that does as the test says.
pub struct Master {
    listener: TcpListener,
}

/// A registered agent, as a master sees it.
pub struct AgentConnection {
    records: Records,
    pub hello: Hello,
    pub term: u64,
    answered: u64,
}

impl Master {
    pub fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    fn challenge(&self, term: u64) -> (Records, Option<Hello>) {
        let (mut socket, _) = self.listener.accept().unwrap();
        let head = read_head(&mut socket);
        assert!(head.starts_with("POST /muster/v1/agent "), "{head}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
            upgrade: muster-agent/1\r\n\r\n";
        socket.write_all(answer.as_bytes()).unwrap();
        let mut records = Records::new(socket);
        let nonce = vec![7; 32];
        let challenge = agent::Challenge { nonce: nonce.clone(), oldest_version: 1, version: 1 };
        let body = Some(MasterBody::Challenge(challenge));
        records.send(&FromMaster { term, body });
        let hello = match records.next::<FromAgent>().and_then(|message| message.body) {
            Some(AgentBody::Hello(hello)) => {
                let expected = agent::agent_proof_input(&nonce, &hello.nonce);
                assert_eq!(hello.proof, hmac(TOKEN, &expected));
                Some(hello)
            }
            _ => None,
        };
        (records, hello)
    }

    /// Waits for an agent and registers it.
    pub fn register(&self, term: u64) -> AgentConnection {
        let (mut records, hello) = self.challenge(term);
        let hello = hello.expect("a hello");
        let proof = hmac(TOKEN, &agent::master_proof_input(&[7; 32], &hello.nonce));
        let welcome = agent::Welcome { agent_id: Some(AgentId::new("agent-1")), proof };
        records.send(&FromMaster { term, body: Some(MasterBody::Welcome(welcome)) });
        AgentConnection { records, hello, term, answered: 0 }
    }

    /// Waits for an agent and answers its hello with this; says whether the agent went away.
    pub fn meet(&self, term: u64, answer: impl FnOnce(&Hello) -> MasterBody) -> bool {
        let (mut records, hello) = self.challenge(term);
        let Some(hello) = hello else { return true };
        records.send(&FromMaster { term, body: Some(answer(&hello)) });
        records.next::<FromAgent>().is_none()
    }
}

pub fn hmac(token: &str, input: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    hmac.update(input);
    hmac.finalize().into_bytes().to_vec()
}

impl AgentConnection {
    pub fn send(&mut self, body: MasterBody) {
        self.records.send(&FromMaster { term: self.term, body: Some(body) });
    }

    /// The next message that is no heartbeat; those are answered.
    pub fn next(&mut self) -> AgentBody {
        let until = clock::mono() + PATIENCE;
        loop {
            assert!(clock::mono() < until, "nothing but heartbeats came in time");
            match self.raw() {
                AgentBody::Heartbeat(heartbeat) => self.answer(heartbeat.number),
                body => return body,
            }
        }
    }

    /// The next message, whatever it is.
    pub fn raw(&mut self) -> AgentBody {
        self.records.next::<FromAgent>().expect("a message").body.expect("a body")
    }

    pub fn answer(&mut self, number: u64) {
        self.answered = number;
        self.send(MasterBody::HeartbeatAnswer(agent::HeartbeatAnswer { number }));
    }

    /// Answers the heartbeat that follows the registration.
    pub fn first_heartbeat(&mut self) {
        let AgentBody::Heartbeat(heartbeat) = self.raw() else { panic!("no heartbeat") };
        self.answer(heartbeat.number);
    }

    pub fn launch(&mut self, task: TaskInfo) {
        self.launch_for(framework(), task);
    }

    pub fn launch_for(&mut self, framework: FrameworkInfo, task: TaskInfo) {
        let (framework, task, heartbeat) = (Some(framework), Some(task), self.answered);
        self.send(MasterBody::Launch(agent::Launch {
            framework,
            task,
            heartbeat,
            ..Default::default()
        }));
    }

    /// The next status, acknowledged.
    pub fn status(&mut self) -> TaskStatus {
        let status = self.raw_status();
        self.acknowledge(&status);
        status
    }

    /// The next status, not acknowledged.
    pub fn raw_status(&mut self) -> TaskStatus {
        match self.next() {
            AgentBody::Status(status) => status.status.unwrap(),
            other => panic!("no status: {other:?}"),
        }
    }

    pub fn acknowledge_uuid(&mut self, task: &str, uuid: Vec<u8>) {
        let (framework_id, task_id) = (framework().id, Some(TaskId::new(task)));
        self.send(MasterBody::Acknowledge(agent::Acknowledge { framework_id, task_id, uuid }));
    }

    pub fn acknowledge(&mut self, status: &TaskStatus) {
        self.send(MasterBody::Acknowledge(agent::Acknowledge {
            framework_id: framework().id,
            task_id: status.task_id.clone(),
            uuid: status.uuid.clone().unwrap(),
        }));
    }

    /// The end of a foreign executor, its raw wait status, and then that of its task.
    pub fn ended(&mut self) -> (i32, TaskStatus) {
        let raw = self.exited().status;
        (raw, self.status())
    }

    pub fn exited(&mut self) -> agent::ExecutorExited {
        let AgentBody::ExecutorExited(exited) = self.next() else { panic!("no exit") };
        exited
    }
}

pub fn framework() -> FrameworkInfo {
    let id = Some(FrameworkId::new("framework-1"));
    FrameworkInfo { name: "test".to_owned(), id, ..FrameworkInfo::default() }
}

/// The same, and it wants its executors to outlive the agent.
pub fn framework_with_checkpoint() -> FrameworkInfo {
    FrameworkInfo { checkpoint: Some(true), ..framework() }
}

/// A task of an executor that runs `command`, with a lease.
pub fn task(id: &str, executor: &str, command: &str, lease: &str) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: Some(ExecutorId::new(executor)),
        framework_id: framework().id,
        command: Some(CommandInfo { value: Some(command.to_owned()), ..CommandInfo::default() }),
        resources: vec![Resource::scalar("cpus", 0.1)],
        labels: Some(Labels::of([(task::LABEL_LEASE, lease)])),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        name: id.to_owned(),
        task_id: Some(TaskId::new(id)),
        resources: vec![Resource::scalar("cpus", 0.5)],
        executor: Some(executor),
        ..TaskInfo::default()
    }
}

/// A task of a foreign framework, in an executor that runs `command`.
pub fn foreign_task(id: &str, executor: &str, command: &str) -> TaskInfo {
    let mut task = task(id, executor, command, "off");
    task.executor.as_mut().unwrap().labels = None;
    task
}

/// An executor's stream to an agent, driven by the test.
pub struct Executor {
    records: Records,
    id: String,
}

impl Executor {
    /// Opens the stream as the executor of this folder would.
    pub fn connect(work_dir: &Path, id: &str) -> Self {
        let listen = eventually("the agent is ready", || listen_of(work_dir));
        let token = work_dir.join("executors").join(id).join("token");
        let token = eventually("the executor has a token", || std::fs::read_to_string(&token).ok());
        let (mut socket, head) = request_stream(&listen, &token);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let _ = socket.flush();
        Self { records: Records::new(socket), id: id.to_owned() }
    }

    pub fn call(&mut self, kind: executor::CallType, call: executor::Call) {
        let executor_id = Some(ExecutorId::new(&self.id));
        let framework_id = framework().id;
        let r#type = Some(kind as i32);
        self.records.send(&executor::Call { executor_id, framework_id, r#type, ..call });
    }

    /// Subscribes with these unacknowledged updates; returns once that is accepted.
    pub fn subscribe(&mut self, updates: Vec<TaskStatus>) {
        let update = |status| executor::Update { status: Some(status) };
        let unacknowledged_updates = updates.into_iter().map(update).collect();
        let subscribe = executor::Subscribe { unacknowledged_updates, ..Default::default() };
        let call = executor::Call { subscribe: Some(subscribe), ..Default::default() };
        self.call(executor::CallType::Subscribe, call);
        assert_eq!(self.next().unwrap().r#type(), executor::EventType::Subscribed);
    }

    pub fn next(&mut self) -> Option<executor::Event> {
        self.records.next()
    }

    pub fn launched(&mut self) -> String {
        let event = self.next().expect("an event");
        assert_eq!(event.r#type(), executor::EventType::Launch);
        event.launch.unwrap().task.unwrap().task_id.unwrap().value
    }

    pub fn update(&mut self, status: TaskStatus) {
        let update = Some(executor::Update { status: Some(status) });
        let call = executor::Call { update, ..Default::default() };
        self.call(executor::CallType::Update, call);
    }

    pub fn acknowledged(&mut self) -> Vec<u8> {
        let event = self.next().expect("an event");
        assert_eq!(event.r#type(), executor::EventType::Acknowledged);
        event.acknowledged.unwrap().uuid
    }

    pub fn send_garbage(&mut self) {
        self.records.socket.write_all(b"this is no record\n").unwrap();
    }
}

pub fn listen_of(work_dir: &Path) -> Option<String> {
    let ready = std::fs::read(work_dir.join("ready.json")).ok()?;
    let ready: serde_json::Value = serde_json::from_slice(&ready).ok()?;
    Some(ready["listen"].as_str()?.to_owned())
}

/// Asks an agent for an executor's stream; gives the head of the answer.
pub fn request_stream(listen: &str, token: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(listen).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: agent\r\nconnection: upgrade\r\nupgrade: {}\r\n\
         authorization: Bearer {token}\r\n\r\n",
        executor::STREAM_PATH,
        executor::STREAM_UPGRADE
    );
    socket.write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut socket);
    (socket, head)
}

/// A status as an executor sends it; the number makes its uuid.
pub fn report(task: &str, state: TaskState, number: u8) -> TaskStatus {
    TaskStatus {
        task_id: Some(TaskId::new(task)),
        state: state as i32,
        source: Some(StatusSource::Executor as i32),
        uuid: Some(vec![number; 16]),
        ..TaskStatus::default()
    }
}

/// Ends what a test has started, also when it fails.
pub struct WorkDir(pub tempfile::TempDir);

impl WorkDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn executor(&self, id: &str) -> PathBuf {
        self.path().join("executors").join(id)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let path = self.path().to_owned();
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            done.send(runtime.block_on(muster_agent::end_all(&path)).is_ok())
        });
        let _ = ended.recv_timeout(PATIENCE);
    }
}
