//! What the master is told, and what it answers.

use std::collections::BTreeMap;

use muster_api::{AgentId, Mono, Resources, limits, step::Write};
use muster_proto::{
    FrameworkId,
    agent::{AgentBody, Hello, MasterBody},
    scheduler,
};

use super::{note::Note, words};

/// One connection of an agent; the shell numbers them and never uses a number again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(pub u64);

/// The stream of one subscription over HTTP; the shell numbers them and never uses a number again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(pub u64);

/// One request over HTTP that waits for its answer; numbered as streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request(pub u64);

/// Who a caller has proved to be, when its call began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name.
    pub name: String,
    /// The SHA-256 of the secret that proved it, which has to count still when the call is carried
    /// out.
    pub digest: [u8; 32],
}

/// A call over HTTP, and who makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// Where the answer goes.
    pub request: Request,
    /// Who the caller has proved to be; nobody where frameworks need no credentials.
    pub principal: Option<Principal>,
    /// The call. Its shell has seen that it has a type, and the body that belongs to that.
    pub call: scheduler::Call,
}

/// The `Mesos-Stream-Id` of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// It has none.
    Missing,
    /// That of an open stream.
    Open(Stream),
    /// That of no stream that is open.
    Unknown,
}

/// The answer to a call over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The stream begins: 200, and its events follow.
    Streaming,
    /// Carried out: 200.
    Done,
    /// Taken: 202. What becomes of it is told by events.
    Accepted,
    /// Refused, with the words of Mesos: 400.
    Invalid(String),
    /// The stream that it names is not that of its framework: 400. The shell, which has the text
    /// of the header, finds the words.
    OtherStream(FrameworkId),
    /// The credentials that it was let in by count no longer: 401.
    Unauthorized,
    /// Not for this caller: 403.
    Forbidden(String),
    /// It met another change: 409.
    Conflict(String),
    /// No call that there is: 501.
    Unknown(String),
}

/// What happens to a master.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Event {
    /// An agent wants to register. The shell has checked its proof and its version.
    Hello {
        /// Its connection.
        connection: Connection,
        /// What it says of itself.
        hello: Hello,
    },
    /// A registered agent says something.
    FromAgent {
        /// Its connection.
        connection: Connection,
        /// What it says.
        body: AgentBody,
    },
    /// A connection has ended, for whatever reason.
    Disconnected {
        /// Which.
        connection: Connection,
    },
    /// A call of the framework of this process; its first SUBSCRIBE names none.
    Call(scheduler::Call),
    /// A SUBSCRIBE over HTTP.
    Subscribe {
        /// Who calls.
        by: Foreign,
        /// The stream that its events go to, if it is let in.
        stream: Stream,
    },
    /// Any other call over HTTP.
    Foreign {
        /// Who calls.
        by: Foreign,
        /// The stream that it says it belongs to.
        named: StreamName,
    },
    /// A stream has ended, or was cut off because nobody read it.
    Left {
        /// Which.
        stream: Stream,
    },
    /// The time that [`Master::next_wakeup`](super::Master::next_wakeup) asked for has come.
    Tick,
}

/// What is to be done, once the step's writes are durable.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Effect {
    /// Send this to an agent. The shell adds the term, and its proof to a welcome.
    ToAgent {
        /// The agent's connection.
        connection: Connection,
        /// The message.
        body: MasterBody,
    },
    /// End a connection, after what was sent to it.
    Close {
        /// Which.
        connection: Connection,
    },
    /// Give this to the framework of this process.
    ToEmbedded(scheduler::Event),
    /// Send this on the stream of a framework. The shell adds to a SUBSCRIBED where this master
    /// listens, and how often it sends heartbeats.
    ToStream {
        /// Which.
        stream: Stream,
        /// The event.
        event: scheduler::Event,
    },
    /// End a stream, after what was sent on it.
    EndStream(Stream),
    /// Answer a call over HTTP.
    Answer {
        /// Which.
        request: Request,
        /// How.
        answer: Answer,
    },
    /// Who may call over HTTP from now on: each principal, with the SHA-256 of its secret.
    Credentials(BTreeMap<String, [u8; 32]>),
    /// For the embedded scheduler: what the Mesos API cannot say.
    Agent(AgentNews),
    /// For the embedded scheduler: whether other frameworks are subscribed beside it.
    Shared(bool),
}

/// What the embedded scheduler is told about agents.
///
/// When it subscribes it is told where every agent stands, and from then on each change. The
/// embedded scheduler is the framework that subscribed first in this process.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentNews {
    /// The agent has registered (again). What is not listed here does not live on it.
    Registered {
        /// Its id.
        agent: AgentId,
        /// Its host name.
        hostname: String,
        /// Facts about it.
        attributes: BTreeMap<String, String>,
        /// All that it has.
        resources: Resources,
        /// Its host has booted since it was last here: nothing from before can be alive.
        rebooted: bool,
        /// The embedded framework's tasks on it, by Mesos id. Also those that are over, as long as
        /// their last status is not acknowledged: that status is on its way.
        tasks: Vec<String>,
        /// The embedded framework's executors on it.
        executors: Vec<String>,
    },
    /// Nothing has been heard of the agent since `since`.
    Silent {
        /// Its id.
        agent: AgentId,
        /// When its last heartbeat was received; for an agent that has not come since the master's
        /// start, that start.
        since: Mono,
    },
    /// A silent agent is heard again, on the same connection, before anything there counts as dead.
    Heard {
        /// Its id.
        agent: AgentId,
    },
    /// An operator says that the agent will never come back: nothing lives there.
    Gone {
        /// Its id.
        agent: AgentId,
    },
    /// An operator wants the agent empty: nothing is offered of it any more.
    Draining {
        /// Its id.
        agent: AgentId,
        /// When what is left there is moved.
        deadline: Option<Mono>,
    },
    /// The agent is used again.
    Activated {
        /// Its id.
        agent: AgentId,
    },
}

/// What one event leads to: first the writes are made durable, then the effects leave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Changes of stored records.
    pub writes: Vec<Write>,
    /// What is to be sent, in order.
    pub effects: Vec<Effect>,
    /// What an operator may want to know.
    pub notes: Vec<Note>,
}

impl Step {
    pub(super) fn tell_agent(&mut self, connection: Connection, body: MasterBody) {
        self.effects.push(Effect::ToAgent { connection, body });
    }

    pub(super) fn news(&mut self, news: AgentNews) {
        self.effects.push(Effect::Agent(news));
    }

    pub(super) fn end_stream(&mut self, stream: Stream) {
        self.effects.push(Effect::EndStream(stream));
    }

    pub(super) fn ignore_call(&mut self, framework: &FrameworkId, reason: impl Into<String>) {
        let framework = words::clip(framework.value.clone());
        let reason = words::clip(reason.into());
        self.note_refusal(Note::CallIgnored { framework, reason });
    }

    /// Notes that something which a framework asked for has no effect. Of one call the first are
    /// named, and the others counted: there may be thousands.
    pub(super) fn note_refusal(&mut self, note: Note) {
        if self.notes.len() < limits::NOTES_OF_A_CALL {
            self.notes.push(note);
        } else if let Some(Note::OthersRefused { count }) = self.notes.last_mut() {
            *count += 1;
        } else {
            self.notes.push(Note::OthersRefused { count: 1 });
        }
    }

    pub(super) fn ignore_report(&mut self, agent: &AgentId, reason: impl Into<String>) {
        self.notes.push(Note::ReportIgnored { agent: agent.clone(), reason: reason.into() });
    }
}
