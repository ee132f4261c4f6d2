//! Agents that are not heard, as frameworks over HTTP are told of them: their tasks are lost when an
//! agent has been silent for long, or at once where they do not outlive its connection; and found
//! again when it comes back with them.
//!
//! The scheduler of this process is told otherwise ([`AgentNews`](super::AgentNews)), and reckons
//! with leases.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use muster_api::{AgentId, Now, Timestamp, limits};
use muster_proto::{ExecutorId, FrameworkId, Reason, TaskId, TaskState, TimeInfo};

use super::{
    agent::Agent,
    event::{Effect, Step},
    framework::Framework,
    here::Here,
    master::Master,
    note::Note,
    wire::{self, MasterStatus},
};

/// Tasks that were lost with the connection of their agent and that it has all the same.
pub(super) type Found = BTreeMap<FrameworkId, BTreeSet<TaskId>>;

/// What is said of a task that nobody asked about.
struct Said {
    framework: FrameworkId,
    task: TaskId,
    executor: Option<ExecutorId>,
    state: TaskState,
}

impl Master {
    /// Sets the time from which an agent counts as unreachable, if it is silent; else nobody waits
    /// for that.
    pub(super) fn watch_for_loss(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if let Some(at) = agent.loss.take() {
            self.losses.remove(&(at, id.clone()));
        }
        if agent.is_silent() && agent.unreachable.is_none() {
            let at = agent.heard + limits::AGENT_UNREACHABLE_AFTER;
            agent.loss = Some(at);
            self.losses.insert((at, id.clone()));
        }
    }

    /// Nobody waits for an agent any more that is no longer known.
    pub(super) fn forget_loss(&mut self, id: &AgentId, agent: &Agent) {
        if let Some(at) = agent.loss {
            self.losses.remove(&(at, id.clone()));
        }
    }

    /// An agent was silent for too long: its tasks count as lost. What it holds stays its own.
    pub(super) fn lose_agent(&mut self, now: Now, id: &AgentId, step: &mut Step) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        (agent.unreachable, agent.loss) = (Some(now.wall), None);
        step.notes.push(Note::AgentUnreachable { agent: id.clone() });
        let lost = self.live_tasks(id, |_| true);
        let how = How { reason: Reason::AgentRemoved, message: "health check timed out" };
        for said in lost {
            let said = Said { state: TaskState::Unreachable, ..said };
            self.say(now, id, &said, &how, Some(now.wall), step);
        }
        let streams = self.frameworks.iter().filter(|(_, framework)| framework.stream().is_some());
        for (framework, _) in streams {
            self.tell(framework, wire::agent_lost(id), step);
        }
        // A host that vanished never says so. If it is there after all it would have to register
        // anew in any case.
        if let Some(connection) = self.unlink(id, step) {
            step.effects.push(Effect::Close { connection });
        }
    }

    /// The connection of an agent has ended: what does not outlive it is lost, and put aside until
    /// the agent says that it lives all the same. Silence is not enough: an agent that is heard
    /// again on the same connection says nothing of what it runs.
    pub(super) fn drop_passing(&mut self, now: Now, id: &AgentId, step: &mut Step) {
        // What removed ones have is to end there, and is counted until it does.
        let passing =
            |framework: &Framework| !framework.keeps_executors() && !framework.is_removed();
        let lost = self.live_tasks(id, passing);
        let Some(agent) = self.agents.get_mut(id) else { return };
        let message = format!("Agent {} disconnected", agent.facts.hostname);
        let here: Vec<_> = agent.here.keys().cloned().collect();
        for framework_id in here {
            let framework = self.frameworks.get_mut(&framework_id).expect("it has tasks here");
            if !passing(framework) || self.embedded.as_ref() == Some(&framework_id) {
                continue;
            }
            let here = agent.remove_framework(&mut self.books, &framework_id).unwrap_or_default();
            for task in here.tasks.keys() {
                framework.tasks.remove(task);
            }
            self.lost.put(id, framework_id, here.tasks);
        }
        let how = How { reason: Reason::AgentDisconnected, message: &message };
        for said in lost {
            self.say(now, id, &Said { state: TaskState::Lost, ..said }, &how, None, step);
        }
    }

    /// Tells frameworks over HTTP of tasks that an agent was to have, and came back without.
    pub(super) fn tell_over(
        &mut self,
        now: Now,
        id: &AgentId,
        over: BTreeMap<FrameworkId, Here>,
        step: &mut Step,
    ) {
        let message = "Reconciliation: Task is unknown to the agent";
        let how = How { reason: Reason::Reconciliation, message };
        for (framework, here) in over {
            let live = here.tasks.into_iter().filter(|(_, task)| !task.state.is_terminal());
            for (task, entry) in live {
                let started = entry.reported.is_some();
                let state = if started { TaskState::Gone } else { TaskState::Dropped };
                let framework = framework.clone();
                let said = Said { framework, task, executor: entry.executor, state };
                self.say(now, id, &said, &how, None, step);
            }
        }
    }

    /// An agent is back: what its frameworks were told is lost is found. Those are all its tasks if
    /// it counted as unreachable, else what was lost with its former connection.
    pub(super) fn tell_found(&mut self, now: Now, id: &AgentId, found: &Found, step: &mut Step) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let was_unreachable = mem::take(&mut agent.unreachable).is_some();
        let message = match was_unreachable {
            true => "Unreachable agent re-reregistered".to_owned(),
            false => format!("Agent {} re-registered", agent.facts.hostname),
        };
        let how = How { reason: Reason::AgentReregistered, message: &message };
        for said in self.live_tasks(id, |_| true) {
            let is_found = |tasks: &BTreeSet<TaskId>| tasks.contains(&said.task);
            if was_unreachable || found.get(&said.framework).is_some_and(is_found) {
                self.say(now, id, &said, &how, None, step);
            }
        }
    }

    /// The tasks on an agent that are not over, of those frameworks over HTTP that are meant.
    fn live_tasks(&self, id: &AgentId, meant: impl Fn(&Framework) -> bool) -> Vec<Said> {
        let here = self.agents.get(id).into_iter().flat_map(|agent| &agent.here);
        let here = here.filter(|(framework, _)| {
            self.embedded.as_ref() != Some(*framework) && meant(&self.frameworks[*framework])
        });
        let tasks = here.flat_map(|(framework, here)| {
            let live = here.tasks.iter().filter(|(_, task)| !task.state.is_terminal());
            live.map(move |(task, entry)| Said {
                framework: framework.clone(),
                task: task.clone(),
                executor: entry.executor.clone(),
                state: entry.known_state(),
            })
        });
        tasks.collect()
    }

    fn say(
        &self,
        now: Now,
        agent: &AgentId,
        said: &Said,
        how: &How<'_>,
        unreachable: Option<Timestamp>,
        step: &mut Step,
    ) {
        let Some(framework) = self.frameworks.get(&said.framework) else { return };
        if framework.stream().is_none() {
            return;
        }
        let status = MasterStatus {
            task: &said.task,
            agent: Some(agent),
            executor: said.executor.as_ref(),
            state: framework.told(said.state),
            reason: how.reason,
            message: how.message.to_owned(),
        };
        let mut status = status.at(now);
        status.unreachable_time = unreachable.map(time_info);
        self.tell(&said.framework, wire::update(status), step);
    }
}

/// Why something is said of tasks.
struct How<'a> {
    reason: Reason,
    message: &'a str,
}

/// An instant as Mesos writes it.
pub(super) fn time_info(at: Timestamp) -> TimeInfo {
    TimeInfo { nanoseconds: at.as_millis().saturating_mul(1_000_000) }
}
