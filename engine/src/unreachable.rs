//! Hosts of a master that is not our own: they are known from what they offer and from what is said
//! of tasks there, and no lease ends what runs on one that is cut off.
//!
//! A task of which nobody can say whether it lives keeps its place for a wait. Then it counts as dead,
//! which is a bet and no knowledge: should it live after all and be heard of again, it is a zombie.
//! The wait goes on only as long as there is a subscription in which the master has said so: who is
//! cut off himself hears of nobody, and knows nothing by that.

use std::time::Duration;

use muster_api::{AgentId, ExecutorId, Mono, Span, TaskId, limits};

use crate::{
    agents,
    cx::Cx,
    effect::Effect,
    event::{Offer, Signal},
    executors, lost_hosts,
    records::{DisownedRecord, ExecutorState},
    task::Task,
    tasks, trace,
    world::{Timer, World},
};

impl World {
    /// Whether a task is of a framework that its master has removed.
    pub(crate) fn is_disowned(&self, task: &Task) -> bool {
        self.disowned.get(&()).is_some_and(|disowned| task.epoch <= disowned.up_to)
    }

    /// Whether orders leave, and reach a master: our own one is always there, and another one as long
    /// as there is a subscription with it.
    pub(crate) fn orders_leave(&self) -> bool {
        let there = self.unreachable_wait.is_none() || self.reconcile.is_subscribed();
        there && self.held().is_none()
    }
}

/// That nobody can say whether a task lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It counts as dead then.
    Until(Mono),
    /// So much of its wait is left, which goes on once the master says under a subscription of now
    /// that it does not know either.
    Left(Duration),
}

/// Nobody can say whether a task lives: its wait begins, unless it goes on already.
pub(crate) fn doubt(cx: &mut Cx<'_>, id: TaskId) {
    let Some(wait) = cx.world.unreachable_wait else { return };
    let (now, subscribed) = (cx.now.mono, cx.world.reconcile.is_subscribed());
    let Some(task) = cx.world.tasks.memory(&id) else { return };
    let left = match task.doubt {
        Some(Doubt::Until(_)) => return,
        Some(Doubt::Left(left)) => left,
        None => wait,
    };
    if subscribed {
        task.doubt = Some(Doubt::Until(now + left));
        cx.world.wake_at(now + left, Timer::Unreachable(id));
    } else {
        task.doubt = Some(Doubt::Left(left));
    }
}

/// A task is known after all.
pub(crate) fn known(cx: &mut Cx<'_>, id: TaskId) {
    let doubt = cx.world.tasks.memory(&id).and_then(|task| task.doubt.take());
    if let Some(Doubt::Until(at)) = doubt {
        cx.world.timers.remove(&(at, Timer::Unreachable(id)));
    }
}

/// Calls a task dead whose wait is over.
pub(crate) fn check(cx: &mut Cx<'_>, id: TaskId) {
    let Some(wait) = cx.world.unreachable_wait else { return };
    let doubt = cx.world.tasks.get(&id).and_then(|task| task.doubt);
    if matches!(doubt, Some(Doubt::Until(at)) if at <= cx.now.mono) {
        let wait = Span::from_secs(wait.as_secs());
        let message = format!("nobody could say for {wait} whether it lives");
        tasks::found(cx, id, Signal::Fenced, &message);
    }
}

/// There is no subscription, or another one than before: every wait rests until the master has said
/// again that it does not know.
pub(crate) fn cut_off(cx: &mut Cx<'_>) {
    let doubted = |(id, task): (&TaskId, &Task)| match task.doubt {
        Some(Doubt::Until(at)) => Some((*id, at)),
        Some(Doubt::Left(_)) | None => None,
    };
    let doubted: Vec<_> = cx.world.tasks.iter().filter_map(doubted).collect();
    for (id, at) in doubted {
        cx.world.timers.remove(&(at, Timer::Unreachable(id)));
        if let Some(task) = cx.world.tasks.memory(&id) {
            task.doubt = Some(Doubt::Left(at.since(cx.now.mono)));
        }
    }
}

/// There is a subscription. Of tasks of a framework that was removed nobody will ever say anything,
/// so that their wait goes on.
pub(crate) fn subscribed(cx: &mut Cx<'_>) {
    let world = &*cx.world;
    let disowned = world.tasks.iter().filter(|(_, task)| world.is_disowned(task));
    let disowned: Vec<TaskId> = disowned.map(|(id, _)| *id).collect();
    for task in disowned {
        doubt(cx, task);
    }
}

/// The master has lost an agent.
pub(crate) fn agent_lost(cx: &mut Cx<'_>, id: &AgentId) {
    if cx.world.unreachable_wait.is_none() || !cx.world.agents.contains_key(id) {
        return;
    }
    agents::silent(cx, id, cx.now.mono);
    let tasks = cx.world.agents.get(id).map(|agent| agent.tasks.clone()).unwrap_or_default();
    for task in tasks {
        doubt(cx, task);
    }
}

/// The master is not in touch with an agent, as it says of a task there.
pub(crate) fn agent_away(cx: &mut Cx<'_>, id: &AgentId) {
    let told = cx.world.agents.get(id).is_none_or(|agent| agent.silence_told);
    if cx.world.unreachable_wait.is_some() && !told {
        agents::silent(cx, id, cx.now.mono);
    }
}

/// Something shows that the master is in touch with an agent. If it was not, what became of the
/// tasks there is asked.
pub(crate) fn agent_there(cx: &mut Cx<'_>, id: &AgentId) {
    if cx.world.unreachable_wait.is_none() {
        return;
    }
    // That it was lost may be known from before a restart, of which the host itself is not.
    lost_hosts::heard(cx, id);
    let Some(agent) = cx.world.agents.get(id).filter(|agent| agent.silent_since.is_some()) else {
        return;
    };
    let asks = agent.silence_told;
    let tasks: Vec<_> = agent.tasks.iter().map(|task| (*task, id.clone())).collect();
    agents::heard(cx, id);
    if asks && !tasks.is_empty() {
        cx.effect(Effect::Reconcile { tasks });
    }
}

/// An offer names our executors that live on its agent: what else was there and has no task is told
/// to end, in case the master has it wrong, and is forgotten when it is not named again. What is
/// named and is none of ours is told to end too.
pub(crate) fn offered(cx: &mut Cx<'_>, offer: &Offer) {
    if cx.world.unreachable_wait.is_none() {
        return;
    }
    agent_there(cx, &offer.agent);
    let ours = cx.world.agents.get(&offer.agent).map(|agent| agent.executors.clone());
    let ours = ours.unwrap_or_default();
    for executor in ours.iter().filter(|id| !offer.executors.contains(id)) {
        missing(cx, *executor);
    }
    for executor in &offer.executors {
        if ours.contains(executor) {
            executors::named(cx, *executor);
            continue;
        }
        let agent = offer.agent.clone();
        if cx.world.held().is_some() {
            cx.world.strangers.insert(*executor, agent.clone());
        }
        cx.effect(Effect::Shutdown { executor: *executor, agent });
    }
}

fn missing(cx: &mut Cx<'_>, id: ExecutorId) {
    let Some(executor) = cx.world.executors.get(&id).filter(|one| one.tasks.is_empty()) else {
        return;
    };
    match executor.record.state {
        // Its first launch may still be on its way.
        ExecutorState::Starting => {}
        ExecutorState::Alive | ExecutorState::Closed => executors::stop(cx, id),
        ExecutorState::Stopping | ExecutorState::Gone => executors::gone(cx, id),
    }
}

/// The master has removed our framework: what it says of tasks from before means nothing, and they
/// end while nobody tells us. The executors are none of ours any more.
pub(crate) fn disowned(cx: &mut Cx<'_>) {
    let up_to = cx.world.epoch;
    cx.world.disowned.insert((), DisownedRecord { up_to });
    let executors: Vec<ExecutorId> = cx.world.executors.iter().map(|(id, _)| *id).collect();
    for executor in executors {
        executors::gone(cx, executor);
    }
    let tasks: Vec<TaskId> = cx.world.tasks.iter().map(|(id, _)| *id).collect();
    for task in tasks {
        doubt(cx, task);
    }
    let what = "the master has removed this framework and ends what it has";
    trace::scheduler(cx, "disowned", what);
}

/// Looks after hosts from the start on.
pub(crate) fn recover(cx: &mut Cx<'_>) {
    if cx.world.unreachable_wait.is_some() {
        cx.world.wake_at(cx.now.mono + limits::HOST_FORGOTTEN, Timer::Hosts);
    }
}

/// Forgets the hosts that were in no offer since the last look, and have nothing of ours: they may be
/// no more, and nobody says so of a host. One that is offered after all is a new one.
///
/// An executor keeps its host also where nothing is launched and so nothing offered: it may live. It
/// idles for so long as its app allows, is told to end, and is forgotten then. Without a subscription
/// there are no offers that a host could be in.
pub(crate) fn forget_hosts(cx: &mut Cx<'_>) {
    if !cx.world.reconcile.is_subscribed() {
        return cx.world.wake_at(cx.now.mono + limits::HOST_FORGOTTEN, Timer::Hosts);
    }
    let held = |room| cx.world.offered.rooms.get(room).held;
    let unused = cx.world.agents.iter().filter(|(_, agent)| {
        let empty = agent.tasks.is_empty() && agent.executors.is_empty();
        empty && agent.offers.is_empty() && !agent.offered && !agent.room.is_some_and(held)
    });
    // Those that were lost before a restart are in no offer either, and nothing else is known of them.
    let long_ago = |at| cx.now.wall.since(at) >= limits::HOST_FORGOTTEN;
    let lost = cx
        .world
        .lost
        .iter()
        .filter(|(id, lost)| !cx.world.agents.contains_key(*id) && long_ago(lost.at));
    let unused: Vec<AgentId> =
        unused.map(|(id, _)| id).chain(lost.map(|(id, _)| id)).cloned().collect();
    for id in unused {
        if cx.is_full() {
            // The others are the matter of the next step.
            return cx.world.wake_at(cx.now.mono, Timer::Hosts);
        }
        forget_host(cx, &id);
    }
    cx.world.agents.values_mut().for_each(|agent| agent.offered = false);
    cx.world.wake_at(cx.now.mono + limits::HOST_FORGOTTEN, Timer::Hosts);
}

fn forget_host(cx: &mut Cx<'_>, id: &AgentId) {
    let executors = cx.world.agents.get(id).map(|agent| agent.executors.clone());
    for executor in executors.unwrap_or_default() {
        executors::gone(cx, executor);
    }
    lost_hosts::gone(cx, id);
    cx.world.forget_agent(id);
}

/// The hosts are those of another master than before, and no task is on the former ones.
pub(crate) fn moved(cx: &mut Cx<'_>) {
    let former: Vec<AgentId> = cx.world.agents.keys().cloned().collect();
    for host in former {
        forget_host(cx, &host);
    }
    let told_lost: Vec<AgentId> = cx.world.lost.iter().map(|(id, _)| id.clone()).collect();
    for host in told_lost {
        lost_hosts::gone(cx, &host);
    }
}
