//! Anything is killed or frozen at any moment, alone and together, again and again: no shard is
//! lost, and no shard's code ever runs twice at one time.

use std::time::Duration;

use muster_api::{clock, views::RunState};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{
    Cluster, LOCK, PRELUDE, Part, Process, script, wait_for_a_while, wait_until, with,
};

/// Rounds, unless `MUSTER_CHAOS_ROUNDS` says otherwise.
const ROUNDS: u32 = 10;
const AGENTS: [&str; 2] = ["a1", "a2"];
/// The jobs, and how many shards each has.
const JOBS: [(&str, u32); 2] = [(STURDY, 30), (FRAGILE, 10)];

/// Its shards leave processes behind for a while, in sessions of their own, that hold the lock.
const STURDY: &str = "sturdy";
const STURDY_TEXT: &str = r#"
setsid sleep 1 &
(setsid bash -c 'trap "" TERM; sleep 0.5; sleep 0.5' &)
sleep 0.$((5 + MUSTER_SHARD_ITEM % 5))
note end
"#;

/// Its shards leave nothing behind, so that they may fail at any moment and start again at once.
const FRAGILE: &str = "fragile";
const FRAGILE_TEXT: &str = "sleep 0.3; sleep 0.$((5 + MUSTER_SHARD_ITEM % 5)); note end";

/// A generator of numbers that need not be good, only another for each seed (an LCG).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.throw(of.len())) }
    }
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("it is a number"))
}

#[test]
fn no_shard_runs_twice_at_one_time_whatever_is_killed_or_frozen_at_random_moments() {
    let rounds = number("MUSTER_CHAOS_ROUNDS").unwrap_or(u64::from(ROUNDS));
    let seed =
        number("MUSTER_CHAOS_SEED").unwrap_or_else(|| clock::wall().as_millis().cast_unsigned());
    eprintln!("MUSTER_CHAOS_SEED={seed}");
    let mut dice = Dice(seed);
    let mut cluster = Cluster::with_agents(AGENTS.len(), "cpus:1;mem:2048");
    cluster.put_app("scripts", &json!({}));
    let again = json!({"max_attempts": 1000, "backoff": "10ms..100ms"});
    for ((name, shards), text) in JOBS.into_iter().zip([STURDY_TEXT, FRAGILE_TEXT]) {
        let job = script(name, shards, &format!("{PRELUDE}{LOCK}{text}"));
        let resources = json!({"cpus": 0.05, "mem": 16});
        let more = json!({"failover": again, "retry": again, "resources": resources});
        cluster.put_job(&with(job, &more));
    }
    let mut runs = JOBS.map(|(name, _)| cluster.trigger(name));
    let mut tally = Tally::default();
    let acts = |cluster: &Cluster| -> usize {
        JOBS.iter().map(|(name, _)| cluster.witness().acts(name).len()).sum()
    };
    for round in 0..rounds {
        let goal = acts(&cluster) + dice.throw(12);
        let over = |run: &String| cluster.run(run).state.is_over();
        wait_until(&format!("acts in round {round}"), || {
            acts(&cluster) >= goal || runs.iter().all(over)
        });
        round_of_strikes(&mut cluster, &mut dice, &mut tally);
        for ((name, _), run) in JOBS.into_iter().zip(&mut runs) {
            if cluster.run(run).state.is_over() {
                check(&cluster, name, run);
                *run = cluster.trigger(name);
            }
        }
    }
    for ((name, _), run) in JOBS.into_iter().zip(&runs) {
        check(&cluster, name, run);
    }
    wait_until("nothing holds resources but executors", || {
        let agents = cluster.api().get("/v1/agents").body;
        agents["items"].as_array().unwrap().iter().all(|agent| agent["tasks"] == 0)
    });
    let lives: Vec<_> = JOBS.iter().flat_map(|(name, _)| cluster.witness().lives(name)).collect();
    let ended = lives.iter().filter(|life| life.ended).count();
    eprintln!("{rounds} rounds: {tally:?}; {} tasks, {ended} of them to their end", lives.len());
}

/// How often what was struck.
#[derive(Debug, Default)]
struct Tally {
    killed: [usize; 5],
    frozen: [usize; 5],
}

/// One to three strikes at one moment; then all goes on that does not go on by itself.
fn round_of_strikes(cluster: &mut Cluster, dice: &mut Dice, tally: &mut Tally) {
    let mut frozen = false;
    for _ in 0..=dice.throw(3) {
        let (host, target) = (AGENTS[dice.throw(AGENTS.len())], dice.throw(5));
        let freeze = dice.throw(3) == 0;
        let counts = if freeze { &mut tally.frozen } else { &mut tally.killed };
        counts[target] += usize::from(strike(cluster, dice, host, target, freeze));
        frozen |= freeze;
    }
    if frozen {
        // Much less than the lease, so that only what is late is tested, and not what is dead.
        wait_for_a_while(Duration::from_millis(100 * dice.throw(12) as u64));
    }
    for host in AGENTS {
        cluster.thaw(host);
        if !cluster.agent(host).is_started() {
            cluster.agent(host).start();
        }
    }
    if cluster.scheduler().is_started() {
        cluster.scheduler().signal(Signal::CONT);
    } else {
        cluster.scheduler().start();
        cluster.scheduler().wait_until_ready();
    }
}

/// Kills or freezes something, if it is there.
fn strike(cluster: &mut Cluster, dice: &mut Dice, host: &str, what: usize, freeze: bool) -> bool {
    let part = match what {
        0 | 1 => {
            let server = if what == 0 { cluster.scheduler() } else { cluster.agent(host) };
            match (server.is_started(), freeze) {
                (true, true) => server.signal(Signal::STOP),
                (true, false) => {
                    server.end(Signal::KILL);
                }
                (false, _) => return false,
            }
            return true;
        }
        2 => Part::Supervisor,
        3 => Part::Executor,
        _ => Part::Code,
    };
    let mut victims = cluster.parts(host, &[part]);
    if part == Part::Code && !freeze {
        // What a shard leaves behind in a session of its own outlives the shard.
        victims.retain(|process| process.has_variable("MUSTER_JOB", FRAGILE));
    }
    let victim: Option<&Process> = dice.pick(&victims);
    victim.map(|v| v.signal(if freeze { Signal::STOP } else { Signal::KILL })).is_some()
}

fn check(cluster: &Cluster, job: &str, run: &str) {
    let view = cluster.wait_for_run(run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    let witness = cluster.witness();
    witness.nothing_ran_twice_at_one_time(job);
    let lives = witness.lives(job);
    for shard in view.shards.unwrap() {
        let task = shard.task.unwrap().to_string();
        let ended = lives.iter().any(|life| life.task == task && life.ended);
        assert!(ended, "shard {} succeeded without its code having ended", shard.item);
    }
}
