//! Executor hosts that join: work goes to them as room and `spread` say.

use std::collections::BTreeMap;

use muster_api::views::{RunState, RunView};
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, WAITS, script, wait_until, with};

/// Room for four shards of 0.2 each, and their executor.
const SMALL: &str = "cpus:1;mem:1024";

fn shards_by_host(run: &RunView) -> BTreeMap<String, usize> {
    let mut hosts = BTreeMap::new();
    for shard in run.shards.iter().flatten() {
        *hosts.entry(shard.hostname.clone().expect("it has run")).or_default() += 1;
    }
    hosts
}

/// Shards that stay until the file `go` is there, so that none makes room for another.
fn waiting(name: &str, shards: u32) -> serde_json::Value {
    let resources = json!({"resources": {"cpus": 0.2, "mem": 16}});
    with(script(name, shards, &format!("{PRELUDE}{WAITS}")), &resources)
}

#[test]
fn agents_that_join_take_what_the_first_has_no_room_for() {
    let mut cluster = Cluster::with_agents(1, SMALL);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&waiting("wide", 12));
    let run = cluster.trigger("wide");
    let witness = cluster.witness();
    wait_until("the first agent is full", || witness.count("wide", "start") == 4);
    let queue = cluster.api().get("/v1/queue").expect(200..=200).body;
    assert_eq!(queue["items"][0]["pending"], 8, "{queue}");
    assert_eq!(queue["items"][0]["reason"], "no_room", "{queue}");
    cluster.add_agent("a2", SMALL);
    cluster.add_agent("a3", SMALL);
    wait_until("all shards have started", || witness.count("wide", "start") == 12);
    let agents = cluster.api().get("/v1/agents").body;
    for agent in agents["items"].as_array().unwrap() {
        assert_eq!((&agent["tasks"], &agent["executors"]), (&json!(4), &json!(1)), "{agents}");
    }
    cluster.witness().let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded);
    assert_eq!(shards_by_host(&view), [("a1", 4), ("a2", 4), ("a3", 4)].map(own).into());
    witness.each_ran_once("wide", 12);
}

#[test]
fn spread_by_host_is_even() {
    let cluster = Cluster::with_agents(3, "cpus:4;mem:4096");
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&with(waiting("even", 9), &json!({"spread": "host"})));
    // What is close together without it shows that `spread` is what does it.
    cluster.put_job(&waiting("dense", 9));
    let run = cluster.trigger("even");
    cluster.witness().let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(shards_by_host(&view), [("a1", 3), ("a2", 3), ("a3", 3)].map(own).into());
    let view = cluster.wait_for_run(&cluster.trigger("dense"));
    assert_eq!(shards_by_host(&view).len(), 1, "{view:?}");
}

fn own((host, shards): (&str, usize)) -> (String, usize) {
    (host.to_owned(), shards)
}
