//! What agents report: statuses of tasks, and the end of executors.

use muster_api::{AgentId, limits};
use muster_proto::{
    ContainerStatus, ExecutorId, FrameworkId, Reason, StatusSource, TaskId, TaskState, TaskStatus,
    agent::{ExecutorExited, ExecutorMessage, Status},
    scheduler::{Failure, MessageBody},
};
use prost::Message as _;

use super::{
    event::{Connection, Step},
    framework::{Door, Framework, Standing},
    here::Task,
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
        let lives = status.container_status.as_ref().is_some_and(|one| one.container_id.is_some());
        let executor_lives = latest != TaskState::Dropped || lives;
        self.learn_state(agent_id, &framework_id, &task_id, latest, executor_lives);
        match self.frameworks.get(&framework_id).map(|framework| &framework.standing) {
            Some(Standing::Subscribed { .. } | Standing::Away { .. }) => {
                status.agent_id.get_or_insert_with(|| wire::agent_id_out(agent_id));
                self.keep_status(agent_id, &framework_id, &task_id, &status);
                self.tell_status(agent_id, &framework_id, status, step);
            }
            Some(Standing::Removed { .. }) => {
                self.acknowledge_for_the_removed(agent_id, on, &framework_id, status, step);
            }
            None => step.ignore_report(agent_id, "a status is of an unknown framework"),
        }
    }

    /// Keeps a status as its agent said it, so that a framework over HTTP that comes back is told of
    /// it at once; a large one it gets when the agent says it again.
    fn keep_status(
        &mut self,
        agent_id: &AgentId,
        framework: &FrameworkId,
        task: &TaskId,
        status: &TaskStatus,
    ) {
        if self.embedded.as_ref() == Some(framework) {
            return;
        }
        let agent = self.agents.get_mut(agent_id);
        if let Some(task) = agent.and_then(|agent| agent.task_mut(framework, task)) {
            let fits = status.encoded_len() <= limits::STATUS_KEPT_BYTES;
            task.unacknowledged = fits.then(|| Box::new(status.clone()));
            let container = status.container_status.as_deref();
            let kept =
                |one: &&ContainerStatus| one.encoded_len() <= limits::CONTAINER_STATUS_KEPT_BYTES;
            task.container = container.filter(kept).cloned().map(Box::new);
        }
    }

    /// Tells a framework a status of one of its tasks, if it is subscribed: over HTTP in the states
    /// that it knows, and with the reason that only the master knows.
    pub(super) fn tell_status(
        &mut self,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        mut status: TaskStatus,
        step: &mut Step,
    ) {
        let Some(door) = self.frameworks.get(framework_id).and_then(Framework::door) else {
            return;
        };
        let by_executor = status.source == Some(StatusSource::Executor as i32);
        if matches!(door, Door::Stream(_)) && !by_executor {
            status.state = self.frameworks[framework_id].told(status.state()) as i32;
        }
        let agent = self.agents.get_mut(agent_id);
        let task = status.task_id.as_ref();
        if let Some(task) = agent.zip(task).and_then(|(one, id)| one.task_mut(framework_id, id)) {
            let is_killed = status.state == TaskState::Killed as i32;
            if is_killed && task.kill.is_some_and(|kill| kill.drained) {
                status.reason.get_or_insert(Reason::AgentDraining as i32);
            }
            task.tell(&status);
        }
        self.tell(framework_id, wire::update(status), step);
    }

    /// Notes the newest state of a task, and what it proves about its executor.
    fn learn_state(
        &mut self,
        agent_id: &AgentId,
        framework: &FrameworkId,
        task: &TaskId,
        latest: TaskState,
        executor_lives: bool,
    ) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let Some(executor) = agent.task_mut(framework, task).map(|task| task.executor.clone())
        else {
            return;
        };
        if agent.set_state(&mut self.books, framework, task, latest) {
            self.changed.insert(agent_id.clone());
        }
        let Some(executor) = executor else { return };
        let Some(here) = agent.here.get_mut(framework) else { return };
        let Some(entry) = here.executors.get_mut(&executor) else { return };
        entry.proved |= executor_lives;
        // An executor of which nothing but dropped launches is known was never started.
        let unused = || {
            let mut tasks = here.tasks.values();
            !tasks
                .any(|task| task.executor.as_ref() == Some(&executor) && !task.state.is_terminal())
        };
        if !entry.proved && unused() {
            agent.remove_executor(&mut self.books, framework, &executor);
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
        let mut known = agent.and_then(|agent| agent.task_mut(framework, task));
        if let Some(known) = &mut known {
            let waits = known.unacknowledged.as_ref().and_then(|status| status.uuid.as_ref());
            if waits == Some(&uuid) {
                known.unacknowledged = None;
            }
        }
        if known.is_some_and(|known| known.last_uuid.as_ref() == Some(&uuid)) {
            self.forget_task(framework, agent_id, task);
        }
        step.tell_agent(on, wire::acknowledge(framework, task, uuid));
    }

    fn forget_task(&mut self, framework: &FrameworkId, agent_id: &AgentId, task: &TaskId) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        if agent.remove_task(&mut self.books, framework, task).is_some()
            && let Some(framework) = self.frameworks.get_mut(framework)
        {
            framework.tasks.remove(task);
        }
    }

    /// Acknowledges a status of a framework that has ended for ever: nobody else will.
    fn acknowledge_for_the_removed(
        &mut self,
        agent_id: &AgentId,
        on: Connection,
        framework: &FrameworkId,
        status: TaskStatus,
        step: &mut Step,
    ) {
        let is_over = status.state().is_terminal();
        let task = status.task_id.unwrap_or_default();
        if is_over {
            self.forget_task(framework, agent_id, &task);
        }
        let uuid = status.uuid.unwrap_or_default();
        step.tell_agent(on, wire::acknowledge(framework, &task, uuid));
    }

    /// Acknowledges what a framework that ends had not: what its agents have to say after that is
    /// not held up until they repeat it, nor is what its tasks hold.
    pub(super) fn acknowledge_what_waits(&mut self, id: &FrameworkId, step: &mut Step) {
        let mut waiting = Vec::new();
        for (agent_id, agent) in &mut self.agents {
            let Some(on) = agent.connection() else { continue };
            let Some(here) = agent.here.get_mut(id) else { continue };
            let kept = here.tasks.values_mut().filter_map(|task| task.unacknowledged.take());
            waiting.extend(kept.map(|status| (agent_id.clone(), on, *status)));
        }
        for (agent, on, status) in waiting {
            self.acknowledge_for_the_removed(&agent, on, id, status, step);
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
        let known = self.executor_gone(agent_id, &framework_id, &executor_id);
        let door = self.frameworks.get(&framework_id).and_then(Framework::door);
        // The executor that an agent has for a command is its own affair.
        if door == Some(Door::Embedded) || door.is_some() && known {
            let failure = Failure {
                agent_id: Some(wire::agent_id_out(agent_id)),
                executor_id: Some(executor_id),
                status: Some(exited.status),
            };
            self.tell(&framework_id, wire::failure(failure), step);
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
        match self.frameworks.get(&framework_id).map(|framework| &framework.standing) {
            Some(Standing::Subscribed { .. }) => {
                let agent_id = Some(wire::agent_id_out(agent_id));
                let executor_id = Some(executor_id.clone());
                let message = MessageBody { agent_id, executor_id, data };
                self.tell(&framework_id, wire::message(message), step);
            }
            // Nobody will ever want it.
            Some(Standing::Removed { .. }) => {}
            Some(Standing::Away { .. }) => return,
            None => {
                step.ignore_report(agent_id, "a message is for an unknown framework");
                return;
            }
        }
        if let Some(number) = number {
            step.tell_agent(on, wire::message_taken(&framework_id, &executor_id, number));
        }
    }

    /// Takes an executor out; whether it was known.
    fn executor_gone(
        &mut self,
        agent_id: &AgentId,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) -> bool {
        let Some(agent) = self.agents.get_mut(agent_id) else { return false };
        let known = agent.remove_executor(&mut self.books, framework, id);
        if known {
            self.changed.insert(agent_id.clone());
        }
        known
    }
}

impl Task {
    /// Its framework is told this.
    pub(super) fn tell(&mut self, status: &TaskStatus) {
        let state = TaskState::try_from(status.state).ok();
        self.reported = state.or(self.reported);
        let is_end = state.is_some_and(TaskState::is_terminal);
        self.last_uuid = status.uuid.clone().filter(|_| is_end);
    }
}
