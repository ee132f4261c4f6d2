//! What the end of a task means for its shard: it is over, or goes another try.

use std::time::Duration;

use muster_api::{
    Now, TaskId, limits,
    spec::{Backoff, JobSpec},
    views::ShardState,
};

use crate::{
    records::Tries,
    task::{Ending, KillCause, Phase, Task},
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

/// A task that is over.
#[derive(Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) task: &'a Task,
    pub(crate) id: TaskId,
    /// How it ended.
    pub(crate) ending: Ending,
    /// What was said of that.
    pub(crate) message: &'a str,
}

impl Aftermath {
    /// What the end of a task means for its shard, by the newest document of its job. `stopped_as`
    /// is how its shards end whose run is stopping.
    pub(crate) fn of(
        Ended { task, id, ending, message }: Ended<'_>,
        spec: Option<&JobSpec>,
        stopped_as: Option<ShardState>,
    ) -> Self {
        let words = |what: &str| in_words(what, message);
        let over = |state, what: &str| Self { state, again: None, how: words(what) };
        let mut tries = Tries { replaces: Some(id), ..task.tries.clone() };
        let again =
            |tries: Tries, wait: Duration, what: &str| Self::again(tries, wait, &words(what));
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
            Ending::KilledOnRequest => return over(ShardState::Cancelled, "killed on request"),
            Ending::NoContainer if tries.never_started >= limits::NEVER_STARTED_FREE => {
                // Nobody was away for a moment only. Those after this one are of the same row.
                tries.never_started += 1;
                tries.avoid = Some(task.agent.clone());
                let times = tries.never_started;
                let what = format!("its executor could not be had {times} times in a row");
                return Self::of_failure(tries, (ShardState::Failed, &what), spec, over, again);
            }
            Ending::NeverStarted | Ending::NoContainer => {
                let backoff = spec.map(|spec| spec.failover.backoff).unwrap_or_default();
                return Self::never_started((task, ending), tries, backoff, message);
            }
            Ending::Restarted => {
                tries.never_started = 0;
                let why = task.tries.reason.as_deref().unwrap_or("ended to start anew");
                return Self::again(tries, Duration::ZERO, why);
            }
            Ending::Died | Ending::DiedWithExecutor | Ending::Neighbour | Ending::Fenced => {
                tries.never_started = 0;
                tries.avoid = Some(task.agent.clone());
                tries.alone |= ending == Ending::DiedWithExecutor;
                let what = words_of_death(task, ending);
                return Self::of_death(tries, (ending, what), spec, over, again);
            }
            Ending::CodeFailed => ("its code failed", ShardState::Failed),
            Ending::CannotStart => ("its executor could not be started", ShardState::Failed),
            Ending::TimedOut => ("it took longer than its timeout", ShardState::TimedOut),
        };
        tries.never_started = 0;
        // Whatever its code did, its executor has survived it.
        tries.alone &= ending == Ending::CannotStart;
        Self::of_failure(tries, (state, failed), spec, over, again)
    }

    /// What the end of a resident task means for its shard: whatever ended it, another takes its
    /// place, without end. One that ran long enough was well, so that the next back-off is the
    /// first one again.
    pub(crate) fn of_resident(
        Ended { task, id, ending, message }: Ended<'_>,
        spec: Option<&JobSpec>,
        stopped_as: Option<ShardState>,
        now: Now,
    ) -> Self {
        if let Some(state) = stopped_as {
            return Self { state, again: None, how: in_words("ended as asked", message) };
        }
        let mut tries = Tries { replaces: Some(id), ..task.tries.clone() };
        let backoff = spec.map(|spec| spec.failover.backoff).unwrap_or_default();
        if task.steady_at.is_some_and(|at| at <= now.mono) {
            (tries.deaths, tries.alone) = (0, false);
        }
        let wanted = task.ended_to_start_anew(ending);
        tries.replaced = wanted.is_some() || (tries.replaced && !has_run(task, ending, now));
        let what = match (wanted, ending) {
            (_, Ending::NeverStarted | Ending::NoContainer) => {
                return Self::never_started((task, ending), tries, backoff, message);
            }
            (Some(why), _) => {
                tries.never_started = 0;
                return Self::again(tries, Duration::ZERO, why);
            }
            (_, ending @ (Ending::Fenced | Ending::Neighbour)) => words_of_death(task, ending),
            (_, Ending::Died | Ending::DiedWithExecutor | Ending::Cancelled) => "it died",
            (_, Ending::Restarted | Ending::KilledOnRequest) => "ended as asked",
            (_, Ending::Succeeded) => "it ended by itself",
            (_, Ending::CodeFailed) => "its code failed",
            (_, Ending::TimedOut) => "an execution took longer than its timeout",
            (_, Ending::CannotStart) => "its executor could not be started",
            (_, Ending::Invalid) => "its description was refused",
        };
        tries.never_started = 0;
        let how = in_words(what, message);
        let is_death = matches!(
            ending,
            Ending::Died | Ending::DiedWithExecutor | Ending::Cancelled | Ending::Neighbour
        );
        if is_death || ending == Ending::Fenced {
            tries.avoid = Some(task.agent.clone());
            tries.alone |= ending == Ending::DiedWithExecutor;
        } else {
            // Whatever its code did, its executor has survived it.
            tries.alone &= ending == Ending::CannotStart;
        }
        if matches!(ending, Ending::Fenced | Ending::Neighbour) {
            return Self::again(tries, Duration::ZERO, &how);
        }
        let wait = backoff.wait(tries.deaths);
        tries.deaths = tries.deaths.saturating_add(1);
        Self::again(tries, wait, &how)
    }

    /// It never started, so that no attempt is used. Many in a row are a fault that somebody has to
    /// find, and back off; so is an executor that could not be had, unless whoever serves it was away
    /// for a moment, and fetching it again costs more than an offer. For a shard that ends some time
    /// the tries of that kind are bounded: see [`Aftermath::of`].
    fn never_started(
        (task, ending): (&Task, Ending),
        mut tries: Tries,
        backoff: Backoff,
        message: &str,
    ) -> Self {
        let (free, what) = match ending {
            Ending::NoContainer => (1, "its executor could not be had there"),
            _ => (limits::NEVER_STARTED_FREE, "never started"),
        };
        tries.attempt = tries.attempt.saturating_sub(1);
        tries.replaces = task.tries.replaces;
        tries.never_started += 1;
        tries.avoid = Some(task.agent.clone());
        let beyond = tries.never_started.checked_sub(free);
        let wait = beyond.map_or(Duration::ZERO, |n| backoff.wait(n));
        Self::again(tries, wait, &in_words(what, message))
    }

    /// Its shard goes another try after a wait, and this is why.
    fn again(mut tries: Tries, wait: Duration, how: &str) -> Self {
        tries.reason = Some(shortened(how));
        let state = if wait.is_zero() { ShardState::Pending } else { ShardState::BackingOff };
        Self { state, again: Some((tries, wait)), how: how.to_owned() }
    }

    fn of_failure(
        mut tries: Tries,
        (state, failed): (ShardState, &str),
        spec: Option<&JobSpec>,
        over: impl Fn(ShardState, &str) -> Self,
        again: impl Fn(Tries, Duration, &str) -> Self,
    ) -> Self {
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
        (ending, what): (Ending, &str),
        spec: Option<&JobSpec>,
        over: impl Fn(ShardState, &str) -> Self,
        again: impl Fn(Tries, Duration, &str) -> Self,
    ) -> Self {
        let failover = spec.map(|spec| spec.failover.clone()).unwrap_or_default();
        let is_its_own = !matches!(ending, Ending::Fenced | Ending::Neighbour);
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

/// What is said of a death. Where no lease ends tasks it is a wait that does.
fn words_of_death(task: &Task, ending: Ending) -> &'static str {
    match ending {
        Ending::Fenced if task.doubt.is_some() => "it counts as dead",
        Ending::Fenced => "its lease ended",
        Ending::Neighbour => "it died by no fault of its own",
        _ => "it died",
    }
}

/// Whether a task ran, as far as is known. Of one that was launched before the last restart nobody
/// may have said so since; but it has ended later than it could have been launching.
fn has_run(task: &Task, ending: Ending, now: Now) -> bool {
    let launched_before = task.chosen.is_none();
    let never_ran = matches!(task.phase, Phase::Killing(KillCause::Launching))
        || matches!(
            ending,
            Ending::NeverStarted | Ending::NoContainer | Ending::CannotStart | Ending::Invalid
        );
    let is_old = now.wall.since(task.launched_at) > limits::LAUNCHING_MAX;
    task.steady_at.is_some() || (launched_before && !never_ran && is_old)
}

fn in_words(what: &str, message: &str) -> String {
    match message {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    }
}

/// The first words of a reason: every waiting shard keeps them in the record of its run, and the
/// history of its task has all of them.
fn shortened(how: &str) -> String {
    const CHARS: usize = 120;
    how.chars().take(CHARS).collect()
}
