//! What the end of a task means for its shard: it is over, or goes another try.

use std::time::Duration;

use muster_api::{TaskId, limits, spec::JobSpec, views::ShardState};

use crate::{
    records::Tries,
    task::{Ending, Task},
};

/// What the end of a task means for its shard.
pub(crate) struct Aftermath {
    /// The state of the shard.
    pub(crate) state: ShardState,
    /// What it carries into another try, and how long that waits.
    pub(crate) again: Option<(Tries, Duration)>,
    /// Why, in words.
    pub(crate) how: String,
}

impl Aftermath {
    /// What the end of a task means for its shard, by the newest document of its job. `stopped_as` is
    /// how its shards end whose run is stopping.
    pub(crate) fn of(
        task: &Task,
        id: TaskId,
        ending: Ending,
        message: &str,
        spec: Option<&JobSpec>,
        stopped_as: Option<ShardState>,
    ) -> Self {
        let words = |what: &str| match message {
            "" => what.to_owned(),
            message => format!("{what}: {message}"),
        };
        let over = |state, what: &str| Self { state, again: None, how: words(what) };
        let mut tries = Tries { replaces: Some(id), ..task.tries.clone() };
        let again = |mut tries: Tries, wait: Duration, what: &str| {
            let how = words(what);
            tries.reason = Some(shortened(&how));
            let state = if wait.is_zero() { ShardState::Pending } else { ShardState::BackingOff };
            Self { state, again: Some((tries, wait)), how }
        };
        // Only a run that is stopping has its tasks killed on request; whoever else ended this one,
        // it is a death like any other.
        let killed_by_nobody = ending == Ending::Cancelled && stopped_as.is_none();
        let ending = if killed_by_nobody { Ending::Died } else { ending };
        let (failed, state) = match ending {
            Ending::Succeeded => return over(ShardState::Succeeded, "succeeded"),
            Ending::Invalid => return over(ShardState::Failed, "its description was refused"),
            _ if stopped_as == Some(ShardState::TimedOut) => {
                return over(ShardState::TimedOut, "its run took longer than its run_timeout");
            }
            Ending::Cancelled => return over(ShardState::Cancelled, "ended as asked"),
            _ if stopped_as.is_some() => {
                return over(ShardState::Cancelled, "ended while its run is stopping");
            }
            Ending::NeverStarted => {
                tries.attempt = tries.attempt.saturating_sub(1);
                tries.replaces = task.tries.replaces;
                tries.never_started += 1;
                tries.avoid = Some(task.agent.clone());
                let wait = spec.map_or(Duration::ZERO, |spec| {
                    let beyond = tries.never_started.checked_sub(limits::NEVER_STARTED_FREE);
                    beyond.map_or(Duration::ZERO, |n| spec.failover.backoff.wait(n))
                });
                return again(tries, wait, "never started");
            }
            Ending::Died | Ending::DiedWithExecutor | Ending::Neighbour | Ending::Fenced => {
                tries.never_started = 0;
                tries.avoid = Some(task.agent.clone());
                tries.alone |= ending == Ending::DiedWithExecutor;
                return Self::of_death(tries, ending, spec, over, again);
            }
            Ending::CodeFailed => ("its code failed", ShardState::Failed),
            Ending::CannotStart => ("its executor could not be started", ShardState::Failed),
            Ending::TimedOut => ("it took longer than its timeout", ShardState::TimedOut),
        };
        tries.never_started = 0;
        // Whatever its code did, its executor has survived it.
        tries.alone &= ending == Ending::CannotStart;
        match spec.map(|spec| &spec.retry).filter(|retry| tries.failures < retry.max_attempts) {
            Some(retry) => {
                let wait = retry.backoff.wait(tries.failures);
                tries.failures += 1;
                again(tries, wait, failed)
            }
            None => over(state, failed),
        }
    }

    fn of_death(
        mut tries: Tries,
        ending: Ending,
        spec: Option<&JobSpec>,
        over: impl Fn(ShardState, &str) -> Self,
        again: impl Fn(Tries, Duration, &str) -> Self,
    ) -> Self {
        let failover = spec.map(|spec| spec.failover.clone()).unwrap_or_default();
        let (what, is_its_own) = match ending {
            Ending::Fenced => ("its lease ended", false),
            Ending::Neighbour => ("it died by no fault of its own", false),
            _ => ("it died", true),
        };
        if !failover.enabled {
            return over(ShardState::Failed, &format!("{what}, and failover is off"));
        }
        if !is_its_own {
            return again(tries, Duration::ZERO, what);
        }
        if tries.deaths >= failover.max_attempts {
            let deaths = tries.deaths + 1;
            return over(ShardState::Failed, &format!("{what}, {deaths} times in all"));
        }
        let wait = failover.backoff.wait(tries.deaths);
        tries.deaths += 1;
        again(tries, wait, what)
    }
}

/// The first words of a reason: every waiting shard keeps them in the record of its run, and the
/// history of its task has all of them.
fn shortened(how: &str) -> String {
    const CHARS: usize = 120;
    how.chars().take(CHARS).collect()
}
