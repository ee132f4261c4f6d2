//! Executor hosts that give up their work: an operator wants them empty.
//!
//! Nothing new starts there, for its master offers nothing of it. Executors end as soon as they have
//! no task. At the deadline the tasks are moved whose job has failover, a bounded number a step;
//! those without would be started twice, so they go on until they end by themselves. Resident tasks
//! never end by themselves: they are moved from the beginning, one shard of a run at a time, as long
//! as another host has room. Moved means: ended, and started elsewhere once it is known to be over.
//!
//! All of this is memory. The master stores which hosts are drained, and tells it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{
    AgentId, ExecutorId, Mono, Now, RunId, TaskId, explain::items_in_words, limits, views::LeftView,
};

use crate::{
    cx::Cx,
    executors,
    items::Items,
    lost_hosts, place,
    placement::Shape,
    rolls,
    run::Run,
    task::{Phase, Task},
    tasks, trace,
    world::{Timer, World},
};

/// That a host is drained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    /// When its tasks are moved.
    pub(crate) deadline: Option<Mono>,
}

/// When hosts that are drained are looked at; memory only.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// The next time, if there is one.
    next: Option<Mono>,
    /// When one was made at once for the sake of a drain that began.
    at_once: Option<Mono>,
}

/// What is known while all hosts that are drained are looked at.
struct Look {
    /// Tasks that are being moved: each will want a room.
    moving: usize,
    /// The runs of daemon jobs that were looked at: one shard of each is moved at a time.
    tried: BTreeSet<RunId>,
    /// How many shards of a shape have room.
    fits: BTreeMap<Arc<Shape>, u64>,
}

/// What becomes of a task on a host that is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It is being ended already.
    Ends,
    /// It goes on until it ends by itself: nobody may start it again.
    Stays,
    /// It may go on until the deadline, if there is one.
    Waits,
    /// It is resident: it is moved when there is room.
    Follows,
}

/// Nothing new starts on an agent, and its tasks are moved at the deadline.
pub(crate) fn begin(cx: &mut Cx<'_>, id: &AgentId, deadline: Option<Mono>) {
    cx.world.take_offers(id);
    let agent = cx.world.agents.entry(id.clone()).or_default();
    agent.drain = Some(Drain { deadline });
    for executor in agent.executors.clone() {
        end_if_idle(cx, executor);
    }
    // After a restart all drained hosts are told of together: one look is for all of them.
    let rested = cx.world.drains_look.at_once.map(|last| last + limits::DRAIN_PAUSE);
    match rested.filter(|rested| *rested > cx.now.mono) {
        Some(rested) => look_at(cx, rested),
        None => {
            cx.world.drains_look.at_once = Some(cx.now.mono);
            look_at(cx, cx.now.mono);
        }
    }
}

/// An agent may be used again. What is being moved by now is moved.
pub(crate) fn end(cx: &mut Cx<'_>, id: &AgentId) {
    let Some(agent) = cx.world.agents.get_mut(id) else { return };
    let was_drained = agent.drain.take().is_some();
    if was_drained && agent.silent_since.is_some() {
        // It is missed from now on; before, somebody may have taken it down on purpose.
        lost_hosts::silent(cx, id, cx.now.mono);
    }
}

/// An executor of an agent is gone; where it was the last one, a drain has reached what it is for.
pub(crate) fn executor_gone(cx: &mut Cx<'_>, id: &AgentId) {
    let agent = cx.world.agents.get(id).filter(|agent| agent.drain.is_some() && !agent.gone);
    if agent.is_some_and(|agent| agent.executors.is_empty() && agent.tasks.is_empty()) {
        trace::host(cx, id, "drained", None);
    }
}

/// Ends an executor without tasks.
fn end_if_idle(cx: &mut Cx<'_>, id: ExecutorId) {
    let executor = cx.world.executors.get(&id);
    if executor.is_some_and(|e| e.tasks.is_empty() && e.record.state.takes_tasks()) {
        executors::stop(cx, id);
    }
}

/// Has the hosts that are drained looked at by then.
fn look_at(cx: &mut Cx<'_>, at: Mono) {
    let looks = &mut cx.world.drains_look;
    if looks.next.is_some_and(|next| next <= at) {
        return;
    }
    if let Some(before) = looks.next.replace(at) {
        cx.world.timers.remove(&(before, Timer::Drains));
    }
    cx.world.wake_at(at, Timer::Drains);
}

/// Moves what is to be moved now, of all hosts that are drained, and looks again when there may be
/// more to move.
pub(crate) fn look(cx: &mut Cx<'_>) {
    let drained = cx.world.agents.iter().filter(|(_, agent)| !agent.tasks.is_empty());
    let drained = drained.filter_map(|(id, agent)| Some((id.clone(), agent.drain?)));
    let mut look =
        Look { moving: being_moved(cx.world), tried: BTreeSet::new(), fits: BTreeMap::new() };
    let mut next: Option<Mono> = None;
    for (id, drain) in drained.collect::<Vec<_>>() {
        let over = drain.deadline.is_some_and(|deadline| deadline <= cx.now.mono);
        let again = if cx.world.keeps_launches() {
            // Nothing is ended that must not start again.
            Some(cx.now.mono + limits::DRAIN_LOOK)
        } else if over {
            move_all(cx, &id)
        } else {
            let residents = move_residents(cx, &id, &mut look);
            residents.into_iter().chain(drain.deadline).min()
        };
        next = next.into_iter().chain(again).min();
    }
    if let Some(before) = cx.world.drains_look.next.take() {
        cx.world.timers.remove(&(before, Timer::Drains));
    }
    if let Some(at) = next {
        look_at(cx, at);
    }
}

/// Moves all tasks of an agent that may start again; when to look at the others once more, if there
/// are some.
fn move_all(cx: &mut Cx<'_>, id: &AgentId) -> Option<Mono> {
    let tasks: Vec<TaskId> = cx.world.agents.get(id)?.tasks.iter().copied().collect();
    let (mut left, mut moved) = (false, 0);
    for task in tasks {
        match fate(cx.world, cx.world.tasks.get(&task)?) {
            Fate::Ends => {}
            // Its job may be changed.
            Fate::Stays => left = true,
            Fate::Waits | Fate::Follows => {
                if cx.is_full() || moved == limits::DRAIN_MOVES_PER_STEP {
                    return Some(cx.now.mono + limits::DRAIN_PAUSE);
                }
                move_off(cx, task);
                moved += 1;
            }
        }
    }
    left.then(|| cx.now.mono + limits::DRAIN_LOOK)
}

/// Moves resident tasks of an agent, one of each run that is complete and has room elsewhere; when
/// to look again, if there are more. While it is not heard none is moved, for none would end.
fn move_residents(cx: &mut Cx<'_>, id: &AgentId, look: &mut Look) -> Option<Mono> {
    let agent = cx.world.agents.get(id)?;
    let (tasks, is_heard) = (agent.tasks.iter(), agent.silent_since.is_none());
    let of_run = |id: &TaskId| Some((*id, cx.world.tasks.get(id)?));
    let tasks = tasks.filter_map(of_run).filter(|(_, task)| task.is_resident());
    let tasks: Vec<(TaskId, RunId, Fate)> =
        tasks.map(|(id, task)| (id, task.run, fate(cx.world, task))).collect();
    for (task, run, _) in tasks.iter().filter(|(.., fate)| *fate == Fate::Follows) {
        if is_heard
            && look.moving < limits::DRAIN_MOVES_PER_STEP
            && !cx.is_full()
            && look.tried.insert(*run)
            && is_complete(cx.world, run)
            && has_room_elsewhere(cx.world, *run, look)
        {
            move_off(cx, *task);
            look.moving += 1;
        }
    }
    (!tasks.is_empty()).then(|| cx.now.mono + limits::DRAIN_LOOK)
}

fn move_off(cx: &mut Cx<'_>, id: TaskId) {
    let Some(host) = cx.world.tasks.get(&id).map(|task| task.hostname.clone()) else { return };
    tasks::restart(cx, id, &format!("moved off {host}, which is drained"));
}

fn fate(world: &World, task: &Task) -> Fate {
    let run = world.runs.get(&task.run);
    let spec = run.and_then(|run| world.newest_spec_of(run));
    if matches!(task.phase, Phase::Killing(_)) || run.is_none_or(Run::is_stopping) {
        Fate::Ends
    } else if task.is_resident() {
        Fate::Follows
    } else if spec.is_some_and(|spec| spec.failover.enabled) {
        Fate::Waits
    } else {
        Fate::Stays
    }
}

/// Whether no shard of a run is on its way: none is taken down while another one is.
fn is_complete(world: &World, run: &RunId) -> bool {
    let Some(run) = world.runs.get(run) else { return false };
    let counts = run.counts();
    counts.backing_off == 0
        && (counts.pending == 0 || waits_for_a_limit(world, run))
        && !rolls::is_amid_a_replacement(world, run)
}

/// Whether shards of a run may not start, wherever there is room: so many tasks run already. That
/// may be so for ever, and nothing is lost by moving another one.
fn waits_for_a_limit(world: &World, run: &Run) -> bool {
    let shards = place::shards_of(world, run);
    shards.is_some_and(|shards| world.limit_for(&shards.app, shards.app_uid, 1).is_some())
}

/// How many tasks are being ended on hosts that are drained. Those of lost hosts may never end.
fn being_moved(world: &World) -> usize {
    let drained = world.agents.values().filter(|agent| agent.drain.is_some());
    let drained = drained.filter(|agent| !agent.given_up);
    let tasks = drained.flat_map(|agent| &agent.tasks).filter_map(|id| world.tasks.get(id));
    tasks.filter(|task| matches!(task.phase, Phase::Killing(_))).count()
}

/// Whether a shard of a run has room on a host that is not drained, beside those that are being
/// moved and want one. Where other frameworks want the same hosts nobody knows: no offers are kept there, and
/// the shard is moved all the same.
fn has_room_elsewhere(world: &mut World, id: RunId, look: &mut Look) -> bool {
    if world.sharing.is_shared() {
        return true;
    }
    if world.learn_constraints(id) {
        // Shapes name their constraints by numbers, and some may be others now.
        look.fits.clear();
    }
    let Some(need) = world.runs.get(&id).and_then(|run| place::need_of(world, run)) else {
        return false;
    };
    let others = look.moving as u64;
    let fit = look.fits.entry(need.shape).or_insert_with_key(|shape| {
        let rooms = world.agents.values().filter_map(|agent| agent.room);
        // Nothing is offered of a host that is drained, so its room has nothing free.
        let rooms = rooms.map(|room| world.offered.rooms.get(room)).filter(|room| !room.held);
        rooms.map(|room| room.fits(shape)).fold(0, u64::saturating_add)
    });
    *fit > others
}

/// What of ours is left on an agent, and what becomes of it.
pub(crate) fn left(world: &World, now: Now, id: &AgentId) -> Vec<LeftView> {
    let Some(agent) = world.agents.get(id) else { return Vec::new() };
    let mut groups: BTreeMap<(RunId, Fate), Items> = BTreeMap::new();
    for task in agent.tasks.iter().filter_map(|id| world.tasks.get(id)) {
        let fate = fate(world, task);
        if groups.len() < limits::DRAIN_LEFT_ROWS || groups.contains_key(&(task.run, fate)) {
            groups.entry((task.run, fate)).or_default().insert(task.item);
        }
    }
    let deadline = agent.drain.and_then(|drain| drain.deadline);
    let row = |((run, fate), items): ((RunId, Fate), Items)| {
        let record = world.runs.get(&run)?.record();
        let detail = in_words(fate, deadline, now.mono);
        let (tasks, items) = (items.len(), items_in_words(items.ranges()));
        Some(LeftView { run, job: record.job.clone(), tasks, items, detail })
    };
    groups.into_iter().filter_map(row).collect()
}

/// What becomes of a task whose host is drained; nothing where it is not, or the task ends anyway.
pub(crate) fn what_becomes_of(world: &World, now: Now, task: &Task) -> Option<String> {
    let deadline = world.agents.get(&task.agent)?.drain?.deadline;
    let fate = Some(fate(world, task)).filter(|fate| *fate != Fate::Ends)?;
    let (host, words) = (&task.hostname, in_words(fate, deadline, now.mono));
    let until = deadline.filter(|deadline| *deadline > now.mono);
    let until = until.map(|until| format!(" until {}", now.wall + until.since(now.mono)));
    Some(format!("{host} is being drained{}; {words}", until.unwrap_or_default()))
}

/// The deadline itself is said once, beside all of them.
fn in_words(fate: Fate, deadline: Option<Mono>, now: Mono) -> String {
    match (fate, deadline) {
        (Fate::Ends, _) => "being ended".to_owned(),
        (Fate::Stays, _) => {
            "not moved, for its job has no failover: it goes on until it ends".to_owned()
        }
        (Fate::Waits | Fate::Follows, Some(deadline)) if deadline <= now => {
            "about to be moved".to_owned()
        }
        (Fate::Waits, None) => "goes on until it ends: the drain has no deadline".to_owned(),
        (Fate::Waits, Some(_)) => "moved at the deadline of the drain if not over".to_owned(),
        (Fate::Follows, None) => "resident: moved when another host has room".to_owned(),
        (Fate::Follows, Some(_)) => {
            "resident: moved when another host has room, or at the deadline of the drain".to_owned()
        }
    }
}
