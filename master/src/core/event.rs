//! What the master is told, and what it answers.

use std::{collections::BTreeMap, fmt};

use muster_api::{AgentId, Mono, Resources, step::Write};
use muster_proto::{
    FrameworkId,
    agent::{AgentBody, Hello, MasterBody},
    scheduler,
};

/// One connection of an agent; the shell numbers them and never uses a number again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(pub u64);

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
    /// A call of the framework that is named in it; a first SUBSCRIBE names none.
    Call(scheduler::Call),
    /// The stream of a framework has ended.
    Left {
        /// Whose.
        framework: FrameworkId,
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
    /// Give this to a framework.
    ToFramework {
        /// Which.
        framework: FrameworkId,
        /// The event.
        event: scheduler::Event,
    },
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

/// A decision that an operator may ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An agent has registered.
    AgentRegistered {
        /// Its id.
        agent: AgentId,
        /// Its host name.
        hostname: String,
        /// Whether its host has booted since it was last here.
        rebooted: bool,
    },
    /// An agent was turned away.
    AgentRefused {
        /// Its host name.
        hostname: String,
        /// Why.
        reason: String,
    },
    /// An agent is silent; its offers are rescinded.
    AgentSilent {
        /// Its id.
        agent: AgentId,
    },
    /// A silent agent is heard again.
    AgentHeard {
        /// Its id.
        agent: AgentId,
    },
    /// An agent was silent for so long that it has to say anew what lives there.
    AgentStale {
        /// Its id.
        agent: AgentId,
    },
    /// An operator declared an agent gone.
    AgentGone {
        /// Its id.
        agent: AgentId,
    },
    /// An operator wants an agent empty.
    AgentDraining {
        /// Its id.
        agent: AgentId,
    },
    /// An agent that was drained is used again.
    AgentActivated {
        /// Its id.
        agent: AgentId,
    },
    /// A message of an agent had no effect.
    ReportIgnored {
        /// Its id.
        agent: AgentId,
        /// Why.
        reason: String,
    },
    /// A call, or a part of one, had no effect.
    CallIgnored {
        /// Whose; empty when it named nobody.
        framework: String,
        /// Why.
        reason: String,
    },
    /// A task was not launched.
    TaskRefused {
        /// Its Mesos id.
        task: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentRegistered { agent, hostname, rebooted } => {
                let how = if *rebooted { ", its host has booted" } else { "" };
                write!(f, "agent {agent} on {hostname} has registered{how}")
            }
            Self::AgentRefused { hostname, reason } => {
                write!(f, "the agent on {hostname} was refused: {reason}")
            }
            Self::AgentSilent { agent } => write!(f, "agent {agent} is silent"),
            Self::AgentHeard { agent } => write!(f, "agent {agent} is heard again"),
            Self::AgentStale { agent } => {
                write!(f, "agent {agent} is heard again after long silence and must register anew")
            }
            Self::AgentGone { agent } => write!(f, "agent {agent} was declared gone"),
            Self::AgentDraining { agent } => write!(f, "agent {agent} is being drained"),
            Self::AgentActivated { agent } => write!(f, "agent {agent} is used again"),
            Self::ReportIgnored { agent, reason } => {
                write!(f, "a message of agent {agent} was ignored: {reason}")
            }
            Self::CallIgnored { framework, reason } => {
                write!(f, "a call of framework `{framework}` was ignored: {reason}")
            }
            Self::TaskRefused { task, reason } => {
                write!(f, "task `{task}` was not launched: {reason}")
            }
        }
    }
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

    pub(super) fn tell_framework(&mut self, framework: &FrameworkId, event: scheduler::Event) {
        self.effects.push(Effect::ToFramework { framework: framework.clone(), event });
    }

    pub(super) fn news(&mut self, news: AgentNews) {
        self.effects.push(Effect::Agent(news));
    }

    pub(super) fn ignore_call(&mut self, framework: &FrameworkId, reason: impl Into<String>) {
        let framework = framework.value.clone();
        self.notes.push(Note::CallIgnored { framework, reason: reason.into() });
    }

    pub(super) fn ignore_report(&mut self, agent: &AgentId, reason: impl Into<String>) {
        self.notes.push(Note::ReportIgnored { agent: agent.clone(), reason: reason.into() });
    }
}
