//! What the master asks for: tasks to start, tasks to kill, executors to shut down.

use std::time::Duration;

use muster_api::{Now, Span, limits, task};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkInfo, Reason, TaskInfo, TaskState,
    agent::{ExecutorExited, Kill, Launch, ShutdownExecutor},
    executor::{Event, EventType, Kill as KillEvent, Launch as LaunchEvent},
};

use super::{
    Agent, Effect, Ending, Kind, KnownExecutor, KnownTask, Note, Session, Step, TaskKey, Write,
    executors::{Cause, Executor, Phase},
    statuses::{PendingKill, Task, Verdict},
};
use crate::wire;

/// A launch with all that it must have.
struct Accepted {
    key: TaskKey,
    framework: FrameworkInfo,
    task: TaskInfo,
    executor: ExecutorInfo,
    executor_id: ExecutorId,
    heartbeat: u64,
}

/// The lease that an executor was described with; `None` is off.
///
/// A text that is no span counts as the shortest lease: to end work too early is safe, to let it
/// run on after the master has called it dead is not.
pub(super) fn lease_of(executor: &ExecutorInfo) -> Option<Duration> {
    match executor.labels.as_ref().and_then(|labels| labels.get(task::LABEL_LEASE)) {
        None | Some("off") => None,
        Some(text) => Some(text.parse::<Span>().map_or(limits::LEASE_MIN, Span::duration)),
    }
}

/// Whether a text can name a folder (the rule of Mesos for ids that frameworks choose).
fn is_valid_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= limits::OPAQUE_ID_BYTES
        && !matches!(id, "." | "..")
        && !id.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// An event of this type, without body.
pub(super) fn event_of(kind: EventType) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

impl Accepted {
    /// What its framework believes of its executor, if it says so.
    fn expected(&self) -> Option<&str> {
        self.task.labels.as_ref()?.get(task::LABEL_EXPECT)
    }
}

fn accept(launch: Launch) -> Option<Accepted> {
    let (framework, task) = (launch.framework?, launch.task?);
    let executor = task.executor.clone()?;
    let executor_id = executor.executor_id.clone()?;
    let key = TaskKey { framework: framework.id.clone()?, task: task.task_id.clone()? };
    let valid = is_valid_id(&key.task.value) && is_valid_id(&executor_id.value);
    let heartbeat = launch.heartbeat;
    valid.then_some(Accepted { key, framework, task, executor, executor_id, heartbeat })
}

impl Agent {
    /// Starts a task, or answers DROPPED: then nothing of it was ever started.
    pub(super) fn launch(&mut self, now: Now, launch: Launch, step: &mut Step) {
        let Some(accepted) = accept(launch) else {
            return step.ignore("a launch without valid ids", "");
        };
        if let Some(known) = self.tasks.get(&accepted.key) {
            // The master sent it again: it must hear how the first one stands, no more.
            if known.queue().next().is_some() {
                self.send_head(now, &accepted.key, limits::HEARTBEAT * 2, step);
            }
            return;
        }
        let (obstacle, expects) = (self.obstacle(now, &accepted), accepted.expected().is_some());
        let (key, executor_id) = (accepted.key.clone(), accepted.executor_id.clone());
        if obstacle.is_none() && !self.executors.contains_key(&executor_id) {
            self.add_executor(accepted.framework, accepted.executor, step);
        }
        let known = KnownTask {
            framework_id: Some(key.framework.clone()),
            info: Some(accepted.task.clone()),
            state: TaskState::Staging as i32,
            ..KnownTask::default()
        };
        step.writes.push(Write::Entry(Kind::Task(known).into()));
        self.launches += 1;
        let task = Task::new(accepted.task, executor_id.clone(), self.launches);
        self.tasks.insert(key.clone(), task);
        if let Some(why) = obstacle {
            step.notes.push(Note::LaunchDropped { task: key.task.clone(), why: why.clone() });
            let verdict = Verdict::new(TaskState::Dropped, Reason::AgentRestarted, why);
            self.judge(now, &key, verdict, step);
            if expects && !self.executors.contains_key(&executor_id) {
                // Whoever launched there believes that it lives, or would from now on.
                let (framework_id, executor_id) = (Some(key.framework), Some(executor_id));
                self.tell_ended(ExecutorExited { framework_id, executor_id, status: -1 }, step);
            }
            return;
        }
        if let Some(executor) = self.executors.get_mut(&executor_id) {
            executor.tasks.insert(key.clone());
        }
        step.effects.push(Effect::TaskBegan { task: key.clone() });
        self.deliver(&key, step);
    }

    /// Why a launch must not be carried out.
    fn obstacle(&self, now: Now, launch: &Accepted) -> Option<String> {
        let Some(up) = self.link.up() else {
            return Some("the master that asked for it is gone".to_owned());
        };
        let Some(confirmed) = up.confirmed() else {
            return Some("no heartbeat has been answered on this connection yet".to_owned());
        };
        match lease_of(&launch.executor) {
            Some(lease) if confirmed + lease <= now.mono => {
                return Some("the lease that this launch counts on has ended".to_owned());
            }
            None if !up.is_recent(launch.heartbeat, now.mono) => {
                return Some("the launch is older than 30 s".to_owned());
            }
            Some(_) | None => {}
        }
        let expected = launch.expected();
        let (id, ended) = (&launch.executor_id, self.ended.contains_key(&launch.executor_id));
        match (self.executors.get(id), expected) {
            (Some(executor), _) if executor.framework.id != launch.framework.id => {
                Some(format!("executor {id} belongs to another framework"))
            }
            (Some(executor), _) if executor.is_ending() => Some(format!("executor {id} is ending")),
            (Some(executor), Some(task::EXPECT_NEW)) if executor.born != Some(up.connection) => {
                Some(format!("executor {id} was expected new and lives already"))
            }
            (None, Some(task::EXPECT_ALIVE)) => {
                Some(format!("executor {id} was expected alive and is not here"))
            }
            (None, Some(_)) if ended => Some(format!("executor {id} has ended")),
            (Some(_) | None, _) => None,
        }
    }

    fn add_executor(&mut self, framework: FrameworkInfo, info: ExecutorInfo, step: &mut Step) {
        let Some(id) = info.executor_id.clone() else { return };
        let known = KnownExecutor {
            framework: Some(framework.clone()),
            info: Some(info.clone()),
            stuck: false,
        };
        step.writes.push(Write::Entry(Kind::Executor(known).into()));
        step.effects.push(Effect::Fetch { info: Box::new(info.clone()) });
        self.ended.remove(&id);
        let mut executor = Executor::new(framework, info, Phase::Fetching);
        if let Some(up) = self.link.up() {
            executor.born = Some(up.connection);
            let lease = lease_of(&executor.info);
            executor.deadline = lease.zip(up.confirmed()).map(|(lease, sent)| sent + lease);
        }
        self.executors.insert(id, executor);
    }

    /// Hands a task to its executor if that is subscribed; else it waits for the subscription.
    pub(super) fn deliver(&mut self, key: &TaskKey, step: &mut Step) {
        let Some(session) = self.session_of(key) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.delivered = true;
        let launch = LaunchEvent { task: Some(task.info.clone()) };
        let event = event_of(EventType::Launch);
        let event = Box::new(Event { launch: Some(launch), ..event });
        step.effects.push(Effect::ToExecutor { session, event });
    }

    /// Forwards the kill that a task waits for, if its executor is subscribed.
    pub(super) fn forward_kill(&mut self, key: &TaskKey, step: &mut Step) {
        let Some(session) = self.session_of(key) else { return };
        let kill = self.tasks.get_mut(key).and_then(|task| task.kill.take());
        let Some(PendingKill { policy }) = kill else { return };
        let kill = KillEvent { task_id: Some(key.task.clone()), kill_policy: policy };
        let event = Box::new(Event { kill: Some(kill), ..event_of(EventType::Kill) });
        step.effects.push(Effect::ToExecutor { session, event });
    }

    fn session_of(&self, key: &TaskKey) -> Option<Session> {
        self.executors.get(&self.tasks.get(key)?.executor)?.session
    }

    /// Ends a task: through its executor, or at once when that never got it.
    pub(super) fn kill(&mut self, now: Now, kill: Kill, step: &mut Step) {
        let (Some(framework), Some(task_id)) = (kill.framework_id, kill.task_id) else {
            return step.ignore("a kill without ids", "");
        };
        let key = TaskKey { framework, task: task_id };
        let Some(task) = self.tasks.get_mut(&key) else {
            return step.ignore("the kill of a task that is not here", key.task.value);
        };
        if task.state.is_terminal() {
            return;
        }
        if task.delivered {
            task.kill = Some(PendingKill { policy: kill.kill_policy });
            self.watch_kill(now, &key, kill.kill_policy);
            self.forward_kill(&key, step);
        } else {
            let words = "killed before its executor was given it";
            let verdict = Verdict::new(TaskState::Killed, Reason::TaskKilledDuringLaunch, words);
            self.judge(now, &key, verdict, step);
        }
    }

    /// Ends an executor: SHUTDOWN first, and by force when its grace is over.
    pub(super) fn shutdown(&mut self, now: Now, shutdown: ShutdownExecutor, step: &mut Step) {
        let id = shutdown.executor_id.unwrap_or_default();
        let Some(executor) = self.executors.get_mut(&id) else {
            // The master believes that it lives; whatever led to that, this ends it.
            step.ignore("the shutdown of an executor that is not here", id.value.clone());
            let (framework_id, executor_id) = (shutdown.framework_id, Some(id));
            let exited = ExecutorExited { framework_id, executor_id, status: -1 };
            return self.tell_ended(exited, step);
        };
        if executor.framework.id != shutdown.framework_id || executor.is_ending() {
            return;
        }
        let grace = executor.info.shutdown_grace_period.map(wire::duration);
        let grace = grace.unwrap_or(limits::EXECUTOR_SHUTDOWN_GRACE);
        executor.cause = Some(Cause::Shutdown);
        executor.absent = None;
        step.writes.push(Write::Entry(Kind::Ending(Ending::of(&id)).into()));
        if let Some(session) = executor.session {
            executor.force_at = Some(now.mono + grace);
            let event = Box::new(event_of(EventType::Shutdown));
            step.effects.push(Effect::ToExecutor { session, event });
        } else if executor.phase == Phase::Running {
            step.effects.push(Effect::End { executor: id, grace });
        }
    }
}
