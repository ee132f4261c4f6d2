//! What the agent writes down, so that its own restart loses nothing.
//!
//! Entries are appended in the order of decisions and replayed in it. They outlive the agent's
//! process, not the host: a changed boot id makes all of them void.

use muster_api::Timestamp;
use muster_proto::{
    ExecutorInfo, FrameworkId, FrameworkInfo, TaskId, TaskInfo, TaskStatus, agent::Launcher,
};
use prost::{Message, Oneof};

use super::Container;

/// One entry of the journal.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// What it says; absent when a newer agent wrote it.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub kind: Option<Kind>,
}

/// What an entry can say.
#[derive(Clone, PartialEq, Oneof)]
#[allow(clippy::large_enum_variant, reason = "prost does not box what is in a oneof")]
pub enum Kind {
    /// An executor is to be started.
    #[prost(message, tag = "1")]
    Executor(KnownExecutor),
    /// A task was accepted, or answered without being started.
    #[prost(message, tag = "2")]
    Task(KnownTask),
    /// A status was queued for the master.
    #[prost(message, tag = "3")]
    Status(Known),
    /// The head of a task's queue was acknowledged.
    #[prost(message, tag = "4")]
    Acknowledged(Known),
    /// An executor was told to end; nothing is launched there any more.
    #[prost(message, tag = "5")]
    Ending(Ending),
    /// An executor and all its descendants are gone.
    #[prost(message, tag = "6")]
    Exited(Exited),
    /// The agent was declared gone: its tasks are forgotten, and all its executors end.
    #[prost(message, tag = "7")]
    Disowned(Disowned),
}

/// An executor that is to be started.
#[derive(Clone, PartialEq, Message)]
pub struct KnownExecutor {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework: Option<FrameworkInfo>,
    /// What it is.
    #[prost(message, optional, tag = "2")]
    pub info: Option<ExecutorInfo>,
    /// Whether some task of it did not end when it had to.
    #[prost(bool, tag = "3")]
    pub stuck: bool,
    /// Its container; empty when that goes by the id of the executor.
    #[prost(string, tag = "4")]
    pub container: String,
    /// Whether the agent has made it, for a task that is a command.
    #[prost(bool, tag = "5")]
    pub is_made_here: bool,
    /// Who has launched it, if this was written by an agent that was told.
    #[prost(enumeration = "Launcher", tag = "6")]
    pub launcher: i32,
}

impl KnownExecutor {
    /// Its container.
    pub(super) fn container(&self) -> Container {
        let id = self.info.as_ref().and_then(|info| info.executor_id.as_ref());
        let id = id.map(|id| id.value.as_str()).unwrap_or_default();
        Container::new(if self.container.is_empty() { id } else { &self.container })
    }
}

/// A task that the agent answers for.
#[derive(Clone, PartialEq, Message)]
pub struct KnownTask {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// What it is, its executor included.
    #[prost(message, optional, tag = "2")]
    pub info: Option<TaskInfo>,
    /// Its newest state when this was written.
    #[prost(enumeration = "muster_proto::TaskState", tag = "3")]
    pub state: i32,
    /// The uuids of the newest statuses that its executor has sent.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub seen: Vec<Vec<u8>>,
    /// Why its executor gives itself up for it, if it does: a value of
    /// [`muster_api::task::LABEL_STUCK`].
    #[prost(string, optional, tag = "5")]
    pub stuck: Option<String>,
    /// Whether nobody has launched it: its executor has reported it all the same.
    #[prost(bool, tag = "6")]
    pub is_stray: bool,
    /// Its container; empty when that goes by the id of its executor, or nothing was started.
    #[prost(string, tag = "7")]
    pub container: String,
}

/// Something about a task that is in the journal.
#[derive(Clone, PartialEq, Message)]
pub struct Known {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub task_id: Option<TaskId>,
    /// The status that was queued; absent in an acknowledgement.
    #[prost(message, optional, tag = "3")]
    pub status: Option<TaskStatus>,
}

/// The end of an executor that the agent decided on.
///
/// Once this was the id of the executor alone: an `ExecutorId` has the text in the same place, and
/// the containers of that time go by the ids of their executors.
#[derive(Clone, PartialEq, Message)]
pub struct Ending {
    /// Its container.
    #[prost(string, tag = "1")]
    pub container: String,
    /// The tasks for which it is ended, for they did not end when they had to.
    #[prost(message, repeated, tag = "2")]
    pub culprits: Vec<TaskId>,
}

impl Ending {
    /// Of this executor, with no task to blame.
    pub(super) fn of(container: &Container) -> Self {
        Self { container: container.as_str().to_owned(), culprits: Vec::new() }
    }
}

/// The end of all that an agent was.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Disowned {}

/// The end of an executor. Once this had its id as an `ExecutorId`, where now a [`Named`] has the
/// same text in the same place.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Exited {
    /// Its container.
    #[prost(message, optional, tag = "1")]
    pub container: Option<Named>,
    /// When, in milliseconds of wall time.
    #[prost(int64, tag = "2")]
    pub at: i64,
}

/// The name of a container.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Named {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
}

impl Exited {
    /// That of the executor in this container.
    pub(super) fn of(container: &Container, at: Timestamp) -> Self {
        let name = container.as_str().to_owned();
        Self { container: Some(Named { name }), at: at.as_millis() }
    }
}

impl From<Kind> for Entry {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}
