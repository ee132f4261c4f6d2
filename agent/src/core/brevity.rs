//! What is kept of a status that says too much.
//!
//! Executors are code of users, and each status of theirs is kept, written down and sent on. How the
//! task stands always fits; what is said beside that is cut.

use muster_api::limits;
use muster_proto::TaskStatus;
use prost::Message as _;

use super::Origin;

impl Origin {
    /// Bytes of one status. What Mesos' own executor API takes in one call is passed on whole.
    pub(super) fn longest_status(self) -> usize {
        match self {
            Self::Ours | Self::Command => limits::EXECUTOR_MESSAGE_BYTES,
            Self::Foreign => limits::CALL_BYTES,
        }
    }
}

/// Takes from a status what it says beside how its task stands, until it has no more than so many
/// bytes: its data, the end of its message, and all else. Says whether anything had to go.
pub(super) fn shorten(status: &mut TaskStatus, longest: usize) -> bool {
    if status.encoded_len() <= longest {
        return false;
    }
    status.data = None;
    if let Some(message) = &mut status.message {
        message.truncate(message.floor_char_boundary(longest / 2));
    }
    if status.encoded_len() > longest {
        *status = TaskStatus {
            task_id: status.task_id.take(),
            state: status.state,
            message: status.message.take(),
            source: status.source,
            reason: status.reason,
            timestamp: status.timestamp,
            uuid: status.uuid.take(),
            healthy: status.healthy,
            ..TaskStatus::default()
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use muster_proto::{Labels, TaskId, TaskState};

    use super::*;

    /// A status with data, message and a label of so many bytes.
    fn status(data: usize, message: usize, label: usize) -> TaskStatus {
        let label = "x".repeat(label);
        TaskStatus {
            task_id: Some(TaskId::new("t1")),
            state: TaskState::Failed as i32,
            message: Some("\u{e4}".repeat(message / 2)),
            data: Some(vec![1; data]),
            uuid: Some(vec![7; 16]),
            labels: Some(Labels::of([("name", label.as_str())])),
            ..TaskStatus::default()
        }
    }

    #[test]
    fn of_a_status_that_is_too_long_only_as_much_goes_as_must() {
        let mut fits = status(100, 100, 100);
        assert!(!shorten(&mut fits, 1_000));
        assert_eq!(fits, status(100, 100, 100));

        let mut much_data = status(5_000, 100, 100);
        assert!(shorten(&mut much_data, 1_000));
        assert_eq!(much_data, TaskStatus { data: None, ..status(0, 100, 100) });

        // It is cut between two characters.
        let mut long_message = status(0, 5_000, 100);
        assert!(shorten(&mut long_message, 1_002));
        assert_eq!(long_message, TaskStatus { data: None, ..status(0, 500, 100) });

        let mut long_label = status(0, 100, 5_000);
        assert!(shorten(&mut long_label, 1_000));
        let bare = TaskStatus { data: None, labels: None, ..status(0, 100, 0) };
        assert_eq!(long_label, bare);
    }
}
