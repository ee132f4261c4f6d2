//! Which Mesos status means what to a task: the table of SEMANTICS section 5, read from its left
//! column. What the engine makes of it also depends on what the task was doing; that part of the
//! table is `next` in the engine's `task.rs`.

use muster_api::task::{LABEL_FENCED, LABEL_TIMEOUT};
use muster_engine::event::Signal;
use muster_proto::{Reason, StatusSource, TaskState, TaskStatus};

/// What a status says of its task; nothing when its state is of no known kind.
pub fn signal(status: &TaskStatus) -> Option<Signal> {
    let state = TaskState::try_from(status.state).ok()?;
    let reason = status.reason.and_then(|reason| Reason::try_from(reason).ok());
    let by_executor = status.source == Some(StatusSource::Executor as i32);
    let labelled = |label| status.labels.as_ref().is_some_and(|all| all.get(label).is_some());
    Some(match state {
        TaskState::Starting => Signal::Starting,
        TaskState::Running => Signal::Running,
        TaskState::Killing => Signal::Killing,
        TaskState::Finished => Signal::Finished,
        TaskState::Failed | TaskState::Killed if labelled(LABEL_TIMEOUT) => Signal::TimedOut,
        TaskState::Killed => Signal::Killed,
        TaskState::Failed => failed(reason, by_executor),
        TaskState::Error if reason == Some(Reason::TaskInvalid) && !by_executor => Signal::Invalid,
        TaskState::Error if by_executor => Signal::CodeFailed,
        TaskState::Error | TaskState::Lost => lost(reason),
        TaskState::Dropped => Signal::NeverStarted,
        TaskState::Gone if labelled(LABEL_FENCED) => Signal::Fenced,
        TaskState::Gone | TaskState::GoneByOperator => Signal::Died,
        // The master has it, and its executor has said nothing yet: it may live or not.
        TaskState::Staging | TaskState::Unreachable | TaskState::Unknown => Signal::PerhapsAlive,
    })
}

fn failed(reason: Option<Reason>, by_executor: bool) -> Signal {
    match reason {
        Some(Reason::ContainerLaunchFailed | Reason::ExecutorRegistrationTimeout) => {
            Signal::CannotStart
        }
        _ if by_executor => Signal::CodeFailed,
        Some(Reason::CommandExecutorFailed) => Signal::CodeFailed,
        _ => Signal::Died,
    }
}

fn lost(reason: Option<Reason>) -> Signal {
    match reason {
        Some(
            Reason::InvalidOffers
            | Reason::AgentDisconnected
            | Reason::AgentRemoved
            | Reason::AgentUnknown
            | Reason::AgentDraining
            | Reason::AgentRemovedByOperator,
        ) => Signal::NeverStarted,
        Some(Reason::Reconciliation) => Signal::PerhapsAlive,
        _ => Signal::Died,
    }
}

#[cfg(test)]
mod tests {
    use muster_proto::Labels;

    use super::*;

    fn of(state: TaskState, reason: Option<Reason>, source: StatusSource) -> Option<Signal> {
        signal(&TaskStatus {
            state: state as i32,
            reason: reason.map(|reason| reason as i32),
            source: Some(source as i32),
            ..TaskStatus::default()
        })
    }

    #[test]
    fn every_row_of_the_table() {
        use Reason as R;
        use StatusSource::{Agent, Executor, Master};
        use TaskState as S;
        for (state, reason, source, expected) in [
            (S::Dropped, Some(R::InvalidOffers), Master, Signal::NeverStarted),
            (S::Dropped, Some(R::AgentRestarted), Agent, Signal::NeverStarted),
            (S::Lost, Some(R::InvalidOffers), Master, Signal::NeverStarted),
            (S::Error, Some(R::AgentUnknown), Master, Signal::NeverStarted),
            (S::Finished, None, Executor, Signal::Finished),
            (S::Failed, Some(R::ContainerLaunchFailed), Agent, Signal::CannotStart),
            (S::Failed, Some(R::ExecutorRegistrationTimeout), Agent, Signal::CannotStart),
            (S::Failed, None, Executor, Signal::CodeFailed),
            (S::Error, None, Executor, Signal::CodeFailed),
            (S::Error, Some(R::TaskInvalid), Executor, Signal::CodeFailed),
            (S::Error, Some(R::TaskInvalid), Master, Signal::Invalid),
            (S::Killed, None, Executor, Signal::Killed),
            (S::Failed, Some(R::ExecutorTerminated), Agent, Signal::Died),
            (S::Gone, Some(R::ExecutorReregistrationTimeout), Agent, Signal::Died),
            (S::Lost, Some(R::AgentRestarted), Master, Signal::Died),
            (S::GoneByOperator, Some(R::AgentRemovedByOperator), Master, Signal::Died),
            (S::Unreachable, Some(R::AgentRemoved), Master, Signal::PerhapsAlive),
            (S::Unknown, Some(R::Reconciliation), Master, Signal::PerhapsAlive),
            (S::Lost, Some(R::Reconciliation), Master, Signal::PerhapsAlive),
            (S::Running, Some(R::Reconciliation), Master, Signal::Running),
        ] {
            assert_eq!(of(state, reason, source), Some(expected), "{state:?} {reason:?}");
        }
    }

    #[test]
    fn labels_tell_timeouts_and_fencing() {
        let labelled = |state: TaskState, label: &str| {
            let labels = Some(Labels::of([(label, "true")]));
            signal(&TaskStatus { state: state as i32, labels, ..TaskStatus::default() })
        };
        assert_eq!(labelled(TaskState::Failed, LABEL_TIMEOUT), Some(Signal::TimedOut));
        assert_eq!(labelled(TaskState::Killed, LABEL_TIMEOUT), Some(Signal::TimedOut));
        assert_eq!(labelled(TaskState::Gone, LABEL_FENCED), Some(Signal::Fenced));
        let unknown = TaskStatus { state: 99, ..TaskStatus::default() };
        assert_eq!(signal(&unknown), None);
    }
}
