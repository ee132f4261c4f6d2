//! Daemon jobs: resident tasks that follow their schedule by themselves, whatever becomes of the
//! scheduler.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{Mono, Timestamp, clock, views::RunState};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{
    Cluster, LOCK, PRELUDE, Witness, script, wait_for, wait_for_a_while, wait_until, with,
};

const ROOM: &str = "cpus:2;mem:2048";

/// An execution says which planned instants it stands for.
const EXECUTES: &str = r#"
until=
[[ $MUSTER_CONTEXT =~ \"planned_until\":\"([^\"]+)\" ]] && until=${BASH_REMATCH[1]}
note planned "$MUSTER_PLANNED_TIME $until"
"#;

/// For how long the long test goes on: `scripts/soak` says more.
fn soak() -> Duration {
    let given = std::env::var("MUSTER_SOAK_SECONDS").ok();
    Duration::from_secs(given.map_or(30, |text| text.parse().expect("a number of seconds")))
}

/// A daemon job that fires each second, with a shard on each of so many hosts.
fn ticks(shards: u32, more: &Value) -> Value {
    let daemon = json!({
        "execution": "daemon", "schedule": {"every": "1s"}, "spread": "host",
        "failover": {"backoff": "100ms..1s"}, "kill_grace": "1s",
    });
    with(with(script("ticks", shards, &format!("{PRELUDE}{LOCK}{EXECUTES}")), &daemon), more)
}

/// The planned instants that executions of one task stand for, by task and in their order.
fn instants(witness: &Witness, item: u32) -> BTreeMap<String, Vec<i64>> {
    let mut by_task: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let acts = witness.acts("ticks");
    for act in acts.iter().filter(|act| act.item == item && act.word == "planned") {
        let mut ends = act.more.split(' ').map(|at| at.parse::<Timestamp>().unwrap().as_millis());
        let (first, last) = (ends.next().unwrap(), ends.next().unwrap());
        let all = (first..=last).step_by(1_000);
        by_task.entry(act.task.clone()).or_default().extend(all);
    }
    by_task
}

/// The live run of the job.
fn daemon_run(cluster: &Cluster) -> Option<String> {
    let runs = cluster.api().get("/v1/runs?job=ticks&limit=100").expect(200..=200).body;
    let live = |run: &&Value| run["ended_at"].is_null();
    let run = runs["items"].as_array()?.iter().find(live)?;
    assert_eq!(run["cause"], "daemon");
    run["id"].as_str().map(str::to_owned)
}

/// Waits until so much time has passed, however long that is.
fn wait_since(begun: Mono, span: Duration) {
    let left = || span.saturating_sub(clock::mono().since(begun));
    while !left().is_zero() {
        wait_for_a_while(left().min(Duration::from_secs(10)));
    }
}

fn wait_for_ticks(witness: &Witness, item: u32, count: usize) {
    wait_until(&format!("{count} executions of shard {item}"), || {
        instants(witness, item).values().map(Vec::len).sum::<usize>() >= count
    });
}

#[test]
fn no_execution_is_missed_or_doubled_while_the_scheduler_comes_and_goes() {
    let mut cluster = Cluster::with_agents(2, ROOM);
    cluster.put_app("scripts", &json!({"lease": "2m"}));
    cluster.put_job(&ticks(2, &json!({})));
    let witness = cluster.witness();
    (0..2).for_each(|item| wait_for_ticks(&witness, item, 2));
    let run = daemon_run(&cluster).expect("it is enabled");

    // Three restarts, each after a quarter of the time, the scheduler being away for a while.
    let begun = clock::mono();
    let quarter = soak() / 4;
    let shards = u32::try_from(cluster.executors().len()).unwrap();
    assert_eq!(shards, 2, "one on each host");
    for restart in 1..=3u32 {
        wait_since(begun, quarter * restart);
        cluster.scheduler().end(Signal::KILL);
        wait_for_a_while(Duration::from_secs(2));
        cluster.scheduler().start();
        cluster.scheduler().wait_until_ready();
    }
    wait_since(begun, soak());
    assert_eq!(daemon_run(&cluster), Some(run.clone()), "it is the same run all the time");

    cluster.api().post("/v1/jobs/ticks/disable", None).expect(200..=200);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.reason.as_deref()), (RunState::Cancelled, Some("disabled")));
    assert_eq!(witness.count("ticks", "overlap"), 0);
    let mut planned = 0;
    for item in 0..2 {
        let by_task = instants(&witness, item);
        assert_eq!(by_task.len(), 1, "one task all the time: {by_task:?}");
        let all: Vec<i64> = by_task.into_values().flatten().collect();
        let gaps: Vec<_> = all.windows(2).filter(|two| two[1] - two[0] != 1_000).collect();
        assert!(gaps.is_empty(), "shard {item} missed or doubled instants: {gaps:?}");
        let span = i64::try_from(soak().as_millis()).unwrap();
        assert!(all.last().unwrap() - all[0] >= span - 2_000, "{} instants", all.len());
        planned += all.len();
    }
    eprintln!("{planned} executions in {:?}, none missed, none doubled", soak());
}

#[test]
fn every_execution_is_reported_though_the_scheduler_was_away() {
    let mut cluster = Cluster::with_agents(1, ROOM);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&ticks(1, &json!({})));
    let witness = cluster.witness();
    wait_for_ticks(&witness, 0, 2);
    cluster.scheduler().end(Signal::KILL);
    let count = witness.count("ticks", "planned");
    wait_until("executions while the scheduler is away", || {
        witness.count("ticks", "planned") >= count + 3
    });
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    let done = witness.count("ticks", "planned");
    wait_until("all of them are told", || {
        let path = "/v1/events?kind=execution&job=ticks&state=succeeded&limit=1000";
        let events = cluster.api().get(path).expect(200..=200).body;
        let mut told: Vec<_> = events["items"].as_array().unwrap().clone();
        let total = told.len();
        told.dedup_by(|one, other| one["planned_at"] == other["planned_at"]);
        // What was on its way when the scheduler was killed may be told once more, and no more than that.
        assert!(total - told.len() <= 3, "{} of {total} are told twice", total - told.len());
        told.len() >= done
    });
}

#[test]
fn a_resident_task_that_dies_is_replaced_alone() {
    let cluster = Cluster::with_agents(2, ROOM);
    cluster.put_app("scripts", &json!({"lease": "15s"}));
    cluster.put_job(&ticks(2, &json!({})));
    let witness = cluster.witness();
    (0..2).for_each(|item| wait_for_ticks(&witness, item, 1));

    // Whoever kills its executor, the other shard goes on undisturbed.
    let (_, executor) = cluster.executors_on("a1").remove(0);
    executor.signal(Signal::KILL);
    let run = daemon_run(&cluster).expect("it is enabled");
    let shards = wait_for("both run, one of them anew", || {
        let view = cluster.run(&run);
        let shards = view.shards.unwrap();
        (view.counts.running == 2 && shards.iter().any(|shard| shard.attempt == 2))
            .then_some(shards)
    });
    let attempts: Vec<_> = shards.iter().map(|shard| shard.attempt).collect();
    assert_eq!(attempts.iter().sum::<u32>(), 3, "{attempts:?}");
    let died = u32::from(attempts[1] == 2);
    wait_until("the new task executes", || instants(&witness, died).len() == 2);
    assert_eq!(instants(&witness, 1 - died).len(), 1, "the other one stays");

    // One task is ended by request: it is replaced as well, and no run ends.
    let said = cluster.muster(&["kill", &run, &(1 - died).to_string()]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    wait_until("its replacement executes", || instants(&witness, 1 - died).len() == 2);
    assert_eq!(daemon_run(&cluster), Some(run));
    assert_eq!(witness.count("ticks", "overlap"), 0);
}

#[test]
fn a_change_replaces_one_shard_at_a_time_and_disabling_ends_all() {
    let mut cluster = Cluster::with_agents(2, ROOM);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&ticks(3, &json!({})));
    let witness = cluster.witness();
    (0..3).for_each(|item| wait_for_ticks(&witness, item, 1));
    let run = daemon_run(&cluster).expect("it is enabled");

    // What no task feels replaces none; what they feel replaces all, and never two at a time.
    cluster.put_job(&ticks(3, &json!({"priority": 80})));
    cluster.put_job(&ticks(3, &json!({"priority": 80, "parameter": "new"})));
    cluster.crash_scheduler();
    let mut least = 3;
    wait_until("all are of the new document", || {
        let view = cluster.run(&run);
        let shards = view.shards.unwrap();
        // A scheduler that has just started knows of no phase yet.
        let up = shards.iter().filter(|shard| shard.attempt > 0 && shard.task.is_some()).count();
        least = least.min(up);
        view.counts.running == 3 && shards.iter().all(|shard| shard.attempt == 2)
    });
    assert!(least >= 2, "at one time only {least} of 3 had a task");
    (0..3).for_each(|item| {
        wait_until("the new task executes", || instants(&witness, item).len() == 2);
    });

    let refused = cluster.api().post("/v1/jobs/ticks/trigger", None).expect(409..=409).body;
    assert_eq!(refused["code"], "conflict", "{refused}");
    let refused = cluster.api().post(&format!("/v1/runs/{run}/cancel"), None).expect(409..=409);
    assert!(refused.body["detail"].as_str().unwrap().contains("disable"), "{}", refused.body);

    cluster.api().post("/v1/apps/scripts/disable", None).expect(200..=200);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.reason.as_deref()), (RunState::Cancelled, Some("disabled")));
    assert_eq!(daemon_run(&cluster), None);
    cluster.api().post("/v1/apps/scripts/enable", None).expect(200..=200);
    let again = wait_for("a run of its own", || daemon_run(&cluster));
    assert_ne!(again, run);
    wait_until("all execute once more", || (0..3).all(|item| instants(&witness, item).len() == 3));
    assert_eq!(witness.count("ticks", "overlap"), 0);
}
