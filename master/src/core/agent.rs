//! One agent: how it is connected, what lives on it, and the ledger of its resources.
//!
//! `total = free + offered + used`, where used is what executors and live tasks take. Everything
//! that changes a side of this goes through a method here.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{Mono, Resources};
use muster_proto::{ExecutorId, ExecutorInfo, FrameworkId, KillPolicy, OfferId, TaskId, TaskState};

use super::{drain::Drain, event::Connection};

/// An agent that the master knows.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) facts: Facts,
    pub(super) link: Link,
    /// That an operator wants it empty, if one does.
    pub(super) drain: Option<Drain>,
    /// Whether it has registered since this master started.
    pub(super) came: bool,
    /// When its newest hello was said, on its own clock since boot.
    pub(super) greeted: Option<u64>,
    /// When its last heartbeat was received; before the first, the master's start, or for an agent
    /// that nobody knew its registration.
    pub(super) heard: Mono,
    /// Its host has booted, and the embedded scheduler has not been told yet.
    pub(super) rebooted: bool,
    /// What lives on it, by framework.
    pub(super) here: BTreeMap<FrameworkId, Here>,
    /// Its outstanding offers.
    pub(super) offers: BTreeSet<OfferId>,
    pub(super) used: Resources,
    pub(super) offered: Resources,
}

/// What an agent says of itself, and what is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) hostname: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) resources: Resources,
    pub(super) boot_id: String,
}

/// How an agent is connected.
#[derive(Debug)]
pub(super) enum Link {
    /// It is not.
    Away,
    /// It has registered on a connection that is not known to be broken.
    Up(Up),
}

/// A connected agent.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) connection: Connection,
    /// The newest heartbeat that was answered on this connection.
    pub(super) answered: Option<u64>,
    /// When it will be called silent; absent when it is silent.
    pub(super) watch: Option<Mono>,
}

/// What of one framework lives on one agent.
#[derive(Debug, Default)]
pub(super) struct Here {
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
}

/// An executor that is not known to be dead.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) info: ExecutorInfo,
    pub(super) resources: Resources,
    /// Whether the agent has shown that it has it. An executor whose every launch was dropped
    /// never was, and nobody will report its end.
    pub(super) proved: bool,
}

/// A task whose terminal status is not acknowledged.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) executor: ExecutorId,
    pub(super) resources: Resources,
    /// The newest state that its agent is known to know.
    pub(super) state: TaskState,
    /// The newest state that its framework was sent.
    pub(super) reported: Option<TaskState>,
    /// The uuid of its terminal status, once that was sent.
    pub(super) last_uuid: Option<Vec<u8>>,
    /// The kill that was asked for, to be sent again when its agent comes back.
    pub(super) kill: Option<Kill>,
}

/// A kill that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub(super) policy: Option<KillPolicy>,
}

impl Agent {
    /// An agent that is not connected and on which nothing is known to live.
    pub(super) fn away(facts: Facts, heard: Mono) -> Self {
        Self {
            facts,
            link: Link::Away,
            drain: None,
            came: false,
            greeted: None,
            heard,
            rebooted: false,
            here: BTreeMap::new(),
            offers: BTreeSet::new(),
            used: Resources::none(),
            offered: Resources::none(),
        }
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        match &self.link {
            Link::Away => None,
            Link::Up(up) => Some(up.connection),
        }
    }

    /// Whether it is not heard at present.
    pub(super) fn is_silent(&self) -> bool {
        match &self.link {
            Link::Away => true,
            Link::Up(up) => up.watch.is_none(),
        }
    }

    /// The connection and the newest answered heartbeat, if tasks may be launched here.
    pub(super) fn launchable(&self) -> Option<(Connection, u64)> {
        match &self.link {
            Link::Up(Up { connection, answered: Some(number), watch: Some(_) }) => {
                Some((*connection, *number))
            }
            Link::Up(_) | Link::Away => None,
        }
    }

    /// What is neither used nor offered.
    pub(super) fn free(&self) -> Resources {
        let unused = minus(&self.facts.resources, &self.used);
        minus(&unused, &self.offered)
    }

    pub(super) fn executor(&self, of: &FrameworkId, id: &ExecutorId) -> Option<&Executor> {
        self.here.get(of)?.executors.get(id)
    }

    pub(super) fn task_mut(&mut self, of: &FrameworkId, id: &TaskId) -> Option<&mut Task> {
        self.here.get_mut(of)?.tasks.get_mut(id)
    }

    /// Replaces all that lives here. The caller has seen that it fits.
    pub(super) fn replace_here(&mut self, here: BTreeMap<FrameworkId, Here>) {
        self.used = here.values().fold(Resources::none(), |sum, here| plus(&sum, &here.used()));
        self.here = here;
    }

    pub(super) fn add_executor(&mut self, of: &FrameworkId, id: ExecutorId, executor: Executor) {
        self.used = plus(&self.used, &executor.resources);
        let here = self.here.entry(of.clone()).or_default();
        let replaced = here.executors.insert(id, executor);
        debug_assert!(replaced.is_none(), "an executor is added once");
    }

    /// Takes an executor out; its resources are free.
    pub(super) fn remove_executor(&mut self, of: &FrameworkId, id: &ExecutorId) -> bool {
        let removed = self.here.get_mut(of).and_then(|here| here.executors.remove(id));
        self.forget_empty(of);
        match removed {
            None => false,
            Some(executor) => {
                self.used = minus(&self.used, &executor.resources);
                true
            }
        }
    }

    pub(super) fn add_task(&mut self, of: &FrameworkId, id: TaskId, task: Task) {
        if let Some(held) = task.holds() {
            self.used = plus(&self.used, held);
        }
        let here = self.here.entry(of.clone()).or_default();
        let replaced = here.tasks.insert(id, task);
        debug_assert!(replaced.is_none(), "a task is added once");
    }

    /// Takes a task out; what it still held is free.
    pub(super) fn remove_task(&mut self, of: &FrameworkId, id: &TaskId) -> Option<Task> {
        let task = self.here.get_mut(of)?.tasks.remove(id)?;
        self.forget_empty(of);
        if let Some(held) = task.holds() {
            self.used = minus(&self.used, held);
        }
        Some(task)
    }

    /// Notes the newest state of a task. A terminal one is final and frees its resources; whether
    /// that happened now is the answer.
    pub(super) fn set_state(&mut self, of: &FrameworkId, id: &TaskId, state: TaskState) -> bool {
        let Some(task) = self.task_mut(of, id).filter(|task| !task.state.is_terminal()) else {
            return false;
        };
        task.state = state;
        if !state.is_terminal() {
            return false;
        }
        let freed = task.resources.clone();
        self.used = minus(&self.used, &freed);
        true
    }

    pub(super) fn add_offer(&mut self, id: OfferId, resources: &Resources) {
        self.offered = plus(&self.offered, resources);
        self.offers.insert(id);
    }

    pub(super) fn remove_offer(&mut self, id: &OfferId, resources: &Resources) {
        if self.offers.remove(id) {
            self.offered = minus(&self.offered, resources);
        }
    }

    fn forget_empty(&mut self, of: &FrameworkId) {
        if self.here.get(of).is_some_and(|here| here.tasks.is_empty() && here.executors.is_empty())
        {
            self.here.remove(of);
        }
    }
}

impl Here {
    /// What its executors and live tasks take.
    pub(super) fn used(&self) -> Resources {
        let executors = self.executors.values().map(|executor| &executor.resources);
        let tasks = self.tasks.values().filter_map(Task::holds);
        executors.chain(tasks).fold(Resources::none(), |sum, each| plus(&sum, each))
    }
}

impl Task {
    /// The resources that it holds: none once it is over.
    pub(super) fn holds(&self) -> Option<&Resources> {
        (!self.state.is_terminal()).then_some(&self.resources)
    }
}

fn plus(a: &Resources, b: &Resources) -> Resources {
    a.checked_add(b).expect("what an agent uses is within what it has, which is bounded")
}

fn minus(a: &Resources, b: &Resources) -> Resources {
    a.checked_sub(b).expect("only what was taken is given back")
}
