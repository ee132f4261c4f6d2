//! The pure core of the executor: which tasks there are, what becomes of them, and what the agent
//! has not yet been told.
//!
//! It is driven by [`Executor::step`] and asks to be woken at [`Executor::next_wakeup`]. It does
//! no I/O and knows no clock; the shell around it starts user code, ends it and moves bytes.

mod command;
mod event;
mod launch;
mod outbox;
mod reports;
mod resident;
mod residents;
mod task;
#[cfg(test)]
mod tests;
mod timetable;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use muster_api::task::EXIT_STUCK;
use muster_api::{
    IdStream, Mono, Now, Span, Timestamp,
    limits::STUCK_GRACE,
    task::{
        ENDED_BY_ORDER, LABEL_ENDED, LABEL_STUCK, LABEL_TIMEOUT, STUCK_KILLED, STUCK_TIMED_OUT,
        TaskReport,
    },
};
use muster_proto::{TaskId, TaskState};

use command::CommandOfOne;
pub use event::{Effect, End, Event, Exit, Outgoing, Step, Update};
use outbox::Outbox;
use reports::Reports;
use task::{Act, Cause, Signal, Task};

/// The state of one executor.
#[derive(Debug)]
pub struct Executor {
    hosted: Hosted,
    shutdown_grace: Duration,
    ids: IdStream,
    mode: Mode,
    tasks: BTreeMap<TaskId, Task>,
    /// When to look at a task again: its time-out, or the end of its grace.
    alarms: BTreeSet<(Mono, TaskId)>,
    /// When the next instant of each resident task is due, by the wall clock.
    instants: BTreeSet<(Timestamp, TaskId)>,
    reports: Reports,
    outbox: Outbox,
}

/// What this executor runs.
#[derive(Debug)]
enum Hosted {
    /// Tasks of our jobs, any number of them: scripts, and handlers with these names.
    Jobs { handlers: BTreeSet<String> },
    /// The command of one task.
    Command(CommandOfOne),
}

/// Whether tasks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are.
    Serving,
    /// A handler did not end at its grace. Its thread cannot be ended, so the process must.
    Stuck { exit_at: Mono },
    /// The executor was told to end; or was sent SIGTERM, which does not say why.
    ShuttingDown { exit_at: Mono, by_signal: bool },
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
        let handlers = handlers.into_iter().collect();
        Self::of(Hosted::Jobs { handlers }, shutdown_grace, ids)
    }

    fn of(hosted: Hosted, shutdown_grace: Duration, ids: IdStream) -> Self {
        Self {
            hosted,
            shutdown_grace,
            ids,
            mode: Mode::Serving,
            tasks: BTreeMap::new(),
            alarms: BTreeSet::new(),
            instants: BTreeSet::new(),
            reports: Reports::default(),
            outbox: Outbox::default(),
        }
    }

    /// Takes in what has happened, and what is due by `now`.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        match event {
            Event::Connected => self.outbox.connected(),
            Event::Subscribed { killing_state } => {
                if self.outbox.subscribed() {
                    self.reports.connected(now.mono);
                }
                if let Hosted::Command(one) = &mut self.hosted {
                    one.killing_state = killing_state;
                }
            }
            Event::Disconnected => self.outbox.disconnected(),
            Event::Writable => {
                let batch = self.outbox.take(now.mono, &mut self.tasks, &mut self.reports);
                if !batch.is_empty() {
                    step.effects.push(Effect::Send(batch));
                }
            }
            Event::Launch(info) => self.launch(now, *info, &mut step),
            Event::Kill { task, grace } => self.kill(now, &task, grace, &mut step),
            Event::Acknowledged { task, uuid } => self.acknowledged(&task, &uuid),
            Event::Taken { number } => self.reports.taken(number),
            Event::Started { task, at } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.began(at);
                }
                self.signal(now, &task, Signal::Started, None, &mut step);
            }
            Event::Ended { task, end } => {
                self.signal(now, &task, Signal::Ended, Some(end), &mut step);
            }
            Event::Shutdown => self.shut_down(now, false, &mut step),
            Event::Terminated => self.shut_down(now, true, &mut step),
            Event::Wake => {}
        }
        self.ring(now, &mut step);
        self.follow_due(now, &mut step);
        self.exit_when_settled(now, &mut step);
        step
    }

    /// When [`Event::Wake`] is due, whatever else happens.
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.next_alarm().into_iter().chain(self.outbox.next_due(&self.reports)).min()
    }

    /// The same for whoever waits for a permit to write already. What is due to be sent goes with
    /// that, and must not wake the loop again and again while the connection takes nothing.
    pub fn next_alarm(&self) -> Option<Mono> {
        let exit_at = match self.mode {
            Mode::Stuck { exit_at } | Mode::ShuttingDown { exit_at, .. } => Some(exit_at),
            Mode::Serving | Mode::Exited => None,
        };
        let alarm = self.alarms.first().map(|(at, _)| *at);
        exit_at.into_iter().chain(alarm).min()
    }

    /// Whether [`Event::Writable`] may give something to send.
    pub fn wants_to_write(&self, now: Mono) -> bool {
        self.outbox.wants_to_write(now, &self.reports)
    }

    fn kill(&mut self, now: Now, id: &TaskId, grace: Option<Duration>, step: &mut Step) {
        let Some(task) = self.tasks.get(id) else { return };
        let force_at = now.mono + grace.unwrap_or(task.terms.grace);
        self.signal(now, id, Signal::Stop { cause: Cause::Killed, force_at }, None, step);
    }

    fn shut_down(&mut self, now: Now, by_signal: bool, step: &mut Step) {
        if matches!(self.mode, Mode::ShuttingDown { .. } | Mode::Exited) {
            return;
        }
        let exit_at = match self.mode {
            Mode::Stuck { exit_at } => exit_at.min(now.mono + self.shutdown_grace),
            _ => now.mono + self.shutdown_grace,
        };
        self.mode = Mode::ShuttingDown { exit_at, by_signal };
        self.reports.hurry();
        // What is forced to end must be seen to end, and told, before the process exits.
        let longest = self.shutdown_grace * 4 / 5;
        let live: Vec<_> =
            self.tasks.iter().map(|(id, task)| (id.clone(), task.terms.grace)).collect();
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
        let (phase, act) = task.phase.after(signal, now.mono, &task.terms);
        task.phase = phase;
        if let Some(at) = phase.alarm() {
            self.alarms.insert((at, id.clone()));
        }
        match act {
            None => {}
            // A resident task runs since it was taken in.
            Some(Act::TellRunning) if task.resident.is_some() => {}
            Some(Act::TellRunning) => self.report(now, id, TaskState::Running, None, None),
            Some(Act::Cancel) => {
                self.tell_killing(now, id);
                step.effects.push(Effect::Cancel { task: id.clone() });
            }
            Some(Act::Force(cause)) if task.terms.in_process => self.give_up(now, id, cause),
            Some(Act::Force(_)) => step.effects.push(Effect::Force { task: id.clone() }),
            Some(Act::TellExecution(cause)) => {
                if let Some(end) = end {
                    self.execution_over(now, id, cause, end, step);
                }
            }
            Some(Act::TellEnd(cause)) if task.resident.is_some() => {
                if let Some(end) = end {
                    self.execution_over(now, id, cause, end, step);
                }
                self.leave(now, id);
            }
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
        let report = (!task.terms.foreign).then_some(report);
        let state = match cause {
            Some(Cause::Killed) => TaskState::Killed,
            Some(Cause::TimedOut) => TaskState::Failed,
            None if end.success => TaskState::Finished,
            None => TaskState::Failed,
        };
        let message = match cause {
            Some(Cause::TimedOut) => Some(timed_out(task.terms.timeout)),
            Some(Cause::Killed) | None => end.message,
        };
        self.report(now, id, state, message, report);
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
        let uuid = self.ids.random_uuid();
        // It runs since its code began, which was a moment ago: its end will name that instant too.
        let began = task.started_at.filter(|_| state == TaskState::Running);
        let at = began.unwrap_or(now.wall);
        // What ends by a signal to all of this process was killed for a reason that only the agent
        // knows: its lease may have ended. Labels of ours mean nothing to others.
        let by_signal = matches!(self.mode, Mode::ShuttingDown { by_signal: true, .. });
        let is_unexplained = state == TaskState::Killed && by_signal && !task.terms.foreign;
        let label = is_unexplained.then_some((LABEL_ENDED, ENDED_BY_ORDER));
        let update = Update { task: id.clone(), uuid, state, message, report, label, at };
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
            Mode::Serving if self.has_served() => (0, now.mono, true),
            Mode::Serving | Mode::Exited => return,
            Mode::Stuck { exit_at } => {
                (EXIT_STUCK, exit_at, self.tasks.values().all(Task::is_given_up))
            }
            Mode::ShuttingDown { exit_at, .. } => (0, exit_at, self.tasks.is_empty()),
        };
        if settled || exit_at <= now.mono {
            let abandons = !self.tasks.values().all(|task| task.phase.is_over());
            self.mode = Mode::Exited;
            step.effects.push(Effect::Exit(Exit { code, abandons }));
        }
    }
}

/// What is said of code that took too long.
fn timed_out(timeout: Duration) -> String {
    let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    format!("timed out after {}", Span::from_millis(timeout))
}
