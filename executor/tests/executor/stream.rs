//! What only our own stream has: an upgrade, and answers to messages.

use muster_job::Jobs;
use muster_proto::{ContainerId, TaskInfo, executor::Subscribed};
use tempfile::TempDir;

use crate::{
    conversation::{script, within},
    fake_agent::FakeAgent,
    residents::{shut_down, start},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_request_proves_who_asks() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = agent.environment(sandbox.path());
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (mut stream, request) = agent.answer("101 Switching Protocols").await;
    assert!(request.starts_with("POST /muster/v1/executor HTTP/1.1\r\n"), "{request}");
    let request = request.to_lowercase();
    for line in
        ["authorization: bearer secret", "upgrade: muster-executor/1", "connection: upgrade"]
    {
        assert!(request.contains(line), "{line} in {request}");
    }
    let call = stream.call().await;
    assert_eq!(call.framework_id.unwrap().value, "framework");
    assert_eq!(call.executor_id.unwrap().value, "executor");
    assert!(call.subscribe.is_some());
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_is_told_again_to_the_next_agent() {
    let sandbox = TempDir::new().unwrap();
    let (agent, mut stream, _, running) = start(sandbox.path(), Jobs::new(), &script("true")).await;
    let lost = stream.message().await;
    drop(stream);
    let (mut stream, subscribe) = agent.subscribed().await;
    assert!(subscribe.unacknowledged_tasks.is_empty(), "the agent knows of the task");
    assert_eq!(stream.message().await, lost, "the very same");
    stream.take(lost.number.unwrap()).await;
    let next = stream.executions().await;
    assert_eq!(next.number, lost.number.unwrap() + 1);
    shut_down(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tasks_an_agent_of_ours_is_repeated_only_the_ids() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = agent.environment(sandbox.path());
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (mut stream, _) = agent.subscribed().await;
    let task = stream.launch(&script("true")).await;
    while !stream.call().await.update.unwrap().status.unwrap().state().is_terminal() {}
    drop(stream);
    let (mut stream, subscribe) = agent.subscribed().await;
    let only_its_id = TaskInfo { task_id: Some(task), ..TaskInfo::default() };
    assert_eq!(subscribe.unacknowledged_tasks, [only_its_id]);
    for update in subscribe.unacknowledged_updates {
        stream.acknowledge(&update.status.unwrap()).await;
    }
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_speaks_is_settled_by_its_first_subscription() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let environment = agent.environment(sandbox.path());
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let asked_for = |request: String| request.split(' ').nth(1).unwrap().to_owned();
    // As long as it has neither, it is asked for both.
    for _ in 0..2 {
        let (_, request) = agent.answer("404 Not Found").await;
        assert_eq!(asked_for(request), "/muster/v1/executor");
        let (_, request) = agent.answer("404 Not Found").await;
        assert_eq!(asked_for(request), "/api/v1/executor");
    }
    let (stream, _) = agent.subscribed().await;
    drop(stream);
    for _ in 0..2 {
        let (_, request) = agent.answer("404 Not Found").await;
        assert_eq!(asked_for(request), "/muster/v1/executor", "it has shown what it speaks");
    }
    let (mut stream, _) = agent.subscribed().await;
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

/// What is a container to its agent has no lease that would end it.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_without_a_lease_ends_with_its_agent() {
    let sandbox = TempDir::new().unwrap();
    let agent = FakeAgent::bind().await;
    let mut environment = agent.environment(sandbox.path());
    environment.recovery = None;
    let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
    let (stream, _) = agent.subscribed().await;
    drop(stream);
    let container_id = Some(ContainerId { value: "a life".to_owned(), ..ContainerId::default() });
    let subscribed = Subscribed { container_id, ..Subscribed::default() };
    let (stream, _) = agent.subscribed_to(subscribed).await;
    drop(stream);
    within("end", running).await.unwrap().unwrap();
}
