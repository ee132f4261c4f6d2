//! Bounds of requests and answers: what is at them is served, what is beyond is refused in words.

use std::time::Duration;

use hyper::Method;
use muster_api::limits;
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use crate::{app, column, job, world::World};

#[tokio::test]
async fn a_page_has_at_most_so_many_rows() {
    let world = World::start().await;
    let client = &world.client;
    for (path, most) in [
        ("/v1/jobs", limits::PAGE_ROWS),
        ("/v1/runs", limits::PAGE_ROWS),
        ("/v1/queue", limits::LIVE_ROWS),
        ("/v1/offers", limits::LIVE_ROWS),
    ] {
        client.get(&format!("{path}?limit={most}")).await.ok(200);
        let refused = client.get(&format!("{path}?limit={}", most + 1)).await;
        let detail = refused.problem(400, "invalid_request");
        assert_eq!(detail, format!("`limit` is {}, and may be 1 to {most}", most + 1), "{path}");
        client.get(&format!("{path}?limit=0")).await.problem(400, "invalid_request");
    }
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    for number in 0..=limits::PAGE_ROWS_DEFAULT {
        let name = format!("j{number:03}");
        client.put(&format!("/v1/jobs/{name}"), &job(&name, "a", 1)).await.ok(201);
    }
    let page = client.get("/v1/jobs").await.ok(200).json();
    assert_eq!(column(&page, "name").len(), limits::PAGE_ROWS_DEFAULT);
    let next = page["next"].as_str().expect("there is one more");
    let rest = client.get(&format!("/v1/jobs?cursor={next}")).await.ok(200).json();
    assert_eq!(column(&rest, "name"), ["j100"]);
}

#[tokio::test]
async fn a_run_lists_its_first_shards_and_the_others_are_a_list_of_their_own() {
    let world = World::start().await;
    let client = &world.client;
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let shards = u32::try_from(limits::SHARDS_IN_RUN).unwrap() + 1;
    client.put("/v1/jobs/j", &job("j", "a", shards)).await.ok(201);
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    let run = client.get(&path).await.ok(200).json();
    assert_eq!(run["shards"].as_array().unwrap().len(), limits::SHARDS_IN_RUN);
    let last = limits::SHARDS_IN_RUN;
    let page = client.get(&format!("{path}/shards?limit=1000")).await.ok(200).json();
    let next = page["next"].as_str().expect("there is one more");
    let rest = client.get(&format!("{path}/shards?limit=1000&cursor={next}")).await.ok(200).json();
    assert_eq!(column(&rest, "item"), [last.to_string()]);
}

#[tokio::test]
async fn a_wait_and_a_key_are_taken_at_their_bounds_and_refused_beyond() {
    let world = World::start().await;
    let client = &world.client;
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    let (plain, most) = ([("content-type", "application/json")], limits::IDEMPOTENCY_KEY_BYTES);
    let trigger = async |bytes: usize| {
        let key = "k".repeat(bytes);
        let headers = [plain[0], ("idempotency-key", key.as_str())];
        client.send(Method::POST, "/v1/jobs/j/trigger", &headers, "{}").await
    };
    let run = trigger(most).await.ok(202).json();
    assert_eq!(
        trigger(most + 1).await.problem(400, "invalid_request"),
        "`Idempotency-Key` has 1 to 255 characters"
    );
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    client.post(&format!("{path}/cancel")).await.ok(202);
    let wait = limits::WAIT_MAX.as_secs();
    let refused = client.get(&format!("{path}?wait={}s", wait + 1)).await;
    let detail = refused.problem(400, "invalid_request");
    assert_eq!(detail, "`wait` may be at most 60s; ask again then");
    let over = client.get(&format!("{path}?wait={wait}s")).await.ok(200).json();
    assert_eq!(over["state"], json!("cancelled"), "what is over is not waited for");
}

#[tokio::test]
async fn unknown_fields_of_a_request_are_named() {
    let world = World::start().await;
    let client = &world.client;
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    for (path, body, field) in [
        ("/v1/jobs/j/trigger", json!({"itms": [0]}), "itms"),
        ("/v1/jobs/j/trigger", json!({"items": "all"}), "items"),
        ("/v1/jobs/j/trigger", json!({"items": [0, "x"]}), "items[1]"),
    ] {
        let headers = [("content-type", "application/json")];
        let refused = client.send(Method::POST, path, &headers, body.to_string()).await;
        let detail = refused.problem(422, "invalid_document");
        assert_eq!(refused.json()["faults"][0]["field"], json!(field), "{}", refused.text);
        assert!(detail.starts_with(&format!("{field}: ")), "{detail}");
    }
}

#[tokio::test]
async fn all_faults_of_a_request_are_named_in_our_words() {
    let world = World::start().await;
    let client = &world.client;
    for (method, path, body, fields) in [
        (
            Method::POST,
            "/v1/jobs/j/trigger",
            r#"{"items": "0", "parameter": 5, "bogus": 1}"#,
            &["parameter", "items", "bogus"][..],
        ),
        (Method::PUT, "/v1/roles/batch", "{}", &["weight"]),
        (Method::PUT, "/v1/roles/batch", "", &["weight"]),
        (Method::POST, "/v1/credentials", r#"{"name": "x"}"#, &["principal", "name"]),
        (Method::POST, "/v1/agents/a/drain", r#"{"deadline": 5, "x": 1}"#, &["deadline", "x"]),
        (Method::POST, "/v1/resume", r#"{"replay": 1, "x": 1}"#, &["replay", "x"]),
        (Method::POST, "/v1/reconcile", r#"{"x": 1, "y": 1}"#, &["x", "y"]),
        (Method::POST, "/v1/jobs/j/trigger", "[]", &[""]),
    ] {
        let headers = [("content-type", "application/json")];
        let refused = client.send(method, path, &headers, body).await;
        refused.problem(422, "invalid_document");
        let faults = refused.json()["faults"].clone();
        let named = faults.as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap());
        assert_eq!(named.collect::<Vec<_>>(), fields, "{path}: {}", refused.text);
        assert!(!refused.text.contains(" column "), "{}", refused.text);
    }
}

#[tokio::test]
async fn further_connections_wait_to_be_accepted() {
    let world = World::start().await;
    let mut idle = Vec::new();
    for _ in 0..limits::HTTP_CONNECTIONS {
        idle.push(TcpStream::connect(world.address).await.unwrap());
    }
    let mut answer = Box::pin(world.client.get("/healthz"));
    let soon = timeout(Duration::from_millis(100), &mut answer).await;
    assert!(soon.is_err(), "it is one too many: {soon:?}");
    drop(idle.pop());
    answer.await.ok(200);
}
