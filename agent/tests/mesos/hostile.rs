//! Executors that mean harm, or are broken: they harm themselves.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use muster_api::limits;
use muster_proto::{
    TaskState,
    agent::{AgentBody, MasterBody, ReadLog},
};
use serde_json::{Value, json};

use super::calls::Place;
use crate::support::{
    PATIENCE,
    foreign::{FOREVER, JSON, post, request},
    foreign_task,
};

#[test]
fn a_call_is_taken_at_its_bound_and_refused_beyond() {
    let place = Place::new();
    place.subscribe();
    let call = place.executor.call("MESSAGE", json!({"data": "aGk="})).to_string();
    let padded = |bytes: usize| format!("{call}{}", " ".repeat(bytes - call.len()));
    let at = post(&place.executor.listen, &[JSON], padded(limits::CALL_BYTES).as_bytes());
    assert_eq!(at.status, 202, "{}", at.text());
    let head = format!(
        "POST /api/v1/executor HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        limits::CALL_BYTES + 1
    );
    let beyond = request(&place.executor.listen, head.as_bytes());
    assert_eq!(beyond.status, 413, "before it is read");
    place.stop();
}

#[test]
fn nonsense_ends_its_own_connection_and_nothing_else() {
    let place = Place::new();
    let mut events = place.subscribe();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies = [&b"\xff\xfe"[..], b"[]", b"null", b"", nested.as_bytes(), b"{\"type\":{}}"];
    for body in bodies {
        assert_eq!(post(&place.executor.listen, &[JSON], body).status, 400);
        let protobuf = [("Content-Type", "application/x-protobuf")];
        assert_eq!(post(&place.executor.listen, &protobuf, body).status, 400);
    }
    for noise in [&b"\x00\x01\x02\r\n\r\n"[..], b"POST / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n"] {
        let mut socket = TcpStream::connect(&place.executor.listen).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(noise).unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
    }
    assert_eq!(place.executor.update("t1", "TASK_RUNNING", 1).status, 202);
    events.expect("ACKNOWLEDGED");
    place.stop();
}

#[test]
fn a_call_that_breaks_off_in_the_middle_is_none() {
    let place = Place::new();
    place.subscribe();
    let call = place.executor.call("MESSAGE", json!({"data": "aGk="})).to_string();
    let mut socket = TcpStream::connect(&place.executor.listen).unwrap();
    let head = format!(
        "POST /api/v1/executor HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{}",
        call.len(),
        &call[..call.len() / 2]
    );
    socket.write_all(head.as_bytes()).unwrap();
    drop(socket);
    assert_eq!(place.executor.update("t1", "TASK_RUNNING", 1).status, 202);
    place.stop();
}

#[test]
fn many_calls_go_over_one_connection() {
    let mut place = Place::new();
    place.subscribe();
    let call = place.executor.call("MESSAGE", json!({"data": "aGk="})).to_string();
    let mut socket = TcpStream::connect(&place.executor.listen).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        let request = format!(
            "POST /api/v1/executor HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{call}",
            call.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 202 Accepted\r\n"));
        place.link.next();
    }
    place.stop();
}

/// What waits for it is bounded, and then its stream ends. What of that never reached it is known
/// when it subscribes again and says what it has.
#[test]
fn an_executor_that_does_not_read_is_cut_off_and_nothing_is_lost_silently() {
    const BIG: usize = 60;
    let mut place = Place::new();
    let mut first = place.subscribe();
    for number in 0..BIG {
        let mut task = foreign_task(&format!("big{number}"), "e1", FOREVER);
        task.resources.clear();
        task.data = Some(vec![7; 1024 * 1024]);
        place.link.launch(task);
    }
    // The agent answers this when it has done all before it.
    place.link.send(MasterBody::ReadLog(ReadLog { request: 1, ..ReadLog::default() }));
    let AgentBody::LogData(_) = place.link.next() else { panic!("nothing but this is asked") };
    let launched =
        |event: &Value| Some(event["launch"]["task"]["task_id"]["value"].as_str()?.to_owned());
    let mut held = Vec::new();
    while let Some(event) = first.next() {
        held.push(launched(&event).unwrap());
    }
    assert!(!held.is_empty() && held.len() < BIG, "{} were sent", held.len());

    let task = |name: &String| json!({"name": name, "task_id": {"value": name}, "agent_id": {"value": "a"}});
    let mut tasks: Vec<Value> = held.iter().map(task).collect();
    tasks.push(task(&"t1".to_owned()));
    let subscribe = json!({"unacknowledged_tasks": tasks});
    let (mut second, _) = place.executor.subscribe_with(subscribe);
    place.link.launch(foreign_task("last", "e1", FOREVER));
    let mut sent = Vec::new();
    loop {
        let name = launched(&second.next().expect("the agent lives")).unwrap();
        if name == "last" {
            break;
        }
        sent.push(name);
    }
    for _ in 0..BIG - held.len() - sent.len() {
        let status = place.link.status();
        assert_eq!(status.state(), TaskState::Dropped);
        let name = status.task_id.unwrap().value;
        assert!(!held.contains(&name) && !sent.contains(&name), "{name}");
    }
    place.stop();
}
