//! A round of placement: from the world to a problem, and from its solution to launches.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use muster_api::{
    AgentId, AppUid, ExecutorId, Resources, RunId, TaskId, limits,
    spec::{AppSpec, JobSpec, JobType, Launch, Spread},
    task::{ShardContext, TaskPayload, Work},
    views::{RunState, ShardState},
};

use crate::{
    cx::Cx,
    effect::{Effect, LaunchBatch, TaskLaunch},
    placement::{self, Class, Problem, Room, Unplaced},
    records::{ExecutorRecord, ExecutorState, Tries},
    run::{Run, Shard},
    task::{Phase, Task},
    world::{Executor, Place, Timer, World},
};

/// An app revision: what an executor is an instance of.
type Kind = (AppUid, u64);

/// Launches what fits. What is left waits until something changes. A round looks at a bounded part
/// of the queue; the next step goes on where it ended, and only then a new round begins.
pub(crate) fn round(cx: &mut Cx<'_>) {
    if !cx.world.can_place() {
        return;
    }
    if cx.world.round_from.is_none() {
        cx.world.placement_due = false;
    }
    let (draft, end) = Draft::of(cx.world);
    let solution = placement::solve(&draft.problem);
    let mut batches = Batches::default();
    let mut later = false;
    for (candidate, placed) in draft.candidates.iter().zip(&solution.classes) {
        later |= placed.unplaced == Some(Unplaced::Later);
        for (item, room) in candidate.items.iter().zip(&placed.rooms) {
            let agent = &draft.agents[*room as usize];
            launch(cx, &mut batches, candidate, *item, agent);
        }
        if !placed.rooms.is_empty() {
            cx.world.requeue(candidate.run);
        }
    }
    if !later {
        cx.world.round_from = end;
    } else if cx.world.round_from.is_none() {
        cx.world.placement_due = true;
    }
    for (agent, tasks) in batches.by_agent {
        let offers = cx.world.take_offers(&agent);
        cx.effect(Effect::Launch(LaunchBatch { agent, offers, tasks }));
    }
}

/// The tasks of a round by agent.
#[derive(Default)]
struct Batches {
    by_agent: BTreeMap<AgentId, Vec<TaskLaunch>>,
}

/// Shards of a run that are alike, and what they need.
struct Candidate {
    run: RunId,
    items: Vec<u32>,
    job: Arc<JobSpec>,
    job_version: u64,
    app: Arc<AppSpec>,
    kind: Kind,
}

/// A problem, and what its numbers stand for.
struct Draft {
    problem: Problem,
    agents: Vec<AgentId>,
    candidates: Vec<Candidate>,
}

impl Draft {
    /// The problem of a part of the queue, and where that part ended unless it was the last.
    fn of(world: &World) -> (Self, Option<Place>) {
        let agents: Vec<(&AgentId, Resources)> = world
            .agents
            .iter()
            .filter(|(_, agent)| !agent.offers.is_empty())
            .map(|(id, agent)| (id, agent.free()))
            .collect();
        let mut numbers = Numbers::default();
        for (_, free) in &agents {
            numbers.add_dimensions(free);
        }
        let mut draft = Self {
            problem: Problem { limit: limits::LAUNCHES_PER_STEP, ..Problem::default() },
            agents: agents.iter().map(|(id, _)| (*id).clone()).collect(),
            candidates: Vec::new(),
        };
        let by_agent: BTreeMap<&AgentId, u32> = agents.iter().map(|(id, _)| *id).zip(0..).collect();
        let from = world.round_from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut end = None;
        let part = world.queue.range((from, Bound::Unbounded)).take(limits::CLASSES_PER_ROUND);
        for (at, place) in part.enumerate() {
            draft.add_run(world, &mut numbers, &by_agent, place.3);
            end = (at + 1 == limits::CLASSES_PER_ROUND).then(|| place.clone());
        }
        for (id, free) in &agents {
            let agent = &world.agents[*id];
            let kinds = agent.executors.iter().filter_map(|id| world.executors.get(id));
            let usable = kinds.filter(|e| e.record.state.takes_tasks());
            let kinds = usable.map(|e| (e.record.app_uid, e.record.revision));
            let warm = kinds.filter_map(|kind| numbers.kinds.get(&kind).copied()).collect();
            let (free, host) = (numbers.amounts(free), numbers.host(&agent.hostname));
            draft.problem.rooms.push(Room { free, host, warm });
        }
        // A dimension that no agent has is never enough of.
        let dimensions = numbers.dimensions.len();
        for class in &mut draft.problem.classes {
            class.need.resize(dimensions, 0);
            class.overhead.resize(dimensions, 0);
        }
        (draft, end)
    }

    /// Adds the waiting shards of a run: those that avoid the same agent together, and the rest.
    fn add_run(
        &mut self,
        world: &World,
        numbers: &mut Numbers,
        agents: &BTreeMap<&AgentId, u32>,
        id: RunId,
    ) {
        let Some(run) = world.runs.get(&id) else { return };
        let Some((job, job_version, app, kind)) = documents(world, run) else { return };
        let all_at_once = job.launch == Launch::AllAtOnce && !run.has_started();
        let class = Class {
            need: numbers.add_dimensions(&job.resources),
            overhead: numbers.add_dimensions(&app.resources),
            executor: numbers.kind(kind),
            all_at_once,
            spread: (job.spread == Spread::Host).then(|| hosts_of(world, numbers, run)),
            ..Class::default()
        };
        let mut alike: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        let bound =
            if all_at_once { limits::SHARDS_MAX as usize } else { limits::LAUNCHES_PER_STEP + 1 };
        for (item, tries) in run.pending().take(bound) {
            let avoid = tries.and_then(|tries| agents.get(tries.avoid.as_ref()?).copied());
            alike.entry(avoid.filter(|_| !all_at_once)).or_default().push(item);
        }
        // Those that avoid an agent were launched before, so they go first.
        for (avoid, items) in alike.into_iter().rev() {
            let class = Class { count: items.len(), avoid, ..class.clone() };
            self.add(class, id, items, (&job, job_version, &app, kind));
        }
    }

    fn add(
        &mut self,
        class: Class,
        run: RunId,
        items: Vec<u32>,
        (job, job_version, app, kind): (&Arc<JobSpec>, u64, &Arc<AppSpec>, Kind),
    ) {
        // All at once goes beyond the bound of a round if it must: it is one step by definition.
        if class.all_at_once {
            self.problem.limit = self.problem.limit.max(class.count);
        }
        self.problem.classes.push(class);
        let (job, app) = (job.clone(), app.clone());
        self.candidates.push(Candidate { run, items, job, job_version, app, kind });
    }
}

/// What a run uses: the versions that it took, else the newest ones.
fn documents(world: &World, run: &Run) -> Option<(Arc<JobSpec>, u64, Arc<AppSpec>, Kind)> {
    let record = run.record();
    let job = world.spec_of(run)?;
    let version = match record.version {
        Some(version) => version,
        None => world.job(&record.job, record.job_uid)?.version,
    };
    let app = world.apps.get(&record.app)?;
    let kind = (app.uid, record.revision.unwrap_or(app.revision));
    let app = world.revisions.get(&kind)?.clone();
    Some((job, version, app, kind))
}

/// The live shards of a run by host.
fn hosts_of(world: &World, numbers: &mut Numbers, run: &Run) -> BTreeMap<u32, u32> {
    let mut hosts = BTreeMap::new();
    for task in run.live().filter_map(|(_, live)| world.tasks.get(&live.task)) {
        *hosts.entry(numbers.host(&task.hostname)).or_default() += 1;
    }
    hosts
}

/// Small integers for names.
#[derive(Default)]
struct Numbers {
    dimensions: BTreeMap<String, usize>,
    hosts: BTreeMap<String, u32>,
    kinds: BTreeMap<Kind, u32>,
}

impl Numbers {
    fn add_dimensions(&mut self, resources: &Resources) -> Vec<u64> {
        for (name, _) in resources.iter() {
            let next = self.dimensions.len();
            self.dimensions.entry(name.to_owned()).or_insert(next);
        }
        self.amounts(resources)
    }

    fn amounts(&self, resources: &Resources) -> Vec<u64> {
        let mut amounts = vec![0; self.dimensions.len()];
        for (name, amount) in resources.iter() {
            if let Some(at) = self.dimensions.get(name) {
                amounts[*at] = amount.thousandths();
            }
        }
        amounts
    }

    fn host(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        *self.hosts.entry(name.to_owned()).or_insert(next)
    }

    fn kind(&mut self, kind: Kind) -> u32 {
        let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        *self.kinds.entry(kind).or_insert(next)
    }
}

/// Makes a task for a shard on an agent.
fn launch(
    cx: &mut Cx<'_>,
    batches: &mut Batches,
    candidate: &Candidate,
    item: u32,
    agent: &AgentId,
) {
    let (executor, info, executor_is_new) = executor_for(cx, candidate, agent);
    let epoch = cx.world.next_epoch(cx.now);
    let id = TaskId::from_uuid(cx.world.ids.uuid(cx.now.wall));
    let Some(run) = cx.world.runs.change(&candidate.run) else { return };
    let mut tries = match run.shard(item) {
        Some(Shard::Pending(tries)) => tries,
        _ => Tries::default(),
    };
    tries.attempt += 1;
    tries.reason = None;
    let record = run.record_mut();
    if record.started_at.is_none() {
        record.started_at = Some(cx.now.wall);
        record.state = RunState::Running;
    }
    record.version = Some(candidate.job_version);
    record.revision = Some(candidate.kind.1);
    run.set(item, Shard::Live { task: id, state: ShardState::Launching });
    let payload = payload(cx, candidate, item, id, epoch, tries.attempt);

    let launching_until = cx.now.mono + limits::LAUNCHING_MAX;
    let entry = cx.world.agents.entry(agent.clone()).or_default();
    entry.tasks.insert(id);
    let task = Task {
        run: candidate.run,
        item,
        tries,
        epoch,
        agent: agent.clone(),
        hostname: entry.hostname.clone(),
        executor,
        launched_at: cx.now.wall,
        phase: Phase::Launching,
        started_at: None,
        launching_until,
        overdue_at: None,
        kills: 0,
    };
    cx.world.tasks.insert(id, task);
    cx.world.wake_at(launching_until, Timer::Launching(id));
    batches.by_agent.entry(agent.clone()).or_default().push(TaskLaunch {
        task: id,
        name: format!("{}#{item}", candidate.job.name),
        resources: candidate.job.resources.clone(),
        executor,
        executor_info: info,
        executor_is_new,
        payload: payload.encode(),
    });
    if let Some(executor) = cx.world.executors.memory(&executor) {
        executor.tasks.insert(id);
        executor.idle_since = None;
    }
}

/// The executor of that app revision on that agent, or a new one.
fn executor_for(
    cx: &mut Cx<'_>,
    candidate: &Candidate,
    agent: &AgentId,
) -> (ExecutorId, Arc<[u8]>, bool) {
    let entry = cx.world.agents.entry(agent.clone()).or_default();
    let executors = &cx.world.executors;
    let usable = |executor: &Executor| {
        (executor.record.app_uid, executor.record.revision) == candidate.kind
            && executor.record.state.takes_tasks()
    };
    let found = entry.executors.iter().find_map(|id| {
        let executor = executors.get(id).filter(|executor| usable(executor))?;
        Some((*id, executor.record.info.clone()))
    });
    if let Some((id, info)) = found {
        return (id, info, false);
    }
    let id = ExecutorId::from_uuid(cx.world.ids.uuid(cx.now.wall));
    entry.executors.insert(id);
    let info: Arc<[u8]> = (cx.config.describe_executor)(id, &candidate.app).into();
    let record = ExecutorRecord {
        app: candidate.app.name.clone(),
        app_uid: candidate.kind.0,
        revision: candidate.kind.1,
        agent: agent.clone(),
        state: ExecutorState::Starting,
        info: info.clone(),
    };
    cx.world.executors.insert(id, Executor::new(record));
    (id, info, true)
}

fn payload(
    cx: &Cx<'_>,
    candidate: &Candidate,
    item: u32,
    task: TaskId,
    epoch: u64,
    attempt: u32,
) -> TaskPayload {
    let job = &candidate.job;
    let run = cx.world.runs.get(&candidate.run).expect("it was found a moment ago").record();
    let work = match (job.job_type, &job.script) {
        (JobType::Script, Some(script)) => Work::Script(script.clone()),
        _ => Work::Simple { handler: job.handler_name().to_owned() },
    };
    TaskPayload {
        context: ShardContext {
            job: job.name.clone(),
            run: candidate.run,
            task,
            attempt,
            epoch,
            shard_count: job.sharding.count,
            shard_item: item,
            shard_parameter: job.shard_parameter(item).to_owned(),
            job_parameter: run.parameter.clone().unwrap_or_else(|| job.parameter.clone()),
            planned_time: run.planned_at,
            planned_until: run.planned_until,
            fires: run.fires,
            fire_time: cx.now.wall,
            props: job.props.clone(),
        },
        work,
        timeout: job.timeout,
        kill_grace: job.kill_grace,
    }
}
