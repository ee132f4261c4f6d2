//! Hosts in trouble: parts of them frozen or killed, their wire held or broken. For less than the
//! lease nothing is touched. For more, shards begin elsewhere, but only when nothing is left of
//! them where they were.

use std::time::Duration;

use muster_api::views::RunState;
use serde_json::json;

use crate::{
    cluster::{
        Cluster, LOCK, PRELUDE, Part, Wire, script, uptime, wait_for_a_while, wait_until, with,
    },
    trouble::{Hosts, Row, Trouble},
};

const WITHIN: &[Row] = &[
    ("well", Trouble::Nothing),
    ("agent-frozen", Trouble::Frozen(&[Part::Agent])),
    ("supervisor-frozen", Trouble::Frozen(&[Part::Supervisor])),
    ("executor-frozen", Trouble::Frozen(&[Part::Executor])),
    ("code-frozen", Trouble::Frozen(&[Part::Code])),
    ("agent-supervisor-frozen", Trouble::Frozen(&[Part::Agent, Part::Supervisor])),
    ("agent-executor-frozen", Trouble::Frozen(&[Part::Agent, Part::Executor])),
    ("supervisor-executor-frozen", Trouble::Frozen(&[Part::Supervisor, Part::Executor])),
    ("host-frozen", Trouble::Frozen(&Part::ALL)),
    ("agent-killed", Trouble::Killed(&[Part::Agent])),
    ("silent", Trouble::Wire(Wire::Holds)),
    ("mute", Trouble::Wire(Wire::HoldsAgent)),
    ("deaf", Trouble::Wire(Wire::HoldsMaster)),
    ("reset", Trouble::Wire(Wire::Resets)),
    ("garbled", Trouble::Wire(Wire::Garbles)),
];

#[test]
fn trouble_of_less_than_the_lease_touches_nothing() {
    let mut hosts = Hosts::start(WITHIN, "20s", &json!({}));
    let before = hosts.executor_pids();
    hosts.strike();
    // A lease less 8 s is what is promised; the rest is for a machine that is busy.
    wait_for_a_while(Duration::from_secs(9));
    hosts.mend();
    hosts.wait_for_agents();
    assert_eq!(hosts.executor_pids(), before, "executors were replaced");
    let view = hosts.let_go();
    assert!(view.shards.unwrap().iter().all(|shard| shard.attempt == 1));
    assert_eq!(hosts.cluster.witness().lives(Hosts::JOB).len(), WITHIN.len());
    hosts.cluster.witness().nothing_ran_twice_at_one_time(Hosts::JOB);
}

/// What becomes of a shard whose host is in trouble for longer than the lease.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Nothing.
    Stays,
    /// It is ended where it is, and then begins elsewhere.
    Moves,
    /// Nobody is there to end it: it begins elsewhere with a higher epoch, and is ended where it
    /// is as soon as its supervisor can.
    Doubled,
}

const BEYOND: &[Row] = &[
    ("well", Trouble::Nothing),
    ("supervisor-frozen", Trouble::Frozen(&[Part::Supervisor])),
    ("code-frozen", Trouble::Frozen(&[Part::Code])),
    ("agent-frozen", Trouble::Frozen(&[Part::Agent])),
    ("agent-executor-frozen", Trouble::Frozen(&[Part::Agent, Part::Executor])),
    ("agent-code-frozen", Trouble::Frozen(&[Part::Agent, Part::Code])),
    ("agent-killed", Trouble::Killed(&[Part::Agent])),
    ("silent", Trouble::Wire(Wire::Holds)),
    ("mute", Trouble::Wire(Wire::HoldsAgent)),
    ("deaf", Trouble::Wire(Wire::HoldsMaster)),
    ("reset", Trouble::Wire(Wire::Resets)),
    ("garbled", Trouble::Wire(Wire::Garbles)),
    ("agent-supervisor-frozen", Trouble::Frozen(&[Part::Agent, Part::Supervisor])),
    ("host-frozen", Trouble::Frozen(&Part::ALL)),
];

fn fate(host: &str) -> Fate {
    match host {
        "well" | "supervisor-frozen" | "code-frozen" => Fate::Stays,
        "agent-supervisor-frozen" | "host-frozen" => Fate::Doubled,
        _ => Fate::Moves,
    }
}

#[test]
fn trouble_beyond_the_lease_moves_shards_only_when_nothing_is_left_of_them() {
    let mut hosts = Hosts::start(BEYOND, "15s", &json!({}));
    let struck = uptime();
    hosts.strike();
    wait_until("all that must move has moved", || {
        let moved = |host| fate(host) == Fate::Stays || hosts.lives(host).len() == 2;
        BEYOND.iter().all(|(host, _)| moved(host))
    });
    hosts.tell(struck);
    for (host, _) in BEYOND.iter().filter(|(host, _)| fate(host) == Fate::Moves) {
        let left = hosts.cluster.parts(host, &[Part::Supervisor, Part::Executor, Part::Code]);
        let first = &hosts.lives(host)[0];
        assert!(
            left.iter().all(|process| !process.has_variable("MUSTER_TASK", &first.task)),
            "{host}: {left:?}"
        );
    }
    hosts.mend();
    hosts.wait_for_agents();
    wait_until("nothing is left of tasks that were replaced", || {
        let doubled = BEYOND.iter().filter(|(host, _)| fate(host) == Fate::Doubled);
        doubled.map(|(host, _)| (host, hosts.lives(host))).all(|(host, lives)| {
            let left = hosts.cluster.parts(host, &[Part::Code]);
            left.iter().all(|process| !process.has_variable("MUSTER_TASK", &lives[0].task))
        })
    });
    let view = hosts.let_go();
    for (host, _) in BEYOND {
        let lives = hosts.lives(host);
        let attempts: Vec<_> = lives.iter().map(|life| (life.attempt, life.ended)).collect();
        let hostname = view.shards.as_ref().unwrap()[lives[0].item as usize].hostname.clone();
        if fate(host) == Fate::Stays {
            assert_eq!(attempts, [(1, true)], "{host}: {lives:?}");
            assert_eq!(hostname.as_deref(), Some(*host));
            continue;
        }
        assert_eq!(attempts, [(1, false), (2, true)], "{host}: {lives:?}");
        assert_ne!(hostname.as_deref(), Some(*host));
        assert!(lives[0].epoch < lives[1].epoch, "{host}: {lives:?}");
        if fate(host) == Fate::Moves {
            assert!(lives[0].last < lives[1].began, "{host}: {lives:?}");
        }
    }
    let acts = hosts.cluster.witness().acts(Hosts::JOB);
    for act in acts.iter().filter(|act| act.word == "overlap") {
        let doubled = |host: &str| fate(host) == Fate::Doubled && hosts.item(host) == act.item;
        assert!(BEYOND.iter().any(|(host, _)| doubled(host)), "{act:?}");
    }
}

#[test]
fn frozen_code_is_ended_by_its_timeout() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    let job = script("stands", 2, &format!("{PRELUDE}{LOCK} sleep 300 & wait; note end"));
    cluster.put_job(&with(job, &json!({"timeout": "2s", "kill_grace": "300ms"})));
    let run = cluster.trigger("stands");
    let witness = cluster.witness();
    wait_until("both shards run", || witness.count("stands", "start") == 2);
    cluster.freeze("a1", &[Part::Code]);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.counts.timed_out), (RunState::TimedOut, 2), "{view:#?}");
    assert!(cluster.parts("a1", &[Part::Code]).is_empty());
    assert_eq!(witness.count("stands", "end"), 0);
}
