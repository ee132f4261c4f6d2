//! Executor hosts: what registers, what is silent, what that means for their tasks.

use std::collections::BTreeSet;

use muster_api::{AgentId, ExecutorId, Mono, OfferId, Span, TaskId, limits, spec::Lease};

use crate::{
    cx::Cx,
    effect::{Effect, Note},
    event::{AgentRegistered, CommandReply, Offer, Rejected, Signal},
    executors, hosts, lost_hosts, rolls, sharing, tasks, trace, unreachable,
    world::Timer,
};

/// Offers came: waiting shards may start.
pub(crate) fn offers(cx: &mut Cx<'_>, offers: Vec<Offer>) {
    for offer in offers {
        unreachable::offered(cx, &offer);
        let agent = offer.agent.clone();
        if cx.world.agents.get(&agent).is_some_and(|agent| agent.drain.is_some()) {
            // Its master makes none as long as it is drained; this one comes late.
            let refuse = Span::from_secs(limits::OFFER_REFUSED.as_secs());
            cx.effect(Effect::Decline { offers: vec![offer.id], refuse });
            continue;
        }
        let living = offer.executors.clone();
        let offers = cx.world.add_offer(offer, cx.now.mono);
        hosts::see(cx.world, &agent, &living);
        if offers > limits::OFFERS_PER_AGENT && !sharing::gathers(cx.world, &agent) {
            let offers = cx.world.take_offers(&agent);
            cx.effect(Effect::Decline { offers, refuse: Span::ZERO });
        }
    }
    sharing::offers_came(cx);
}

/// An offer was withdrawn.
pub(crate) fn rescinded(cx: &mut Cx<'_>, id: &OfferId) {
    cx.world.remove_offer(id);
}

/// Every offer is void.
pub(crate) fn forget_offers(cx: &mut Cx<'_>) {
    cx.world.forget_offers();
}

/// An agent has registered and says all that lives on it: what it does not name is dead, and what
/// it names that is over for us is a zombie.
pub(crate) fn registered(cx: &mut Cx<'_>, news: AgentRegistered) {
    cx.world.describe_agent(&news.agent, news.hostname, news.attributes);
    let agent = cx.world.agents.entry(news.agent.clone()).or_default();
    agent.total = Some(news.resources);
    (agent.silent_since, agent.silence_told, agent.gone) = (None, false, false);
    agent.given_up = false;
    let (our_tasks, our_executors) = (agent.tasks.clone(), agent.executors.clone());
    let booted = news.rebooted.then_some("its host has booted again");
    trace::host(cx, &news.agent, "registered", booted);
    lost_hosts::heard(cx, &news.agent);

    let living: BTreeSet<ExecutorId> = news.executors.into_iter().collect();
    // What its agent names lives, also where none of the launches there came through.
    for executor in living.intersection(&our_executors) {
        executors::seen_alive(cx, *executor);
    }
    let named: BTreeSet<TaskId> = news.tasks.into_iter().collect();
    for task in our_tasks.difference(&named) {
        if news.rebooted {
            tasks::found(cx, *task, Signal::Died, "its host has booted again");
        } else if cx.world.tasks.get(task).is_some_and(|task| cx.world.is_of_backup(task)) {
            tasks::found(cx, *task, Signal::Died, "it ended after the backup was made");
        } else {
            // An agent keeps a task until its end is acknowledged, so this one never reached it.
            let message = "its agent came back without it";
            tasks::found(cx, *task, Signal::NeverStarted, message);
        }
    }
    for task in our_tasks.intersection(&named) {
        tasks::host_is_back(cx, *task);
    }
    // What those are doing is asked. One that is over for us and lives is a zombie then; one whose
    // end was only not acknowledged is nothing.
    let known: Vec<_> = named.into_iter().map(|task| (task, news.agent.clone())).collect();
    if !known.is_empty() {
        cx.effect(Effect::Reconcile { tasks: known });
    }

    for executor in our_executors.difference(&living) {
        executors::gone(cx, *executor);
    }
    for executor in living.difference(&our_executors) {
        if cx.world.held().is_some() {
            cx.world.strangers.insert(*executor, news.agent.clone());
        }
        cx.effect(Effect::Shutdown { executor: *executor, agent: news.agent.clone() });
    }
    for executor in living.intersection(&our_executors) {
        executors::shutdown_again(cx, *executor);
    }
    rolls::look_at_host(cx, &news.agent);
}

/// Nothing has been heard of an agent since `since`: the leases of its executors run out.
pub(crate) fn silent(cx: &mut Cx<'_>, id: &AgentId, since: Mono) {
    let agent = cx.world.agents.entry(id.clone()).or_default();
    agent.silent_since = Some(since);
    agent.given_back = None;
    let is_news = !std::mem::replace(&mut agent.silence_told, true);
    let (tasks, executors) = (agent.tasks.clone(), agent.executors.clone());
    cx.world.take_offers(id);
    if is_news {
        trace::host(cx, id, "silent", None);
    }
    lost_hosts::silent(cx, id, since);
    for task in tasks {
        tasks::host_is_silent(cx, task);
    }
    for executor in executors {
        watch_lease(cx, executor, since);
    }
}

/// A silent agent is heard again.
pub(crate) fn heard(cx: &mut Cx<'_>, id: &AgentId) {
    let Some(agent) = cx.world.agents.get_mut(id) else { return };
    (agent.silent_since, agent.given_up) = (None, false);
    if std::mem::take(&mut agent.silence_told) {
        trace::host(cx, id, "heard", None);
    }
    rolls::look_at_host(cx, id);
    lost_hosts::heard(cx, id);
}

/// An agent will never come back, as an operator says: what was there is over.
pub(crate) fn gone(cx: &mut Cx<'_>, id: &AgentId) {
    cx.world.take_offers(id);
    cx.world.strangers.retain(|_, agent| agent != id);
    lost_hosts::gone(cx, id);
    let Some(agent) = cx.world.agents.get_mut(id) else { return };
    let is_news = !std::mem::replace(&mut agent.gone, true);
    agent.drain = None;
    let (tasks, executors) = (agent.tasks.clone(), agent.executors.clone());
    if is_news {
        trace::host(cx, id, "gone", Some("an operator declared it gone"));
    }
    for executor in executors {
        executors::gone(cx, executor);
    }
    for task in tasks {
        tasks::found(cx, task, Signal::Died, "an operator declared its host gone");
    }
}

/// Agents are the master's; where it is the embedded one it is asked in our place.
pub(crate) fn not_ours(what: &str) -> CommandReply {
    let detail = format!("the {what} are those of another master; turn to that");
    Err(Rejected::Conflict { detail })
}

fn watch_lease(cx: &mut Cx<'_>, id: ExecutorId, since: Mono) {
    if let Lease::For(lease) = executors::lease_of(cx, id) {
        cx.world.wake_at(since + limits::fenced_after(lease.duration()), Timer::Fence(id));
    }
}

/// Calls the tasks of an executor dead whose lease must have ended: its supervisor has killed them.
pub(crate) fn check_lease(cx: &mut Cx<'_>, id: ExecutorId) {
    let Some(executor) = cx.world.executors.get(&id) else { return };
    let agent_id = executor.record.agent.clone();
    let Some(since) = cx.world.agents.get(&agent_id).and_then(|agent| agent.silent_since) else {
        return;
    };
    let Lease::For(lease) = executors::lease_of(cx, id) else { return };
    if since + limits::fenced_after(lease.duration()) > cx.now.mono {
        return watch_lease(cx, id, since);
    }
    let tasks: Vec<TaskId> = executor.tasks.iter().copied().collect();
    cx.note(Note::Fenced { executor: id, agent: agent_id });
    trace::executor(cx, id, "fenced", "nothing was heard of its agent for as long as its lease");
    executors::gone(cx, id);
    for task in tasks {
        tasks::found(cx, task, Signal::Fenced, "nothing was heard of its agent for that long");
    }
}
