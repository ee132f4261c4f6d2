//! What can happen to an agent, and what it can decide.

use std::time::Duration;

use muster_api::{AgentId, Mono};
use muster_proto::{
    ExecutorInfo, FrameworkInfo, TaskId, TaskStatus,
    agent::{AgentBody, Hello, MasterBody, ReadLog},
    executor::{self, CallMessage},
};

use super::{
    Answer, Call, Connection, Container, Entry, ExecutorKey, Identity, Origin, Request, Session,
    TaskKey,
};
use crate::supervise::Exit;

/// What can happen to an agent.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "events are handled one by one, and not kept")]
pub enum Event {
    /// A master has asked on a new connection for a proof; a hello is due.
    Challenged {
        /// The connection.
        connection: Connection,
        /// The master's term, which is not proven yet.
        term: u64,
        /// The version of the agent protocol that is spoken with it.
        version: u32,
    },
    /// The master has proven itself and has registered this agent.
    Welcomed {
        /// The connection.
        connection: Connection,
        /// The master's term.
        term: u64,
        /// The id that the master knows this agent by.
        agent: AgentId,
    },
    /// The master does not want this agent.
    Refused {
        /// The connection.
        connection: Connection,
        /// Why, for people.
        message: String,
        /// Whether dialling again can help.
        retry: bool,
    },
    /// The master has proven itself and says that this agent was declared gone.
    Disowned {
        /// The connection.
        connection: Connection,
        /// The master's term.
        term: u64,
        /// What it says, for people.
        message: String,
    },
    /// A registered master says something; `None` when its kind is not known here.
    FromMaster {
        /// The connection.
        connection: Connection,
        /// The term that the message was sent in.
        term: u64,
        /// What it says.
        body: Option<MasterBody>,
    },
    /// A connection to the master has ended.
    Disconnected {
        /// The connection.
        connection: Connection,
    },
    /// The sandbox of an executor is filled, or cannot be.
    Fetched {
        /// The executor.
        container: Container,
        /// Why it cannot be.
        outcome: Result<(), String>,
    },
    /// The supervisor of an executor answers: its process has been started.
    Started {
        /// The executor.
        container: Container,
        /// Its process.
        pid: u32,
    },
    /// An executor and all its descendants are gone.
    Exited {
        /// The executor.
        container: Container,
        /// How it ended.
        exit: Exit,
    },
    /// An executor, proven by its token, has opened our own kind of stream and subscribed.
    Subscribed {
        /// Its new stream.
        session: Session,
        /// The executor.
        container: Container,
        /// What it holds that the agent may not have.
        subscribe: executor::Subscribe,
    },
    /// An executor makes a call of Mesos.
    Called {
        /// What its answer goes by.
        request: Request,
        /// The call.
        call: Call,
    },
    /// A subscribed executor reports a task.
    Updated {
        /// Its stream.
        session: Session,
        /// The report.
        status: Box<TaskStatus>,
    },
    /// A subscribed executor has something for its framework.
    Said {
        /// Its stream.
        session: Session,
        /// What.
        message: CallMessage,
    },
    /// The stream of an executor has ended.
    Left {
        /// The stream.
        session: Session,
    },
    /// The instant that [`super::Agent::next_wakeup`] named has come.
    Tick,
}

/// What is to be stored before any effect of the same step leaves.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all writes are entries")]
pub enum Write {
    /// Append this to the journal.
    Entry(Entry),
    /// Replace what is known about the agent itself.
    Identity(Identity),
}

/// What an agent decides to do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "effects are carried out one by one, and not kept")]
pub enum Effect {
    /// Say hello; the shell adds version, nonce and proof.
    Hello {
        /// The connection.
        connection: Connection,
        /// Who this agent is and what lives on it.
        hello: Box<Hello>,
    },
    /// Say this to the master.
    ToMaster {
        /// The connection.
        connection: Connection,
        /// The master's term.
        term: u64,
        /// What to say.
        body: AgentBody,
    },
    /// End this connection to the master; another is dialled.
    Disconnect {
        /// The connection.
        connection: Connection,
    },
    /// The agent is registered and ready for work.
    Registered {
        /// Its id.
        agent: AgentId,
    },
    /// Dialling again cannot help: the agent is to stop and say so.
    GiveUp {
        /// What the master said.
        message: String,
    },
    /// Make the folder of a new executor and fetch its artifacts.
    Fetch {
        /// Where.
        container: Container,
        /// What it is.
        info: Box<ExecutorInfo>,
    },
    /// Start the supervisor of a fetched executor.
    Start {
        /// Where.
        container: Container,
        /// Whose it is.
        framework: Box<FrameworkInfo>,
        /// What it is.
        info: Box<ExecutorInfo>,
        /// When its lease ends; `None` is never.
        deadline: Option<Mono>,
        /// Where it comes from, which decides what it finds in its environment.
        origin: Origin,
    },
    /// Find the supervisor of an executor from before the agent's restart, or its exit status.
    Attach {
        /// The executor.
        container: Container,
    },
    /// Tell a supervisor the new end of its lease.
    SetDeadline {
        /// The executor.
        container: Container,
        /// The end.
        at: Mono,
        /// The instant at which the agent says so.
        said: Mono,
    },
    /// Have an executor ended by its supervisor.
    End {
        /// The executor.
        container: Container,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
    },
    /// Answer a call.
    Answer {
        /// Which.
        request: Request,
        /// How.
        answer: Answer,
    },
    /// Tell an executor.
    ToExecutor {
        /// Its stream.
        session: Session,
        /// What.
        event: Box<executor::Event>,
    },
    /// End the stream of an executor, after what was sent on it.
    CloseSession {
        /// The stream.
        session: Session,
    },
    /// Read the output of a task and answer the master.
    ReadLog {
        /// The connection that asked.
        connection: Connection,
        /// The master's term.
        term: u64,
        /// What is wanted.
        request: ReadLog,
    },
    /// A task may write output from now on.
    TaskBegan {
        /// The task.
        task: TaskKey,
    },
    /// A task is over; its output grows no more.
    TaskOver {
        /// The task.
        task: TaskKey,
    },
}

/// What an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A launch was answered DROPPED: nothing was started.
    LaunchDropped {
        /// The task.
        task: TaskId,
        /// Why.
        why: String,
    },
    /// A message of a lower term than the highest was refused.
    OldTerm {
        /// Its term.
        term: u64,
        /// The highest.
        highest: u64,
    },
    /// The master has not answered heartbeats; the connection is given up.
    MasterSilent,
    /// This agent was declared gone: all that it runs is ended, and it will register as another.
    Disowned {
        /// What the master says.
        message: String,
        /// The executors that must have ended before.
        left: Vec<ExecutorKey>,
    },
    /// A message named something that is not here, or lacked what it needs.
    Ignored {
        /// What.
        what: &'static str,
        /// The id in question, or nothing.
        id: String,
    },
    /// An executor did not end a killed task in time and is ended.
    KillOverdue {
        /// The executor.
        executor: ExecutorKey,
        /// The task.
        task: TaskId,
    },
    /// An executor did not subscribe in time and is ended.
    NotSubscribed {
        /// The executor.
        executor: ExecutorKey,
    },
    /// A message of an executor, or for it, is longer than is passed on; it is dropped.
    MessageTooLong {
        /// The executor.
        executor: ExecutorKey,
        /// Bytes of the message.
        bytes: usize,
    },
    /// An executor reports more tasks that nobody has launched there than are passed on.
    TooManyStrays {
        /// The executor.
        executor: ExecutorKey,
    },
    /// An executor and its descendants are gone.
    ExecutorEnded {
        /// The executor.
        executor: ExecutorKey,
        /// How, in words.
        how: String,
    },
}

/// What follows from one event: first the writes, then the effects, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// What to store.
    pub writes: Vec<Write>,
    /// What to do then.
    pub effects: Vec<Effect>,
    /// What to tell operators.
    pub notes: Vec<Note>,
}

impl Step {
    pub(super) fn ignore(&mut self, what: &'static str, id: impl Into<String>) {
        self.notes.push(Note::Ignored { what, id: id.into() });
    }
}
