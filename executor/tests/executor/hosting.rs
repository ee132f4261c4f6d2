//! Handlers under an executor, and its conversation with an agent.

use std::{path::Path, time::Duration};

use crate::{
    conversation::{handler, within},
    fake_agent::{FakeAgent, Stream},
};
use muster_job::{Context, JobError, Jobs};
use muster_proto::{StatusSource, TaskState};
use tempfile::TempDir;
use tokio::task::JoinHandle;

fn jobs() -> Jobs {
    Jobs::new()
        .register("digest", |context: Context| async move {
            context.log("one");
            context.log("two");
            Ok::<_, JobError>(format!("shard {}", context.shard_item()))
        })
        .register("fails", |context: Context| async move {
            context.log("what went before");
            Err::<(), _>(std::io::Error::other("no disk"))
        })
        .register("panics", |_: Context| async move { panics() })
        .register("waits", |context: Context| async move {
            context.cancelled().await;
            Err::<(), _>(JobError::new("cancelled"))
        })
        .register_blocking("blocks", |context: Context| {
            while !context.is_cancelled() {
                std::thread::yield_now();
            }
            Ok::<_, JobError>("half done")
        })
}

fn panics() -> Result<(), JobError> {
    panic!("this handler is broken")
}

/// An executor of `jobs` under a fake agent.
async fn start(sandbox: &Path) -> (FakeAgent, Stream, JoinHandle<anyhow::Result<()>>) {
    let agent = FakeAgent::bind().await;
    let running = tokio::spawn(muster_executor::run_in(agent.environment(sandbox), jobs()));
    let (stream, subscribe) = agent.subscribed().await;
    assert_eq!(subscribe, Default::default());
    (agent, stream, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_succeed_fail_and_panic() {
    let sandbox = TempDir::new().unwrap();
    let (_agent, mut stream, running) = start(sandbox.path()).await;

    let task = stream.launch(&handler("digest")).await;
    let (status, report) = stream.end(&task).await;
    assert_eq!(status.state(), TaskState::Finished);
    assert_eq!(status.source(), StatusSource::Executor);
    assert_eq!(status.uuid.unwrap().len(), 16);
    assert_eq!((report.result.as_deref(), report.output), (Some("shard 1"), None));
    assert!(report.started_at.is_some());
    let output = sandbox.path().join("tasks").join(&task.value).join("stdout");
    assert_eq!(std::fs::read_to_string(output).unwrap(), "one\ntwo\n");

    let (status, report) = stream.run(&handler("fails")).await;
    assert_eq!((status.state(), status.message()), (TaskState::Failed, "no disk"));
    assert_eq!(report.output.as_deref(), Some("what went before\n"));

    let (status, _) = stream.run(&handler("panics")).await;
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.message(), "the handler panicked: this handler is broken");

    let status = {
        let task = stream.launch(&handler("unknown")).await;
        let status = stream.status().await;
        assert_eq!(status.task_id, Some(task));
        status
    };
    assert_eq!(status.state(), TaskState::Failed);
    assert!(status.message().contains("no handler `unknown` is registered"));

    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_is_cooperative_and_time_outs_are_labelled() {
    let sandbox = TempDir::new().unwrap();
    let (_agent, mut stream, running) = start(sandbox.path()).await;
    for name in ["waits", "blocks"] {
        let task = stream.launch(&handler(name)).await;
        stream.runs(&task).await;
        stream.kill(&task, None).await;
        let (status, _) = stream.end(&task).await;
        assert_eq!((status.state(), status.labels), (TaskState::Killed, None), "{name}");
    }
    let mut payload = handler("waits");
    payload.timeout = muster_api::Span::from_millis(50);
    let (status, _) = stream.run(&payload).await;
    assert_eq!((status.state(), status.message()), (TaskState::Failed, "timed out after 50ms"));
    assert_eq!(status.labels.unwrap().get("muster.timeout"), Some("true"));
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_what_runs() {
    let sandbox = TempDir::new().unwrap();
    let (_agent, mut stream, running) = start(sandbox.path()).await;
    let task = stream.launch(&handler("waits")).await;
    stream.runs(&task).await;
    stream.shut_down().await;
    let (status, _) = stream.end(&task).await;
    assert_eq!(status.state(), TaskState::Killed);
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_is_told_what_it_missed() {
    let sandbox = TempDir::new().unwrap();
    let (agent, mut stream, running) = start(sandbox.path()).await;
    let lives = handler("waits");
    let alive = stream.launch(&lives).await;
    stream.runs(&alive).await;
    let task = stream.launch(&handler("digest")).await;
    let end = stream.call().await.update.unwrap().status.unwrap();
    assert_eq!((end.task_id.as_ref(), end.state()), (Some(&task), TaskState::Finished));
    drop(stream);

    // It may refuse for a while, when it has just been restarted.
    agent.answer("404 Not Found").await;
    agent.answer("503 Service Unavailable").await;
    let (mut stream, subscribe) = agent.subscribed().await;
    let tasks: Vec<_> =
        subscribe.unacknowledged_tasks.iter().map(|task| task.task_id.clone().unwrap()).collect();
    assert_eq!(tasks, std::slice::from_ref(&task));
    let updates: Vec<_> =
        subscribe.unacknowledged_updates.iter().map(|u| u.status.clone().unwrap()).collect();
    assert_eq!(updates, std::slice::from_ref(&end), "the very same status");
    stream.acknowledge(&end).await;

    // Sent again, it does not start again.
    stream.launch(&lives).await;
    stream.kill(&alive, None).await;
    assert_eq!(stream.end(&alive).await.0.state(), TaskState::Killed);
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_framing_ends_the_connection_only() {
    let sandbox = TempDir::new().unwrap();
    let (agent, mut stream, running) = start(sandbox.path()).await;
    let task = stream.launch(&handler("waits")).await;
    stream.runs(&task).await;
    stream.send_bytes(b"nonsense").await;
    let (mut stream, _) = agent.subscribed().await;
    stream.kill(&task, None).await;
    assert_eq!(stream.end(&task).await.0.state(), TaskState::Killed);
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[test]
fn handlers_that_block_their_runtime_do_not_block_the_executor() {
    let handlers = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = tokio::runtime::Runtime::new().unwrap();
    let sandbox = TempDir::new().unwrap();
    let jobs = Jobs::new().register("blocks", |context: Context| async move {
        while !context.is_cancelled() {
            std::thread::yield_now();
        }
        Ok::<_, JobError>(())
    });
    let agent = test.block_on(FakeAgent::bind());
    let environment = agent.environment(sandbox.path());
    let told = test.spawn(async move {
        let (mut stream, _) = agent.subscribed().await;
        let task = stream.launch(&handler("blocks")).await;
        stream.runs(&task).await;
        stream.kill(&task, Some(Duration::from_secs(10))).await;
        let (status, _) = stream.end(&task).await;
        stream.shut_down().await;
        status.state()
    });
    handlers.block_on(muster_executor::run_in(environment, jobs)).unwrap();
    assert_eq!(test.block_on(told).unwrap(), TaskState::Killed);
}
