//! Some worlds in which everything holds, and some with a planted bug that an oracle finds.

use muster_sim::{Bug, Options, prove, run, run_twice};

/// Seeds with many kinds of faults, few enough to be run at each change. `scripts/test` runs more.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// How many worlds a planted bug may take to be found in.
const PATIENCE: u64 = 100;

#[test]
fn worlds_hold_and_repeat() {
    for seed in SEEDS {
        let outcome = run_twice(seed, None);
        assert_eq!(outcome.violation, None, "seed {seed}, step {}", outcome.steps);
        assert!(outcome.steps > 100, "nothing happens in the world of {seed}");
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
    assert!(says("host0 -> master") && says("a user asks 1: StoreApp"));
}

/// There are worlds whose hosts are another master's, and worlds with another framework.
#[test]
fn masters_and_frameworks_of_others_are_there() {
    let lines = |seed| run(seed, Options { keep_lines: true, bug: None }).lines;
    let says = |lines: &[String], words| lines.iter().any(|line| line.contains(words));
    let foreign = lines(16);
    assert!(says(&foreign, "link: subscribed with the master"), "it has no other master");
    assert!(
        says(&foreign, "Accept") && says(&foreign, "master is killed"),
        "nothing happens there"
    );
    let shared = lines(2);
    assert!(says(&shared, "the command of guest-0 begins"), "no other framework is there");
}

/// A bug is found by one of the oracles that are meant for it, from a seed on that `prove` has named.
fn is_found(bug: Bug, from: u64, oracles: &[&str]) {
    for seed in from..=from + PATIENCE {
        let proof = prove(bug, std::iter::once(seed));
        if let Some(oracle) = proof.found_by.into_keys().next() {
            assert!(oracles.contains(&oracle), "{bug} is found by {oracle}, with seed {seed}");
            return;
        }
    }
    panic!("{bug} is not found");
}

macro_rules! planted {
    ($($name:ident: $bug:ident from $seed:literal by $oracles:expr;)+) => {
        $(
            #[test]
            fn $name() {
                is_found(Bug::$bug, $seed, &$oracles);
            }
        )+
    };
}

planted! {
    effects_that_leave_before_their_commit: EffectBeforeCommit from 6
        by [
            "nothing_accepted_is_lost",
            "what_is_acknowledged_is_stored",
            "what_is_launched_is_stored",
        ];
    acknowledgements_that_leave_before_the_write: AckBeforeWrite from 1
        by ["what_is_acknowledged_is_stored"];
    failover_before_fencing: FailoverBeforeFencing from 9
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    overhead_that_is_charged_twice: OverheadTwice from 1
        by ["nothing_is_charged_at_rest", "everything_converges"];
    ledger_ranges_that_are_missing: LedgerRangeMissing from 1
        by ["each_planned_instant_has_one_outcome"];
    unknown_that_is_taken_for_dead: UnknownIsDead from 3
        by ["what_is_over_does_not_run", "no_shard_runs_twice", "nothing_runs_after_its_end"];
    agents_that_do_not_write_down_what_they_do: JournalSkipped from 3
        by ["what_is_over_does_not_run", "no_shard_runs_twice", "no_host_is_over_promised"];
    leases_that_do_not_end: LeasesIgnored from 9
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    orphans_that_live_on: OrphansLeft from 2
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    deletes_that_are_forgotten: DeletesForgotten from 1
        by ["what_is_acknowledged_is_stored", "restart_equals_running"];
    merged_instants_that_are_called_dropped: MergedAsDropped from 5
        by ["outcomes_follow_the_policy"];
    run_timeouts_that_a_restart_forgets: RunTimeoutLost from 10
        by ["what_is_overdue_ends"];
    reruns_that_are_done_twice: RerunKeyLost from 79
        by ["each_rerun_is_one_run"];
    gone_agents_that_bring_what_they_had: GoneAdopted from 3
        by ["nothing_of_the_gone_comes_back"];
    limits_that_are_off_by_one: LimitOffByOne from 11
        by ["limits_are_never_exceeded"];
    notices_that_a_restart_loses: NoticesLost from 15
        by ["each_notice_is_delivered", "restart_equals_running"];
    drains_that_a_restart_forgets: DrainsForgotten from 3
        by ["drained_hosts_get_nothing"];
    code_that_is_taken_for_ended_when_it_is_asked_to: AskedIsEnded from 1
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    instants_that_a_replacing_task_takes_over: InstantsCarriedOver from 1
        by ["each_instant_of_a_resident_is_settled"];
    executions_of_one_task_at_once: ExecutionsOverlap from 3
        by ["no_shard_runs_twice", "what_is_over_does_not_run"];
    launches_that_are_sent_again: LaunchResent from 12
        by ["nothing_is_launched_twice", "what_is_over_does_not_run", "nothing_runs_after_its_end"];
    waits_for_the_unreachable_that_are_too_short: UnreachableWaitShort from 8
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    ids_of_frameworks_that_are_not_stored: FrameworkIdLost from 1
        by ["what_is_over_does_not_run", "no_shard_runs_twice"];
    launches_of_which_nobody_knows_that_are_called_off: UnclearIsNever from 4
        by ["what_is_over_does_not_run", "no_shard_runs_twice", "nothing_runs_after_its_end"];
}
