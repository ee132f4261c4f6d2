//! What things on this host are called.

use std::fmt;

use muster_proto::{ContainerId, ExecutorId, FrameworkId, TaskId};

/// One dialled connection to a master; later ones have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(pub u64);

/// One stream of an executor; later ones have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session(pub u64);

/// One HTTP request of an executor; its answer goes by the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request(pub u64);

/// A task: frameworks choose the ids, so two of them may choose the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub task: TaskId,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

/// An executor: frameworks choose the ids, and most use one again once its executor has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExecutorKey {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub executor: ExecutorId,
}

impl fmt::Display for ExecutorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.executor.fmt(f)
    }
}

/// One life of an executor on this host. Its folder, its supervisor and its token go by this name.
///
/// That of one of our own executors is the executor's id, which is never used again. All others get
/// a UUID of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container(String);

impl Container {
    /// The container of this name, which must be able to name a folder.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&ExecutorId> for Container {
    fn from(executor: &ExecutorId) -> Self {
        Self(executor.value.clone())
    }
}

impl From<&Container> for ContainerId {
    fn from(container: &Container) -> Self {
        Self { value: container.0.clone(), parent: None }
    }
}
