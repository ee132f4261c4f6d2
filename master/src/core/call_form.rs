//! Whether a call has the form that every call must have, in the order and the words of Mesos.

use muster_api::limits;
use muster_proto::{
    Operation,
    scheduler::{Accept, Call, CallType, Subscribe, UpdateFramework},
};

use super::calls::kind_of;

/// Why a call cannot be looked at: the body of an answer of 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Failed to validate scheduler::Call: {fault}")]
pub struct InvalidCall {
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("Expecting '{0}' to be present")]
    Missing(&'static str),
    #[error("'framework_id' differs from '{0}.framework_info.id'")]
    OtherId(&'static str),
    #[error("{0}")]
    Principal(OtherPrincipal),
    #[error("Not a valid UUID")]
    Uuid,
    #[error(
        "'accept' has {0} operations and tasks, more than the {max} of one call",
        max = limits::ACCEPT_TASKS
    )]
    Tasks(usize),
}

/// Somebody calls as a framework of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Authenticated principal '{proved}' does not match principal '{said}' set in `FrameworkInfo`"
)]
pub(super) struct OtherPrincipal {
    pub(super) proved: String,
    pub(super) said: String,
}

/// Checks the form of a call: that it has a type and what belongs to it, that its ids are one, that
/// it is made by whom it names, and that an acknowledgement names a uuid.
///
/// `principal` is who the caller has proved to be. A call of the type UNKNOWN passes: it is answered
/// by 501.
pub fn validate_call(call: &Call, principal: Option<&str>) -> Result<(), InvalidCall> {
    check(call, principal).map_err(|fault| InvalidCall { fault })
}

fn check(call: &Call, principal: Option<&str>) -> Result<(), Fault> {
    let present = |is_there: bool, name| is_there.then_some(()).ok_or(Fault::Missing(name));
    present(call.r#type.is_some(), "type")?;
    let kind = kind_of(call);
    if kind == CallType::Subscribe {
        let subscribe = call.subscribe.as_ref().ok_or(Fault::Missing("subscribe"))?;
        return check_subscribe(call, subscribe, principal);
    }
    if kind == CallType::Unknown {
        return Ok(());
    }
    present(call.framework_id.is_some(), "framework_id")?;
    match kind {
        CallType::Accept => check_accept(call.accept.as_ref().ok_or(Fault::Missing("accept"))?),
        CallType::Decline => present(call.decline.is_some(), "decline"),
        CallType::AcceptInverseOffers => {
            present(call.accept_inverse_offers.is_some(), "accept_inverse_offers")
        }
        CallType::DeclineInverseOffers => {
            present(call.decline_inverse_offers.is_some(), "decline_inverse_offers")
        }
        CallType::Kill => present(call.kill.is_some(), "kill"),
        CallType::Shutdown => present(call.shutdown.is_some(), "shutdown"),
        CallType::Acknowledge => {
            let body = call.acknowledge.as_ref().ok_or(Fault::Missing("acknowledge"))?;
            is_uuid(&body.uuid).then_some(()).ok_or(Fault::Uuid)
        }
        CallType::AcknowledgeOperationStatus => {
            let body = call.acknowledge_operation_status.as_ref();
            let body = body.ok_or(Fault::Missing("acknowledge_operation_status"))?;
            is_uuid(&body.uuid).then_some(()).ok_or(Fault::Uuid)
        }
        CallType::Reconcile => present(call.reconcile.is_some(), "reconcile"),
        CallType::ReconcileOperations => {
            present(call.reconcile_operations.is_some(), "reconcile_operations")
        }
        CallType::Message => present(call.message.is_some(), "message"),
        CallType::Request => present(call.request.is_some(), "request"),
        CallType::UpdateFramework => {
            let body = call.update_framework.as_ref().ok_or(Fault::Missing("update_framework"))?;
            check_update(call, body, principal)
        }
        CallType::Teardown
        | CallType::Revive
        | CallType::Suppress
        | CallType::Subscribe
        | CallType::Unknown => Ok(()),
    }
}

/// Each task, and each operation, may have an answer: one call has a bounded number of them.
fn check_accept(accept: &Accept) -> Result<(), Fault> {
    let tasks = |operation: &Operation| {
        let group = operation.launch_group.as_ref().and_then(|group| group.task_group.as_ref());
        operation.launch.as_ref().map_or(0, |launch| launch.task_infos.len())
            + group.map_or(0, |group| group.tasks.len())
    };
    let operations = &accept.operations;
    let count = operations.len() + operations.iter().map(tasks).sum::<usize>();
    (count <= limits::ACCEPT_TASKS).then_some(()).ok_or(Fault::Tasks(count))
}

fn check_subscribe(
    call: &Call,
    subscribe: &Subscribe,
    principal: Option<&str>,
) -> Result<(), Fault> {
    let info = subscribe.framework_info.as_ref();
    let info = info.ok_or(Fault::Missing("subscribe.framework_info"))?;
    let id = |id: Option<&muster_proto::FrameworkId>| id.map_or("", |id| &*id.value).to_owned();
    if id(call.framework_id.as_ref()) != id(info.id.as_ref()) {
        return Err(Fault::OtherId("subscribe"));
    }
    check_principal(info.principal.as_deref(), principal)
}

fn check_update(
    call: &Call,
    update: &UpdateFramework,
    principal: Option<&str>,
) -> Result<(), Fault> {
    let info = update.framework_info.as_ref();
    let info = info.ok_or(Fault::Missing("update_framework.framework_info"))?;
    if call.framework_id != info.id {
        return Err(Fault::OtherId("update_framework"));
    }
    check_principal(info.principal.as_deref(), principal)
}

fn check_principal(said: Option<&str>, proved: Option<&str>) -> Result<(), Fault> {
    match (said, proved) {
        (Some(said), Some(proved)) if said != proved => {
            let (proved, said) = (proved.to_owned(), said.to_owned());
            Err(Fault::Principal(OtherPrincipal { proved, said }))
        }
        _ => Ok(()),
    }
}

/// Whether these are 16 bytes of the variant of RFC 4122, the only one that Mesos takes.
fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 16 && bytes[8] & 0xc0 == 0x80
}
