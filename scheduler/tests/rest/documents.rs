//! Apps and jobs.

use hyper::Method;
use serde_json::{Value, json};

use crate::{app, column, job, world::World};

#[tokio::test]
async fn a_document_is_created_changed_and_deleted() {
    let world = World::start().await;
    let client = &world.client;
    let created = client.put("/v1/apps/a", &app("a")).await.ok(201);
    assert_eq!(created.header("muster-change"), "created");
    assert_eq!(created.header("etag"), "\"1\"");
    assert_eq!(created.json()["version"], 1);

    let got = client.get("/v1/apps/a").await.ok(200);
    assert_eq!((got.header("etag"), got.json()), ("\"1\"", created.json()));
    let again = client.put("/v1/apps/a", &got.json()).await.ok(200);
    assert_eq!((again.header("muster-change"), again.header("etag")), ("unchanged", "\"1\""));

    let mut other = app("a");
    other["description"] = "changed".into();
    let updated = client.put("/v1/apps/a", &other).await.ok(200);
    assert_eq!((updated.header("muster-change"), updated.header("etag")), ("updated", "\"2\""));

    client.put("/v1/jobs/j", &job("j", "a", 2)).await.ok(201);
    let got = client.get("/v1/jobs/j").await.ok(200).json();
    let again = client.put("/v1/jobs/j", &got).await.ok(200);
    assert_eq!(again.header("muster-change"), "unchanged");
    assert_eq!((&got["status"]["enabled"], &got["version"]), (&true.into(), &1.into()));
    assert_eq!(client.delete("/v1/jobs/j").await.ok(204).text, "");
    client.get("/v1/jobs/j").await.problem(404, "not_found");
    client.delete("/v1/jobs/j").await.problem(404, "not_found");
    client.delete("/v1/apps/a").await.ok(204);
}

#[tokio::test]
async fn documents_are_answered_with_the_fields_at_their_defaults() {
    let world = World::start().await;
    let client = &world.client;
    let put = client.put("/v1/apps/a", &app("a")).await.ok(201).json();
    let (got, list) = (client.get("/v1/apps/a").await.json(), client.get("/v1/apps").await.json());
    for app in [&put, &got, &list["items"][0]] {
        assert_eq!((&app["max_tasks"], &app["event_sampling"]), (&json!(0), &json!(0)), "{app}");
        assert_eq!(app["artifacts"], json!([]));
    }
    let put = client.put("/v1/jobs/j", &job("j", "a", 2)).await.ok(201).json();
    let (got, list) = (client.get("/v1/jobs/j").await.json(), client.get("/v1/jobs").await.json());
    for job in [&put, &got, &list["items"][0]] {
        assert_eq!(job["constraints"], json!([]), "{job}");
    }
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused() {
    let world = World::start().await;
    let client = &world.client;
    let json = [("content-type", "application/json")];
    let twice = r#"{"name": "a", "resources": {"cpus": 1, "cpus": 2, "mem": 32}}"#;
    let refused = client.send(Method::PUT, "/v1/apps/a", &json, twice).await;
    let detail = refused.problem(422, "invalid_document");
    assert_eq!(detail, "resources.cpus: this field stands twice in one map");
    client.get("/v1/apps/a").await.problem(404, "not_found");
    let twice = r#"{"items": [0], "items": [1]}"#;
    let refused = client.send(Method::POST, "/v1/jobs/j/trigger", &json, twice).await;
    assert_eq!(
        refused.problem(422, "invalid_document"),
        "items: this field stands twice in one map"
    );
}

#[tokio::test]
async fn a_change_may_expect_a_version() {
    let world = World::start().await;
    let client = &world.client;
    let put = async |headers: &[(&str, &str)], body: Value| {
        client.send(Method::PUT, "/v1/apps/a", headers, body.to_string()).await
    };
    let with = |field: &str, value: Value| {
        let mut app = app("a");
        app[field] = value;
        app
    };
    put(&[("if-match", "\"1\"")], app("a")).await.problem(412, "version_mismatch");
    put(&[("if-none-match", "*")], app("a")).await.ok(201);
    put(&[("if-none-match", "*")], app("a")).await.problem(412, "version_mismatch");
    put(&[("if-match", "\"1\"")], with("description", "2".into())).await.ok(200);
    put(&[("if-match", "\"1\"")], with("description", "3".into()))
        .await
        .problem(412, "version_mismatch");
    put(&[], with("version", 1.into())).await.problem(412, "version_mismatch");
    put(&[], with("version", 2.into())).await.ok(200);
    for headers in [
        &[("if-match", "2")][..],
        &[("if-match", "\"x\"")],
        &[("if-match", "*")],
        &[("if-none-match", "\"2\"")],
        &[("if-none-match", "*"), ("if-match", "\"2\"")],
        &[("if-match", "\"2\""), ("if-match", "\"3\"")],
    ] {
        put(headers, app("a")).await.problem(400, "invalid_request");
    }
    let both = put(&[("if-match", "\"3\"")], with("version", 2.into())).await;
    both.problem(400, "invalid_request");
    let delete = |tag| client.send(Method::DELETE, "/v1/apps/a", tag, "");
    delete(&[("if-match", "\"1\"")]).await.problem(412, "version_mismatch");
    let version = client.get("/v1/apps/a").await.header("etag").to_owned();
    delete(&[("if-match", &version)]).await.ok(204);
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::start().await;
    let client = &world.client;
    let mut wrong = job("j", "a", 0);
    wrong["colour"] = "red".into();
    let answer = client.put("/v1/jobs/j", &wrong).await;
    answer.problem(422, "invalid_document");
    let faults = answer.json()["faults"].clone();
    let fields: Vec<_> = faults.as_array().unwrap().iter().map(|f| f["field"].clone()).collect();
    assert!(fields.contains(&"sharding.count".into()) && fields.contains(&"colour".into()));

    let answer = client.put("/v1/apps/b", &app("a")).await;
    let detail = answer.problem(422, "invalid_document");
    assert!(detail.contains("`a`") && detail.contains("`b`"), "{detail}");

    let orphan = client.put("/v1/jobs/j", &job("j", "nowhere", 1)).await;
    orphan.problem(422, "invalid_document");
    assert_eq!(client.get("/v1/jobs").await.json(), json!({"items": [], "next": null}));
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let world = World::start().await;
    let client = &world.client;
    for name in ["c", "a", "e", "b", "d"] {
        client.put(&format!("/v1/apps/{name}"), &app(name)).await.ok(201);
        client.put(&format!("/v1/jobs/j{name}"), &job(&format!("j{name}"), "a", 1)).await;
    }
    let mut pages = Vec::new();
    let mut path = "/v1/apps?limit=2".to_owned();
    loop {
        let page = client.get(&path).await.ok(200).json();
        pages.push(column(&page, "name"));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/apps?limit=2&cursor={next}");
    }
    assert_eq!(pages, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(column(&client.get("/v1/apps").await.json(), "name").len(), 5);
    let agents = client.get("/v1/agents?limit=2").await.ok(200).json();
    assert_eq!(column(&agents, "id"), ["a", "b"]);
    let next = agents["next"].as_str().unwrap();
    let agents = client.get(&format!("/v1/agents?limit=2&cursor={next}")).await.json();
    assert_eq!((column(&agents, "id"), &agents["next"]), (vec!["c".to_owned()], &Value::Null));
    assert_eq!(client.get("/v1/agents/b").await.ok(200).json()["hostname"], "host-b");
    client.get("/v1/agents/z").await.problem(404, "not_found");
}

#[tokio::test]
async fn disabling_keeps_or_kills_what_runs() {
    let mut world = World::start().await;
    world.offer(1).await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    world.launched.wait_for(|tasks| tasks.len() == 1).await.unwrap();
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());

    let disabled = client.post("/v1/jobs/j/disable").await.ok(200);
    assert_eq!(disabled.json()["status"]["enabled"], false);
    assert_eq!(client.get(&path).await.json()["state"], "running");
    client.post("/v1/jobs/j/trigger").await.problem(409, "conflict");
    client.post("/v1/jobs/j/disable?running=keep").await.problem(400, "invalid_request");
    client.post("/v1/jobs/j/disable?running=kill").await.ok(200);
    assert_eq!(client.get(&path).await.json()["state"], "stopping");
    assert_eq!(client.post("/v1/jobs/j/enable").await.ok(200).json()["disabled"], false);
    client.post("/v1/apps/a/disable").await.ok(200);
    assert_eq!(client.get("/v1/jobs/j").await.json()["status"]["enabled"], false);
    client.post("/v1/apps/a/enable").await.ok(200);
    client.post("/v1/apps/b/enable").await.problem(404, "not_found");
}
