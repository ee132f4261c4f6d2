//! Bytes that a real Apache Mesos master and agent sent (1.12, protobuf), read by our decoder and
//! our messages, beside what the recorder decoded with the original definitions.
#![allow(clippy::unwrap_used, reason = "a trace that cannot be read is a failed test")]

use muster_proto::{TaskState, executor, recordio::Decoder, scheduler};
use prost::Message;
use serde_json::Value;

/// The body of a recorded answer: without its head, and without chunked framing.
fn body(raw: &[u8]) -> Vec<u8> {
    let head = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (mut rest, mut body) = (&raw[head + 4..], Vec::new());
    if !raw[..head].windows(7).any(|word| word == b"chunked") {
        return rest.to_vec();
    }
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
    body
}

/// The records of a stream, fed in pieces of `piece` bytes.
fn records(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(1024 * 1024);
    let mut records = Vec::new();
    for piece in stream.chunks(piece) {
        decoder.feed(piece);
        while let Some(record) = decoder.next_record().unwrap() {
            records.push(record.to_vec());
        }
    }
    assert!(decoder.is_between_records());
    records
}

fn decoded_by_the_recorder(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check_lengths(records: &[Vec<u8>], expected: &[Value]) {
    let lengths: Vec<_> = records.iter().map(|record| Value::from(record.len())).collect();
    let recorded: Vec<_> = expected.iter().map(|line| line["len"].clone()).collect();
    assert_eq!(lengths, recorded);
}

/// What of an event of a scheduler must come through: its kind and what it is about.
fn scheduler_facts(event: &scheduler::Event) -> Vec<String> {
    let kind = scheduler::EventType::try_from(event.r#type.unwrap()).unwrap();
    let mut facts = vec![format!("{kind:?}").to_uppercase()];
    for offer in event.offers.iter().flat_map(|body| &body.offers) {
        facts.push(offer.id.as_ref().unwrap().to_string());
        facts.push(offer.hostname.clone());
        for resource in &offer.resources {
            let scalar = resource.scalar.as_ref().map(|scalar| scalar.value);
            facts.push(format!("{} {}", resource.name, scalar.unwrap_or(-1.0)));
        }
        facts.extend(offer.executor_ids.iter().map(ToString::to_string));
    }
    if let Some(status) = event.update.as_ref().and_then(|body| body.status.as_ref()) {
        let state = TaskState::try_from(status.state).unwrap();
        facts.push(status.task_id.as_ref().unwrap().to_string());
        facts.push(format!("TASK_{}", format!("{state:?}").to_uppercase()));
        facts.push(status.message.clone().unwrap_or_default());
        facts.push(format!("{} bytes of uuid", status.uuid.as_ref().map_or(0, Vec::len)));
    }
    if let Some(failure) = &event.failure {
        let executor = failure.executor_id.as_ref().map(ToString::to_string);
        facts.push(format!("{} {}", executor.unwrap_or_default(), failure.status.unwrap_or(-1)));
    }
    facts
}

fn scheduler_facts_of_json(event: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut facts = vec![text(&event["type"])];
    for offer in list(&event["offers"]["offers"]) {
        facts.push(text(&offer["id"]["value"]));
        facts.push(text(&offer["hostname"]));
        for resource in list(&offer["resources"]) {
            let scalar = resource["scalar"]["value"].as_f64();
            facts.push(format!("{} {}", text(&resource["name"]), scalar.unwrap_or(-1.0)));
        }
        facts.extend(list(&offer["executor_ids"]).iter().map(|id| text(&id["value"])));
    }
    let status = &event["update"]["status"];
    if status.is_object() {
        facts.push(text(&status["task_id"]["value"]));
        facts.push(text(&status["state"]));
        facts.push(text(&status["message"]));
        let bytes = if status["uuid"].is_null() { 0 } else { 16 };
        facts.push(format!("{bytes} bytes of uuid"));
    }
    let failure = &event["failure"];
    if failure.is_object() {
        let status = failure["status"].as_i64().unwrap_or(-1);
        facts.push(format!("{} {status}", text(&failure["executor_id"]["value"])));
    }
    facts
}

#[test]
fn the_stream_of_a_scheduler_is_read_however_it_is_cut() {
    let stream = body(include_bytes!("traces/scheduler.stream.raw"));
    let expected = decoded_by_the_recorder(include_str!("traces/scheduler.events.jsonl"));
    assert!(expected.len() > 20);
    for piece in [1, 2, 7, 100, stream.len()] {
        let records = records(&stream, piece);
        check_lengths(&records, &expected);
        for (record, line) in records.iter().zip(&expected) {
            let event = scheduler::Event::decode(record.as_slice()).unwrap();
            assert_eq!(scheduler_facts(&event), scheduler_facts_of_json(&line["event"]));
        }
    }
}

#[test]
fn the_stream_of_an_executor_is_read() {
    let stream = body(include_bytes!("traces/executor.stream.raw"));
    let expected = decoded_by_the_recorder(include_str!("traces/executor.events.jsonl"));
    let records = records(&stream, 13);
    check_lengths(&records, &expected);
    for (record, line) in records.iter().zip(&expected) {
        let event = executor::Event::decode(record.as_slice()).unwrap();
        let kind = executor::EventType::try_from(event.r#type.unwrap()).unwrap();
        assert_eq!(format!("{kind:?}").to_uppercase(), line["event"]["type"].as_str().unwrap());
        let task = event.launch.and_then(|body| body.task).map(|task| task.name);
        assert_eq!(task.as_deref(), line["event"]["launch"]["task"]["name"].as_str());
        let killed = event.kill.and_then(|body| body.task_id).map(|id| id.value);
        let recorded = line["event"]["kill"]["task_id"]["value"].as_str();
        assert_eq!(killed.as_deref(), recorded);
        let uuid = event.acknowledged.map(|body| body.uuid.len());
        assert_eq!(uuid.is_some(), !line["event"]["acknowledged"].is_null());
        assert!(uuid.is_none_or(|length| length == 16));
    }
}

/// What a real framework and a real executor sent: nothing that we know of is lost on the way
/// through our messages.
#[test]
fn calls_survive_our_messages_unchanged() {
    let bytes = body(include_bytes!("traces/accept.request.raw"));
    let call = scheduler::Call::decode(bytes.as_slice()).unwrap();
    let accept = call.accept.as_ref().unwrap();
    let tasks = &accept.operations[0].launch.as_ref().unwrap().task_infos;
    let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["t-run", "t-fin"]);
    let executor = tasks[0].executor.as_ref().unwrap();
    assert_eq!(executor.name.as_deref(), Some("raw executor"));
    assert_eq!(executor.command.as_ref().unwrap().shell, Some(true));

    let bytes = body(include_bytes!("traces/update.request.raw"));
    let call = executor::Call::decode(bytes.as_slice()).unwrap();
    let status = call.update.as_ref().and_then(|body| body.status.as_ref()).unwrap();
    assert_eq!(status.state, TaskState::Starting as i32);
    assert_eq!(status.uuid.as_ref().map(Vec::len), Some(16));
    assert_eq!(call.encode_to_vec(), bytes);
}
