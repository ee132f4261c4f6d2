//! RECONCILE and KILL: what the master knows of a task, or has to say of one that it does not know.

use std::ops::Bound;

use muster_api::{AgentId, Now, Timestamp, limits};
use muster_proto::{
    ContainerStatus, ExecutorId, FrameworkId, OperationState, OperationStatus, Reason, TaskId,
    TaskState,
    scheduler::{Kill, Reconcile, ReconcileOperation, ReconcileOperations},
};

use super::{
    agent::Agent,
    event::Step,
    framework::{Door, Framework},
    here::{self, Task},
    master::Master,
    questions::{self, Next, Question},
    silence::time_info,
    wire::{self, MasterStatus},
};

/// What there is to say of a task.
struct Answer<'a> {
    state: TaskState,
    agent: Option<&'a AgentId>,
    executor: Option<&'a ExecutorId>,
    /// In which container it runs, as far as that is kept.
    container: Option<&'a ContainerStatus>,
    /// Since when its agent cannot be reached, if it cannot.
    unreachable: Option<Timestamp>,
    message: &'static str,
}

impl Master {
    /// Answers for the tasks named, or for all that are known; where these are many, this step
    /// tells of the first, and ticks of the others, as fast as a framework can read.
    pub(super) fn reconcile(
        &mut self,
        now: Now,
        id: &FrameworkId,
        reconcile: Reconcile,
        step: &mut Step,
    ) {
        self.questions.asked(now.mono);
        if reconcile.tasks.is_empty() {
            self.questions.ask_all(id, Bound::Unbounded);
        } else if let Err(error) = self.questions.ask(id, questions::tasks(reconcile)) {
            step.ignore_call(id, error.to_string());
        }
        self.tell_on(now, id, step);
    }

    /// Answers for operations, as for tasks.
    pub(super) fn reconcile_operations(
        &mut self,
        now: Now,
        id: &FrameworkId,
        reconcile: ReconcileOperations,
        step: &mut Step,
    ) {
        self.questions.asked(now.mono);
        let operations = reconcile.operations.into_iter().map(Question::Operation);
        if let Err(error) = self.questions.ask(id, operations) {
            step.ignore_call(id, error.to_string());
        }
        self.tell_on(now, id, step);
    }

    /// Goes on with what was begun: the framework whose turn it is is told what it asked about.
    pub(super) fn tick_questions(&mut self, now: Now, step: &mut Step) {
        if let Some(id) = self.questions.whose_turn(now.mono) {
            self.tell_on(now, &id, step);
        }
    }

    /// Tells a framework of the next that it asked about.
    fn tell_on(&mut self, now: Now, id: &FrameworkId, step: &mut Step) {
        match self.questions.next_of(id) {
            None => {}
            Some(Next::Questions(questions)) => {
                for question in questions {
                    match question {
                        Question::Task(task, hint) => {
                            self.answer(now, id, &task, hint.as_ref(), step);
                        }
                        Question::Operation(asked) => self.answer_operation(id, asked, step),
                    }
                }
            }
            Some(Next::All(after)) => self.name_on(now, id, after, step),
        }
    }

    /// Names the next tasks of a framework, and remembers how far it has come if there are more.
    fn name_on(&mut self, now: Now, id: &FrameworkId, after: Bound<TaskId>, step: &mut Step) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let next = framework.tasks.range((after, Bound::Unbounded));
        let next: Vec<TaskId> =
            next.take(limits::RECONCILE_TASKS).map(|(task, _)| task.clone()).collect();
        for task in &next {
            self.answer(now, id, task, None, step);
        }
        if next.len() == limits::RECONCILE_TASKS
            && let Some(last) = next.into_iter().last()
        {
            self.questions.ask_all(id, Bound::Excluded(last));
        }
    }

    /// Ends a task. The kill is kept until the task is over, and sent again when its agent comes
    /// back, also where the task counts as lost till then. A task that is not known, lost, or not to
    /// be reached is answered like a question about it. One that is elsewhere than its framework
    /// believes is left alone, as in Mesos.
    pub(super) fn kill(&mut self, now: Now, id: &FrameworkId, kill: Kill, step: &mut Step) {
        let Some(task_id) = kill.task_id else {
            step.ignore_call(id, "a kill names no task");
            return;
        };
        let place = self.frameworks.get(id).and_then(|framework| framework.tasks.get(&task_id));
        let hint = wire::agent_id_in(kill.agent_id.as_ref());
        if let Some(at) = place
            && hint.as_ref().is_some_and(|hint| hint != at)
        {
            let ignored =
                format!("a kill is for task `{}` elsewhere than on `{at}`", task_id.value);
            step.ignore_call(id, ignored);
            return;
        }
        let Some(agent) = place.and_then(|agent| self.agents.get_mut(agent)) else {
            for lost in self.lost.tasks_mut(id, &task_id) {
                lost.kill = Some(here::Kill { policy: kill.kill_policy, drained: false });
            }
            self.answer(now, id, &task_id, hint.as_ref(), step);
            return;
        };
        if let Some(task) = agent.task_mut(id, &task_id) {
            task.kill = Some(here::Kill { policy: kill.kill_policy, drained: false });
        }
        if let Some(connection) = agent.connection() {
            step.tell_agent(connection, wire::kill(id, &task_id, kill.kill_policy));
        } else if agent.unreachable.is_some() {
            self.answer(now, id, &task_id, hint.as_ref(), step);
        }
    }

    /// Says what is known of a task. Silence means: ask again, its agent may still come.
    fn answer(
        &self,
        now: Now,
        id: &FrameworkId,
        task: &TaskId,
        hint: Option<&AgentId>,
        step: &mut Step,
    ) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let answer = match framework.tasks.get(task) {
            Some(agent) => self.known(now, id, task, agent),
            None => match self.lost.agent_of(id, task) {
                Some(agent) => self.lost_on(now, agent),
                None => self.unknown(now, framework, hint),
            },
        };
        let Some(Answer { state, agent, executor, container, unreachable, message }) = answer
        else {
            return;
        };
        let status = MasterStatus {
            task,
            agent,
            executor,
            state: framework.told(state),
            reason: Reason::Reconciliation,
            message: format!("Reconciliation: {message}"),
        };
        let mut status = status.at(now);
        status.unreachable_time = unreachable.map(time_info);
        status.container_status = container.cloned().map(Box::new);
        self.tell(id, wire::update(status), step);
    }

    fn known<'a>(
        &'a self,
        now: Now,
        id: &FrameworkId,
        task: &TaskId,
        agent_id: &'a AgentId,
    ) -> Option<Answer<'a>> {
        let agent = self.agents.get(agent_id)?;
        let task = agent.here.get(id)?.tasks.get(task)?;
        let state = task.known_state();
        let unreachable = match state.is_terminal() {
            true => None,
            false => self.unreachable_since(now, &self.frameworks[id], agent),
        };
        let (state, message) = match unreachable {
            Some(_) => (TaskState::Unreachable, UNREACHABLE),
            None => (state, "Latest task state"),
        };
        let (executor, container) = (task.executor.as_ref(), task.container.as_deref());
        Some(Answer { state, agent: Some(agent_id), executor, container, unreachable, message })
    }

    /// What there is to say of a task that was lost with the connection of its agent, and may live.
    fn lost_on<'a>(&'a self, now: Now, agent_id: &'a AgentId) -> Option<Answer<'a>> {
        let agent = self.agents.get(agent_id)?;
        let silent = || now.wall.before(now.mono.since(agent.heard));
        Some(Answer {
            state: TaskState::Unreachable,
            agent: Some(agent_id),
            executor: None,
            container: None,
            unreachable: Some(agent.unreachable.unwrap_or_else(silent)),
            message: UNREACHABLE,
        })
    }

    fn unknown<'a>(
        &'a self,
        now: Now,
        framework: &Framework,
        hint: Option<&'a AgentId>,
    ) -> Option<Answer<'a>> {
        let answer = |state, message, unreachable| {
            let (executor, container) = (None, None);
            Some(Answer { state, agent: hint, executor, container, unreachable, message })
        };
        let strange = "Task is unknown";
        let Some(agent_id) = hint else {
            let settled = !self.awaits_agents(framework);
            return settled.then(|| answer(TaskState::Unknown, strange, None)).flatten();
        };
        match self.agents.get(agent_id) {
            None if self.gone.contains_key(agent_id) => {
                answer(TaskState::GoneByOperator, "Task is gone", None)
            }
            None => answer(TaskState::Unknown, strange, None),
            Some(agent) if self.is_awaited(framework, agent) => None,
            Some(agent) => match self.unreachable_since(now, framework, agent) {
                Some(since) => answer(TaskState::Unreachable, UNREACHABLE, Some(since)),
                None => answer(TaskState::Gone, "Task is unknown to the agent", None),
            },
        }
    }

    /// Since when an agent cannot be reached, to a framework: over HTTP since it was told so, while
    /// the scheduler of this process counts from the last heartbeat.
    fn unreachable_since(
        &self,
        now: Now,
        framework: &Framework,
        agent: &Agent,
    ) -> Option<Timestamp> {
        match framework.door() {
            Some(Door::Stream(_)) => agent.unreachable,
            Some(Door::Embedded) | None => {
                agent.is_silent().then(|| now.wall.before(now.mono.since(agent.heard)))
            }
        }
    }

    /// Whether an agent is still expected back after the start of this master.
    fn is_awaited(&self, framework: &Framework, agent: &Agent) -> bool {
        let given_up = framework.stream().is_some() && agent.unreachable.is_some();
        !agent.came && !given_up
    }

    fn awaits_agents(&self, framework: &Framework) -> bool {
        self.missing > 0 && self.agents.values().any(|agent| self.is_awaited(framework, agent))
    }

    /// Answers for an operation that a framework gave an id: none is ever carried out here, so none
    /// is known.
    fn answer_operation(&self, id: &FrameworkId, asked: ReconcileOperation, step: &mut Step) {
        let agent = wire::agent_id_in(asked.agent_id.as_ref());
        let known = agent.as_ref().and_then(|agent| self.agents.get(agent));
        let state = match (known, &agent) {
            (Some(agent), _) if agent.unreachable.is_some() => OperationState::Unreachable,
            (Some(agent), _) if !agent.came => OperationState::Recovering,
            (None, Some(agent)) if self.gone.contains_key(agent) => OperationState::GoneByOperator,
            _ => OperationState::Unknown,
        };
        let status = OperationStatus {
            operation_id: asked.operation_id,
            state: state as i32,
            message: Some("Reconciliation: Operation is unknown".to_owned()),
            agent_id: asked.agent_id,
            resource_provider_id: asked.resource_provider_id,
            ..OperationStatus::default()
        };
        self.tell(id, wire::operation(status), step);
    }
}

/// That an agent cannot be reached.
const UNREACHABLE: &str = "Task is unreachable";

impl Task {
    /// The state that a framework may be told without the status that belongs to it. The end of a
    /// task is only ever told by its own status first, which carries what it returned.
    pub(super) fn known_state(&self) -> TaskState {
        match self.reported {
            Some(reported) => reported,
            None if self.state.is_terminal() => TaskState::Staging,
            None => self.state,
        }
    }
}
