//! The calls of frameworks, and their subscription.

use muster_api::{Now, limits};
use muster_proto::{
    FrameworkId, MasterInfo,
    scheduler::{Acknowledge, Call, CallType, Shutdown, Subscribe, Subscribed},
};

use super::{
    agent::Agent,
    event::Step,
    framework::{Framework, Standing},
    master::Master,
    record, wire,
};

impl Master {
    /// A call of a framework. One that is void by its content has no effect but a note.
    pub(super) fn call(&mut self, now: Now, call: Call, step: &mut Step) {
        let kind = call.r#type.and_then(|kind| CallType::try_from(kind).ok());
        if kind == Some(CallType::Subscribe) {
            self.subscribe(now, call.framework_id, call.subscribe, step);
            return;
        }
        let id = call.framework_id.unwrap_or_default();
        if !self.frameworks.get(&id).is_some_and(Framework::is_subscribed) {
            step.ignore_call(&id, "it is not subscribed");
            return;
        }
        let id = &id;
        match kind.unwrap_or(CallType::Unknown) {
            CallType::Teardown => self.tear_down(now, id, step),
            CallType::Revive => self.revive(id),
            CallType::Suppress => self.suppress(id),
            CallType::Accept => match call.accept {
                Some(accept) => self.accept(now, id, accept, step),
                None => no_body(id, step),
            },
            CallType::Decline => match call.decline {
                Some(decline) => {
                    let refuse = wire::refusal(decline.filters);
                    self.decline(now, id, &decline.offer_ids, refuse);
                }
                None => no_body(id, step),
            },
            CallType::Kill => match call.kill {
                Some(kill) => self.kill(now, id, kill, step),
                None => no_body(id, step),
            },
            CallType::Shutdown => match call.shutdown {
                Some(shutdown) => self.shut_down(id, shutdown, step),
                None => no_body(id, step),
            },
            CallType::Acknowledge => match call.acknowledge {
                Some(acknowledge) => self.acknowledge(id, acknowledge, step),
                None => no_body(id, step),
            },
            CallType::Reconcile => match call.reconcile {
                Some(reconcile) => self.reconcile(now, id, &reconcile, step),
                None => no_body(id, step),
            },
            CallType::Message => {
                step.ignore_call(id, "messages to executors are not carried");
            }
            CallType::AcceptInverseOffers
            | CallType::DeclineInverseOffers
            | CallType::AcknowledgeOperationStatus
            | CallType::ReconcileOperations
            | CallType::Request
            | CallType::UpdateFramework => {
                step.ignore_call(id, "a call of a kind that is not carried out");
            }
            CallType::Subscribe | CallType::Unknown => {
                step.ignore_call(id, "a call of an unknown kind");
            }
        }
    }

    /// A framework subscribes, for the first time or again. An id that nobody knows is adopted:
    /// the framework brings it from another master.
    fn subscribe(
        &mut self,
        now: Now,
        id: Option<FrameworkId>,
        subscribe: Option<Subscribe>,
        step: &mut Step,
    ) {
        let info = subscribe.and_then(|subscribe| subscribe.framework_info).unwrap_or_default();
        let named = info.id.clone().or_else(|| id.clone());
        if let Some(refusal) = self.refusal(id.as_ref(), named.as_ref()) {
            let id = id.or(named).unwrap_or_default();
            step.ignore_call(&id, refusal);
            step.tell_framework(&id, wire::error(refusal));
            return;
        }
        let id = named
            .unwrap_or_else(|| FrameworkId::new(self.framework_ids.uuid(now.wall).to_string()));
        self.forget_offers_of(&id);
        self.clear_filters_of(&id);
        self.naming.remove(&id);
        let standing = Standing::Subscribed { suppressed: false };
        let subscribed = Framework::new(&id, info, standing);
        match self.frameworks.get_mut(&id) {
            Some(known) => {
                if known.info != subscribed.info {
                    step.writes.push(record::put_framework(&id, &subscribed));
                }
                (known.info, known.standing) = (subscribed.info, standing);
            }
            None => {
                step.writes.push(record::put_framework(&id, &subscribed));
                self.frameworks.insert(id.clone(), subscribed);
            }
        }
        self.offer_everywhere();
        step.tell_framework(&id, wire::subscribed(self.welcome(&id)));
        if *self.embedded.get_or_insert_with(|| id.clone()) == id {
            self.tell_all(step);
        }
        self.follow_sharing(step);
    }

    fn refusal(
        &self,
        id: Option<&FrameworkId>,
        named: Option<&FrameworkId>,
    ) -> Option<&'static str> {
        let known = named.and_then(|named| self.frameworks.get(named));
        if id.is_some() && id != named {
            Some("the framework id of the call and that of its framework info differ")
        } else if named.is_some_and(|named| !wire::is_valid_id(&named.value)) {
            Some("the framework id is not valid")
        } else if known.is_some_and(Framework::is_removed) {
            Some("Framework has been removed")
        } else {
            None
        }
    }

    /// Within one process there are no heartbeats, and the master has no address; where the stream
    /// goes over HTTP its shell fills in both.
    fn welcome(&self, id: &FrameworkId) -> Subscribed {
        let master_info = MasterInfo {
            id: self.term.to_string(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..MasterInfo::default()
        };
        Subscribed {
            framework_id: Some(id.clone()),
            heartbeat_interval_seconds: None,
            master_info: Some(master_info),
        }
    }

    fn offer_everywhere(&mut self) {
        self.changed.extend(self.agents.keys().cloned());
    }

    /// Offers again, without filters.
    fn revive(&mut self, id: &FrameworkId) {
        self.clear_filters_of(id);
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.standing = Standing::Subscribed { suppressed: false };
        }
        self.offer_everywhere();
    }

    /// No offers for now. Outstanding ones stay.
    fn suppress(&mut self, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.standing = Standing::Subscribed { suppressed: true };
        }
    }

    /// A framework ends for ever, with all its executors. What they use is free when they are gone.
    fn tear_down(&mut self, now: Now, id: &FrameworkId, step: &mut Step) {
        self.forget_offers_of(id);
        self.clear_filters_of(id);
        self.naming.remove(id);
        for agent in self.agents.values() {
            let (Some(connection), Some(here)) = (agent.connection(), agent.here.get(id)) else {
                continue;
            };
            for executor in here.executors.keys() {
                step.tell_agent(connection, wire::shutdown_executor(id, executor));
            }
        }
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.standing = Standing::Removed { at: now.wall };
            step.writes.push(record::put_framework(id, framework));
        }
        if self.embedded.as_ref() == Some(id) {
            self.embedded = None;
        }
        self.follow_sharing(step);
        self.forget_removed(step);
    }

    /// Forgets the oldest removed frameworks of which nothing lives, beyond those that are kept.
    fn forget_removed(&mut self, step: &mut Step) {
        let removed = |(id, framework): (&FrameworkId, &Framework)| match framework.standing {
            Standing::Removed { at } => Some((at, id.clone())),
            Standing::Away | Standing::Subscribed { .. } => None,
        };
        let mut removed: Vec<_> = self.frameworks.iter().filter_map(removed).collect();
        removed.sort();
        let beyond = removed.len().saturating_sub(limits::FRAMEWORKS_REMOVED);
        for (_, id) in removed.into_iter().take(beyond) {
            if self.agents.values().all(|agent| !agent.here.contains_key(&id)) {
                self.frameworks.remove(&id);
                step.writes.push(record::delete_framework(&id));
            }
        }
    }

    /// Ends an executor. Where its agent is not connected the call has no effect.
    fn shut_down(&self, id: &FrameworkId, shutdown: Shutdown, step: &mut Step) {
        let agent = wire::agent_id_in(shutdown.agent_id.as_ref());
        let agent = agent.and_then(|agent| self.agents.get(&agent));
        match agent.and_then(Agent::connection).zip(shutdown.executor_id) {
            None => step.ignore_call(id, "the executor to end is on no connected agent"),
            Some((connection, executor)) => {
                step.tell_agent(connection, wire::shutdown_executor(id, &executor));
            }
        }
    }

    /// A framework has custody of a status: its agent may forget it, and if it was the last one of
    /// its task so does the master. Without a connection the agent sends the status again later.
    fn acknowledge(&mut self, id: &FrameworkId, acknowledge: Acknowledge, step: &mut Step) {
        let agent_id = wire::agent_id_in(acknowledge.agent_id.as_ref());
        let Some((agent_id, task)) = agent_id.zip(acknowledge.task_id) else {
            step.ignore_call(id, "an acknowledgement lacks its agent or its task");
            return;
        };
        let Some(connection) = self.agents.get(&agent_id).and_then(Agent::connection) else {
            return;
        };
        self.pass_acknowledgement(id, &agent_id, connection, &task, acknowledge.uuid, step);
    }
}

fn no_body(framework: &FrameworkId, step: &mut Step) {
    step.ignore_call(framework, "the call has no body");
}
