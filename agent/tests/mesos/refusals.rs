//! Requests that are refused, word for word as a Mesos agent refuses them.

use muster_proto::{
    ExecutorId, FrameworkId, StatusSource, TaskState,
    executor::{self, CallType},
};
use prost::Message;
use serde_json::{Value, json};

use super::calls::Place;
use crate::support::{
    foreign::{JSON, PROTOBUF, post, request},
    report,
};

/// Posts this and expects that answer.
fn refused(place: &Place, call: &Value, status: u16, words: &str) {
    let answer = place.executor.post(call);
    assert_eq!((answer.status, answer.text()), (status, words), "{call}");
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
}

/// As recorded of Mesos, in the order of its checks: each request is right but for what is said.
#[test]
fn what_is_wrong_with_a_request_is_said_in_the_words_of_mesos() {
    let place = Place::new();
    place.subscribe();
    let listen = &place.executor.listen;
    let get = request(listen, b"GET /api/v1/executor HTTP/1.1\r\nHost: agent\r\n\r\n");
    let words = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
    assert_eq!((get.status, get.text(), get.header("Allow")), (405, words, Some("POST")));
    let missing = "Expecting 'Content-Type' to be present";
    let unknown = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    for (headers, body, status, words) in [
        (&[][..], &b"{}"[..], 400, missing),
        (&[("Content-Type", "text/plain")], b"{}", 415, unknown),
        (&[("Content-Type", "application/json; charset=utf-8")], b"{}", 415, unknown),
        (&[JSON], b"{", 400, "Failed to parse body into JSON: syntax error at line 1 near: "),
        (
            &[JSON],
            b"{}",
            400,
            "Failed to convert JSON into Call protobuf: Missing required fields: executor_id, \
             framework_id",
        ),
        (&[PROTOBUF], b"{}", 400, "Failed to parse body into Call protobuf"),
    ] {
        let answer = post(listen, headers, body);
        assert_eq!((answer.status, answer.text()), (status, words), "{headers:?}");
    }
    let of = |status: Value| place.executor.call("UPDATE", json!({"status": status}));
    let changed = |name: &str, value: Value| {
        let mut status = place.executor.status("t1", "TASK_RUNNING", 1);
        status[name] = value;
        of(status)
    };
    let invalid = |words: &str| format!("Failed to validate Executor::Call: {words}");
    let who = "executor e1 of framework framework-1";
    for (call, words) in [
        (place.executor.call("BOGUS", json!({})), "Expecting 'type' to be present".to_owned()),
        (place.executor.call("UPDATE", Value::Null), "Expecting 'update' to be present".to_owned()),
        (place.executor.call("MESSAGE", Value::Null), "Expecting 'message' to be present".into()),
        (
            place.executor.call("SUBSCRIBE", Value::Null),
            "Expecting 'subscribe' to be present".to_owned(),
        ),
        (changed("uuid", Value::Null), "Expecting 'uuid' to be present".to_owned()),
        (changed("uuid", json!("AAAA")), "Not a valid UUID".to_owned()),
        (
            changed("source", json!("SOURCE_MASTER")),
            format!("Received Call from {who} with invalid source, expecting 'SOURCE_EXECUTOR'"),
        ),
        (
            changed("state", json!("TASK_STAGING")),
            format!("Received TASK_STAGING from {who} which is not allowed"),
        ),
        (
            changed("executor_id", json!({"value": "e2"})),
            "ExecutorID in Call: e1 does not match ExecutorID in TaskStatus: e2".to_owned(),
        ),
    ] {
        refused(&place, &call, 400, &invalid(&words));
    }
    place.stop();
}

#[test]
fn who_makes_a_call_must_be_here_and_subscribed() {
    let place = Place::new();
    let message = || place.executor.call("MESSAGE", json!({"data": "aGk="}));
    refused(&place, &message(), 403, "Executor is not subscribed");
    let running = place.executor.update("t1", "TASK_RUNNING", 1);
    assert_eq!((running.status, running.text()), (403, "Executor is not subscribed"));
    let other = |name: &str| {
        let mut call = message();
        call[name] = json!({"value": "nope"});
        call
    };
    refused(&place, &other("framework_id"), 400, "Framework cannot be found");
    refused(&place, &other("executor_id"), 400, "Executor cannot be found");
    let mut stranger = place.executor.call("SUBSCRIBE", json!({}));
    stranger["executor_id"] = json!({"value": "nope"});
    refused(&place, &stranger, 400, "Executor cannot be found");
    let body = place.executor.call("SUBSCRIBE", json!({})).to_string();
    let accept = [JSON, ("Accept", "text/html")];
    let answer = post(&place.executor.listen, &accept, body.as_bytes());
    let words = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    assert_eq!((answer.status, answer.text()), (406, words));
    // These two are told apart from nothing: an executor lives that says so, and there is a call
    // without a meaning.
    let beat = place.executor.post(&place.executor.call("HEARTBEAT", Value::Null));
    assert_eq!(beat.status, 202);
    place.subscribe();
    let unknown = place.executor.post(&place.executor.call("UNKNOWN", Value::Null));
    assert_eq!(unknown.status, 501);
    place.stop();
}

#[test]
fn a_token_that_is_shown_must_be_right() {
    let mut place = Place::new();
    let token = place.begun.env["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"].clone();
    let mut shown = |token: &str| {
        place.executor.token = Some(token.to_owned());
        place.executor.post(&place.executor.call("MESSAGE", json!({"data": "aGk="}))).status
    };
    assert_eq!(shown(&token), 403, "it is not subscribed");
    for stranger in ["x", "x.y", "6531.00", &format!("{token}00"), &token[1..]] {
        assert_eq!(shown(stranger), 401, "{stranger}");
    }
    place.executor.token = Some(token);
    place.subscribe();
    place.stop();
}

#[test]
fn protobuf_is_judged_as_json_is() {
    let place = Place::new();
    place.subscribe();
    let call = |kind: Option<CallType>, executor: &str| executor::Call {
        executor_id: Some(ExecutorId::new(executor)),
        framework_id: Some(FrameworkId::new("framework-1")),
        r#type: kind.map(|kind| kind as i32),
        ..executor::Call::default()
    };
    let mut wrong_source = report("t1", TaskState::Running, 1);
    wrong_source.source = Some(StatusSource::Agent as i32);
    let update = Some(executor::Update { status: Some(wrong_source) });
    for (call, status, words) in [
        (
            call(None, "e1"),
            400,
            "Failed to validate Executor::Call: Expecting 'type' to be present",
        ),
        (call(Some(CallType::Heartbeat), "nope"), 202, ""),
        (call(Some(CallType::Unknown), "e1"), 501, "Unknown call"),
        (
            executor::Call { update, ..call(Some(CallType::Update), "e1") },
            400,
            "Failed to validate Executor::Call: Received Call from executor e1 of framework \
             framework-1 with invalid source, expecting 'SOURCE_EXECUTOR'",
        ),
    ] {
        let answer = post(&place.executor.listen, &[PROTOBUF], &call.encode_to_vec());
        assert_eq!((answer.status, answer.text()), (status, words));
    }
    place.stop();
}
