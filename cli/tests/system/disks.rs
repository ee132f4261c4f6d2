//! Full disks: a process that cannot write down what it decided stops before anything follows
//! from it, and goes on where it was when there is room again.

use std::{collections::BTreeSet, fs, path::Path};

use muster_api::{events::EventView, views::RunState};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{Cluster, LOCK, PRELUDE, WAITS, script, wait_until, with};

/// Runs of a job, by what the scheduler says.
fn runs(cluster: &Cluster, job: &str) -> Vec<String> {
    let answer = cluster.api().get(&format!("/v1/runs?job={job}&limit=1000")).expect(200..=200);
    let items = answer.body["items"].as_array().unwrap().clone();
    items.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

fn scheduler_on_a_full_disk(store: &str) {
    let mut cluster = Cluster::not_started();
    let data = cluster.data_dir();
    if !cluster.put_on_small_disk(&data, "24m") {
        return;
    }
    cluster.scheduler().add_argument("--store");
    cluster.scheduler().add_argument(store);
    cluster.start_scheduler();
    cluster.add_agent("a1", "cpus:4;mem:4096");
    cluster.wait_for_agents(1);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("brief", 2, &format!("{PRELUDE}{LOCK} note end")));
    cluster.put_job(&script("long", 3, &format!("{PRELUDE}{LOCK}{WAITS}")));
    let long = cluster.trigger("long");
    let witness = cluster.witness();
    wait_until("the long run runs", || witness.count("long", "start") == 3);
    cluster.wait_for_run(&cluster.trigger("brief"));

    cluster.disk(&data).fill();
    let api = cluster.api();
    let mut accepted = Vec::new();
    // An answer that does not come means nothing: what it was about may be stored or not.
    while let Ok(answer) = api.send("POST", "/v1/jobs/brief/trigger", &[], None) {
        if answer.status == 202 {
            accepted.push(answer.body["id"].as_str().unwrap().to_owned());
        }
        assert!(matches!(answer.status, 202 | 429 | 500..), "{}", answer.text);
    }
    let status = cluster.scheduler().wait_for_end();
    let log = cluster.scheduler().read_log();
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("free space") && log.contains(data.to_str().unwrap()), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    // Shards come to their end while nobody can write it down.
    witness.let_go();
    wait_until("the long shards are over", || witness.count("long", "end") == 3);

    cluster.disk(&data).free();
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    assert_eq!(cluster.wait_for_run(&long).state, RunState::Succeeded);
    let all = runs(&cluster, "brief");
    assert!(accepted.iter().all(|run| all.contains(run)), "{accepted:?} {all:?}");
    for run in &all {
        assert_eq!(cluster.wait_for_run(run).state, RunState::Succeeded);
    }
    witness.each_ran_once("long", 3);
    witness.nothing_ran_twice_at_one_time("brief");
    let lives = witness.lives("brief");
    assert!(lives.len() == 2 * all.len() && lives.iter().all(|life| life.ended), "{lives:#?}");
}

#[test]
fn a_scheduler_whose_disk_is_full_stops_and_goes_on_where_it_was() {
    scheduler_on_a_full_disk("sled");
}

#[test]
fn a_scheduler_on_redb_whose_disk_is_full_stops_and_goes_on_where_it_was() {
    scheduler_on_a_full_disk("redb");
}

/// Shards whose reports do not fit into what is left of the journal's last page.
const MANY: u32 = 40;

/// An agent on a small disk with shards that run until they are let go.
fn agent_on_a_small_disk(text: &str) -> Option<(Cluster, String)> {
    let mut cluster = Cluster::new();
    let work_dir = cluster.work_dir("a1");
    if !cluster.put_on_small_disk(&work_dir, "16m") {
        return None;
    }
    cluster.add_agent("a1", "cpus:4;mem:4096");
    cluster.wait_for_agents(1);
    cluster.put_app("scripts", &json!({}));
    let job = script("many", MANY, &format!("{PRELUDE}{LOCK}{text}"));
    let more = json!({
        "resources": {"cpus": 0.01, "mem": 1}, "failover": {"backoff": "100ms..100ms"},
    });
    cluster.put_job(&with(job, &more));
    let run = cluster.trigger("many");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("many", "start") == MANY as usize);
    Some((cluster, run))
}

/// Waits for the agent to stop, checks what it says, and that it says so again when it is started.
fn agent_stops(cluster: &mut Cluster) {
    let agent = cluster.agent("a1");
    for _ in 0..2 {
        let status = agent.wait_for_end();
        let last = agent.last_words();
        assert_eq!(status.code(), Some(2), "{last}");
        assert!(last.contains("No space left"), "{last}");
        agent.start();
    }
    agent.wait_for_end();
}

#[test]
fn an_agent_whose_disk_is_full_stops_and_loses_no_end() {
    let Some((mut cluster, run)) = agent_on_a_small_disk(WAITS) else { return };
    let work_dir = cluster.work_dir("a1");
    cluster.disk(&work_dir).fill();
    let witness = cluster.witness();
    witness.let_go();
    wait_until("all shards are over", || witness.count("many", "end") == MANY as usize);
    agent_stops(&mut cluster);
    assert_eq!(cluster.executors().len(), 1, "its executor lives on");
    assert_eq!(cluster.run(&run).state, RunState::Running);
    cluster.disk(&work_dir).free();
    cluster.agent("a1").start();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.counts.succeeded, MANY, "{view:#?}");
    witness.each_ran_once("many", MANY);
}

/// How the only executor of an agent ended, as its supervisor wrote it down; none if it did not.
fn written_end(work_dir: &Path) -> Option<Value> {
    let mut folders = fs::read_dir(work_dir.join("executors")).unwrap();
    let executor = folders.next().expect("it has one executor").unwrap().path();
    assert!(folders.next().is_none(), "it has one executor");
    Some(serde_json::from_slice(&fs::read(executor.join("exit")).ok()?).unwrap())
}

/// The tasks of a run of which is told that they ended with an executor that was killed.
fn ended_by_signal_9(cluster: &Cluster, run: &str) -> usize {
    let path = format!("/v1/events?run={run}&kind=task&limit=1000");
    let page = cluster.api().get(&path).expect(200..=200).body;
    let events: Vec<EventView> = serde_json::from_value(page["items"].clone()).unwrap();
    let says_so = |view: &&EventView| {
        let message = view.event.message.as_deref();
        message.is_some_and(|words| words.contains("its executor was ended by signal 9"))
    };
    events.iter().filter(says_so).map(|view| view.event.task).collect::<BTreeSet<_>>().len()
}

#[test]
fn an_executor_that_dies_on_a_full_disk_is_known_to_have_died() {
    let text = format!("if [ $MUSTER_ATTEMPT = 2 ]; then note end; else {WAITS}; fi");
    let Some((mut cluster, run)) = agent_on_a_small_disk(&text) else { return };
    let work_dir = cluster.work_dir("a1");
    cluster.disk(&work_dir).fill();
    let (supervisor, executor) = cluster.executors().remove(0);
    executor.signal(Signal::KILL);
    agent_stops(&mut cluster);
    assert!(!executor.is_alive());
    // A page is free again since the agent, at its second start, took back that it is ready. If the
    // supervisor got that page, it has written the end down and is done; if not, it keeps it.
    let is_kept = supervisor.is_alive();
    let killed = json!({"status": 9, "why": "exited"});
    assert!(is_kept || written_end(&work_dir) == Some(killed.clone()), "nobody knows the end");
    assert_eq!(cluster.witness().lives("many").len(), MANY as usize, "nothing began anew");
    cluster.disk(&work_dir).free();
    wait_until("the supervisor is done", || !supervisor.is_alive());
    assert_eq!(written_end(&work_dir), Some(killed));
    cluster.agent("a1").start();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    let witness = cluster.witness();
    witness.nothing_ran_twice_at_one_time("many");
    let ended = witness.lives("many").into_iter().filter(|life| life.ended);
    assert_eq!(ended.count(), MANY as usize);
    assert_eq!(ended_by_signal_9(&cluster, &run), MANY as usize, "it is known of each shard");
}

/// Not even their last words can be written, and all the same they do what they are there for.
#[test]
fn servers_whose_logs_are_full_go_on() {
    let mut cluster = Cluster::not_started();
    cluster.scheduler().log_to("/dev/full");
    cluster.start_scheduler();
    let agent = cluster.new_agent("a1", "cpus:1;mem:1024");
    agent.log_to("/dev/full");
    agent.start();
    cluster.wait_for_agents(1);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("brief", 3, &format!("{PRELUDE} note end")));
    let view = cluster.wait_for_run(&cluster.trigger("brief"));
    assert_eq!(view.state, RunState::Succeeded);
    cluster.witness().each_ran_once("brief", 3);
    cluster.crash_scheduler();
    cluster.wait_for_agents(1);
    let mut second = cluster.second_scheduler();
    second.log_to("/dev/full");
    second.start();
    assert_eq!(second.wait_for_end().code(), Some(2), "the folder is in use");
    for server in ["agent", "scheduler"] {
        let server = if server == "agent" { cluster.agent("a1") } else { cluster.scheduler() };
        assert!(server.end(Signal::TERM).unwrap().success());
    }
}
