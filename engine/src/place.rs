//! A round of placement: which waiting shards start now, and on which agents.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{
    AgentId, AppUid, Resources, RunId, limits,
    spec::{AppSpec, JobSpec, Launch, Spread},
};

use crate::{
    cx::Cx,
    effect::{Effect, LaunchBatch, Note, TaskLaunch},
    launch::launch,
    placement::{Class, Kind, Shape, Unplaced, Version},
    queue::Need,
    run::Run,
    sweeps,
    world::World,
};

/// The tasks of a round by agent.
pub(crate) type Batches = BTreeMap<AgentId, Vec<TaskLaunch>>;

/// Launches what fits. A round tries a bounded number of runs and launches a bounded number of
/// tasks; what is still awake then is the matter of the next step, and what did not fit sleeps.
pub(crate) fn round(cx: &mut Cx<'_>) {
    if cx.world.offers.is_empty() || cx.world.keeps_launches() {
        return;
    }
    cx.world.queue.wake(&cx.world.offered.rooms);
    let mut batches = Batches::new();
    let mut launched = 0;
    for _ in 0..limits::CLASSES_PER_ROUND {
        let Some((run, need, since)) = cx.world.queue.first() else { break };
        // Its app may have been disabled a moment ago; then it leaves the queue.
        if follow_app(cx, run) {
            continue;
        }
        let Some(draft) = Draft::of(cx.world, run, need.together.is_some()) else {
            // Its documents are missing, so nothing could be launched.
            cx.world.strand(run);
            continue;
        };
        let trial = try_run(cx, &mut batches, draft, since, launched);
        launched += trial.launched;
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

/// What became of the shards of a run that were tried.
struct Trial {
    launched: usize,
    /// Why some are left.
    left: Option<Unplaced>,
}

/// Launches what fits of a run, in a step that has launched so many tasks already.
fn try_run(
    cx: &mut Cx<'_>,
    batches: &mut Batches,
    draft: Draft,
    since: Option<Version>,
    before: usize,
) -> Trial {
    let Draft { shards, shape, all_at_once, spread, groups } = draft;
    let mut class = Class { shape, all_at_once, spread, since, ..Class::default() };
    let mut trial = Trial { launched: 0, left: None };
    for (avoid, items) in groups {
        (class.count, class.avoid) = (items.len(), avoid);
        let so_far = before + trial.launched;
        // All at once goes beyond the bound of a step if it must: it is one step by definition.
        let whole = if all_at_once && so_far == 0 { items.len() } else { 0 };
        let limit = limits::LAUNCHES_PER_STEP.saturating_sub(so_far).max(whole);
        let placed = cx.world.offered.rooms.place(&class, limit);
        for (item, room) in items.into_iter().zip(&placed.rooms) {
            let agent = cx.world.offered.agent(*room).clone();
            launch(cx, batches, &shards, item, &agent);
            if let Some(spread) = &mut class.spread {
                let host = cx.world.offered.rooms.get(*room).host;
                *spread.entry(host).or_default() += 1;
            }
        }
        trial.launched += placed.rooms.len();
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
    spread: Option<BTreeMap<u32, u32>>,
    /// The items, by the room that they avoid. Those that avoid one were launched before, so they
    /// go first.
    groups: Vec<(Option<u32>, Vec<u32>)>,
}

impl Draft {
    fn of(world: &mut World, id: RunId, all_at_once: bool) -> Option<Self> {
        let run = world.runs.get(&id)?;
        let shards = shards_of(world, run)?;
        let shape = Arc::new(shape_of(world, &shards)?);
        let bound =
            if all_at_once { limits::SHARDS_MAX as usize } else { limits::LAUNCHES_PER_STEP };
        let mut by_room: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for (item, tries) in run.pending().take(bound) {
            let avoid = tries.and_then(|tries| tries.avoid.as_ref()).filter(|_| !all_at_once);
            let avoid = avoid.and_then(|agent| world.agents.get(agent)?.room);
            by_room.entry(avoid).or_default().push(item);
        }
        let groups = by_room.into_iter().rev().collect();
        let spread = (shards.job.spread == Spread::Host).then(|| hosts_of(world, id));
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

fn shape_of(world: &World, shards: &Shards) -> Option<Shape> {
    let amounts = |resources: &Resources| world.offered.amounts(resources);
    Some(Shape {
        need: amounts(&shards.job.resources)?,
        overhead: amounts(&shards.app.resources)?,
        kind: kind(shards.app_uid, shards.revision),
    })
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
    Some(Need { shape: Arc::new(shape_of(world, &shards)?), together })
}

/// The live shards of a run by host.
fn hosts_of(world: &mut World, run: RunId) -> BTreeMap<u32, u32> {
    let mut hosts = BTreeMap::new();
    let live = world.runs.get(&run).into_iter().flat_map(Run::live);
    for task in live.filter_map(|(_, live)| world.tasks.get(&live.task)) {
        *hosts.entry(world.offered.host(&task.hostname)).or_default() += 1;
    }
    hosts
}

impl World {
    /// Puts a run into the line of what it needs now.
    fn line_up_anew(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let (place, need) = (self.place_of(run), need_of(self, run));
        self.queue.leave(&place);
        self.queue.enter(place, need);
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
    }
}
