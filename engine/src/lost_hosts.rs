//! Executor hosts that are lost and come back.
//!
//! Silence of [`limits::HOST_LOST_AFTER`] is a lost host: neither a restart of its agent nor one of
//! its network takes so long. Nobody waits any more then for what is under way there. What was told
//! of it is stored, so that it is told once, over restarts too, and its return afterwards.

use std::collections::BTreeSet;

use muster_api::{AgentId, Mono, limits, spec::NoticeKind};

use crate::{
    cx::Cx,
    notices::{self, About},
    records::LostRecord,
    rolls,
    world::{Timer, World},
};

/// Hosts of which nothing is heard, by when they count as lost. Memory only: after a restart the
/// master names those that it does not hear.
pub(crate) type Silent = BTreeSet<(Mono, AgentId)>;

/// Nothing is heard of a host since then.
pub(crate) fn silent(cx: &mut Cx<'_>, agent: &AgentId, since: Mono) {
    let at = since + limits::HOST_LOST_AFTER;
    cx.world.silent_hosts.insert((at, agent.clone()));
    cx.world.wake_at(at, Timer::LostHosts);
}

fn is_told(cx: &Cx<'_>) -> bool {
    let kinds = [NoticeKind::HostLost, NoticeKind::HostBack];
    kinds.iter().any(|kind| cx.config.installation.on.contains(kind))
}

/// Gives up the hosts that have been silent for long enough by now, and tells of them. Where they are
/// too many for one commit, as when a network breaks, the others are the matter of the next one.
pub(crate) fn look(cx: &mut Cx<'_>) {
    while let Some((at, agent)) = cx.world.silent_hosts.first().cloned()
        && at <= cx.now.mono
    {
        if cx.is_full() {
            cx.world.wake_at(cx.now.mono, Timer::LostHosts);
            return;
        }
        cx.world.silent_hosts.pop_first();
        if is_missed(cx.world, &agent, at) {
            give_up(cx, &agent);
        }
    }
}

/// Whether a host is missed: silent since so long before an instant. One that was heard meanwhile is
/// not, nor one that an operator has declared gone.
fn is_missed(world: &World, agent: &AgentId, at: Mono) -> bool {
    let known = world.agents.get(agent).filter(|agent| !agent.gone);
    let since = known.and_then(|agent| agent.silent_since);
    since.is_some_and(|since| since + limits::HOST_LOST_AFTER <= at)
}

fn give_up(cx: &mut Cx<'_>, id: &AgentId) {
    let Some(agent) = cx.world.agents.get_mut(id) else { return };
    agent.given_up = true;
    // Whoever empties a host may take it down, so that is no news.
    let is_news = agent.drain.is_none();
    rolls::look_at_host(cx, id);
    if is_news && is_told(cx) {
        lost(cx, id);
    }
}

fn lost(cx: &mut Cx<'_>, agent: &AgentId) {
    if cx.world.lost.contains(agent) {
        return;
    }
    let known = cx.world.agents.get(agent);
    let hostname = known.map(|agent| agent.hostname.clone()).unwrap_or_default();
    let tasks = known.map_or(0, |agent| agent.tasks.len());
    let at = cx.now.wall;
    cx.world.lost.insert(agent.clone(), LostRecord { hostname: hostname.clone(), at });
    let seconds = limits::HOST_LOST_AFTER.as_secs();
    let reason = format!("nothing was heard of it for {seconds} s; it has {tasks} task(s)");
    tell(cx, NoticeKind::HostLost, "unreachable", (agent.clone(), hostname), reason);
}

/// A host is heard. If it was lost, that it is back is told.
pub(crate) fn heard(cx: &mut Cx<'_>, agent: &AgentId) {
    let Some(record) = cx.world.lost.remove(agent) else { return };
    let known = cx.world.agents.get(agent).map(|agent| agent.hostname.clone());
    let hostname = known.filter(|name| !name.is_empty()).unwrap_or(record.hostname);
    let reason = format!("it is heard again; it was lost since {}", record.at);
    tell(cx, NoticeKind::HostBack, "active", (agent.clone(), hostname), reason);
}

/// An operator has declared a host gone, so nobody waits for it.
pub(crate) fn gone(cx: &mut Cx<'_>, agent: &AgentId) {
    cx.world.lost.remove(agent);
}

fn tell(
    cx: &mut Cx<'_>,
    kind: NoticeKind,
    state: &'static str,
    host: (AgentId, String),
    reason: String,
) {
    let link = format!("/v1/agents/{}", host.0);
    let about = About { state, reason, link, host: Some(host), ..About::default() };
    notices::tell(cx, None, kind, &about);
}
