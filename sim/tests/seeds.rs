//! Some worlds in which everything holds, and some with a planted bug that an oracle finds.

use muster_sim::{Bug, Options, run, run_twice};

/// Seeds with many kinds of faults, short enough to be run at each change.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// How many worlds a planted bug may take to be found in.
const PATIENCE: u64 = 60;

#[test]
fn worlds_hold_and_repeat() {
    for seed in SEEDS {
        let outcome = run_twice(seed, None);
        assert_eq!(outcome.violation, None, "seed {seed}, step {}", outcome.steps);
        assert!(outcome.runs > 0 && outcome.tasks > 0, "nothing happens in the world of {seed}");
    }
}

#[test]
fn different_seeds_are_different_worlds() {
    let digest = |seed| run(seed, Options::default()).digest;
    assert_ne!(digest(1), digest(2));
}

#[test]
fn the_log_can_be_read() {
    let outcome = run(1, Options { keep_lines: true, bug: None });
    assert_eq!(outcome.digest, run(1, Options::default()).digest, "looking changes the world");
    let says = |words| outcome.lines.iter().any(|line| line.contains(words));
    assert!(says("scheduler starts") && says("hello with") && says("commit +a/app"));
}

/// The oracles that find a bug, over the first seeds in which one does.
fn finders(bug: Bug, enough: usize) -> Vec<&'static str> {
    let worlds =
        (1..=PATIENCE).map(|seed| run(seed, Options { keep_lines: false, bug: Some(bug) }));
    worlds.filter_map(|outcome| Some(outcome.violation?.oracle)).take(enough).collect()
}

#[test]
fn effects_that_leave_before_their_commit_are_found() {
    let found = finders(Bug::EffectsBeforeCommit, 3);
    assert!(found.contains(&"nothing_accepted_is_lost"), "{found:?}");
}

#[test]
fn leases_that_do_not_end_are_found() {
    let found = finders(Bug::LeasesIgnored, 1);
    assert_eq!(found, ["what_is_over_does_not_run"]);
}

#[test]
fn orphans_that_live_on_are_found() {
    let found = finders(Bug::OrphansLeft, 1);
    assert_eq!(found, ["what_is_over_does_not_run"]);
}
