//! What the master says, as events of the engine.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Amount, ExecutorId, OfferId, Resources, TaskId, Timestamp,
    events::EventSource,
    limits,
    task::{ExecutionBatch, TaskReport},
};
use muster_engine::event::{Event, Offer, TaskUpdate};
use muster_proto as mesos;

use crate::{MasterKind, verdict};

/// Something in a message that cannot be understood; the message is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is missing or not valid")]
pub(crate) struct InvalidMessage {
    what: &'static str,
}

fn invalid(what: &'static str) -> InvalidMessage {
    InvalidMessage { what }
}

/// An offer. Only scalars are for us, and of those what anybody may have for good: what is reserved,
/// may be taken back, or is a disk of a special kind cannot be asked for as we ask for it.
pub(crate) fn offer(offer: &mesos::Offer) -> Result<Offer, InvalidMessage> {
    let id = offer.id.as_ref().and_then(|id| id.value.parse::<OfferId>().ok());
    let agent = offer.agent_id.as_ref().and_then(|id| id.value.parse::<AgentId>().ok());
    Ok(Offer {
        id: id.ok_or_else(|| invalid("the id of an offer"))?,
        agent: agent.ok_or_else(|| invalid("the agent of an offer"))?,
        hostname: offer.hostname.clone(),
        attributes: attributes(&offer.attributes),
        resources: resources(&offer.resources),
        executors: offer.executor_ids.iter().filter_map(|id| id.value.parse().ok()).collect(),
    })
}

fn is_plain(resource: &mesos::Resource) -> bool {
    resource.role.as_deref().is_none_or(|role| role == "*")
        && resource.reservation.is_none()
        && resource.reservations.is_empty()
        && resource.revocable.is_none()
        && resource.shared.is_none()
        && resource.disk.is_none()
        && resource.provider_id.is_none()
}

fn attributes(all: &[mesos::Attribute]) -> BTreeMap<String, String> {
    all.iter().map(|attribute| (attribute.name.clone(), attribute.value_text())).collect()
}

/// What of an offer is for us. An amount beyond ours is left out, and the rest of the offer is of use:
/// an offer that nobody knows of would never be given back.
fn resources(all: &[mesos::Resource]) -> Resources {
    let plain = all.iter().filter(|resource| is_plain(resource));
    plain.fold(Resources::none(), |sum, resource| {
        let amount = resource.scalar.as_ref().and_then(|one| Amount::from_f64(one.value).ok());
        let one = amount.map(|amount| Resources::from_iter([(resource.name.clone(), amount)]));
        one.and_then(|one| sum.checked_add(&one)).unwrap_or(sum)
    })
}

/// A status of one of our tasks.
pub(crate) fn update(
    status: &mesos::TaskStatus,
    master: MasterKind,
) -> Result<Event, InvalidMessage> {
    let task = status.task_id.as_ref().and_then(|id| id.value.parse::<TaskId>().ok());
    let agent = status.agent_id.as_ref().and_then(|id| id.value.parse::<AgentId>().ok());
    let uuid = match &status.uuid {
        None => None,
        Some(bytes) => Some(<[u8; 16]>::try_from(bytes.as_slice()).map_err(|_| invalid("uuid"))?),
    };
    let report = match status.data.as_deref() {
        None | Some([]) => TaskReport::default(),
        // A report that cannot be read is only less to show.
        Some(data) => TaskReport::decode(data).unwrap_or_default(),
    };
    Ok(Event::Task(TaskUpdate {
        task: task.ok_or_else(|| invalid("the task of a status"))?,
        agent,
        signal: verdict::signal(status, master).ok_or_else(|| invalid("the state of a status"))?,
        source: match status.source() {
            mesos::StatusSource::Executor => EventSource::Executor,
            mesos::StatusSource::Agent => EventSource::Agent,
            mesos::StatusSource::Master => EventSource::Scheduler,
        },
        at: status.timestamp.map(|seconds| Timestamp::from_millis((seconds * 1000.0) as i64)),
        message: status.message.clone().unwrap_or_default(),
        report,
        uuid,
    }))
}

/// What one of our executors tells of the executions of its resident tasks, the only message that it
/// ever sends.
pub(crate) fn executions(message: &mesos::scheduler::MessageBody) -> Result<Event, InvalidMessage> {
    let executor = message.executor_id.as_ref().and_then(|id| id.value.parse::<ExecutorId>().ok());
    let agent = message.agent_id.as_ref().and_then(|id| id.value.parse::<AgentId>().ok());
    // Agents of this version pass on no more; nobody else's word is taken for that.
    if message.data.len() > limits::EXECUTOR_MESSAGE_BYTES {
        return Err(invalid("the content of a message of an executor"));
    }
    Ok(Event::Executions {
        executor: executor.ok_or_else(|| invalid("the executor of a message"))?,
        agent: agent.ok_or_else(|| invalid("the agent of a message"))?,
        batch: ExecutionBatch::decode(&message.data)
            .map_err(|_| invalid("the content of a message of an executor"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_an_executor_tells_of_executions_or_nothing() {
        let executor = "018bcfe5-6800-7ccc-b9fb-27c4b5fe626e";
        let batch = ExecutionBatch { number: 4, ..ExecutionBatch::default() };
        let good = mesos::scheduler::MessageBody {
            agent_id: Some(mesos::AgentId::new("agent-1")),
            executor_id: Some(mesos::ExecutorId::new(executor)),
            data: batch.encode(),
        };
        let told = executions(&good).expect("it is a good message");
        let Event::Executions { executor: who, agent, batch: what } = told else {
            panic!("{told:?}")
        };
        assert_eq!((who.to_string().as_str(), agent.as_str(), what), (executor, "agent-1", batch));
        let bad = [
            mesos::scheduler::MessageBody { agent_id: None, ..good.clone() },
            mesos::scheduler::MessageBody {
                executor_id: Some(mesos::ExecutorId::new("theirs")),
                ..good.clone()
            },
            mesos::scheduler::MessageBody { data: b"hello".to_vec(), ..good.clone() },
            mesos::scheduler::MessageBody { data: b"\x02{}".to_vec(), ..good.clone() },
            mesos::scheduler::MessageBody { data: Vec::new(), ..good },
        ];
        for message in bad {
            assert!(executions(&message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn a_message_is_taken_at_its_bound_and_passed_over_beyond() {
        let mut data = ExecutionBatch::default().encode();
        // White space after a document belongs to it.
        data.resize(limits::EXECUTOR_MESSAGE_BYTES, b' ');
        let mut message = mesos::scheduler::MessageBody {
            agent_id: Some(mesos::AgentId::new("agent-1")),
            executor_id: Some(mesos::ExecutorId::new("018bcfe5-6800-7ccc-b9fb-27c4b5fe626e")),
            data,
        };
        executions(&message).expect("it is as long as it may be");
        message.data.push(b' ');
        assert!(executions(&message).is_err());
    }

    #[test]
    fn an_amount_that_is_beyond_ours_is_left_out_of_an_offer_and_the_rest_is_not() {
        let given = [("cpus", 2.5), ("bandwidth", 1e10), ("less", -1.0), ("none", f64::NAN)];
        let message = mesos::Offer {
            id: Some(mesos::OfferId::new("o1")),
            agent_id: Some(mesos::AgentId::new("agent-1")),
            resources: given.map(|(name, amount)| mesos::Resource::scalar(name, amount)).into(),
            ..mesos::Offer::default()
        };
        assert_eq!(offer(&message).unwrap().resources, "cpus:2.5".parse().unwrap());
    }

    #[test]
    fn attributes_are_texts_as_mesos_prints_them() {
        let bare = |name: &str| mesos::Attribute { name: name.into(), ..Default::default() };
        let set = mesos::Set { item: vec!["a".into(), "b".into()] };
        let ranges = [(1, 3), (7, 7)].map(|(begin, end)| mesos::Range { begin, end });
        let message = mesos::Offer {
            id: Some(mesos::OfferId::new("o1")),
            agent_id: Some(mesos::AgentId::new("agent-1")),
            hostname: "h".into(),
            attributes: vec![
                mesos::Attribute::text("rack", "r1"),
                mesos::Attribute { scalar: Some(mesos::Scalar { value: 1.5 }), ..bare("load") },
                mesos::Attribute { set: Some(set), ..bare("zones") },
                mesos::Attribute {
                    ranges: Some(mesos::Ranges { range: ranges.to_vec() }),
                    ..bare("slots")
                },
            ],
            ..mesos::Offer::default()
        };
        let attributes = offer(&message).expect("it is a good offer").attributes;
        let texts: Vec<_> =
            attributes.iter().map(|(name, text)| format!("{name}:{text}")).collect();
        assert_eq!(texts, ["load:1.5", "rack:r1", "slots:[1-3,7-7]", "zones:{a,b}"]);
    }
}
