//! The session of our framework with its master.

use muster_api::step::{Records, Write};
use muster_engine::{effect::Effect, event::Event};
use muster_proto::{
    Capability, CapabilityType, FrameworkId, FrameworkInfo,
    scheduler::{self, Call, CallType, EventType, Subscribe},
};

use crate::{MasterKind, calls, events};

/// Key of the framework's id in the store; its value is the id.
const KEY: &[u8] = b"S/framework";

/// Seconds that a master waits for us to come back before it ends our tasks: a week.
const FAILOVER_TIMEOUT: f64 = 7.0 * 24.0 * 3600.0;

/// What a message of the master means.
#[derive(Debug, Default)]
pub struct Translated {
    /// For the engine, in order.
    pub events: Vec<Event>,
    /// To be stored.
    pub writes: Vec<Write>,
    /// What could not be understood and was passed over, in words.
    pub passed_over: Vec<String>,
}

/// The stored id of our framework cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored id of our framework is no text")]
pub struct InvalidSession;

/// As whom we subscribe. On our own master all of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user that executors run as, where their agent can choose.
    pub user: String,
    /// Who we prove to be.
    pub principal: Option<String>,
    /// The role that offers are for; that of all when there is none.
    pub role: Option<String>,
    /// The host of this scheduler, for people.
    pub hostname: Option<String>,
    /// Where people look at it.
    pub webui_url: Option<String>,
}

/// Our framework's side of a subscription.
#[derive(Debug)]
pub struct Session {
    framework: Option<FrameworkId>,
    identity: Identity,
    /// Who has the hosts, which decides what some statuses mean.
    master: MasterKind,
}

impl Session {
    /// The session as it was stored, with the master of this process until somebody says otherwise.
    pub fn restore(records: &Records) -> Result<Self, InvalidSession> {
        let framework = match records.get(KEY) {
            None => None,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| InvalidSession)?;
                Some(FrameworkId::new(text))
            }
        };
        Ok(Self { framework, identity: Identity::default(), master: MasterKind::Own })
    }

    /// Subscribes as somebody from now on, with a master that is not in this process.
    pub fn identify(&mut self, identity: Identity) {
        self.identity = identity;
        self.master = MasterKind::Foreign;
    }

    /// The id of our framework, if a master has given it one.
    pub fn framework(&self) -> Option<&FrameworkId> {
        self.framework.as_ref()
    }

    /// Forgets the id of our framework, which its master has removed.
    pub fn forget(&mut self) -> Option<Write> {
        self.framework.take().map(|_| Write::Delete { key: KEY.to_vec() })
    }

    /// The call that begins a subscription.
    pub fn subscribe(&self) -> Call {
        let capability = |kind: CapabilityType| Capability { r#type: Some(kind as i32) };
        let who = self.identity.clone();
        let mut capabilities = vec![
            capability(CapabilityType::PartitionAware),
            capability(CapabilityType::TaskKillingState),
        ];
        capabilities.extend(who.role.is_some().then(|| capability(CapabilityType::MultiRole)));
        let info = FrameworkInfo {
            user: who.user,
            name: "muster".to_owned(),
            id: self.framework.clone(),
            failover_timeout: Some(FAILOVER_TIMEOUT),
            checkpoint: Some(true),
            capabilities,
            roles: who.role.into_iter().collect(),
            principal: who.principal,
            hostname: who.hostname,
            webui_url: who.webui_url,
            ..FrameworkInfo::default()
        };
        let subscribe = Subscribe { framework_info: Some(info), ..Subscribe::default() };
        Call {
            framework_id: self.framework.clone(),
            r#type: Some(CallType::Subscribe as i32),
            subscribe: Some(subscribe),
            ..Call::default()
        }
    }

    /// The call that carries out an effect of the engine; nothing for effects that are not for the
    /// master, or before the first subscription.
    pub fn call(&self, effect: &Effect) -> Option<Call> {
        calls::call(effect, self.framework.as_ref()?)
    }

    /// Whether something for this framework is for us. Before the first subscription the answer to
    /// that is what comes.
    pub fn is_ours(&self, framework: &FrameworkId) -> bool {
        self.framework.as_ref().is_none_or(|ours| ours == framework)
    }

    /// What an event of the scheduler API means to the engine.
    pub fn translate(&mut self, event: &scheduler::Event) -> Translated {
        let mut out = Translated::default();
        let kind = event.r#type.and_then(|kind| EventType::try_from(kind).ok());
        match kind.unwrap_or(EventType::Unknown) {
            EventType::Subscribed => self.subscribed(event, &mut out),
            EventType::Offers => {
                let offers = event.offers.iter().flat_map(|body| &body.offers);
                let (mut good, mut bad) = (Vec::new(), Vec::new());
                for offer in offers {
                    match events::offer(offer) {
                        Ok(offer) => good.push(offer),
                        Err(error) => bad.push(format!("an offer: {error}")),
                    }
                }
                out.events.push(Event::Offers(good));
                out.passed_over = bad;
            }
            EventType::Rescind => {
                let id = event.rescind.as_ref().and_then(|body| body.offer_id.as_ref());
                match id.and_then(|id| id.value.parse().ok()) {
                    Some(id) => out.events.push(Event::Rescinded(id)),
                    None => out.passed_over.push("a rescind without offer".to_owned()),
                }
            }
            EventType::Update => match event.update.as_ref().and_then(|u| u.status.as_ref()) {
                Some(status) => match events::update(status, self.master) {
                    Ok(update) => out.events.push(update),
                    Err(error) => out.passed_over.push(format!("a status: {error}")),
                },
                None => out.passed_over.push("an update without status".to_owned()),
            },
            EventType::Failure => {
                let failure = event.failure.clone().unwrap_or_default();
                match (failure.executor_id, failure.agent_id) {
                    // Ids that are not of our making are not ours.
                    (Some(executor), _) => {
                        let id = executor.value.parse().ok();
                        out.events.extend(id.map(Event::ExecutorExited));
                    }
                    (None, Some(agent)) => {
                        let id = agent.value.parse().ok();
                        out.events.extend(id.map(Event::AgentLost));
                    }
                    (None, None) => out.passed_over.push("a failure of nothing".to_owned()),
                }
            }
            EventType::Error => out.events.push(Event::Unsubscribed),
            EventType::Heartbeat => {}
            EventType::Message => match event.message.as_ref().map(events::executions) {
                Some(Ok(told)) => out.events.push(told),
                Some(Err(error)) => out.passed_over.push(format!("a message: {error}")),
                None => out.passed_over.push("a message without a body".to_owned()),
            },
            EventType::InverseOffers
            | EventType::RescindInverseOffer
            | EventType::UpdateOperationStatus
            | EventType::Unknown => {
                out.passed_over.push(format!("an event of type {:?}", event.r#type));
            }
        }
        out
    }

    fn subscribed(&mut self, event: &scheduler::Event, out: &mut Translated) {
        let id = event.subscribed.as_ref().and_then(|body| body.framework_id.clone());
        let Some(id) = id.filter(|id| !id.value.is_empty()) else {
            out.passed_over.push("a subscription without framework id".to_owned());
            return;
        };
        if self.framework.as_ref() != Some(&id) {
            let value = id.value.clone().into_bytes();
            out.writes.push(Write::Put { key: KEY.to_vec(), value });
            self.framework = Some(id);
        }
        out.events.push(Event::Subscribed);
    }
}
