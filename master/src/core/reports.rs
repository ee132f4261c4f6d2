//! What agents report: statuses of tasks, and the end of executors.

use muster_api::AgentId;
use muster_proto::{
    ExecutorId, FrameworkId, TaskId, TaskState,
    agent::{ExecutorExited, ExecutorMessage, Status},
    scheduler::{Failure, MessageBody},
};

use super::{
    event::{Connection, Step},
    framework::Standing,
    master::Master,
    wire,
};

impl Master {
    /// What became of a task. Its resources are free at the first word of its end; the status goes
    /// to its framework, which acknowledges it. A framework that is away gets it later: the agent
    /// repeats what is not acknowledged.
    pub(super) fn status(
        &mut self,
        agent_id: &AgentId,
        on: Connection,
        report: Status,
        step: &mut Step,
    ) {
        let Some((framework_id, mut status)) = report.framework_id.zip(report.status) else {
            step.ignore_report(agent_id, "a status lacks its framework or its content");
            return;
        };
        let (Some(task_id), Ok(state)) =
            (status.task_id.clone(), TaskState::try_from(status.state))
        else {
            step.ignore_report(agent_id, "a status lacks its task or has an unknown state");
            return;
        };
        let latest = TaskState::try_from(report.latest_state).unwrap_or(state);
        let latest = if state.is_terminal() { state } else { latest };
        self.learn_state(agent_id, &framework_id, &task_id, latest);
        match self.frameworks.get(&framework_id).map(|framework| framework.standing) {
            Some(Standing::Subscribed { .. }) => {
                let agent = self.agents.get_mut(agent_id);
                let task = agent.and_then(|agent| agent.task_mut(&framework_id, &task_id));
                if let Some(task) = task {
                    task.reported = Some(state);
                    task.last_uuid = status.uuid.clone().filter(|_| state.is_terminal());
                }
                status.agent_id.get_or_insert_with(|| wire::agent_id_out(agent_id));
                step.tell_framework(&framework_id, wire::update(status));
            }
            Some(Standing::Removed { .. }) => {
                // Nobody else will acknowledge it.
                let uuid = status.uuid.unwrap_or_default();
                if state.is_terminal() {
                    self.forget_task(&framework_id, agent_id, &task_id);
                }
                step.tell_agent(on, wire::acknowledge(&framework_id, &task_id, uuid));
            }
            Some(Standing::Away) => {}
            None => step.ignore_report(agent_id, "a status is of an unknown framework"),
        }
    }

    /// Notes the newest state of a task, and what it proves about its executor.
    fn learn_state(
        &mut self,
        agent_id: &AgentId,
        framework: &FrameworkId,
        task: &TaskId,
        latest: TaskState,
    ) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let Some(executor) = agent.task_mut(framework, task).map(|task| task.executor.clone())
        else {
            return;
        };
        if agent.set_state(framework, task, latest) {
            self.changed.insert(agent_id.clone());
        }
        let Some(here) = agent.here.get_mut(framework) else { return };
        let Some(entry) = here.executors.get_mut(&executor) else { return };
        entry.proved |= latest != TaskState::Dropped;
        // An executor of which nothing but dropped launches is known was never started.
        let unused = || {
            let mut tasks = here.tasks.values();
            !tasks.any(|task| task.executor == executor && !task.state.is_terminal())
        };
        if !entry.proved && unused() {
            agent.remove_executor(framework, &executor);
            self.changed.insert(agent_id.clone());
        }
    }

    /// Passes on that a status is in custody, and forgets its task if it was the last one.
    pub(super) fn pass_acknowledgement(
        &mut self,
        framework: &FrameworkId,
        agent_id: &AgentId,
        on: Connection,
        task: &TaskId,
        uuid: Vec<u8>,
        step: &mut Step,
    ) {
        let agent = self.agents.get_mut(agent_id);
        let known = agent.and_then(|agent| agent.task_mut(framework, task));
        if known.is_some_and(|known| known.last_uuid.as_ref() == Some(&uuid)) {
            self.forget_task(framework, agent_id, task);
        }
        step.tell_agent(on, wire::acknowledge(framework, task, uuid));
    }

    fn forget_task(&mut self, framework: &FrameworkId, agent_id: &AgentId, task: &TaskId) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        if agent.remove_task(framework, task).is_some()
            && let Some(framework) = self.frameworks.get_mut(framework)
        {
            framework.tasks.remove(task);
        }
    }

    /// An executor has ended with all its descendants. Its tasks that are not over stay, with what
    /// they use, until their own end is reported.
    pub(super) fn executor_exited(
        &mut self,
        agent_id: &AgentId,
        exited: ExecutorExited,
        step: &mut Step,
    ) {
        let Some((framework_id, executor_id)) = exited.framework_id.zip(exited.executor_id) else {
            step.ignore_report(agent_id, "an executor's end lacks its framework or its id");
            return;
        };
        self.executor_gone(agent_id, &framework_id, &executor_id);
        let subscribed =
            self.frameworks.get(&framework_id).is_some_and(|framework| framework.is_subscribed());
        if subscribed {
            let failure = Failure {
                agent_id: Some(wire::agent_id_out(agent_id)),
                executor_id: Some(executor_id),
                status: Some(exited.status),
            };
            step.tell_framework(&framework_id, wire::failure(failure));
        }
    }

    /// An executor has something for its framework, which gets it as Mesos has it: at once or not at
    /// all. It counts as taken when it is given, so only after the commit of what the framework of
    /// this process made of it; an executor that wants to be sure sends it again until then.
    pub(super) fn executor_message(
        &mut self,
        agent_id: &AgentId,
        on: Connection,
        message: ExecutorMessage,
        step: &mut Step,
    ) {
        let ExecutorMessage { framework_id, executor_id, data, number } = message;
        let Some((framework_id, executor_id)) = framework_id.zip(executor_id) else {
            step.ignore_report(agent_id, "a message of an executor lacks whose or which it is");
            return;
        };
        match self.frameworks.get(&framework_id).map(|framework| framework.standing) {
            Some(Standing::Subscribed { .. }) => {
                let agent_id = Some(wire::agent_id_out(agent_id));
                let executor_id = Some(executor_id.clone());
                let message = MessageBody { agent_id, executor_id, data };
                step.tell_framework(&framework_id, wire::message(message));
            }
            // Nobody will ever want it.
            Some(Standing::Removed { .. }) => {}
            Some(Standing::Away) => return,
            None => {
                step.ignore_report(agent_id, "a message is for an unknown framework");
                return;
            }
        }
        if let Some(number) = number {
            step.tell_agent(on, wire::message_taken(&framework_id, &executor_id, number));
        }
    }

    fn executor_gone(&mut self, agent_id: &AgentId, framework: &FrameworkId, id: &ExecutorId) {
        let agent = self.agents.get_mut(agent_id);
        if agent.is_some_and(|agent| agent.remove_executor(framework, id)) {
            self.changed.insert(agent_id.clone());
        }
    }
}
