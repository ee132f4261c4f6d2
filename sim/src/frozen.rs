//! What is frozen: processes that were stopped, and hosts that sleep. Their clocks go on, and what is
//! meant for them waits, as it does in the kernel.

use std::{collections::BTreeMap, fmt};

use muster_proto::ExecutorId;

use crate::happening::Happening;

/// Who can be frozen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The scheduler's process.
    Scheduler,
    /// The process of a master that is not the scheduler's own.
    Master,
    /// A host, with everything on it.
    Host(usize),
    /// The process of an agent.
    Agent(usize),
    /// A supervisor. What is under it goes on.
    Supervisor(usize, ExecutorId),
    /// The process of an executor, and the handlers in it. Scripts have process groups of their
    /// own, and go on.
    Executor(usize, ExecutorId),
}

impl Who {
    /// The host that it is on; those of scheduler and master are never frozen as a whole.
    fn host(&self) -> Option<usize> {
        match self {
            Self::Scheduler | Self::Master => None,
            Self::Host(host)
            | Self::Agent(host)
            | Self::Supervisor(host, _)
            | Self::Executor(host, _) => Some(*host),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduler => f.write_str("scheduler"),
            Self::Master => f.write_str("master"),
            Self::Host(host) => write!(f, "host{host}"),
            Self::Agent(host) => write!(f, "host{host}: agent"),
            Self::Supervisor(host, id) => write!(f, "host{host}: the supervisor of {id}"),
            Self::Executor(host, id) => write!(f, "host{host}: executor {id}"),
        }
    }
}

/// All that is frozen now.
#[derive(Debug, Default)]
pub(crate) struct Frozen {
    all: BTreeMap<Who, Frost>,
    freezes: u64,
}

#[derive(Debug)]
struct Frost {
    /// Numbers freezes, so that one that ended early is not ended again.
    freeze: u64,
    /// What has waited for it since, in order.
    backlog: Vec<Happening>,
}

impl Frozen {
    /// Whether nobody is.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Begins a freeze, unless there is one; gives its number.
    pub(crate) fn freeze(&mut self, who: Who) -> Option<u64> {
        if self.all.contains_key(&who) {
            return None;
        }
        self.freezes += 1;
        self.all.insert(who, Frost { freeze: self.freezes, backlog: Vec::new() });
        Some(self.freezes)
    }

    /// Whether this very freeze goes on.
    pub(crate) fn is(&self, who: &Who, freeze: u64) -> bool {
        self.all.get(who).is_some_and(|frost| frost.freeze == freeze)
    }

    /// Ends a freeze; gives what has waited.
    pub(crate) fn thaw(&mut self, who: &Who) -> Option<Vec<Happening>> {
        self.all.remove(who).map(|frost| frost.backlog)
    }

    /// Whether somebody is frozen: alone, or with the whole host.
    pub(crate) fn holds(&self, who: &Who) -> bool {
        self.key(who).is_some()
    }

    /// Lets something wait for somebody who is frozen; gives it back if nobody is.
    pub(crate) fn keep(&mut self, who: &Who, happening: Happening) -> Option<Happening> {
        let frost = self.key(who).and_then(|key| self.all.get_mut(&key));
        match frost {
            None => Some(happening),
            Some(frost) => {
                frost.backlog.push(happening);
                None
            }
        }
    }

    /// As whom somebody is frozen.
    fn key(&self, who: &Who) -> Option<Who> {
        let host = who.host().map(Who::Host).filter(|host| self.all.contains_key(host));
        host.or_else(|| self.all.contains_key(who).then(|| who.clone()))
    }
}
