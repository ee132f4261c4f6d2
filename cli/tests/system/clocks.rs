//! The wall clock is set while the scheduler runs. Schedules follow it, durations do not.

use std::path::PathBuf;

use muster_api::{
    clock,
    views::{FireOutcome, RunState},
};
use serde_json::json;

use crate::{
    cluster::{Cluster, PRELUDE, script, uptime, wait_until, with},
    ledger::{each_second_has_one_outcome, fires},
};

/// A scheduler whose wall clock can be set, and an agent, whose clock is another.
struct Clocked {
    cluster: Cluster,
    file: PathBuf,
}

impl Clocked {
    fn new() -> Self {
        let mut cluster = Cluster::not_started();
        let file = cluster.witness().folder().join("offset");
        cluster.scheduler().set_variable(clock::OFFSET_VARIABLE, file.to_str().unwrap());
        cluster.start_scheduler();
        assert!(cluster.scheduler().read_log().contains(clock::OFFSET_VARIABLE), "it says nothing");
        cluster.add_agent("a1", "cpus:4;mem:4096");
        cluster.wait_for_agents(1);
        cluster.put_app("scripts", &json!({"lease": "15s"}));
        Self { cluster, file }
    }

    /// Sets the scheduler's clock, so many seconds from the right time; gives the time of the
    /// clock that nobody sets, in seconds.
    fn set(&self, seconds: i64) -> f64 {
        let new = self.file.with_extension("new");
        std::fs::write(&new, (seconds * 1000).to_string()).unwrap();
        std::fs::rename(new, &self.file).unwrap();
        uptime()
    }

    /// A job whose code is over at once, and that is due each second.
    fn every_second(&self, name: &str) {
        let job = script(name, 1, &format!("{PRELUDE} note end"));
        self.cluster.put_job(&with(job, &json!({"schedule": {"every": "1s"}})));
    }

    /// Starts a run of 6 s that may take 12 s, and one without end that may take 3 s.
    fn with_durations(&self) -> [String; 2] {
        let long = script("long", 1, &format!("{PRELUDE} sleep 6; note end"));
        self.cluster.put_job(&with(long, &json!({"timeout": "12s"})));
        let text = format!("{PRELUDE} while :; do note alive; sleep 0.1; done");
        self.cluster.put_job(&with(script("endless", 1, &text), &json!({"timeout": "3s"})));
        let runs = ["long", "endless"].map(|job| self.cluster.trigger(job));
        let witness = self.cluster.witness();
        wait_until("both run", || {
            ["long", "endless"].iter().all(|job| witness.count(job, "start") == 1)
        });
        runs
    }

    /// Checks that they took as long as they were to take.
    fn durations_are_untouched(&self, [long, endless]: &[String; 2]) {
        assert_eq!(self.cluster.wait_for_run(long).state, RunState::Succeeded);
        let view = self.cluster.wait_for_run(endless);
        assert_eq!(view.state, RunState::TimedOut, "{view:#?}");
        let lives = self.cluster.witness().lives("endless");
        let took = lives[0].last - lives[0].began;
        assert!(lives.len() == 1 && (2.5..4.5).contains(&took), "{lives:?}");
        assert_eq!(self.cluster.executors().len(), 1, "no lease ended");
    }

    /// Checks that it was seen that the clock was set, this way and once.
    fn was_set(&self, direction: &str) {
        let metrics = self.cluster.api().get("/metrics").expect(200..=200).text;
        let line = format!("muster_clock_jumps_total{{direction=\"{direction}\"}} 1");
        assert!(metrics.lines().any(|has| has == line), "`{line}` is not in {metrics}");
    }

    /// Ends the schedule of a job, and waits until all its runs are over.
    fn stop(&self, job: &str) {
        self.cluster.api().post(&format!("/v1/jobs/{job}/disable"), None).expect(200..=200);
        wait_until("all runs are over", || {
            let runs = self.cluster.api().get(&format!("/v1/runs?job={job}&limit=1000")).body;
            runs["items"].as_array().unwrap().iter().all(|run| run["ended_at"].is_string())
        });
    }
}

#[test]
fn a_clock_set_back_fires_nothing_until_it_has_caught_up() {
    let clocked = Clocked::new();
    let witness = clocked.cluster.witness();
    clocked.every_second("each");
    wait_until("some fires", || witness.count("each", "end") >= 3);
    let runs = clocked.with_durations();
    let set = clocked.set(-8);
    let starts = || -> Vec<f64> {
        witness.acts("each").iter().filter(|act| act.word == "start").map(|act| act.at).collect()
    };
    wait_until("fires after that", || starts().iter().filter(|at| **at > set + 3.0).count() >= 3);
    // What was decided before is under way for a moment; the next instant is 7 to 8 s away.
    let (before, after): (Vec<_>, Vec<_>) = starts().into_iter().partition(|at| *at < set + 1.5);
    clocked.was_set("back");
    assert!(after[0] - set > 6.5, "it fired before its time: {before:?} {set} {after:?}");
    clocked.durations_are_untouched(&runs);
    clocked.stop("each");
    let fires = each_second_has_one_outcome(&fires(&clocked.cluster, "each"));
    let ran = fires.values().filter(|fire| fire.outcome == FireOutcome::Ran);
    assert_eq!(ran.count(), starts().len(), "{fires:#?}");
}

#[test]
fn a_clock_set_forward_is_as_a_downtime() {
    let clocked = Clocked::new();
    let witness = clocked.cluster.witness();
    clocked.every_second("each");
    wait_until("some fires", || witness.count("each", "end") >= 2);
    let runs = clocked.with_durations();
    let before = witness.count("each", "start");
    clocked.set(100);
    clocked.durations_are_untouched(&runs);
    clocked.was_set("forward");
    clocked.stop("each");
    let fires = each_second_has_one_outcome(&fires(&clocked.cluster, "each"));
    let count = |outcome| fires.values().filter(|fire| fire.outcome == outcome).count();
    // Beside the runs of the seconds that really passed, one run stands for all the others.
    let ran = count(FireOutcome::Ran);
    assert_eq!(ran, witness.count("each", "start"));
    assert!((before + 1..before + 40).contains(&ran), "{before}, then {ran}: {fires:#?}");
    let coalesced = count(FireOutcome::Coalesced);
    assert!((90..=130).contains(&coalesced), "{coalesced} of {}", fires.len());
}
