//! A round of placement: which waiting shards start now, and on which agents.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{
    AgentId, AppUid, Resources, RunId, limits,
    spec::{AppSpec, HOSTNAME, JobSpec, Launch, Spread},
};

use crate::{
    blocker,
    cx::Cx,
    deadlines,
    effect::{Effect, LaunchBatch, Note, TaskLaunch},
    launch::launch,
    placement::{Amounts, Class, Kind, Shape, Spreading, Unplaced, Version},
    queue::{Limited, Need, Place},
    records::Tries,
    run::Run,
    sweeps, weight,
    world::World,
};

/// The tasks of a round by agent.
pub(crate) type Batches = BTreeMap<AgentId, Vec<TaskLaunch>>;

/// Launches what fits. A round tries a bounded number of runs and launches a bounded number of
/// tasks; what is still awake then is the matter of the next step, and what did not fit sleeps.
pub(crate) fn round(cx: &mut Cx<'_>) {
    let latest = if cx.world.can_place_some() { place_some(cx) } else { None };
    blocker::after_round(cx, latest.as_ref());
}

/// Launches what fits; of the runs that launched a task the place of the latest in order.
fn place_some(cx: &mut Cx<'_>) -> Option<Place> {
    cx.world.queue.wake(&cx.world.offered.rooms);
    let mut batches = Batches::new();
    let (mut spent, mut latest) = (Spent::default(), None);
    for _ in 0..limits::CLASSES_PER_ROUND {
        let Some((run, need, since)) = cx.world.queue.first() else { break };
        // Nothing starts too late; what has expired is ended before anything else is placed.
        if deadlines::has_expired(cx, run) {
            break;
        }
        // Its app may have been disabled a moment ago; then it leaves the queue.
        if follow_app(cx, run) {
            continue;
        }
        let Some(draft) = Draft::of(cx.world, run, &need) else {
            // Its documents are missing, so nothing could be launched.
            cx.world.strand(run);
            continue;
        };
        let Shards { app, app_uid, .. } = &draft.shards;
        let together = need.together.map_or(1, |count| count as usize);
        if let Some(limit) = cx.world.limit_for(app, *app_uid, together) {
            if cx.world.queue.park(&need, limit.whose) {
                cx.note(Note::Waits { run });
            }
            continue;
        }
        let trial = try_run(cx, &mut batches, draft, since, spent);
        let launched = trial.spent.tasks - spent.tasks;
        spent = trial.spent;
        if launched > 0 {
            latest = latest.max(cx.world.runs.get(&run).map(|run| cx.world.place_of(run)));
        }
        cx.world.requeue(run);
        match trial.left {
            None => {}
            Some(Unplaced::NoRoom) => {
                let version = cx.world.offered.rooms.version();
                if cx.world.queue.sleep(&need, version) {
                    cx.note(Note::Waits { run });
                }
            }
            Some(Unplaced::Later) => break,
        }
    }
    for (agent, tasks) in batches {
        let offers = cx.world.take_offers(&agent);
        cx.effect(Effect::Launch(LaunchBatch { agent, offers, tasks }));
    }
    latest
}

/// Lets the job of a run take over a change of its app that is under way; says whether the queue is
/// another one by that.
fn follow_app(cx: &mut Cx<'_>, run: RunId) -> bool {
    if cx.world.sweeping.is_empty() {
        return false;
    }
    let Some(job) = cx.world.runs.get(&run).map(|run| run.record().job.clone()) else {
        return false;
    };
    sweeps::catch_up(cx, &job);
    cx.world.queue.first().is_none_or(|(first, ..)| first != run)
}

/// What a step has launched.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    tasks: usize,
    /// About how much is said of them.
    bytes: usize,
}

impl Spent {
    /// How many more tasks may be launched, of each of which so much is said.
    fn left(self, each: usize) -> usize {
        let bytes = limits::LAUNCH_BYTES_PER_STEP.saturating_sub(self.bytes);
        let at_least = usize::from(self.tasks == 0);
        limits::LAUNCHES_PER_STEP.saturating_sub(self.tasks).min(bytes / each).max(at_least)
    }
}

/// What became of the shards of a run that were tried.
struct Trial {
    /// What the step has launched by now.
    spent: Spent,
    /// Why some are left.
    left: Option<Unplaced>,
}

/// Launches what fits of a run, in a step that has launched so much already.
fn try_run(
    cx: &mut Cx<'_>,
    batches: &mut Batches,
    draft: Draft,
    since: Option<Version>,
    spent: Spent,
) -> Trial {
    let Draft { shards, shape, all_at_once, spread, groups } = draft;
    let held = cx.world.blocker.holding().and_then(|_| cx.world.runs.get(&shards.run));
    let place = held.map(|run| cx.world.place_of(run));
    let through = place.is_some_and(|place| cx.world.blocker.lets_through(&place));
    // A line that sleeps was not tried where rooms are held.
    let since = since.filter(|_| !through);
    let mut class = Class { shape, all_at_once, spread, through, since, ..Class::default() };
    let mut trial = Trial { spent, left: None };
    let each = weight::of_task(&shards.job, &shards.app);
    for (avoid, items) in groups {
        (class.count, class.avoid) = (items.len(), avoid);
        // All at once goes beyond the bound of a step if it must: it is one step by definition.
        let whole = if all_at_once && trial.spent.tasks == 0 { items.len() } else { 0 };
        let limit = trial.spent.left(each).max(whole);
        let limit = limit.min(cx.world.tasks_left_of(&shards.app, shards.app_uid));
        let placed = cx.world.offered.rooms.place(&class, limit);
        let rooms = placed.rooms.iter().zip(placed.chosen);
        for (item, (room, chosen)) in items.into_iter().zip(rooms) {
            let agent = cx.world.offered.agent(*room).clone();
            launch(cx, batches, &shards, item, &agent, chosen);
            if let Some(spread) = &mut class.spread {
                let value = cx.world.offered.rooms.get(*room).value(spread.over);
                *spread.there.entry(value).or_default() += 1;
            }
        }
        trial.spent.tasks += placed.rooms.len();
        trial.spent.bytes += placed.rooms.len() * each;
        trial.left = placed.unplaced;
        if trial.left.is_some() {
            break;
        }
    }
    trial
}

/// What the shards of a run have in common.
pub(crate) struct Shards {
    pub(crate) run: RunId,
    pub(crate) job: Arc<JobSpec>,
    pub(crate) job_version: u64,
    pub(crate) app: Arc<AppSpec>,
    pub(crate) app_uid: AppUid,
    pub(crate) revision: u64,
}

/// The waiting shards of a run, as placement wants them.
struct Draft {
    shards: Shards,
    shape: Arc<Shape>,
    all_at_once: bool,
    spread: Option<Spreading>,
    /// The items, by the room that they avoid. Those that avoid one were launched before, so they
    /// go first.
    groups: Vec<(Option<u32>, Vec<u32>)>,
}

impl Draft {
    fn of(world: &World, id: RunId, need: &Need) -> Option<Self> {
        let run = world.runs.get(&id)?;
        let (all_at_once, alone) = (need.together.is_some(), need.shape.alone);
        let shards = shards_of(world, run)?;
        let shape = Arc::new(shape_of(world, &shards, alone)?);
        let bound =
            if all_at_once { limits::SHARDS_MAX as usize } else { limits::LAUNCHES_PER_STEP };
        let mut by_room: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        let is_alone = |tries: Option<&Tries>| tries.is_some_and(|tries| tries.alone);
        let waiting = run.pending().filter(|(_, tries)| is_alone(*tries) == alone);
        for (item, tries) in waiting.take(bound) {
            let avoid = tries.and_then(|tries| tries.avoid.as_ref()).filter(|_| !all_at_once);
            let avoid = avoid.and_then(|agent| world.agents.get(agent)?.room);
            by_room.entry(avoid).or_default().push(item);
        }
        let groups = by_room.into_iter().rev().collect();
        let spread = spreading(world, run, &shards.job.spread);
        Some(Self { shards, shape, all_at_once, spread, groups })
    }
}

/// What a run uses: the versions that it took, else the newest ones.
pub(crate) fn shards_of(world: &World, run: &Run) -> Option<Shards> {
    let record = run.record();
    let job = world.spec_of(run)?;
    let job_version = match record.version {
        Some(version) => version,
        None => world.job(&record.job, record.job_uid)?.version,
    };
    let app = world.apps.get(&record.app)?;
    let (app_uid, revision) = (app.uid, record.revision.unwrap_or(app.revision));
    let app = world.revisions.get(&(app_uid, revision))?.clone();
    Some(Shards { run: record.id, job, job_version, app, app_uid, revision })
}

fn shape_of(world: &World, shards: &Shards, alone: bool) -> Option<Shape> {
    let amounts = |resources: &Resources| world.offered.amounts(resources);
    let (shard, executor) = (&shards.job.resources, &shards.app.resources);
    let (need, overhead) = if alone {
        (amounts(&shard.checked_add(executor)?)?, Amounts::new())
    } else {
        (amounts(shard)?, amounts(executor)?)
    };
    let set = world.offered.demands.number(&shards.job.constraints)?;
    Some(Shape { need, overhead, kind: kind(shards.app_uid, shards.revision), alone, set })
}

/// What an executor is an instance of, in numbers.
pub(crate) fn kind(app: AppUid, revision: u64) -> Kind {
    Kind { app: app.as_uuid().as_u128(), revision }
}

/// What decides whether a run fits; none while it cannot fit anywhere, whatever is free.
pub(crate) fn need_of(world: &World, run: &Run) -> Option<Need> {
    let shards = shards_of(world, run)?;
    let all_at_once = shards.job.launch == Launch::AllAtOnce && !run.has_started();
    let together = all_at_once.then(|| run.counts().pending);
    let shape = Arc::new(shape_of(world, &shards, run.waits_alone())?);
    Some(Need { shape, together })
}

/// Over what a run is to be spread, and where its live shards are.
fn spreading(world: &World, run: &Run, spread: &Spread) -> Option<Spreading> {
    let name = match spread {
        Spread::None => return None,
        Spread::Host => HOSTNAME,
        Spread::Attribute(name) => name,
    };
    let mut there = BTreeMap::new();
    for task in run.live().filter_map(|(_, live)| world.tasks.get(&live.task)) {
        let agent = world.agents.get(&task.agent);
        let value = match spread {
            Spread::Attribute(name) => agent.and_then(|agent| agent.attributes.get(&**name)),
            _ => Some(&task.hostname),
        };
        let value = value.map_or(0, |value| world.offered.value(value));
        *there.entry(value).or_default() += 1;
    }
    Some(Spreading { over: world.offered.attribute(name), there })
}

impl World {
    /// Puts a run into the line of what it needs now.
    pub(crate) fn line_up(&mut self, id: RunId) {
        self.learn_constraints(id);
        let Some(run) = self.runs.get(&id) else { return };
        let (place, need) = (self.place_of(run), need_of(self, run));
        if self.queue.enter(place, need) {
            self.sharing.wants(id);
        }
    }

    /// Puts a run into the line of what it needs now, out of the one that it stands in.
    fn line_up_anew(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let place = self.place_of(run);
        self.queue.leave(&place);
        self.line_up(id);
    }

    /// Takes a run out of its line, for nothing can be launched of it until something changes.
    fn strand(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let place = self.place_of(run);
        self.queue.leave(&place);
        self.queue.enter(place, None);
    }

    /// Puts runs into a line that had none: an agent has what they need.
    pub(crate) fn line_up_stranded(&mut self) {
        for run in self.queue.stranded() {
            self.line_up_anew(run);
        }
    }

    /// Puts the runs of an app into other lines, after a change of what its executors need.
    pub(crate) fn line_up_app(&mut self, app: AppUid) {
        for run in self.queue.of_app(app.as_uuid().as_u128()) {
            self.line_up_anew(run);
        }
        // How many of its tasks may run acts at once.
        self.queue.unpark(Limited::App(app.as_uuid().as_u128()));
    }
}
