//! RECONCILE and KILL: what the master knows of a task, or has to say of one that it does not know.

use std::ops::Bound;

use muster_api::{AgentId, Now, limits};
use muster_proto::{
    FrameworkId, Reason, TaskId, TaskState, TimeInfo,
    scheduler::{Kill, Reconcile},
};

use super::{
    agent::{self, Agent, Task},
    event::Step,
    master::Master,
    wire::{self, MasterStatus},
};

/// What there is to say of a task.
struct Answer<'a> {
    state: TaskState,
    agent: Option<&'a AgentId>,
    /// The agent that cannot be reached.
    silent: Option<&'a Agent>,
}

impl Master {
    /// Answers for the tasks named, or for all that are known; where these are many, this step
    /// names the first, and ticks that are due at once the others.
    pub(super) fn reconcile(
        &mut self,
        now: Now,
        id: &FrameworkId,
        reconcile: &Reconcile,
        step: &mut Step,
    ) {
        if reconcile.tasks.is_empty() {
            self.naming.remove(id);
            self.name_on(now, id, step);
        }
        for asked in &reconcile.tasks {
            let Some(task) = &asked.task_id else { continue };
            let hint = wire::agent_id_in(asked.agent_id.as_ref());
            self.answer(now, id, task, hint.as_ref(), step);
        }
    }

    /// Goes on with what was begun: frameworks are told of their tasks.
    pub(super) fn tick_naming(&mut self, now: Now, step: &mut Step) {
        for id in self.naming.keys().cloned().collect::<Vec<_>>() {
            self.name_on(now, &id, step);
        }
    }

    /// Names the next tasks of a framework, and remembers how far it has come if there are more.
    fn name_on(&mut self, now: Now, id: &FrameworkId, step: &mut Step) {
        let after = self.naming.remove(id).map_or(Bound::Unbounded, Bound::Excluded);
        let Some(framework) = self.frameworks.get(id) else { return };
        let next = framework.tasks.range((after, Bound::Unbounded));
        let next: Vec<TaskId> =
            next.take(limits::RECONCILE_TASKS).map(|(task, _)| task.clone()).collect();
        for task in &next {
            self.answer(now, id, task, None, step);
        }
        if next.len() == limits::RECONCILE_TASKS {
            self.naming.extend(next.into_iter().last().map(|last| (id.clone(), last)));
        }
    }

    /// Ends a task. The kill is kept until the task is over, and sent again when its agent comes
    /// back. A task that is not known is answered like a question about it.
    pub(super) fn kill(&mut self, now: Now, id: &FrameworkId, kill: Kill, step: &mut Step) {
        let Some(task_id) = kill.task_id else {
            step.ignore_call(id, "a kill names no task");
            return;
        };
        let place = self.frameworks.get(id).and_then(|framework| framework.tasks.get(&task_id));
        let Some(agent) = place.and_then(|agent| self.agents.get_mut(agent)) else {
            let hint = wire::agent_id_in(kill.agent_id.as_ref());
            self.answer(now, id, &task_id, hint.as_ref(), step);
            return;
        };
        if let Some(task) = agent.task_mut(id, &task_id) {
            task.kill = Some(agent::Kill { policy: kill.kill_policy });
        }
        if let Some(connection) = agent.connection() {
            step.tell_agent(connection, wire::kill(id, &task_id, kill.kill_policy));
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
            Some(agent) => self.known(id, task, agent),
            None => self.unknown(hint),
        };
        let Some(Answer { state, agent, silent }) = answer else { return };
        let status = MasterStatus {
            task,
            agent,
            state: framework.told(state),
            reason: Reason::Reconciliation,
            message: "answer to reconciliation".to_owned(),
        };
        let mut status = status.at(now);
        status.unreachable_time = silent.map(|agent| since(agent, now));
        step.tell_framework(id, wire::update(status));
    }

    fn known<'a>(
        &'a self,
        id: &FrameworkId,
        task: &TaskId,
        agent_id: &'a AgentId,
    ) -> Option<Answer<'a>> {
        let agent = self.agents.get(agent_id)?;
        let state = agent.here.get(id)?.tasks.get(task)?.known_state();
        let silent = (agent.is_silent() && !state.is_terminal()).then_some(agent);
        let state = if silent.is_some() { TaskState::Unreachable } else { state };
        Some(Answer { state, agent: Some(agent_id), silent })
    }

    fn unknown<'a>(&'a self, hint: Option<&'a AgentId>) -> Option<Answer<'a>> {
        let Some(agent_id) = hint else {
            let answer = Answer { state: TaskState::Unknown, agent: None, silent: None };
            return (self.missing == 0).then_some(answer);
        };
        let (state, silent) = match self.agents.get(agent_id) {
            None if self.gone.contains_key(agent_id) => (TaskState::GoneByOperator, None),
            None => (TaskState::Unknown, None),
            Some(agent) if !agent.came => return None,
            Some(agent) if agent.is_silent() => (TaskState::Unreachable, Some(agent)),
            Some(_) => (TaskState::Gone, None),
        };
        Some(Answer { state, agent: Some(agent_id), silent })
    }
}

impl Task {
    /// The state that a framework may be told without the status that belongs to it. The end of a
    /// task is only ever told by its own status first, which carries what it returned.
    fn known_state(&self) -> TaskState {
        match self.reported {
            Some(reported) => reported,
            None if self.state.is_terminal() => TaskState::Staging,
            None => self.state,
        }
    }
}

/// Since when an agent is not heard, on the wall clock.
fn since(agent: &Agent, now: Now) -> TimeInfo {
    let since = now.wall.before(now.mono.since(agent.heard));
    TimeInfo { nanoseconds: since.as_millis().saturating_mul(1_000_000) }
}
