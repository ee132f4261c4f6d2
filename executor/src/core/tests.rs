//! The core, driven by hand.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    IdStream, Mono, Now, RunId, Span, TaskId as Id, Timestamp,
    spec::ScriptSpec,
    task::{
        ENDED_BY_ORDER, LABEL_ENDED, LABEL_STUCK, LABEL_TIMEOUT, STUCK_KILLED, STUCK_TIMED_OUT,
        ShardContext, TaskPayload, TaskReport, Work,
    },
};
use muster_proto::{TaskId, TaskInfo, TaskState};

use super::{EXIT_STUCK, Effect, End, Event, Executor, Exit, Outgoing, Update};

mod commands;
mod ends;
mod residents;
mod starts;
mod stuck;
mod told;

/// An executor, its clocks, and the agent at its other end.
struct Desk {
    executor: Executor,
    ids: IdStream,
    millis: u64,
    /// By how much the wall clock was set.
    wall_set: i64,
    /// Executions that began when something was written.
    begun: Vec<Effect>,
}

impl Desk {
    /// With a subscription that stands.
    fn new() -> Self {
        let mut desk = Self::unconnected();
        desk.connect();
        desk
    }

    fn unconnected() -> Self {
        let handlers = ["crunch".to_owned(), "digest".to_owned()];
        let executor = Executor::new(handlers, Duration::from_secs(5), IdStream::new(1, 1));
        Self { executor, ids: IdStream::new(2, 1), millis: 1_000, wall_set: 0, begun: Vec::new() }
    }

    fn now(&self) -> Now {
        let wall = Timestamp::from_millis(self.millis as i64 + self.wall_set);
        Now { wall, mono: Mono::from_millis(self.millis) }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.executor.step(self.now(), event).effects
    }

    fn after(&mut self, millis: u64) -> Vec<Effect> {
        self.millis += millis;
        self.step(Event::Wake)
    }

    /// What is written when the connection takes bytes.
    fn written(&mut self) -> Vec<Outgoing> {
        let now = self.now().mono;
        let wanted = self.executor.wants_to_write(now);
        let mut effects = self.step(Event::Writable);
        self.begun.extend(effects.extract_if(.., |e| matches!(e, Effect::Start { .. })));
        assert!(wanted || effects.is_empty());
        match effects.pop() {
            Some(Effect::Send(batch)) if effects.is_empty() => batch,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// The updates that are written.
    fn updates(&mut self) -> Vec<Update> {
        let one = |outgoing| match outgoing {
            Outgoing::Update(update) => update,
            other @ (Outgoing::Subscribe { .. } | Outgoing::Executions(_)) => panic!("{other:?}"),
        };
        self.written().into_iter().map(one).collect()
    }

    fn states(&mut self) -> Vec<TaskState> {
        self.updates().into_iter().map(|update| update.state).collect()
    }

    /// Connects, and gives what the subscription says.
    fn connect(&mut self) -> (Vec<TaskInfo>, Vec<Update>) {
        assert_eq!(self.step(Event::Connected), []);
        let mut written = self.written();
        assert_eq!(self.written(), [], "nothing is said before the answer");
        assert_eq!(self.step(Event::Subscribed { killing_state: false }), []);
        match written.pop() {
            Some(Outgoing::Subscribe { tasks, updates }) => (tasks, updates),
            other => panic!("{other:?}"),
        }
    }

    fn payload(&mut self, work: Work) -> TaskPayload {
        let at = self.now().wall;
        let context = ShardContext {
            job: "j".parse().unwrap(),
            run: RunId::from_uuid(self.ids.uuid(at)),
            task: Id::from_uuid(self.ids.uuid(at)),
            attempt: 1,
            epoch: 7,
            shard_count: 1,
            shard_item: 0,
            shard_parameter: String::new(),
            job_parameter: String::new(),
            planned_time: at,
            planned_until: at,
            fires: Some(1),
            fire_time: at,
            props: BTreeMap::new(),
        };
        let kill_grace = Span::from_millis(200);
        TaskPayload { context, work, timeout: Span::from_secs(1), kill_grace, resident: None }
    }

    fn launch(&mut self, payload: &TaskPayload) -> (TaskId, Vec<Effect>) {
        let info = info(payload);
        let task = info.task_id.clone().unwrap();
        let effects = self.step(Event::Launch(Box::new(info)));
        (task, effects)
    }

    /// A handler that runs, and whose RUNNING was written.
    fn running(&mut self) -> TaskId {
        let (task, _) = self.started(handler());
        self.after(10);
        assert_eq!(self.states(), [TaskState::Running]);
        task
    }

    fn started(&mut self, work: Work) -> (TaskId, TaskPayload) {
        let payload = self.payload(work);
        let (task, effects) = self.launch(&payload);
        let boxed = Box::new(payload.clone());
        assert_eq!(effects, [Effect::Start { task: task.clone(), payload: boxed }]);
        let at = self.now().wall;
        assert_eq!(self.step(Event::Started { task: task.clone(), at }), []);
        (task, payload)
    }

    fn end(&mut self, task: &TaskId, end: End) -> Vec<Effect> {
        self.step(Event::Ended { task: task.clone(), end })
    }

    fn kill(&mut self, task: &TaskId) -> Vec<Effect> {
        self.step(Event::Kill { task: task.clone(), grace: None })
    }

    fn acknowledge(&mut self, update: &Update) -> Vec<Effect> {
        let uuid = update.uuid.as_bytes().to_vec();
        self.step(Event::Acknowledged { task: update.task.clone(), uuid })
    }
}

fn info(payload: &TaskPayload) -> TaskInfo {
    TaskInfo {
        name: "j".to_owned(),
        task_id: Some(TaskId::new(payload.context.task.to_string())),
        data: Some(payload.encode()),
        ..TaskInfo::default()
    }
}

fn handler() -> Work {
    Work::Simple { handler: "digest".to_owned() }
}

fn script() -> Work {
    let command = Some("true".to_owned());
    Work::Script(ScriptSpec { command, interpreter: None, inline: None, append_context: false })
}

fn success() -> End {
    let result = Some("42".to_owned());
    End { success: true, message: None, report: TaskReport { result, ..TaskReport::default() } }
}

fn failure() -> End {
    let report = TaskReport { exit_code: Some(3), ..TaskReport::default() };
    End { success: false, message: Some("exited with code 3".to_owned()), report }
}
