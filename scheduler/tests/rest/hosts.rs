//! What operators say and ask about hosts.

use serde_json::json;

use crate::{app, job, world::World};

#[tokio::test]
async fn the_truth_is_asked_for() {
    let world = World::start().await;
    let client = &world.client;
    assert_eq!(client.post("/v1/reconcile").await.ok(202).json(), json!({"tasks": 0}));
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 3)).await.ok(201);
    world.offer(1).await;
    client.post("/v1/jobs/j/trigger").await.ok(202);
    assert_eq!(client.post("/v1/reconcile").await.ok(202).json(), json!({"tasks": 3}));
    client.get("/v1/reconcile").await.problem(405, "method_not_allowed");
}

/// This engine has no master of its own beside it.
#[tokio::test]
async fn orders_about_hosts_of_another_master_are_for_that() {
    let world = World::start().await;
    for order in ["gone", "drain", "activate"] {
        let path = format!("/v1/agents/agent-1/{order}");
        let detail = world.client.post(&path).await.problem(409, "conflict");
        assert_eq!(detail, "the hosts are those of another master; turn to that");
        world.client.get(&path).await.problem(405, "method_not_allowed");
        world.client.post(&format!("{path}?wait=1")).await.problem(400, "invalid_request");
    }
    world.client.post("/v1/agents/a%2Fb/gone").await.problem(400, "invalid_request");
    world.client.post("/v1/agents/agent-1/gone?dry_run=1").await.problem(400, "invalid_request");
}
