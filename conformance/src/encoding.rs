//! The two encodings of the Mesos messages. Cases are written in JSON values; what goes over the
//! wire in protobuf is made of them, and what comes is turned into them.

use muster_proto::{
    executor,
    json::{self, Fields, InvalidJson},
    scheduler,
};
use prost::Message;
use serde_json::Value;

/// The most that a message may have; real ones are far below.
const MESSAGE_BYTES: usize = 64 << 20;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

/// Whose calls and events are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `/api/v1/scheduler` of a master.
    Scheduler,
    /// `/api/v1/executor` of an agent.
    Executor,
}

/// A value is no message of Mesos, or bytes are none.
#[derive(Debug, thiserror::Error)]
pub enum Unencodable {
    /// A JSON value that is no such message.
    #[error("no message of Mesos: {0}")]
    NotTheMessage(#[from] InvalidJson),
    /// Bytes that are no such message.
    #[error("no protobuf of Mesos: {0}")]
    NotProtobuf(#[from] prost::DecodeError),
    /// Bytes that are no JSON.
    #[error("no JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

impl Encoding {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Json, Self::Protobuf];

    /// What `Content-Type` and `Accept` call it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// How it is named in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }

    /// The bytes of a call.
    pub fn encode_call(self, side: Side, call: &Value) -> Result<Vec<u8>, Unencodable> {
        let text = call.to_string().into_bytes();
        match (self, side) {
            (Self::Json, _) => Ok(text),
            (Self::Protobuf, Side::Scheduler) => to_protobuf::<scheduler::Call>(&text),
            (Self::Protobuf, Side::Executor) => to_protobuf::<executor::Call>(&text),
        }
    }

    /// The value of an event.
    pub fn decode_event(self, side: Side, bytes: &[u8]) -> Result<Value, Unencodable> {
        match (self, side) {
            (Self::Json, _) => Ok(serde_json::from_slice(bytes)?),
            (Self::Protobuf, Side::Scheduler) => from_protobuf::<scheduler::Event>(bytes),
            (Self::Protobuf, Side::Executor) => from_protobuf::<executor::Event>(bytes),
        }
    }

    /// An event with what its encoding leaves out: the values that fields have by default.
    pub fn complete_event(self, side: Side, event: &Value) -> Result<Value, Unencodable> {
        let text = event.to_string().into_bytes();
        match (self, side) {
            (Self::Json, _) => Ok(event.clone()),
            (Self::Protobuf, Side::Scheduler) => completed::<scheduler::Event>(&text),
            (Self::Protobuf, Side::Executor) => completed::<executor::Event>(&text),
        }
    }
}

fn completed<M: Fields>(text: &[u8]) -> Result<Value, Unencodable> {
    let message = json::from_slice::<M>(text, MESSAGE_BYTES)?;
    Ok(serde_json::from_slice(&json::to_vec(&message))?)
}

fn to_protobuf<M: Fields + Message>(text: &[u8]) -> Result<Vec<u8>, Unencodable> {
    Ok(json::from_slice::<M>(text, MESSAGE_BYTES)?.encode_to_vec())
}

fn from_protobuf<M: Fields + Message + Default>(bytes: &[u8]) -> Result<Value, Unencodable> {
    Ok(serde_json::from_slice(&json::to_vec(&M::decode(bytes)?))?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_the_same_in_both_encodings() {
        let call = json!({
            "type": "KILL",
            "framework_id": {"value": "f"},
            "kill": {"task_id": {"value": "t"}},
        });
        let bytes = Encoding::Protobuf.encode_call(Side::Scheduler, &call).unwrap();
        let decoded = scheduler::Call::decode(bytes.as_slice()).unwrap();
        assert_eq!(decoded.kill.unwrap().task_id.unwrap().value, "t");
        let text = Encoding::Json.encode_call(Side::Scheduler, &call).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), call);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let nonsense = json!({"type": "KILL", "kill": {}});
        assert!(Encoding::Protobuf.encode_call(Side::Scheduler, &nonsense).is_err());
        assert!(Encoding::Protobuf.decode_event(Side::Executor, b"\xff").is_err());
        assert!(Encoding::Json.decode_event(Side::Executor, b"{").is_err());
    }
}
