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

use crate::verdict;

/// Something in a message that cannot be understood; the message is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is missing or not valid")]
pub(crate) struct InvalidMessage {
    what: &'static str,
}

fn invalid(what: &'static str) -> InvalidMessage {
    InvalidMessage { what }
}

/// An offer. Resources other than scalars are not for us.
pub(crate) fn offer(offer: &mesos::Offer) -> Result<Offer, InvalidMessage> {
    let id = offer.id.as_ref().and_then(|id| id.value.parse::<OfferId>().ok());
    let agent = offer.agent_id.as_ref().and_then(|id| id.value.parse::<AgentId>().ok());
    Ok(Offer {
        id: id.ok_or_else(|| invalid("the id of an offer"))?,
        agent: agent.ok_or_else(|| invalid("the agent of an offer"))?,
        hostname: offer.hostname.clone(),
        attributes: attributes(&offer.attributes),
        resources: resources(&offer.resources)?,
    })
}

fn attributes(all: &[mesos::Attribute]) -> BTreeMap<String, String> {
    all.iter().map(|attribute| (attribute.name.clone(), attribute.value_text())).collect()
}

fn resources(all: &[mesos::Resource]) -> Result<Resources, InvalidMessage> {
    let mut sum = Resources::none();
    for resource in all {
        let Some(scalar) = &resource.scalar else { continue };
        let amount = Amount::from_f64(scalar.value).map_err(|_| invalid("a resource"))?;
        let one: Resources = [(resource.name.clone(), amount)].into_iter().collect();
        sum = sum.checked_add(&one).ok_or_else(|| invalid("a resource"))?;
    }
    Ok(sum)
}

/// A status of one of our tasks.
pub(crate) fn update(status: &mesos::TaskStatus) -> Result<Event, InvalidMessage> {
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
        signal: verdict::signal(status).ok_or_else(|| invalid("the state of a status"))?,
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
