//! The pure core of the executor: which tasks there are, what becomes of them, and what the agent
//! has not yet been told.
//!
//! It is driven by [`Executor::step`] and asks to be woken at [`Executor::next_wakeup`]. It does
//! no I/O and knows no clock; the shell around it starts user code, ends it and moves bytes.

mod event;
mod outbox;
mod task;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

pub use muster_api::task::EXIT_STUCK;
use muster_api::{
    IdStream, Mono, Now, Span,
    limits::STUCK_GRACE,
    task::{
        InvalidMessage, LABEL_STUCK, LABEL_TIMEOUT, STUCK_KILLED, STUCK_TIMED_OUT, TaskPayload,
        TaskReport, Work,
    },
};
use muster_proto::{TaskId, TaskInfo, TaskState};

pub use event::{Effect, End, Event, Exit, Outgoing, Step, Update};
use outbox::Outbox;
use task::{Act, Cause, Signal, Task};

/// The state of one executor.
#[derive(Debug)]
pub struct Executor {
    handlers: BTreeSet<String>,
    shutdown_grace: Duration,
    ids: IdStream,
    mode: Mode,
    tasks: BTreeMap<TaskId, Task>,
    /// When to look at a task again: its time-out, or the end of its grace.
    alarms: BTreeSet<(Mono, TaskId)>,
    outbox: Outbox,
}

/// Whether tasks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are.
    Serving,
    /// A handler did not end at its grace. Its thread cannot be ended, so the process must.
    Stuck { exit_at: Mono },
    /// The executor was told to end.
    ShuttingDown { exit_at: Mono },
    /// It has been said how the process is to exit.
    Exited,
}

impl Executor {
    /// An executor with these handlers, whose process ends `shutdown_grace` after it is told to.
    pub fn new(
        handlers: impl IntoIterator<Item = String>,
        shutdown_grace: Duration,
        ids: IdStream,
    ) -> Self {
        Self {
            handlers: handlers.into_iter().collect(),
            shutdown_grace,
            ids,
            mode: Mode::Serving,
            tasks: BTreeMap::new(),
            alarms: BTreeSet::new(),
            outbox: Outbox::default(),
        }
    }

    /// Takes in what has happened, and what is due by `now`.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        match event {
            Event::Connected => self.outbox.connected(),
            Event::Subscribed => self.outbox.subscribed(),
            Event::Disconnected => self.outbox.disconnected(),
            Event::Writable => {
                let batch = self.outbox.take(now.mono, &mut self.tasks);
                if !batch.is_empty() {
                    step.effects.push(Effect::Send(batch));
                }
            }
            Event::Launch(info) => self.launch(now, *info, &mut step),
            Event::Kill { task, grace } => self.kill(now, &task, grace, &mut step),
            Event::Acknowledged { task, uuid } => self.acknowledged(&task, &uuid),
            Event::Started { task, at } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.started_at = Some(at);
                }
                self.signal(now, &task, Signal::Started, None, &mut step);
            }
            Event::Ended { task, end } => {
                self.signal(now, &task, Signal::Ended, Some(end), &mut step);
            }
            Event::Shutdown => self.shut_down(now, &mut step),
            Event::Wake => {}
        }
        self.ring(now, &mut step);
        self.exit_when_settled(now, &mut step);
        step
    }

    /// When [`Event::Wake`] is due, whatever else happens.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let exit_at = match self.mode {
            Mode::Stuck { exit_at } | Mode::ShuttingDown { exit_at } => Some(exit_at),
            Mode::Serving | Mode::Exited => None,
        };
        let alarm = self.alarms.first().map(|(at, _)| *at);
        [exit_at, alarm, self.outbox.next_due()].into_iter().flatten().min()
    }

    /// Whether [`Event::Writable`] may give something to send.
    pub fn wants_to_write(&self, now: Mono) -> bool {
        self.outbox.wants_to_write(now)
    }

    /// Takes a task in, or says at once why not. One that is known changes nothing: the agent
    /// sends a launch again when it does not know whether it arrived.
    fn launch(&mut self, now: Now, info: TaskInfo, step: &mut Step) {
        let Some(id) = info.task_id.clone() else { return };
        if self.tasks.contains_key(&id) {
            return;
        }
        let payload = self.check(&id, &info);
        let (in_process, timeout, grace) = match &payload {
            Ok(payload) => (
                matches!(payload.work, Work::Simple { .. }),
                payload.timeout.duration(),
                payload.kill_grace.duration(),
            ),
            Err(_) => (true, Duration::ZERO, Duration::ZERO),
        };
        self.tasks.insert(id.clone(), Task::new(info, in_process, timeout, grace));
        match payload {
            Ok(payload) => {
                step.effects.push(Effect::Start { task: id, payload: Box::new(payload) });
            }
            Err((state, message)) => {
                self.signal(now, &id, Signal::Ended, None, step);
                self.report(now, &id, state, Some(message), None);
            }
        }
    }

    /// The payload of a task that can be started, or the state and message of one that cannot.
    fn check(&self, id: &TaskId, info: &TaskInfo) -> Result<TaskPayload, (TaskState, String)> {
        match self.mode {
            Mode::Serving => {}
            Mode::Stuck { .. } => {
                let why = "the executor is giving itself up: a handler did not end when it had to";
                return Err((TaskState::Dropped, why.to_owned()));
            }
            Mode::ShuttingDown { .. } | Mode::Exited => {
                return Err((TaskState::Dropped, "the executor is shutting down".to_owned()));
            }
        }
        let payload = TaskPayload::decode(info.data.as_deref().unwrap_or_default())
            .map_err(|error| (TaskState::Error, unreadable(&error)))?;
        // The id in the payload becomes the name of a folder, so it must be the parsed one.
        if payload.context.task.to_string() != id.value {
            let other = payload.context.task;
            return Err((TaskState::Error, format!("the payload is that of task {other}")));
        }
        if let Work::Simple { handler } = &payload.work
            && !self.handlers.contains(handler)
        {
            let known: Vec<_> = self.handlers.iter().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("no handler `{handler}` is registered; registered: {known}");
            return Err((TaskState::Failed, why));
        }
        Ok(payload)
    }

    fn kill(&mut self, now: Now, id: &TaskId, grace: Option<Duration>, step: &mut Step) {
        let Some(task) = self.tasks.get(id) else { return };
        let force_at = now.mono + grace.unwrap_or(task.grace);
        self.signal(now, id, Signal::Stop { cause: Cause::Killed, force_at }, None, step);
    }

    fn shut_down(&mut self, now: Now, step: &mut Step) {
        if matches!(self.mode, Mode::ShuttingDown { .. } | Mode::Exited) {
            return;
        }
        let exit_at = match self.mode {
            Mode::Stuck { exit_at } => exit_at.min(now.mono + self.shutdown_grace),
            _ => now.mono + self.shutdown_grace,
        };
        self.mode = Mode::ShuttingDown { exit_at };
        // What is forced to end must be seen to end, and told, before the process exits.
        let longest = self.shutdown_grace * 4 / 5;
        let live: Vec<_> = self.tasks.iter().map(|(id, task)| (id.clone(), task.grace)).collect();
        for (id, grace) in live {
            let force_at = now.mono + grace.min(longest);
            self.signal(now, &id, Signal::Stop { cause: Cause::Killed, force_at }, None, step);
        }
    }

    /// The agent has custody of an update. A task that is over is forgotten with its last one.
    fn acknowledged(&mut self, id: &TaskId, uuid: &[u8]) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.acknowledge(uuid);
        if task.is_settled() {
            self.tasks.remove(id);
        }
    }

    /// Moves a task on by what happened to it.
    fn signal(&mut self, now: Now, id: &TaskId, signal: Signal, end: Option<End>, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if let Some(at) = task.phase.alarm() {
            self.alarms.remove(&(at, id.clone()));
        }
        let (phase, act) = task.phase.after(signal, now.mono, task.timeout, task.grace);
        task.phase = phase;
        if let Some(at) = phase.alarm() {
            self.alarms.insert((at, id.clone()));
        }
        match act {
            None => {}
            Some(Act::TellRunning) => self.report(now, id, TaskState::Running, None, None),
            Some(Act::Cancel) => step.effects.push(Effect::Cancel { task: id.clone() }),
            Some(Act::Force(cause)) if task.in_process => self.give_up(now, id, cause),
            Some(Act::Force(_)) => step.effects.push(Effect::Force { task: id.clone() }),
            Some(Act::TellEnd(cause)) => {
                if let Some(end) = end {
                    self.report_end(now, id, cause, end);
                }
            }
        }
    }

    fn report_end(&mut self, now: Now, id: &TaskId, cause: Option<Cause>, end: End) {
        let Some(task) = self.tasks.get(id) else { return };
        let report = TaskReport { started_at: task.started_at, ..end.report };
        let state = match cause {
            Some(Cause::Killed) => TaskState::Killed,
            Some(Cause::TimedOut) => TaskState::Failed,
            None if end.success => TaskState::Finished,
            None => TaskState::Failed,
        };
        let message = match cause {
            Some(Cause::TimedOut) => {
                let timeout = u64::try_from(task.timeout.as_millis()).unwrap_or(u64::MAX);
                Some(format!("timed out after {}", Span::from_millis(timeout)))
            }
            Some(Cause::Killed) | None => end.message,
        };
        self.report(now, id, state, message, Some(report));
        if cause == Some(Cause::TimedOut)
            && let Some(update) = self.tasks.get_mut(id).and_then(Task::last_update)
        {
            update.label = Some((LABEL_TIMEOUT, "true"));
        }
    }

    /// Queues an update of a task's state.
    fn report(
        &mut self,
        now: Now,
        id: &TaskId,
        state: TaskState,
        message: Option<String>,
        report: Option<TaskReport>,
    ) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let uuid = self.ids.uuid(now.wall);
        let at = now.wall;
        let update = Update { task: id.clone(), uuid, state, message, report, label: None, at };
        task.tell(update);
        if state.is_terminal() {
            self.outbox.end(id.clone());
        } else {
            self.outbox.progress(now.mono, id.clone());
        }
    }

    /// A handler did not end at its grace. The agent is told which, so that it knows whose fault
    /// the end of this process is, and the scheduler launches nothing more here.
    fn give_up(&mut self, now: Now, id: &TaskId, cause: Cause) {
        match self.mode {
            Mode::Serving => self.mode = Mode::Stuck { exit_at: now.mono + STUCK_GRACE },
            Mode::Stuck { .. } => {}
            // It is known already that this process ends, and why.
            Mode::ShuttingDown { .. } | Mode::Exited => return,
        }
        let value = match cause {
            Cause::Killed => STUCK_KILLED,
            Cause::TimedOut => STUCK_TIMED_OUT,
        };
        let message = "its handler did not end when it had to, so its executor ends".to_owned();
        self.report(now, id, TaskState::Killing, Some(message), None);
        if let Some(update) = self.tasks.get_mut(id).and_then(Task::last_update) {
            update.label = Some((LABEL_STUCK, value));
        }
    }

    /// Tells tasks whose alarm is due.
    fn ring(&mut self, now: Now, step: &mut Step) {
        while let Some((at, id)) = self.alarms.first().cloned()
            && at <= now.mono
        {
            self.alarms.pop_first();
            self.signal(now, &id, Signal::Alarm, None, step);
        }
    }

    /// Ends the process when its time is over, or when nothing is left to wait for.
    fn exit_when_settled(&mut self, now: Now, step: &mut Step) {
        let (code, exit_at, settled) = match self.mode {
            Mode::Serving | Mode::Exited => return,
            Mode::Stuck { exit_at } => {
                (EXIT_STUCK, exit_at, self.tasks.values().all(Task::is_given_up))
            }
            Mode::ShuttingDown { exit_at } => (0, exit_at, self.tasks.is_empty()),
        };
        if settled || exit_at <= now.mono {
            let abandons = !self.tasks.values().all(|task| task.phase.is_over());
            self.mode = Mode::Exited;
            step.effects.push(Effect::Exit(Exit { code, abandons }));
        }
    }
}

fn unreadable(error: &InvalidMessage) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("the payload of the task is not valid: {error}{cause}")
}
