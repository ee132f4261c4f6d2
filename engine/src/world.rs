//! All that the engine knows, and the indexes over it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use muster_api::{
    AgentId, AppName, AppUid, ExecutorId, IdStream, JobName, JobUid, Mono, Now, OfferId, Resources,
    RunId, TaskId, Timestamp,
    schedule::Schedule,
    spec::{AppSpec, JobSpec},
};

use crate::{
    records::{
        AppRecord, CountersRecord, CursorRecord, ExecutorRecord, IdempotencyRecord, JobRecord,
    },
    run::Run,
    tables::Table,
    task::Task,
};

/// All that the engine knows. Tables are stored; the rest is derived from them, or brought by the
/// master again after a restart.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) apps: Table<AppName, AppRecord>,
    pub(crate) revisions: Table<(AppUid, u64), Arc<AppSpec>>,
    pub(crate) jobs: Table<JobName, JobRecord>,
    pub(crate) versions: Table<(JobUid, u64), Arc<JobSpec>>,
    pub(crate) cursors: Table<JobUid, CursorRecord>,
    pub(crate) runs: Table<RunId, Run>,
    pub(crate) tasks: Table<TaskId, Task>,
    pub(crate) executors: Table<ExecutorId, Executor>,
    pub(crate) idempotency: Table<(JobUid, String), IdempotencyRecord>,
    pub(crate) counters: Table<(), CountersRecord>,

    /// The runs of each job that has any, in the order in which they take their turn.
    pub(crate) lanes: BTreeMap<JobUid, VecDeque<RunId>>,
    /// Runs at their turn with shards that wait for room, in the order in which they are served.
    pub(crate) queue: BTreeSet<Place>,
    /// Runs with shards that wait for anything, at their turn or not, in the same order.
    pub(crate) waiting: BTreeSet<Place>,
    /// The next planned instant of each enabled job.
    pub(crate) fires: BTreeMap<JobUid, Planned>,
    pub(crate) fires_by_time: BTreeSet<(Timestamp, JobUid)>,
    /// The agents that have registered, or that tasks and executors were launched on.
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    /// Idempotency keys, the oldest first.
    pub(crate) keys_by_time: BTreeSet<(Timestamp, JobUid, String)>,
    /// The agents of the offers that are held.
    pub(crate) offers: BTreeMap<OfferId, AgentId>,
    /// What is to be done at some time, if it still makes sense then.
    pub(crate) timers: BTreeSet<(Mono, Timer)>,
    /// The newest epoch given out.
    pub(crate) epoch: u64,
    pub(crate) ids: IdStream,
    /// Whether something changed that may let a waiting shard start.
    pub(crate) placement_due: bool,
    /// Where the round of placement goes on that has not come to the end of the queue.
    pub(crate) round_from: Option<Place>,
}

/// The place of a run in the queue: priority, planned time, name, id.
pub(crate) type Place = (Reverse<u8>, Timestamp, JobName, RunId);

/// The schedule of an enabled job, ready for use.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: JobName,
    pub(crate) schedule: Schedule,
    pub(crate) next: Timestamp,
}

/// An executor that is not gone.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) record: ExecutorRecord,
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Memory only: since when it has no task.
    pub(crate) idle_since: Option<Mono>,
    /// Memory only: when it is told to end again.
    pub(crate) told_again_at: Option<Mono>,
}

impl Executor {
    /// An executor without tasks.
    pub(crate) fn new(record: ExecutorRecord) -> Self {
        Self { record, tasks: BTreeSet::new(), idle_since: None, told_again_at: None }
    }
}

/// An executor host, as far as the engine needs to know.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) hostname: String,
    pub(crate) offers: BTreeMap<OfferId, Resources>,
    pub(crate) executors: BTreeSet<ExecutorId>,
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Since when nothing is heard of it.
    pub(crate) silent_since: Option<Mono>,
}

impl Agent {
    /// What the engine may use of it.
    pub(crate) fn free(&self) -> Resources {
        self.offers.values().fold(Resources::none(), |sum, offer| {
            sum.checked_add(offer).expect("offers of one agent stay below the bound of amounts")
        })
    }
}

/// Something to look at when its time comes. Each is checked again then: what it was set for may
/// be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A back-off may be over.
    Backoff(RunId, u32),
    /// A task may still be launching.
    Launching(TaskId),
    /// A task may have run for longer than its time-out and what its executor needs to say so.
    Overdue(TaskId),
    /// A task that was told to end may not have ended.
    KillAgain(TaskId),
    /// An executor may be idle.
    Idle(ExecutorId),
    /// An executor that was told to end may not have ended.
    ShutdownAgain(ExecutorId),
    /// The lease of an executor on a silent agent may be over.
    Fence(ExecutorId),
}

impl World {
    /// The document that a run follows: the version that it took, else the newest.
    pub(crate) fn spec_of(&self, run: &Run) -> Option<Arc<JobSpec>> {
        let record = run.record();
        match record.version {
            Some(version) => self.versions.get(&(record.job_uid, version)).cloned(),
            None => self.job(&record.job, record.job_uid).map(|job| job.spec.clone()),
        }
    }

    /// The newest document of a run's job, for the fields that act at once; what the run took when
    /// the job is deleted.
    pub(crate) fn newest_spec_of(&self, run: &Run) -> Option<Arc<JobSpec>> {
        let record = run.record();
        let newest = self.job(&record.job, record.job_uid).map(|job| job.spec.clone());
        newest.or_else(|| self.spec_of(run))
    }

    /// The job of a name, if it is still the same one.
    pub(crate) fn job(&self, name: &JobName, uid: JobUid) -> Option<&JobRecord> {
        self.jobs.get(name).filter(|job| job.uid == uid)
    }

    /// Whether a job and its app are both enabled.
    pub(crate) fn is_enabled(&self, job: &JobRecord) -> bool {
        !job.disabled() && self.apps.get(&job.spec.app).is_some_and(|app| !app.disabled)
    }

    /// The run whose turn it is.
    pub(crate) fn at_turn(&self, job: &JobUid) -> Option<RunId> {
        self.lanes.get(job).and_then(|lane| lane.front().copied())
    }

    /// The place in the queue that a run has, or would have.
    pub(crate) fn place_of(&self, run: &Run) -> Place {
        let record = run.record();
        let priority = self.newest_spec_of(run).map_or(0, |spec| spec.priority);
        (Reverse(priority), record.planned_at, record.job.clone(), record.id)
    }

    /// Puts a run into the queue or takes it out, as its shards and its turn say.
    pub(crate) fn requeue(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let (place, counts) = (self.place_of(run), run.counts());
        let goes_on = !run.is_stopping();
        let at_turn = self.at_turn(&run.record().job_uid) == Some(id);
        if goes_on && counts.pending + counts.backing_off > 0 {
            self.waiting.insert(place.clone());
        } else {
            self.waiting.remove(&place);
        }
        if goes_on && counts.pending > 0 && at_turn {
            // A further shard of a run that waits cannot fit where its siblings did not.
            self.placement_due |= self.queue.insert(place);
        } else {
            self.queue.remove(&place);
        }
    }

    /// Takes a run out of the queue before its priority or planned time changes, or it ends.
    pub(crate) fn out_of_queue(&mut self, id: RunId) {
        if let Some(run) = self.runs.get(&id) {
            let place = self.place_of(run);
            self.queue.remove(&place);
            self.waiting.remove(&place);
        }
    }

    /// The next epoch: larger than any before, and at least the wall clock, so that it grows
    /// even over a restored backup.
    pub(crate) fn next_epoch(&mut self, now: Now) -> u64 {
        /// Epochs that one stored bound stands for, so that it is seldom written.
        const BLOCK: u64 = 10_000;
        let wall = u64::try_from(now.wall.as_millis()).unwrap_or(0);
        self.epoch = (self.epoch + 1).max(wall);
        if self.counters.get(&()).is_none_or(|counters| counters.epoch_bound <= self.epoch) {
            self.counters.insert((), CountersRecord { epoch_bound: self.epoch + BLOCK });
        }
        self.epoch
    }

    /// Takes all offers of an agent, to use them up or to give them back.
    pub(crate) fn take_offers(&mut self, agent: &AgentId) -> Vec<OfferId> {
        let Some(agent) = self.agents.get_mut(agent) else { return Vec::new() };
        let offers: Vec<_> = std::mem::take(&mut agent.offers).into_keys().collect();
        for offer in &offers {
            self.offers.remove(offer);
        }
        offers
    }

    /// Whether a round of placement has something to do.
    pub(crate) fn can_place(&self) -> bool {
        (self.placement_due || self.round_from.is_some()) && !self.offers.is_empty()
    }

    /// Sets a timer.
    pub(crate) fn wake_at(&mut self, at: Mono, timer: Timer) {
        self.timers.insert((at, timer));
    }
}
