//! Frameworks on the whole scheduler process: who is let in, who that is, and what is shown of it.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/client.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod client;

use std::{net::SocketAddr, path::Path, time::Duration};

use client::{Answer, Client};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use muster_proto::{json::base64, recordio::Decoder};
use muster_scheduler::{Config, HistoryLimits, ready::Ready, run};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle, time::timeout};

/// No step of this test takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
const CALLS: &str = "/api/v1/scheduler";

struct Running {
    rest: Client,
    master: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

fn config(folder: &Path) -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        data_dir: folder.to_owned(),
        store: None,
        http: any,
        master_listen: any,
        mesos: None,
        plaintext: false,
        anonymous_frameworks: false,
        offer_timeout: None,
        max_tasks: None,
        history: HistoryLimits::default(),
        notices: Default::default(),
    }
}

async fn start(folder: &Path) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let mut task = tokio::spawn(run(config(folder), shutdown));
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let ready = async {
        loop {
            tokio::select! {
                ended = &mut task => panic!("it ended: {ended:?}"),
                _ = looks.tick() => {
                    if let Ok(text) = std::fs::read(folder.join("ready.json")) {
                        return serde_json::from_slice::<Ready>(&text).unwrap();
                    }
                }
            }
        }
    };
    let ready = timeout(DEADLINE, ready).await.unwrap();
    let token = std::fs::read_to_string(folder.join("admin.token")).unwrap();
    let rest = Client::new(ready.http, Some(token.trim()));
    Running { rest, master: ready.master.unwrap(), stop, task }
}

async fn stop(running: Running) {
    running.stop.send(()).unwrap();
    timeout(DEADLINE, running.task).await.unwrap().unwrap().unwrap();
}

fn basic(principal: &str, secret: &str) -> String {
    let mut value = b"Basic ".to_vec();
    base64::encode(format!("{principal}:{secret}").as_bytes(), &mut value);
    String::from_utf8(value).unwrap()
}

async fn call(master: SocketAddr, credentials: &str, call: &Value) -> Answer {
    let headers = [("authorization", credentials), ("content-type", "application/json")];
    Client::new(master, None).send(Method::POST, CALLS, &headers, call.to_string()).await
}

/// A subscription that goes on.
struct Subscription {
    body: Incoming,
    decoder: Decoder,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Subscription {
    async fn new(master: SocketAddr, credentials: &str, id: Option<&str>) -> Self {
        let mut info = json!({"user": "u", "name": "spark", "failover_timeout": 3600,
            "roles": ["batch"], "capabilities": [{"type": "MULTI_ROLE"}]});
        let mut call = json!({"type": "SUBSCRIBE"});
        if let Some(id) = id {
            info["id"] = json!({"value": id});
            call["framework_id"] = json!({"value": id});
        }
        call["subscribe"] = json!({"framework_info": info});
        let request = Request::post(CALLS)
            .header("host", "master")
            .header("authorization", credentials)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(call.to_string())))
            .unwrap();
        let stream = TcpStream::connect(master).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let decoder = Decoder::new(1_000_000);
        Self { body: response.into_body(), decoder, connection }
    }

    /// The next event; nothing at the end of the stream.
    async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                return Some(serde_json::from_slice(record).unwrap());
            }
            let frame = timeout(DEADLINE, self.body.frame()).await.unwrap()?;
            self.decoder.feed(frame.unwrap().data_ref().unwrap());
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_framework_is_let_in_by_a_credential_which_outlives_the_scheduler_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let revive = json!({"type": "REVIVE", "framework_id": {"value": "nobody"}});
    let nobody = basic("fw/1", "guess");
    assert_eq!(call(first.master, &nobody, &revive).await.status, 401);

    let create = async || {
        let body = json!({"principal": "fw/1"}).to_string();
        first.rest.send(Method::POST, "/v1/credentials", &[], body).await
    };
    let made = create().await.ok(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    let credentials = basic("fw/1", &secret);
    let unknown = call(first.master, &credentials, &revive).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.text.as_str()),
        (400, "Framework cannot be found")
    );
    let listed = first.rest.get("/v1/credentials").await.ok(200);
    assert_eq!(listed.json()["items"][0]["principal"], "fw/1");
    assert!(!listed.text.contains(&secret));
    create().await.problem(409, "conflict");

    let mut subscription = Subscription::new(first.master, &credentials, None).await;
    let subscribed = subscription.event().await.unwrap();
    let id = subscribed["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
    let rows = first.rest.get("/v1/frameworks").await.ok(200).json();
    let row = |rows: &Value| {
        let mut rows = rows["items"].as_array().unwrap().iter();
        rows.find(|row| row["id"] == *id).unwrap().clone()
    };
    let row = row(&rows);
    assert_eq!((&row["name"], &row["state"]), (&json!("spark"), &json!("active")));
    assert_eq!(rows["items"].as_array().unwrap().len(), 2, "we are one ourselves");
    drop(subscription);
    stop(first).await;

    let second = start(folder.path()).await;
    let mut subscription = Subscription::new(second.master, &credentials, Some(&id)).await;
    let subscribed = subscription.event().await.unwrap();
    assert_eq!(subscribed["subscribed"]["framework_id"]["value"], *id);
    let state = Client::new(second.master, None);
    assert_eq!(state.get("/state").await.status, 401);
    let authorized = [("authorization", credentials.as_str())];
    let state = state.send(Method::GET, "/state", &authorized, "").await.ok(200).json();
    let mut frameworks = state["frameworks"].as_array().unwrap().iter();
    assert!(frameworks.any(|framework| framework["id"] == *id && framework["active"] == true));

    second.rest.delete("/v1/credentials/fw%2F1").await.ok(204);
    while let Some(event) = subscription.event().await {
        assert_ne!(event["type"], "ERROR", "it may come back with another credential");
    }
    assert_eq!(call(second.master, &credentials, &revive).await.status, 401);
    second.rest.delete("/v1/credentials/fw%2F1").await.problem(404, "not_found");
    let changes = second.rest.get("/v1/events?kind=change").await.ok(200).json();
    let changes: Vec<_> = changes["items"].as_array().unwrap().iter().collect();
    for (state, words) in [("create_credential", "for fw/1"), ("revoke_credential", "of fw/1")] {
        let found = changes.iter().find(|change| change["state"] == state).unwrap();
        assert!(found["message"].as_str().unwrap().contains(words), "{found}");
    }
    let metrics = second.rest.get("/metrics").await.ok(200).text;
    let line = r#"muster_framework_calls_total{call="SUBSCRIBE",status="200"} 1"#;
    assert!(metrics.lines().any(|has| has == line), "{metrics}");
    stop(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_removes_a_framework_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let body = json!({"principal": "fw"}).to_string();
    let made = first.rest.send(Method::POST, "/v1/credentials", &[], body).await.ok(201).json();
    let credentials = basic("fw", made["secret"].as_str().unwrap());
    let mut subscription = Subscription::new(first.master, &credentials, Some("spark-1")).await;
    assert_eq!(subscription.event().await.unwrap()["type"], "SUBSCRIBED");

    first.rest.delete("/v1/frameworks/spark-1").await.ok(204);
    while subscription.event().await.is_some() {}
    first.rest.delete("/v1/frameworks/spark-1").await.problem(404, "not_found");
    let rows = first.rest.get("/v1/frameworks").await.ok(200).json();
    let rows = rows["items"].as_array().unwrap();
    let states: Vec<_> = rows.iter().map(|row| (&row["state"], &row["embedded"])).collect();
    let (removed, ours) = ((&json!("removed"), &json!(false)), (&json!("active"), &json!(true)));
    assert!(states.contains(&removed) && states.contains(&ours), "{rows:?}");
    let ours = rows.iter().find(|row| row["embedded"] == true).unwrap()["id"].as_str().unwrap();
    first.rest.delete(&format!("/v1/frameworks/{ours}")).await.problem(409, "conflict");

    let changes = first.rest.get("/v1/events?kind=change").await.ok(200).json();
    let changes: Vec<_> = changes["items"].as_array().unwrap().iter().collect();
    let told: Vec<_> = changes.iter().filter(|one| one["state"] == "remove_framework").collect();
    assert_eq!(told.len(), 1, "what is refused is no change: {told:?}");
    assert!(told[0]["message"].as_str().unwrap().contains("spark-1"));
    stop(first).await;

    let second = start(folder.path()).await;
    let mut subscription = Subscription::new(second.master, &credentials, Some("spark-1")).await;
    let refused = subscription.event().await.unwrap();
    assert_eq!(refused["error"]["message"], "Framework has been removed");
    stop(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_have_weights() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let set = first.rest.put("/v1/roles/teams%2Fred", &json!({"weight": 2.5})).await;
    assert_eq!(set.ok(200).json()["weight_thousandths"], 2_500);
    first.rest.put("/v1/roles/teams/blue", &json!({"weight": 3})).await.ok(200);
    for wrong in [json!({}), json!({"weight": 0}), json!({"weight": 1_001}), json!({"wait": 1})] {
        let refused = first.rest.put("/v1/roles/a", &wrong).await;
        refused.problem(422, "invalid_document");
    }
    stop(first).await;
    let second = start(folder.path()).await;
    let roles = second.rest.get("/v1/roles").await.ok(200).json();
    let weight = |name: &str| {
        let mut roles = roles["items"].as_array().unwrap().iter();
        roles.find(|role| role["role"] == name).unwrap()["weight_thousandths"].clone()
    };
    assert_eq!((weight("teams/red"), weight("teams/blue")), (json!(2_500), json!(3_000)));
    stop(second).await;
}

#[tokio::test]
async fn nobody_is_let_in_without_credentials_from_other_machines() {
    let folder = tempfile::tempdir().unwrap();
    let open = Config {
        master_listen: "0.0.0.0:0".parse().unwrap(),
        plaintext: true,
        anonymous_frameworks: true,
        ..config(folder.path())
    };
    let refused = run(open, std::future::ready(())).await.unwrap_err().to_string();
    assert!(refused.contains("--anonymous-frameworks"), "{refused}");
    assert!(!folder.path().join("store").exists(), "before anything is made");
}
