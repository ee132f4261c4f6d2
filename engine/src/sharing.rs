//! What becomes of offers where other frameworks want the same hosts.
//!
//! Alone on its embedded master the engine keeps every offer, so that what comes is launched in the
//! step in which it comes. Where it is not alone it wants offers only while something waits, and
//! gives back what nothing that waits can use: what it holds counts as its share, so memory that is
//! left over beside busy CPUs would keep it from the next CPU.
//!
//! It holds offers for longer in two cases only. One is the blocker. The other is a run that starts
//! all at once: it finds room on several hosts together, and they may come one after the other. So
//! what it could use is held for a few seconds, and kept away for as long, so that others have a
//! turn. All of that goes back at one time, and so comes again at one time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use muster_api::{AgentId, Mono, OfferId, RunId, Span, limits};

use crate::{
    blocker,
    cx::Cx,
    effect::Effect,
    placement::Shape,
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
    /// When offers were last of use.
    wanted_at: Option<Mono>,
    /// Until when some of what was given back is kept away.
    refused_until: Mono,
    /// Runs that began to wait in this step and were not known to find no room, and those that want
    /// what others may not use now.
    newcomers: BTreeSet<RunId>,
    /// When offers are looked at that nothing could use.
    looks_at: Option<Mono>,
    /// Whether that is now, once what this step can place is placed.
    looks_now: bool,
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
        look_by(cx, cx.now.mono + limits::OFFER_USELESS_MAX);
    } else {
        cx.world.forget_given_back();
        if std::mem::take(&mut cx.world.sharing.suppressed) || is_kept_away(cx) {
            revive(cx);
        }
    }
}

/// There is a subscription, or none: its master knows nothing of what was said before.
pub(crate) fn subscribed(cx: &mut Cx<'_>, subscribed: bool) {
    let shared = cx.world.sharing.shared;
    cx.world.sharing = Sharing { shared, away: !subscribed, ..Sharing::default() };
    cx.world.timers.retain(|(_, timer)| *timer != Timer::Offers);
}

/// Offers came, and are looked at soon: by then what can be used of them is used.
pub(crate) fn offers_came(cx: &mut Cx<'_>) {
    if cx.world.sharing.shared {
        look_by(cx, cx.now.mono + limits::OFFER_USELESS_MAX);
    }
}

/// What ends each step, when all is placed that can be: the master is told whether offers are
/// wanted, once that is another than before, and gets back what was held for long enough.
pub(crate) fn settle(cx: &mut Cx<'_>) {
    let looks = std::mem::take(&mut cx.world.sharing.looks_now);
    if !cx.world.sharing.shared || cx.world.sharing.away {
        return;
    }
    ask(cx);
    if looks {
        give_back_unused(cx);
    }
}

fn ask(cx: &mut Cx<'_>) {
    let newcomers = std::mem::take(&mut cx.world.sharing.newcomers);
    let wants = wants_offers(cx.world);
    // What began to wait in this step may have started in it too.
    if wants || !newcomers.is_empty() {
        cx.world.sharing.wanted_at = Some(cx.now.mono);
    }
    if !wants {
        if let Some(until) = wanted_until(cx.world).filter(|until| *until > cx.now.mono) {
            return look_by(cx, until);
        }
        if !cx.world.sharing.suppressed {
            cx.world.sharing.suppressed = true;
            cx.effect(Effect::Suppress);
        }
        // None come as long as it is suppressed, so they are given back without conditions.
        let all = cx.world.offers.keys().cloned().collect();
        return give_back(cx, all, Span::ZERO);
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

/// Until when a master that is not in this process is not told that nothing waits any more: where
/// something starts every few seconds, each start would be two calls there.
fn wanted_until(world: &World) -> Option<Mono> {
    world.unreachable_wait?;
    world.sharing.wanted_at.map(|at| at + limits::SUPPRESS_AFTER)
}

/// Whether there is something that an offer could let start.
fn wants_offers(world: &World) -> bool {
    world.queue.wants_room() && !world.keeps_launches() && world.tasks_left() > 0
}

/// Another master says what executors live on its hosts with its offers, and with nothing else: some
/// are wanted from time to time, also where nothing waits.
pub(crate) fn look_around(cx: &mut Cx<'_>) {
    let sharing = &mut cx.world.sharing;
    if cx.world.unreachable_wait.is_some() && sharing.shared && !sharing.away {
        sharing.wanted_at = Some(cx.now.mono);
        if sharing.suppressed {
            revive(cx);
        }
    }
}

/// The time has come to look at what nothing could use. What came in this very step is not tried yet.
pub(crate) fn look(cx: &mut Cx<'_>) {
    cx.world.sharing.looks_at = None;
    cx.world.sharing.looks_now = true;
}

/// Gives back what was held for long enough. What is held for the blocker stays.
fn give_back_unused(cx: &mut Cx<'_>) {
    let now = cx.now.mono;
    if cx.world.can_place() {
        // There is more to place than one step does, and the next one goes on with it.
        return look_by(cx, now + limits::OFFER_USELESS_MAX);
    }
    let Unused { hopeful, useless } = Unused::of(cx.world);
    let due = |offers: &[(OfferId, Mono)], most: Duration| {
        offers.iter().map(|(_, since)| *since + most).min()
    };
    let hopeful_due = due(&hopeful, limits::OFFER_UNUSED_MAX);
    let useless_due = due(&useless, limits::OFFER_USELESS_MAX);
    let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now);
    let back = match (is_due(hopeful_due), is_due(useless_due)) {
        (true, _) => [hopeful, useless].concat(),
        (false, true) => useless,
        (false, false) => Vec::new(),
    };
    let later = [hopeful_due, useless_due].into_iter().flatten().filter(|at| *at > now).min();
    if let Some(at) = later {
        look_by(cx, at);
    }
    if !back.is_empty() {
        let back = back.into_iter().map(|(id, _)| id).collect();
        give_back(cx, back, Span::from_secs(limits::OFFER_REFUSED.as_secs()));
        cx.world.sharing.refused_until = now + limits::OFFER_REFUSED;
        blocker::gave_back(cx);
    }
}

/// Offers that are not used and not held for the blocker, each since when.
#[derive(Default)]
struct Unused {
    /// Those that may be of use before long.
    hopeful: Vec<(OfferId, Mono)>,
    /// The others.
    useless: Vec<(OfferId, Mono)>,
}

impl Unused {
    fn of(world: &World) -> Self {
        let hope = Hope::of(world);
        let mut all = Self::default();
        for (id, offer) in &world.offers {
            if is_host_held(world, &offer.agent) {
                continue;
            }
            let hopeful = hope.is_for(world, &offer.agent);
            let of_them = if hopeful { &mut all.hopeful } else { &mut all.useless };
            of_them.push((id.clone(), offer.since));
        }
        all
    }
}

/// Which hosts' offers that could not be used may be of use before long.
enum Hope {
    /// All, for nothing waits, and something may begin to.
    All,
    /// Those that take one shard of these at least, and are missed for others of its run.
    For(Vec<Arc<Shape>>),
}

impl Hope {
    fn of(world: &World) -> Self {
        if !wants_offers(world) {
            return Self::All;
        }
        let together = world.queue.asleep_in_order().filter(|(_, need)| need.together.is_some());
        let first = together.take(limits::HOLD_CANDIDATES);
        Self::For(first.map(|(_, need)| Arc::clone(&need.shape)).collect())
    }

    fn is_for(&self, world: &World, agent: &AgentId) -> bool {
        let Self::For(shapes) = self else { return true };
        let room = world.agents.get(agent).and_then(|agent| agent.room);
        let fits = |room: u32| {
            let room = world.offered.rooms.get(room);
            shapes.iter().any(|shape| room.fits(shape) > 0)
        };
        room.is_some_and(fits)
    }
}

/// Looks at the offers now: some of them are held for nobody any more.
pub(crate) fn look_soon(cx: &mut Cx<'_>) {
    if cx.world.sharing.shared {
        look_at(cx, cx.now.mono);
    }
}

/// Looks at the offers at that time at the latest.
fn look_by(cx: &mut Cx<'_>, at: Mono) {
    if cx.world.sharing.looks_at.is_none_or(|before| before > at) {
        look_at(cx, at);
    }
}

fn look_at(cx: &mut Cx<'_>, at: Mono) {
    if let Some(before) = cx.world.sharing.looks_at.replace(at) {
        cx.world.timers.remove(&(before, Timer::Offers));
    }
    cx.world.wake_at(at, Timer::Offers);
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

fn give_back(cx: &mut Cx<'_>, offers: Vec<OfferId>, refuse: Span) {
    let hosts = offers.iter().filter_map(|id| Some(cx.world.offers.get(id)?.agent.clone()));
    let hosts: BTreeSet<AgentId> = hosts.collect();
    for host in &hosts {
        if let Some(agent) = cx.world.agents.get_mut(host) {
            agent.given_back = Some(agent.free());
        }
    }
    for id in &offers {
        cx.world.remove_offer(id);
    }
    if !offers.is_empty() {
        cx.effect(Effect::Decline { offers, refuse });
    }
}
