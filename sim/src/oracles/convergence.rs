//! What must hold when faults have stopped.

use muster_api::{Resources, step::Records, views::AgentView};
use muster_engine::records::{self, RunRecord};

use super::{Verdict, broken, with_prefix};

/// How many shards are not over.
pub(crate) fn shards_left(store: &Records) -> u64 {
    let waiting =
        |run: RunRecord| u64::from(run.shards.fresh.len()) + run.shards.again.len() as u64;
    let runs = with_prefix(store, records::RUNS);
    let runs = runs.filter_map(|(_, value)| records::decode::<RunRecord>(value).ok());
    runs.map(waiting).sum::<u64>() + with_prefix(store, records::TASKS).count() as u64
}

/// Nothing is still there when everything should have come to rest.
pub(crate) fn everything_converges(store: &Records, restless: &[String]) -> Verdict {
    let live = [records::RUNS, records::TASKS, records::EXECUTORS, records::NOTICES];
    let keys = live.iter().flat_map(|prefix| with_prefix(store, prefix));
    let keys = keys.map(|(key, _)| String::from_utf8_lossy(key).into_owned());
    let left: Vec<_> = keys.chain(restless.iter().cloned()).take(10).collect();
    if left.is_empty() { Ok(()) } else { broken("everything_converges", left.join(", ")) }
}

/// The master's ledger says that nothing of any host is in use, when nothing lives there.
pub(crate) fn nothing_is_charged_at_rest(agents: &[AgentView]) -> Verdict {
    match agents.iter().find(|a| a.used != Resources::none() || a.tasks > 0 || a.executors > 0) {
        None => Ok(()),
        Some(AgentView { hostname, used, tasks, executors, .. }) => broken(
            "nothing_is_charged_at_rest",
            format!("{hostname} has {used} in use, by {executors} executors and {tasks} tasks"),
        ),
    }
}

/// No agent stops for good: nothing here gives it a reason to.
pub(crate) fn nobody_gives_up(hostname: &str, message: &str) -> Verdict {
    broken("nobody_gives_up", format!("the agent on {hostname} stops: {message}"))
}
