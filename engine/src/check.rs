//! What must always hold, derived anew from the tables. Shares no code with the handlers.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    AppUid, JobUid, RunId, TaskId,
    schedule::jitter_offset,
    spec::{MisfirePolicy, Rule},
    views::{Cause, RunState, ShardCounts},
};

use crate::{
    revisions::RevisionUses,
    run::Shard,
    world::{Agent, Executor, Timer, World},
};

/// Panics if an invariant is broken.
pub(crate) fn check(world: &World) {
    shards_and_tasks_name_each_other(world);
    agents_and_executors_hold_their_tasks(world);
    queue_is_what_waits_at_its_turn(world);
    expiries_are_indexed(world);
    offers_are_indexed(world);
    what_sleeps_does_not_fit(world);
    each_job_has_one_started_run(world);
    scheduled_runs_wait_as_the_policy_allows(world);
    jobs_are_indexed(world);
    documents_in_use_are_there(world);
    daemon_jobs_have_their_run(world);
    uses_of_revisions_are_counted(world);
    idle_executors_have_one_timer(world);
    world.outbox.check(&world.notices, &world.timers);
    let marked = world.settling_mark.get(&()).is_some();
    assert_eq!(world.settling, marked, "what is stored says otherwise of a resume a moment ago");
}

fn shards_and_tasks_name_each_other(world: &World) {
    let mut named: BTreeSet<TaskId> = BTreeSet::new();
    for (id, run) in world.runs.iter() {
        let mut counts = ShardCounts::default();
        for (item, shard) in run.shards_from(0) {
            *counts.of(shard.state()) += 1;
            if let Shard::Live { task: task_id, .. } = shard {
                let task = world.tasks.get(&task_id);
                let task = task.unwrap_or_else(|| panic!("shard {item} of {id} has no task"));
                assert_eq!((task.run, task.item), (*id, item), "task {task_id} is elsewhere");
                assert!(named.insert(task_id), "task {task_id} is of two shards");
            }
        }
        assert_eq!(counts, run.counts(), "the counts of {id} are wrong");
        assert!(counts.over() < counts.total(), "{id} is over and still there");
    }
    assert_eq!(named.len(), world.tasks.len(), "a task is of no shard");
}

fn agents_and_executors_hold_their_tasks(world: &World) {
    for (id, task) in world.tasks.iter() {
        let agent = world.agents.get(&task.agent);
        assert!(agent.is_some_and(|a| a.tasks.contains(id)), "{id} is not with its agent");
        if let Some(executor) = world.executors.get(&task.executor) {
            assert!(executor.tasks.contains(id), "{id} is not with its executor");
            assert_eq!(executor.record.agent, task.agent, "{id} and its executor are apart");
        }
    }
    for (id, executor) in world.executors.iter() {
        let is_shared = executor.tasks.len() > 1;
        assert!(!is_shared || !hosts_one_alone(world, executor), "a task of {id} is not alone");
    }
    let held: usize = world.agents.values().map(|agent| agent.tasks.len()).sum();
    assert_eq!(held, world.tasks.len(), "an agent holds a task that is over");
    let mut of_app: BTreeMap<AppUid, u32> = BTreeMap::new();
    for (_, executor) in world.executors.iter() {
        let tasks = u32::try_from(executor.tasks.len()).expect("tasks are far fewer than 2^32");
        *of_app.entry(executor.record.app_uid).or_default() += tasks;
    }
    for (app, tasks) in of_app {
        assert_eq!(world.running.of_app(app), tasks, "the tasks of app {app} are miscounted");
    }
    let held: usize = world.agents.values().map(|agent| agent.executors.len()).sum();
    assert_eq!(held, world.executors.len(), "an agent holds an executor that is gone");
}

fn hosts_one_alone(world: &World, executor: &Executor) -> bool {
    let mut tasks = executor.tasks.iter().filter_map(|id| world.tasks.get(id));
    tasks.any(|task| task.tries.alone)
}

fn queue_is_what_waits_at_its_turn(world: &World) {
    let (mut queue, mut waiting): (BTreeSet<RunId>, BTreeSet<RunId>) = Default::default();
    for (id, run) in world.runs.iter() {
        if run.is_stopping() {
            continue;
        }
        let lane = &world.lanes[&run.record().job_uid];
        let shards = || run.shards_from(0).map(|(_, shard)| shard);
        let pending = shards().any(|shard| matches!(shard, Shard::Pending(_)));
        let backing_off = shards().any(|shard| matches!(shard, Shard::BackingOff { .. }));
        if pending && lane.front() == Some(id) {
            queue.insert(*id);
        }
        if pending || backing_off {
            waiting.insert(*id);
        }
    }
    let indexed: Vec<RunId> = world.queue.iter().map(|(place, ..)| place.3).collect();
    assert_eq!(indexed.len(), queue.len(), "the queue has other runs than wait at their turn");
    assert!(indexed.iter().all(|id| queue.contains(id)), "the queue has a run that does not wait");
    for (place, need) in world.queue.iter() {
        let run = world.runs.get(&place.3).expect("it waits, as was seen");
        assert_eq!(*place, world.place_of(run), "a run of the queue is in another place");
        assert_eq!(need, crate::place::need_of(world, run).as_ref(), "{} needs another", place.3);
    }
    let indexed: BTreeSet<RunId> = world.waiting.iter().map(|place| place.3).collect();
    assert_eq!(indexed, waiting, "the index of waiting runs is wrong");
    assert_eq!(world.waiting.len(), waiting.len(), "a run waits in two places");
}

/// Reckons when each run expires, from its record and the document of its job.
fn expiries_are_indexed(world: &World) {
    let expiries = world.runs.iter().filter_map(|(id, run)| {
        let record = run.record();
        let job = world.jobs.get(&record.job).filter(|job| job.uid == record.job_uid)?;
        let within = Some(job.spec.start_within.duration()).filter(|within| !within.is_zero())?;
        let scheduled = record.cause == Cause::Schedule;
        let jitter = job.spec.schedule.as_ref().map(|schedule| schedule.jitter).unwrap_or_default();
        let since = match scheduled {
            true => record.planned_until + jitter_offset(jitter, job.uid).duration(),
            false => record.created_at,
        };
        let waits = record.started_at.is_none() && !run.is_stopping();
        waits.then_some((since + within, *id))
    });
    let expiries: BTreeSet<_> = expiries.collect();
    assert_eq!(world.expiries, expiries, "the index of expiries is wrong");
}

fn offers_are_indexed(world: &World) {
    let mut offers = 0;
    for (id, agent) in &world.agents {
        offers += agent.offers.len();
        assert!(agent.offers.keys().all(|offer| world.offers[offer].agent == *id));
        assert!(agent.drain.is_none() || agent.offers.is_empty(), "{id} is drained and has offers");
        let Some(number) = agent.room else {
            assert!(agent.offers.is_empty(), "the offers of {id} have no room");
            continue;
        };
        assert_eq!(world.offered.agent(number), id, "the room of {id} is of another agent");
        let room = world.offered.rooms.get(number);
        let free = world.offered.amounts(&agent.free()).expect("an offer has numbers");
        assert_eq!(room.free, free, "the room of {id} is not what it offers");
        let executors = agent.executors.iter().filter_map(|id| world.executors.get(id));
        let usable = executors.filter(|executor| {
            executor.record.state.takes_tasks() && !hosts_one_alone(world, executor)
        });
        let warm: BTreeSet<_> =
            usable.map(|e| (e.record.app_uid.as_uuid().as_u128(), e.record.revision)).collect();
        let indexed: BTreeSet<_> = room.warm.iter().map(|kind| (kind.app, kind.revision)).collect();
        assert_eq!(indexed, warm, "the executors of {id} are others than placement knows");
    }
    assert_eq!(offers, world.offers.len(), "an offer is of no agent");
}

fn all_hold(rules: &[Rule], agent: &Agent) -> bool {
    let holds = |rule: &Rule| match rule.constraint().attribute.as_str() {
        "hostname" => rule.holds(Some(&agent.hostname)),
        name => rule.holds(agent.attributes.get(name).map(String::as_str)),
    };
    rules.iter().all(holds)
}

/// Reckons with the resources themselves that the first of a line which sleeps does not fit.
fn what_sleeps_does_not_fit(world: &World) {
    /// Lines that are looked at.
    const SAMPLE: usize = 16;
    // Where as many tasks run as may nobody looks at rooms: what has grown by then wakes who sleeps when
    // a task has ended.
    if world.keeps_launches() || world.tasks_left() == 0 {
        return;
    }
    for (id, need) in world.queue.sleepers().take(SAMPLE) {
        let run = world.runs.get(&id).expect("it waits, as was seen");
        let Some(job) = world.spec_of(run) else { continue };
        let Some(app) = world.apps.get(&run.record().app) else { continue };
        let revision = (app.uid, run.record().revision.unwrap_or(app.revision));
        let wanted = need.together.unwrap_or(1);
        let mut waiting = run.pending();
        let alone = waiting.all(|(_, tries)| tries.is_some_and(|tries| tries.alone));
        let mut fitting = 0;
        let rules: Vec<_> = job.constraints.iter().map(Rule::new).collect();
        let held =
            |agent: &Agent| agent.room.is_some_and(|room| world.offered.rooms.get(room).held);
        let usable =
            |agent: &&Agent| !agent.offers.is_empty() && all_hold(&rules, agent) && !held(agent);
        for agent in world.agents.values().filter(usable) {
            let executors = agent.executors.iter().filter_map(|id| world.executors.get(id));
            let warm = executors.filter(|e| !hosts_one_alone(world, e)).any(|e| {
                (e.record.app_uid, e.record.revision) == revision && e.record.state.takes_tasks()
            });
            let overhead = world.revisions.get(&revision).filter(|_| alone || !warm);
            let mut free = match overhead {
                Some(app) => agent.free().checked_sub(&app.resources),
                None => Some(agent.free()),
            };
            while fitting < wanted && free.is_some() {
                free = free.and_then(|free| free.checked_sub(&job.resources));
                fitting += u32::from(free.is_some());
            }
        }
        assert!(fitting < wanted, "run {id} has room and sleeps");
    }
}

fn each_job_has_one_started_run(world: &World) {
    let mut lanes: BTreeMap<JobUid, BTreeSet<RunId>> = BTreeMap::new();
    for (id, run) in world.runs.iter() {
        lanes.entry(run.record().job_uid).or_default().insert(*id);
    }
    let indexed: BTreeMap<JobUid, BTreeSet<RunId>> =
        world.lanes.iter().map(|(uid, lane)| (*uid, lane.iter().copied().collect())).collect();
    assert_eq!(indexed, lanes, "the lanes are wrong");
    for lane in world.lanes.values() {
        let started = lane.iter().filter_map(|id| world.runs.get(id)).filter(|r| r.has_started());
        assert!(started.count() <= 1, "a job overlaps itself");
    }
}

fn scheduled_runs_wait_as_the_policy_allows(world: &World) {
    let mut waiting: BTreeMap<JobUid, usize> = BTreeMap::new();
    for (_, run) in world.runs.iter() {
        let record = run.record();
        if record.cause == Cause::Schedule && record.state == RunState::Pending {
            *waiting.entry(record.job_uid).or_default() += 1;
        }
    }
    for (name, job) in world.jobs.iter() {
        // A cap may have been lowered since.
        let replays = job.spec.misfire.policy == MisfirePolicy::Replay;
        let waits = waiting.get(&job.uid).copied().unwrap_or(0);
        assert!(replays || waits <= 1, "{waits} scheduled runs of {name} wait");
    }
}

fn jobs_are_indexed(world: &World) {
    let (mut of_app, mut fires) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeMap::new());
    for (name, job) in world.jobs.iter() {
        of_app.entry(job.spec.app.clone()).or_default().insert(name.clone());
        let cursor = world.cursors.get(&job.uid);
        let cursor = cursor.unwrap_or_else(|| panic!("{name} has no cursor"));
        if let Some(next) = cursor.next {
            assert!(next > cursor.settled, "{name} fires again for what is settled");
            assert!(!job.disabled(), "{name} fires and is disabled");
            fires.insert((crate::fires::due(job, next), job.uid), name.clone());
        }
    }
    assert_eq!(world.jobs_of_app, of_app, "the index of jobs by app is wrong");
    assert_eq!(world.fires_by_time, fires, "the index of fires is wrong");
    assert_eq!(world.cursors.len(), world.jobs.len(), "a cursor is of no job");
    let apps = world.apps.iter().filter(|(_, app)| app.sweep.is_some());
    let sweeping: BTreeSet<_> = apps.map(|(name, _)| name.clone()).collect();
    assert_eq!(world.sweeping, sweeping, "the index of sweeps is wrong");
}

fn documents_in_use_are_there(world: &World) {
    for (id, run) in world.runs.iter() {
        if let Some(version) = run.record().version {
            let (name, uid) = (&run.record().job, run.record().job_uid);
            let newest = world.jobs.get(name).is_some_and(|j| (j.uid, j.version) == (uid, version));
            let kept = newest || world.versions.contains(&(uid, version));
            assert!(kept, "the version of run {id} is gone");
        }
    }
    for (id, task) in world.tasks.iter() {
        let run = world.runs.get(&task.run).expect("it names the shard, as was seen");
        let resident = run.record().cause == Cause::Daemon;
        assert_eq!(task.version.is_some(), resident, "{id} is resident or not, unlike its run");
        if let Some(version) = task.version {
            let (name, uid) = (&run.record().job, run.record().job_uid);
            let newest = world.jobs.get(name).is_some_and(|j| (j.uid, j.version) == (uid, version));
            assert!(
                newest || world.versions.contains(&(uid, version)),
                "the version of {id} is gone"
            );
        }
    }
    for (id, executor) in world.executors.iter() {
        let key = (executor.record.app_uid, executor.record.revision);
        assert!(world.revisions.contains(&key), "the revision of executor {id} is gone");
    }
}

/// An enabled daemon job has one run that is not being stopped, which has all of its shards and
/// none that is over; others have none.
fn daemon_jobs_have_their_run(world: &World) {
    let mut daemons: BTreeMap<JobUid, u32> = BTreeMap::new();
    for (id, run) in world.runs.iter().filter(|(_, run)| run.record().cause == Cause::Daemon) {
        assert!(run.record().version.is_none(), "{id} is of a version, and follows the newest");
        if run.record().state == RunState::Stopping {
            continue;
        }
        assert_eq!(run.counts().over(), 0, "a shard of {id} is over, and nobody stops that");
        *daemons.entry(run.record().job_uid).or_default() += 1;
        let job = world.jobs.get(&run.record().job).filter(|job| job.uid == run.record().job_uid);
        let count = job.map_or(0, |job| job.spec.sharding.count);
        for item in 0..count {
            assert!(run.shard(item).is_some(), "{id} lacks shard {item} of its job");
        }
        for (item, shard) in run.shards_from(count) {
            assert!(matches!(shard, Shard::Live { .. }), "{id} has shard {item} for nothing");
        }
    }
    for (name, job) in world.jobs.iter() {
        let app = world.apps.get(&job.spec.app);
        let sweep = app.and_then(|app| app.sweep.as_ref());
        if sweep.is_some_and(|sweep| sweep.after.as_ref().is_none_or(|after| after < name)) {
            continue;
        }
        let enabled = job.spec.disabled != Some(true) && app.is_some_and(|app| !app.disabled);
        let wanted = u32::from(enabled && job.spec.is_daemon());
        let has = daemons.get(&job.uid).copied().unwrap_or(0);
        assert_eq!(has, wanted, "daemon runs of {name} that go on");
    }
}

fn uses_of_revisions_are_counted(world: &World) {
    let mut uses = RevisionUses::default();
    world.runs.iter().for_each(|(_, run)| uses.run_begins(run.record()));
    world.executors.iter().for_each(|(_, executor)| uses.executor_begins(&executor.record));
    assert_eq!(world.revision_uses, uses, "the uses of revisions are others");
}

/// Each that may be idle is looked at once, and none that is gone.
fn idle_executors_have_one_timer(world: &World) {
    let looks = world.timers.iter().filter_map(|(at, timer)| match timer {
        Timer::Idle(id) => Some((*id, *at)),
        _ => None,
    });
    let looks: Vec<_> = looks.collect();
    let wanted = world.executors.iter().filter_map(|(id, one)| Some((*id, one.idle_look_at?)));
    let (count, looks): (usize, BTreeMap<_, _>) = (looks.len(), looks.into_iter().collect());
    assert_eq!(looks, wanted.collect(), "the looks at idle executors are others");
    assert_eq!(looks.len(), count, "an executor has two timers for being idle");
    for (id, executor) in world.executors.iter() {
        let is_idle = executor.tasks.is_empty() && executor.record.state.takes_tasks();
        let is_watched = executor.idle_since.is_none() || executor.idle_look_at.is_some();
        assert!(!is_idle || is_watched, "{id} is idle and nobody looks");
    }
}
