//! What is different under an agent of Mesos: its requests, its losses, and no supervisor.

use std::{collections::BTreeMap, path::Path, time::Duration};

use muster_executor::Environment;
use muster_job::Jobs;
use muster_proto::{
    ExecutorId, FrameworkId, TaskId, TaskState,
    executor::{Call, CallType, Event, EventType},
    recordio,
};
use prost::Message;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    conversation::{script, within},
    fake_agent::{Answer, FakeAgent, Stream},
    witness::{content, is_gone, lives},
};

type Running = JoinHandle<anyhow::Result<()>>;

/// The built-in executor in this environment, subscribed.
async fn start(agent: &FakeAgent, environment: Environment) -> (Stream, Running) {
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (stream, subscribe) = agent.subscribed().await;
    assert_eq!(subscribe, Default::default());
    (stream, running)
}

async fn end(mut stream: Stream, running: Running) {
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

/// A script that goes on until it is killed; its process id is in the file `pid`.
async fn endless(stream: &mut Stream, sandbox: &Path) -> (TaskId, String) {
    let task = stream.launch(&script("echo $$ > pid; exec sleep 1000")).await;
    stream.runs(&task).await;
    let pid = content(&work(sandbox, &task).join("pid")).await;
    (task, pid)
}

fn work(sandbox: &Path, task: &TaskId) -> std::path::PathBuf {
    sandbox.join("tasks").join(&task.value).join("work")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_byte_for_byte_that_of_the_executor_of_mesos() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = Environment {
        framework: FrameworkId::new("70b46684-1967-4d43-bd46-18bccbee055e-0000"),
        executor: ExecutorId::new("w1"),
        ..agent.environment(sandbox.path())
    };
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (_stream, request) = agent.answer("200 OK").await;
    assert!(request.head.starts_with("POST /api/v1/executor HTTP/1.1\r\n"), "{}", request.head);
    let expected = [
        ("accept", "application/x-protobuf"),
        ("authorization", "Bearer secret"),
        ("content-length", "55"),
        ("content-type", "application/x-protobuf"),
        ("host", &agent.address()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(request.headers, expected.into());
    // As recorded from `mesos-executor`.
    let mut recorded = b"\x0a\x04\x0a\x02w1\x12\x2b\x0a\x29".to_vec();
    recorded.extend_from_slice(b"70b46684-1967-4d43-bd46-18bccbee055e-0000\x18\x01\x22\x00");
    assert_eq!(request.body, recorded);
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_requests_of_their_own_on_one_connection() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    for _ in 0..3 {
        let (status, _) = stream.run(&script("exit 3")).await;
        assert_eq!(status.state(), TaskState::Failed);
    }
    let requests = agent.requests();
    assert!(requests.len() >= 3, "{}", requests.len());
    for (connection, request) in &requests {
        assert_eq!(*connection, requests[0].0, "it is kept");
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["authorization"], "Bearer secret");
        let call = Call::decode(request.body.as_slice()).unwrap();
        assert_eq!(call.r#type(), CallType::Update);
    }
    end(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_may_come_in_any_pieces() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    let mut bytes = Vec::new();
    for kind in [EventType::Heartbeat, EventType::Message, EventType::Shutdown] {
        let mut event = Event::default();
        event.set_type(kind);
        recordio::encode_message(&event, &mut bytes);
    }
    for byte in bytes {
        stream.send_bytes(&[byte]).await;
    }
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_sent_until_it_is_accepted_and_the_next_waits() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    let (task, _) = endless(&mut stream, sandbox.path()).await;
    let busy = Answer::Status("503 Service Unavailable");
    agent.answer_calls(&[busy, Answer::HangUp, busy]);
    let failing = stream.launch(&script("exit 3")).await;
    stream.kill(&task, Some(Duration::ZERO)).await;
    let mut ends = BTreeMap::new();
    while ends.len() < 2 {
        let status = stream.status().await;
        if status.state().is_terminal() {
            assert_eq!(ends.insert(status.task_id.clone().unwrap().value, status.state()), None);
        }
    }
    let expected = [(failing.value, TaskState::Failed), (task.value, TaskState::Killed)];
    assert_eq!(ends, expected.into());
    assert!(!agent.is_asked(), "the subscription stands all the while");
    end(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_refused_is_told_with_the_next_subscription() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    agent.answer_calls(&[Answer::Status("403 Forbidden")]);
    let task = stream.launch(&script("exit 3")).await;
    let (mut stream, subscribe) = agent.subscribed().await;
    let [held] = subscribe.unacknowledged_tasks.try_into().unwrap();
    assert_eq!(held.task_id, Some(task));
    assert!(held.data.is_some(), "Mesos is told of a task all that it is");
    for update in subscribe.unacknowledged_updates {
        stream.acknowledge(&update.status.unwrap()).await;
    }
    end(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_tried_again_while_the_agent_is_not_ready() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = Environment { recovery: None, ..agent.environment(sandbox.path()) };
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    for status in ["503 Service Unavailable", "400 Bad Request", "503 Service Unavailable"] {
        agent.answer(status).await;
    }
    let (mut stream, _) = agent.subscribed().await;
    let (status, _) = stream.run(&script("true")).await;
    assert_eq!(status.state(), TaskState::Finished);
    end(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checkpoints_a_lost_agent_ends_all() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let shutdown_grace = Duration::from_secs(1);
    let environment =
        Environment { recovery: None, shutdown_grace, ..agent.environment(sandbox.path()) };
    let (mut stream, running) = start(&agent, environment).await;
    let (_, pid) = endless(&mut stream, sandbox.path()).await;
    drop(stream);
    within("end", running).await.unwrap().unwrap();
    is_gone(&pid).await;
    assert!(!agent.is_asked(), "it does not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_checkpoints_an_agent_that_stays_away_ends_all_in_the_end() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (recovery, shutdown_grace) = (Some(Duration::from_secs(2)), Duration::from_secs(1));
    let environment = Environment { recovery, shutdown_grace, ..agent.environment(sandbox.path()) };
    let (mut stream, mut running) = start(&agent, environment).await;
    let (_, pid) = endless(&mut stream, sandbox.path()).await;
    drop(stream);
    agent.answer("503 Service Unavailable").await;
    let early = timeout(Duration::from_millis(500), &mut running).await;
    assert!(early.is_err() && lives(&pid), "it has time to come back");
    while !running.is_finished() {
        let _ = timeout(Duration::from_millis(50), agent.answer("503 Service Unavailable")).await;
    }
    running.await.unwrap().unwrap();
    is_gone(&pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_only_says_shutdown_is_obeyed() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = agent.environment(sandbox.path());
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (mut stream, _) = agent.answer("200 OK").await;
    stream.shut_down().await;
    stream.finish().await;
    within("end", running).await.unwrap().unwrap();
}

/// Leaves its group and its session, and does not care for SIGTERM.
const ESCAPE: &str = "(setsid sh -c 'trap \"\" TERM; echo $$ > away; sleep 1000' &)
    until [ -s away ]; do sleep 0.01; done;";

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_group_of_a_script_ends_with_the_script() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    let bystander = endless(&mut stream, sandbox.path()).await;

    let leaving = script(&format!("{ESCAPE} exit 0"));
    let (status, _) = stream.run(&leaving).await;
    assert_eq!(status.state(), TaskState::Finished);
    let task = status.task_id.unwrap();
    assert!(!lives(&content(&work(sandbox.path(), &task).join("away")).await));

    let task = stream.launch(&script(&format!("{ESCAPE} echo > ready; sleep 1000"))).await;
    stream.runs(&task).await;
    let folder = work(sandbox.path(), &task);
    content(&folder.join("ready")).await;
    stream.kill(&task, Some(Duration::from_millis(100))).await;
    assert_eq!(stream.end(&task).await.0.state(), TaskState::Killed);
    assert!(!lives(&content(&folder.join("away")).await));

    assert!(lives(&bystander.1), "nobody else is touched");
    stream.shut_down().await;
    stream.end(&bystander.0).await;
    within("end", running).await.unwrap().unwrap();
    assert!(!lives(&bystander.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_group_of_a_script_is_asked_to_end_too() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let (mut stream, running) = start(&agent, agent.environment(sandbox.path())).await;
    let polite = "(setsid sh -c 'trap \"sleep 0.2; echo goodbye > bye; exit 0\" TERM
        echo > away; while :; do sleep 0.05; done' &)
        until [ -s away ]; do sleep 0.01; done; echo > ready; sleep 1000";
    let task = stream.launch(&script(polite)).await;
    stream.runs(&task).await;
    let folder = work(sandbox.path(), &task);
    content(&folder.join("ready")).await;
    stream.kill(&task, None).await;
    assert_eq!(stream.end(&task).await.0.state(), TaskState::Killed);
    assert_eq!(content(&folder.join("bye")).await, "goodbye\n");
    end(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_runs_out_of_time_leaves_nothing_behind() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    // So short that it ends before anybody hears of the ends of its tasks.
    let environment =
        Environment { shutdown_grace: Duration::ZERO, ..agent.environment(sandbox.path()) };
    let (mut stream, running) = start(&agent, environment).await;
    let task = stream.launch(&script(&format!("{ESCAPE} echo > ready; sleep 1000"))).await;
    stream.runs(&task).await;
    let folder = work(sandbox.path(), &task);
    content(&folder.join("ready")).await;
    let away = content(&folder.join("away")).await;
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
    is_gone(&away).await;
}
