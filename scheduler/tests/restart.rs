//! The whole scheduler process, started and stopped on one data folder.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/client.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod client;
#[path = "shared/stream.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod stream;

use std::{net::SocketAddr, path::Path, time::Duration};

use client::Client;
use muster_scheduler::{Config, HistoryLimits, ready::Ready, run};
use serde_json::json;
use stream::EventStream;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

/// No step of this test takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

struct Running {
    client: Client,
    address: SocketAddr,
    token: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

fn config(folder: &Path, history: HistoryLimits) -> Config {
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
        history,
        notices: Default::default(),
    }
}

async fn start(folder: &Path) -> Running {
    start_with(folder, HistoryLimits::default()).await
}

async fn start_with(folder: &Path, history: HistoryLimits) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let mut task = tokio::spawn(run(config(folder, history), shutdown));
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
    let client = Client::new(ready.http, Some(token.trim()));
    Running { client, address: ready.http, token: token.trim().to_owned(), stop, task }
}

async fn stop(running: Running, folder: &Path) {
    running.stop.send(()).unwrap();
    timeout(DEADLINE, running.task).await.unwrap().unwrap().unwrap();
    assert!(!folder.join("ready.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let client = &first.client;
    client.get("/readyz").await.ok(200);
    let [app, job] = app_and_job();
    client.put("/v1/apps/a", &app).await.ok(201);
    let job = client.put("/v1/jobs/j", &job).await.ok(201).json();
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let over = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let (run, over) = (run["id"].as_str().unwrap(), over["id"].as_str().unwrap());
    client.post(&format!("/v1/runs/{over}/cancel")).await.ok(202);

    let refused = muster_scheduler::run(
        config(folder.path(), HistoryLimits::default()),
        std::future::ready(()),
    )
    .await;
    assert!(refused.unwrap_err().to_string().contains("in use by process"));
    stop(first, folder.path()).await;

    let second = start(folder.path()).await;
    let client = &second.client;
    assert_eq!(client.get("/v1/jobs/j").await.ok(200).json(), job);
    let state = async |run| client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!(state(run).await["state"], "pending");
    assert_eq!(state(over).await["state"], "cancelled");
    assert_eq!(client.get("/v1/queue").await.ok(200).json()["items"][0]["run"], run);
    assert_eq!(client.get("/v1/agents").await.ok(200).json()["items"], json!([]));
    stop(second, folder.path()).await;
}

fn app_and_job() -> [serde_json::Value; 2] {
    let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
    let job = json!({
        "name": "j", "app": "a", "type": "script", "script": {"command": "true"},
        "sharding": {"count": 2}, "resources": {"cpus": 0.1, "mem": 16},
    });
    [app, job]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_limits_of_history_is_forgotten_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let client = &first.client;
    let [app, job] = app_and_job();
    client.put("/v1/apps/a", &app).await.ok(201);
    client.put("/v1/jobs/j", &job).await.ok(201);
    let mut runs = Vec::new();
    for _ in 0..12 {
        let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
        let run = run["id"].as_str().unwrap().to_owned();
        client.post(&format!("/v1/runs/{run}/cancel")).await.ok(202);
        runs.push(run);
    }
    let metrics = client.get("/metrics").await.ok(200);
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        r#"muster_puts_total{table="past_runs"} 12"#,
        r#"muster_shards_over_total{outcome="cancelled"} 24"#,
        "muster_runs_created_total 12",
        "muster_held 0",
    ] {
        assert!(metrics.text.lines().any(|has| has == line), "`{line}`: {}", metrics.text);
    }
    stop(first, folder.path()).await;

    let limits = HistoryLimits { runs_per_job: 5, ..HistoryLimits::default() };
    let second = start_with(folder.path(), limits).await;
    let client = &second.client;
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let forgotten = async {
        while client.get("/v1/runs").await.ok(200).json()["items"].as_array().unwrap().len() > 5 {
            looks.tick().await;
        }
    };
    timeout(DEADLINE, forgotten).await.unwrap();
    let list = client.get("/v1/runs?job=j&state=cancelled").await.ok(200).json();
    let kept: Vec<_> = list["items"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(kept, runs.iter().rev().take(5).collect::<Vec<_>>());
    for (n, run) in runs.iter().enumerate() {
        let status = if n < 7 { 404 } else { 200 };
        for path in [format!("/v1/runs/{run}"), format!("/v1/runs/{run}/shards")] {
            let answer = client.get(&path).await;
            assert_eq!(answer.status, status, "{path}");
        }
    }
    stop(second, folder.path()).await;

    let nothing = HistoryLimits { runs: 0, ..HistoryLimits::default() };
    let refused = run(config(folder.path(), nothing), std::future::ready(())).await;
    assert!(refused.unwrap_err().to_string().contains("--history-runs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_scheduler_and_goes_on_with_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    // It has made its first commit by the time that it answers.
    first.client.get("/readyz").await.ok(200);
    let mut stream = EventStream::open((first.address, &first.token), "", None).await;
    stream.begin().await;
    let [app, job] = app_and_job();
    first.client.put("/v1/apps/a", &app).await.ok(201);
    let (_, event) = stream.next().await.unwrap();
    assert_eq!((&event["state"], &event["actor"]), (&"put_app".into(), &"admin".into()));
    first.client.put("/v1/jobs/j", &job).await.ok(201);
    let read = tokio::spawn(async move {
        let told = (stream.next().await.unwrap(), stream.next().await);
        (told, stream.last_id.clone())
    });
    stop(first, folder.path()).await;
    let ((last, end), id) = read.await.unwrap();
    assert_eq!(last.1["state"], "put_job");
    assert_eq!(end, Err(true), "it ends as an answer that is complete");

    let second = start(folder.path()).await;
    let mut stream = EventStream::open((second.address, &second.token), "", Some(&id)).await;
    let (kind, event) = stream.next().await.unwrap();
    assert_eq!((kind.as_str(), &event["state"]), ("scheduler", &"started".into()));
    drop(stream);
    stop(second, folder.path()).await;
}
