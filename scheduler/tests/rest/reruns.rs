//! Runs that are repeated, and runs that end because they take or wait too long.

use std::time::Duration;

use hyper::Method;
use muster_engine::event::Signal;
use serde_json::{Value, json};

use crate::{
    app,
    client::Answer,
    column,
    history::{end_tasks, trigger, with_job},
    job,
    world::World,
};

/// An id that no run has.
const NOBODY: &str = "01930000-0000-7000-8000-000000000000";

async fn rerun(world: &World, run: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let path = format!("/v1/runs/{run}/rerun");
    world.client.send(Method::POST, &path, headers, body.to_string()).await
}

/// A run of three shards, the second of which failed.
async fn with_past_run() -> (World, String) {
    let mut world = with_job(3).await;
    let headers = [("idempotency-key", "first")];
    let body = json!({"parameter": "p"}).to_string();
    let run = world.client.send(Method::POST, "/v1/jobs/j/trigger", &headers, body).await.ok(202);
    let run = run.json()["id"].as_str().unwrap().to_owned();
    world.offer(1).await;
    let tasks = world.launched.wait_for(|tasks| tasks.len() == 3).await.unwrap().clone();
    for (launch, signal) in
        tasks.iter().zip([Signal::Finished, Signal::CodeFailed, Signal::Finished])
    {
        world.task(launch.task, signal).await;
    }
    (world, run)
}

#[tokio::test]
async fn a_run_that_is_over_runs_once_more() {
    let (mut world, run) = with_past_run().await;
    let client = world.client.clone();
    let former = client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&former["state"], &former["rerun_of"]), (&"failed".into(), &Value::Null));

    // Without a body: all of it.
    world.advance(Duration::from_secs(60)).await;
    let again = client.post(&format!("/v1/runs/{run}/rerun")).await.ok(202);
    let view = again.json();
    let id = view["id"].as_str().unwrap().to_owned();
    assert_eq!(again.header("location"), format!("/v1/runs/{id}"));
    assert_eq!((&view["cause"], &view["rerun_of"]), (&"rerun".into(), &run.as_str().into()));
    assert_eq!((&view["state"], &view["counts"]["pending"]), (&"pending".into(), &3.into()));
    for field in ["planned_at", "planned_until"] {
        assert_eq!(view[field], former[field]);
    }
    assert_ne!(view["created_at"], former["created_at"]);
    world.offer(2).await;
    let launched = world.launched.wait_for(|tasks| tasks.len() == 6).await.unwrap();
    let payload = muster_api::task::TaskPayload::decode(&launched[5].payload).unwrap();
    drop(launched);
    assert_eq!(payload.context.job_parameter, "p");
    assert_eq!(payload.context.planned_time.to_string(), former["planned_at"]);
    end_tasks(&mut world, 3, 3, Signal::Finished).await;
    let over = client.get(&format!("/v1/runs/{id}")).await.json();
    assert_eq!((&over["state"], &over["rerun_of"]), (&"succeeded".into(), &run.as_str().into()));

    // Only what did not succeed, or what is named.
    let failed = rerun(&world, &run, &[], &json!({"failed": true})).await.ok(202).json();
    let path = format!("/v1/runs/{}/shards", failed["id"].as_str().unwrap());
    assert_eq!(column(&client.get(&path).await.json(), "item"), ["1"]);
    let named = rerun(&world, &run, &[], &json!({"items": [2, 0]})).await.ok(202).json();
    let path = format!("/v1/runs/{}/shards", named["id"].as_str().unwrap());
    assert_eq!(column(&client.get(&path).await.json(), "item"), ["0", "2"]);
    let listed = client.get("/v1/runs?job=j").await.json();
    assert_eq!(column(&listed, "cause"), ["rerun", "rerun", "rerun", "trigger"]);
    assert_eq!(column(&listed, "rerun_of"), [&*run, &run, &run, "null"]);
    // None of them is planned, so the ledger has none.
    assert_eq!(client.get("/v1/jobs/j/fires").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_rerun_that_makes_no_sense_is_refused_in_words() {
    let (mut world, run) = with_past_run().await;
    let client = world.client.clone();
    for body in [
        json!({"items": []}),
        json!({"items": [1, 1]}),
        json!({"items": [0], "failed": true}),
        json!({"items": [-1]}),
        json!({"parameter": "p"}),
        json!([[0], true]),
    ] {
        rerun(&world, &run, &[], &body).await.problem(422, "invalid_document");
    }
    let beyond = rerun(&world, &run, &[], &json!({"items": [2, 7, 3]})).await;
    let detail = beyond.problem(409, "conflict");
    assert!(detail.contains("no shard 3, 7;") && detail.contains("3 shards"), "{detail}");
    client.post("/v1/runs/x/rerun").await.problem(400, "invalid_request");
    let detail = client.post(&format!("/v1/runs/{NOBODY}/rerun")).await.problem(404, "not_found");
    assert!(detail.contains("run"), "{detail}");

    let live = trigger(&world).await;
    let detail = rerun(&world, &live, &[], &json!({})).await.problem(409, "conflict");
    assert!(detail.contains("not over yet"), "{detail}");
    world.offer(2).await;
    end_tasks(&mut world, 3, 3, Signal::Finished).await;
    let detail = rerun(&world, &live, &[], &json!({"failed": true})).await;
    assert!(detail.problem(409, "conflict").contains("every shard"), "{}", detail.text);

    client.post("/v1/jobs/j/disable").await.ok(200);
    let detail = rerun(&world, &run, &[], &json!({})).await.problem(409, "conflict");
    assert!(detail.contains("disabled"), "{detail}");
    client.put("/v1/jobs/j", &job("j", "a", 2)).await.ok(200);
    client.post("/v1/jobs/j/enable").await.ok(200);
    let detail = rerun(&world, &run, &[], &json!({})).await.problem(409, "conflict");
    assert!(detail.contains("no shard 2;") && detail.contains("2 shards"), "{detail}");

    // A job that has got the name since is another one.
    client.delete("/v1/jobs/j").await.ok(204);
    let detail = rerun(&world, &run, &[], &json!({})).await.problem(404, "not_found");
    assert!(detail.contains("job `j`"), "{detail}");
    client.put("/v1/jobs/j", &job("j", "a", 3)).await.ok(201);
    let detail = rerun(&world, &run, &[], &json!({})).await.problem(409, "conflict");
    assert!(detail.contains("another job"), "{detail}");
}

#[tokio::test]
async fn a_rerun_with_a_key_is_one_rerun() {
    let (world, run) = with_past_run().await;
    let send = |key: &'static str, body: Value| {
        let (world, run) = (&world, &run);
        async move { rerun(world, run, &[("idempotency-key", key)], &body).await }
    };
    let first = send("k", json!({"items": [1]})).await.ok(202).json();
    assert_eq!(send("k", json!({"items": [1]})).await.ok(202).json(), first);
    send("k", json!({"failed": true})).await.problem(409, "conflict");
    // The trigger that made the run had this one.
    send("first", json!({})).await.problem(409, "conflict");
    assert_ne!(send("l", json!({"items": [1]})).await.ok(202).json()["id"], first["id"]);
}

#[tokio::test]
async fn reruns_count_among_the_runs_that_wait() {
    let (world, run) = with_past_run().await;
    for _ in 0..muster_api::limits::WAITING_TRIGGERS_PER_JOB - 1 {
        trigger(&world).await;
    }
    rerun(&world, &run, &[], &json!({})).await.ok(202);
    let refused = rerun(&world, &run, &[], &json!({})).await;
    refused.problem(429, "too_many_waiting");
    assert_eq!(refused.header("retry-after"), "1");
    world.client.post("/v1/jobs/j/trigger").await.problem(429, "too_many_waiting");
}

#[tokio::test]
async fn a_rerun_of_a_scheduled_run_is_no_row_of_the_ledger() {
    let mut world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut scheduled = job("j", "a", 1);
    scheduled["schedule"] = json!({"every": "1m"});
    client.put("/v1/jobs/j", &scheduled).await.ok(201);
    world.offer(1).await;
    world.advance(Duration::from_secs(60)).await;
    end_tasks(&mut world, 0, 1, Signal::Finished).await;
    let fires = client.get("/v1/jobs/j/fires").await.ok(200).json();
    assert_eq!(column(&fires, "outcome"), ["ran"]);
    let run = column(&fires, "run").remove(0);
    world.offer(2).await;
    let again = rerun(&world, &run, &[], &json!({})).await.ok(202).json();
    assert_eq!(client.get("/v1/jobs/j/fires").await.json(), fires, "while it goes on");
    end_tasks(&mut world, 1, 1, Signal::CodeFailed).await;
    let again = client.get(&format!("/v1/runs/{}", again["id"].as_str().unwrap())).await.json();
    assert_eq!(
        (&again["state"], &again["planned_at"]),
        (&"failed".into(), &fires["items"][0]["planned_at"])
    );
    assert_eq!(client.get("/v1/jobs/j/fires").await.json(), fires, "and when it is over");
}

#[tokio::test]
async fn a_run_that_does_not_start_in_time_makes_its_instant_skipped() {
    let world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut scheduled = job("j", "a", 1);
    scheduled["schedule"] = json!({"every": "1m"});
    scheduled["start_within"] = "30s".into();
    client.put("/v1/jobs/j", &scheduled).await.ok(201);
    world.advance(Duration::from_secs(60)).await;
    let fires = client.get("/v1/jobs/j/fires").await.ok(200).json();
    assert_eq!(column(&fires, "outcome"), ["waiting"]);
    world.advance(Duration::from_secs(30)).await;
    let fires = client.get("/v1/jobs/j/fires").await.ok(200).json();
    assert_eq!(column(&fires, "outcome"), ["skipped"]);
    assert_eq!(column(&fires, "reason"), ["not started within 30s of its planned time"]);
    let run = column(&fires, "run").remove(0);
    let run = client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!(
        (&run["state"], &run["reason"]),
        (&"cancelled".into(), &fires["items"][0]["reason"])
    );
    assert_eq!(run["shards"][0]["state"], "cancelled");
}

#[tokio::test]
async fn a_run_that_takes_too_long_says_why_it_is_stopping() {
    let mut world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut bounded = job("j", "a", 2);
    bounded["run_timeout"] = "10m".into();
    client.put("/v1/jobs/j", &bounded).await.ok(201);
    world.offer(1).await;
    let run = trigger(&world).await;
    let path = format!("/v1/runs/{run}");
    let tasks = world.launched.wait_for(|tasks| tasks.len() == 2).await.unwrap().clone();
    for launch in tasks {
        world.task(launch.task, Signal::Running).await;
    }
    world.advance(Duration::from_secs(599)).await;
    assert_eq!(client.get(&path).await.json()["state"], "running");
    world.advance(Duration::from_secs(1)).await;
    let view = client.get(&path).await.json();
    assert_eq!(view["state"], "stopping");
    assert_eq!(view["reason"], "it took longer than its run_timeout of 10m");
    end_tasks(&mut world, 0, 2, Signal::Killed).await;
    let view = client.get(&path).await.json();
    assert_eq!((&view["state"], &view["counts"]["timed_out"]), (&"timed_out".into(), &2.into()));
    assert_eq!(view["reason"], "it took longer than its run_timeout of 10m");
}
