//! Notices from the whole scheduler process to webhooks that take them, or do not.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/client.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod client;
#[path = "shared/webhook.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod webhook;

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use client::Client;
use hmac::{Hmac, KeyInit, Mac};
use muster_api::{clock, spec::NoticeKind};
use muster_scheduler::{Config, HistoryLimits, Installation, Notifying, ready::Ready, run};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use webhook::{Answer, Posted, Webhook};

/// No step of these tests takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

struct Running {
    client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Starts a scheduler that tells of skipped instants there, if anywhere.
async fn start(folder: &Path, webhook: &str) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    let on = match webhook {
        "" => BTreeSet::new(),
        _ => BTreeSet::from([NoticeKind::Skipped]),
    };
    let installation = Installation { on, webhook: webhook.to_owned() };
    let config = Config {
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
        notices: Notifying { installation, name: "test".to_owned() },
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(run(config, shutdown));
    let ready = wait_for(async || fs::read(folder.join("ready.json")).ok()).await;
    let ready: Ready = serde_json::from_slice(&ready).unwrap();
    let token = fs::read_to_string(folder.join("admin.token")).unwrap();
    Running { client: Client::new(ready.http, Some(token.trim())), stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// A job that passes over an instant soon, and then none for long.
    async fn put_job(&self, name: &str, notify: &Value) {
        let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
        self.client.put("/v1/apps/a", &app).await;
        let at = clock::wall() + Duration::from_secs(1);
        let job = json!({
            "name": name, "app": "a", "type": "script", "script": {"command": "true"},
            "sharding": {"count": 1}, "resources": {"cpus": 0.1, "mem": 16},
            "schedule": {"at": at}, "start_within": "1s", "notify": notify,
        });
        self.client.put(&format!("/v1/jobs/{name}"), &job).await.ok(201);
    }

    async fn waiting(&self) -> Vec<Value> {
        let list = self.client.get("/v1/notices").await.ok(200).json();
        list["items"].as_array().unwrap().clone()
    }
}

/// Looks until there is something to see.
async fn wait_for<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let seen = async {
        loop {
            looks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    timeout(DEADLINE, seen).await.expect("it comes to be")
}

async fn posts(webhook: &Webhook, count: usize) -> Vec<Posted> {
    wait_for(async || Some(webhook.posted()).filter(|posted| posted.len() >= count)).await
}

/// What the header says of a body, reckoned anew.
fn is_signed(posted: &Posted, secret: &str) -> bool {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(posted.headers["muster-timestamp"].as_bytes());
    hmac.update(b".");
    hmac.update(&posted.body);
    let signature = posted.headers["muster-signature"].strip_prefix("v1=").unwrap();
    let digits = (0..signature.len()).step_by(2);
    let bytes: Vec<u8> =
        digits.map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap()).collect();
    hmac.verify_slice(&bytes).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_signed_and_sent_until_its_webhook_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let refuses = [Answer::Status(500), Answer::Status(302), Answer::Closes];
    let webhook = Webhook::start(refuses);
    let scheduler = start(folder.path(), "").await;
    let uri = webhook.uri("/hook/secret?x=1");
    scheduler.put_job("j", &json!({"on": ["skipped"], "webhook": uri})).await;

    posts(&webhook, 2).await;
    let waiting = wait_for(async || {
        let rows = scheduler.waiting().await;
        rows.into_iter().find(|row| row["tries"] == 2)
    });
    let waiting = waiting.await;
    assert_eq!(waiting["job"], "j");
    let error = waiting["last_error"].as_str().unwrap();
    assert!(error.contains("302") && error.contains("redirects are not followed"), "{error}");
    assert!(waiting["next_try_at"].is_string(), "{waiting}");
    assert!(!waiting.to_string().contains("secret"), "the path may be a secret: {waiting}");

    let posted = posts(&webhook, 4).await;
    let secret = folder.path().join("notice.secret");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(secret).unwrap();
    let body = posted[0].json();
    for again in &posted {
        assert_eq!(again.line, "POST /hook/secret?x=1 HTTP/1.1");
        assert_eq!(again.headers["content-type"], "application/json");
        assert_eq!(again.headers["muster-notice"], body["id"].as_str().unwrap());
        assert_eq!(again.json(), body, "the same each time");
        assert!(is_signed(again, secret.trim()));
        assert!(!is_signed(again, "another secret"));
        assert!(!again.headers.contains_key("authorization"));
    }
    assert_eq!((&body["installation"], &body["kind"]), (&json!("test"), &json!("skipped")));
    assert_eq!((&body["job"], &body["app"], &body["count"]), (&json!("j"), &json!("a"), &json!(1)));
    assert!(body["reason"].as_str().unwrap().contains("not started within 1s"), "{body}");
    let fires = scheduler.client.get(body["link"].as_str().unwrap()).await.ok(200).json();
    assert_eq!(fires["items"][0]["outcome"], "skipped", "the link leads to the ledger");

    wait_for(async || scheduler.waiting().await.is_empty().then_some(())).await;
    let metrics = scheduler.client.get("/metrics").await.ok(200).text;
    for line in [
        r#"muster_notices_total{outcome="decided"} 1"#,
        r#"muster_notices_total{outcome="failed"} 3"#,
        r#"muster_notices_total{outcome="sent"} 1"#,
        "muster_notices_waiting 0",
    ] {
        assert!(metrics.lines().any(|has| has == line), "`{line}`: {metrics}");
    }
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_is_sent_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let webhook = Webhook::start([Answer::Never]);
    let first = start(folder.path(), &webhook.uri("/")).await;
    first.put_job("j", &json!({})).await;
    let posted = posts(&webhook, 1).await;
    // It is under way, and nobody waits for that.
    first.stop().await;

    let second = start(folder.path(), "").await;
    let again = posts(&webhook, 2).await;
    assert_eq!(again[1].headers["muster-notice"], posted[0].headers["muster-notice"]);
    assert_eq!(again[1].json(), posted[0].json());
    wait_for(async || second.waiting().await.is_empty().then_some(())).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_have_a_query_and_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let webhook = Webhook::start([]);
    let scheduler = start(folder.path(), &webhook.uri("?token=1")).await;
    scheduler.put_job("j", &json!({})).await;
    assert_eq!(posts(&webhook, 1).await[0].line, "POST /?token=1 HTTP/1.1");
    wait_for(async || scheduler.waiting().await.is_empty().then_some(())).await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_webhook_and_a_silent_one_hold_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let live = Webhook::start([]);
    let silent = Webhook::start((0..100).map(|_| Answer::Never));
    // Nobody listens there any more.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scheduler = start(folder.path(), &live.uri("/all")).await;
    for (name, uri) in [("d", format!("http://{dead}/")), ("s", silent.uri("/"))] {
        scheduler.put_job(name, &json!({"on": ["skipped"], "webhook": uri})).await;
    }
    let posted = posts(&live, 2).await;
    let jobs: BTreeSet<_> = posted.iter().map(|post| post.json()["job"].to_string()).collect();
    assert_eq!(jobs.len(), 2, "the installation is told of both");
    posts(&silent, 1).await;
    let refused = wait_for(async || {
        let rows = scheduler.waiting().await;
        rows.into_iter().find(|row| row["job"] == "d" && row["tries"] != 0)
    });
    let error = refused.await["last_error"].to_string();
    assert!(error.contains(&format!("cannot connect to {dead}")), "{error}");
    let rows = scheduler.waiting().await;
    assert!(rows.iter().any(|row| row["job"] == "s" && row["tries"] == 0), "{rows:?}");
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_wants_to_tell_needs_somebody_to_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let scheduler = start(folder.path(), "").await;
    let client = &scheduler.client;
    let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
    client.put("/v1/apps/a", &app).await.ok(201);
    let job = |notify: Value| {
        json!({"name": "j", "app": "a", "type": "script", "script": {"command": "true"},
            "sharding": {"count": 1}, "resources": {"cpus": 0.1, "mem": 16}, "notify": notify})
    };
    for (notify, field, words) in [
        (json!({"on": ["failed"]}), "notify.webhook", "--notify-webhook"),
        (json!({"on": ["failed", "fail"]}), "notify.on[1]", "fail"),
        (json!({"on": ["host_lost"]}), "notify.on[0]", "host_lost"),
        (json!({"webhook": "ftp://h/"}), "notify.webhook", "ftp://h/"),
        (json!({"webhook": "http://u:p@h/"}), "notify.webhook", "password"),
        (json!({"late_after": "10ms"}), "notify.late_after", "1s"),
    ] {
        let answer = client.put("/v1/jobs/j", &job(notify)).await.ok(422).json();
        let fault = &answer["faults"][0];
        assert_eq!(fault["field"], field, "{answer}");
        assert!(fault["message"].as_str().unwrap().contains(words), "{answer}");
    }
    let good = json!({"on": ["failed"], "webhook": "http://h/"});
    client.put("/v1/jobs/j", &job(good)).await.ok(201);
    client.get("/v1/notices?limit=0").await.ok(400);
    client.get("/v1/notices?job=j").await.ok(400);
    scheduler.stop().await;
}
