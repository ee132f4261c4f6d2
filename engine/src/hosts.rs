//! Hosts and offers as people see them where the master is not our own: what is known here, which is
//! less than the master knows.

use muster_api::{
    AgentId, ExecutorId, Now, Resources, Span, TaskId,
    views::{AgentState, AgentView, OfferView},
};

use crate::world::{Agent, World};

/// The hosts that were ever offered, or that have tasks of ours.
pub(crate) fn agents(world: &World, now: Now) -> Vec<AgentView> {
    world.agents.iter().map(|(id, agent)| view(world, now, id, agent)).collect()
}

/// The hosts that tasks of ours are on, or else those of executors that have none.
pub(crate) fn in_use(world: &World) -> Vec<&AgentId> {
    let hosts_with = |has: fn(&Agent) -> bool| {
        let hosts = world.agents.iter().filter(move |(_, agent)| has(agent));
        hosts.map(|(id, _)| id).collect::<Vec<_>>()
    };
    let with_tasks = hosts_with(|agent| !agent.tasks.is_empty());
    match with_tasks.is_empty() {
        true => hosts_with(|agent| !agent.executors.is_empty()),
        false => with_tasks,
    }
}

fn view(world: &World, now: Now, id: &AgentId, agent: &Agent) -> AgentView {
    let silent = agent.silent_since.map(|since| now.mono.since(since));
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    AgentView {
        id: id.clone(),
        hostname: agent.hostname.clone(),
        state: if silent.is_some() { AgentState::Unreachable } else { AgentState::Foreign },
        resources: Resources::none(),
        used: used(world, agent),
        attributes: agent.attributes.clone(),
        tasks: count(agent.tasks.len()),
        executors: count(agent.executors.len()),
        silent_since: silent.map(|silent| now.wall.before(silent)),
        silent_for: silent.map(|silent| Span::from_secs(silent.as_secs())),
        gone_at: None,
        drain: None,
        left: Vec::new(),
    }
}

/// An offer came that names our executors which live on its host: keeps in mind the most that there
/// ever was at one time, of what is offered and what is ours. A master that is not our own says
/// nowhere what a host has.
///
/// What ended while there was no subscription is in the offers before its status comes. So a task
/// counts once the master has said that it is there: nothing may be seen twice, for a host that seems
/// to be larger than it is would be held for what can never start there.
pub(crate) fn see(world: &mut World, id: &AgentId, living: &[ExecutorId]) {
    if world.unreachable_wait.is_none() {
        return;
    }
    let Some(agent) = world.agents.get(id) else { return };
    let is_there = |id: &&TaskId| {
        let task = world.tasks.get(id);
        task.is_some_and(|task| task.doubt.is_none()) && !world.reconcile.is_open(id)
    };
    let lives = |id: &&ExecutorId| living.contains(id);
    let tasks = agent.tasks.iter().filter(is_there);
    let ours = resources_of(world, tasks, agent.executors.iter().filter(lives));
    let Some(all) = agent.free().checked_add(&ours) else { return };
    let Some(agent) = world.agents.get_mut(id) else { return };
    for (name, amount) in all.iter() {
        let most = amount.max(agent.seen.get(name));
        agent.seen.set(name, most);
    }
}

/// What our own tasks and executors hold there.
fn used(world: &World, agent: &Agent) -> Resources {
    resources_of(world, agent.tasks.iter(), agent.executors.iter())
}

fn resources_of<'a>(
    world: &World,
    tasks: impl Iterator<Item = &'a TaskId>,
    executors: impl Iterator<Item = &'a ExecutorId>,
) -> Resources {
    let tasks = tasks.filter_map(|id| world.tasks.get(id));
    let tasks = tasks.filter_map(|task| Some(world.spec_of_task(task)?.resources.clone()));
    let executors = executors.filter_map(|id| world.executors.get(id));
    let executors = executors.filter_map(|executor| {
        let key = (executor.record.app_uid, executor.record.revision);
        Some(world.revisions.get(&key)?.resources.clone())
    });
    let add = |sum: Resources, one: Resources| sum.checked_add(&one).unwrap_or(sum);
    tasks.chain(executors).fold(Resources::none(), add)
}

/// The offers at hand, in the order of their ids. Who else holds some only the master knows.
pub(crate) fn offers(world: &World, now: Now, skip: usize, limit: usize) -> Vec<OfferView> {
    let rows = world.offers.iter().skip(skip).take(limit).map(|(id, held)| {
        let agent = world.agents.get(&held.agent);
        let resources = agent.and_then(|agent| agent.offers.get(id).cloned()).unwrap_or_default();
        let age = now.mono.since(held.since);
        OfferView {
            id: id.clone(),
            agent: held.agent.clone(),
            hostname: agent.map(|agent| agent.hostname.clone()).unwrap_or_default(),
            resources,
            framework: String::new(),
            framework_name: "muster".to_owned(),
            since: now.wall.before(age),
            held_for: Span::from_secs(age.as_secs()),
        }
    });
    rows.collect()
}
