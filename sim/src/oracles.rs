//! What must hold, whatever happens. Each oracle is one function; it looks at the truth, which no
//! core knows, and at what is on the scheduler's disk.

mod attempts;
mod code;
mod convergence;
mod daemons;
mod deadlines;
mod fires;
mod gone;
mod guests;
mod hosts;
mod limits;
mod misfires;
mod notices;
mod plan;
mod promises;
mod residents;
mod restart;
mod truth;
mod upstream;
mod waits;

use std::fmt;

pub(crate) use self::{
    attempts::{attempts_are_counted, who_is_alone_is_alone},
    code::{
        epochs_grow, no_host_is_over_promised, no_shard_runs_twice, no_two_runs_of_a_job,
        nothing_runs_after_its_end, what_is_over_does_not_run,
    },
    convergence::{everything_converges, nobody_gives_up, nothing_is_charged_at_rest, shards_left},
    daemons::{
        daemons_are_settled, one_daemon_run_a_job, one_shard_is_replaced_at_a_time,
        what_was_killed_stays_dead,
    },
    deadlines::{no_run_starts_too_late, what_is_overdue_ends},
    fires::Fires,
    gone::{nothing_is_left_of_the_gone, nothing_of_the_gone_comes_back},
    guests::{frameworks_hear_only_of_their_own, states_come_in_order, what_is_told_to_be_over_is},
    hosts::{constraints_hold, drained_hosts_are_left, drained_hosts_get_nothing, forget_drains},
    limits::limits_are_never_exceeded,
    misfires::{no_more_wait_than_allowed, outcomes_follow_the_policy},
    notices::{each_notice_is_delivered, notices_tell_what_happens, what_is_told_is_stored},
    promises::{
        each_rerun_is_one_run, each_trigger_is_one_run, nothing_accepted_is_lost,
        terminal_is_final, what_is_acknowledged_is_stored,
    },
    residents::{each_instant_of_a_resident_is_settled, resident_begins},
    restart::restart_equals_running,
    truth::Truth,
    upstream::{no_offer_is_kept, what_is_told_to_a_master_is_stored},
    waits::every_wait_has_a_reason,
};

/// An oracle that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub oracle: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn broken(oracle: &'static str, what: String) -> Verdict {
    Err(Violation { oracle, what })
}

/// The records of a store whose keys begin in a certain way.
pub(crate) fn with_prefix<'a>(
    store: &'a muster_api::step::Records,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> {
    let of_kind = store.range(prefix.as_bytes().to_vec()..);
    of_kind.take_while(move |(key, _)| key.starts_with(prefix.as_bytes()))
}
