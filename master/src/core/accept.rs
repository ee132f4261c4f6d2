//! ACCEPT: tasks are launched on offers.

use muster_api::{AgentId, Now, Resources};
use muster_proto::{
    FrameworkId, Operation, OperationType, Reason, TaskId, TaskInfo, TaskState,
    agent::{Launch, MasterBody},
    scheduler::Accept,
};

use super::{
    agent::{Executor, Task},
    event::{Note, Step},
    master::Master,
    validate::{self, InvalidTask, Placed},
    wire::{self, MasterStatus},
};

impl Master {
    /// Uses offers. They are used up whole: what no task takes is declined with the filter of the
    /// call, and offered again at once if there is none.
    pub(super) fn accept(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        accept: Accept,
        step: &mut Step,
    ) {
        let refuse = wire::refusal(accept.filters);
        let launches: Vec<_> = accept
            .operations
            .into_iter()
            .filter_map(|one| tasks_of(one, framework, step))
            .collect();
        if launches.is_empty() {
            self.decline(now, framework, &accept.offer_ids, refuse);
            return;
        }
        let (agent, mut room) = match self.take_offers(framework, &accept.offer_ids) {
            Ok(taken) => taken,
            Err(error) => {
                let drop = Refusal::dropped(Reason::InvalidOffers, error.to_string());
                for task in launches.into_iter().flatten() {
                    self.refuse_task(now, framework, None, &task, drop.clone(), step);
                }
                return;
            }
        };
        for tasks in launches {
            self.launch_all(now, framework, &agent, &mut room, tasks, step);
        }
        self.add_filter(now, framework, &agent, room, refuse);
    }

    /// One LAUNCH operation: each task is checked against what the former ones have left.
    fn launch_all(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        agent: &AgentId,
        room: &mut Resources,
        tasks: Vec<TaskInfo>,
        step: &mut Step,
    ) {
        let spoilt = tasks.iter().any(validate::spoils_launch);
        for task in tasks {
            let placed = match (self.agents.get(agent), self.frameworks.get(framework)) {
                _ if spoilt => Err(InvalidTask::NotPositive.into()),
                (Some(there), Some(known)) if there.launchable().is_some() => {
                    validate::place(&task, framework, known, agent, there, room)
                        .map_err(Refusal::from)
                }
                _ => Err(Refusal::dropped(
                    Reason::AgentDisconnected,
                    format!("agent {agent} is not connected"),
                )),
            };
            match placed {
                Err(refusal) => self.refuse_task(now, framework, Some(agent), &task, refusal, step),
                Ok(placed) => {
                    *room = room.checked_sub(&placed.need).expect("a placed task fits");
                    self.launch(framework, agent, task, placed, step);
                }
            }
        }
    }

    fn launch(
        &mut self,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        task: TaskInfo,
        placed: Placed,
        step: &mut Step,
    ) {
        let agent = self.agents.get_mut(agent_id).expect("tasks are placed on known agents");
        let framework = self.frameworks.get_mut(framework_id).expect("known frameworks launch");
        let (connection, heartbeat) =
            agent.launchable().expect("tasks are placed where they can be");
        let task = TaskInfo { executor: Some(placed.executor.clone()), ..task };
        if let Some(resources) = placed.executor_resources {
            let executor = Executor { info: placed.executor, resources, proved: false };
            agent.add_executor(framework_id, placed.executor_id.clone(), executor);
        }
        let entry = Task::new(placed.executor_id, placed.resources, TaskState::Staging);
        agent.add_task(framework_id, placed.id.clone(), entry);
        framework.tasks.insert(placed.id, agent_id.clone());
        let launch =
            Launch { framework: Some(framework.info.clone()), task: Some(task), heartbeat };
        step.tell_agent(connection, MasterBody::Launch(launch));
    }

    fn refuse_task(
        &self,
        now: Now,
        framework_id: &FrameworkId,
        agent: Option<&AgentId>,
        task: &TaskInfo,
        refusal: Refusal,
        step: &mut Step,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let nameless = TaskId::default();
        let task = task.task_id.as_ref().unwrap_or(&nameless);
        let note = Note::TaskRefused { task: task.value.clone(), reason: refusal.message.clone() };
        step.notes.push(note);
        let state = framework.told(refusal.state);
        let Refusal { reason, message, .. } = refusal;
        let status = MasterStatus { task, agent, state, reason, message };
        step.tell_framework(framework_id, wire::update(status.at(now)));
    }
}

/// What a framework is told of a task that is not launched.
#[derive(Debug, Clone)]
struct Refusal {
    state: TaskState,
    reason: Reason,
    message: String,
}

impl Refusal {
    fn dropped(reason: Reason, message: String) -> Self {
        Self { state: TaskState::Dropped, reason, message }
    }
}

impl From<InvalidTask> for Refusal {
    fn from(error: InvalidTask) -> Self {
        let message = error.to_string();
        Self { state: TaskState::Error, reason: Reason::TaskInvalid, message }
    }
}

/// The tasks of an operation, if it is a launch. The others are dropped, as Mesos does with an
/// operation that it cannot perform.
fn tasks_of(
    operation: Operation,
    framework: &FrameworkId,
    step: &mut Step,
) -> Option<Vec<TaskInfo>> {
    if operation.r#type == Some(OperationType::Launch as i32)
        && let Some(launch) = operation.launch
    {
        return Some(launch.task_infos);
    }
    step.ignore_call(framework, "an operation other than LAUNCH is not supported");
    None
}
