//! Shards that take others along: a handler that does not end when it has to, and a shard that kills
//! its executor.

use std::{collections::BTreeSet, env};

use muster_api::views::{RunState, ShardState};
use muster_job::{Context, JobError, Jobs};
use serde_json::json;

use crate::cluster::{Cluster, LOCK, PRELUDE, WAITS, job, script, wait_until, with};

/// Is the executor when an agent starts it, and nothing in an ordinary test run.
#[test]
fn as_executor() {
    if env::var_os("MESOS_AGENT_ENDPOINT").is_none() {
        return;
    }
    let jobs = Jobs::new().register_blocking("deaf", |_: Context| -> Result<(), JobError> {
        loop {
            std::thread::park();
        }
    });
    muster_executor::main(jobs).unwrap();
}

#[test]
fn a_handler_that_does_not_end_costs_its_executor_and_its_neighbours_nothing() {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:1024");
    let program = env::current_exe().unwrap();
    let command = format!("exec '{}' stuck::as_executor --exact --nocapture", program.display());
    cluster.put_app("scripts", &json!({"command": command}));
    // One death would be one too many.
    let once = json!({"failover": {"max_attempts": 0}});
    let waits = format!("{PRELUDE} {LOCK} {WAITS}");
    cluster.put_job(&with(script("steady", 2, &waits), &once));
    cluster.put_job(&script("after", 1, &format!("{PRELUDE} note end")));
    let deaf = json!({"handler": "deaf", "timeout": "1s", "kill_grace": "500ms"});
    cluster.put_job(&with(job("deaf", "scripts", "simple", 1), &deaf));

    let witness = cluster.witness();
    let steady = cluster.trigger("steady");
    wait_until("the neighbours run", || witness.count("steady", "start") == 2);
    let executor = |run: &str, item: usize| cluster.run(run).shards.unwrap()[item].executor;
    let shared = executor(&steady, 0);
    let deaf = cluster.trigger("deaf");
    wait_until("it is known not to end", || {
        cluster.run(&deaf).shards.unwrap()[0].state == ShardState::Killing
    });
    assert_eq!(executor(&deaf, 0), shared);

    // Nothing more is launched there, and it is not tried either; the neighbours go on.
    let after = cluster.trigger("after");
    let view = cluster.wait_for_run(&after);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    let shard = &view.shards.unwrap()[0];
    assert_eq!(shard.attempt, 1);
    assert_ne!(shard.executor, shared);
    assert_eq!(witness.count("steady", "start"), 2);
    assert_eq!(cluster.run(&steady).counts.running, 2);

    let view = cluster.wait_for_run(&deaf);
    assert_eq!(view.state, RunState::TimedOut, "{view:#?}");
    wait_until("the neighbours start again", || witness.count("steady", "start") == 4);
    witness.let_go();
    let view = cluster.wait_for_run(&steady);
    assert_eq!((view.state, view.counts.succeeded), (RunState::Succeeded, 2), "{view:#?}");
    let acts = witness.acts("steady");
    let at = |attempt: u32| acts.iter().filter(move |act| act.attempt == attempt).map(|act| act.at);
    let first = at(1).fold(f64::MAX, f64::min);
    assert!(at(2).all(|at| at > first + 30.0), "they had 30 s: {acts:?}");
    assert_eq!(witness.count("steady", "overlap"), 0);
}

#[test]
fn a_shard_that_kills_its_executor_does_so_alone_from_then_on() {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:1024");
    cluster.put_app("scripts", &json!({}));
    let text = format!(
        "{PRELUDE} {LOCK}
        if [ \"$MUSTER_SHARD_ITEM\" = 0 ]; then
            until [ -s \"$WITNESS/poison.1\" ] && [ -s \"$WITNESS/poison.2\" ]; do sleep 0.1; done
            kill -9 $PPID
            exec sleep 300
        fi
        [ \"$MUSTER_ATTEMPT\" = 1 ] && exec sleep 300
        note end"
    );
    let more = json!({"failover": {"max_attempts": 1, "backoff": "100ms..100ms"}});
    cluster.put_job(&with(script("poison", 3, &text), &more));
    let view = cluster.wait_for_run(&cluster.trigger("poison"));
    assert_eq!(view.state, RunState::Failed, "{view:#?}");
    let shards = view.shards.clone().unwrap();
    let states: Vec<_> = shards.iter().map(|shard| (shard.state, shard.attempt)).collect();
    let well = (ShardState::Succeeded, 2);
    assert_eq!(states, [(ShardState::Failed, 2), well, well], "{view:#?}");
    let executors: BTreeSet<_> = shards.iter().map(|shard| shard.executor).collect();
    assert_eq!(executors.len(), 3, "each had its own: {view:#?}");
    assert_eq!(cluster.witness().count("poison", "overlap"), 0);
}
