//! Mesos messages in protobuf: what is read is what `prost` reads, has all that is required, and is
//! written and read again as the same, in both forms.

use muster_proto::{
    executor,
    json::{self, Fields, InvalidJson, Problem},
    scheduler,
    wire::{self, InvalidMessage, Shaped},
};
use prost::Message;

use crate::{samples, travel};

/// The bytes as the body of each of the messages that come over HTTP.
pub fn check(data: &[u8]) {
    if let Some(call) = read::<scheduler::Call>(data) {
        travel::of_framework(&call);
    }
    if let Some(call) = read::<executor::Call>(data) {
        travel::of_executor(&call);
    }
    read::<scheduler::Event>(data);
    read::<executor::Event>(data);
}

fn read<M: Fields + Shaped + Message>(data: &[u8]) -> Option<M> {
    let plain = M::decode(data);
    let message = match wire::from_slice::<M>(data) {
        Ok(message) => message,
        Err(InvalidMessage::Missing { paths, .. }) => {
            if let Ok(message) = plain {
                lacks(&message, &paths);
            }
            return None;
        }
        Err(InvalidMessage::Unreadable { .. }) => return None,
    };
    // Messages are compared by their bytes: what is no number is not equal to itself.
    let bytes = message.encode_to_vec();
    let mut plain = plain.expect("what is read here `prost` reads");
    plain.forget_unknown();
    assert_eq!(plain.encode_to_vec(), bytes);
    let again = wire::from_slice::<M>(&bytes).expect("what is written is read");
    assert_eq!(again.encode_to_vec(), bytes);

    let text = json::to_vec(&message);
    match json::from_slice::<M>(&text, text.len()) {
        Ok(from_json) => assert_eq!(json::to_vec(&from_json), text),
        // JSON has no form for what is no number, and reads none.
        Err(InvalidJson::NotTheMessage { problem: Problem::Unreadable { text, .. }, .. }) => {
            assert_eq!(text, "NaN");
        }
        Err(error) => panic!("what has all in protobuf has all in JSON: {error}"),
    }
    Some(message)
}

/// What `prost` takes for a message, though required messages or values of enumerations are
/// missing, lacks the same in JSON. A scalar cannot be missed there: `prost` sets its default.
fn lacks<M: Fields>(message: &M, on_wire: &[String]) {
    let text = json::to_vec(message);
    let error = json::from_slice::<M>(&text, text.len()).err();
    if let Some(InvalidJson::NotTheMessage { problem: Problem::Missing { paths }, .. }) = error
        && on_wire.len() < 100
    {
        for path in &paths {
            assert!(on_wire.contains(path), "{path} is not among {on_wire:?}");
        }
    }
}

/// What was recorded, in protobuf.
pub fn seeds() -> Vec<Vec<u8>> {
    let [calls, events, executor_calls, executor_events] = samples::JSON;
    [
        encoded::<scheduler::Call>(calls),
        encoded::<scheduler::Event>(events),
        encoded::<executor::Call>(executor_calls),
        encoded::<executor::Event>(executor_events),
    ]
    .concat()
}

fn encoded<M: Fields + Message>(lines: &str) -> Vec<Vec<u8>> {
    let read = |line: &str| json::from_slice::<M>(line.as_bytes(), line.len()).ok();
    lines.lines().step_by(7).filter_map(read).map(|message| message.encode_to_vec()).collect()
}
