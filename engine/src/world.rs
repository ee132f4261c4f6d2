//! All that the engine knows, and the indexes over it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use muster_api::{
    AgentId, AppName, AppUid, ExecutorId, IdStream, JobName, JobUid, Mono, NoticeId, Now, OfferId,
    Resources, RunId, TaskId, Timestamp,
    spec::{AppSpec, JobSpec},
};

use crate::{
    blocker::Blocker,
    drains::{Drain, Looks},
    ledger::Growing,
    lost_hosts::Silent,
    offered::Offered,
    outbox::{Outbox, Waiting},
    queue::{Place, Queue},
    reconcile::Reconciliation,
    records::{
        AppRecord, CountersRecord, CursorRecord, DisownedRecord, ExecutorRecord, HeldRecord,
        IdempotencyRecord, JobRecord, LostRecord, ResumedRecord, SettlingRecord, ToldRecord,
        ZonesRecord,
    },
    revisions::RevisionUses,
    run::Run,
    running::Running,
    sharing::{HeldOffer, Sharing},
    tables::Table,
    task::Task,
    zombies::Zombie,
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
    pub(crate) held: Table<(), HeldRecord>,
    pub(crate) resumed: Table<(), ResumedRecord>,
    pub(crate) settling_mark: Table<(), SettlingRecord>,
    pub(crate) zones: Table<(), ZonesRecord>,
    pub(crate) disowned: Table<(), DisownedRecord>,
    pub(crate) notices: Table<NoticeId, Waiting>,
    pub(crate) told: Table<JobUid, ToldRecord>,
    pub(crate) lost: Table<AgentId, LostRecord>,

    /// The runs of each job that has any, in the order in which they take their turn.
    pub(crate) lanes: BTreeMap<JobUid, VecDeque<RunId>>,
    /// Runs at their turn with shards that wait for room.
    pub(crate) queue: Queue,
    /// Runs with shards that wait for anything, at their turn or not, in the order in which they are
    /// served.
    pub(crate) waiting: BTreeSet<Place>,
    /// The runs that expire if nothing of them is launched by then.
    pub(crate) expiries: BTreeSet<(Timestamp, RunId)>,
    /// The jobs that fire, by when that is due: the next instant of each cursor, plus the jitter.
    pub(crate) fires_by_time: BTreeMap<(Timestamp, JobUid), JobName>,
    /// The jobs of each app that has any.
    pub(crate) jobs_of_app: BTreeMap<AppName, BTreeSet<JobName>>,
    /// The apps with a change that not all of their jobs have taken over yet.
    pub(crate) sweeping: BTreeSet<AppName>,
    /// The runs of daemon jobs that may have a task to be replaced; memory only.
    pub(crate) rolling: BTreeSet<RunId>,
    /// The newest range of the fire ledger of each job, as long as it may grow.
    pub(crate) growing: Growing,
    /// Tasks that are over and live.
    pub(crate) zombies: BTreeMap<TaskId, Zombie>,
    /// Executors that live and are none of ours, met while the store is held; they are ended then.
    pub(crate) strangers: BTreeMap<ExecutorId, AgentId>,
    /// Whether what a resumed store does not know is being ended, so that nothing may be launched: as
    /// long as its mark is stored.
    pub(crate) settling: bool,
    /// How many runs and executors use each revision of an app.
    pub(crate) revision_uses: RevisionUses,
    /// The agents that have registered, or that tasks and executors were launched on.
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    /// Idempotency keys, the oldest first.
    pub(crate) keys_by_time: BTreeSet<(Timestamp, JobUid, String)>,
    /// The offers that are held.
    pub(crate) offers: BTreeMap<OfferId, HeldOffer>,
    /// The same offers, as placement sees them.
    pub(crate) offered: Offered,
    /// How many tasks there are and may be.
    pub(crate) running: Running,
    /// What the master is being asked.
    pub(crate) reconcile: Reconciliation,
    /// Who may hold hosts because it was overtaken.
    pub(crate) blocker: Blocker,
    /// What becomes of offers where others want the same hosts.
    pub(crate) sharing: Sharing,
    /// When hosts that are drained are looked at for tasks to be moved.
    pub(crate) drains_look: Looks,
    /// When it makes sense to look again who is overtaken.
    pub(crate) blocker_looked: Option<Mono>,
    /// What is to be done at some time, if it still makes sense then.
    pub(crate) timers: BTreeSet<(Mono, Timer)>,
    /// Who waits for which webhook.
    pub(crate) outbox: Outbox,
    /// Hosts of which nothing is heard, by when they count as lost.
    pub(crate) silent_hosts: Silent,
    /// How long a task counts as perhaps alive of which nobody can say whether it lives; nothing where
    /// the master is our own, and leases say so.
    pub(crate) unreachable_wait: Option<Duration>,
    /// The newest epoch given out.
    pub(crate) epoch: u64,
    pub(crate) ids: IdStream,
}

/// An executor that is not gone.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) record: ExecutorRecord,
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Memory only: since when it has no task.
    pub(crate) idle_since: Option<Mono>,
    /// Memory only: when it is looked at for having been idle for too long.
    pub(crate) idle_look_at: Option<Mono>,
    /// Memory only: since when it is told to end, and could hear of it.
    pub(crate) stopping_since: Option<Mono>,
    /// Memory only: when it is told to end again.
    pub(crate) told_again_at: Option<Mono>,
    /// Memory only: the number of the newest batch of executions that it told of.
    pub(crate) told: u64,
}

impl Executor {
    /// An executor without tasks.
    pub(crate) fn new(record: ExecutorRecord) -> Self {
        Self {
            record,
            tasks: BTreeSet::new(),
            idle_since: None,
            idle_look_at: None,
            stopping_since: None,
            told_again_at: None,
            told: 0,
        }
    }
}

/// An executor host, as far as the engine needs to know.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) hostname: String,
    /// What it says of itself.
    pub(crate) attributes: BTreeMap<String, String>,
    /// All that it has, when somebody said so.
    pub(crate) total: Option<Resources>,
    /// Memory only: the most that was ever seen of it where nobody says what it has, which may be less.
    pub(crate) seen: Resources,
    pub(crate) offers: BTreeMap<OfferId, Resources>,
    /// Memory only: what it offered when all of that was given back, as long as it offers nothing.
    pub(crate) given_back: Option<Resources>,
    pub(crate) executors: BTreeSet<ExecutorId>,
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Its room in placement, if it ever made an offer.
    pub(crate) room: Option<u32>,
    /// Since when nothing is heard of it.
    pub(crate) silent_since: Option<Mono>,
    /// Whether that was told: after a restart all are silent until they come back.
    pub(crate) silence_told: bool,
    /// Whether it has been silent for so long that nobody waits for what is under way there.
    pub(crate) given_up: bool,
    /// Whether an operator said that it never comes back.
    pub(crate) gone: bool,
    /// Whether it made an offer since hosts were looked at last that may be no more.
    pub(crate) offered: bool,
    /// That an operator wants it empty, if one does.
    pub(crate) drain: Option<Drain>,
}

impl Agent {
    /// What the engine may use of it.
    pub(crate) fn free(&self) -> Resources {
        self.offers.values().fold(Resources::none(), |sum, offer| {
            sum.checked_add(offer).expect("offers of one agent stay below the bound of amounts")
        })
    }

    /// What it offered last, if that was given back and it has offered nothing since. Others may have
    /// taken it: it is for those who ask why something waits, and nothing is placed by it.
    pub(crate) fn offered_last(&self) -> Option<&Resources> {
        self.given_back.as_ref().filter(|_| self.offers.is_empty())
    }

    /// What is free there, as far as that is known.
    pub(crate) fn known_free(&self) -> Resources {
        self.offered_last().cloned().unwrap_or_else(|| self.free())
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
    /// A task that is over may live and not have ended.
    KillZombie(TaskId),
    /// An executor that was told to end may not have ended.
    ShutdownAgain(ExecutorId),
    /// The lease of an executor on a silent agent may be over.
    Fence(ExecutorId),
    /// Nobody could say for long whether a task lives.
    Unreachable(TaskId),
    /// A run may have taken too long.
    RunTimeout(RunId),
    /// The master is to be asked something.
    Reconcile,
    /// A run may have been overtaken for too long, or hold hosts for too long.
    Blocker,
    /// Tasks on hosts that are drained may be due to be moved.
    Drains,
    /// Offers may have been held for long that nothing could use.
    Offers,
    /// What a resumed store did not know has ended by now.
    Settled,
    /// A webhook may be tried again, for which this notice waits.
    Webhook(NoticeId),
    /// More may have to be told of instants of a job that were passed over.
    Quiet(JobUid),
    /// The tasks of a daemon job may be well again.
    Steady(JobUid),
    /// A host may have been silent for too long.
    LostHosts,
    /// Hosts of another master may be no more.
    Hosts,
}

impl World {
    /// The document that a run follows: the version that it took, else the newest.
    pub(crate) fn spec_of(&self, run: &Run) -> Option<Arc<JobSpec>> {
        let record = run.record();
        let newest = self.job(&record.job, record.job_uid);
        match record.version {
            // The newest version is in the job's own record.
            Some(version) => match newest.filter(|job| job.version == version) {
                Some(job) => Some(job.spec.clone()),
                None => self.versions.get(&(record.job_uid, version)).cloned(),
            },
            None => newest.map(|job| job.spec.clone()),
        }
    }

    /// The document that a task was launched with.
    pub(crate) fn spec_of_task(&self, task: &Task) -> Option<Arc<JobSpec>> {
        let run = self.runs.get(&task.run)?;
        let Some(version) = task.version else { return self.spec_of(run) };
        let (name, uid) = (&run.record().job, run.record().job_uid);
        match self.job(name, uid).filter(|job| job.version == version) {
            Some(job) => Some(job.spec.clone()),
            None => self.versions.get(&(uid, version)).cloned(),
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
        self.watch_start(id);
        let Some(run) = self.runs.get(&id) else { return };
        let (place, counts) = (self.place_of(run), run.counts());
        let goes_on = !run.is_stopping();
        let at_turn = self.at_turn(&run.record().job_uid) == Some(id);
        if goes_on && counts.pending + counts.backing_off > 0 {
            self.waiting.insert(place.clone());
        } else {
            self.waiting.remove(&place);
        }
        if !(goes_on && counts.pending > 0 && at_turn) {
            self.queue.leave(&place);
        } else {
            let waits_elsewhere = self.queue.is_alone(&id) != run.waits_alone();
            if self.queue.contains(&id) && waits_elsewhere {
                self.queue.leave(&place);
            }
            if !self.queue.contains(&id) {
                self.line_up(id);
            }
        }
    }

    /// Takes a run out of the queue before its priority or planned time changes, or it ends.
    pub(crate) fn out_of_queue(&mut self, id: RunId) {
        self.forget_start(id);
        if let Some(run) = self.runs.get(&id) {
            let place = self.place_of(run);
            self.queue.leave(&place);
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
        let counters = self.counters.get(&()).copied().unwrap_or_default();
        if counters.epoch_bound <= self.epoch {
            let epoch_bound = self.epoch + BLOCK;
            self.counters.insert((), CountersRecord { epoch_bound, ..counters });
        }
        self.epoch
    }

    /// Since when this restored store is held, if it is.
    pub(crate) fn held(&self) -> Option<Timestamp> {
        self.held.get(&()).map(|held| held.since)
    }

    /// Whether a round of placement has something to do.
    pub(crate) fn can_place(&self) -> bool {
        self.queue.is_awake() && self.can_place_some()
    }

    /// Whether there are offers that may be used.
    pub(crate) fn can_place_some(&self) -> bool {
        !self.offers.is_empty() && !self.keeps_launches() && self.tasks_left() > 0
    }

    /// Whether another task may be launched in an executor.
    pub(crate) fn takes_more(&self, executor: &Executor) -> bool {
        // One that is alone is the only one there.
        let first = executor.tasks.first().and_then(|task| self.tasks.get(task));
        executor.record.state.takes_tasks() && first.is_none_or(|task| !task.tries.alone)
    }

    /// Whether nothing may be launched: a restored store is held, or was resumed a moment ago.
    pub(crate) fn keeps_launches(&self) -> bool {
        self.settling || self.held().is_some()
    }

    /// How many writes are kept back.
    pub(crate) fn unwritten(&self) -> usize {
        self.apps.unwritten()
            + self.jobs.unwritten()
            + self.revisions.unwritten()
            + self.versions.unwritten()
            + self.cursors.unwritten()
            + self.runs.unwritten()
            + self.tasks.unwritten()
            + self.executors.unwritten()
            + self.idempotency.unwritten()
            + self.counters.unwritten()
            + self.held.unwritten()
            + self.resumed.unwritten()
            + self.settling_mark.unwritten()
            + self.zones.unwritten()
            + self.disowned.unwritten()
            + self.notices.unwritten()
            + self.told.unwritten()
            + self.lost.unwritten()
    }

    /// All records count as changed.
    pub(crate) fn touch(&mut self) {
        self.apps.touch();
        self.jobs.touch();
        self.revisions.touch();
        self.versions.touch();
        self.cursors.touch();
        self.runs.touch();
        self.tasks.touch();
        self.executors.touch();
        self.idempotency.touch();
        self.counters.touch();
        self.held.touch();
        self.resumed.touch();
        self.settling_mark.touch();
        self.zones.touch();
        self.disowned.touch();
        self.notices.touch();
        self.told.touch();
        self.lost.touch();
    }

    /// Sets a timer.
    pub(crate) fn wake_at(&mut self, at: Mono, timer: Timer) {
        self.timers.insert((at, timer));
    }
}
