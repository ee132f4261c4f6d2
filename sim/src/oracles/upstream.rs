//! What must hold where the hosts are those of another master: what the scheduler tells it, and when
//! it may call dead what nobody can say anything of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_api::{
    TaskId,
    step::{Records, Write},
    views::OfferView,
};
use muster_engine::records::{self, PastTaskRecord};
use muster_proto::{
    ExecutorId, ExecutorInfo, TaskInfo, TaskState,
    scheduler::{Call, Event, EventType},
};

use super::{Truth, Verdict, broken};

/// What is known of the tasks and executors on hosts of another master.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// How long a task counts as perhaps alive of which nobody can say anything, in milliseconds of
    /// the world. Nothing where the master is the scheduler's own.
    wait: Option<u64>,
    /// Each task of which the scheduler was told that nobody can say whether it lives.
    doubted: BTreeMap<TaskId, Doubt>,
    /// Those that were heard of since, in what is being committed.
    heard: Vec<TaskId>,
    /// Those of a framework that the master has removed: nobody will ever say anything of them.
    disowned: BTreeSet<TaskId>,
    /// The agents of tasks that were launched.
    agents: BTreeMap<TaskId, String>,
    /// Tasks that were called dead after that wait: nothing is promised of them any more.
    given_up: BTreeSet<TaskId>,
    /// The descriptions of executors, as they were sent first.
    described: BTreeMap<ExecutorId, ExecutorInfo>,
    /// Tasks whose launch has reached the master.
    launched: BTreeSet<TaskId>,
}

/// For how long nobody could say whether a task lives. It counts while there is a subscription in
/// which the master has said so: who is cut off himself hears of nobody.
#[derive(Debug, Default)]
struct Doubt {
    before: u64,
    since: Option<u64>,
}

impl Doubt {
    fn lasts(&self, time: u64) -> u64 {
        self.before + self.since.map_or(0, |since| time - since)
    }
}

impl Upstream {
    fn doubt(&mut self, task: TaskId, time: u64) {
        self.doubted.entry(task).or_default().since.get_or_insert(time);
    }
}

impl Truth {
    /// The hosts are those of another master, and so long a task counts as perhaps alive.
    pub(crate) fn has_foreign_master(&mut self, wait: Duration) {
        // Clocks are a little wrong.
        let least = wait - wait / 1_000;
        self.upstream.wait = Some(u64::try_from(least.as_millis()).unwrap_or(u64::MAX));
    }

    /// The scheduler's process has started: what it knew of doubts was in its memory.
    pub(crate) fn doubts_begin_anew(&mut self) {
        self.upstream.doubted.clear();
        self.upstream.heard.clear();
    }

    /// There is no subscription any more: no wait goes on.
    pub(crate) fn is_cut_off(&mut self) {
        let time = self.time;
        for doubt in self.upstream.doubted.values_mut() {
            *doubt = Doubt { before: doubt.lasts(time), since: None };
        }
    }

    /// What was being committed is: from now on it counts what was heard. What is said of tasks of a
    /// framework that was removed counts for nothing: to its master they are those of nobody.
    pub(crate) fn commit_is_over(&mut self) {
        let upstream = &mut self.upstream;
        for task in std::mem::take(&mut upstream.heard) {
            if !upstream.disowned.contains(&task) {
                upstream.doubted.remove(&task);
            }
        }
    }

    /// Whether nothing is promised of a task: it was called dead after the wait.
    pub(crate) fn is_given_up(&self, task: &TaskId) -> bool {
        self.upstream.given_up.contains(task)
    }

    /// What the scheduler is told of tasks, as far as it says whether they live.
    pub(crate) fn heard_of(&mut self, event: &Event) {
        let (time, upstream) = (self.time, &mut self.upstream);
        match event.r#type() {
            EventType::Subscribed => {
                for task in upstream.disowned.clone() {
                    upstream.doubt(task, time);
                }
            }
            EventType::Update => {
                let status = event.update.as_ref().and_then(|update| update.status.as_ref());
                let Some(status) = status else { return };
                let id = status.task_id.as_ref().and_then(|id| id.value.parse::<TaskId>().ok());
                let Some(task) = id else { return };
                match status.state() {
                    TaskState::Unreachable | TaskState::Unknown | TaskState::Lost => {
                        upstream.doubt(task, time);
                    }
                    _ => upstream.heard.push(task),
                }
            }
            EventType::Failure => {
                let failure = event.failure.clone().unwrap_or_default();
                if let (None, Some(lost)) = (failure.executor_id, failure.agent_id) {
                    let there = upstream.agents.iter().filter(|(_, agent)| **agent == lost.value);
                    for task in there.map(|(task, _)| *task).collect::<Vec<_>>() {
                        upstream.doubt(task, time);
                    }
                }
            }
            EventType::Error => upstream.disowned.extend(upstream.agents.keys()),
            _ => {}
        }
    }

    /// A commit says that tasks are over: those are given up which may be, for nobody could say for
    /// long enough whether they live. Of others what is over must not run.
    pub(crate) fn see_given_up(&mut self, writes: &[Write]) {
        let Some(wait) = self.upstream.wait else { return };
        for write in writes {
            let Write::Put { key, value } = write else { continue };
            if !key.starts_with(records::PAST_TASKS.as_bytes()) {
                continue;
            }
            let Ok(past) = records::decode::<PastTaskRecord>(value) else { continue };
            let doubt = self.upstream.doubted.remove(&past.task);
            self.upstream.agents.remove(&past.task);
            self.upstream.disowned.remove(&past.task);
            if doubt.is_some_and(|doubt| doubt.lasts(self.time) >= wait) {
                self.upstream.given_up.insert(past.task);
            }
        }
    }

    /// A call reaches the master: no task is launched twice.
    pub(crate) fn nothing_is_launched_twice(&mut self, call: &Call) -> Verdict {
        match tasks_of(call).filter_map(id_of).find(|id| !self.upstream.launched.insert(*id)) {
            None => Ok(()),
            Some(id) => {
                let what = format!("the launch of task {id} arrives, and did so before");
                broken("nothing_is_launched_twice", what)
            }
        }
    }

    /// A call leaves: an executor is described by the same bytes each time, or the master refuses it.
    pub(crate) fn executors_are_described_alike(&mut self, call: &Call) -> Verdict {
        for task in tasks_of(call) {
            if let (Some(id), Some(agent)) = (id_of(task), &task.agent_id) {
                self.upstream.agents.insert(id, agent.value.clone());
            }
            let Some(info) = &task.executor else { continue };
            let id = info.executor_id.clone().unwrap_or_default();
            let first = self.upstream.described.entry(id.clone()).or_insert_with(|| info.clone());
            if first != info {
                let what = format!("executor {id} is described in other words than at first");
                return broken("executors_are_described_alike", what);
            }
        }
        Ok(())
    }
}

/// What another master is told is on the disk: tasks that are launched, and the ends of those whose
/// status is acknowledged.
pub(crate) fn what_is_told_to_a_master_is_stored(
    truth: &Truth,
    store: &Records,
    call: &Call,
) -> Verdict {
    let is_stored = |task: &str| store.contains_key(format!("{}{task}", records::TASKS).as_bytes());
    if let Some(ack) = &call.acknowledge
        && let Some(task) = truth.terminals.get(&ack.uuid)
        && is_stored(task)
    {
        let what = format!("the end of task {task} is acknowledged, and it is stored as alive");
        return broken("what_is_acknowledged_is_stored", what);
    }
    let ids = tasks_of(call).filter_map(|task| task.task_id.as_ref());
    // What was called off within the same commit is over by then.
    let is_over = |task: &str| task.parse().is_ok_and(|id| truth.tasks_over.contains(&id));
    match ids.map(|id| &id.value).find(|id| !is_stored(id) && !is_over(id)) {
        None => Ok(()),
        Some(id) => {
            let what = format!("task {id} is launched, and not stored");
            broken("what_is_launched_is_stored", what)
        }
    }
}

/// Nobody keeps an offer when there is nothing to do: it would be of use to nobody.
pub(crate) fn no_offer_is_kept(offer: Option<OfferView>) -> Verdict {
    match offer {
        None => Ok(()),
        Some(offer) => {
            let what = format!("offer {} of {} for {}", offer.id, offer.hostname, offer.held_for);
            broken("no_offer_is_kept", what)
        }
    }
}

fn tasks_of(call: &Call) -> impl Iterator<Item = &TaskInfo> {
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    operations.flat_map(|operation| &operation.launch).flat_map(|launch| &launch.task_infos)
}

fn id_of(task: &TaskInfo) -> Option<TaskId> {
    task.task_id.as_ref()?.value.parse().ok()
}
