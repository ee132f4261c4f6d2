//! What of executors and tasks is told in a hello: what the master counts, and no more. What else
//! their frameworks have said of them may be long, and all that lives on a host is one message.
//! Masters of before that was so compare whole descriptions, and are told them.

use std::collections::BTreeSet;

use muster_proto::{
    AllocationInfo, CommandInfo, ExecutorInfo, FrameworkInfo, Resource, TaskInfo,
    agent::{ExecutorHere, TaskHere, executor_digest},
};

use super::{Agent, origin::Origin};
use crate::wire;

/// From this version of the agent protocol on masters know executors by their digests.
const OUTLINES: u32 = 2;

impl Agent {
    /// The executors that are not known to be dead. Those that this agent has made itself are part
    /// of their tasks.
    pub(super) fn executors_here(&self, version: u32) -> Vec<ExecutorHere> {
        let mut described = BTreeSet::new();
        let executors = self.executors.values().filter(|e| e.origin != Origin::Command);
        let here = executors.map(|executor| {
            if version < OUTLINES {
                return ExecutorHere {
                    framework: Some(executor.framework.clone()),
                    executor: Some(executor.info.clone()),
                    ..ExecutorHere::default()
                };
            }
            let framework = if described.insert(executor.framework.id.as_ref()) {
                outline_of_framework(&executor.framework)
            } else {
                FrameworkInfo { id: executor.framework.id.clone(), ..FrameworkInfo::default() }
            };
            ExecutorHere {
                framework: Some(framework),
                executor: Some(outline_of_executor(&executor.info)),
                digest: executor_digest(&executor.info),
            }
        });
        here.collect()
    }

    /// The tasks that are not acknowledged to the end.
    pub(super) fn tasks_here(&self, version: u32) -> Vec<TaskHere> {
        let tasks = self.tasks.iter().filter(|(_, task)| !task.is_stray);
        let here = tasks.map(|(key, task)| TaskHere {
            framework_id: Some(key.framework.clone()),
            task: Some(if version < OUTLINES {
                task.info.clone()
            } else {
                outline_of_task(&task.info)
            }),
            state: task.state as i32,
        });
        here.collect()
    }
}

/// A framework without what it says of itself at length. It says that again when it comes back.
fn outline_of_framework(framework: &FrameworkInfo) -> FrameworkInfo {
    FrameworkInfo {
        labels: None,
        webui_url: None,
        offer_filters: Default::default(),
        ..framework.clone()
    }
}

fn outline_of_executor(executor: &ExecutorInfo) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: executor.executor_id.clone(),
        framework_id: executor.framework_id.clone(),
        resources: sum(&executor.resources),
        ..ExecutorInfo::default()
    }
}

fn outline_of_task(task: &TaskInfo) -> TaskInfo {
    let named = |executor: &ExecutorInfo| ExecutorInfo {
        executor_id: executor.executor_id.clone(),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        task_id: task.task_id.clone(),
        resources: sum(&task.resources),
        executor: task.executor.as_ref().map(named),
        command: task.command.as_ref().map(|_| CommandInfo::default()),
        ..TaskInfo::default()
    }
}

/// The same amounts for the same role, each resource named once.
fn sum(resources: &[Resource]) -> Vec<Resource> {
    let mut roles = resources.iter().filter_map(|one| one.allocation_info.as_ref()?.role.clone());
    let allocation_info = roles.next().map(|role| AllocationInfo { role: Some(role) });
    let sum = wire::resources(resources);
    let named = |(name, amount): (&str, muster_api::Amount)| Resource {
        allocation_info: allocation_info.clone(),
        ..Resource::scalar(name, amount.as_f64())
    };
    sum.iter().map(named).collect()
}
