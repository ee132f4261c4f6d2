//! Tasks that the master wants started, and how they reach their executors.

use muster_api::{Now, limits, task};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkInfo, Reason, TaskInfo, TaskState,
    agent::{ExecutorExited, Expected, Launch, LaunchGroup, Launcher},
    executor::{Event, EventType},
};

use super::{
    Agent, Container, Effect, ExecutorKey, Kind, Note, Step, TaskKey, Write,
    command_task::command_executor,
    executors::{Executor, Phase},
    origin::Origin,
    statuses::{Task, Verdict},
};

/// A launch with all that it must have.
struct Accepted {
    key: TaskKey,
    framework: FrameworkInfo,
    task: TaskInfo,
    origin: Origin,
    /// What its master believes of its executor.
    believed: Expected,
    executor: ExecutorInfo,
    executor_id: ExecutorId,
    heartbeat: u64,
}

/// Whether a text can name a folder (the rule of Mesos for ids that frameworks choose).
fn is_valid_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= limits::OPAQUE_ID_BYTES
        && !matches!(id, "." | "..")
        && !id.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// What a launch is answered that came too late for its executor, as Mesos has it.
fn missed() -> (Reason, String) {
    let words = "No executor is expected to launch and there is no executor running";
    (Reason::ExecutorTerminated, words.to_owned())
}

/// An event of this type, without body.
pub(super) fn event_of(kind: EventType) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

impl Accepted {
    fn of(
        framework: FrameworkInfo,
        task: TaskInfo,
        launcher: Launcher,
        believed: Expected,
        heartbeat: u64,
    ) -> Option<Self> {
        let key = TaskKey { framework: framework.id.clone()?, task: task.task_id.clone()? };
        let (executor, origin) = match &task.executor {
            Some(executor) => (executor.clone(), Origin::of(launcher, executor)),
            None => (command_executor(&key, &task)?, Origin::Command),
        };
        let executor_id = executor.executor_id.clone()?;
        let valid = is_valid_id(&key.task.value) && is_valid_id(&executor_id.value);
        valid.then_some(Self {
            key,
            framework,
            task,
            origin,
            believed,
            executor,
            executor_id,
            heartbeat,
        })
    }

    /// What our engine believes of its executor, if it says so.
    fn expected(&self) -> Option<&str> {
        let labels = self.task.labels.as_ref().filter(|_| self.origin == Origin::Ours)?;
        labels.get(task::LABEL_EXPECT)
    }

    fn executor_key(&self) -> ExecutorKey {
        let (framework, executor) = (self.key.framework.clone(), self.executor_id.clone());
        ExecutorKey { framework, executor }
    }

    /// Whether the restart of the agent is the end of it.
    fn is_volatile(&self) -> bool {
        !self.origin.outlives_the_agent(&self.framework)
    }
}

impl Agent {
    /// Starts a task, or answers DROPPED: then nothing of it was ever started.
    pub(super) fn launch(&mut self, now: Now, launch: Launch, step: &mut Step) {
        let (launcher, believed) = (launch.launcher(), launch.expected());
        let Launch { framework, task, heartbeat, .. } = launch;
        let accepted = framework.zip(task);
        let accept = |(by, task)| Accepted::of(by, task, launcher, believed, heartbeat);
        let accepted = accepted.and_then(accept);
        match accepted {
            Some(accepted) => self.launch_together(now, vec![accepted], None, step),
            None => step.ignore("a launch without valid ids", ""),
        }
    }

    /// Starts tasks together, or answers DROPPED for all of them.
    pub(super) fn launch_group(&mut self, now: Now, group: LaunchGroup, step: &mut Step) {
        let (launcher, believed) = (group.launcher(), group.expected());
        let LaunchGroup { framework, tasks, heartbeat, executor, .. } = group;
        let framework = framework.unwrap_or_default();
        let accept = |mut task: TaskInfo| {
            task.executor = task.executor.or_else(|| executor.clone());
            Accepted::of(framework.clone(), task, launcher, believed, heartbeat)
        };
        let accepted: Option<Vec<Accepted>> = tasks.into_iter().map(accept).collect();
        let Some(accepted) = accepted.filter(|all| {
            // They are given to one executor at one time.
            let first = all.first().map(Accepted::executor_key);
            first.is_some() && all.iter().all(|one| Some(one.executor_key()) == first)
        }) else {
            return step.ignore("a group of tasks without valid ids", "");
        };
        let group = Some(self.launches);
        self.launch_together(now, accepted, group, step);
    }

    fn launch_together(
        &mut self,
        now: Now,
        accepted: Vec<Accepted>,
        group: Option<u64>,
        step: &mut Step,
    ) {
        let known = |one: &Accepted| self.tasks.get(&one.key).is_some_and(|task| !task.is_stray);
        if accepted.iter().any(known) {
            // The master sent it again: it must hear how the first one stands, no more.
            for one in accepted {
                self.send_head(now, &one.key, limits::HEARTBEAT * 2, step);
            }
            return;
        }
        let obstacle = accepted.iter().find_map(|one| {
            let why = self.obstacle(now, one).map(|why| (Reason::AgentRestarted, why));
            why.or_else(|| self.has_missed_its_executor(one).then(missed))
        });
        let first = accepted.first().map(|one| one.key.clone());
        for one in accepted {
            self.take_on(now, one, group, obstacle.as_ref(), step);
        }
        // The others of a group go with the first.
        if let Some(first) = first.filter(|_| obstacle.is_none()) {
            self.deliver(&first, step);
        }
    }

    /// Answers for a task from now on: starts it, unless something is in its way.
    fn take_on(
        &mut self,
        now: Now,
        accepted: Accepted,
        group: Option<u64>,
        obstacle: Option<&(Reason, String)>,
        step: &mut Step,
    ) {
        let (key, executor_key) = (accepted.key.clone(), accepted.executor_key());
        let (expects, is_volatile) = (accepted.expected().is_some(), accepted.is_volatile());
        let container = obstacle.is_none().then(|| self.room_for(now, &accepted, step));
        self.forget_stray(&key);
        self.launches += 1;
        let mut task = Task::new(accepted.task, executor_key.executor.clone(), self.launches);
        task.container.clone_from(&container);
        task.group = group;
        task.is_volatile = is_volatile;
        if !is_volatile {
            step.writes.push(Write::Entry(Kind::Task(task.to_known(&key)).into()));
        }
        self.tasks.insert(key.clone(), task);
        if let Some((reason, why)) = obstacle.cloned() {
            step.notes.push(Note::LaunchDropped { task: key.task.clone(), why: why.clone() });
            let verdict = Verdict::new(TaskState::Dropped, reason, why);
            self.judge(now, &key, verdict, step);
            if expects && !self.lives.contains_key(&executor_key) {
                // Whoever launched there believes that it lives, or would from now on.
                let ExecutorKey { framework, executor } = executor_key;
                let (framework_id, executor_id) = (Some(framework), Some(executor));
                self.tell_ended(ExecutorExited { framework_id, executor_id, status: -1 }, step);
            }
            return;
        }
        if let Some(executor) = container.and_then(|name| self.executors.get_mut(&name)) {
            executor.tasks.insert(key.clone());
        }
        step.effects.push(Effect::TaskBegan { task: key });
    }

    /// Why a launch must not be carried out.
    fn obstacle(&self, now: Now, launch: &Accepted) -> Option<String> {
        let Some(up) = self.link.up() else {
            return Some("the master that asked for it is gone".to_owned());
        };
        let Some(confirmed) = up.confirmed() else {
            return Some("no heartbeat has been answered on this connection yet".to_owned());
        };
        match launch.origin.lease(&launch.executor) {
            Some(lease) if confirmed + lease <= now.mono => {
                return Some("the lease that this launch counts on has ended".to_owned());
            }
            None if !up.is_recent(launch.heartbeat, now.mono) => {
                return Some("the launch is older than 30 s".to_owned());
            }
            Some(_) | None => {}
        }
        let (id, expected) = (&launch.executor_id, launch.expected());
        // A command begins in an executor of its own.
        let is_command = launch.origin == Origin::Command;
        let life = self.lives.get(&launch.executor_key()).filter(|_| !is_command);
        match (life.and_then(|container| self.executors.get(container)), expected) {
            (Some(executor), _) if executor.is_ending() => Some(format!("executor {id} is ending")),
            (Some(executor), Some(task::EXPECT_NEW)) if executor.born != Some(up.connection) => {
                Some(format!("executor {id} was expected new and lives already"))
            }
            (Some(_), _) => None,
            (None, Some(task::EXPECT_ALIVE)) => {
                Some(format!("executor {id} was expected alive and is not here"))
            }
            (None, _) if launch.origin != Origin::Ours => None,
            (None, expected) => self.obstacle_to_our_new(id, expected.is_some()),
        }
    }

    /// Whether the executor that it was to join has ended meanwhile. A new one would take resources
    /// that nobody has counted, for the launch has crossed its end.
    fn has_missed_its_executor(&self, launch: &Accepted) -> bool {
        launch.origin == Origin::Foreign
            && launch.believed == Expected::Alive
            && !self.lives.contains_key(&launch.executor_key())
    }

    /// Why an executor of ours cannot begin: its id is the name of its container.
    fn obstacle_to_our_new(&self, id: &ExecutorId, expects: bool) -> Option<String> {
        let container = Container::new(&id.value);
        if self.executors.contains_key(&container) {
            return Some(format!("executor {id} belongs to another framework"));
        }
        let is_used_up = expects && self.ended.contains_key(&container);
        is_used_up.then(|| format!("executor {id} has ended"))
    }

    /// The container of the executor that is to run a task: that of one that lives, or a new one.
    fn room_for(&mut self, now: Now, launch: &Accepted, step: &mut Step) -> Container {
        let key = launch.executor_key();
        match self.lives.get(&key) {
            Some(container) if launch.origin != Origin::Command => container.clone(),
            _ => self.add_executor(now, launch, step),
        }
    }

    fn add_executor(&mut self, now: Now, launch: &Accepted, step: &mut Step) -> Container {
        let (framework, info) = (launch.framework.clone(), launch.executor.clone());
        let mut executor = Executor::new(framework, info, launch.origin);
        let key = executor.key();
        let container = match launch.origin {
            Origin::Ours => Container::new(&key.executor.value),
            Origin::Foreign | Origin::Command => {
                Container::new(self.ids.uuid(now.wall).to_string())
            }
        };
        step.writes.push(Write::Entry(Kind::Executor(executor.to_known(&container)).into()));
        let info = Box::new(executor.info.clone());
        step.effects.push(Effect::Fetch { container: container.clone(), info });
        self.ended.remove(&container);
        if let Some(up) = self.link.up() {
            executor.born = Some(up.connection);
            let lease = executor.origin.lease(&executor.info);
            executor.deadline = lease.zip(up.confirmed()).map(|(lease, sent)| sent + lease);
        }
        debug_assert_eq!(executor.phase, Phase::Fetching, "nothing of it is here yet");
        if launch.origin != Origin::Command {
            self.lives.insert(key, container.clone());
        }
        self.executors.insert(container.clone(), executor);
        container
    }
}
