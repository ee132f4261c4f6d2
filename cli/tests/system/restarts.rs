//! Crashes of the scheduler and of agents in the middle of a run: no shard is lost, and none is
//! run twice.

use muster_api::views::{RunState, ShardState};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, WAITS, script, wait_until};

const SHARDS: u32 = 100;

/// A cluster with a hundred shards of one to three seconds, of which some are over, some go on
/// and some have not started; and the id of their run.
fn in_the_middle_of_a_run() -> (Cluster, String) {
    let cluster = Cluster::with_agents(2, "cpus:2;mem:4096");
    cluster.put_app("scripts", &json!({}));
    let text = format!("{PRELUDE} sleep $((1 + MUSTER_SHARD_ITEM % 3)); note end");
    cluster.put_job(&script("hundred", SHARDS, &text));
    let run = cluster.trigger("hundred");
    let witness = cluster.witness();
    wait_until("some shards are over", || witness.count("hundred", "end") >= 10);
    assert!(witness.count("hundred", "start") < SHARDS as usize, "all shards have started already");
    (cluster, run)
}

fn every_shard_ran_once(cluster: &Cluster, run: &str) {
    let view = cluster.wait_for_run(run);
    assert_eq!(view.state, RunState::Succeeded, "{view:?}");
    assert_eq!(view.counts.succeeded, SHARDS);
    cluster.witness().each_ran_once("hundred", SHARDS);
    let shards = view.shards.unwrap();
    assert!(shards.iter().all(|shard| shard.attempt == 1), "{shards:?}");
}

#[test]
fn a_crash_of_the_scheduler_disturbs_no_shard() {
    let (mut cluster, run) = in_the_middle_of_a_run();
    cluster.crash_scheduler();
    every_shard_ran_once(&cluster, &run);
}

#[test]
fn when_a_shard_began_is_known_after_a_crash_of_the_scheduler() {
    let mut cluster = Cluster::with_agents(1, "cpus:2;mem:4096");
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("waits", 2, &format!("{PRELUDE}{WAITS}")));
    let run = cluster.trigger("waits");
    let starts = |cluster: &Cluster| {
        let shards = cluster.run(&run).shards.unwrap();
        let running = shards.iter().filter(|shard| shard.state == ShardState::Running);
        running.map(|shard| shard.started_at).collect::<Vec<_>>()
    };
    wait_until("both shards run", || starts(&cluster).len() == 2);
    let before = starts(&cluster);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    cluster.crash_scheduler();
    // If the crash came before the log had it, the agent has to say it once more.
    wait_until("it is known since when both run", || starts(&cluster) == before);
    cluster.witness().let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.shards.unwrap().iter().map(|s| s.started_at).collect::<Vec<_>>(), before);
}

#[test]
fn a_crash_of_an_agent_disturbs_no_shard() {
    let (mut cluster, run) = in_the_middle_of_a_run();
    let before = executor_pids(&cluster);
    cluster.agent("a1").end(Signal::KILL);
    cluster.agent("a1").start();
    every_shard_ran_once(&cluster, &run);
    assert_eq!(executor_pids(&cluster), before, "executors were replaced");
}

#[test]
fn a_crash_of_everything_but_the_executors_disturbs_no_shard() {
    let (mut cluster, run) = in_the_middle_of_a_run();
    let before = executor_pids(&cluster);
    cluster.scheduler().end(Signal::KILL);
    cluster.agent("a1").end(Signal::KILL);
    cluster.agent("a2").end(Signal::KILL);
    // Shards end while nobody is there to hear of it.
    let ended = cluster.witness().count("hundred", "end");
    wait_until("more shards are over", || cluster.witness().count("hundred", "end") > ended + 10);
    for agent in ["a2", "a1"] {
        cluster.agent(agent).start();
    }
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    every_shard_ran_once(&cluster, &run);
    assert_eq!(executor_pids(&cluster), before, "executors were replaced");
}

/// The agents crash too, again and again, while shards start and end.
#[test]
fn crash_after_crash_disturbs_no_shard() {
    let (mut cluster, run) = in_the_middle_of_a_run();
    for round in 0..6 {
        let ended = cluster.witness().count("hundred", "end");
        match round % 3 {
            0 => cluster.agent("a1").end(Signal::KILL),
            1 => cluster.scheduler().end(Signal::KILL),
            _ => cluster.agent("a2").end(Signal::KILL),
        };
        match round % 3 {
            0 => cluster.agent("a1").start(),
            1 => cluster.scheduler().start(),
            _ => cluster.agent("a2").start(),
        }
        let all = SHARDS as usize;
        wait_until("more shards are over", || {
            let now = cluster.witness().count("hundred", "end");
            now >= ended + 3 || now == all
        });
    }
    cluster.scheduler().wait_until_ready();
    every_shard_ran_once(&cluster, &run);
}

fn executor_pids(cluster: &Cluster) -> Vec<i32> {
    let mut pids: Vec<_> = cluster.executors().iter().map(|(_, executor)| executor.pid).collect();
    pids.sort_unstable();
    pids
}
