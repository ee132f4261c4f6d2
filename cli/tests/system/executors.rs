//! The lives of executors: they end when idle, and another revision of their app has its own.

use muster_api::views::RunState;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, WAITS, script, wait_until, with};

fn tasks(cluster: &Cluster) -> u64 {
    let agents = cluster.api().get("/v1/agents").body;
    let items = agents["items"].as_array().unwrap();
    items.iter().map(|agent| agent["tasks"].as_u64().unwrap()).sum()
}

/// Runs that come just when their executor is stopped as idle are none the worse for it.
#[test]
fn an_idle_executor_ends_and_the_next_run_does_not_mind() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({"idle_timeout": "200ms"}));
    let once = json!({"failover": {"enabled": false}});
    cluster.put_job(&with(script("brief", 2, &format!("{PRELUDE} note end")), &once));
    for round in 0..12u64 {
        let view = cluster.wait_for_run(&cluster.trigger("brief"));
        assert_eq!(view.state, RunState::Succeeded, "round {round}: {view:#?}");
        // From well before to well after the instant at which it is stopped.
        let since = muster_api::clock::mono();
        let pause = std::time::Duration::from_millis(140 + 10 * round);
        wait_until("a while has passed", || muster_api::clock::mono().since(since) >= pause);
    }
    wait_until("the executor is gone", || cluster.executors().is_empty());
    wait_until("its resources are free", || {
        let agent = &cluster.api().get("/v1/agents").body["items"][0];
        agent["executors"] == 0 && agent["used"]["cpus"] != json!(0.1)
    });
    let witness = cluster.witness();
    assert_eq!((witness.count("brief", "start"), witness.count("brief", "end")), (24, 24));
}

#[test]
fn a_changed_app_gets_new_executors_and_running_shards_keep_theirs() {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:1024");
    let wait = format!("{PRELUDE}{WAITS} \"$COLOUR\"");
    cluster.put_app("scripts", &json!({}));
    let put_colour = |colour: &str| {
        let env = json!({"WITNESS": cluster.witness().folder(), "COLOUR": colour});
        cluster.put_app("scripts", &json!({"env": env}));
    };
    put_colour("red");
    cluster.put_job(&script("first", 2, &wait));
    cluster.put_job(&script("second", 2, &wait));
    let witness = cluster.witness();
    let first = cluster.trigger("first");
    wait_until("the first run runs", || witness.count("first", "start") == 2);
    put_colour("blue");
    let second = cluster.trigger("second");
    wait_until("the second run runs", || witness.count("second", "start") == 2);
    assert_eq!(cluster.executors().len(), 2);
    witness.let_go();
    for (job, run, colour) in [("first", first, "red"), ("second", second, "blue")] {
        assert_eq!(cluster.wait_for_run(&run).state, RunState::Succeeded);
        let acts = witness.acts(job);
        assert!(acts.iter().all(|act| act.word == "start" || act.more == colour), "{acts:?}");
        witness.each_ran_once(job, 2);
    }
}

/// A host that dies for good: its shards go elsewhere once its lease is over, and when its agent
/// comes back after all it has nothing left to say about them.
#[test]
fn a_host_that_comes_back_late_has_no_say() {
    let mut cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({"lease": "15s"}));
    let text = format!("{PRELUDE} [ \"$MUSTER_ATTEMPT\" = 2 ] || exec sleep 300; note end");
    cluster.put_job(&script("moves", 3, &text));
    let run = cluster.trigger("moves");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("moves", "start") == 3);
    cluster.add_agent("a2", "cpus:1;mem:1024");
    cluster.wait_for_agents(2);
    cluster.agent("a1").end(Signal::KILL);
    let started = witness.acts("moves").iter().map(|act| act.at).fold(0.0, f64::max);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.counts.succeeded), (RunState::Succeeded, 3), "{view:#?}");
    for shard in view.shards.unwrap() {
        assert_eq!((shard.hostname.as_deref(), shard.attempt), (Some("a2"), 2));
    }
    let acts = witness.acts("moves");
    let second = acts.iter().filter(|act| act.attempt == 2).map(|act| act.at);
    assert!(second.fold(f64::MAX, f64::min) > started + 15.0, "before the lease ended: {acts:?}");
    assert!(cluster.executors_on("a1").is_empty());
    cluster.agent("a1").start();
    cluster.wait_for_agents(2);
    wait_until("nothing is left of the old tasks", || tasks(&cluster) == 0);
    assert_eq!(cluster.run(&run).counts.succeeded, 3);
    let acts_after = witness.acts("moves");
    assert_eq!(acts_after, acts);
}

/// The scheduler does not move for a while, and the cluster goes on where it was.
#[test]
fn a_scheduler_that_freezes_disturbs_no_shard() {
    let mut cluster = Cluster::with_agents(1, "cpus:2;mem:1024");
    cluster.put_app("scripts", &json!({"lease": "20s"}));
    cluster.put_job(&script("steady", 8, &format!("{PRELUDE} sleep 8; note end")));
    let run = cluster.trigger("steady");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("steady", "start") == 8);
    cluster.scheduler().signal(Signal::STOP);
    wait_until("all shards are over", || witness.count("steady", "end") == 8);
    cluster.scheduler().signal(Signal::CONT);
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    witness.each_ran_once("steady", 8);
}
