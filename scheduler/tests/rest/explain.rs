//! Why runs and jobs are as they are, live and over.

use muster_engine::event::Signal;
use serde_json::json;

use crate::{app, job, world::World};

#[tokio::test]
async fn a_run_is_explained_while_it_waits_while_it_runs_and_after() {
    let mut world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 2)).await.ok(201);
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let path = format!("/v1/runs/{}/explain", run["id"].as_str().unwrap());

    let waits = client.get(&path).await.ok(200).json();
    assert_eq!((&waits["state"], &waits["placed"]), (&json!("pending"), &json!([])));
    let waiting = &waits["waiting"][0];
    assert_eq!((&waiting["reason"], &waiting["shards"]), (&json!("no_agents"), &json!(2)));
    assert_eq!((&waiting["items"], &waits["waiting"][1]), (&json!("0-1"), &json!(null)));

    world.offer(1).await;
    let launched = world.launched.wait_for(|tasks| tasks.len() == 2).await.unwrap();
    let tasks: Vec<_> = launched.iter().map(|launch| launch.task).collect();
    drop(launched);
    world.task(tasks[1], Signal::CodeFailed).await;
    let runs = client.get(&path).await.ok(200).json();
    assert_eq!(runs["placed"][0]["hostname"], json!("host-1"));
    assert_eq!(runs["placed"][0]["items"], json!("0"));
    assert_eq!(
        (&runs["over"][0]["state"], &runs["over"][0]["items"]),
        (&json!("failed"), &json!("1"))
    );
    // The job says the same of it.
    let of_job = client.get("/v1/jobs/j/explain").await.ok(200).json();
    assert_eq!(of_job["runs"][0]["over"], runs["over"]);

    world.task(tasks[0], Signal::Finished).await;
    let over = client.get(&path).await.ok(200).json();
    assert_eq!((&over["state"], &over["waiting"]), (&json!("failed"), &json!([])));
    let states: Vec<_> = over["over"].as_array().unwrap().iter().map(|g| &g["state"]).collect();
    assert_eq!(states, ["succeeded", "failed"]);

    client
        .get("/v1/runs/019a0000-0000-7000-8000-000000000000/explain")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_job_is_explained_with_what_it_missed_last() {
    let world = World::start().await;
    let client = &world.client;
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut document = job("j", "a", 1);
    document["schedule"] = json!({"every": "10s"});
    document["misfire"] = json!({"policy": "skip"});
    client.put("/v1/jobs/j", &document).await.ok(201);
    let explained = client.get("/v1/jobs/j/explain").await.ok(200).json();
    assert_eq!((&explained["fires"], &explained["last_missed"]), (&json!(true), &json!(null)));
    assert!(explained["next_fire"].is_string());

    // Nothing can start, so further instants are skipped.
    for _ in 0..3 {
        world.advance(std::time::Duration::from_secs(10)).await;
    }
    let explained = client.get("/v1/jobs/j/explain").await.ok(200).json();
    assert_eq!(explained["runs"][0]["waiting"][0]["reason"], json!("no_agents"));
    assert_eq!(explained["last_missed"]["outcome"], json!("skipped"));

    client.post("/v1/jobs/j/disable").await.ok(200);
    let explained = client.get("/v1/jobs/j/explain").await.ok(200).json();
    assert_eq!((&explained["fires"], &explained["runs"]), (&json!(false), &json!([])));
    client.get("/v1/jobs/none/explain").await.problem(404, "not_found");
    client.get("/v1/offers?limit=501").await.problem(400, "invalid_request");
    assert_eq!(client.get("/v1/offers").await.ok(200).json()["items"], json!([]));
}
