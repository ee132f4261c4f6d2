//! Mesos messages in JSON: what is read is written, and read again as the same, in both forms.

use muster_proto::{
    executor,
    json::{self, Fields},
    scheduler,
    wire::{self, Shaped},
};
use prost::Message;

use crate::{samples, travel};

/// The longest body that is accepted here.
const LIMIT: usize = 1 << 20;

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

fn read<M: Fields + Shaped + Message + PartialEq>(data: &[u8]) -> Option<M> {
    let message = json::from_slice::<M>(data, LIMIT).ok()?;
    let written = json::to_vec(&message);
    let again = json::from_slice::<M>(&written, written.len()).expect("what is written is read");
    assert_eq!(json::to_vec(&again), written);

    let from_wire = wire::from_slice::<M>(&message.encode_to_vec());
    assert!(from_wire.expect("what has all in JSON has all in protobuf") == message);
    Some(message)
}

/// What was recorded, and what JSON can do to it.
pub fn seeds() -> Vec<Vec<u8>> {
    let recorded = samples::JSON.iter().flat_map(|side| side.lines().step_by(7));
    let odd = [
        r#"{"type":"ACCEPT","accept":{"filters":{"refuse_seconds":"-Infinity"}}}"#,
        r#"{"type":null,"decline":{"offer_ids":{"value":"o"},"filters":{"refuse_seconds":1e999}}}"#,
        r#"{"type":"KILL","kill":{"task_id":{"value":"\u0000\ud83d\ude00"},"kill_policy":{}}}"#,
        r#"{"subscribe":{"framework_info":{"user":"","name":"","capabilities":{"type":"X"}}}}"#,
        r#"{"status":{"container_status":{"container_id":{"value":"","parent":{"value":""}}}}}"#,
    ];
    recorded.chain(odd).map(|text| text.as_bytes().to_vec()).collect()
}
