//! `/state`: what consoles and clients read of a master, as Mesos writes it.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, pin::Pin};

use muster_api::{
    Resources, Timestamp,
    views::{AgentState, AgentView, ClusterView, FrameworkState, FrameworkTaskView, FrameworkView},
};
use serde_json::{Map, Value, json};

use super::streams::{MESOS_VERSION, master_info};

/// Whoever knows what the master has, for those who ask for all of it by HTTP.
pub trait Cluster: std::fmt::Debug + Send + Sync {
    /// What it has now; nothing when it cannot be asked.
    fn look(&self) -> Pin<Box<dyn Future<Output = Option<ClusterView>> + Send + '_>>;
}

/// What is so of the master itself.
pub(super) struct About {
    /// Its id.
    pub(super) term: u64,
    /// Since when it serves.
    pub(super) started: Timestamp,
    /// The address that the client reached it by.
    pub(super) here: SocketAddr,
}

/// The document. What a master of ours does not have is not in it, or empty.
pub(super) fn document(about: &About, cluster: &ClusterView) -> Value {
    let info = master_info(about.term.to_string(), about.here);
    let (removed, known): (Vec<_>, Vec<_>) =
        cluster.frameworks.iter().partition(|one| one.state == FrameworkState::Removed);
    let count = |wanted: fn(&AgentView) -> bool| {
        cluster.agents.iter().filter(|agent| wanted(agent)).count() as f64
    };
    let mut offered = BTreeMap::<_, Resources>::new();
    for offer in &cluster.offers {
        let sum = offered.entry(&offer.agent).or_default();
        *sum = sum.checked_add(&offer.resources).unwrap_or_default();
    }
    let mut tasks = BTreeMap::<_, Vec<_>>::new();
    for one in &cluster.tasks {
        tasks.entry(one.framework.as_str()).or_default().push(task(one));
    }
    let mut framework =
        |one: &&FrameworkView| framework(one, &tasks.remove(one.id.as_str()).unwrap_or_default());
    let slaves = cluster.agents.iter().filter(|agent| agent.state != AgentState::Gone);
    let slaves = slaves.map(|one| slave(one, offered.get(&one.id).unwrap_or(&Resources::none())));
    json!({
        "version": MESOS_VERSION,
        "start_time": seconds(about.started),
        "elected_time": seconds(about.started),
        "id": info.id,
        "pid": info.pid,
        "hostname": info.hostname,
        "leader": info.pid,
        "leader_info": {
            "id": info.id,
            "pid": info.pid,
            "port": info.port,
            "hostname": info.hostname,
        },
        "activated_slaves": count(is_used),
        "deactivated_slaves": count(|agent| agent.state != AgentState::Gone && !is_used(agent)),
        "unreachable_slaves": count(|agent| agent.state == AgentState::Unreachable),
        "flags": {},
        "slaves": slaves.collect::<Vec<_>>(),
        "recovered_slaves": [],
        "frameworks": known.iter().map(&mut framework).collect::<Vec<_>>(),
        "completed_frameworks": removed.iter().map(&mut framework).collect::<Vec<_>>(),
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    })
}

fn is_used(agent: &AgentView) -> bool {
    agent.state == AgentState::Active
}

fn slave(agent: &AgentView, offered: &Resources) -> Value {
    json!({
        "id": agent.id,
        "hostname": agent.hostname,
        "attributes": agent.attributes,
        "resources": resources(&agent.resources),
        "used_resources": resources(&agent.used),
        "offered_resources": resources(offered),
        "reserved_resources": {},
        "unreserved_resources": resources(&agent.resources),
        "active": agent.state != AgentState::Unreachable,
        "deactivated": !is_used(agent),
        "version": MESOS_VERSION,
    })
}

fn framework(framework: &FrameworkView, tasks: &[Value]) -> Value {
    let all = framework.used.checked_add(&framework.offered).unwrap_or_default();
    let active = framework.state == FrameworkState::Active;
    let since = framework.since.map_or(0.0, seconds);
    let (registered, unregistered) = if active { (since, 0.0) } else { (0.0, since) };
    json!({
        "id": framework.id,
        "name": framework.name,
        "user": framework.user,
        "principal": framework.principal,
        "hostname": framework.hostname.as_deref().unwrap_or_default(),
        "webui_url": framework.webui_url.as_deref().unwrap_or_default(),
        "roles": framework.roles,
        "capabilities": framework.capabilities,
        "active": active,
        "connected": active,
        "recovered": false,
        "checkpoint": framework.checkpoint,
        "failover_timeout": framework.failover_timeout.duration().as_secs_f64(),
        "registered_time": registered,
        "unregistered_time": unregistered,
        "resources": resources(&all),
        "used_resources": resources(&framework.used),
        "offered_resources": resources(&framework.offered),
        "tasks": tasks,
        "unreachable_tasks": [],
        "completed_tasks": [],
        "executors": [],
    })
}

fn task(task: &FrameworkTaskView) -> Value {
    json!({
        "id": task.id,
        "name": task.id,
        "framework_id": task.framework,
        "executor_id": task.executor.as_deref().unwrap_or_default(),
        "slave_id": task.agent,
        "state": task.state,
        "role": task.role,
        "resources": resources(&task.resources),
        "statuses": [],
    })
}

/// With those that clients read without looking whether they are there.
fn resources(resources: &Resources) -> Value {
    let mut all: Map<_, _> =
        resources.iter().map(|(name, amount)| (name.to_owned(), json!(amount.as_f64()))).collect();
    for name in ["cpus", "mem", "disk", "gpus"] {
        all.entry(name).or_insert_with(|| json!(0.0));
    }
    all.into()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}
