//! The door: Mesos values become the master's own here, and its own become Mesos values again.
//! The only place of the core that sees floating-point numbers.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{AgentId, Amount, InvalidAmount, Now, Resources, limits};
use muster_proto::{
    Attribute, ExecutorId, Filters, FrameworkId, KillPolicy, OfferId, Reason, Resource,
    StatusSource, TaskId, TaskState, TaskStatus, ValueType,
    agent::{self, MasterBody},
    scheduler,
};

/// A resource that the master cannot reckon with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidResource {
    #[error("resource `{name}` is not a scalar")]
    NotScalar { name: String },
    #[error("resource `{name}` is not over zero")]
    NotPositive { name: String },
    #[error("the amount of resource `{name}` is not valid: {source}")]
    Amount { name: String, source: InvalidAmount },
    #[error("resource `{name}` is reserved for role `{role}`; reservations are not supported")]
    Reserved { name: String, role: String },
}

/// Whether an amount would be refused by real masters together with the whole operation.
pub(super) fn is_not_positive(resource: &Resource) -> bool {
    let value = resource.scalar.map(|scalar| scalar.value);
    value.is_some_and(|value| Amount::from_f64(value) == Ok(Amount::ZERO) || value < 0.0)
}

/// The sum of scalar resources.
pub(super) fn resources_in(list: &[Resource]) -> Result<Resources, InvalidResource> {
    let mut sum = Resources::none();
    for resource in list {
        let name = || resource.name.clone();
        let scalar = (resource.r#type == ValueType::Scalar as i32).then_some(resource.scalar);
        let Some(scalar) = scalar.flatten() else {
            return Err(InvalidResource::NotScalar { name: name() });
        };
        if let Some(role) = resource.role.as_ref().filter(|role| *role != "*") {
            return Err(InvalidResource::Reserved { name: name(), role: role.clone() });
        }
        if is_not_positive(resource) {
            return Err(InvalidResource::NotPositive { name: name() });
        }
        let invalid = |source| InvalidResource::Amount { name: name(), source };
        let amount = Amount::from_f64(scalar.value).map_err(invalid)?;
        let before = sum.get(&resource.name).thousandths();
        // Each is at most `AMOUNT_MAX`, and a message holds far less than millions of them.
        let total = before.saturating_add(amount.thousandths());
        sum.set(&resource.name, Amount::from_thousandths(total));
    }
    Ok(sum)
}

/// The same as messages.
pub(super) fn resources_out(resources: &Resources) -> Vec<Resource> {
    resources.iter().map(|(name, amount)| Resource::scalar(name, amount.as_f64())).collect()
}

/// Attributes as texts, whatever their kind.
pub(super) fn attributes_in(list: &[Attribute]) -> BTreeMap<String, String> {
    list.iter().map(|attribute| (attribute.name.clone(), attribute.value_text())).collect()
}

/// Attributes as messages.
pub(super) fn attributes_out(attributes: &BTreeMap<String, String>) -> Vec<Attribute> {
    attributes.iter().map(|(name, value)| Attribute::text(name, value)).collect()
}

/// Whether an id that a framework chose is one that Mesos allows.
pub(super) fn is_valid_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= limits::OPAQUE_ID_BYTES
        && !matches!(id, "." | "..")
        && !id.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// The agent id of a message.
pub(super) fn agent_id_in(id: Option<&muster_proto::AgentId>) -> Option<AgentId> {
    id?.value.parse().ok()
}

/// An agent id for a message.
pub(super) fn agent_id_out(id: &AgentId) -> muster_proto::AgentId {
    muster_proto::AgentId::new(id.as_str())
}

/// How long declined resources are not to be offered again, by the rules of Mesos: 5 s unless
/// said otherwise or negative, at most 365 days.
pub(super) fn refusal(filters: Option<Filters>) -> Duration {
    let seconds = filters.and_then(|filters| filters.refuse_seconds);
    match seconds.filter(|seconds| *seconds >= 0.0) {
        None => limits::REFUSE_DEFAULT,
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .unwrap_or(limits::REFUSE_MAX)
            .min(limits::REFUSE_MAX),
    }
}

/// A status that the master itself makes. It has no uuid, so it is not acknowledged.
pub(super) struct MasterStatus<'a> {
    pub(super) task: &'a TaskId,
    pub(super) agent: Option<&'a AgentId>,
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl MasterStatus<'_> {
    pub(super) fn at(self, now: Now) -> TaskStatus {
        TaskStatus {
            task_id: Some(self.task.clone()),
            state: self.state as i32,
            message: Some(self.message),
            agent_id: self.agent.map(agent_id_out),
            timestamp: Some(now.wall.as_millis() as f64 / 1000.0),
            source: Some(StatusSource::Master as i32),
            reason: Some(self.reason as i32),
            ..TaskStatus::default()
        }
    }
}

fn event(kind: scheduler::EventType) -> scheduler::Event {
    scheduler::Event { r#type: Some(kind as i32), ..scheduler::Event::default() }
}

pub(super) fn update(status: TaskStatus) -> scheduler::Event {
    let update = Some(scheduler::Update { status: Some(status) });
    scheduler::Event { update, ..event(scheduler::EventType::Update) }
}

pub(super) fn rescind(offer: OfferId) -> scheduler::Event {
    let rescind = Some(scheduler::Rescind { offer_id: Some(offer) });
    scheduler::Event { rescind, ..event(scheduler::EventType::Rescind) }
}

pub(super) fn offers(offers: Vec<muster_proto::Offer>) -> scheduler::Event {
    let offers = Some(scheduler::Offers { offers });
    scheduler::Event { offers, ..event(scheduler::EventType::Offers) }
}

pub(super) fn failure(failure: scheduler::Failure) -> scheduler::Event {
    scheduler::Event { failure: Some(failure), ..event(scheduler::EventType::Failure) }
}

pub(super) fn message(message: scheduler::MessageBody) -> scheduler::Event {
    scheduler::Event { message: Some(message), ..event(scheduler::EventType::Message) }
}

pub(super) fn subscribed(subscribed: scheduler::Subscribed) -> scheduler::Event {
    scheduler::Event { subscribed: Some(subscribed), ..event(scheduler::EventType::Subscribed) }
}

pub(super) fn error(message: impl Into<String>) -> scheduler::Event {
    let error = Some(scheduler::Error { message: message.into() });
    scheduler::Event { error, ..event(scheduler::EventType::Error) }
}

/// Tells an agent to end an executor and all under it.
pub(super) fn shutdown_executor(framework: &FrameworkId, executor: &ExecutorId) -> MasterBody {
    MasterBody::ShutdownExecutor(agent::ShutdownExecutor {
        framework_id: Some(framework.clone()),
        executor_id: Some(executor.clone()),
    })
}

/// Tells an agent to end a task.
pub(super) fn kill(
    framework: &FrameworkId,
    task: &TaskId,
    kill_policy: Option<KillPolicy>,
) -> MasterBody {
    MasterBody::Kill(agent::Kill {
        framework_id: Some(framework.clone()),
        task_id: Some(task.clone()),
        kill_policy,
    })
}

/// Tells an agent that a framework has a message of an executor.
pub(super) fn message_taken(
    framework: &FrameworkId,
    executor: &ExecutorId,
    number: u64,
) -> MasterBody {
    MasterBody::MessageTaken(agent::MessageTaken {
        framework_id: Some(framework.clone()),
        executor_id: Some(executor.clone()),
        number,
    })
}

/// Tells an agent that a status is in custody.
pub(super) fn acknowledge(framework: &FrameworkId, task: &TaskId, uuid: Vec<u8>) -> MasterBody {
    MasterBody::Acknowledge(agent::Acknowledge {
        framework_id: Some(framework.clone()),
        task_id: Some(task.clone()),
        uuid,
    })
}
