//! Clean ends: servers leave executors running, `muster dev` leaves nothing.

use muster_api::views::RunState;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{
    Api, Cluster, Folder, PRELUDE, Process, Server, WAITS, app, processes_under, script,
    wait_until, with,
};

#[test]
fn servers_that_are_told_to_stop_leave_executors_running() {
    let mut cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("stays", 3, &format!("{PRELUDE}{WAITS}")));
    let run = cluster.trigger("stays");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("stays", "start") == 3);
    let before: Vec<_> = cluster.executors().iter().map(|(_, executor)| executor.pid).collect();
    for server in ["agent", "scheduler"] {
        let server = if server == "agent" { cluster.agent("a1") } else { cluster.scheduler() };
        let status = server.end(Signal::TERM).unwrap();
        assert!(status.success(), "{status}: {}", server.read_log());
    }
    assert!(!cluster.data_dir().join("ready.json").exists());
    let after: Vec<_> = cluster.executors().iter().map(|(_, executor)| executor.pid).collect();
    assert_eq!(after, before);
    witness.let_go();
    wait_until("all shards are over", || witness.count("stays", "end") == 3);
    cluster.scheduler().start();
    cluster.agent("a1").start();
    cluster.scheduler().wait_until_ready();
    assert_eq!(cluster.wait_for_run(&run).state, RunState::Succeeded);
    witness.each_ran_once("stays", 3);
}

/// `muster dev` on a folder, with a run of four shards that do not end by themselves.
fn dev_with_a_run(folder: &std::path::Path) -> Server {
    let arguments = [
        "dev",
        "--http",
        "127.0.0.1:0",
        "--master-listen",
        "127.0.0.1:0",
        "--agents",
        "2",
        "--resources",
        "cpus:1;mem:1024",
        "--data-dir",
    ];
    let mut dev = Server::new(&folder.join("data"), &arguments);
    dev.start();
    let api = wait_for_dev(&mut dev, folder);
    api.put("/v1/apps/scripts", &app("scripts", &json!({}))).expect(201..=201);
    let stubborn = "trap '' TERM; setsid sleep 300 & sleep 300; sleep 300";
    let job = with(script("endless", 4, stubborn), &json!({"spread": "host"}));
    api.put("/v1/jobs/endless", &job).expect(201..=201);
    api.post("/v1/jobs/endless/trigger", None).expect(202..=202);
    wait_until("all shards run", || {
        let all = processes_under(folder);
        all.iter().filter(|process| process.words[0] == "sleep").count() == 8
    });
    dev
}

/// Waits until both agents are there.
fn wait_for_dev(dev: &mut Server, folder: &std::path::Path) -> Api {
    let ready = dev.wait_until_ready();
    let token = std::fs::read_to_string(folder.join("data/admin.token")).unwrap();
    let api = Api::new(ready["http"].as_str().unwrap(), Some(token.trim()));
    wait_until("both agents are active", || {
        let agents = api.get("/v1/agents").body;
        let items = agents["items"].as_array().unwrap();
        items.iter().filter(|agent| agent["state"] == "active").count() == 2
    });
    api
}

#[test]
fn dev_ends_all_that_it_started() {
    let folder = Folder::new();
    let mut dev = dev_with_a_run(folder.path());
    let status = dev.end(Signal::TERM).unwrap();
    assert!(status.success(), "{status}: {}", dev.read_log());
    let left = processes_under(folder.path());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn dev_started_again_after_a_kill_takes_over_what_was_left() {
    let folder = Folder::new();
    let mut dev = dev_with_a_run(folder.path());
    dev.end(Signal::KILL);
    let left = processes_under(folder.path());
    assert!(left.iter().any(Process::is_supervisor), "{left:?}");
    dev.start();
    let ready = dev.wait_until_ready();
    let token = std::fs::read_to_string(folder.path().join("data/admin.token")).unwrap();
    let api = Api::new(ready["http"].as_str().unwrap(), Some(token.trim()));
    wait_until("both agents are back with their tasks", || {
        let agents = api.get("/v1/agents").body;
        let items = agents["items"].as_array().unwrap();
        items.len() == 2
            && items.iter().all(|agent| agent["state"] == "active" && agent["tasks"] == 2)
    });
    let runs = api.get("/v1/runs?job=endless").body;
    assert_eq!(runs["items"][0]["counts"]["running"], 4, "{runs}");
    assert!(dev.end(Signal::TERM).unwrap().success());
    let left = processes_under(folder.path());
    assert!(left.is_empty(), "{left:?}");
}
