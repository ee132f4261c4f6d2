//! What must always hold, derived anew from the tables. Shares no code with the handlers.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{JobUid, RunId, TaskId, views::ShardCounts};

use crate::{run::Shard, world::World};

/// Panics if an invariant is broken.
pub(crate) fn check(world: &World) {
    shards_and_tasks_name_each_other(world);
    agents_and_executors_hold_their_tasks(world);
    queue_is_what_waits_at_its_turn(world);
    each_job_has_one_started_run(world);
    fires_are_indexed(world);
    documents_in_use_are_there(world);
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
    let held: usize = world.agents.values().map(|agent| agent.tasks.len()).sum();
    assert_eq!(held, world.tasks.len(), "an agent holds a task that is over");
    let held: usize = world.agents.values().map(|agent| agent.executors.len()).sum();
    assert_eq!(held, world.executors.len(), "an agent holds an executor that is gone");
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
    let indexed: Vec<RunId> = world.queue.iter().map(|place| place.3).collect();
    assert_eq!(indexed.len(), queue.len(), "the queue has other runs than wait at their turn");
    assert!(indexed.iter().all(|id| queue.contains(id)), "the queue has a run that does not wait");
    let indexed: BTreeSet<RunId> = world.waiting.iter().map(|place| place.3).collect();
    assert_eq!(indexed, waiting, "the index of waiting runs is wrong");
    assert_eq!(world.waiting.len(), waiting.len(), "a run waits in two places");
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

fn fires_are_indexed(world: &World) {
    let indexed: BTreeSet<_> = world.fires.iter().map(|(uid, p)| (p.next, *uid)).collect();
    assert_eq!(indexed, world.fires_by_time, "the index of fires is wrong");
    for (uid, planned) in &world.fires {
        let job = world.jobs.get(&planned.name);
        let job = job.unwrap_or_else(|| panic!("{uid} fires and is deleted"));
        assert!(!job.disabled(), "{} fires and is disabled", planned.name);
    }
}

fn documents_in_use_are_there(world: &World) {
    for (id, run) in world.runs.iter() {
        if let Some(version) = run.record().version {
            let key = (run.record().job_uid, version);
            assert!(world.versions.contains(&key), "the version of run {id} is gone");
        }
    }
    for (id, executor) in world.executors.iter() {
        let key = (executor.record.app_uid, executor.record.revision);
        assert!(world.revisions.contains(&key), "the revision of executor {id} is gone");
    }
}
