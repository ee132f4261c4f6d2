//! What an operator may want to know of the master's decisions.

use std::fmt;

use muster_api::AgentId;

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
    /// More of the same call was refused, or had no effect.
    OthersRefused {
        /// How much.
        count: usize,
    },
    /// A framework has subscribed over HTTP.
    FrameworkSubscribed {
        /// Its id.
        framework: String,
        /// Its name.
        name: String,
    },
    /// A framework over HTTP is away.
    FrameworkLeft {
        /// Its id.
        framework: String,
    },
    /// A framework has ended, with all that it ran.
    FrameworkRemoved {
        /// Its id.
        framework: String,
        /// Why.
        reason: &'static str,
    },
    /// An agent was silent for so long that its tasks count as lost.
    AgentUnreachable {
        /// Its id.
        agent: AgentId,
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
            Self::OthersRefused { count } => {
                write!(f, "{count} more tasks or operations of this call were refused")
            }
            Self::FrameworkSubscribed { framework, name } => {
                write!(f, "framework `{framework}`, called `{name}`, has subscribed")
            }
            Self::FrameworkLeft { framework } => write!(f, "framework `{framework}` is away"),
            Self::FrameworkRemoved { framework, reason } => {
                write!(f, "framework `{framework}` was removed: {reason}")
            }
            Self::AgentUnreachable { agent } => {
                write!(f, "agent {agent} is unreachable, and its tasks count as lost")
            }
        }
    }
}
