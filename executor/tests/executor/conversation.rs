//! What a test says to an executor as its agent, and hears from it.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    IdStream, RunId, Span, TaskId as Id, Timestamp,
    spec::ScriptSpec,
    task::{ExecutionBatch, ShardContext, TaskPayload, TaskReport, Work},
};
use muster_proto::{
    DurationInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
    executor::{Acknowledged, CallMessage, Event, EventType, Kill, Launch, MessageTaken},
};
use tokio::time::timeout;

use crate::fake_agent::{Stream, TAKES_MESSAGES};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

impl Stream {
    pub(crate) async fn launch(&mut self, payload: &TaskPayload) -> TaskId {
        let id = TaskId::new(payload.context.task.to_string());
        let task = TaskInfo {
            name: payload.context.job.to_string(),
            task_id: Some(id.clone()),
            data: Some(payload.encode()),
            ..TaskInfo::default()
        };
        self.launch_task(task).await;
        id
    }

    pub(crate) async fn launch_task(&mut self, task: TaskInfo) {
        let launch = Some(Launch { task: Some(task) });
        self.send(EventType::Launch, Event { launch, ..Event::default() }).await;
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
        if !TAKES_MESSAGES {
            return;
        }
        let message_taken = Some(MessageTaken { number });
        self.send(EventType::MessageTaken, Event { message_taken, ..Event::default() }).await;
    }

    /// The next batch of executions, taken.
    pub(crate) async fn executions(&mut self) -> ExecutionBatch {
        let message = self.message().await;
        let batch = ExecutionBatch::decode(&message.data).unwrap();
        assert_eq!(message.number, TAKES_MESSAGES.then_some(batch.number));
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
