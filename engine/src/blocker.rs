//! The one run that may hold hosts because it was overtaken for too long.
//!
//! Placement lets whoever fits go first, so a run that needs much of a host may wait for ever while
//! small ones keep every host a little busy. So the first run in order that has no room and has
//! started nothing, though a host could take it when empty, may hold hosts once later runs have
//! overtaken it for a while: only that run and those before it are placed there then. It holds the
//! hosts that are closest to having room, few of them and for a bounded time, and after that nobody
//! holds any for as long as it did. So whoever waits behind it has at least half of the time, and
//! all other hosts all of the time.
//!
//! All of this is memory: after a restart the clock begins anew.

use muster_api::{Mono, RunId, limits};

use crate::{
    cx::Cx,
    effect::Note,
    executors, place,
    placement::Kind,
    queue::{Need, Place},
    records::ExecutorRecord,
    sharing,
    world::{Timer, World},
};

/// Where the blocker stands.
#[derive(Debug, Default)]
pub(crate) enum Blocker {
    /// Nobody was overtaken when somebody looked last, if somebody did.
    #[default]
    Quiet,
    /// A run has been overtaken since, and nobody else is looked at until its time is over.
    Overtaken { run: RunId, since: Mono },
    /// A run holds rooms.
    Holding(Holding),
    /// Nobody may hold any.
    Resting { until: Mono },
}

/// What a run holds.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) place: Place,
    pub(crate) rooms: Vec<u32>,
    /// The executors that it starts in, unless each of its tasks has its own.
    kind: Option<Kind>,
    since: Mono,
    pub(crate) until: Mono,
}

impl Blocker {
    /// What is held, if a run holds hosts.
    pub(crate) fn holding(&self) -> Option<&Holding> {
        match self {
            Self::Holding(holding) => Some(holding),
            Self::Quiet | Self::Overtaken { .. } | Self::Resting { .. } => None,
        }
    }

    /// Whether rooms that are held are open to a run: to the one that holds them and those before.
    pub(crate) fn lets_through(&self, place: &Place) -> bool {
        let before = |holding: &Holding| *place <= holding.place || place.3 == holding.place.3;
        self.holding().is_some_and(before)
    }
}

/// A round of placement is over, in which the latest run in order that launched a task had this
/// place.
pub(crate) fn after_round(cx: &mut Cx<'_>, latest: Option<&Place>) {
    if let Blocker::Overtaken { run, .. } = &cx.world.blocker
        && !waits_whole(cx.world, run)
    {
        // Whoever is overtaken now need not wait for the end of its minute.
        cx.world.blocker = Blocker::Quiet;
    }
    match &cx.world.blocker {
        Blocker::Holding(holding) if !waits_whole(cx.world, &holding.place.3) => release(cx),
        Blocker::Holding(_) | Blocker::Overtaken { .. } | Blocker::Resting { .. } => {}
        Blocker::Quiet => {
            let first = cx.world.queue.first_asleep();
            let overtakes = |latest: &&Place| first.is_some_and(|first| first < *latest);
            let looked = cx.world.blocker_looked.is_some_and(|at| at > cx.now.mono);
            let Some(latest) = latest.filter(overtakes).filter(|_| !looked) else { return };
            cx.world.blocker_looked = Some(cx.now.mono + limits::OVERTAKEN_LOOK);
            if let Some((place, ..)) = candidate(cx.world).filter(|(place, ..)| place < latest) {
                watch(cx, place.3);
            }
        }
    }
}

/// Offers were given back to others that nothing could use. Who waits whole is overtaken by those.
pub(crate) fn gave_back(cx: &mut Cx<'_>) {
    if matches!(cx.world.blocker, Blocker::Quiet)
        && let Some((place, ..)) = candidate(cx.world)
    {
        watch(cx, place.3);
    }
}

fn watch(cx: &mut Cx<'_>, run: RunId) {
    let since = cx.now.mono;
    cx.world.blocker = Blocker::Overtaken { run, since };
    cx.world.wake_at(since + limits::OVERTAKEN_MAX, Timer::Blocker);
}

/// Looks at the blocker when its time may have come.
pub(crate) fn check(cx: &mut Cx<'_>) {
    let now = cx.now.mono;
    match &cx.world.blocker {
        Blocker::Overtaken { run, since } if *since + limits::OVERTAKEN_MAX <= now => {
            let run = *run;
            match candidate(cx.world) {
                Some((place, need, rooms)) if place.3 == run => hold(cx, place, &need, rooms),
                // It is about to be tried, so nobody knows whether it has room.
                _ if cx.world.queue.is_to_be_tried(&run) => {
                    cx.world.wake_at(now + limits::OVERTAKEN_LOOK, Timer::Blocker);
                }
                // Another one is in front now, or there is none.
                Some((place, ..)) => watch(cx, place.3),
                None => cx.world.blocker = Blocker::Quiet,
            }
        }
        Blocker::Holding(holding) if holding.until <= now => release(cx),
        Blocker::Resting { until } if *until <= now => cx.world.blocker = Blocker::Quiet,
        Blocker::Quiet
        | Blocker::Overtaken { .. }
        | Blocker::Holding(_)
        | Blocker::Resting { .. } => {}
    }
}

fn hold(cx: &mut Cx<'_>, place: Place, need: &Need, rooms: Vec<u32>) {
    let since = cx.now.mono;
    let until = since + limits::HOLD_MAX;
    let kind = Some(need.shape.kind).filter(|_| !need.shape.alone);
    for room in &rooms {
        cx.world.offered.rooms.set_held(*room, true);
        end_idle_executors(cx, *room, kind);
    }
    cx.note(Note::HostsHeld { run: place.3, hosts: rooms.len() });
    cx.world.queue.prefer(Some(place.clone()));
    cx.world.sharing.wants(place.3);
    cx.world.blocker = Blocker::Holding(Holding { place, rooms, kind, since, until });
    cx.world.wake_at(until, Timer::Blocker);
}

/// Executors without tasks hold room as well, and a run that is held for will not wait for them.
fn end_idle_executors(cx: &mut Cx<'_>, room: u32, kind: Option<Kind>) {
    let agent = cx.world.offered.agent(room).clone();
    let executors = cx.world.agents.get(&agent).map(|agent| agent.executors.clone());
    for id in executors.unwrap_or_default() {
        let Some(executor) = cx.world.executors.get(&id) else { continue };
        let record = &executor.record;
        let same = Some(place::kind(record.app_uid, record.revision)) == kind;
        if executor.tasks.is_empty() && record.state.takes_tasks() && !same {
            executors::stop(cx, id);
        }
    }
}

/// Whether an executor that has just become idle is in the way of the run that holds its host.
pub(crate) fn is_in_the_way(world: &World, executor: &ExecutorRecord) -> bool {
    let Some(holding) = world.blocker.holding() else { return false };
    let same = Some(place::kind(executor.app_uid, executor.revision)) == holding.kind;
    let room = world.agents.get(&executor.agent).and_then(|agent| agent.room);
    !same && room.is_some_and(|room| holding.rooms.contains(&room))
}

/// A document has changed, and with it perhaps the place of the run that holds hosts.
pub(crate) fn follow_document(cx: &mut Cx<'_>) {
    let world = &mut *cx.world;
    let Some(holding) = world.blocker.holding() else { return };
    let Some(run) = world.runs.get(&holding.place.3) else { return };
    let place = world.place_of(run);
    if let Blocker::Holding(holding) = &mut world.blocker
        && holding.place != place
    {
        holding.place = place.clone();
        world.queue.prefer(Some(place));
    }
}

fn release(cx: &mut Cx<'_>) {
    let Blocker::Holding(holding) = std::mem::take(&mut cx.world.blocker) else { return };
    for room in holding.rooms {
        cx.world.offered.rooms.set_held(room, false);
    }
    cx.world.queue.prefer(None);
    // A round may just be over, and nothing else says that there is more room now.
    cx.world.queue.wake(&cx.world.offered.rooms);
    sharing::look_soon(cx);
    cx.note(Note::HostsReleased { run: holding.place.3 });
    let until = cx.now.mono + cx.now.mono.since(holding.since);
    cx.world.blocker = Blocker::Resting { until };
    cx.world.wake_at(until, Timer::Blocker);
}

/// Whether a run waits for room and has no task.
fn waits_whole(world: &World, id: &RunId) -> bool {
    let run = world.runs.get(id).filter(|_| world.queue.contains(id));
    run.is_some_and(|run| run.live().next().is_none())
}

/// The first run in order that has no room and no task though hosts could take it when empty, with
/// those hosts. Of those that no host could take so many are passed over.
fn candidate(world: &World) -> Option<(Place, Need, Vec<u32>)> {
    let asleep = world.queue.asleep_in_order().take(limits::HOLD_CANDIDATES);
    let whole = asleep.filter(|(place, _)| waits_whole(world, &place.3));
    let mut could = whole
        .filter_map(|(place, need)| Some((place.clone(), need.clone(), rooms_for(world, need)?)));
    could.next()
}

/// The rooms for a run to hold, as many as it needs and is allowed: those that are closest to having
/// room. None when no room, or for a run that starts all at once not all of them, could take it.
fn rooms_for(world: &World, need: &Need) -> Option<Vec<u32>> {
    let mut rooms: Vec<_> = world
        .agents
        .values()
        .filter(|agent| agent.silent_since.is_none() && agent.drain.is_none())
        .filter_map(|agent| {
            let room = agent.room?;
            let all = agent.total.as_ref().unwrap_or(&agent.seen);
            let (all, _) = world.offered.known_amounts(all);
            let most = world.offered.rooms.get(room).capacity(&need.shape, &all);
            let short = world.offered.rooms.get(room).short_of(&need.shape);
            (most > 0).then_some((most, short, room))
        })
        .collect();
    let Some(together) = need.together else {
        rooms.sort_unstable_by_key(|(_, short, room)| (*short, *room));
        rooms.truncate(limits::HOLD_HOSTS);
        return (!rooms.is_empty()).then(|| rooms.into_iter().map(|(.., room)| room).collect());
    };
    // The fewest that take all of it: the largest first.
    rooms.sort_unstable_by_key(|(most, short, room)| (std::cmp::Reverse(*most), *short, *room));
    let (mut chosen, mut taken) = (Vec::new(), 0u64);
    for (most, _, room) in rooms {
        if taken >= u64::from(together) {
            break;
        }
        taken = taken.saturating_add(most);
        chosen.push(room);
    }
    (taken >= u64::from(together)).then_some(chosen)
}
