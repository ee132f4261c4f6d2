//! Notices of real processes, over the death of the scheduler between a commit and its delivery.

#[path = "../../../scheduler/tests/shared/webhook.rs"]
mod webhook;

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use webhook::{Answer, Posted, Webhook};

use crate::cluster::{Cluster, script, wait_for, wait_until, with};

/// A cluster whose scheduler tells everything to a webhook.
fn telling(webhook: &Webhook) -> Cluster {
    let mut cluster = Cluster::not_started();
    let scheduler = cluster.scheduler();
    scheduler.set_variable("MUSTER_NOTIFY_WEBHOOK", &webhook.uri("/muster"));
    scheduler.set_variable("MUSTER_NOTIFY_NAME", "of the tests");
    cluster.start_scheduler();
    cluster.add_agent("a1", "cpus:2;mem:2048");
    cluster.wait_for_agents(1);
    cluster.put_app("scripts", &json!({}));
    cluster
}

fn posts(webhook: &Webhook, count: usize) -> Vec<Posted> {
    wait_for("posts to the webhook", || {
        Some(webhook.posted()).filter(|posted| posted.len() >= count)
    })
}

fn waiting(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.api().get("/v1/notices").expect(200..=200).body;
    list["items"].as_array().unwrap().clone()
}

#[test]
fn a_notice_outlives_the_scheduler_that_decided_it() {
    // It does not answer until the scheduler is dead.
    let webhook = Webhook::start([Answer::Never]);
    let mut cluster = telling(&webhook);
    cluster.put_job(&script("fails", 1, "echo no; exit 3"));
    let run = cluster.trigger("fails");
    let before = posts(&webhook, 1).remove(0);
    assert_eq!(cluster.wait_for_run(&run).state.as_str(), "failed");
    cluster.crash_scheduler();

    let after = posts(&webhook, 2).remove(1);
    assert_eq!(after.headers["muster-notice"], before.headers["muster-notice"]);
    assert_eq!(after.body, before.body);
    wait_until("it is delivered", || waiting(&cluster).is_empty());
    cluster.crash_scheduler();
    assert_eq!(waiting(&cluster), [] as [Value; 0]);
    let body = after.json();
    assert_eq!((&body["kind"], &body["run"]), (&json!("failed"), &json!(run)));
    assert_eq!(body["installation"], "of the tests");
    assert!(body["reason"].as_str().unwrap().contains("code 3"), "{body}");
    let link = body["link"].as_str().unwrap();
    assert_eq!(cluster.api().get(link).expect(200..=200).body["id"], json!(run));

    // What docs/notices.md tells receivers to do works, and refuses what is not ours.
    let secret = cluster.data_dir().join("notice.secret");
    let said = check_notice(&secret, &after, &after.body);
    assert!(said.status.success(), "{said:?}");
    let other = [&after.body[..], b" "].concat();
    assert!(!check_notice(&secret, &after, &other).status.success());
    let token = cluster.data_dir().join("join.token");
    assert!(!check_notice(&token, &after, &after.body).status.success());

    // The job gets well, which is told once.
    cluster.put_job(&script("fails", 1, "true"));
    let well = cluster.trigger("fails");
    let recovered = posts(&webhook, 3).remove(2).json();
    assert_eq!((&recovered["kind"], &recovered["run"]), (&json!("recovered"), &json!(well)));
}

/// Runs the script that receivers may use.
fn check_notice(secret: &Path, posted: &Posted, body: &[u8]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/check-notice");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(secret)
        .args([&posted.headers["muster-timestamp"], &posted.headers["muster-signature"]])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need python3");
    child.stdin.take().unwrap().write_all(body).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn what_waits_is_listed_and_a_job_has_a_webhook_of_its_own() {
    let (webhook, own) = (Webhook::start([]), Webhook::start((0..9).map(|_| Answer::Status(503))));
    let cluster = telling(&webhook);
    let notify = json!({"on": ["failed"], "webhook": own.uri("/path/of/its/own")});
    cluster.put_job(&with(script("fails", 1, "exit 1"), &json!({"notify": notify})));
    cluster.trigger("fails");
    let posted = posts(&webhook, 1).remove(0);
    let to_own = posts(&own, 1).remove(0);
    assert_eq!(to_own.line, "POST /path/of/its/own HTTP/1.1");
    assert_ne!(posted.headers["muster-notice"], to_own.headers["muster-notice"]);
    wait_until("the answer is known", || waiting(&cluster).iter().any(|row| row["tries"] != 0));
    let said = cluster.muster(&["notices"]);
    let table = String::from_utf8_lossy(&said.stdout).into_owned();
    for word in ["fails", "failed", "503", "http://127.0.0.1"] {
        assert!(table.contains(word), "`{word}` is not in\n{table}");
    }
    assert!(!table.contains("/path/of"), "{table}");
    own.answer([]);
    wait_until("it is delivered", || waiting(&cluster).is_empty());
    let said = cluster.muster(&["notices"]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("no notice waits"));
}
