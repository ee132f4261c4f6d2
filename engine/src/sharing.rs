//! What becomes of offers where other frameworks want the same hosts.
//!
//! Alone on its embedded master the engine keeps every offer, so that what comes is launched in the
//! step in which it comes. Where it is not alone it wants offers only while something waits, gives
//! back within seconds what nothing that waits can use, and holds none beyond that but for the
//! blocker.
//!
//! What it gives back is kept away from it for as long as it was held, so that others have a turn.
//! All of it goes back at one time, and so comes again at one time: a run that starts all at once
//! finds room on several hosts together.

use std::collections::BTreeSet;

use muster_api::{AgentId, Mono, OfferId, RunId, Span, limits};

use crate::{
    blocker,
    cx::Cx,
    effect::Effect,
    world::{Timer, World},
};

/// How the engine stands with its master as to offers.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Whether others want the same hosts.
    shared: bool,
    /// Whether the subscription broke, so that there is nobody to tell.
    away: bool,
    /// Whether the master was told to make no offers.
    suppressed: bool,
    /// Until when some of what was given back is kept away.
    refused_until: Mono,
    /// Runs that began to wait in this step, and those that want what others may not use now.
    newcomers: BTreeSet<RunId>,
    /// When offers are looked at that nothing could use.
    looks_at: Option<Mono>,
}

/// An offer that is held.
#[derive(Debug, Clone)]
pub(crate) struct HeldOffer {
    /// Of which agent.
    pub(crate) agent: AgentId,
    /// Since when.
    pub(crate) since: Mono,
}

impl Sharing {
    /// Whether others want the same hosts.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// A run wants room. It is worth asking for what was given back.
    pub(crate) fn wants(&mut self, run: RunId) {
        if self.shared {
            self.newcomers.insert(run);
        }
    }
}

/// Whether other frameworks want the same hosts.
pub(crate) fn shared(cx: &mut Cx<'_>, shared: bool) {
    cx.world.sharing.shared = shared;
    if shared {
        look_at(cx, cx.now.mono + limits::OFFER_UNUSED_MAX);
    } else if std::mem::take(&mut cx.world.sharing.suppressed) || is_kept_away(cx) {
        revive(cx);
    }
}

/// There is a subscription, or none: its master knows nothing of what was said before.
pub(crate) fn subscribed(cx: &mut Cx<'_>, subscribed: bool) {
    let shared = cx.world.sharing.shared;
    cx.world.sharing = Sharing { shared, away: !subscribed, ..Sharing::default() };
    cx.world.timers.retain(|(_, timer)| *timer != Timer::Offers);
}

/// Offers came, and are looked at again when they were held for long.
pub(crate) fn offers_came(cx: &mut Cx<'_>) {
    if cx.world.sharing.shared && cx.world.sharing.looks_at.is_none() {
        look_at(cx, cx.now.mono + limits::OFFER_UNUSED_MAX);
    }
}

/// What ends each step: the master is told whether offers are wanted, once that is another than
/// before.
pub(crate) fn settle(cx: &mut Cx<'_>) {
    if !cx.world.sharing.shared || cx.world.sharing.away {
        return;
    }
    let newcomers = std::mem::take(&mut cx.world.sharing.newcomers);
    if !wants_offers(cx.world) {
        if !cx.world.sharing.suppressed {
            cx.world.sharing.suppressed = true;
            cx.effect(Effect::Suppress);
        }
        // None come as long as it is suppressed, so they are given back without conditions.
        return give_back(cx, |_, _| true, Span::ZERO);
    }
    let waits = |run: &RunId| cx.world.queue.contains(run);
    if cx.world.sharing.suppressed || is_kept_away(cx) && newcomers.iter().any(waits) {
        revive(cx);
    }
}

fn is_kept_away(cx: &Cx<'_>) -> bool {
    cx.world.sharing.refused_until > cx.now.mono
}

fn revive(cx: &mut Cx<'_>) {
    cx.world.sharing.suppressed = false;
    cx.world.sharing.refused_until = Mono::default();
    cx.effect(Effect::Revive);
}

/// Whether there is something that an offer could let start.
fn wants_offers(world: &World) -> bool {
    world.queue.wants_room() && !world.keeps_launches() && world.tasks_left() > 0
}

/// Gives back what was held for long and nothing could use, with all that nothing can use now. What
/// is held for the blocker stays.
pub(crate) fn look(cx: &mut Cx<'_>) {
    cx.world.sharing.looks_at = None;
    if !cx.world.sharing.shared || cx.world.sharing.away {
        return;
    }
    let unused = cx.world.offers.values().filter(|offer| !is_held(cx.world, offer));
    let Some(oldest) = unused.map(|offer| offer.since).min() else { return };
    if oldest + limits::OFFER_UNUSED_MAX > cx.now.mono {
        return look_at(cx, oldest + limits::OFFER_UNUSED_MAX);
    }
    let refuse = Span::from_secs(limits::OFFER_REFUSED.as_secs());
    give_back(cx, |world, offer| !is_held(world, offer), refuse);
    cx.world.sharing.refused_until = cx.now.mono + limits::OFFER_REFUSED;
    blocker::gave_back(cx);
}

/// Looks at the offers now: some of them are held for nobody any more.
pub(crate) fn look_soon(cx: &mut Cx<'_>) {
    if cx.world.sharing.shared {
        look_at(cx, cx.now.mono);
    }
}

fn look_at(cx: &mut Cx<'_>, at: Mono) {
    if let Some(before) = cx.world.sharing.looks_at.replace(at) {
        cx.world.timers.remove(&(before, Timer::Offers));
    }
    cx.world.wake_at(at, Timer::Offers);
}

fn is_held(world: &World, offer: &HeldOffer) -> bool {
    is_host_held(world, &offer.agent)
}

fn is_host_held(world: &World, agent: &AgentId) -> bool {
    let room = world.agents.get(agent).and_then(|agent| agent.room);
    room.is_some_and(|room| world.offered.rooms.get(room).held)
}

/// Whether small offers of a host are gathered for the blocker: what goes back to become one offer
/// may go to others instead.
pub(crate) fn gathers(world: &World, agent: &AgentId) -> bool {
    world.sharing.shared && is_host_held(world, agent)
}

fn give_back(cx: &mut Cx<'_>, which: impl Fn(&World, &HeldOffer) -> bool, refuse: Span) {
    let world = &*cx.world;
    let chosen = world.offers.iter().filter(|(_, offer)| which(world, offer));
    let offers: Vec<OfferId> = chosen.map(|(id, _)| id.clone()).collect();
    for id in &offers {
        cx.world.remove_offer(id);
    }
    if !offers.is_empty() {
        cx.effect(Effect::Decline { offers, refuse });
    }
}
