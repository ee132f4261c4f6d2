//! Each set of the processes of a host is killed or frozen at one moment, while the scheduler goes
//! on, is killed too, or stands still. Nothing is lost, and nothing runs twice at one time.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::{
    cluster::{Part, uptime, wait_for_a_while, wait_until},
    trouble::{Hosts, Row, Trouble},
};

/// Every set of the kinds of processes on a host, each on a host of its own.
const SETS: [(&str, &[Part]); 15] = {
    use Part::{Agent, Code, Executor, Supervisor};
    [
        ("agent", &[Agent]),
        ("supervisor", &[Supervisor]),
        ("executor", &[Executor]),
        ("code", &[Code]),
        ("agent-supervisor", &[Agent, Supervisor]),
        ("agent-executor", &[Agent, Executor]),
        ("agent-code", &[Agent, Code]),
        ("supervisor-executor", &[Supervisor, Executor]),
        ("supervisor-code", &[Supervisor, Code]),
        ("executor-code", &[Executor, Code]),
        ("agent-supervisor-executor", &[Agent, Supervisor, Executor]),
        ("agent-supervisor-code", &[Agent, Supervisor, Code]),
        ("agent-executor-code", &[Agent, Executor, Code]),
        ("supervisor-executor-code", &[Supervisor, Executor, Code]),
        ("all", &Part::ALL),
    ]
};

/// What befalls the scheduler at the same moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scheduler {
    GoesOn,
    IsKilled,
    StandsStill,
}

impl Scheduler {
    fn strike(self, hosts: &mut Hosts) {
        match self {
            Self::GoesOn => {}
            Self::IsKilled => {
                hosts.cluster.scheduler().end(Signal::KILL);
            }
            Self::StandsStill => hosts.cluster.scheduler().signal(Signal::STOP),
        }
    }

    fn mend(self, hosts: &mut Hosts) {
        match self {
            Self::GoesOn => {}
            Self::IsKilled => {
                hosts.cluster.scheduler().start();
                hosts.cluster.scheduler().wait_until_ready();
            }
            Self::StandsStill => hosts.cluster.scheduler().signal(Signal::CONT),
        }
    }
}

/// Long enough for all that follows from a strike where it happened, and much less than the lease.
const PAUSE: Duration = Duration::from_secs(4);

/// Strikes at every set of processes. Answers how the hosts were left when all is mended.
fn strike(trouble: fn(&'static [Part]) -> Trouble, scheduler: Scheduler) -> (Hosts, Vec<i32>) {
    let rows: Vec<Row> = SETS.map(|(host, parts)| (host, trouble(parts))).to_vec();
    let soon = json!({"max_attempts": 3, "backoff": "1s..2s"});
    // Code that is killed has failed; what dies with its executor or supervisor has died.
    let mut hosts = Hosts::start(&rows, "30s", &json!({"retry": soon, "failover": soon}));
    let before = hosts.executor_pids();
    let struck = uptime();
    scheduler.strike(&mut hosts);
    hosts.strike();
    wait_for_a_while(PAUSE);
    hosts.mend();
    scheduler.mend(&mut hosts);
    hosts.wait_for_agents();
    if matches!(rows[0].1, Trouble::Killed(_)) {
        wait_until("all that died has begun again", || {
            rows.iter().all(|(host, _)| *host == "agent" || hosts.lives(host).len() == 2)
        });
    }
    hosts.tell(struck);
    (hosts, before)
}

/// Agents may die alone; whatever else dies, its shard begins again, once.
fn kills_lose_nothing(scheduler: Scheduler) {
    let (hosts, _) = strike(Trouble::Killed, scheduler);
    hosts.let_go();
    hosts.cluster.witness().nothing_ran_twice_at_one_time(Hosts::JOB);
    for (host, _) in SETS {
        let lives = hosts.lives(host);
        let attempts: Vec<_> = lives.iter().map(|life| (life.attempt, life.ended)).collect();
        let expected: &[_] = if host == "agent" { &[(1, true)] } else { &[(1, false), (2, true)] };
        assert_eq!(attempts, expected, "{host}: {lives:?}");
    }
}

/// Whatever stands still for less than the lease goes on as if nothing had been.
fn freezes_touch_nothing(scheduler: Scheduler) {
    let (hosts, before) = strike(Trouble::Frozen, scheduler);
    assert_eq!(hosts.executor_pids(), before, "executors were replaced");
    let view = hosts.let_go();
    assert!(view.shards.unwrap().iter().all(|shard| shard.attempt == 1));
    assert_eq!(hosts.cluster.witness().lives(Hosts::JOB).len(), SETS.len());
    hosts.cluster.witness().nothing_ran_twice_at_one_time(Hosts::JOB);
}

#[test]
fn processes_killed_alone_and_together_lose_nothing() {
    kills_lose_nothing(Scheduler::GoesOn);
}

#[test]
fn processes_killed_together_with_the_scheduler_lose_nothing() {
    kills_lose_nothing(Scheduler::IsKilled);
}

#[test]
fn processes_killed_while_the_scheduler_stands_still_lose_nothing() {
    kills_lose_nothing(Scheduler::StandsStill);
}

#[test]
fn processes_frozen_alone_and_together_touch_nothing() {
    freezes_touch_nothing(Scheduler::GoesOn);
}

#[test]
fn processes_frozen_while_the_scheduler_is_killed_touch_nothing() {
    freezes_touch_nothing(Scheduler::IsKilled);
}

#[test]
fn processes_frozen_together_with_the_scheduler_touch_nothing() {
    freezes_touch_nothing(Scheduler::StandsStill);
}
