//! The calls of subscribed frameworks, each to the one who carries it out.

use muster_api::Now;
use muster_proto::{
    FrameworkId,
    agent::{FrameworkMessage, MasterBody},
    scheduler::{Acknowledge, Call, CallType, MessageBody, Shutdown},
};

use super::{
    agent::Agent,
    event::{Effect, Step},
    framework::{Door, Framework},
    master::Master,
    subscribe::Newcomer,
    wire,
};

impl Master {
    /// A call of the framework of this process.
    pub(super) fn embedded_call(&mut self, now: Now, call: Call, step: &mut Step) {
        if kind_of(&call) == CallType::Subscribe {
            return self.embedded_subscribe(now, call, step);
        }
        let id = call.framework_id.clone().unwrap_or_default();
        if self.frameworks.get(&id).and_then(Framework::door) == Some(Door::Embedded) {
            self.carry_out(now, &id, call, step);
        } else {
            step.ignore_call(&id, "it is not subscribed");
        }
    }

    fn embedded_subscribe(&mut self, now: Now, call: Call, step: &mut Step) {
        let named = call.framework_id.clone().unwrap_or_default();
        let refusal = match super::call_form::validate_call(&call, None) {
            Err(error) => Some(error.to_string()),
            Ok(()) => {
                let who = Newcomer { door: Door::Embedded, principal: None };
                self.subscribe(now, who, call, step).err().map(|error| error.to_string())
            }
        };
        if let Some(refusal) = refusal {
            step.ignore_call(&named, refusal.as_str());
            step.effects.push(Effect::ToEmbedded(wire::error(refusal)));
        }
    }

    /// Carries out a call of a subscribed framework. One that is void by its content has no effect
    /// but a note.
    pub(super) fn carry_out(&mut self, now: Now, id: &FrameworkId, call: Call, step: &mut Step) {
        let no_body = |step: &mut Step| step.ignore_call(id, "the call has no body");
        match kind_of(&call) {
            CallType::Teardown => self.remove_framework(now, id, "it asked for that", step),
            CallType::Revive => {
                self.revive(now, id, &call.revive.unwrap_or_default().roles, step);
            }
            CallType::Suppress => self.suppress(id, &call.suppress.unwrap_or_default().roles, step),
            CallType::Accept => match call.accept {
                Some(accept) => self.accept(now, id, accept, step),
                None => no_body(step),
            },
            CallType::Decline => match call.decline {
                Some(decline) => {
                    let refuse = wire::refusal(decline.filters);
                    self.decline(now, id, &decline.offer_ids, refuse);
                }
                None => no_body(step),
            },
            CallType::Kill => match call.kill {
                Some(kill) => self.kill(now, id, kill, step),
                None => no_body(step),
            },
            CallType::Shutdown => match call.shutdown {
                Some(shutdown) => self.shut_down(id, shutdown, step),
                None => no_body(step),
            },
            CallType::Acknowledge => match call.acknowledge {
                Some(acknowledge) => self.acknowledge(id, acknowledge, step),
                None => no_body(step),
            },
            CallType::Reconcile => match call.reconcile {
                Some(reconcile) => self.reconcile(now, id, reconcile, step),
                None => no_body(step),
            },
            CallType::ReconcileOperations => match call.reconcile_operations {
                Some(reconcile) => self.reconcile_operations(now, id, reconcile, step),
                None => no_body(step),
            },
            CallType::Message => match call.message {
                Some(message) => self.message(id, message, step),
                None => no_body(step),
            },
            // A stock master takes these and does nothing with them either: nobody was ever made an
            // inverse offer here, or told of an operation that it has to acknowledge.
            CallType::AcceptInverseOffers
            | CallType::DeclineInverseOffers
            | CallType::AcknowledgeOperationStatus
            | CallType::Request => {}
            CallType::Subscribe | CallType::UpdateFramework | CallType::Unknown => {
                step.ignore_call(id, "a call of a kind that is not carried out");
            }
        }
    }

    /// Ends an executor. Where its agent is not connected the call has no effect; nor does it where
    /// there is no such executor, for the agent's word on that might come when there is one again.
    /// The ids of the scheduler of this process are used once, and that word is news to it.
    fn shut_down(&self, id: &FrameworkId, shutdown: Shutdown, step: &mut Step) {
        let agent = wire::agent_id_in(shutdown.agent_id.as_ref());
        let agent = agent.and_then(|agent| self.agents.get(&agent));
        let executor = shutdown.executor_id.filter(|executor| wire::is_valid_id(&executor.value));
        let ours = self.embedded.as_ref() == Some(id);
        let there = agent
            .zip(executor)
            .filter(|(agent, executor)| ours || agent.executor(id, executor).is_some());
        match there.and_then(|(agent, executor)| Some((agent.connection()?, executor))) {
            None => step.ignore_call(id, "the executor to end is on no connected agent"),
            Some((connection, executor)) => {
                step.tell_agent(connection, wire::shutdown_executor(id, &executor));
            }
        }
    }

    /// Passes something on to an executor, as Mesos does it: at once, or not at all.
    fn message(&self, id: &FrameworkId, message: MessageBody, step: &mut Step) {
        let agent = wire::agent_id_in(message.agent_id.as_ref());
        let agent = agent.and_then(|agent| self.agents.get(&agent));
        let executor = message.executor_id.filter(|executor| wire::is_valid_id(&executor.value));
        let Some((connection, executor)) = agent.and_then(Agent::connection).zip(executor) else {
            step.ignore_call(id, "its message is for an executor on no connected agent");
            return;
        };
        let passed_on = FrameworkMessage {
            framework_id: Some(id.clone()),
            executor_id: Some(executor),
            data: message.data,
        };
        step.tell_agent(connection, MasterBody::FrameworkMessage(passed_on));
    }

    /// A framework has custody of a status: its agent may forget it, and if it was the last one of
    /// its task so does the master. Without a connection the agent sends the status again later.
    fn acknowledge(&mut self, id: &FrameworkId, acknowledge: Acknowledge, step: &mut Step) {
        let agent_id = wire::agent_id_in(acknowledge.agent_id.as_ref());
        let task = acknowledge.task_id.filter(|task| wire::is_valid_id(&task.value));
        let Some((agent_id, task)) = agent_id.zip(task) else {
            step.ignore_call(id, "an acknowledgement lacks its agent or its task");
            return;
        };
        let Some(connection) = self.agents.get(&agent_id).and_then(Agent::connection) else {
            return;
        };
        self.pass_acknowledgement(id, &agent_id, connection, &task, acknowledge.uuid, step);
    }
}

/// The kind of a call.
pub(super) fn kind_of(call: &Call) -> CallType {
    call.r#type.and_then(|kind| CallType::try_from(kind).ok()).unwrap_or(CallType::Unknown)
}
