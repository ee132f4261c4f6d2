//! Every message that was recorded between frameworks, executors and a real Apache Mesos, in both
//! forms, through our messages and back (see `tests/samples/README.md`).
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

/// What the master and the agent write comes out byte for byte as they wrote it, but for the last
/// digit of a time: of the shortest texts of a double Mesos does not always choose the nearest.
fn check_events<M: Fields>(samples: &str, least: usize) {
    for line in samples.lines() {
        let written = text(&read::<M>(line));
        assert_eq!(without_time(&written), without_time(line));
    }
    assert!(samples.lines().count() >= least);
}

/// An event without the number of its `timestamp`, and the number.
fn without_time(event: &str) -> (String, Option<f64>) {
    let Some((before, rest)) = event.split_once("\"timestamp\":") else {
        return (event.to_owned(), None);
    };
    let (number, after) = rest.split_at(rest.find([',', '}']).unwrap());
    (format!("{before}{after}"), Some(number.parse().unwrap()))
}

#[test]
fn events_of_a_master_are_written_byte_for_byte_as_it_does() {
    check_events::<scheduler::Event>(include_str!("../samples/scheduler.events.jsonl"), 300);
}

#[test]
fn events_of_an_agent_are_written_byte_for_byte_as_it_does() {
    check_events::<executor::Event>(include_str!("../samples/executor.events.jsonl"), 70);
}

/// All that calls say comes out again, but for what is listed: what no Mesos knows. All that is
/// added is a default of Mesos.
fn check_calls<M: Fields + Message + PartialEq>(samples: &str, lost: &[&str], added: &[&str]) {
    let mut differences = Differences::default();
    for line in samples.lines() {
        let call: M = read(line);
        let written = text(&call);
        differences
            .note(&serde_json::from_str(line).unwrap(), &serde_json::from_str(&written).unwrap());
        assert_eq!(text(&read::<M>(&written)), written, "what is written is read as it was meant");
        assert!(M::decode(call.encode_to_vec().as_slice()).unwrap() == call, "{line}");
    }
    assert_eq!(differences.lost, lost.iter().map(ToString::to_string).collect());
    assert_eq!(differences.added, added.iter().map(ToString::to_string).collect());
}

#[test]
fn calls_of_frameworks_come_out_as_they_were() {
    let lost = [
        ".bogus 1",
        ".frameworkId {\"value\":\"9b4fd59b-22e3-4968-b0e6-d9c4df46c641-0004\"}",
        ".subscribe.framework_info.capabilities.type \"WHAT_IS_THIS\"",
        ".type \"BOGUS\"",
        ".type \"revive\"",
        ".zzz {\"a\":1}",
    ];
    let added = [
        ".accept.operations.launch.task_infos.command.environment.variables.type \"VALUE\"",
        concat!(
            ".accept.operations.launch.task_infos.executor",
            ".command.environment.variables.type \"VALUE\""
        ),
        ".accept.operations.launch.task_infos.executor.command.shell true",
        ".accept.operations.launch.task_infos.health_check.command.shell true",
        ".subscribe.framework_info.checkpoint false",
    ];
    check_calls::<scheduler::Call>(include_str!("../samples/scheduler.calls.jsonl"), &lost, &added);
}

#[test]
fn calls_of_executors_come_out_as_they_were() {
    let lost = [".bogus {}", ".type \"BOGUS\""];
    check_calls::<executor::Call>(include_str!("../samples/executor.calls.jsonl"), &lost, &[]);
}

/// What was sent in protobuf is, bytes and all, what we would send; and it means what another
/// decoder made of it.
fn check_protobuf<M: Fields + Message + PartialEq>(samples: &str, least: usize) {
    for line in samples.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = base64(line["bytes"].as_str().unwrap());
        let message = M::decode(bytes.as_slice()).unwrap();
        let written = message.encode_to_vec();
        if line["json"]["subscribed"]["agent_info"].is_object() {
            // An agent still sends one field of old (7, `checkpoint`), which v1 does not define.
            assert_eq!(written.len() + 2, bytes.len(), "{}", line["json"]);
        } else {
            assert_eq!(written, bytes, "{}", line["json"]);
        }

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
    let events: Vec<_> =
        samples.lines().map(|line| text(&read::<scheduler::Event>(line))).collect();
    let mut stream = Vec::new();
    for event in &events {
        recordio::encode(event.as_bytes(), &mut stream);
    }
    let mut decoder = recordio::Decoder::new(LIMIT);
    let mut events = events.iter();
    for piece in stream.chunks(1000) {
        decoder.feed(piece);
        while let Some(record) = decoder.next_record().unwrap() {
            assert_eq!(record, events.next().unwrap().as_bytes());
        }
    }
    assert!(decoder.is_between_records() && events.next().is_none());
}
