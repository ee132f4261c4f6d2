//! Outages of the scheduler, with and without its agents: within the lease they touch nothing,
//! beyond it they end all work of leased apps, safely.

use std::time::Duration;

use muster_api::views::RunState;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{
    Cluster, LIVES, LOCK, Life, PRELUDE, Process, Server, script, uptime, wait_for_a_while,
    wait_until, with,
};

/// Shards that never end by themselves, as those of a service.
const RESIDENT: &str = "while :; do note alive; sleep 0.2; done";

/// Jobs, and how many shards each has. Only `once` has no failover.
const JOBS: [(&str, u32); 3] = [("long", 4), ("once", 2), ("resident", 2)];
const AGENTS: [&str; 2] = ["a1", "a2"];

/// Two agents whose executors have this lease, and the runs of [`JOBS`], all shards running.
fn busy(lease: &str) -> (Cluster, Vec<String>) {
    let cluster = Cluster::with_agents(AGENTS.len(), "cpus:2;mem:2048");
    cluster.put_app("scripts", &json!({"lease": lease}));
    let runs = JOBS.map(|(name, shards)| {
        let text = if name == "resident" { RESIDENT } else { LIVES };
        let job = script(name, shards, &format!("{PRELUDE}{LOCK}{text}"));
        // A death that uses up an attempt is the end of any of them; one by the lease uses up none.
        let failover = json!({"enabled": name != "once", "max_attempts": 0});
        let more = json!({"failover": failover, "spread": "host"});
        cluster.put_job(&with(job, &more));
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

/// Ends the runs, those of a service by cancelling, and checks how they do.
fn end(cluster: &Cluster, runs: &[String], ends: impl Fn(&str) -> RunState) {
    cluster.witness().let_go();
    for ((name, _), run) in JOBS.into_iter().zip(runs) {
        if name == "resident" {
            cluster.api().post(&format!("/v1/runs/{run}/cancel"), None).expect(200..=202);
        }
        let view = cluster.wait_for_run(run);
        assert_eq!(view.state, ends(name), "{view:#?}");
        cluster.witness().nothing_ran_twice_at_one_time(name);
    }
}

#[test]
fn a_scheduler_killed_for_less_than_the_lease_touches_nothing() {
    let (mut cluster, runs) = busy("20s");
    let pids = |cluster: &Cluster| -> Vec<_> {
        cluster.processes().into_iter().filter(|p| !p.is_sleep()).map(|p| p.pid).collect()
    };
    cluster.scheduler().end(Signal::KILL);
    let (killed, before) = (uptime(), pids(&cluster));
    wait_for_a_while(Duration::from_secs(9));
    assert_eq!(pids(&cluster), before);
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    cluster.wait_for_agents(AGENTS.len());
    let back = uptime();
    all_live_after(&cluster, back);
    eprintln!("scheduler killed at {killed:.2}, back with its agents at {back:.2}; lease 20 s");
    for (name, shards) in JOBS {
        tell_silence(&cluster, name);
        assert_eq!(cluster.witness().lives(name).len(), shards as usize);
    }
    end(&cluster, &runs, |name| match name {
        "resident" => RunState::Cancelled,
        _ => RunState::Succeeded,
    });
    for (name, shards) in JOBS {
        let lives = cluster.witness().lives(name);
        assert_eq!(lives.len(), shards as usize, "{lives:#?}");
    }
}

/// Waits until all shards have shown that they live since then.
fn all_live_after(cluster: &Cluster, since: f64) {
    wait_until("all shards show that they live", || {
        let lives = JOBS.iter().flat_map(|(name, _)| cluster.witness().lives(name));
        lives.into_iter().all(|life| life.last > since)
    });
}

/// Says, in lines that can be quoted, for how long each shard was not heard of at most.
fn tell_silence(cluster: &Cluster, job: &str) {
    for life in cluster.witness().lives(job) {
        let acts = cluster.witness().acts(job);
        let times: Vec<_> = acts.iter().filter(|a| a.task == life.task).map(|a| a.at).collect();
        let longest = times.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
        let (item, first, last) = (life.item, life.began, life.last);
        eprintln!("{job:<8} shard {item}: {first:.2} to {last:.2}, longest silence {longest:.2}");
    }
}

/// Who is away for longer than the lease, and how.
struct Outage {
    signal: Signal,
    with_agents: bool,
}

impl Outage {
    fn begin(&self, cluster: &mut Cluster) {
        if self.with_agents {
            for name in AGENTS {
                Self::away(cluster.agent(name), self.signal);
            }
        }
        Self::away(cluster.scheduler(), self.signal);
    }

    fn away(server: &mut Server, signal: Signal) {
        if signal == Signal::KILL {
            server.end(signal);
        } else {
            server.signal(signal);
        }
    }

    fn end(&self, cluster: &mut Cluster) {
        let back = |server: &mut Server| {
            if self.signal == Signal::KILL { server.start() } else { server.signal(Signal::CONT) }
        };
        back(cluster.scheduler());
        if self.with_agents {
            AGENTS.iter().for_each(|name| back(cluster.agent(name)));
        }
        cluster.scheduler().wait_until_ready();
    }
}

/// Ends all work by an outage, and checks what becomes of it.
fn outage_beyond_the_lease(outage: &Outage) {
    let (mut cluster, runs) = busy("15s");
    outage.begin(&mut cluster);
    let began = uptime();
    wait_until("no executor and no supervisor is left", || {
        !cluster.processes().iter().any(Process::is_supervisor) && cluster.executors().is_empty()
    });
    let over = uptime();
    outage.end(&mut cluster);
    all_run(&cluster, 2);
    eprintln!("outage from {began:.2} to {over:.2}; lease 15 s");
    for (name, _) in JOBS {
        tell_moves(&cluster, name, began);
    }
    end(&cluster, &runs, |name| match name {
        "long" => RunState::Succeeded,
        "once" => RunState::Failed,
        _ => RunState::Cancelled,
    });
    for (name, shards) in JOBS {
        let lives = cluster.witness().lives(name);
        let attempts = if name == "once" { 1 } else { 2 };
        assert_eq!(lives.len(), (shards * attempts) as usize, "{lives:#?}");
    }
}

/// Says, in lines that can be quoted, when each shard was last heard of and when it began anew.
fn tell_moves(cluster: &Cluster, job: &str, began: f64) {
    let lives = cluster.witness().lives(job);
    for life in lives.iter().filter(|life| life.attempt == 1) {
        let again = |next: &&Life| next.item == life.item && next.attempt == 2;
        let anew = lives.iter().find(again);
        let anew = anew.map_or("never".to_owned(), |next| format!("+{:.2}", next.began - began));
        let (item, last) = (life.item, life.last - began);
        eprintln!("{job:<8} shard {item}: last sign of life +{last:.2}, begun again {anew}");
    }
}

#[test]
fn a_scheduler_killed_for_more_than_the_lease_ends_all_and_begins_again() {
    outage_beyond_the_lease(&Outage { signal: Signal::KILL, with_agents: false });
}

#[test]
fn a_scheduler_frozen_for_more_than_the_lease_ends_all_and_begins_again() {
    outage_beyond_the_lease(&Outage { signal: Signal::STOP, with_agents: false });
}

#[test]
fn a_scheduler_and_agents_killed_for_more_than_the_lease_end_all_and_begin_again() {
    outage_beyond_the_lease(&Outage { signal: Signal::KILL, with_agents: true });
}

#[test]
fn a_scheduler_and_agents_frozen_for_more_than_the_lease_end_all_and_begin_again() {
    outage_beyond_the_lease(&Outage { signal: Signal::STOP, with_agents: true });
}
