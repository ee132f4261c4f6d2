//! One agent: how it is connected, what lives on it, and the ledger of its resources.
//!
//! `total = free + offered + used`, where used is what executors and live tasks take. Everything
//! that changes a side of this goes through a method here, which also keeps the books of who holds
//! what.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use muster_api::{Mono, Resources, Timestamp};
use muster_proto::{
    ExecutorId, FrameworkId, OfferId, TaskId, TaskState, Url, agent::OLDEST_VERSION,
};

use super::{
    books::Books,
    drain::Drain,
    event::Connection,
    here::{Executor, Here, Task},
};

/// An agent that the master knows.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) facts: Facts,
    pub(super) link: Link,
    /// That an operator wants it empty, if one does.
    pub(super) drain: Option<Drain>,
    /// Whether it has registered since this master started.
    pub(super) came: bool,
    /// The version of the agent protocol that it speaks.
    pub(super) speaks: u32,
    /// Where its executor API is, if it says so; it may listen elsewhere each time that it starts.
    pub(super) url: Option<Box<Url>>,
    /// When its newest hello was said, on its own clock since boot.
    pub(super) greeted: Option<u64>,
    /// When its last heartbeat was received; before the first, the master's start, or for an agent
    /// that nobody knew its registration.
    pub(super) heard: Mono,
    /// Its host has booted, and the embedded scheduler has not been told yet.
    pub(super) rebooted: bool,
    /// When it counted as unreachable to frameworks over HTTP, if it does.
    pub(super) unreachable: Option<Timestamp>,
    /// When it will.
    pub(super) loss: Option<Mono>,
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
    /// Bytes that frameworks over HTTP have launched there since its newest heartbeat.
    pub(super) launched_bytes: usize,
}

impl Agent {
    /// An agent that is not connected and on which nothing is known to live.
    pub(super) fn away(facts: Facts, heard: Mono) -> Self {
        Self {
            facts,
            link: Link::Away,
            drain: None,
            came: false,
            speaks: OLDEST_VERSION,
            url: None,
            greeted: None,
            heard,
            rebooted: false,
            unreachable: None,
            loss: None,
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
            Link::Up(Up { connection, answered: Some(number), watch: Some(_), .. }) => {
                Some((*connection, *number))
            }
            Link::Up(_) | Link::Away => None,
        }
    }

    /// Bytes that frameworks over HTTP have launched there since its newest heartbeat.
    pub(super) fn launched_bytes(&self) -> usize {
        match &self.link {
            Link::Away => 0,
            Link::Up(up) => up.launched_bytes,
        }
    }

    /// So many more are on their way to it.
    pub(super) fn count_launched(&mut self, bytes: usize) {
        if let Link::Up(up) = &mut self.link {
            up.launched_bytes += bytes;
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

    /// Takes out all that lives here; its resources are free.
    pub(super) fn clear_here(&mut self, books: &mut Books) -> BTreeMap<FrameworkId, Here> {
        for (of, here) in &self.here {
            here.held().for_each(|(role, what)| books.give_back(of, role, what));
        }
        self.used = Resources::none();
        mem::take(&mut self.here)
    }

    /// Puts in all that lives here, where nothing did. The caller has seen that it fits.
    pub(super) fn fill_here(&mut self, books: &mut Books, here: BTreeMap<FrameworkId, Here>) {
        debug_assert!(self.here.is_empty(), "it is filled when it is empty");
        for (of, here) in &here {
            for (role, what) in here.held() {
                books.take(of, role, what);
                self.used = plus(&self.used, what);
            }
        }
        self.here = here;
    }

    /// Takes out what of one framework lives here; its resources are free.
    pub(super) fn remove_framework(&mut self, books: &mut Books, of: &FrameworkId) -> Option<Here> {
        let here = self.here.remove(of)?;
        for (role, what) in here.held() {
            books.give_back(of, role, what);
            self.used = minus(&self.used, what);
        }
        Some(here)
    }

    pub(super) fn add_executor(
        &mut self,
        books: &mut Books,
        of: &FrameworkId,
        id: ExecutorId,
        executor: Executor,
    ) {
        books.take(of, &executor.role, &executor.resources);
        self.used = plus(&self.used, &executor.resources);
        let replaced = self.here_of(of).executors.insert(id, executor);
        debug_assert!(replaced.is_none(), "an executor is added once");
    }

    /// Takes an executor out; its resources are free.
    pub(super) fn remove_executor(
        &mut self,
        books: &mut Books,
        of: &FrameworkId,
        id: &ExecutorId,
    ) -> bool {
        let removed = self.here.get_mut(of).and_then(|here| here.executors.remove(id));
        self.forget_empty(of);
        match removed {
            None => false,
            Some(executor) => {
                books.give_back(of, &executor.role, &executor.resources);
                self.used = minus(&self.used, &executor.resources);
                true
            }
        }
    }

    pub(super) fn add_task(&mut self, books: &mut Books, of: &FrameworkId, id: TaskId, task: Task) {
        if let Some(held) = task.holds() {
            books.take(of, &task.role, held);
            self.used = plus(&self.used, held);
        }
        let replaced = self.here_of(of).tasks.insert(id, task);
        debug_assert!(replaced.is_none(), "a task is added once");
    }

    /// Takes a task out; what it still held is free.
    pub(super) fn remove_task(
        &mut self,
        books: &mut Books,
        of: &FrameworkId,
        id: &TaskId,
    ) -> Option<Task> {
        let task = self.here.get_mut(of)?.tasks.remove(id)?;
        self.forget_empty(of);
        if let Some(held) = task.holds() {
            books.give_back(of, &task.role, held);
            self.used = minus(&self.used, held);
        }
        Some(task)
    }

    /// Notes the newest state of a task. A terminal one is final and frees its resources; whether
    /// that happened now is the answer.
    pub(super) fn set_state(
        &mut self,
        books: &mut Books,
        of: &FrameworkId,
        id: &TaskId,
        state: TaskState,
    ) -> bool {
        let Some(task) = self.task_mut(of, id).filter(|task| !task.state.is_terminal()) else {
            return false;
        };
        task.state = state;
        if !state.is_terminal() {
            return false;
        }
        let (role, freed) = (task.role.clone(), task.resources.clone());
        books.give_back(of, &role, &freed);
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

    fn here_of(&mut self, of: &FrameworkId) -> &mut Here {
        if !self.here.contains_key(of) {
            self.here.insert(of.clone(), Here::default());
        }
        self.here.get_mut(of).expect("it was made a moment ago")
    }

    fn forget_empty(&mut self, of: &FrameworkId) {
        if self.here.get(of).is_some_and(|here| here.tasks.is_empty() && here.executors.is_empty())
        {
            self.here.remove(of);
        }
    }
}

fn plus(a: &Resources, b: &Resources) -> Resources {
    a.checked_add(b).expect("what an agent uses is within what it has, which is bounded")
}

fn minus(a: &Resources, b: &Resources) -> Resources {
    a.checked_sub(b).expect("only what was taken is given back")
}
