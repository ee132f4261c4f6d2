//! Outages of the scheduler: within the lease they touch nothing, beyond it they end all work of
//! leased apps, safely.

use std::time::Duration;

use muster_api::views::RunState;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, LOCK, PRELUDE, script, wait_for_a_while, wait_until, with};

/// Long shards that end when they are let go.
const LONG: &str = r#"
until [ -e "$WITNESS/go" ]; do
    note alive
    sleep 0.2
done
note end
"#;

/// Shards that never end by themselves, as those of a service.
const RESIDENT: &str = "while :; do note alive; sleep 0.2; done";

/// Jobs, and how many shards each has.
const JOBS: [(&str, u32); 3] = [("long", 4), ("once", 2), ("resident", 2)];

/// Two agents whose executors have this lease, and the runs of [`JOBS`], all shards running.
fn busy(lease: &str) -> (Cluster, Vec<String>) {
    let cluster = Cluster::with_agents(2, "cpus:2;mem:2048");
    cluster.put_app("scripts", &json!({"lease": lease}));
    let runs = JOBS.map(|(name, shards)| {
        let text = if name == "resident" { RESIDENT } else { LONG };
        let job = script(name, shards, &format!("{PRELUDE}{LOCK}{text}"));
        cluster.put_job(&with(job, &json!({"failover": {"enabled": name != "once"}})));
        cluster.trigger(name)
    });
    all_run(&cluster, 1);
    (cluster, runs.into())
}

/// Waits until shards of each job that may have so many attempts are in that attempt.
fn all_run(cluster: &Cluster, attempt: u32) {
    let witness = cluster.witness();
    for (name, shards) in JOBS.into_iter().filter(|(name, _)| attempt == 1 || *name != "once") {
        wait_until(&format!("attempt {attempt} of all shards of {name}"), || {
            let lives = witness.lives(name);
            let running =
                lives.iter().filter(|life| life.attempt == attempt && life.last > life.began);
            running.count() == shards as usize
        });
    }
}

fn let_go(cluster: &Cluster) {
    std::fs::write(cluster.witness().folder().join("go"), "").unwrap();
}

#[test]
fn a_scheduler_killed_for_less_than_the_lease_touches_nothing() {
    let (mut cluster, runs) = busy("20s");
    let pids = |cluster: &Cluster| -> Vec<_> {
        cluster.processes().into_iter().filter(|p| !p.is_sleep()).map(|p| p.pid).collect()
    };
    cluster.scheduler().end(Signal::KILL);
    let before = pids(&cluster);
    wait_for_a_while(Duration::from_secs(9));
    assert_eq!(pids(&cluster), before);
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    cluster.wait_for_agents(2);
    let_go(&cluster);
    for ((name, shards), run) in JOBS.into_iter().zip(&runs) {
        if name == "resident" {
            cluster.api().post(&format!("/v1/runs/{run}/cancel"), None).expect(200..=202);
        }
        let view = cluster.wait_for_run(run);
        let end = if name == "resident" { RunState::Cancelled } else { RunState::Succeeded };
        assert_eq!(view.state, end, "{view:#?}");
        let lives = cluster.witness().lives(name);
        assert_eq!(lives.len(), shards as usize, "{lives:#?}");
        cluster.witness().nothing_ran_twice_at_one_time(name);
    }
}

/// Ends all work by an outage, and checks what becomes of it.
fn outage_beyond_the_lease(end: fn(&mut Cluster), begin_again: fn(&mut Cluster)) {
    let (mut cluster, runs) = busy("15s");
    end(&mut cluster);
    wait_until("no executor is left", || cluster.executors().is_empty());
    let left = cluster.processes();
    assert!(left.iter().all(|process| process.words[1] != "supervise"), "{left:?}");
    begin_again(&mut cluster);
    all_run(&cluster, 2);
    let_go(&cluster);
    for ((name, shards), run) in JOBS.into_iter().zip(&runs) {
        if name == "resident" {
            cluster.api().post(&format!("/v1/runs/{run}/cancel"), None).expect(200..=202);
        }
        let view = cluster.wait_for_run(run);
        let (end, attempts) = match name {
            "long" => (RunState::Succeeded, 2),
            "once" => (RunState::Failed, 1),
            _ => (RunState::Cancelled, 2),
        };
        assert_eq!(view.state, end, "{view:#?}");
        let lives = cluster.witness().lives(name);
        assert_eq!(lives.len(), (shards * attempts) as usize, "{lives:#?}");
        cluster.witness().nothing_ran_twice_at_one_time(name);
    }
}

#[test]
fn a_scheduler_killed_for_more_than_the_lease_ends_all_and_begins_again() {
    outage_beyond_the_lease(
        |cluster| {
            cluster.scheduler().end(Signal::KILL);
        },
        |cluster| {
            cluster.scheduler().start();
            cluster.scheduler().wait_until_ready();
        },
    );
}

#[test]
fn a_scheduler_frozen_for_more_than_the_lease_ends_all_and_begins_again() {
    outage_beyond_the_lease(
        |cluster| cluster.scheduler().signal(Signal::STOP),
        |cluster| cluster.scheduler().signal(Signal::CONT),
    );
}
