//! The core, driven by hand.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    IdStream, Mono, Now, RunId, Span, TaskId as Id, Timestamp,
    spec::ScriptSpec,
    task::{
        LABEL_STUCK, LABEL_TIMEOUT, STUCK_KILLED, STUCK_TIMED_OUT, ShardContext, TaskPayload,
        TaskReport, Work,
    },
};
use muster_proto::{TaskId, TaskInfo, TaskState};

use super::{EXIT_STUCK, Effect, End, Event, Executor, Exit, Outgoing, Update};

mod residents;

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
        assert_eq!(self.step(Event::Subscribed), []);
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

#[test]
fn a_task_runs_and_is_forgotten_when_its_end_is_acknowledged() {
    let mut desk = Desk::new();
    let (task, payload) = desk.started(handler());
    assert_eq!(desk.states(), [], "that it runs is kept back for a moment");
    desk.after(10);
    let running = desk.updates();
    assert_eq!(running[0].state, TaskState::Running);
    desk.acknowledge(&running[0]);
    desk.after(50);
    desk.end(&task, success());
    let ends = desk.updates();
    assert_eq!((ends.len(), ends[0].state), (1, TaskState::Finished));
    let report = ends[0].report.clone().unwrap();
    assert_eq!(report.result.as_deref(), Some("42"));
    assert_eq!(report.started_at, Some(Timestamp::from_millis(1_000)));
    let (_, effects) = desk.launch(&payload);
    assert_eq!(effects, [], "a launch that comes again starts nothing");
    desk.acknowledge(&ends[0]);
    assert_eq!(desk.executor.next_wakeup(), None);
    desk.step(Event::Disconnected);
    assert_eq!(desk.connect(), (vec![], vec![]));
}

#[test]
fn a_task_that_is_over_before_its_running_left_sends_its_end_only() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(handler());
    desk.end(&task, failure());
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Failed));
    assert_eq!(updates[0].message.as_deref(), Some("exited with code 3"));
    desk.after(10);
    assert_eq!(desk.updates(), []);
}

#[test]
fn a_launch_that_is_known_changes_nothing() {
    let mut desk = Desk::new();
    let (_, payload) = desk.started(script());
    assert_eq!(desk.launch(&payload).1, []);
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut desk = Desk::new();
    let unknown = desk.payload(Work::Simple { handler: "nope".to_owned() });
    let good = desk.payload(handler());
    let id = |n: &str| Some(TaskId::new(n));
    let other = TaskInfo { task_id: id("../../etc"), ..info(&good) };
    let damaged = TaskInfo { task_id: id("d"), data: Some(b"\x01{".to_vec()), ..info(&good) };
    let empty = TaskInfo { task_id: id("e"), data: None, ..info(&good) };
    for (info, state, words) in [
        (
            info(&unknown),
            TaskState::Failed,
            "no handler `nope` is registered; registered: `crunch`, `digest`",
        ),
        (other, TaskState::Error, "the payload is that of task"),
        (damaged, TaskState::Error, "the message cannot be read: EOF while parsing"),
        (empty, TaskState::Error, "begins with version None"),
    ] {
        assert_eq!(desk.step(Event::Launch(Box::new(info))), []);
        let updates = desk.updates();
        let message = updates[0].message.clone().unwrap();
        assert_eq!((updates.len(), updates[0].state), (1, state), "{message}");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(desk.step(Event::Launch(Box::default())), [], "no id, no answer");
}

#[test]
fn a_kill_asks_and_then_forces() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    assert_eq!(desk.kill(&task), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.kill(&task), [], "once");
    assert_eq!(desk.after(199), []);
    assert_eq!(desk.after(1), [Effect::Force { task: task.clone() }]);
    assert_eq!(desk.after(10_000), [], "a script that hangs in the kernel is waited for");
    desk.end(&task, failure());
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Killed));
    assert_eq!(updates[0].label, None);
    assert_eq!(updates[0].report.as_ref().unwrap().exit_code, Some(3));
}

#[test]
fn a_kill_may_bring_its_own_grace_and_shorten_it_later() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    let kill = |grace| Event::Kill { task: task.clone(), grace: Some(grace) };
    desk.step(kill(Duration::from_secs(60)));
    desk.step(kill(Duration::from_millis(30)));
    desk.step(kill(Duration::from_secs(90)));
    assert_eq!(desk.executor.next_wakeup(), Some(Mono::from_millis(1_010)));
    desk.updates();
    assert_eq!(desk.after(30), [Effect::Force { task: task.clone() }]);
}

#[test]
fn a_kill_before_the_start_ends_as_killed() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    let (task, _) = desk.launch(&payload);
    assert_eq!(desk.kill(&task), [Effect::Cancel { task: task.clone() }]);
    let at = desk.now().wall;
    desk.step(Event::Started { task: task.clone(), at });
    desk.end(&task, success());
    assert_eq!(desk.states(), [TaskState::Killed]);
    assert_eq!(desk.kill(&task), [], "over is over");
    assert_eq!(desk.kill(&TaskId::new("unknown")), []);
}

#[test]
fn a_time_out_counts_from_the_start_of_user_code() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    let (task, _) = desk.launch(&payload);
    assert_eq!(desk.after(5_000), [], "it has not started");
    let at = desk.now().wall;
    desk.step(Event::Started { task: task.clone(), at });
    assert_eq!(desk.after(999), []);
    assert_eq!(desk.after(1), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.kill(&task), [], "a kill does not change why it ends");
    assert_eq!(desk.after(200), [Effect::Force { task: task.clone() }]);
    desk.end(&task, failure());
    let updates = desk.updates();
    let end = updates.last().unwrap();
    assert_eq!((end.state, end.label), (TaskState::Failed, Some((LABEL_TIMEOUT, "true"))));
    assert_eq!(end.message.as_deref(), Some("timed out after 1s"));
}

#[test]
fn an_end_at_the_very_time_out_counts() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    desk.millis += 1_000;
    desk.end(&task, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
    assert_eq!(desk.executor.next_wakeup(), None);
}

#[test]
fn a_new_connection_is_told_all_that_is_not_acknowledged() {
    let mut desk = Desk::new();
    let known = desk.running();
    desk.end(&known, success());
    let ends = desk.updates();
    let (quiet, _) = desk.started(script());
    desk.step(Event::Disconnected);
    assert_eq!(desk.written(), [], "there is nobody to write to");
    let (missed, _) = desk.started(script());
    desk.end(&missed, failure());

    let (tasks, updates) = desk.connect();
    let mut ids: Vec<_> = tasks.into_iter().map(|task| task.task_id.unwrap()).collect();
    ids.sort();
    let mut expected = [known.clone(), quiet.clone(), missed.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    let states = |task: &TaskId| -> Vec<_> {
        updates.iter().filter(|u| u.task == *task).map(|u| u.state).collect()
    };
    assert_eq!(states(&known), [TaskState::Running, TaskState::Finished], "in order");
    assert_eq!(states(&quiet), [TaskState::Running]);
    assert_eq!(states(&missed), [TaskState::Failed]);
    desk.after(10);
    assert_eq!(desk.updates(), [], "nothing is told twice on one connection");

    desk.acknowledge(&ends[0]);
    for update in &updates {
        desk.acknowledge(update);
    }
    desk.step(Event::Disconnected);
    assert_eq!(desk.connect(), (vec![], vec![]), "one runs, and the agent knows");
    desk.end(&quiet, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
}

#[test]
fn a_launch_that_may_not_have_been_heard_of_is_named_again() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    desk.launch(&payload);
    desk.step(Event::Disconnected);
    let (tasks, updates) = desk.connect();
    assert_eq!((tasks.len(), updates.len()), (1, 0));
}

/// What is told of a task that does not end.
fn stuck(task: &TaskId, cause: &'static str) -> (TaskId, TaskState, Option<&'static str>) {
    (task.clone(), TaskState::Killing, Some(cause))
}

impl Desk {
    /// The updates that are written, as [`stuck`] has them.
    fn told(&mut self) -> Vec<(TaskId, TaskState, Option<&'static str>)> {
        let short = |update: Update| {
            let label = update.label.map(|(name, value)| {
                assert_eq!(name, LABEL_STUCK);
                value
            });
            (update.task, update.state, label)
        };
        self.updates().into_iter().map(short).collect()
    }
}

#[test]
fn a_handler_that_does_not_end_costs_the_executor() {
    let mut desk = Desk::new();
    let (first, neighbour) = (desk.running(), desk.running());
    desk.kill(&first);
    assert_eq!(desk.after(200), [], "nothing ends a thread");
    desk.after(10);
    assert_eq!(desk.told(), [stuck(&first, STUCK_KILLED)]);
    let payload = desk.payload(script());
    assert_eq!(desk.launch(&payload).1, []);
    assert_eq!(desk.states(), [TaskState::Dropped]);
    desk.after(90);
    desk.end(&neighbour, success());
    let updates = desk.updates();
    assert_eq!(updates[0].state, TaskState::Finished);
    assert_eq!(desk.after(29_899), []);
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: true });
    assert_eq!(desk.after(1), [exit], "its other tasks had 30 s");
    assert_eq!(desk.after(1), [], "once");
}

#[test]
fn each_handler_that_does_not_end_is_named_with_its_cause() {
    let mut desk = Desk::new();
    let (slow, killed) = (desk.running(), desk.running());
    desk.after(980);
    desk.kill(&killed);
    desk.after(200);
    desk.after(10);
    let mut told = desk.told();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = [stuck(&slow, STUCK_TIMED_OUT), stuck(&killed, STUCK_KILLED)];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, expected);
}

/// It ends before anybody was told that it does not. The executor ends for it all the same.
#[test]
fn a_handler_that_ends_just_too_late_is_named_before_its_end() {
    let mut desk = Desk::new();
    let (late, neighbour) = (desk.running(), desk.running());
    desk.kill(&late);
    assert_eq!(desk.after(200), []);
    desk.end(&late, success());
    let expected = [stuck(&late, STUCK_KILLED), (late.clone(), TaskState::Killed, None)];
    assert_eq!(desk.told(), expected);
    desk.after(10);
    assert_eq!(desk.told(), [], "once");
    desk.end(&neighbour, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: false });
    assert_eq!(desk.after(29_990), [exit]);
}

/// The same while the agent is away: the new connection hears both, in order.
#[test]
fn a_handler_that_ends_too_late_while_nobody_listens_is_named_on_the_next_connection() {
    let mut desk = Desk::new();
    let late = desk.running();
    desk.step(Event::Disconnected);
    desk.kill(&late);
    desk.after(200);
    desk.end(&late, success());
    let (_, updates) = desk.connect();
    let seen: Vec<_> = updates.iter().map(|update| (update.state, update.label)).collect();
    let word = Some((LABEL_STUCK, STUCK_KILLED));
    let expected =
        [(TaskState::Running, None), (TaskState::Killing, word), (TaskState::Killed, None)];
    assert_eq!(seen, expected);
}

#[test]
fn a_stuck_executor_ends_as_soon_as_nobody_waits_for_it() {
    let mut desk = Desk::new();
    let (stuck, neighbour) = (desk.running(), desk.running());
    desk.step(Event::Disconnected);
    let (_, told) = desk.connect();
    for update in &told {
        desk.acknowledge(update);
    }
    desk.kill(&stuck);
    desk.after(200);
    desk.after(10);
    let giving_up = desk.updates();
    desk.end(&neighbour, success());
    let updates = desk.updates();
    assert_eq!(desk.acknowledge(&updates[0]), [], "it is not known yet whose fault it is");
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: true });
    assert_eq!(desk.acknowledge(&giving_up[0]), [exit]);
}

#[test]
fn a_shutdown_ends_all_tasks_tells_it_and_exits() {
    let mut desk = Desk::new();
    let (first, _) = desk.started(script());
    let (second, _) = desk.started(handler());
    let mut effects = desk.step(Event::Shutdown);
    effects.sort_by_key(|effect| format!("{effect:?}"));
    let mut expected = [first.clone(), second.clone()].map(|task| Effect::Cancel { task });
    expected.sort_by_key(|effect| format!("{effect:?}"));
    assert_eq!(effects, expected);
    assert_eq!(desk.step(Event::Shutdown), []);
    let payload = desk.payload(script());
    desk.launch(&payload);
    desk.end(&first, failure());
    desk.end(&second, failure());
    let updates = desk.updates();
    let states: Vec<_> = updates.iter().map(|update| update.state).collect();
    assert_eq!(states, [TaskState::Dropped, TaskState::Killed, TaskState::Killed]);
    assert_eq!(desk.acknowledge(&updates[0]), []);
    assert_eq!(desk.acknowledge(&updates[1]), []);
    let exit = Effect::Exit(Exit { code: 0, abandons: false });
    assert_eq!(desk.acknowledge(&updates[2]), [exit]);
}

#[test]
fn a_shutdown_waits_no_longer_than_its_grace() {
    let mut desk = Desk::new();
    let mut payload = desk.payload(script());
    payload.kill_grace = Span::from_secs(3_600);
    let (task, _) = desk.launch(&payload);
    desk.step(Event::Shutdown);
    assert_eq!(desk.after(3_999), []);
    assert_eq!(desk.after(1), [Effect::Force { task }], "in time to be told");
    let exit = Effect::Exit(Exit { code: 0, abandons: true });
    assert_eq!(desk.after(1_000), [exit]);
}

#[test]
fn an_idle_executor_shuts_down_at_once() {
    let mut desk = Desk::new();
    let exit = Effect::Exit(Exit { code: 0, abandons: false });
    assert_eq!(desk.step(Event::Shutdown), [exit]);
    assert_eq!(desk.executor.next_wakeup(), None);
}

#[test]
fn a_backlog_goes_in_batches() {
    let mut desk = Desk::new();
    for _ in 0..1_500 {
        let (task, _) = desk.started(handler());
        desk.end(&task, success());
    }
    assert_eq!(desk.updates().len(), 1_000);
    assert_eq!(desk.updates().len(), 500);
    assert_eq!(desk.updates(), []);
}

#[test]
fn what_is_due_wakes_nobody_who_waits_to_write() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    let due = desk.executor.next_wakeup();
    assert_eq!(due, Some(Mono::from_millis(1_010)));
    desk.after(500);
    let now = desk.now().mono;
    assert!(desk.executor.wants_to_write(now));
    let alarm = desk.executor.next_alarm();
    assert!(alarm.is_some_and(|at| at > now), "the time-out of {task} rings: {alarm:?}");
    assert_eq!(desk.states(), [TaskState::Running]);
    assert_eq!(desk.executor.next_wakeup(), alarm, "nothing is left to be sent");
}

#[test]
fn nothing_is_written_before_there_is_a_connection() {
    let mut desk = Desk::unconnected();
    assert_eq!(desk.written(), []);
    desk.step(Event::Subscribed);
    assert_eq!(desk.written(), [], "an answer to nothing opens nothing");
}
