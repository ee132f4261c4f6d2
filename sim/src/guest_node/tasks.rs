//! What it launches, kills, and is told of.

use std::collections::BTreeSet;

use muster_proto::{
    AgentId, CommandInfo, Filters, Launch, Offer, OfferId, Operation, OperationType, Resource,
    TaskId, TaskInfo, TaskState, TaskStatus,
    scheduler::{
        Accept, Acknowledge, Call, CallType, Decline, Event, EventType, Kill, Reconcile,
        ReconcileTask,
    },
};

use super::GuestNode;
use crate::{oracles, stage::Stage};

/// What each of its tasks needs.
pub(crate) const NEEDS: [(&str, u32); 2] = [("cpus", 250), ("mem", 32_000)];

/// A task that was launched.
#[derive(Debug)]
pub(super) struct Task {
    agent: AgentId,
    /// The newest state that an agent has said, and that must be acknowledged.
    said: Option<TaskState>,
    /// What the master has said last.
    answered: Option<TaskState>,
    /// Its framework was removed.
    disowned: bool,
}

impl Task {
    /// Whether it is over as far as the guest is told.
    pub(super) fn is_over(&self) -> bool {
        let unknown = |state: TaskState| {
            state.is_terminal() || matches!(state, TaskState::Unknown | TaskState::GoneByOperator)
        };
        self.disowned
            || self.said.is_some_and(TaskState::is_terminal)
            || self.answered.is_some_and(unknown)
    }
}

impl GuestNode {
    pub(super) fn tasks_known(&self) -> BTreeSet<&TaskId> {
        self.tasks.keys().collect()
    }

    pub(super) fn hear_event(&mut self, stage: &mut Stage, event: Event) {
        match event.r#type() {
            EventType::Offers => {
                for offer in event.offers.unwrap_or_default().offers {
                    self.take(stage, offer);
                }
            }
            EventType::Update => {
                if let Some(status) = event.update.and_then(|update| update.status) {
                    self.hear_status(stage, &status);
                }
            }
            EventType::Error => {
                let words = event.error.unwrap_or_default().message;
                stage.log(format_args!("guest: error: {words}"));
                if words.contains("has been removed") {
                    self.id = None;
                    self.tasks.values_mut().for_each(|task| task.disowned = true);
                }
                self.hang_up(stage);
            }
            _ => {}
        }
    }

    /// Launches a task on what is offered, or declines.
    fn take(&mut self, stage: &mut Stage, offer: Offer) {
        let id = offer.id.unwrap_or_default();
        let fits = NEEDS.iter().all(|(name, least)| {
            let there = offer.resources.iter().find(|resource| resource.name == *name);
            let there = there.and_then(|resource| resource.scalar.as_ref());
            there.is_some_and(|there| there.value * 1_000.0 >= f64::from(*least))
        });
        let wants = !self.retires && self.tasks.len() < self.most && fits && stage.percent(60);
        let call = if wants {
            let agent = offer.agent_id.unwrap_or_default();
            self.launch(stage, id, agent)
        } else {
            let seconds = stage.between(0, 10);
            let decline = Decline { offer_ids: vec![id], filters: Some(refusing(seconds)) };
            Call { decline: Some(decline), ..self.bare(CallType::Decline) }
        };
        self.call(stage, call);
    }

    fn launch(&mut self, stage: &mut Stage, offer: OfferId, agent: AgentId) -> Call {
        let id = TaskId::new(format!("guest-{}", self.tasks.len()));
        let resource =
            |(name, amount): &(&str, u32)| Resource::scalar(*name, f64::from(*amount) / 1_000.0);
        let info = TaskInfo {
            name: "a command".to_owned(),
            task_id: Some(id.clone()),
            agent_id: Some(agent.clone()),
            resources: NEEDS.iter().map(resource).collect(),
            command: Some(CommandInfo { value: Some("work".to_owned()), ..CommandInfo::default() }),
            ..TaskInfo::default()
        };
        let operation = Operation {
            r#type: Some(OperationType::Launch as i32),
            launch: Some(Launch { task_infos: vec![info] }),
            ..Operation::default()
        };
        let filters = Some(refusing(stage.between(0, 5)));
        let accept = Accept { offer_ids: vec![offer], operations: vec![operation], filters };
        self.tasks.insert(id, Task { agent, said: None, answered: None, disowned: false });
        Call { accept: Some(accept), ..self.bare(CallType::Accept) }
    }

    fn hear_status(&mut self, stage: &mut Stage, status: &TaskStatus) {
        let id = status.task_id.clone().unwrap_or_default();
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let state = status.state();
        let keeps = self.info.checkpoint();
        let Some(uuid) = status.uuid.clone() else {
            task.answered = Some(state);
            let verdict = oracles::what_is_told_to_be_over_is(&stage.truth, &id, status, keeps);
            return stage.judge(verdict);
        };
        task.answered = None;
        stage.judge(oracles::states_come_in_order(&id, task.said, state));
        stage.judge(oracles::what_is_told_to_be_over_is(&stage.truth, &id, status, keeps));
        task.said = Some(state);
        let acknowledge =
            Acknowledge { agent_id: status.agent_id.clone(), task_id: Some(id), uuid };
        let call = Call { acknowledge: Some(acknowledge), ..self.bare(CallType::Acknowledge) };
        self.call(stage, call);
    }

    /// Asks about all tasks that are not over, and what else its master knows: a lost one may have come
    /// back to a master that was started anew, and does not know that it said so.
    pub(super) fn reconcile(&mut self, stage: &mut Stage) {
        let all = Some(Reconcile { tasks: Vec::new() });
        self.call(stage, Call { reconcile: all, ..self.bare(CallType::Reconcile) });
        let open = self.tasks.iter().filter(|(_, task)| !task.is_over());
        let ask = |(id, task): (&TaskId, &Task)| ReconcileTask {
            task_id: Some(id.clone()),
            agent_id: Some(task.agent.clone()),
        };
        let tasks: Vec<ReconcileTask> = open.map(ask).collect();
        if !tasks.is_empty() {
            let reconcile = Some(Reconcile { tasks });
            self.call(stage, Call { reconcile, ..self.bare(CallType::Reconcile) });
        }
    }

    pub(super) fn kill_one(&mut self, stage: &mut Stage) {
        let open = self.tasks.iter().filter(|(_, task)| !task.is_over());
        let open: Vec<TaskId> = open.map(|(id, _)| id.clone()).collect();
        if let Some(id) = stage.one_of(&open) {
            self.kill(stage, id);
        }
    }

    fn kill(&mut self, stage: &mut Stage, id: TaskId) {
        let kill = Kill { task_id: Some(id), ..Kill::default() };
        self.call(stage, Call { kill: Some(kill), ..self.bare(CallType::Kill) });
    }

    /// Has everything end, and wants no offers any more.
    pub(super) fn end_all(&mut self, stage: &mut Stage) {
        if !self.suppressed {
            self.suppressed = true;
            self.call(stage, self.bare(CallType::Suppress));
        }
        let open = self.tasks.iter().filter(|(_, task)| !task.is_over());
        for id in open.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.kill(stage, id);
        }
    }
}

fn refusing(seconds: u64) -> Filters {
    Filters { refuse_seconds: Some(f64::from(u32::try_from(seconds).unwrap_or(0))) }
}
