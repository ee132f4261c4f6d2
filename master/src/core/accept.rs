//! ACCEPT: what a framework does with its offers, operation by operation.

use muster_api::{AgentId, Now};
use muster_proto::{
    FrameworkId, Operation, OperationId, OperationState, OperationStatus, OperationType, Reason,
    TaskId, TaskInfo, TaskState, scheduler::Accept,
};

use super::{
    event::Step,
    master::Master,
    note::Note,
    offers::Taken,
    validate::InvalidTask,
    wire::{self, MasterStatus},
    words,
};

/// What can be done with offers here.
#[derive(Debug)]
enum Use {
    Launch(Vec<TaskInfo>),
    LaunchGroup(Box<muster_proto::LaunchGroup>),
    /// Anything else, by the id that it was given.
    Other(Option<OperationId>),
}

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
        if accept.operations.is_empty() {
            self.decline(now, framework, &accept.offer_ids, refuse);
            return;
        }
        let taken = self.take_offers(framework, &accept.offer_ids);
        let mut taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                let words = format!("Task launched with invalid offers: {error}");
                let refusal = Refusal::dropped(Reason::InvalidOffers, words);
                for operation in accept.operations {
                    self.drop_operation(now, framework, operation, &refusal, step);
                }
                return;
            }
        };
        for operation in accept.operations {
            self.operate(now, framework, operation, &mut taken, step);
        }
        let Taken { agent, role, room } = taken;
        self.add_filter(now, framework, &role, &agent, room, refuse);
    }

    fn operate(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        operation: Operation,
        taken: &mut Taken,
        step: &mut Step,
    ) {
        let named = operation.id.is_some();
        match use_of(operation) {
            Use::Launch(tasks) if named => {
                self.refuse_all(now, framework, &tasks, &named_launch(), step);
            }
            Use::LaunchGroup(group) if named => {
                let tasks = group.task_group.unwrap_or_default().tasks;
                self.refuse_all(now, framework, &tasks, &named_launch(), step);
            }
            Use::Launch(tasks) => self.launch_all(now, framework, taken, tasks, step),
            Use::LaunchGroup(group) => self.launch_group(now, framework, taken, *group, step),
            Use::Other(id) => {
                let message = "operations other than LAUNCH and LAUNCH_GROUP are not supported";
                let state = OperationState::Error;
                self.refuse_operation(framework, id, state, message.to_owned(), step);
            }
        }
    }

    /// An operation on offers that cannot be used.
    fn drop_operation(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        operation: Operation,
        refusal: &Refusal,
        step: &mut Step,
    ) {
        match use_of(operation) {
            Use::Launch(tasks) => self.refuse_all(now, framework, &tasks, refusal, step),
            Use::LaunchGroup(group) => {
                let tasks = group.task_group.unwrap_or_default().tasks;
                self.refuse_all(now, framework, &tasks, refusal, step);
            }
            Use::Other(id) => {
                let message = refusal.message.replace("Task launched", "Operation attempted");
                self.refuse_operation(framework, id, OperationState::Dropped, message, step);
            }
        }
    }

    /// An operation that is not carried out. One with an id has an answer; one without is dropped,
    /// as Mesos does with an operation that it cannot perform.
    fn refuse_operation(
        &self,
        framework: &FrameworkId,
        id: Option<OperationId>,
        state: OperationState,
        message: String,
        step: &mut Step,
    ) {
        step.ignore_call(framework, message.as_str());
        if id.is_some() {
            let status = OperationStatus {
                operation_id: id,
                state: state as i32,
                message: Some(message),
                ..OperationStatus::default()
            };
            self.tell(framework, wire::operation(status), step);
        }
    }

    pub(super) fn refuse_all(
        &self,
        now: Now,
        framework: &FrameworkId,
        tasks: &[TaskInfo],
        refusal: &Refusal,
        step: &mut Step,
    ) {
        for task in tasks {
            self.refuse_task(now, framework, task, refusal.clone(), step);
        }
    }

    pub(super) fn refuse_task(
        &self,
        now: Now,
        framework_id: &FrameworkId,
        task: &TaskInfo,
        refusal: Refusal,
        step: &mut Step,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let agent = wire::agent_id_in(task.agent_id.as_ref());
        let nameless = TaskId::default();
        let task = task.task_id.as_ref().unwrap_or(&nameless);
        step.note_refusal(Note::TaskRefused {
            task: words::clip(task.value.clone()),
            reason: refusal.message.clone(),
        });
        let state = framework.told(refusal.state);
        let Refusal { reason, message, .. } = refusal;
        let agent = agent.as_ref();
        let status = MasterStatus { task, agent, executor: None, state, reason, message };
        self.tell(framework_id, wire::update(status.at(now)), step);
    }
}

/// What a framework is told of a task that is not launched.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    state: TaskState,
    reason: Reason,
    message: String,
}

impl Refusal {
    /// What is said is bounded, for it is said of each task of a call.
    fn new(state: TaskState, reason: Reason, message: String) -> Self {
        Self { state, reason, message: words::clip(message) }
    }

    fn dropped(reason: Reason, message: String) -> Self {
        Self::new(TaskState::Dropped, reason, message)
    }

    /// Its agent went between the offer and the launch.
    pub(super) fn disconnected(agent: &AgentId) -> Self {
        Self::dropped(Reason::AgentDisconnected, format!("Agent {agent} disconnected"))
    }

    /// So much is on its way to the agent that it has to take that first.
    pub(super) fn behind(agent: &AgentId) -> Self {
        let message = format!("Agent {agent} was sent too much to launch in the last seconds");
        Self::dropped(Reason::AgentDisconnected, message)
    }

    /// The group that it is of cannot be launched.
    pub(super) fn group(message: String) -> Self {
        Self::new(TaskState::Error, Reason::TaskGroupInvalid, message)
    }
}

impl From<InvalidTask> for Refusal {
    fn from(error: InvalidTask) -> Self {
        Self::new(TaskState::Error, Reason::TaskInvalid, error.to_string())
    }
}

fn named_launch() -> Refusal {
    let message = "The 'id' field was set in an offer operation, which LAUNCH and LAUNCH_GROUP \
                   do not have";
    Refusal::new(TaskState::Error, Reason::TaskInvalid, message.to_owned())
}

fn use_of(operation: Operation) -> Use {
    let kind = operation.r#type.and_then(|kind| OperationType::try_from(kind).ok());
    match (kind, operation.launch, operation.launch_group) {
        (Some(OperationType::Launch), Some(launch), _) => Use::Launch(launch.task_infos),
        (Some(OperationType::LaunchGroup), _, Some(group)) => Use::LaunchGroup(group),
        _ => Use::Other(operation.id),
    }
}
