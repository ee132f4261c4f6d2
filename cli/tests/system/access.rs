//! Secure by default.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::cluster::{Api, Cluster, muster, wait_until};

const ROUTES: [(&str, &str); 25] = [
    ("GET", "/v1/apps"),
    ("GET", "/v1/apps/a"),
    ("PUT", "/v1/apps/a"),
    ("DELETE", "/v1/apps/a"),
    ("POST", "/v1/apps/a/enable"),
    ("POST", "/v1/apps/a/disable"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/j"),
    ("PUT", "/v1/jobs/j"),
    ("DELETE", "/v1/jobs/j"),
    ("POST", "/v1/jobs/j/enable"),
    ("POST", "/v1/jobs/j/disable"),
    ("POST", "/v1/jobs/j/trigger"),
    ("GET", "/v1/jobs/j/next"),
    ("GET", "/v1/jobs/j/fires"),
    ("GET", "/v1/runs"),
    ("GET", "/v1/runs/019a0000-0000-7000-8000-000000000000"),
    ("POST", "/v1/runs/019a0000-0000-7000-8000-000000000000/cancel"),
    ("GET", "/v1/runs/019a0000-0000-7000-8000-000000000000/shards"),
    ("GET", "/v1/runs/019a0000-0000-7000-8000-000000000000/shards/0/logs?stream=stdout"),
    ("GET", "/v1/agents"),
    ("GET", "/v1/agents/a"),
    ("GET", "/v1/queue"),
    ("GET", "/v1/no-such-route"),
    ("PATCH", "/v1/apps"),
];

#[test]
fn nothing_is_answered_without_the_token() {
    let mut cluster = Cluster::new();
    let address = cluster.scheduler().flag("--http").to_owned();
    let document = json!({"kind": "app", "name": "a", "resources": {"cpus": 1, "mem": 1}});
    for token in [None, Some(""), Some("x"), Some("Bearer")] {
        let api = Api::new(&address, token);
        for (method, path) in ROUTES {
            let answer = api.send(method, path, &[], Some(document.to_string())).unwrap();
            answer.expect_problem(401, "unauthorized");
        }
        api.get("/healthz").expect(200..=200);
    }
    cluster.api().get("/v1/apps/a").expect_problem(404, "not_found");
    for file in ["admin.token", "join.token"] {
        let file = fs::metadata(cluster.data_dir().join(file)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    let token = fs::read_to_string(cluster.data_dir().join("admin.token")).unwrap();
    assert!(!cluster.scheduler().read_log().contains(token.trim()), "the log tells the token");
}

#[test]
fn a_new_data_folder_is_for_its_owner_only() {
    let mut cluster = Cluster::not_started();
    let data = cluster.data_dir().join("deeper/down");
    cluster.scheduler().move_to(&data);
    cluster.start_scheduler();
    for folder in [&data, data.parent().unwrap(), &data.join("store")] {
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
}

#[test]
fn an_agent_with_a_wrong_join_token_is_refused() {
    let mut cluster = Cluster::new();
    let token_file = cluster.data_dir().join("join.token");
    let token = fs::read_to_string(&token_file).unwrap();
    fs::write(&token_file, "no such token\n").unwrap();
    cluster.add_agent("stranger", "cpus:1;mem:64");
    let agent = cluster.agent("stranger");
    assert!(!agent.wait_for_end().success());
    assert!(agent.last_words().contains("join token"));
    assert!(!agent.read_log().contains(token.trim()));
    assert_eq!(cluster.api().get("/v1/agents").body["items"], json!([]));
}

#[test]
fn a_folder_has_one_process() {
    let mut cluster = Cluster::with_agents(1, "cpus:1;mem:64");
    let second = muster()
        .args(["scheduler", "--http", "127.0.0.1:0", "--master-listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(cluster.data_dir())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.lines().last().unwrap().contains("in use"), "{words}");
    let agent = cluster.agent("a1");
    let work_dir = agent.flag("--work-dir").to_owned();
    let token_file = agent.flag("--join-token-file").to_owned();
    let second = muster()
        .args(["agent", "--work-dir", &work_dir, "--join-token-file", &token_file])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.lines().last().unwrap().contains("in use"), "{words}");
    // The first ones have not noticed, and are still announced.
    assert!(cluster.data_dir().join("ready.json").exists());
    assert!(std::path::Path::new(&work_dir).join("ready.json").exists());
    wait_until("the agent is active", || {
        cluster.api().get("/v1/agents").body["items"][0]["state"] == "active"
    });
}

#[test]
fn nothing_listens_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    for addresses in [["0.0.0.0:0", "127.0.0.1:0"], ["127.0.0.1:0", "[::]:0"]] {
        let refused = muster()
            .args(["scheduler", "--http", addresses[0], "--master-listen", addresses[1]])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(!refused.status.success());
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("--plaintext"), "{words}");
    }
    let token_file = folder.path().join("join.token");
    fs::write(&token_file, "secret").unwrap();
    let refused = muster()
        .args(["agent", "--master", "192.0.2.1:5050", "--join-token-file"])
        .arg(token_file)
        .arg("--work-dir")
        .arg(folder.path().join("agent"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("--plaintext"), "{words}");
}
