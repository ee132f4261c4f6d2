//! Requests that are wrong, too large, too slow or not allowed, and the end of the server.

use std::net::SocketAddr;

use hyper::Method;
use muster_api::limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{app, client::Client, job, world::World};

#[tokio::test]
async fn a_token_is_needed() {
    let world = World::start().await;
    let stranger = Client::new(world.address, None);
    for path in ["/v1/apps", "/v1/nothing", "/v1/apps/a", "/metrics"] {
        let refused = stranger.get(path).await;
        refused.problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"muster\"");
    }
    let refused = stranger.put("/v1/apps/a", &app("a")).await;
    refused.problem(401, "unauthorized");
    let guesser = Client::new(world.address, Some(&"0".repeat(64)));
    guesser.get("/v1/apps").await.problem(401, "unauthorized");
    let basic = [("authorization", "Basic YTpi")];
    let refused = stranger.send(Method::GET, "/v1/apps", &basic, "").await;
    refused.problem(401, "unauthorized");
    stranger.get("/healthz").await.ok(200);
    stranger.get("/readyz").await.ok(200);
    world.client.get("/v1/apps").await.ok(200);
}

#[tokio::test]
async fn wrong_requests_are_problems() {
    let world = World::start().await;
    let client = &world.client;
    let detail = client.get("/v1/nothing").await.problem(404, "not_found");
    assert_eq!(detail, "there is no path `/v1/nothing`");
    client.get("/nothing").await.problem(404, "not_found");
    let refused = client.post("/v1/apps").await;
    let detail = refused.problem(405, "method_not_allowed");
    assert_eq!(detail, "`/v1/apps` does not take `POST`");
    assert_eq!(refused.header("allow"), "GET,HEAD");
    client.post("/metrics").await.problem(405, "method_not_allowed");
    client.post("/healthz").await.problem(405, "method_not_allowed");
    for path in [
        "/v1/apps?colour=red",
        "/v1/apps?limit=0",
        "/v1/apps?limit=1001",
        "/v1/apps?limit=x",
        "/v1/apps?cursor=xyz",
        "/v1/apps?cursor=2d",
        "/v1/queue?limit=501",
        "/v1/queue?cursor=61",
        "/v1/runs?cursor=61",
        "/v1/apps/-a",
        "/v1/runs/7",
        "/v1/runs/7/shards",
        "/v1/jobs/j/fires?cursor=61",
        "/v1/jobs/j/fires?from=yesterday",
        "/metrics?name=held",
        "/v1/backup?all",
    ] {
        client.get(path).await.problem(400, "invalid_request");
    }
    for (path, detail) in [
        ("/v1/runs/7/shards/0/logs?stream=stdout", "`7` is no id of a run"),
        ("/v1/apps/-a", "`-a` names no app: a name has 1 to"),
        ("/v1/apps?limit=x", "the parameter `limit=x` cannot be read: it is a whole number"),
        ("/v1/apps?limit=-1", "`limit=-1` cannot be read: it is a whole number"),
        ("/v1/apps?limit=", "`limit=` cannot be read: it is a whole number"),
        ("/v1/apps?a=1", "there is no parameter `a` here; known: `limit` or `cursor`"),
        ("/metrics?a=1&b", "there is no parameter `a` here; it takes none"),
        ("/v1/runs?state=odd", "`state=odd` cannot be read: it is `pending`, `running`"),
        ("/v1/jobs/j/fires?from=x", "`from=x` cannot be read: `x` is no time; write it as in"),
    ] {
        let found = client.get(path).await.problem(400, "invalid_request");
        assert!(found.contains(detail), "{path}: {found}");
    }
}

#[tokio::test]
async fn wrong_bodies_are_problems() {
    let world = World::start().await;
    let client = &world.client;
    let put = |headers: &'static [(&str, &str)], body: &'static [u8]| {
        client.send(Method::PUT, "/v1/apps/a", headers, body)
    };
    let detail = put(&[], b"{\"name\":\n  oops}").await.problem(400, "invalid_request");
    assert!(detail.contains("line 2 column 3"), "{detail}");
    put(&[], b"\xff\xfe").await.problem(400, "invalid_request");
    put(&[], b"[]").await.problem(422, "invalid_document");
    put(&[("content-type", "text/yaml")], b"{}").await.problem(415, "unsupported_media_type");
    put(&[], b"").await.problem(415, "unsupported_media_type");
    put(&[("content-type", "application/json; charset=utf-8")], b"")
        .await
        .problem(400, "invalid_request");
    let deep = "[".repeat(100_000);
    let answer = client.send(Method::PUT, "/v1/apps/a", &[], deep).await;
    answer.problem(400, "invalid_request");
    let spaces = " ".repeat(limits::DOCUMENT_BYTES + 1);
    let answer = client.send(Method::PUT, "/v1/apps/a", &[], spaces).await;
    answer.problem(413, "payload_too_large");
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    let plain = [("content-type", "text/plain")];
    let answer = client.send(Method::POST, "/v1/jobs/j/trigger", &plain, "{}").await;
    answer.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn what_takes_no_body_refuses_one_that_says_something() {
    let world = World::start().await;
    let client = &world.client;
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let run = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    for path in [
        format!("{run}/shards/0/kill"),
        format!("{run}/cancel"),
        "/v1/jobs/j/enable".to_owned(),
        "/v1/jobs/j/disable".to_owned(),
        "/v1/apps/a/enable".to_owned(),
        "/v1/apps/a/disable".to_owned(),
        "/v1/agents/agent-1/activate".to_owned(),
        "/v1/agents/agent-1/gone".to_owned(),
        "/v1/reconcile".to_owned(),
    ] {
        let json = [("content-type", "application/json")];
        let send = |body: &'static str| client.send(Method::POST, &path, &json, body);
        let detail = send(r#"{"x": 1}"#).await.problem(422, "invalid_document");
        assert_eq!(detail, "x: it is not known here; this takes no body", "{path}");
        send("[]").await.problem(422, "invalid_document");
        send("x").await.problem(400, "invalid_request");
        client.post(&format!("{path}?x=1")).await.problem(400, "invalid_request");
    }
    // Nothing came of any of them.
    assert_eq!(client.get(&run).await.ok(200).json()["state"], "pending");
    assert_eq!(client.get("/v1/jobs/j").await.ok(200).json()["status"]["enabled"], true);
    client.send(Method::POST, &format!("{run}/cancel"), &[], "{}").await.ok(202);
}

/// Sends some bytes and reads until the server closes.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Time is paused: whatever only waits is at its deadline at once.
#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut() {
    let world = World::start().await;
    raw(world.address, b"GET /v1/apps HTTP/1.1\r\nHost: t\r\n").await;
    raw(world.address, b"").await;
    let text = {
        let token = world.token();
        let head = "PUT /v1/apps/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n";
        let head = format!("{head}Authorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n{{");
        raw(world.address, head.as_bytes()).await
    };
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("\"code\":\"request_timeout\""), "{text}");
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let world = World::start().await;
    let text = raw(world.address, b"\x16\x03\x01 hello\r\n\r\n").await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    world.client.get("/healthz").await.ok(200);
}

#[tokio::test]
async fn the_server_stops_though_somebody_waits() {
    let world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    client.put("/v1/jobs/j", &job("j", "a", 1)).await.ok(201);
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let path = format!("/v1/runs/{}?wait=60s", run["id"].as_str().unwrap());
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    let mut waiting = TcpStream::connect(world.address).await.unwrap();
    let token = world.token();
    let head = format!("GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\r\n");
    waiting.write_all(head.as_bytes()).await.unwrap();
    client.get("/healthz").await.ok(200);
    world.stop().await;
    for stream in [&mut idle, &mut waiting] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}
