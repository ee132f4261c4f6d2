//! Every message that was recorded between frameworks, executors and a real Apache Mesos, in both forms,
//! through our messages and back (see `tests/samples/README.md`).
#![allow(clippy::unwrap_used, reason = "a recording that cannot be read is a failed test")]

mod differ;

use std::collections::BTreeSet;

use differ::Differences;
use muster_proto::{
    executor,
    json::{self, Fields, InvalidJson},
    recordio, scheduler,
};
use prost::Message;
use serde_json::Value;

const LIMIT: usize = 1 << 20;

fn read<M: Fields>(body: &str) -> M {
    json::from_slice(body.as_bytes(), LIMIT).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn text<M: Fields>(message: &M) -> String {
    String::from_utf8(json::to_vec(message)).unwrap()
}

/// What the master and the agent write comes out byte for byte as they wrote it.
fn check_events<M: Fields>(samples: &str, least: usize) {
    for line in samples.lines() {
        assert_eq!(text(&read::<M>(line)), line);
    }
    assert!(samples.lines().count() >= least);
}

#[test]
fn events_of_a_master_are_written_byte_for_byte_as_it_does() {
    check_events::<scheduler::Event>(include_str!("../samples/scheduler.events.jsonl"), 300);
}

#[test]
fn events_of_an_agent_are_written_byte_for_byte_as_it_does() {
    check_events::<executor::Event>(include_str!("../samples/executor.events.jsonl"), 70);
}

/// All that calls say comes out again, but for what is listed: what no Mesos knows. All that is added
/// is a default of Mesos.
fn check_calls<M: Fields + Message + PartialEq>(samples: &str, lost: &[&str], added: &[&str]) {
    let mut differences = Differences::default();
    for line in samples.lines() {
        let call: M = read(line);
        let written = text(&call);
        differences.note(&serde_json::from_str(line).unwrap(), &serde_json::from_str(&written).unwrap());
        assert_eq!(text(&read::<M>(&written)), written, "what is written is read as it was meant");
        assert!(M::decode(call.encode_to_vec().as_slice()).unwrap() == call, "{line}");
    }
    assert_eq!(differences.lost, lost.iter().map(ToString::to_string).collect());
    assert_eq!(differences.added, added.iter().map(ToString::to_string).collect());
}

#[test]
fn calls_of_frameworks_come_out_as_they_were() {
    check_calls::<scheduler::Call>(include_str!("../samples/scheduler.calls.jsonl"), &[], &[]);
}

#[test]
fn calls_of_executors_come_out_as_they_were() {
    check_calls::<executor::Call>(include_str!("../samples/executor.calls.jsonl"), &[], &[]);
}

/// What was sent in protobuf is, bytes and all, what we would send; and it means what another decoder
/// made of it.
fn check_protobuf<M: Fields + Message + PartialEq>(samples: &str, least: usize) {
    for line in samples.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = base64(line["bytes"].as_str().unwrap());
        let message = M::decode(bytes.as_slice()).unwrap();
        assert_eq!(message.encode_to_vec(), bytes, "{}", line["json"]);

        let written: Value = serde_json::from_str(&text(&message)).unwrap();
        let mut differences = Differences::default();
        differences.note(&line["json"], &written);
        assert_eq!(differences.lost, BTreeSet::new(), "{}", line["json"]);

        let again: M = read(&text(&message));
        assert_eq!(text(&again), text(&message));
    }
    assert!(samples.lines().count() >= least);
}

/// The bytes of a base64 text, by way of the one message that is nothing but bytes.
fn base64(text: &str) -> Vec<u8> {
    read::<executor::EventMessage>(&format!("{{\"data\":\"{text}\"}}")).data
}

#[test]
fn protobuf_calls_of_frameworks_come_out_byte_for_byte() {
    let samples = include_str!("../samples/scheduler.calls.protobuf.jsonl");
    check_protobuf::<scheduler::Call>(samples, 80);
}

#[test]
fn protobuf_events_of_a_master_come_out_byte_for_byte() {
    let samples = include_str!("../samples/scheduler.events.protobuf.jsonl");
    check_protobuf::<scheduler::Event>(samples, 100);
}

#[test]
fn protobuf_calls_of_executors_come_out_byte_for_byte() {
    let samples = include_str!("../samples/executor.calls.protobuf.jsonl");
    check_protobuf::<executor::Call>(samples, 18);
}

#[test]
fn protobuf_events_of_an_agent_come_out_byte_for_byte() {
    let samples = include_str!("../samples/executor.events.protobuf.jsonl");
    check_protobuf::<executor::Event>(samples, 20);
}

#[test]
fn what_mesos_refuses_is_refused_in_its_words() {
    let mut count = 0;
    for line in include_str!("../samples/refused.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let body = line["body"].as_str().unwrap().as_bytes();
        let error: InvalidJson = match line["api"].as_str().unwrap() {
            "scheduler" => json::from_slice::<scheduler::Call>(body, LIMIT).unwrap_err(),
            _ => json::from_slice::<executor::Call>(body, LIMIT).unwrap_err(),
        };
        assert_eq!(error.to_string(), line["answer"].as_str().unwrap());
        count += 1;
    }
    assert!(count >= 12);
}

#[test]
fn a_stream_of_json_is_framed_like_any_other() {
    let samples = include_str!("../samples/scheduler.events.jsonl");
    let mut stream = Vec::new();
    for line in samples.lines() {
        recordio::encode(&json::to_vec(&read::<scheduler::Event>(line)), &mut stream);
    }
    let mut decoder = recordio::Decoder::new(LIMIT);
    let mut lines = samples.lines();
    for piece in stream.chunks(1000) {
        decoder.feed(piece);
        while let Some(record) = decoder.next_record().unwrap() {
            assert_eq!(record, lines.next().unwrap().as_bytes());
        }
    }
    assert!(decoder.is_between_records() && lines.next().is_none());
}
