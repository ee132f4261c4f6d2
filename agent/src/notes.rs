//! What the core has to tell operators, as lines of the log.

use crate::core::Note;

/// Logs what operators may want to know.
pub(crate) fn log(note: &Note) {
    match note {
        Note::LaunchDropped { task, why } => {
            tracing::warn!(task.id = %task, why, "launch dropped: nothing was started");
        }
        Note::OldTerm { term, highest } => {
            tracing::warn!(term, highest, "a master of an old term was refused");
        }
        Note::Disowned { message, left } => {
            let left: Vec<_> = left.iter().map(ToString::to_string).collect();
            let left = left.join(" ");
            tracing::warn!(
                message,
                left,
                "this agent was declared gone: all that it runs is ended"
            );
        }
        Note::MasterSilent => tracing::warn!("the master does not answer heartbeats"),
        Note::Ignored { what, id } => tracing::debug!(id, "ignored {what}"),
        Note::KillOverdue { executor, task } => {
            tracing::warn!(
                executor.id = %executor,
                task.id = %task,
                "executor did not end a killed task in time"
            );
        }
        Note::NotSubscribed { executor } => {
            tracing::warn!(executor.id = %executor, "executor did not subscribe in time");
        }
        Note::MessageTooLong { executor, bytes } => {
            tracing::warn!(executor.id = %executor, bytes, "message dropped: it is too long");
        }
        Note::TooManyStrays { executor } => {
            tracing::warn!(executor.id = %executor, "reports of tasks that nobody launched are dropped");
        }
        Note::ExecutorEnded { executor, how } => {
            tracing::info!(executor.id = %executor, how, "executor ended");
        }
    }
}
