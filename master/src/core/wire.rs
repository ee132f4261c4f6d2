//! The door: Mesos values become the master's own here, and its own become Mesos values again.
//! The only place of the core that reckons with floating-point numbers.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{AgentId, Amount, InvalidAmount, Now, Resources, limits};
use muster_proto::{
    AllocationInfo, Attribute, ExecutorId, Filters, FrameworkId, FrameworkInfo, KillPolicy,
    OfferId, OperationStatus, Reason, Resource, StatusSource, TaskId, TaskState, TaskStatus,
    ValueType,
    agent::{self, MasterBody},
    scheduler,
};

use super::role::Role;

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
    #[error("resource `{name}` is {what}, which is not supported")]
    Special { name: String, what: &'static str },
}

/// What a resource is that is more than an amount.
fn special(resource: &Resource) -> Option<&'static str> {
    if resource.reservation.is_some() || !resource.reservations.is_empty() {
        Some("reserved")
    } else if resource.disk.is_some() {
        Some("a volume")
    } else if resource.revocable.is_some() {
        Some("revocable")
    } else if resource.shared.is_some() {
        Some("shared")
    } else if resource.provider_id.is_some() {
        Some("of a resource provider")
    } else {
        None
    }
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
        if let Some(what) = special(resource) {
            return Err(InvalidResource::Special { name: name(), what });
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

/// Says in each resource which role it is allocated to, and no longer in the former way for whom it
/// would be reserved: so executors get them from Mesos.
pub(super) fn allocate(resources: &mut [Resource], role: &Role) {
    for resource in resources {
        resource.role = None;
        resource.allocation_info = Some(allocation(role));
    }
}

/// The role that resources are allocated to, where they say so.
pub(super) fn allocated(resources: &[Resource]) -> Option<Role> {
    let mut roles = resources.iter().filter_map(|one| one.allocation_info.as_ref()?.role.as_ref());
    Role::new(roles.next()?).ok()
}

/// That something is allocated to a role.
pub(super) fn allocation(role: &Role) -> AllocationInfo {
    AllocationInfo { role: Some(role.to_string()) }
}

/// Amounts of resources by name.
pub(super) fn quantities_in(
    amounts: &BTreeMap<String, muster_proto::Quantity>,
) -> Result<Resources, InvalidAmount> {
    let one = |(name, quantity): (&String, &muster_proto::Quantity)| {
        let amount = Amount::from_f64(quantity.value.unwrap_or_default());
        amount.map(|amount| (name.clone(), amount))
    };
    amounts.iter().map(one).collect()
}

/// Attributes as texts, whatever their kind.
pub(super) fn attributes_in(list: &[Attribute]) -> BTreeMap<String, String> {
    list.iter().map(|attribute| (attribute.name.clone(), attribute.value_text())).collect()
}

/// Attributes as messages.
pub(super) fn attributes_out(attributes: &BTreeMap<String, String>) -> Vec<Attribute> {
    attributes.iter().map(|(name, value)| Attribute::text(name, value)).collect()
}

/// An id that Mesos does not allow, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidId {
    #[error("ID must not be empty")]
    Empty,
    #[error("ID must not be greater than {} characters", limits::OPAQUE_ID_BYTES)]
    TooLong,
    #[error("'{0}' is disallowed")]
    Disallowed(String),
    #[error("'{0}' contains invalid characters")]
    Characters(String),
}

/// Whether an id that a framework chose is one that Mesos allows.
pub(super) fn check_id(id: &str) -> Result<(), InvalidId> {
    if id.is_empty() {
        Err(InvalidId::Empty)
    } else if id.len() > limits::OPAQUE_ID_BYTES {
        Err(InvalidId::TooLong)
    } else if matches!(id, "." | "..") {
        Err(InvalidId::Disallowed(id.to_owned()))
    } else if id.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        Err(InvalidId::Characters(id.to_owned()))
    } else {
        Ok(())
    }
}

/// The same as a question.
pub(super) fn is_valid_id(id: &str) -> bool {
    check_id(id).is_ok()
}

/// Whether a number of seconds is one that Mesos can wait for: it counts nanoseconds in 64 bits.
pub(super) fn is_duration(seconds: f64) -> bool {
    (seconds * 1e9).abs() <= i64::MAX as f64
}

/// How long a framework may be away, as it said; below zero is zero.
pub(super) fn failover_timeout(info: &FrameworkInfo) -> Duration {
    Duration::try_from_secs_f64(info.failover_timeout.unwrap_or(0.0)).unwrap_or(Duration::ZERO)
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
    pub(super) executor: Option<&'a ExecutorId>,
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
            executor_id: self.executor.cloned(),
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

/// What became of an operation that a framework gave an id.
pub(super) fn operation(status: OperationStatus) -> scheduler::Event {
    let update = scheduler::UpdateOperationStatus { status: Some(status) };
    scheduler::Event {
        update_operation_status: Some(Box::new(update)),
        ..event(scheduler::EventType::UpdateOperationStatus)
    }
}

/// That an agent is lost, with all that was there.
pub(super) fn agent_lost(agent: &AgentId) -> scheduler::Event {
    failure(scheduler::Failure { agent_id: Some(agent_id_out(agent)), ..Default::default() })
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
