//! The statuses of each task, in order and at least once.
//!
//! Only the head of a task's queue is in flight; the next follows when the master has acknowledged
//! it. Unacknowledged heads are sent again on each new connection, and after 10 s doubling to
//! 10 min (the rule of the Mesos agent).

use std::{collections::VecDeque, time::Duration};

use muster_api::{
    Mono, Now, limits,
    task::{LABEL_STUCK, TaskReport},
};
use muster_proto::{
    ContainerStatus, ExecutorId, KillPolicy, Labels, Reason, StatusSource, TaskId, TaskInfo,
    TaskState, TaskStatus,
    agent::{Acknowledge, AgentBody, Status},
};
use prost::Message as _;

use super::{Agent, Container, Effect, Kind, Known, Step, TaskKey, Write};
use crate::wire;

/// Between two sendings of one status: from this, doubling ...
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// ... to this.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// Uuids that are kept of each task to know a repeated status by. Far more than an executor has
/// unacknowledged at one time.
const SEEN_MAX: usize = 128;

/// A task that the agent answers for, until its last status is acknowledged.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) info: TaskInfo,
    pub(super) executor: ExecutorId,
    /// Where it runs; `None` where nothing of it was started.
    pub(super) container: Option<Container>,
    /// What it was launched together with, by a number.
    pub(super) group: Option<u64>,
    /// Whether nobody has launched it here: an executor reports it all the same. It is known for as
    /// long as something about it waits for its acknowledgement.
    pub(super) is_stray: bool,
    /// Whether it is forgotten when the agent is restarted, and so never written down: its framework
    /// wants no checkpoints.
    pub(super) is_volatile: bool,
    /// Tasks are handed to their executor in this order.
    pub(super) order: u64,
    pub(super) state: TaskState,
    /// Whether its executor may have been given it.
    pub(super) delivered: bool,
    /// A kill that waits for the executor to subscribe.
    pub(super) kill: Option<PendingKill>,
    /// Whether it is watched that a kill ends it.
    pub(super) watched: bool,
    /// Why its executor gives itself up for it, if it does.
    pub(super) stuck: Option<String>,
    queue: VecDeque<TaskStatus>,
    /// Bytes of what is in the queue.
    queued_bytes: usize,
    seen: VecDeque<Vec<u8>>,
    /// When the head is sent again, and the wait after that.
    retry: Option<(Mono, Duration)>,
}

/// A kill that could not be forwarded yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingKill {
    pub(super) policy: Option<KillPolicy>,
}

/// What a status made by the agent says.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) labels: Option<Labels>,
    /// What the executor wrote last, where that may say why.
    pub(super) output: Option<String>,
    /// Where the executor of the task lives, if it does.
    pub(super) container: Option<ContainerStatus>,
}

impl Verdict {
    pub(super) fn new(state: TaskState, reason: Reason, message: impl Into<String>) -> Self {
        let (labels, output, container) = (None, None, None);
        Self { state, reason, message: message.into(), labels, output, container }
    }
}

impl Task {
    pub(super) fn new(info: TaskInfo, executor: ExecutorId, order: u64) -> Self {
        Self {
            info,
            executor,
            container: None,
            group: None,
            is_stray: false,
            is_volatile: false,
            order,
            state: TaskState::Staging,
            delivered: false,
            kill: None,
            watched: false,
            stuck: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            seen: VecDeque::new(),
            retry: None,
        }
    }

    /// Whether nothing more is to be said of it, now that `acknowledged` has left its queue.
    pub(super) fn is_done_with(&self, acknowledged: &TaskStatus) -> bool {
        acknowledged.state().is_terminal() || (self.is_stray && self.queue.is_empty())
    }

    /// The statuses that wait for their acknowledgement, the one in flight first.
    pub(super) fn queue(&self) -> impl Iterator<Item = &TaskStatus> {
        self.queue.iter()
    }

    /// The uuids of the statuses that came from the executor.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.seen.iter()
    }

    pub(super) fn has_seen(&self, uuid: &[u8]) -> bool {
        self.seen.iter().any(|seen| seen == uuid)
    }

    pub(super) fn remember(&mut self, uuid: Vec<u8>) {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(uuid);
    }

    /// Adds a status to the queue; says whether it is the head.
    pub(super) fn push(&mut self, status: TaskStatus) -> bool {
        self.state = status.state();
        let stuck = status.labels.as_ref().and_then(|labels| labels.get(LABEL_STUCK));
        if let Some(why) = stuck {
            self.stuck = Some(why.to_owned());
        }
        self.queued_bytes += status.encoded_len();
        self.queue.push_back(status);
        self.queue.len() == 1
    }

    /// Takes the head off the queue if `uuid` is its own.
    pub(super) fn pop(&mut self, uuid: &[u8]) -> Option<TaskStatus> {
        let head = self.queue.pop_front_if(|head| head.uuid.as_deref() == Some(uuid))?;
        self.queued_bytes -= head.encoded_len();
        Some(head)
    }
}

impl Agent {
    /// Whether another status of a task may wait, within these times the usual room. Frameworks may
    /// be away for long while their executors report all the time; and what one of them lets wait is
    /// to leave room for others.
    pub(super) fn has_room_for(&self, key: &TaskKey, status: &TaskStatus, times: usize) -> bool {
        let queued = self.tasks.get(key).map_or(0, |task| task.queue.len());
        let from = TaskKey { framework: key.framework.clone(), task: TaskId::default() };
        let its = self.tasks.range(from..);
        let its = its.take_while(|(other, _)| other.framework == key.framework);
        let bytes: usize = its.map(|(_, task)| task.queued_bytes).sum();
        queued < limits::STATUSES_WAITING * times
            && bytes + status.encoded_len() <= limits::STATUSES_WAITING_BYTES * times
    }

    /// Queues a status that the agent itself makes.
    pub(super) fn judge(&mut self, now: Now, key: &TaskKey, verdict: Verdict, step: &mut Step) {
        let Some(task) = self.tasks.get(key) else { return };
        let report = |output| TaskReport { output: Some(output), ..TaskReport::default() };
        let status = TaskStatus {
            task_id: Some(key.task.clone()),
            state: verdict.state as i32,
            message: Some(verdict.message),
            executor_id: Some(task.executor.clone()),
            source: Some(StatusSource::Agent as i32),
            reason: Some(verdict.reason as i32),
            uuid: Some(self.ids.uuid(now.wall).into_bytes().to_vec()),
            data: verdict.output.map(|output| report(output).encode()),
            labels: verdict.labels,
            container_status: verdict.container.map(Box::new),
            ..TaskStatus::default()
        };
        self.enqueue(now, key, status, step);
    }

    /// Queues a status, journals it, and sends it if it is the head.
    pub(super) fn enqueue(
        &mut self,
        now: Now,
        key: &TaskKey,
        mut status: TaskStatus,
        step: &mut Step,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let agent = self.identity.agent.as_ref();
        status.agent_id = agent.map(|agent| muster_proto::AgentId::new(agent.as_str()));
        status.timestamp = status.timestamp.or(Some(wire::seconds(now.wall)));
        let known = Known {
            framework_id: Some(key.framework.clone()),
            task_id: Some(key.task.clone()),
            status: Some(status.clone()),
        };
        if !task.is_volatile {
            step.writes.push(Write::Entry(Kind::Status(known).into()));
        }
        let is_head = task.push(status);
        let is_over = task.state.is_terminal() && !task.is_stray;
        let container = task.container.as_ref();
        if let Some(executor) = container.and_then(|name| self.executors.get_mut(name)) {
            executor.stuck |= task.stuck.is_some();
            if is_over {
                executor.tasks.remove(key);
            }
        }
        if is_over {
            step.effects.push(Effect::TaskOver { task: key.clone() });
        }
        if is_head {
            self.send_head(now, key, RETRY_FIRST, step);
        }
    }

    /// Sends the head of a task's queue, and plans to send it again after `wait`.
    pub(super) fn send_head(&mut self, now: Now, key: &TaskKey, wait: Duration, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Some((at, _)) = task.retry.take() {
            self.retries.remove(&(at, key.clone()));
        }
        let Some(head) = task.queue.front() else { return };
        if self.link.up().is_none() {
            return;
        }
        let body = AgentBody::Status(Status {
            framework_id: Some(key.framework.clone()),
            status: Some(head.clone()),
            latest_state: task.state as i32,
        });
        let at = now.mono + wait;
        task.retry = Some((at, (wait * 2).min(RETRY_MAX)));
        self.retries.insert((at, key.clone()));
        self.tell_master(body, step);
    }

    /// Sends all heads: the connection is new.
    pub(super) fn resend_all(&mut self, now: Now, step: &mut Step) {
        self.retries.clear();
        let keys: Vec<TaskKey> = self.tasks.keys().cloned().collect();
        for key in keys {
            self.send_head(now, &key, RETRY_FIRST, step);
        }
    }

    /// Sends the heads whose time has come again.
    pub(super) fn tick_statuses(&mut self, now: Now, step: &mut Step) {
        while let Some((at, key)) = self.retries.first().cloned() {
            if at > now.mono {
                break;
            }
            self.retries.pop_first();
            let wait = self.tasks.get(&key).and_then(|task| task.retry).map(|(_, wait)| wait);
            self.send_head(now, &key, wait.unwrap_or(RETRY_FIRST), step);
        }
    }

    /// The framework has custody of a status.
    pub(super) fn acknowledge(&mut self, now: Now, ack: Acknowledge, step: &mut Step) {
        let (Some(framework), Some(task_id)) = (ack.framework_id, ack.task_id) else {
            return step.ignore("an acknowledgement without ids", "");
        };
        let key = TaskKey { framework, task: task_id };
        let Some(task) = self.tasks.get_mut(&key) else {
            return step.ignore("the acknowledgement of a task that is not here", key.task.value);
        };
        let Some(status) = task.pop(&ack.uuid) else {
            return step.ignore("an acknowledgement out of order", key.task.value);
        };
        let known = Known {
            framework_id: Some(key.framework.clone()),
            task_id: Some(key.task.clone()),
            status: None,
        };
        if !task.is_volatile {
            step.writes.push(Write::Entry(Kind::Acknowledged(known).into()));
        }
        if let Some((at, _)) = task.retry.take() {
            self.retries.remove(&(at, key.clone()));
        }
        if task.is_done_with(&status) {
            self.tasks.remove(&key);
        } else {
            self.send_head(now, &key, RETRY_FIRST, step);
        }
    }
}
