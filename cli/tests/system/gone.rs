//! Hosts of which an operator says that they will never come back, and one that does.

use muster_api::views::{AgentState, AgentView, RunState};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, LIVES, PRELUDE, WAITS, script, wait_until};

const ROOM: &str = "cpus:2;mem:2048";

fn agents(cluster: &Cluster) -> Vec<AgentView> {
    let answer = cluster.api().get("/v1/agents").expect(200..=200);
    serde_json::from_value(answer.body["items"].clone()).unwrap()
}

fn agent_on(cluster: &Cluster, host: &str, state: AgentState) -> Option<AgentView> {
    agents(cluster).into_iter().find(|agent| agent.hostname == host && agent.state == state)
}

#[test]
fn a_host_that_is_gone_gives_its_work_away_and_comes_back_as_another() {
    let mut cluster = Cluster::with_agents(1, ROOM);
    cluster.put_app("scripts", &json!({"lease": "off"}));
    cluster.put_job(&script("lives", 1, &format!("{PRELUDE}{LIVES}")));
    let run = cluster.trigger("lives");
    let witness = cluster.witness();
    wait_until("the shard runs", || witness.count("lives", "start") == 1);
    let before = agent_on(&cluster, "a1", AgentState::Active).expect("it is there");

    // A host that is there cannot be gone.
    let path = format!("/v1/agents/{}/gone", before.id);
    let refused = cluster.api().post(&path, None).expect(409..=409).body;
    assert_eq!(refused["code"], "conflict", "{refused}");
    let said = cluster.muster(&["agents", "gone", "a1"]);
    assert_eq!(said.status.code(), Some(2));
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(words.contains("is connected and heard; stop it first"), "{words}");
    cluster.api().post("/v1/agents/nobody/gone", None).expect(404..=404);

    cluster.agent("a1").end(Signal::KILL);
    wait_until("the agent is missed", || {
        let lost = agent_on(&cluster, "a1", AgentState::Unreachable);
        lost.is_some_and(|agent| agent.silent_for.is_some() && agent.silent_since.is_some())
    });
    cluster.add_agent("a2", ROOM);
    cluster.wait_for_agents(1);
    assert_eq!(witness.count("lives", "start"), 1, "silence alone starts nothing");

    let said = cluster.muster(&["agents", "gone", "a1"]);
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(words.starts_with(&format!("agent {} on a1 is gone since ", before.id)), "{words}");
    wait_until("the shard runs elsewhere", || witness.count("lives", "start") == 2);
    assert_eq!(cluster.executors_on("a1").len(), 1, "nobody ended what runs there");

    // What was said is stored, and to say it again is no mistake.
    cluster.crash_scheduler();
    cluster.api().post(&path, None).expect(200..=200);
    let audit = cluster.api().get("/v1/events?kind=change&state=gone").expect(200..=200).body;
    let [said] = audit["items"].as_array().unwrap().as_slice() else {
        panic!("it was changed once: {audit}")
    };
    assert_eq!((&said["agent"], &said["hostname"]), (&json!(before.id), &json!("a1")), "{said}");
    assert_eq!(said["actor"], "admin");

    // The operator was wrong: the agent comes back. It ends what it runs, and is another one.
    cluster.agent("a1").start();
    wait_until("its executor is ended", || cluster.executors_on("a1").is_empty());
    wait_until("it is there as another", || {
        agent_on(&cluster, "a1", AgentState::Active).is_some_and(|agent| agent.id != before.id)
    });
    let states: Vec<_> = agents(&cluster).iter().map(|agent| agent.state).collect();
    assert_eq!(states.iter().filter(|state| **state == AgentState::Gone).count(), 1);
    assert_eq!(states.len(), 3);

    witness.let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded);
    let shards = view.shards.unwrap();
    assert_eq!((shards[0].hostname.as_deref(), shards[0].attempt), (Some("a2"), 2));
    let lives = witness.lives("lives");
    assert_eq!(lives.iter().map(|life| life.ended).collect::<Vec<_>>(), [false, true]);
    assert!(lives[0].epoch < lives[1].epoch);
}

#[test]
fn the_truth_is_asked_for_on_request() {
    let cluster = Cluster::with_agents(1, ROOM);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("lives", 2, &format!("{PRELUDE}{WAITS}")));
    let run = cluster.trigger("lives");
    let witness = cluster.witness();
    wait_until("the shards run", || witness.count("lives", "start") == 2);
    let asked = cluster.api().post("/v1/reconcile", None).expect(202..=202).body;
    assert_eq!(asked, json!({"tasks": 2}));
    let said = cluster.muster(&["reconcile"]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "the master is asked about 2 task(s)\n");
    witness.let_go();
    assert_eq!(cluster.wait_for_run(&run).state, RunState::Succeeded);
    witness.each_ran_once("lives", 2);
}
