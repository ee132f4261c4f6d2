//! What runs on this host, for people and consoles.

use std::{collections::BTreeMap, net::IpAddr};

use muster_api::{AgentId, Resources};
use muster_proto::{TaskId, TaskState};

use super::{Agent, Container, ExecutorKey};
use crate::wire;

/// What runs on this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// The agent's id, once it has one.
    pub agent: Option<AgentId>,
    /// The host's name.
    pub hostname: String,
    /// The address of the executor API.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// What may be used here.
    pub resources: Resources,
    /// Facts about this host.
    pub attributes: BTreeMap<String, String>,
    /// The executors, those of a framework together.
    pub executors: Vec<ExecutorView>,
}

/// An executor that is not known to be dead.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutorView {
    /// What it is known by to its framework.
    pub key: ExecutorKey,
    /// Its name for people.
    pub name: String,
    /// Its container.
    pub container: Container,
    /// What its process uses, beside its tasks.
    pub resources: Resources,
    /// Its tasks that are not over, and their states.
    pub tasks: Vec<(TaskId, TaskState)>,
}

impl Agent {
    /// What runs here now.
    pub fn overview(&self) -> Overview {
        let views = self.executors.iter().map(|(container, executor)| {
            let tasks = executor.tasks.iter().filter_map(|key| {
                let state = self.tasks.get(key)?.state;
                Some((key.task.clone(), state))
            });
            ExecutorView {
                key: executor.key(),
                name: executor.info.name.clone().unwrap_or_default(),
                container: container.clone(),
                resources: wire::resources(&executor.info.resources),
                tasks: tasks.collect(),
            }
        });
        let mut executors: Vec<_> = views.collect();
        executors.sort_by(|a, b| a.key.cmp(&b.key));
        Overview {
            agent: self.identity.agent.clone(),
            hostname: self.config.hostname.clone(),
            ip: self.config.ip,
            port: self.config.port,
            resources: self.config.resources.clone(),
            attributes: self.config.attributes.clone(),
            executors,
        }
    }
}
