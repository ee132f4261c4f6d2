//! What the core of the executor is told, and what it wants done.

use std::time::Duration;

use muster_api::{
    Timestamp,
    task::{ExecutionBatch, TaskPayload, TaskReport},
};
use muster_proto::{CommandInfo, TaskId, TaskInfo, TaskState};
use uuid::Uuid;

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A connection to the agent stands; the first thing on it is the subscription.
    Connected,
    /// The agent has accepted the subscription.
    Subscribed {
        /// Whether the framework is told that a task is being killed, before it is: its capability
        /// TASK_KILLING_STATE.
        killing_state: bool,
    },
    /// The connection is gone. Tasks go on.
    Disconnected,
    /// Bytes can be written to the connection.
    Writable,
    /// The agent wants a task started.
    Launch(Box<TaskInfo>),
    /// The agent wants a task ended.
    Kill {
        /// Which.
        task: TaskId,
        /// How long it may take; absent: as long as its payload says.
        grace: Option<Duration>,
    },
    /// The agent has custody of an update.
    Acknowledged {
        /// The task of the update.
        task: TaskId,
        /// The uuid of the update.
        uuid: Vec<u8>,
    },
    /// The scheduler has a batch of executions.
    Taken {
        /// The number of the batch.
        number: u64,
    },
    /// The executor is to end all its tasks and then itself.
    Shutdown,
    /// The same by SIGTERM, which does not say why. Whoever sent it knows what that makes of the tasks.
    Terminated,
    /// User code of a task begins to run.
    Started {
        /// Which task.
        task: TaskId,
        /// When it began; the core may hear of it later.
        at: Timestamp,
    },
    /// User code of a task is over, and nothing of it is left.
    Ended {
        /// Which task.
        task: TaskId,
        /// How it ended.
        end: End,
    },
    /// The time asked for by [`super::Executor::next_wakeup`] or
    /// [`super::Executor::next_instant`] has come.
    Wake,
}

/// How user code ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Whether it did what it should.
    pub success: bool,
    /// Why not, for people.
    pub message: Option<String>,
    /// What is reported beside the state.
    pub report: TaskReport,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run the code of a task; [`Event::Started`] and [`Event::Ended`] are to follow. That of a
    /// resident task is run again and again, each time after it has ended.
    Start {
        /// Which task.
        task: TaskId,
        /// What it is.
        payload: Box<TaskPayload>,
    },
    /// Run the command of a task; [`Event::Started`] and [`Event::Ended`] are to follow.
    StartCommand {
        /// Which task.
        task: TaskId,
        /// Its command.
        command: Box<CommandInfo>,
    },
    /// Ask the code of a task to end: SIGTERM for a process, the context for a handler.
    Cancel {
        /// Which task.
        task: TaskId,
    },
    /// End the process of a task: SIGKILL to its group.
    Force {
        /// Which task.
        task: TaskId,
    },
    /// Write these to the connection, in one go.
    Send(Vec<Outgoing>),
    /// End this process.
    Exit(Exit),
}

/// How the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// Whether user code still runs, which no orderly end would wait out.
    pub abandons: bool,
}

/// Something that is written to the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// The subscription, with all that the agent may not know.
    Subscribe {
        /// Tasks that it may not know to have arrived here.
        tasks: Vec<TaskInfo>,
        /// Updates that it may not have.
        updates: Vec<Update>,
    },
    /// A new state of a task.
    Update(Update),
    /// What became of executions; it is sent again until it is [taken](Event::Taken).
    Executions(ExecutionBatch),
}

/// A new state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Which task.
    pub task: TaskId,
    /// Names this update until it is acknowledged.
    pub uuid: Uuid,
    /// The state.
    pub state: TaskState,
    /// Words for people.
    pub message: Option<String>,
    /// What is reported beside the state.
    pub report: Option<TaskReport>,
    /// A label and its value.
    pub label: Option<(&'static str, &'static str)>,
    /// When it came to be.
    pub at: Timestamp,
}

/// What follows from one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
}
