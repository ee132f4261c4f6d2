//! Anything is killed at any moment, again and again: no shard is lost, and no shard's code ever
//! runs twice at one time.

use muster_api::{clock, views::RunState};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, Process, script, wait_until, with};

/// Kills, unless `MUSTER_CHAOS_ROUNDS` says otherwise.
const ROUNDS: u32 = 10;
const SHARDS: u32 = 30;
const AGENTS: [&str; 2] = ["a1", "a2"];

/// A shard that holds a lock for as long as anything of it lives: whatever it starts inherits the
/// lock, in a session of its own or not. The next attempt must find the lock free.
const LOCKED: &str = r#"
exec 9>"$WITNESS/lock.$MUSTER_RUN.$MUSTER_SHARD_ITEM"
flock --nonblock 9 || note overlap
setsid sleep 1 &
(setsid bash -c 'trap "" TERM; sleep 0.5; sleep 0.5' &)
sleep 0.$((5 + MUSTER_SHARD_ITEM % 5))
note end
"#;

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
fn no_shard_runs_twice_at_one_time_whatever_is_killed_at_random_moments() {
    let rounds = number("MUSTER_CHAOS_ROUNDS").unwrap_or(u64::from(ROUNDS));
    let seed =
        number("MUSTER_CHAOS_SEED").unwrap_or_else(|| clock::wall().as_millis().cast_unsigned());
    eprintln!("MUSTER_CHAOS_SEED={seed}");
    let mut dice = Dice(seed);
    let mut cluster = Cluster::with_agents(AGENTS.len(), "cpus:1;mem:2048");
    cluster.put_app("scripts", &json!({}));
    let more = json!({"failover": {"max_attempts": 1000, "backoff": "10ms..100ms"}});
    cluster.put_job(&with(script("locked", SHARDS, &format!("{PRELUDE}{LOCKED}")), &more));
    let mut run = cluster.trigger("locked");
    let witness = cluster.witness();
    for round in 0..rounds {
        let acts = witness.acts("locked").len();
        let more_acts = dice.throw(12);
        wait_until(&format!("acts in round {round}"), || {
            witness.acts("locked").len() >= acts + more_acts || cluster.run(&run).state.is_over()
        });
        strike(&mut cluster, &mut dice);
        if cluster.run(&run).state.is_over() {
            check(&cluster, &run);
            run = cluster.trigger("locked");
        }
    }
    check(&cluster, &run);
    wait_until("nothing holds resources but executors", || {
        let agents = cluster.api().get("/v1/agents").body;
        agents["items"].as_array().unwrap().iter().all(|agent| agent["tasks"] == 0)
    });
}

/// Kills something, and starts again what does not start by itself.
fn strike(cluster: &mut Cluster, dice: &mut Dice) {
    let agent = AGENTS[dice.throw(AGENTS.len())];
    let executors = cluster.executors_on(agent);
    let executor = dice.pick(&executors);
    let kill = |victim: Option<&Process>| victim.into_iter().for_each(|v| v.signal(Signal::KILL));
    let what = dice.throw(7);
    if matches!(what, 0 | 6) {
        cluster.scheduler().end(Signal::KILL);
    }
    if matches!(what, 1 | 4 | 5) {
        cluster.agent(agent).end(Signal::KILL);
    }
    if matches!(what, 2 | 4 | 6) {
        kill(executor.map(|(_, executor)| executor));
    }
    if matches!(what, 3 | 5) {
        kill(executor.map(|(supervisor, _)| supervisor));
    }
    if what == 6 {
        cluster.agent(agent).end(Signal::KILL);
    }
    if matches!(what, 1 | 4..) {
        cluster.agent(agent).start();
    }
    if matches!(what, 0 | 6) {
        cluster.scheduler().start();
        cluster.scheduler().wait_until_ready();
    }
}

fn check(cluster: &Cluster, run: &str) {
    let view = cluster.wait_for_run(run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    let acts = cluster.witness().acts("locked");
    let overlaps: Vec<_> = acts.iter().filter(|act| act.word == "overlap").collect();
    assert!(overlaps.is_empty(), "{overlaps:#?}");
    for shard in view.shards.unwrap() {
        let task = shard.task.unwrap().to_string();
        let ended = acts.iter().any(|act| act.task == task && act.word == "end");
        assert!(ended, "shard {} succeeded without its code having ended", shard.item);
    }
}
