//! The whole scheduler process, started and stopped on one data folder.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/client.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod client;

use std::{path::Path, time::Duration};

use client::Client;
use muster_scheduler::{Config, ready::Ready, run};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

/// No step of this test takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

struct Running {
    client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

fn config(folder: &Path) -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config { data_dir: folder.to_owned(), http: any, master_listen: any, plaintext: false }
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
    let client = Client::new(ready.http, Some(token.trim()));
    Running { client, stop, task }
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
    let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
    client.put("/v1/apps/a", &app).await.ok(201);
    let job = json!({
        "name": "j", "app": "a", "type": "script", "script": {"command": "true"},
        "sharding": {"count": 2}, "resources": {"cpus": 0.1, "mem": 16},
    });
    let job = client.put("/v1/jobs/j", &job).await.ok(201).json();
    let run = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let over = client.post("/v1/jobs/j/trigger").await.ok(202).json();
    let (run, over) = (run["id"].as_str().unwrap(), over["id"].as_str().unwrap());
    client.post(&format!("/v1/runs/{over}/cancel")).await.ok(202);

    let refused = muster_scheduler::run(config(folder.path()), std::future::ready(())).await;
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
