//! The agent core: its state, how it is restored, and which room handles which event.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AgentId, IdStream, Mono, Now, Resources, Timestamp};
use muster_proto::{ExecutorId, FrameworkId, Reason, TaskId, TaskState};

use super::{
    Effect, Entry, Event, Exited, Kind, Known, KnownExecutor, KnownTask, Session, Step, TaskKey,
    executors::{Executor, Phase},
    link::Link,
    statuses::{Task, Verdict},
};
use crate::wire;

/// Executor ids of the past that are kept, to know one that is used again.
const ENDED_MAX: usize = 10_000;

/// What an agent is, fixed for the life of its process.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The host's name.
    pub hostname: String,
    /// What may be used on this host.
    pub resources: Resources,
    /// Facts about this host.
    pub attributes: BTreeMap<String, String>,
    /// The port of the executor API.
    pub port: u16,
    /// Changes with every boot of the host.
    pub boot_id: String,
}

/// What an agent keeps about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The id that a master gave it.
    pub agent: Option<AgentId>,
    /// The highest term of a master that has proven itself.
    pub term: u64,
}

/// Why an agent cannot go on where it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The host's resources no longer hold what runs there.
    #[error("resources of `{given}` are less than the `{used}` that run here now")]
    Undercut {
        /// What the agent was started with.
        given: String,
        /// What its executors and tasks use.
        used: String,
    },
    /// The sum of what runs is not a number.
    #[error("the resources that run here add up to more than can be counted")]
    Overflow,
}

/// The pure core of an agent.
#[derive(Debug)]
pub struct Agent {
    pub(super) config: Config,
    pub(super) identity: Identity,
    pub(super) link: Link,
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    pub(super) tasks: BTreeMap<TaskKey, Task>,
    pub(super) sessions: BTreeMap<Session, ExecutorId>,
    /// Executors of the past, and when they ended.
    pub(super) ended: BTreeMap<ExecutorId, Timestamp>,
    /// When which head is sent again.
    pub(super) retries: BTreeSet<(Mono, TaskKey)>,
    /// By when which killed task must have ended; some have.
    pub(super) overdue: BTreeSet<(Mono, TaskKey)>,
    pub(super) ids: IdStream,
    /// Tasks launched so far: their order.
    pub(super) launches: u64,
    /// When it was last noted that a message of an executor was too long.
    pub(super) too_long_at: Option<Mono>,
}

impl Agent {
    /// The agent that the journal describes. `seed` is fresh entropy for the uuids of statuses.
    pub fn restore(
        config: Config,
        identity: Identity,
        seed: u64,
        entries: impl IntoIterator<Item = Entry>,
        now: Now,
    ) -> Result<(Self, Step), RestoreError> {
        let mut agent = Self {
            config,
            identity,
            link: Link::default(),
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
            retries: BTreeSet::new(),
            overdue: BTreeSet::new(),
            ids: IdStream::new(seed, 0),
            launches: 0,
            too_long_at: None,
        };
        for kind in entries.into_iter().filter_map(|entry| entry.kind) {
            agent.replay(kind);
        }
        agent.check_resources()?;
        let step = agent.resume(now);
        Ok((agent, step))
    }

    /// Handles one event.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        let out = &mut step;
        match event {
            Event::Challenged { connection, term } => self.challenged(now, connection, term, out),
            Event::Welcomed { connection, term, agent } => {
                self.welcomed(now, connection, term, agent, out);
            }
            Event::Refused { connection, message, retry } => {
                self.refused(connection, message, retry, out);
            }
            Event::Disowned { connection, term, message } => {
                self.disowned(now, connection, term, message, out);
            }
            Event::FromMaster { connection, term, body } => {
                self.master_says(now, connection, term, body, out);
            }
            Event::Disconnected { connection } => self.disconnected(connection),
            Event::Fetched { executor, outcome } => self.fetched(now, &executor, outcome, out),
            Event::Started { executor } => self.started(now, &executor, out),
            Event::Exited { executor, exit } => self.exited(now, &executor, exit, out),
            Event::Subscribed { session, executor, subscribe } => {
                self.subscribed(now, session, &executor, subscribe, out);
            }
            Event::Updated { session, status } => self.updated(now, session, *status, out),
            Event::Said { session, message } => self.said(now.mono, session, message, out),
            Event::Left { session } => self.left(now, session, out),
            Event::Tick => {
                self.tick_link(now, out);
                self.tick_statuses(now, out);
                self.tick_kills(now, out);
                self.tick_executors(now, out);
            }
        }
        step
    }

    /// When a [`Event::Tick`] is due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let retry = self.retries.first().map(|(at, _)| *at);
        let overdue = self.overdue.first().map(|(at, _)| *at);
        [self.link.wakeup(), retry, overdue, self.executors_wakeup()].into_iter().flatten().min()
    }

    /// The executors that are not known to be dead.
    pub fn executors(&self) -> impl Iterator<Item = &ExecutorId> {
        self.executors.keys()
    }

    /// The shortest journal that describes this agent.
    pub fn snapshot(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let newest = self.ended.len().saturating_sub(ENDED_MAX);
        let mut ended: Vec<_> = self.ended.iter().collect();
        ended.sort_by_key(|(_, at)| **at);
        for (id, at) in ended.into_iter().skip(newest) {
            let exited = Exited { executor_id: Some(id.clone()), at: at.as_millis() };
            entries.push(Kind::Exited(exited).into());
        }
        for executor in self.executors.values() {
            let framework = Some(executor.framework.clone());
            let (info, stuck) = (Some(executor.info.clone()), executor.stuck);
            entries.push(Kind::Executor(KnownExecutor { framework, info, stuck }).into());
        }
        let mut tasks: Vec<_> = self.tasks.iter().collect();
        tasks.sort_by_key(|(_, task)| task.order);
        for (key, task) in tasks {
            let known = KnownTask {
                framework_id: Some(key.framework.clone()),
                info: Some(task.info.clone()),
                state: task.state as i32,
                seen: task.seen().cloned().collect(),
                stuck: task.stuck.clone(),
            };
            entries.push(Kind::Task(known).into());
            for status in task.queue() {
                let known = Known {
                    framework_id: Some(key.framework.clone()),
                    task_id: Some(key.task.clone()),
                    status: Some(status.clone()),
                };
                entries.push(Kind::Status(known).into());
            }
        }
        // These name tasks, which must be known by then.
        for (id, _) in self.executors.iter().filter(|(_, executor)| executor.is_ending()) {
            entries.push(Kind::Ending(self.ending(id)).into());
        }
        entries
    }

    /// Takes one entry of the journal. What lacks an id cannot have been written by an agent.
    fn replay(&mut self, kind: Kind) {
        match kind {
            Kind::Executor(KnownExecutor { framework, info, stuck }) => {
                let (framework, info) = (framework.unwrap_or_default(), info.unwrap_or_default());
                let id = info.executor_id.clone().unwrap_or_default();
                self.ended.remove(&id);
                let executor = Executor::new(framework, info, Phase::Attaching);
                self.executors.insert(id, Executor { stuck, ..executor });
            }
            Kind::Task(known) => self.replay_task(known),
            Kind::Status(known) => {
                let key = key_of(known.framework_id, known.task_id);
                if let (Some(task), Some(status)) = (self.tasks.get_mut(&key), known.status) {
                    // A rewritten journal may say once more what was decided just before.
                    if task.queue().any(|queued| queued.uuid == status.uuid) {
                        return;
                    }
                    if let Some(uuid) = status.uuid.clone()
                        && !task.has_seen(&uuid)
                    {
                        task.remember(uuid);
                    }
                    task.push(status);
                    if let Some(executor) = self.executors.get_mut(&task.executor) {
                        executor.stuck |= task.stuck.is_some();
                    }
                }
            }
            Kind::Acknowledged(known) => {
                let key = key_of(known.framework_id, known.task_id);
                let Some(task) = self.tasks.get_mut(&key) else { return };
                let uuid = task.queue().next().and_then(|head| head.uuid.clone());
                let head = task.pop(&uuid.unwrap_or_default());
                if head.is_some_and(|head| head.state().is_terminal()) {
                    self.tasks.remove(&key);
                }
            }
            Kind::Ending(ending) => self.replay_ending(ending),
            Kind::Disowned(_) => self.end_life(),
            Kind::Exited(Exited { executor_id, at }) => {
                let id = executor_id.unwrap_or_default();
                self.executors.remove(&id);
                self.ended.insert(id, Timestamp::from_millis(at));
            }
        }
    }

    fn replay_task(&mut self, known: KnownTask) {
        let info = known.info.unwrap_or_default();
        let executor = info.executor.as_ref().and_then(|executor| executor.executor_id.clone());
        let key = key_of(known.framework_id, info.task_id.clone());
        self.launches += 1;
        let mut task = Task::new(info, executor.unwrap_or_default(), self.launches);
        task.state = TaskState::try_from(known.state).unwrap_or(TaskState::Staging);
        task.delivered = true;
        task.stuck = known.stuck;
        for uuid in known.seen {
            task.remember(uuid);
        }
        self.tasks.insert(key, task);
    }

    fn check_resources(&self) -> Result<(), RestoreError> {
        let mut used = Resources::none();
        let executors = self.executors.values().map(|executor| &executor.info.resources);
        let live = self.tasks.values().filter(|task| !task.state.is_terminal());
        for resources in executors.chain(live.map(|task| &task.info.resources)) {
            used = used.checked_add(&wire::resources(resources)).ok_or(RestoreError::Overflow)?;
        }
        if self.config.resources.covers(&used) {
            return Ok(());
        }
        let given = self.config.resources.to_string();
        Err(RestoreError::Undercut { given, used: used.to_string() })
    }

    /// What follows a replay: supervisors are looked for, and executors must come back.
    fn resume(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        let live = self.tasks.iter().filter(|(_, task)| !task.state.is_terminal());
        let live: Vec<_> = live.map(|(key, task)| (key.clone(), task.executor.clone())).collect();
        for (key, executor) in live {
            if let Some(executor) = self.executors.get_mut(&executor) {
                step.effects.push(Effect::TaskBegan { task: key.clone() });
                executor.tasks.insert(key);
            } else {
                // The agent died while it wrote down that this was not to be started.
                let words = "the agent was restarted before it could answer the launch";
                let verdict = Verdict::new(TaskState::Dropped, Reason::AgentRestarted, words);
                self.judge(now, &key, verdict, &mut step);
            }
        }
        for (id, executor) in &mut self.executors {
            if executor.cause.is_none() {
                executor.await_subscription(now, true);
            }
            step.effects.push(Effect::Attach { executor: id.clone() });
        }
        step
    }
}

fn key_of(framework: Option<FrameworkId>, task: Option<TaskId>) -> TaskKey {
    TaskKey { framework: framework.unwrap_or_default(), task: task.unwrap_or_default() }
}
