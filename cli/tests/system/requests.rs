//! Bad input and careful requests over HTTP.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use muster_api::{clock, limits, views::RunState};
use serde_json::{Value, json};

use crate::cluster::{Answer, Cluster, PRELUDE, app, script, wait_until, with};

fn put(cluster: &Cluster, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    cluster.api().send("PUT", path, headers, Some(body.to_owned())).unwrap()
}

#[test]
fn bad_documents_are_refused_with_all_their_faults() {
    let cluster = Cluster::new();
    for broken in ["", "{", "[1,", "{\"kind\": \"app\",}", "\u{0}", "{} {}"] {
        put(&cluster, "/v1/apps/a", &[], broken).expect_problem(400, "invalid_request");
    }
    for wrong in ["[]", "1", "null", "\"app\"", "{}"] {
        put(&cluster, "/v1/apps/a", &[], wrong).expect_problem(422, "invalid_document");
    }
    let deep = "[".repeat(100_000);
    put(&cluster, "/v1/apps/a", &[], &deep).expect_problem(400, "invalid_request");
    let plain = [("content-type", "text/plain")];
    put(&cluster, "/v1/apps/a", &plain, "{}").expect_problem(415, "unsupported_media_type");

    let bad = json!({
        "kind": "job", "name": "j", "app": "a", "type": "script", "wings": 2,
        "schedule": {"cron": "61 * * * * ?"}, "sharding": {"count": 0},
        "resources": {"cpus": -1, "mem": 16}, "timeout": "soon", "priority": 101,
        "retry": {"max_attempts": 1, "feathers": 3},
    });
    let refused = cluster.api().put("/v1/jobs/j", &bad).expect_problem(422, "invalid_document");
    let faults = refused.body["faults"].as_array().unwrap();
    let mut fields: Vec<_> = faults.iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    let expected = [
        "priority",
        "resources.cpus",
        "retry.feathers",
        "schedule.cron",
        "script",
        "sharding.count",
        "timeout",
        "wings",
    ];
    assert_eq!(fields, expected, "{}", refused.text);
    for fault in faults {
        assert!(fault["message"].as_str().is_some_and(|words| words.len() > 10), "{fault}");
    }
    for name in ["a%20b", "a:b", "-a", "%2e%2e", &"x".repeat(129)] {
        let answer = cluster.api().put(&format!("/v1/apps/{name}"), &app("a", &json!({})));
        assert!([400, 422].contains(&answer.status), "{name}: {} {}", answer.status, answer.text);
    }
    // Nothing of all this has left a trace.
    assert_eq!(cluster.api().get("/v1/apps").body["items"], json!([]));
    assert_eq!(cluster.api().get("/v1/jobs").body["items"], json!([]));
}

#[test]
fn a_bad_value_is_named_with_what_would_be_right() {
    let cluster = Cluster::new();
    cluster.put_app("scripts", &json!({}));
    for (more, field, words) in [
        (json!({"schedule": {"cron": "0 0 25 * * ?"}}), "schedule.cron", ["`25`", "0 to 23"]),
        (json!({"schedule": {"cron": "0 2 * * *"}}), "schedule.cron", ["5 fields", "crontab"]),
        (
            json!({"schedule": {"cron": "0 0 2 * * ?", "time_zone": "Europe/Berlim"}}),
            "schedule.time_zone",
            ["`Europe/Berlim`", "Europe/Berlin"],
        ),
        (json!({"timeout": "soon"}), "timeout", ["`soon`", "90s"]),
        (json!({"timeout": "5"}), "timeout", ["`5`", "5s"]),
        (json!({"priority": 101}), "priority", ["101", "100"]),
        (json!({"priority": "high"}), "priority", ["high", "whole number"]),
        (json!({"sharding": {"count": 10_001}}), "sharding.count", ["10001", "10000"]),
        (json!({"resources": {"cpus": "many", "mem": 16}}), "resources.cpus", ["many", "number"]),
        (json!({"launch": "now"}), "launch", ["now", "as_fits"]),
        (json!({"app": "-x"}), "app", ["`-x`", "begins with"]),
    ] {
        let document = with(script("j", 1, "true"), &more);
        let refused = cluster.api().put("/v1/jobs/j", &document);
        let faults = refused.expect_problem(422, "invalid_document").body["faults"].clone();
        let fault = faults.as_array().unwrap().iter().find(|fault| fault["field"] == field);
        let fault = fault.unwrap_or_else(|| panic!("`{field}` is not named: {faults}"));
        let message = fault["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
    }
    assert_eq!(cluster.api().get("/v1/jobs").body["items"], json!([]));
}

/// Nothing but this client waits for it.
#[test]
fn a_client_that_dawdles_is_cut() {
    let mut cluster = Cluster::new();
    let address = cluster.scheduler().flag("--http").to_owned();
    let heads = ["GET /v1/apps HTTP/1.1\r\n", "PUT /v1/apps/a HTTP/1.1\r\ncontent-length: 9\r\n"];
    let slow = heads.map(|head| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    });
    let since = clock::mono();
    cluster.api().get("/v1/apps").expect(200..=200);
    for mut stream in slow {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
    }
    assert!(clock::mono().since(since) >= limits::HTTP_READ, "they had their time");
    cluster.api().get("/v1/apps").expect(200..=200);
}

#[test]
fn a_job_needs_its_app() {
    let cluster = Cluster::new();
    let answer = cluster.api().put("/v1/jobs/j", &script("j", 1, "true"));
    assert!([404, 409, 422].contains(&answer.status), "{}", answer.text);
    assert!(answer.text.contains("scripts"), "{}", answer.text);
    assert_eq!(cluster.api().get("/v1/jobs").body["items"], json!([]));
}

#[test]
fn requests_are_bounded() {
    let mut cluster = Cluster::new();
    let huge = with(app("a", &json!({})), &json!({"description": "x".repeat(300 * 1024)}));
    cluster.api().put("/v1/apps/a", &huge).expect_problem(413, "payload_too_large");
    let address = cluster.scheduler().flag("--http").to_owned();
    // Whoever sends no HTTP, or a head without end, is cut off, and nobody else notices.
    for noise in [b"\x16\x03\x01\x02\x00".repeat(100), b"GET / HTTP/1.1\r\nx: ".repeat(100_000)] {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(&noise);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    cluster.api().get("/readyz").expect(200..=200);
    let page = cluster.api().get("/v1/apps?limit=0");
    page.expect_problem(400, "invalid_request");
    cluster.api().get("/v1/apps?limit=1001").expect_problem(400, "invalid_request");
    cluster.api().get("/v1/apps?cursor=zzz").expect_problem(400, "invalid_request");
    cluster.api().get("/v1/apps?wings=2").expect_problem(400, "invalid_request");
    cluster.api().get("/v1/runs/no-such-id").expect(400..=404);
    cluster.api().post("/v1/apps", None).expect_problem(405, "method_not_allowed");
}

#[test]
fn a_put_holds_to_the_version_that_its_writer_saw() {
    let cluster = Cluster::new();
    let first = app("a", &json!({})).to_string();
    let second = with(app("a", &json!({})), &json!({"description": "new"})).to_string();
    let path = "/v1/apps/a";
    let only_new = [("if-none-match", "*")];
    put(&cluster, path, &[("if-match", "\"1\"")], &first).expect_problem(412, "version_mismatch");
    let created = put(&cluster, path, &only_new, &first).expect(201..=201).body["version"].clone();
    put(&cluster, path, &only_new, &first).expect_problem(412, "version_mismatch");
    let same = put(&cluster, path, &[], &first).expect(200..=200);
    assert_eq!(same.body["version"], created, "equal content makes no version");
    let seen = format!("\"{created}\"");
    let changed = put(&cluster, path, &[("if-match", &seen)], &second).expect(200..=200);
    assert!(changed.body["version"].as_u64() > created.as_u64());
    put(&cluster, path, &[("if-match", &seen)], &first).expect_problem(412, "version_mismatch");
    // What GET gave may be put again, and holds to its version too.
    let document = cluster.api().get(path).body;
    cluster.api().put(path, &document).expect(200..=200);
    let stale = with(document, &json!({"version": created, "description": "stale"}));
    cluster.api().put(path, &stale).expect_problem(412, "version_mismatch");
    assert_eq!(cluster.api().get(path).body["description"], "new");
}

#[test]
fn triggers_name_a_job_that_can_run() {
    let cluster = Cluster::new();
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("j", 2, "true"));
    let api = cluster.api();
    let trigger = "/v1/jobs/j/trigger";
    api.post("/v1/jobs/nobody/trigger", None).expect_problem(404, "not_found");
    for bad in [json!({"items": [2]}), json!({"items": []}), json!({"wings": 1}), json!([])] {
        let answer = api.post(trigger, Some(&bad));
        assert!([409, 422].contains(&answer.status), "{bad}: {}", answer.text);
    }
    api.post("/v1/jobs/j/disable", None).expect(200..=200);
    let refused = api.post(trigger, None).expect_problem(409, "conflict");
    assert!(refused.body["detail"].as_str().unwrap().contains("disabled"), "{}", refused.text);
    api.post("/v1/jobs/j/enable", None).expect(200..=200);
    api.post("/v1/apps/scripts/disable", None).expect(200..=200);
    api.post(trigger, None).expect_problem(409, "conflict");
    api.post("/v1/apps/scripts/enable", None).expect(200..=200);
    assert_eq!(api.get("/v1/runs").body["items"], json!([]));
    for _ in 0..100 {
        api.post(trigger, None).expect(202..=202);
    }
    api.post(trigger, None).expect_problem(429, "too_many_waiting");
}

#[test]
fn a_trigger_that_is_sent_again_starts_no_other_run() {
    let mut cluster = Cluster::new();
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("j", 1, "true"));
    let send = |cluster: &Cluster, key: &str, body: &Value| {
        let headers = [("idempotency-key", key)];
        let body = Some(body.to_string());
        cluster.api().send("POST", "/v1/jobs/j/trigger", &headers, body).unwrap()
    };
    let plain = json!({});
    let first = send(&cluster, "k", &plain).expect(202..=202).body["id"].clone();
    assert_eq!(send(&cluster, "k", &plain).expect(202..=202).body["id"], first);
    send(&cluster, "k", &json!({"parameter": "x"})).expect_problem(409, "conflict");
    assert_ne!(send(&cluster, "l", &plain).expect(202..=202).body["id"], first);
    cluster.crash_scheduler();
    assert_eq!(send(&cluster, "k", &plain).expect(202..=202).body["id"], first);
    assert_eq!(cluster.api().get("/v1/runs").body["items"].as_array().unwrap().len(), 2);
}

/// A job whose shards go on until they are told to end, and say when they have.
fn endless(cluster: &Cluster) -> String {
    cluster.put_app("scripts", &json!({}));
    let text = format!("{PRELUDE} trap 'note asked; exit 0' TERM; while :; do sleep 0.05; done");
    cluster.put_job(&script("endless", 3, &text));
    let run = cluster.trigger("endless");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("endless", "start") == 3);
    run
}

#[test]
fn a_cancelled_run_ends_its_shards() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    let run = endless(&cluster);
    let waiting = cluster.trigger("endless");
    let api = cluster.api();
    let cancelled = api.post(&format!("/v1/runs/{waiting}/cancel"), None).expect(200..=202).body;
    assert_eq!(cancelled["id"], waiting);
    assert_eq!(cluster.wait_for_run(&waiting).state, RunState::Cancelled);
    api.post(&format!("/v1/runs/{run}/cancel"), None).expect(200..=202);
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Cancelled, "{view:?}");
    assert_eq!(view.counts.cancelled + view.counts.succeeded, 3);
    assert_eq!(cluster.witness().count("endless", "asked"), 3, "the shards were asked first");
    assert_eq!(cluster.witness().count("endless", "start"), 3, "the cancelled run has started");
    let unknown = "/v1/runs/019a0000-0000-7000-8000-000000000000/cancel";
    api.post(unknown, None).expect_problem(404, "not_found");
    assert!(api.post(&format!("/v1/runs/{run}/cancel"), None).status < 500);
}

#[test]
fn a_deleted_job_leaves_no_task_and_its_name() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    endless(&cluster);
    let api = cluster.api();
    let delete = |path: &str| api.send("DELETE", path, &[], None).unwrap();
    delete("/v1/jobs/endless").expect(204..=204);
    api.get("/v1/jobs/endless").expect_problem(404, "not_found");
    delete("/v1/jobs/endless").expect_problem(404, "not_found");
    let scripts = || {
        let mut all = cluster.processes();
        all.retain(|process| process.words[0] == "bash");
        all
    };
    wait_until("the tasks are dead", || scripts().is_empty());
    wait_until("their room is free", || {
        cluster.api().get("/v1/agents").body["items"][0]["tasks"] == 0
    });
    assert_eq!(cluster.witness().count("endless", "asked"), 3);
    // Another job of that name has nothing to do with it.
    cluster.put_job(&script("endless", 1, "true"));
    let view = cluster.wait_for_run(&cluster.trigger("endless"));
    assert_eq!(view.state, RunState::Succeeded);
    // With the app go its jobs, and its executors.
    delete("/v1/apps/scripts").expect(204..=204);
    cluster.api().get("/v1/jobs/endless").expect_problem(404, "not_found");
    wait_until("its executors are gone", || cluster.executors().is_empty());
    wait_until("its supervisors are gone", || {
        !cluster.processes().iter().any(crate::cluster::Process::is_supervisor)
    });
}
