//! Launches: single tasks, each for itself, and groups, all or none.

use std::collections::BTreeSet;

use muster_api::{Now, Resources};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, LaunchGroup, TaskInfo, TaskState,
    agent::{self, Expected, GROUP_HAS_EXECUTOR, Launch, Launcher, MasterBody, executor_digest},
};

use super::{
    accept::Refusal,
    event::{Connection, Step},
    here::{Executor, Task},
    master::Master,
    offers::Taken,
    validate::{self, InvalidTask, Place, Placed, PlacedExecutor, PlacedTask},
    wire,
};

/// What the message of a launch says beside what is launched.
struct Envelope {
    connection: Connection,
    framework: Option<FrameworkInfo>,
    heartbeat: u64,
    launcher: i32,
    /// The version of the protocol that the agent speaks.
    speaks: u32,
}

impl Master {
    /// One LAUNCH operation: each task is checked against what the former ones have left.
    pub(super) fn launch_all(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        taken: &mut Taken,
        tasks: Vec<TaskInfo>,
        step: &mut Step,
    ) {
        let spoilt = tasks.iter().any(validate::spoils_launch);
        for task in tasks {
            let placed = match self.place(framework, taken) {
                _ if spoilt => Err(InvalidTask::NotPositive.into()),
                Some(place) => check_task(&place, &task),
                None => Err(Refusal::disconnected(&taken.agent)),
            };
            match placed {
                Err(refusal) => self.refuse_task(now, framework, &task, refusal, step),
                Ok((placed, bytes)) => self.launch(framework, taken, task, placed, bytes, step),
            }
        }
    }

    /// Where tasks would go, if any may at present.
    fn place<'a>(&'a self, framework_id: &'a FrameworkId, taken: &'a Taken) -> Option<Place<'a>> {
        let Taken { agent: agent_id, role, room } = taken;
        let agent = self.agents.get(agent_id).filter(|agent| agent.launchable().is_some())?;
        let framework = self.frameworks.get(framework_id)?;
        let lost = &self.lost;
        Some(Place { framework_id, framework, lost, agent_id, agent, role, room })
    }

    /// Books a task with its executor, and tells its agent.
    fn launch(
        &mut self,
        framework: &FrameworkId,
        taken: &mut Taken,
        mut task: TaskInfo,
        placed: Placed,
        bytes: usize,
        step: &mut Step,
    ) {
        let Placed { task: placed, executor, need } = placed;
        taken.room = taken.room.checked_sub(&need).expect("a placed task fits");
        let executor_id = executor.as_ref().map(|executor| executor.id.clone());
        let expected = executor.as_ref().map_or(Expected::Unsaid, expected) as i32;
        task.executor = executor.map(|executor| self.book_executor(framework, taken, executor));
        self.book_task(framework, taken, executor_id, placed, &mut task);
        let Envelope { connection, framework, heartbeat, launcher, .. } =
            self.envelope(framework, taken, bytes);
        let launch = Launch { framework, task: Some(task), heartbeat, launcher, expected };
        step.tell_agent(connection, MasterBody::Launch(launch));
    }

    /// Books an executor, unless it lives already; what its agent is told of it.
    fn book_executor(
        &mut self,
        framework: &FrameworkId,
        taken: &Taken,
        executor: PlacedExecutor,
    ) -> ExecutorInfo {
        let PlacedExecutor { id, info, resources } = executor;
        if let Some(resources) = resources {
            let agent =
                self.agents.get_mut(&taken.agent).expect("tasks are placed on known agents");
            let (digest, role) = (executor_digest(&info), taken.role.clone());
            let executor = Executor { digest, resources, role, proved: false };
            agent.add_executor(&mut self.books, framework, id, executor);
        }
        info
    }

    /// Books a task, and makes of it what its agent is told.
    fn book_task(
        &mut self,
        framework_id: &FrameworkId,
        taken: &Taken,
        executor: Option<ExecutorId>,
        placed: PlacedTask,
        task: &mut TaskInfo,
    ) {
        let Self { agents, frameworks, books, .. } = self;
        let agent = agents.get_mut(&taken.agent).expect("tasks are placed on known agents");
        let framework = frameworks.get_mut(framework_id).expect("known frameworks launch");
        if framework.stream().is_some() {
            wire::allocate(&mut task.resources, &taken.role);
        }
        let PlacedTask { id, resources } = placed;
        let entry = Task::new(executor, resources, taken.role.clone(), TaskState::Staging);
        agent.add_task(books, framework_id, id.clone(), entry);
        framework.tasks.insert(id, taken.agent.clone());
    }

    /// The rest of the message of a launch, which counts from now on.
    fn envelope(&mut self, framework: &FrameworkId, taken: &Taken, bytes: usize) -> Envelope {
        let agent = self.agents.get_mut(&taken.agent).expect("tasks are placed on known agents");
        let framework = self.frameworks.get(framework).expect("known frameworks launch");
        let (connection, heartbeat) =
            agent.launchable().expect("tasks are placed where they can be");
        agent.count_launched(bytes);
        let is_foreign = framework.stream().is_some();
        let launcher = if is_foreign { Launcher::Framework } else { Launcher::Engine } as i32;
        let (framework, speaks) = (Some(framework.info.clone()), agent.speaks);
        Envelope { connection, framework, heartbeat, launcher, speaks }
    }

    /// One LAUNCH_GROUP operation: all of its tasks in one executor, or none.
    pub(super) fn launch_group(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        taken: &mut Taken,
        group: LaunchGroup,
        step: &mut Step,
    ) {
        let executor = group.executor.unwrap_or_default();
        let mut tasks = group.task_group.unwrap_or_default().tasks;
        let placed = match self.place(framework, taken) {
            Some(place) => check_group(&place, &executor, &tasks),
            None => Err(Refusal::disconnected(&taken.agent)),
        };
        let (PlacedGroup { executor, tasks: placed, need }, bytes) = match placed {
            Ok(placed) => placed,
            Err(refusal) => return self.refuse_all(now, framework, &tasks, &refusal, step),
        };
        taken.room = taken.room.checked_sub(&need).expect("a placed group fits");
        let (id, expected) = (executor.id.clone(), expected(&executor) as i32);
        let info = self.book_executor(framework, taken, executor);
        for (task, placed) in tasks.iter_mut().zip(placed) {
            task.executor = None;
            self.book_task(framework, taken, Some(id.clone()), placed, task);
        }
        let Envelope { connection, framework, heartbeat, launcher, speaks } =
            self.envelope(framework, taken, bytes);
        let executor = Some(info);
        let executor = match speaks < GROUP_HAS_EXECUTOR {
            true => {
                tasks.iter_mut().for_each(|task| task.executor.clone_from(&executor));
                None
            }
            false => executor,
        };
        let group =
            agent::LaunchGroup { framework, tasks, heartbeat, executor, launcher, expected };
        step.tell_agent(connection, MasterBody::LaunchGroup(group));
    }
}

/// What an agent is told to expect: an executor whose resources are not charged yet is new.
fn expected(executor: &PlacedExecutor) -> Expected {
    if executor.resources.is_some() { Expected::New } else { Expected::Alive }
}

/// A group that may be launched: its executor, its tasks, and what all of that takes.
struct PlacedGroup {
    executor: PlacedExecutor,
    tasks: Vec<PlacedTask>,
    need: Resources,
}

/// Checks one task, and how many bytes may be sent for it.
fn check_task(place: &Place<'_>, task: &TaskInfo) -> Result<(Placed, usize), Refusal> {
    let placed = place.check(task)?;
    let bytes = place.bytes(std::slice::from_ref(task), None);
    Ok((placed, bytes.ok_or_else(|| Refusal::behind(place.agent_id))?))
}

/// Checks a group as a whole, and how many bytes may be sent for it.
fn check_group(
    place: &Place<'_>,
    executor: &ExecutorInfo,
    tasks: &[TaskInfo],
) -> Result<(PlacedGroup, usize), Refusal> {
    let placed = place_group(place, executor, tasks).map_err(Refusal::group)?;
    let bytes = place.bytes(tasks, Some(executor));
    Ok((placed, bytes.ok_or_else(|| Refusal::behind(place.agent_id))?))
}

/// Places a group; what is wrong with it, in words.
fn place_group(
    place: &Place<'_>,
    executor: &ExecutorInfo,
    tasks: &[TaskInfo],
) -> Result<PlacedGroup, String> {
    let spoilt = executor.resources.iter().any(wire::is_not_positive);
    if spoilt || tasks.iter().any(validate::spoils_launch) {
        return Err(InvalidTask::NotPositive.to_string());
    }
    if executor.r#type.is_none() {
        return Err("'ExecutorInfo.type' must be set for a task group".to_owned());
    }
    if tasks.is_empty() {
        return Err("Task group cannot be empty".to_owned());
    }
    place.check_count(tasks.len()).map_err(|error| error.to_string())?;
    let executor_placed = place.check_executor(executor).map_err(|error| error.to_string())?;
    let is_new = executor_placed.resources.is_some();
    let mut need = executor_placed.resources.clone().unwrap_or_default();
    let mut placed = Vec::with_capacity(tasks.len());
    let mut ids = BTreeSet::new();
    for task in tasks {
        let named = task.task_id.as_ref().map(|id| id.value.as_str()).unwrap_or_default();
        let invalid = |error: String| format!("Task '{named}' is invalid: {error}");
        if task.executor.as_ref().is_some_and(|own| own != executor) {
            let other = "The 'ExecutorInfo' of the task differs from that of the task group";
            return Err(invalid(other.to_owned()));
        }
        let one = place.check_task(task).map_err(|error| invalid(error.to_string()))?;
        if !ids.insert(named) {
            return Err(invalid(InvalidTask::InUse(one.id.value).to_string()));
        }
        let more = need.checked_add(&one.resources).filter(|need| place.room.covers(need));
        need = more.ok_or_else(|| place.too_large(tasks, Some(executor), is_new).to_string())?;
        placed.push(one);
    }
    Ok(PlacedGroup { executor: executor_placed, tasks: placed, need })
}
