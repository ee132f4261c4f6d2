//! An agent that a test plays by hand.

use std::{collections::BTreeMap, path::Path, time::Duration};

use muster_api::{
    IdStream, RunId, Span, TaskId as Id, Timestamp,
    spec::ScriptSpec,
    task::{ExecutionBatch, ShardContext, TaskPayload, TaskReport, Work},
};
use muster_executor::Environment;
use muster_proto::{
    DurationInfo, ExecutorId, FrameworkId, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
    executor::{
        Acknowledged, Call, CallMessage, Event, EventType, Kill, Launch, MessageTaken, Subscribe,
        Subscribed,
    },
    recordio,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

/// Where executors connect to.
pub(crate) struct FakeAgent {
    listener: TcpListener,
}

impl FakeAgent {
    pub(crate) async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// The environment of an executor of this agent.
    pub(crate) fn environment(&self, sandbox: &Path) -> Environment {
        Environment {
            agent: self.address(),
            framework: FrameworkId::new("framework"),
            executor: ExecutorId::new("executor"),
            sandbox: sandbox.to_owned(),
            token: Some("secret".to_owned()),
            shutdown_grace: Duration::from_secs(5),
        }
    }

    /// The next connection, with its request answered by `status`.
    pub(crate) async fn answer(&self, status: &str) -> (Stream, String) {
        let (mut socket, _) = within("connection", self.listener.accept()).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(within("request", socket.read_u8()).await.unwrap());
        }
        let upgrade = "connection: upgrade\r\nupgrade: muster-executor/1\r\n";
        let rest = if status.starts_with("101") { upgrade } else { "content-length: 0\r\n" };
        let answer = format!("HTTP/1.1 {status}\r\n{rest}\r\n");
        socket.write_all(answer.as_bytes()).await.unwrap();
        let decoder = recordio::Decoder::new(1 << 20);
        (Stream { socket, decoder }, String::from_utf8(request).unwrap())
    }

    /// The next connection, subscribed, and what its subscription said.
    pub(crate) async fn subscribed(&self) -> (Stream, Subscribe) {
        let (mut stream, _) = self.answer("101 Switching Protocols").await;
        let subscribe = stream.call().await.subscribe.expect("the first call is SUBSCRIBE");
        let subscribed = Some(Subscribed::default());
        stream.send(EventType::Subscribed, Event { subscribed, ..Event::default() }).await;
        (stream, subscribe)
    }
}

/// One connection of an executor.
pub(crate) struct Stream {
    socket: TcpStream,
    decoder: recordio::Decoder,
}

impl Stream {
    /// The next call; fails the test when the connection ends.
    pub(crate) async fn call(&mut self) -> Call {
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                return Call::decode(record).unwrap();
            }
            let mut bytes = vec![0; 4096];
            let length = within("call", self.socket.read(&mut bytes)).await.unwrap();
            assert!(length > 0, "the executor closed the connection");
            self.decoder.feed(&bytes[..length]);
        }
    }

    pub(crate) async fn send(&mut self, kind: EventType, mut event: Event) {
        event.set_type(kind);
        let mut bytes = Vec::new();
        recordio::encode_message(&event, &mut bytes);
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// Bytes that are no record.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn launch(&mut self, payload: &TaskPayload) -> TaskId {
        let id = TaskId::new(payload.context.task.to_string());
        let task = TaskInfo {
            name: payload.context.job.to_string(),
            task_id: Some(id.clone()),
            data: Some(payload.encode()),
            ..TaskInfo::default()
        };
        let launch = Some(Launch { task: Some(task) });
        self.send(EventType::Launch, Event { launch, ..Event::default() }).await;
        id
    }

    pub(crate) async fn kill(&mut self, task: &TaskId, grace: Option<Duration>) {
        let kill_policy = grace.map(|grace| {
            let nanoseconds = grace.as_nanos() as i64;
            KillPolicy { grace_period: Some(DurationInfo { nanoseconds }) }
        });
        let kill = Some(Kill { task_id: Some(task.clone()), kill_policy });
        self.send(EventType::Kill, Event { kill, ..Event::default() }).await;
    }

    pub(crate) async fn shut_down(&mut self) {
        self.send(EventType::Shutdown, Event::default()).await;
    }

    pub(crate) async fn acknowledge(&mut self, status: &TaskStatus) {
        let uuid = status.uuid.clone().unwrap();
        let acknowledged = Some(Acknowledged { task_id: status.task_id.clone(), uuid });
        self.send(EventType::Acknowledged, Event { acknowledged, ..Event::default() }).await;
    }

    /// The next status, acknowledged.
    pub(crate) async fn status(&mut self) -> TaskStatus {
        let status = self.call().await.update.unwrap().status.unwrap();
        self.acknowledge(&status).await;
        status
    }

    /// The next message; what is said about tasks meanwhile is acknowledged.
    pub(crate) async fn message(&mut self) -> CallMessage {
        loop {
            let call = self.call().await;
            if let Some(status) = call.update.and_then(|update| update.status) {
                self.acknowledge(&status).await;
            }
            if let Some(message) = call.message {
                return message;
            }
        }
    }

    /// Says that a message has come to its framework.
    pub(crate) async fn take(&mut self, number: u64) {
        let message_taken = Some(MessageTaken { number });
        self.send(EventType::MessageTaken, Event { message_taken, ..Event::default() }).await;
    }

    /// The next batch of executions, taken.
    pub(crate) async fn executions(&mut self) -> ExecutionBatch {
        let message = self.message().await;
        let batch = ExecutionBatch::decode(&message.data).unwrap();
        assert_eq!(message.number, Some(batch.number));
        self.take(batch.number).await;
        batch
    }

    /// The next status, acknowledged, or nothing if it is a message that comes, which is taken.
    pub(crate) async fn status_or_message(&mut self) -> Option<TaskStatus> {
        let call = self.call().await;
        if let Some(number) = call.message.and_then(|message| message.number) {
            self.take(number).await;
        }
        let status = call.update?.status?;
        self.acknowledge(&status).await;
        Some(status)
    }

    /// Waits until the task is said to run.
    pub(crate) async fn runs(&mut self, task: &TaskId) {
        let status = self.status().await;
        assert_eq!((status.task_id.as_ref(), status.state()), (Some(task), TaskState::Running));
    }

    /// The end of a task; what is said about others is acknowledged and passed over.
    pub(crate) async fn end(&mut self, task: &TaskId) -> (TaskStatus, TaskReport) {
        loop {
            let Some(status) = self.status_or_message().await else { continue };
            if status.task_id.as_ref() == Some(task) && status.state().is_terminal() {
                let report = TaskReport::decode(status.data.as_deref().unwrap()).unwrap();
                return (status, report);
            }
        }
    }

    /// Launches a task and gives its end.
    pub(crate) async fn run(&mut self, payload: &TaskPayload) -> (TaskStatus, TaskReport) {
        let task = self.launch(payload).await;
        self.end(&task).await
    }
}

/// A payload of the job `test`, another task each time.
pub(crate) fn payload(work: Work) -> TaskPayload {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let mut ids = IdStream::new(getrandom::u64().unwrap(), 1);
    let context = ShardContext {
        job: "test".parse().unwrap(),
        run: RunId::from_uuid(ids.uuid(at)),
        task: Id::from_uuid(ids.uuid(at)),
        attempt: 2,
        epoch: 9,
        shard_count: 3,
        shard_item: 1,
        shard_parameter: "it's".to_owned(),
        job_parameter: "a b".to_owned(),
        planned_time: at,
        planned_until: at,
        fires: Some(1),
        fire_time: at,
        props: BTreeMap::from([("colour".to_owned(), "red".to_owned())]),
    };
    TaskPayload {
        context,
        work,
        timeout: Span::ZERO,
        kill_grace: Span::from_secs(10),
        resident: None,
    }
}

/// A payload that calls a handler.
pub(crate) fn handler(name: &str) -> TaskPayload {
    payload(Work::Simple { handler: name.to_owned() })
}

/// A payload that runs a command line.
pub(crate) fn script(command: &str) -> TaskPayload {
    let command = Some(command.to_owned());
    payload(Work::Script(ScriptSpec {
        command,
        interpreter: None,
        inline: None,
        append_context: false,
    }))
}
