//! A framework beside our scheduler, on the same master: simple and greedy. It launches commands on
//! what it is offered, kills some, and asks for the truth about them now and again.

mod connection;
mod tasks;

use std::collections::BTreeMap;

use muster_proto::{
    Capability, CapabilityType, FrameworkId, FrameworkInfo, TaskId,
    scheduler::{Call, CallType, Subscribe},
};

pub(crate) use self::tasks::NEEDS;
use self::{connection::Connection, tasks::Task};
use crate::stage::Stage;

/// How long it waits for what it has asked for, at most, and for a heartbeat.
const PATIENCE: u64 = 75_000;
/// How often it asks about its tasks.
const RECONCILES: u64 = 60_000;

/// A framework beside our scheduler.
#[derive(Debug)]
pub(crate) struct GuestNode {
    info: FrameworkInfo,
    id: Option<FrameworkId>,
    connection: Option<Connection>,
    attempts: u64,
    /// All tasks that it has ever launched.
    tasks: BTreeMap<TaskId, Task>,
    /// How many it launches at most.
    most: usize,
    reconciles_at: u64,
    /// It wants nothing new, and its tasks are to end.
    retires: bool,
    suppressed: bool,
}

impl GuestNode {
    pub(crate) fn new(stage: &mut Stage) -> Self {
        let knows_partitions = stage.percent(70);
        let kind = CapabilityType::PartitionAware as i32;
        let capability = Capability { r#type: Some(kind) };
        let seconds = if stage.percent(50) { 3_600 } else { stage.between(0, 120) };
        let info = FrameworkInfo {
            user: "guest".to_owned(),
            name: "guest".to_owned(),
            failover_timeout: Some(f64::from(u32::try_from(seconds).unwrap_or(0))),
            checkpoint: Some(stage.percent(70)),
            capabilities: if knows_partitions { vec![capability] } else { Vec::new() },
            ..FrameworkInfo::default()
        };
        Self {
            info,
            id: None,
            connection: None,
            attempts: 0,
            tasks: BTreeMap::new(),
            most: usize::try_from(stage.between(1, 40)).unwrap_or(1),
            reconciles_at: 0,
            retires: false,
            suppressed: false,
        }
    }

    /// Faults are over: it is to come to rest.
    pub(crate) fn retire(&mut self) {
        self.retires = true;
    }

    /// Whether it knows of each task that it is over, and holds nothing.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.suppressed && self.tasks.values().all(Task::is_over)
    }

    /// What of it goes on, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        let left = self.tasks.iter().filter(|(_, task)| !task.is_over());
        left.map(|(id, task)| format!("the guest's {id}: {task:?}")).collect()
    }

    /// The time has come to do something.
    pub(crate) fn act(&mut self, stage: &mut Stage) {
        let time = stage.time();
        if self.connection.as_ref().is_some_and(|it| it.heard_at + PATIENCE < time) {
            stage.log(format_args!("guest: the master is not heard any more"));
            self.hang_up(stage);
        }
        if self.connection.is_none() {
            return self.dial(stage);
        }
        if !self.is_subscribed() {
            return;
        }
        if self.reconciles_at <= time {
            self.reconciles_at = time + RECONCILES;
            self.reconcile(stage);
        }
        if self.retires {
            self.end_all(stage);
        } else if stage.percent(10) {
            self.kill_one(stage);
        }
    }

    /// The call that begins a subscription.
    fn subscribe(&self) -> Call {
        let info = FrameworkInfo { id: self.id.clone(), ..self.info.clone() };
        let subscribe = Subscribe { framework_info: Some(info), ..Subscribe::default() };
        Call { subscribe: Some(subscribe), ..self.bare(CallType::Subscribe) }
    }

    fn bare(&self, kind: CallType) -> Call {
        Call { framework_id: self.id.clone(), r#type: Some(kind as i32), ..Call::default() }
    }
}
