//! Every pair of a phase and a signal.

use super::*;

/// The phase that a task goes on in, or how it ended.
fn short(phase: Phase, signal: Signal) -> &'static str {
    use KillCause as K;
    match next(phase, signal) {
        Next::Goes(Phase::Launching) => "launching",
        Next::Goes(Phase::Running) => "running",
        Next::Goes(Phase::Killing(K::Timeout)) if phase != Phase::Killing(K::Timeout) => {
            "timing-out"
        }
        Next::Goes(Phase::Killing(K::Asked)) if phase == Phase::Killing(K::Launching) => "asked",
        Next::Goes(Phase::Killing(_)) => "killing",
        Next::Over(Ending::Succeeded) => "SUCCEEDED",
        Next::Over(Ending::CodeFailed) => "FAILED",
        Next::Over(Ending::TimedOut) => "TIMED_OUT",
        Next::Over(Ending::CannotStart) => "CANNOT_START",
        Next::Over(Ending::NoContainer) => "NO_CONTAINER",
        Next::Over(Ending::Cancelled) => "CANCELLED",
        Next::Over(Ending::Restarted) => "RESTARTED",
        Next::Over(Ending::KilledOnRequest) => "KILLED_ON_REQUEST",
        Next::Over(Ending::NeverStarted) => "NEVER_STARTED",
        Next::Over(Ending::Died) => "DIED",
        Next::Over(Ending::DiedWithExecutor) => "DIED_WITH_EXECUTOR",
        Next::Over(Ending::Neighbour) => "NEIGHBOUR",
        Next::Over(Ending::Fenced) => "FENCED",
        Next::Over(Ending::Invalid) => "INVALID",
    }
}

/// Every pair of phase and signal, by a shorthand.
#[test]
fn every_pair_of_phase_and_signal() {
    use KillCause as K;
    use Signal as S;
    let signals = [
        S::Starting,
        S::Running,
        S::Killing,
        S::Finished,
        S::CodeFailed,
        S::TimedOut,
        S::CannotStart,
        S::Killed,
        S::NeverStarted,
        S::Died,
        S::Fenced,
        S::PerhapsAlive,
        S::Invalid,
        S::Stuck { timed_out: false },
        S::Stuck { timed_out: true },
        S::DiedWithExecutor,
        S::Neighbour,
        S::Unreachable,
        S::NoContainer,
    ];
    let row = |phase| signals.map(|signal| short(phase, signal)).join(" ");
    assert_eq!(
        row(Phase::Launching),
        "launching running killing SUCCEEDED FAILED TIMED_OUT CANNOT_START DIED \
         NEVER_STARTED DIED FENCED launching INVALID \
         killing timing-out DIED_WITH_EXECUTOR NEIGHBOUR launching NO_CONTAINER"
    );
    assert_eq!(
        row(Phase::Running),
        "running running killing SUCCEEDED FAILED TIMED_OUT CANNOT_START DIED \
         DIED DIED FENCED running INVALID \
         killing timing-out DIED_WITH_EXECUTOR NEIGHBOUR running DIED"
    );
    assert_eq!(
        row(Phase::Killing(K::Asked)),
        "killing killing killing SUCCEEDED CANCELLED TIMED_OUT CANCELLED CANCELLED \
         CANCELLED CANCELLED CANCELLED killing INVALID \
         killing killing CANCELLED CANCELLED killing CANCELLED"
    );
    assert_eq!(
        row(Phase::Killing(K::Timeout)),
        "killing killing killing SUCCEEDED TIMED_OUT TIMED_OUT CANNOT_START TIMED_OUT \
         NEVER_STARTED TIMED_OUT TIMED_OUT killing INVALID \
         killing killing TIMED_OUT TIMED_OUT killing NO_CONTAINER"
    );
    assert_eq!(
        row(Phase::Killing(K::Launching)),
        "killing running killing SUCCEEDED FAILED TIMED_OUT CANNOT_START NEVER_STARTED \
         NEVER_STARTED DIED FENCED killing INVALID \
         asked timing-out DIED_WITH_EXECUTOR NEIGHBOUR killing NO_CONTAINER"
    );
    assert_eq!(
        row(Phase::Killing(K::Restart)),
        "killing killing killing SUCCEEDED RESTARTED TIMED_OUT RESTARTED RESTARTED \
         NEVER_STARTED RESTARTED RESTARTED killing INVALID \
         killing killing RESTARTED RESTARTED killing NO_CONTAINER"
    );
    assert_eq!(
        row(Phase::Killing(K::Operator)),
        "killing killing killing SUCCEEDED KILLED_ON_REQUEST KILLED_ON_REQUEST \
         KILLED_ON_REQUEST KILLED_ON_REQUEST KILLED_ON_REQUEST KILLED_ON_REQUEST \
         KILLED_ON_REQUEST killing INVALID killing killing KILLED_ON_REQUEST \
         KILLED_ON_REQUEST killing KILLED_ON_REQUEST"
    );
}
