//! The executor API of Mesos, as an executor that behaves uses it.

use muster_proto::{
    ExecutorId, TaskState, TaskStatus,
    agent::{AgentBody, FrameworkMessage, Kill, LaunchGroup, MasterBody, ShutdownExecutor},
    executor::{self, CallType, EventType},
};
use prost::Message;
use serde_json::json;

use crate::support::{
    AgentConnection, Master, RunningAgent, WorkDir,
    foreign::{Begun, Events, FOREVER, Foreign, PROTOBUF, post, uuid},
    foreign_task, framework, is_alive, pid_in, report,
};

/// An agent with one executor of a foreign framework, whose process runs.
pub struct Place {
    pub work: WorkDir,
    pub link: AgentConnection,
    pub executor: Foreign,
    pub begun: Begun,
    agent: RunningAgent,
    _master: Master,
}

impl Place {
    pub fn new() -> Self {
        let (work, master) = (WorkDir::new(), Master::bind());
        let agent = RunningAgent::start(work.path(), &master);
        let mut link = master.register(5);
        link.first_heartbeat();
        link.launch(foreign_task("t1", "e1", FOREVER));
        let begun = Begun::of(work.path(), "e1");
        let executor = Foreign::of(work.path(), "e1");
        Self { work, link, executor, begun, agent, _master: master }
    }

    /// The executor subscribes, and takes its first task.
    pub fn subscribe(&self) -> Events {
        let (mut events, first) = self.executor.subscribe();
        assert_eq!(first["type"], "SUBSCRIBED");
        events.expect("LAUNCH");
        events
    }

    pub fn stop(self) {
        self.agent.stop();
    }
}

#[test]
fn an_executor_that_speaks_json_subscribes_works_and_reports() {
    let mut place = Place::new();
    let (mut events, first) = place.executor.subscribe();
    let head = events.head.clone();
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
    assert!(!head.to_lowercase().contains("mesos-stream-id"), "{head}");
    let subscribed = &first["subscribed"];
    assert_eq!(subscribed["executor_info"]["executor_id"]["value"], "e1");
    assert_eq!(subscribed["executor_info"]["framework_id"]["value"], "framework-1");
    assert_eq!(subscribed["framework_info"]["id"]["value"], "framework-1");
    assert_eq!(subscribed["agent_info"]["id"]["value"], "agent-1");
    let container = subscribed["container_id"]["value"].as_str().unwrap().to_owned();
    let launch = events.expect("LAUNCH");
    assert_eq!(launch["task"]["task_id"]["value"], "t1");
    assert_eq!(launch["task"]["executor"]["executor_id"]["value"], "e1");

    let answer = place.executor.update("t1", "TASK_RUNNING", 1);
    assert_eq!((answer.status, answer.header("Content-Length")), (202, Some("0")));
    assert_eq!(events.expect("ACKNOWLEDGED"), json!({"task_id": {"value": "t1"}, "uuid": uuid(1)}));
    let told = place.link.status();
    assert_eq!((told.state(), told.executor_id), (TaskState::Running, None));
    let of = told.container_status.unwrap();
    assert_eq!(of.container_id.unwrap().value, container);
    assert!(is_alive(of.executor_pid.unwrap().cast_signed()));

    let say = place.executor.call("MESSAGE", json!({"data": "aGk="}));
    assert_eq!(place.executor.post(&say).status, 202);
    let AgentBody::ExecutorMessage(said) = place.link.next() else { panic!("no message") };
    assert_eq!((said.data.as_slice(), said.number), (&b"hi"[..], None));
    place.link.send(MasterBody::FrameworkMessage(FrameworkMessage {
        framework_id: framework().id,
        executor_id: Some(ExecutorId::new("e1")),
        data: b"hi".to_vec(),
    }));
    assert_eq!(events.expect("MESSAGE"), json!({"data": "aGk="}));

    place.link.launch(foreign_task("t2", "e1", FOREVER));
    assert_eq!(events.expect("LAUNCH")["task"]["task_id"]["value"], "t2");
    place.link.send(MasterBody::Kill(Kill {
        framework_id: framework().id,
        task_id: Some(muster_proto::TaskId::new("t2")),
        kill_policy: None,
    }));
    assert_eq!(events.expect("KILL"), json!({"task_id": {"value": "t2"}}));
    place.stop();
}

#[test]
fn protobuf_is_spoken_both_ways_and_mixed_with_json() {
    let mut place = Place::new();
    let call = place.executor.call("SUBSCRIBE", json!({}));
    let mut events = place.executor.open(&call, "application/x-protobuf");
    assert!(events.head.contains("Content-Type: application/x-protobuf\r\n"), "{}", events.head);
    let mut next = || executor::Event::decode(&*events.record().unwrap()).unwrap();
    assert_eq!(next().r#type(), EventType::Subscribed);
    assert_eq!(next().r#type(), EventType::Launch);
    let call = executor::Call {
        executor_id: Some(ExecutorId::new("e1")),
        framework_id: framework().id,
        r#type: Some(CallType::Update as i32),
        update: Some(executor::Update { status: Some(report("t1", TaskState::Running, 3)) }),
        ..executor::Call::default()
    };
    let answer = post(&place.executor.listen, &[PROTOBUF], &call.encode_to_vec());
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(next().acknowledged.unwrap().uuid, vec![3; 16]);
    assert_eq!(place.link.status().state(), TaskState::Running);
    assert_eq!(place.executor.update("t1", "TASK_FINISHED", 4).status, 202, "in JSON");
    assert_eq!(next().acknowledged.unwrap().uuid, vec![4; 16]);
    place.stop();
}

#[test]
fn a_second_subscription_ends_the_first_and_brings_what_was_not_acknowledged() {
    let mut place = Place::new();
    let mut first = place.subscribe();
    let status = place.executor.status("t1", "TASK_RUNNING", 1);
    let (mut second, event) = place.executor.subscribe_with(json!({
        "unacknowledged_tasks": [{"name": "t1", "task_id": {"value": "t1"}, "agent_id": {"value": "a"}}],
        "unacknowledged_updates": [{"status": status}],
    }));
    assert_eq!(event["type"], "SUBSCRIBED");
    assert!(first.next().is_none(), "the stream is over");
    assert_eq!(second.expect("ACKNOWLEDGED")["uuid"], uuid(1));
    assert_eq!(place.link.status().state(), TaskState::Running);
    assert_eq!(place.executor.update("t1", "TASK_RUNNING", 2).status, 202);
    second.expect("ACKNOWLEDGED");
    place.stop();
}

#[test]
fn an_update_for_a_task_that_nobody_launched_reaches_the_master() {
    let mut place = Place::new();
    let _events = place.subscribe();
    assert_eq!(place.executor.update("no-such-task", "TASK_RUNNING", 7).status, 202);
    let told: TaskStatus = place.link.status();
    assert_eq!(told.task_id.unwrap().value, "no-such-task");
    place.stop();
}

#[test]
fn a_group_is_delivered_as_one_event() {
    let mut place = Place::new();
    let mut events = place.subscribe();
    let tasks = ["a", "b"].map(|name| foreign_task(name, "e1", FOREVER)).to_vec();
    let (framework, heartbeat) = (Some(framework()), 1);
    place.link.send(MasterBody::LaunchGroup(LaunchGroup {
        framework,
        tasks,
        heartbeat,
        ..Default::default()
    }));
    let group = events.expect("LAUNCH_GROUP");
    let names = [0, 1].map(|at| group["task_group"]["tasks"][at]["task_id"]["value"].clone());
    assert_eq!(names, ["a", "b"]);
    place.stop();
}

#[test]
fn one_that_is_shut_down_hears_it_and_is_killed_if_it_does_not_listen() {
    let mut place = Place::new();
    let mut events = place.subscribe();
    let pid = pid_in(&place.begun.sandbox.join("pid"));
    place.link.send(MasterBody::ShutdownExecutor(ShutdownExecutor {
        framework_id: framework().id,
        executor_id: Some(ExecutorId::new("e1")),
    }));
    assert_eq!(events.next(), Some(json!({"type": "SHUTDOWN"})));
    assert_eq!(place.executor.update("t1", "TASK_KILLED", 1).status, 202);
    events.expect("ACKNOWLEDGED");
    assert_eq!(place.link.status().state(), TaskState::Killed);
    let (mut again, event) = place.executor.subscribe();
    assert_eq!(event, json!({"type": "SHUTDOWN"}), "and nothing else");
    assert!(again.next().is_none());
    assert_eq!(place.link.exited().status, 9);
    assert!(!is_alive(pid));
    let gone = place.executor.update("t1", "TASK_KILLED", 2);
    assert_eq!((gone.status, gone.text()), (400, "Framework cannot be found"));
    place.stop();
}

#[test]
fn an_id_is_used_again_in_a_folder_of_its_own() {
    let mut place = Place::new();
    place.subscribe();
    let pid = pid_in(&place.begun.sandbox.join("pid"));
    crate::support::kill_9(pid);
    let (raw, told) = place.link.ended();
    assert_eq!((raw, told.message()), (9, "Executor terminated"));
    place.link.launch(foreign_task("t2", "e1", FOREVER));
    let again = Begun::again(place.work.path(), "e1", &[&place.begun.sandbox]);
    assert_ne!(again.sandbox, place.begun.sandbox);
    let (mut events, first) = place.executor.subscribe();
    assert_eq!(first["type"], "SUBSCRIBED");
    assert_eq!(events.expect("LAUNCH")["task"]["task_id"]["value"], "t2");
    assert!(place.begun.sandbox.join("stdout").exists(), "what the first one wrote is kept");
    place.stop();
}

#[test]
fn state_version_and_health_are_there_for_consoles() {
    let place = Place::new();
    let listen = &place.executor.listen;
    for prefix in ["", "/slave(1)"] {
        let get = |path: &str| {
            let request = format!("GET {prefix}{path} HTTP/1.1\r\nHost: agent\r\n\r\n");
            crate::support::foreign::request(listen, request.as_bytes())
        };
        assert_eq!(get("/health").status, 200);
        assert_eq!(get("/no-such-path").status, 404);
        let version: serde_json::Value = serde_json::from_slice(&get("/version").body).unwrap();
        assert_eq!(version["version"], "1.11.0");
        let state: serde_json::Value = serde_json::from_slice(&get("/state").body).unwrap();
        assert_eq!((&state["id"], &state["hostname"]), (&json!("agent-1"), &json!("host-a")));
        let executor = &state["frameworks"][0]["executors"][0];
        assert_eq!(executor["id"], "e1");
        let folder = place.begun.sandbox.parent().unwrap().file_name().unwrap();
        assert_eq!(executor["container"].as_str(), folder.to_str());
        assert_eq!(executor["tasks"][0]["state"], "TASK_STAGING");
    }
    place.stop();
}
