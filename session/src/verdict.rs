//! Which Mesos status means what to a task: the table of SEMANTICS section 5, read from its left
//! column. What the engine makes of it also depends on what the task was doing; that part of the
//! table is `next` in the engine's `task.rs`.
//!
//! Hosts of another master fetch our own program, from us or from where we say. So what could not be
//! fetched there may be no fault of the app, and it uses up no attempt.

use muster_api::task::{
    ENDED_BY_ORDER, ENDED_FOR_NEIGHBOUR, LABEL_ENDED, LABEL_FENCED, LABEL_STUCK, LABEL_TIMEOUT,
    STUCK_TIMED_OUT,
};
use muster_engine::event::Signal;
use muster_proto::{Reason, StatusSource, TaskState, TaskStatus};

use crate::MasterKind;

/// What a status by such a master, or by an agent of it, says of its task; nothing when its state is
/// of no known kind.
pub fn signal(status: &TaskStatus, master: MasterKind) -> Option<Signal> {
    let state = TaskState::try_from(status.state).ok()?;
    let reason = status.reason.and_then(|reason| Reason::try_from(reason).ok());
    let by_executor = status.source == Some(StatusSource::Executor as i32);
    let label = |name| status.labels.as_ref().and_then(|all| all.get(name));
    Some(match state {
        TaskState::Starting => Signal::Starting,
        TaskState::Running => Signal::Running,
        TaskState::Killing => match label(LABEL_STUCK) {
            Some(why) => Signal::Stuck { timed_out: why == STUCK_TIMED_OUT },
            None => Signal::Killing,
        },
        // An end is known by its own status, which carries what the task said and comes again until
        // it is acknowledged. An answer to reconciliation has neither reason nor labels.
        TaskState::Finished | TaskState::Failed | TaskState::Killed | TaskState::Error
            if reason == Some(Reason::Reconciliation) =>
        {
            Signal::PerhapsAlive
        }
        TaskState::Finished => Signal::Finished,
        TaskState::Failed | TaskState::Killed if label(LABEL_TIMEOUT).is_some() => Signal::TimedOut,
        TaskState::Killed => Signal::Killed,
        TaskState::Failed => match label(LABEL_ENDED) {
            Some(ENDED_FOR_NEIGHBOUR) => Signal::Neighbour,
            Some(ENDED_BY_ORDER) => Signal::Died,
            _ => failed(reason, by_executor, master),
        },
        TaskState::Error if reason == Some(Reason::TaskInvalid) && !by_executor => Signal::Invalid,
        TaskState::Error if by_executor => Signal::CodeFailed,
        TaskState::Error if reason == Some(Reason::AgentRestarted) => Signal::NeverStarted,
        TaskState::Lost if reason == Some(Reason::Reconciliation) => Signal::Unreachable,
        // We are aware of partitions, so that what never left for its agent is DROPPED. This one was
        // there: an agent that unregisters says so before its executors have ended.
        TaskState::Lost
            if matches!(reason, Some(Reason::AgentRemoved | Reason::AgentDisconnected)) =>
        {
            Signal::Unreachable
        }
        TaskState::Error | TaskState::Lost => lost(reason),
        TaskState::Dropped => Signal::NeverStarted,
        TaskState::Gone if label(LABEL_FENCED).is_some() => Signal::Fenced,
        TaskState::Gone => died(reason),
        TaskState::GoneByOperator => Signal::Died,
        // The master has it, and its executor has said nothing yet: it may live or not.
        TaskState::Staging => Signal::PerhapsAlive,
        TaskState::Unreachable | TaskState::Unknown => Signal::Unreachable,
    })
}

fn failed(reason: Option<Reason>, by_executor: bool, master: MasterKind) -> Signal {
    match reason {
        // Mesos says of a failed fetch that the container could not be launched.
        Some(Reason::ContainerLaunchFailed) if master == MasterKind::Foreign && !by_executor => {
            Signal::NoContainer
        }
        Some(Reason::ContainerLaunchFailed | Reason::ExecutorRegistrationTimeout) => {
            Signal::CannotStart
        }
        _ if by_executor => Signal::CodeFailed,
        Some(Reason::CommandExecutorFailed) => Signal::CodeFailed,
        _ => died(reason),
    }
}

fn lost(reason: Option<Reason>) -> Signal {
    match reason {
        // It never left for its executor. AGENT_RESTARTED is none of these: it may have.
        Some(
            Reason::InvalidOffers
            | Reason::AgentDisconnected
            | Reason::AgentRemoved
            | Reason::AgentUnknown
            | Reason::AgentDraining
            | Reason::AgentRemovedByOperator
            | Reason::AgentReregistered,
        ) => Signal::NeverStarted,
        _ => died(reason),
    }
}

/// A death: of the executor, by what was done in it, or of whatever else.
fn died(reason: Option<Reason>) -> Signal {
    match reason {
        Some(
            Reason::ExecutorTerminated
            | Reason::ContainerLimitation
            | Reason::ContainerLimitationMemory
            | Reason::ContainerLimitationDisk,
        ) => Signal::DiedWithExecutor,
        _ => Signal::Died,
    }
}

#[cfg(test)]
mod tests {
    use muster_api::task::STUCK_KILLED;
    use muster_proto::Labels;

    use super::*;

    fn of(state: TaskState, reason: Option<Reason>, source: StatusSource) -> Option<Signal> {
        by(MasterKind::Own, state, reason, source)
    }

    fn by(
        master: MasterKind,
        state: TaskState,
        reason: Option<Reason>,
        source: StatusSource,
    ) -> Option<Signal> {
        let status = TaskStatus {
            state: state as i32,
            reason: reason.map(|reason| reason as i32),
            source: Some(source as i32),
            ..TaskStatus::default()
        };
        signal(&status, master)
    }

    /// The rows of the table, in words.
    #[test]
    fn every_row_of_the_table() {
        use Reason as R;
        use StatusSource::{Agent, Executor, Master};
        use TaskState as S;
        for (state, reason, source, expected) in [
            (S::Starting, None, Executor, Signal::Starting),
            (S::Running, None, Executor, Signal::Running),
            (S::Killing, None, Executor, Signal::Killing),
            (S::Finished, None, Executor, Signal::Finished),
            (S::Killed, None, Executor, Signal::Killed),
            (S::Killed, Some(R::TaskKilledDuringLaunch), Agent, Signal::Killed),
            (S::Dropped, Some(R::InvalidOffers), Master, Signal::NeverStarted),
            (S::Dropped, Some(R::AgentRestarted), Agent, Signal::NeverStarted),
            (S::Error, Some(R::TaskInvalid), Master, Signal::Invalid),
            (S::Error, Some(R::TaskInvalid), Executor, Signal::CodeFailed),
            (S::Error, None, Executor, Signal::CodeFailed),
            (S::GoneByOperator, Some(R::AgentRemovedByOperator), Master, Signal::Died),
            (S::Staging, None, Master, Signal::PerhapsAlive),
            (S::Unreachable, Some(R::AgentRemoved), Master, Signal::Unreachable),
            (S::Unknown, Some(R::Reconciliation), Master, Signal::Unreachable),
            (S::Running, Some(R::Reconciliation), Master, Signal::Running),
            (S::Running, Some(R::AgentReregistered), Master, Signal::Running),
            (S::Finished, Some(R::Reconciliation), Master, Signal::PerhapsAlive),
            (S::Killed, Some(R::Reconciliation), Master, Signal::PerhapsAlive),
        ] {
            assert_eq!(of(state, reason, source), Some(expected), "{state:?} {reason:?}");
        }
    }

    /// What each reason of Mesos makes of FAILED by an agent, FAILED by an executor, LOST, ERROR by
    /// a master, and GONE.
    #[test]
    fn every_reason() {
        use StatusSource::{Agent, Executor, Master};
        let columns = [
            (TaskState::Failed, Agent),
            (TaskState::Failed, Executor),
            (TaskState::Lost, Master),
            (TaskState::Error, Master),
            (TaskState::Gone, Agent),
        ];
        let short = |reason: Option<Reason>| {
            columns.map(|(state, source)| match of(state, reason, source) {
                Some(Signal::NeverStarted) => "never-started",
                Some(Signal::CodeFailed) => "code",
                Some(Signal::CannotStart) => "cannot-start",
                Some(Signal::Died) => "died",
                Some(Signal::DiedWithExecutor) => "with-executor",
                Some(Signal::PerhapsAlive) => "perhaps",
                Some(Signal::Unreachable) => "unreachable",
                Some(Signal::Invalid) => "invalid",
                other => panic!("{state:?} for {reason:?} is {other:?}"),
            })
        };
        let usual = "died code died died died";
        let never = "died code never-started never-started died";
        let executor = "with-executor code with-executor with-executor with-executor";
        let cannot = "cannot-start cannot-start died died died";
        assert_eq!(short(None).join(" "), usual);
        for (number, expected) in [
            (0, "code code died died died"), // COMMAND_EXECUTOR_FAILED
            (1, executor),                   // EXECUTOR_TERMINATED
            (2, usual),                      // EXECUTOR_UNREGISTERED
            (3, usual),                      // FRAMEWORK_REMOVED
            (4, usual),                      // GC_ERROR
            (5, usual),                      // INVALID_FRAMEWORKID
            (6, never),                      // INVALID_OFFERS
            (7, usual),                      // MASTER_DISCONNECTED
            (8, executor),                   // CONTAINER_LIMITATION_MEMORY
            (9, "perhaps perhaps unreachable perhaps died"), // RECONCILIATION
            (10, "died code unreachable never-started died"), // AGENT_DISCONNECTED
            (11, "died code unreachable never-started died"), // AGENT_REMOVED
            (12, "died code died never-started died"), // AGENT_RESTARTED
            (13, never),                     // AGENT_UNKNOWN
            (14, "died code died invalid died"), // TASK_INVALID
            (15, usual),                     // TASK_UNAUTHORIZED
            (16, usual),                     // TASK_UNKNOWN
            (17, usual),                     // CONTAINER_PREEMPTED
            (18, usual),                     // RESOURCES_UNKNOWN
            (19, executor),                  // CONTAINER_LIMITATION
            (20, executor),                  // CONTAINER_LIMITATION_DISK
            (21, cannot),                    // CONTAINER_LAUNCH_FAILED, and a failed fetch
            (22, usual),                     // CONTAINER_UPDATE_FAILED
            (23, cannot),                    // EXECUTOR_REGISTRATION_TIMEOUT
            (24, usual),                     // EXECUTOR_REREGISTRATION_TIMEOUT
            (25, usual),                     // TASK_GROUP_INVALID
            (26, usual),                     // TASK_GROUP_UNAUTHORIZED
            (27, usual),                     // IO_SWITCHBOARD_EXITED
            (28, usual),                     // TASK_CHECK_STATUS_UPDATED
            (29, usual),                     // TASK_HEALTH_CHECK_STATUS_UPDATED
            (30, usual),                     // TASK_KILLED_DURING_LAUNCH
            (31, never),                     // AGENT_REMOVED_BY_OPERATOR
            (32, never),                     // AGENT_REREGISTERED
            (33, usual),                     // MAX_COMPLETION_TIME_REACHED
            (34, never),                     // AGENT_DRAINING
        ] {
            let reason = Reason::try_from(number).unwrap();
            assert_eq!(short(Some(reason)).join(" "), expected, "{reason:?}");
        }
        assert!(Reason::try_from(35).is_err(), "a new reason has its row");
    }

    /// A host of another master that could not fetch our program says nothing of the app.
    #[test]
    fn one_row_is_another_where_the_master_is() {
        use StatusSource::{Agent, Executor, Master};
        for state in (0..32).filter_map(|number| TaskState::try_from(number).ok()) {
            for number in 0..35 {
                let reason = Reason::try_from(number).ok();
                for source in [Agent, Executor, Master] {
                    let own = by(MasterKind::Own, state, reason, source);
                    let foreign = by(MasterKind::Foreign, state, reason, source);
                    let is_that = state == TaskState::Failed
                        && reason == Some(Reason::ContainerLaunchFailed)
                        && source != Executor;
                    let expected = if is_that { Some(Signal::NoContainer) } else { own };
                    assert_eq!(foreign, expected, "{state:?} {reason:?} {source:?}");
                }
            }
        }
    }

    #[test]
    fn labels_tell_what_states_cannot() {
        let labelled = |state: TaskState, label: &str, value: &str| {
            let labels = Some(Labels::of([(label, value)]));
            let reason = Some(Reason::ExecutorTerminated as i32);
            let status =
                TaskStatus { state: state as i32, reason, labels, ..TaskStatus::default() };
            signal(&status, MasterKind::Own)
        };
        for (state, label, value, expected) in [
            (TaskState::Failed, LABEL_TIMEOUT, "true", Signal::TimedOut),
            (TaskState::Killed, LABEL_TIMEOUT, "true", Signal::TimedOut),
            (TaskState::Gone, LABEL_FENCED, "true", Signal::Fenced),
            (TaskState::Killing, LABEL_STUCK, STUCK_KILLED, Signal::Stuck { timed_out: false }),
            (TaskState::Killing, LABEL_STUCK, STUCK_TIMED_OUT, Signal::Stuck { timed_out: true }),
            (TaskState::Failed, LABEL_ENDED, ENDED_FOR_NEIGHBOUR, Signal::Neighbour),
            (TaskState::Failed, LABEL_ENDED, ENDED_BY_ORDER, Signal::Died),
            (TaskState::Failed, LABEL_ENDED, "whatever", Signal::DiedWithExecutor),
        ] {
            assert_eq!(labelled(state, label, value), Some(expected), "{state:?} {label}={value}");
        }
        let unknown = TaskStatus { state: 99, ..TaskStatus::default() };
        assert_eq!(signal(&unknown, MasterKind::Own), None);
    }
}
