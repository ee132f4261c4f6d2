//! Daemon jobs, and the kill of one task.

use muster_api::Timestamp;
use muster_engine::event::Signal;
use serde_json::{Value, json};

use crate::{
    app, column,
    history::{trigger, with_job},
    job,
    world::World,
};

fn daemon(count: u32) -> Value {
    let mut document = job("d", "a", count);
    document["execution"] = json!("daemon");
    document["schedule"] = json!({"cron": "0 * * * * ?"});
    document
}

/// An enabled daemon job of two shards, which run, and its run.
async fn with_daemon() -> (World, String) {
    let mut world = World::start().await;
    world.client.put("/v1/apps/a", &app("a")).await.ok(201);
    world.client.put("/v1/jobs/d", &daemon(2)).await.ok(201);
    world.offer(1).await;
    let tasks = world.launched.wait_for(|tasks| tasks.len() == 2).await.unwrap().clone();
    for launch in tasks {
        world.task(launch.task, Signal::Running).await;
    }
    let runs = world.client.get("/v1/runs?job=d").await.ok(200).json();
    let run = runs["items"][0]["id"].as_str().unwrap().to_owned();
    (world, run)
}

#[tokio::test]
async fn a_daemon_job_has_a_run_while_it_is_enabled() {
    let (world, run) = with_daemon().await;
    let client = world.client.clone();
    let view = client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&view["cause"], &view["state"]), (&"daemon".into(), &"running".into()));
    assert_eq!((&view["version"], &view["counts"]["running"]), (&1.into(), &2.into()));

    // Nobody starts or repeats anything of it, or ends it but by disabling the job.
    for path in ["/v1/jobs/d/trigger", &format!("/v1/runs/{run}/cancel")] {
        let refused = client.post(path).await.ok(409).json();
        assert!(refused["detail"].as_str().unwrap().contains("daemon job"), "{refused}");
    }
    // Its ledger is empty, and what its tasks follow is shown.
    let fires = client.get("/v1/jobs/d/fires").await.ok(200).json();
    assert_eq!(fires["items"], json!([]));
    let next = client.get("/v1/jobs/d/next?count=3").await.ok(200).json();
    let planned: Vec<Timestamp> =
        column(&next, "planned_at").iter().map(|at| at.parse().unwrap()).collect();
    assert_eq!(planned.len(), 3);
    assert!(planned.windows(2).all(|two| two[1].since(two[0]).as_secs() == 60), "{planned:?}");

    // A document that only people see: the run is of the newest version.
    let mut document = daemon(2);
    document["description"] = json!("x");
    client.put("/v1/jobs/d", &document).await.ok(200);
    let view = client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&view["version"], &view["counts"]["running"]), (&2.into(), &2.into()));

    let refused = client.post(&format!("/v1/runs/{run}/rerun")).await.problem(409, "conflict");
    assert!(refused.ends_with("it is that of daemon job `d`, which ends when you disable the job"));

    client.post("/v1/jobs/d/disable").await.ok(200);
    let next = client.get("/v1/jobs/d/next").await.ok(200).json();
    assert_eq!(next["items"], json!([]));
    for launch in world.launched.borrow().clone() {
        world.task(launch.task, Signal::Killed).await;
    }
    let over = client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&over["state"], &over["reason"]), (&"cancelled".into(), &"disabled".into()));
    client.post(&format!("/v1/runs/{run}/rerun")).await.ok(409);
}

#[tokio::test]
async fn one_task_of_a_run_is_killed() {
    let (world, run) = with_daemon().await;
    let client = world.client.clone();
    let kill = format!("/v1/runs/{run}/shards/1/kill");
    let view = client.post(&kill).await.ok(202).json();
    assert_eq!((&view["id"], &view["counts"]["killing"]), (&run.as_str().into(), &1.into()));
    client.post(&kill).await.ok(202);
    client.post(&format!("/v1/runs/{run}/shards/2/kill")).await.ok(409);
    let second = world.launched.borrow()[1].task;
    world.task(second, Signal::Killed).await;
    let shards = client.get(&format!("/v1/runs/{run}/shards")).await.ok(200).json();
    assert_eq!(column(&shards, "state"), ["running", "pending"]);
    assert_eq!(shards["items"][1]["reason"], "killed on request");
    client.post(&kill).await.ok(409);

    let mut world = with_job(1).await;
    let run = trigger(&world).await;
    let kill = format!("/v1/runs/{run}/shards/0/kill");
    world.offer(1).await;
    let task = world.launched.wait_for(|tasks| tasks.len() == 1).await.unwrap()[0].task;
    world.client.post(&kill).await.ok(202);
    world.task(task, Signal::Killed).await;
    let over = world.client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&over["state"], &over["counts"]["cancelled"]), (&"cancelled".into(), &1.into()));
    let refused = world.client.post(&kill).await.ok(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("is over already"), "{refused}");
    let nobody = "/v1/runs/01930000-0000-7000-8000-000000000000/shards/0/kill";
    world.client.post(nobody).await.ok(404);
    world.client.post(&format!("/v1/runs/{run}/shards/x/kill")).await.ok(400);
}
