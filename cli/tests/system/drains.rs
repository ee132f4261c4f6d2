//! Hosts that are drained under load, and used again.

use std::{collections::BTreeSet, thread};

use muster_api::{
    Timestamp,
    views::{AgentState, AgentView, RunState, RunView, ShardState},
};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LOCK, PRELUDE, WAITS, script, wait_for, wait_until, with};

const ROOM: &str = "cpus:3;mem:4096";

fn agent(cluster: &Cluster, host: &str) -> AgentView {
    let listed = cluster.api().get("/v1/agents").expect(200..=200).body;
    let agents: Vec<AgentView> = serde_json::from_value(listed["items"].clone()).unwrap();
    let id = agents.into_iter().find(|agent| agent.hostname == host).unwrap().id;
    let answer = cluster.api().get(&format!("/v1/agents/{id}")).expect(200..=200);
    serde_json::from_value(answer.body).unwrap()
}

/// What `muster` prints where it succeeds.
fn says(cluster: &Cluster, arguments: &[&str]) -> String {
    let said = cluster.muster(arguments);
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(said.stdout).unwrap()
}

/// The live run of a daemon job.
fn daemon_run(cluster: &Cluster, job: &str) -> RunView {
    let runs = cluster.api().get(&format!("/v1/runs?job={job}")).expect(200..=200).body;
    let rows = runs["items"].as_array().unwrap();
    let live = rows.iter().find(|run| run["ended_at"].is_null()).unwrap();
    cluster.run(live["id"].as_str().unwrap())
}

/// The hosts that the shards of a run are on, or were last.
fn hosts(run: &RunView) -> BTreeSet<String> {
    let shards = run.shards.as_ref().unwrap().iter();
    shards.filter_map(|shard| shard.hostname.clone()).collect()
}

/// The shards of a run whose code began on a host after an instant.
fn begun_on(run: &RunView, host: &str, after: Timestamp) -> usize {
    let shards = run.shards.as_ref().unwrap().iter();
    let there = shards.filter(|shard| shard.hostname.as_deref() == Some(host));
    there.filter(|shard| shard.started_at.is_some_and(|at| at > after)).count()
}

fn spread(job: Value, more: &Value) -> Value {
    with(with(job, &json!({"spread": "host", "kill_grace": "2s"})), more)
}

#[test]
fn a_drained_host_gives_up_its_work_while_the_scheduler_is_killed() {
    let mut cluster = Cluster::with_agents(3, ROOM);
    cluster.put_app("scripts", &json!({"idle_timeout": "10m"}));
    let text = |rest: &str| format!("{PRELUDE}{LOCK}{rest}");
    cluster.put_job(&spread(script("long", 6, &text(WAITS)), &json!({})));
    let once = json!({"failover": {"enabled": false}});
    cluster.put_job(&spread(script("once", 3, &text(WAITS)), &once));
    cluster.put_job(&spread(script("short", 120, &text("sleep 0.3; note end")), &json!({})));
    let ticks = json!({"execution": "daemon", "schedule": {"every": "1s"}});
    cluster.put_job(&spread(script("ticks", 3, &text("note tick")), &ticks));

    let witness = cluster.witness();
    let (long, once) = (cluster.trigger("long"), cluster.trigger("once"));
    let short = cluster.trigger("short");
    wait_until("all of them run", || {
        let began = |job| witness.count(job, "start");
        let ticked: BTreeSet<_> = witness.acts("ticks").iter().map(|act| act.item).collect();
        (began("long"), began("once"), ticked.len()) == (6, 3, 3) && began("short") >= 10
    });
    let moved = cluster.run(&long).shards.unwrap();
    let moved = moved.iter().filter(|shard| shard.hostname.as_deref() == Some("a1")).count();
    assert_eq!(moved, 2, "two of six are on each host");

    let said = says(&cluster, &["agents", "drain", "a1", "--deadline", "5s"]);
    assert!(said.contains("on a1 is being drained"), "{said}");
    assert!(said.contains("once (run ") && said.contains("no failover"), "{said}");
    let drain = agent(&cluster, "a1").drain.unwrap();
    cluster.crash_scheduler();
    assert_eq!(agent(&cluster, "a1").drain, Some(drain), "it is stored");

    wait_until("the long ones are moved", || witness.count("long", "start") == 6 + moved);
    wait_until("and the resident one", || !hosts(&daemon_run(&cluster, "ticks")).contains("a1"));
    let view = cluster.wait_for_run(&short);
    assert_eq!(view.state, RunState::Succeeded);
    witness.each_ran_once("short", 120);
    assert_eq!(begun_on(&view, "a1", drain.since + std::time::Duration::from_secs(2)), 0);
    assert!(!hosts(&cluster.run(&long)).contains("a1"));

    // What has no failover is left alone; whoever waits for the host is told so.
    let left = wait_for("nothing else is left", || {
        let agent = agent(&cluster, "a1");
        (agent.tasks == 1 && agent.state == AgentState::Draining).then_some(agent)
    });
    assert_eq!((left.left.len(), left.left[0].job.as_str()), (1, "once"), "{left:?}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let words = ["agents", "drain", "a1", "--deadline", "5s", "--wait"];
            says(&cluster, &words)
        });
        assert_eq!(witness.count("once", "start"), 3);
        witness.let_go();
        let said = waiting.join().unwrap();
        assert!(said.contains("on a1 is drained: nothing runs there"), "{said}");
    });
    assert_eq!(cluster.executors_on("a1").len(), 0);
    for (run, job) in [(&long, "long"), (&once, "once")] {
        assert_eq!(cluster.wait_for_run(run).state, RunState::Succeeded, "{job}");
        witness.nothing_ran_twice_at_one_time(job);
    }
    witness.each_ran_once("once", 3);
    let ended = witness.lives("long").iter().filter(|life| life.ended).count();
    assert_eq!(ended, 6, "each shard came to its end once");
    let attempts = cluster.run(&long).shards.unwrap();
    assert!(attempts.iter().all(|shard| shard.state == ShardState::Succeeded));

    // Nothing starts there until it is activated.
    let run = cluster.wait_for_run(&cluster.trigger("short"));
    assert!(!hosts(&run).contains("a1"), "{:?}", hosts(&run));
    let said = says(&cluster, &["agents", "activate", "a1"]);
    assert!(said.contains("on a1 takes tasks"), "{said}");
    assert_eq!(agent(&cluster, "a1").state, AgentState::Active);
    let run = cluster.wait_for_run(&cluster.trigger("short"));
    assert!(hosts(&run).contains("a1"), "{:?}", hosts(&run));
    cluster.api().post("/v1/jobs/ticks/disable", None).expect(200..=200);
    witness.nothing_ran_twice_at_one_time("ticks");
}

/// A drain is a matter of the host's record: it outlives its agent, its host and its work.
#[test]
fn a_drain_outlives_the_agent_and_nonsense_is_refused() {
    let mut cluster = Cluster::with_agents(1, ROOM);
    let id = agent(&cluster, "a1").id;
    let path = |order: &str| format!("/v1/agents/{id}/{order}");
    let api = cluster.api();
    for (body, code) in [
        (json!({"deadline": "8d"}), "invalid_document"),
        (json!({"deadline": "soon"}), "invalid_document"),
        (json!({"until": "5m"}), "invalid_document"),
        (json!([]), "invalid_document"),
    ] {
        let problem = api.post(&path("drain"), Some(&body)).expect_problem(422, code);
        assert!(problem.body["detail"].is_string(), "{:?}", problem.body);
    }
    api.post("/v1/agents/nobody/drain", None).expect_problem(404, "not_found");
    api.post("/v1/agents/nobody/activate", None).expect_problem(404, "not_found");
    assert_eq!(agent(&cluster, "a1").state, AgentState::Active);

    let drained = api.post(&path("drain"), None).expect(200..=200).body;
    assert_eq!(
        (&drained["state"], &drained["drain"]["deadline"]),
        (&json!("drained"), &Value::Null)
    );
    cluster.agent("a1").end(rustix::process::Signal::KILL);
    wait_until("it is missed", || agent(&cluster, "a1").state == AgentState::Unreachable);
    let again = api.post(&path("drain"), Some(&json!({"deadline": "1h"}))).expect(200..=200).body;
    assert_eq!(again["state"], "unreachable", "it may be drained all the same");
    cluster.agent("a1").set_flag("--resources", "cpus:8;mem:1024");
    cluster.agent("a1").start();
    wait_until("it is back", || agent(&cluster, "a1").state == AgentState::Drained);
    assert_eq!(agent(&cluster, "a1").resources.to_string(), "cpus:8;mem:1024");

    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("j", 1, &format!("{PRELUDE} note end")));
    let run = cluster.trigger("j");
    let queue = wait_for("it waits", || {
        let queue = api.get("/v1/queue").expect(200..=200).body;
        queue["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!(queue["reason"], "no_agents");
    assert_eq!(queue["detail"], "no host takes tasks: a1 is being drained");
    let said = says(&cluster, &["agents"]);
    assert!(said.contains("drained  since 20"), "{said}");
    says(&cluster, &["agents", "activate", "a1"]);
    assert_eq!(cluster.wait_for_run(&run).state, RunState::Succeeded);
    cluster.witness().each_ran_once("j", 1);
}
