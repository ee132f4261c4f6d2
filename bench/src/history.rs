//! Queries over a long history: a store is filled with past runs through the records of the engine,
//! a real scheduler is started on it, and pages are asked for over HTTP.

use std::path::Path;

use anyhow::{Context as _, ensure};
use muster_api::{
    AgentId, AppName, ExecutorId, IdStream, JobName, JobUid, Mono, Now, RunId, Span, TaskId,
    Timestamp, clock,
    spec::{AppSpec, JobSpec, ScheduleSpec},
    step::{Records, Write},
    views::{Cause, FireOutcome, RunState, ShardState},
};
use muster_engine::{
    event::{Command, Event as EngineEvent, Expect, RequestId},
    items::Items,
    records::{self, FireRangeRecord, JobRecord, PastTaskRecord, RunRecord, ShardsRecord},
};
use muster_scheduler::store::{Commit, DiskStore, State, StoreKind};
use muster_turn::{Core, Event};
use serde_json::json;

use crate::{
    cluster::Cluster,
    programs::Programs,
    report::{Figure, Sample, Unit},
    rest::Client,
    stats::percentile,
};

/// The job that has half of the runs, and a pattern for the names of the others.
const BIG: &str = "big";
/// Jobs that share the other half.
const SMALL: u64 = 50;
/// Between two runs of all jobs together.
const STEP_MS: i64 = 2_000;
/// Every so many-th run has failed.
const FAILED: u64 = 1_000;
/// Every so many-th run of the big job has an instant behind it that did not become a run.
const RANGES: u64 = 100;
/// Records of one commit while the store is filled.
const BATCH: usize = 10_000;

/// What is asked for, and the names of its rows.
struct Ask {
    kind: StoreKind,
    query: Query,
    p50: &'static str,
    p99: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    Newest,
    ByJob,
    ByState,
    ByJobAndState,
    Window,
    Fires,
    ById,
}

/// The rows of each query for each store.
macro_rules! asks {
    ($($query:ident $what:literal),+ $(,)?) => {[$(
        Ask {
            kind: StoreKind::Sled,
            query: Query::$query,
            p50: concat!($what, ", sled, p50"),
            p99: concat!($what, ", sled, p99"),
        },
        Ask {
            kind: StoreKind::Redb,
            query: Query::$query,
            p50: concat!($what, ", redb, p50"),
            p99: concat!($what, ", redb, p99"),
        },
    )+]};
}

const ASKS: [Ask; 14] = asks! {
    Newest "runs, newest page",
    ByJob "runs of a job",
    ByState "runs by a rare state",
    ByJobAndState "runs by job and rare state",
    Window "runs from and to somewhere",
    Fires "fires from and to somewhere",
    ById "a run by its id",
};

/// Schedulers with a long history, one for each kind of store.
pub(crate) struct History {
    schedulers: Vec<(StoreKind, Cluster, Client)>,
    first: Timestamp,
    last: Timestamp,
    ids: Vec<RunId>,
    /// Requests of each kind a round.
    requests: u32,
    numbers: IdStream,
}

impl History {
    /// Fills stores with so many runs each, and starts a scheduler on each.
    pub(crate) async fn prepare(
        programs: &Programs,
        folder: &Path,
        runs: u64,
        requests: u32,
    ) -> anyhow::Result<Self> {
        let last = clock::wall().before(std::time::Duration::from_secs(3600));
        let first = Timestamp::from_millis(last.as_millis() - runs.cast_signed() * STEP_MS);
        let (mut schedulers, mut ids) = (Vec::new(), Vec::new());
        for kind in StoreKind::ALL {
            let folder = folder.join(format!("history-{kind}"));
            std::fs::create_dir_all(&folder)?;
            let store = DiskStore::open(&folder.join("data").join("store"), Some(kind))?;
            let mut filling = Filling::new(store)?;
            ids = filling.fill(first, runs)?;
            drop(filling);
            let flags = ["--history-age", "3650d", "--history-runs-per-job", "10000000"];
            let flags = [flags.as_slice(), &["--history-runs", "10000000"]].concat();
            let mut scheduler = Cluster::scheduler(programs, &folder, &flags)?;
            let mut client = scheduler.listening().await?;
            // The pass over history at the start would be measured too.
            client.await_metric("muster_history_runs", runs as f64).await?;
            schedulers.push((kind, scheduler, client));
        }
        // The first connection was idle for too long while the second store was filled.
        for (_, scheduler, client) in &mut schedulers {
            *client = scheduler.listening().await?;
        }
        Ok(Self { schedulers, first, last, ids, requests, numbers: IdStream::new(7, 7) })
    }

    /// The times of all queries, each beside an answer that needs nothing from the store.
    pub(crate) async fn measure(&mut self) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for ask in &ASKS {
            let (mut times, mut floor) = (Vec::new(), Vec::new());
            for _ in 0..self.requests {
                let path = self.path(ask.query);
                let client = self.schedulers.iter_mut().find(|(kind, ..)| *kind == ask.kind);
                let (.., client) = client.context("each kind of store has a scheduler")?;
                floor.push(client.time("/healthz").await?.0);
                let (nanos, body) = client.time(&path).await?;
                ensure!(body.len() > 100, "`{path}` is answered with nothing");
                times.push(nanos);
            }
            let floor = percentile(&mut floor, 50);
            for (what, percent) in [(ask.p50, 50), (ask.p99, 99)] {
                let sample = Sample { muster: percentile(&mut times, percent), floor };
                let floor = "GET /healthz, p50";
                figures.push(Figure { what, floor, unit: Unit::Time, sample });
            }
        }
        Ok(figures)
    }

    /// Ends the schedulers; gives what they logged last.
    pub(crate) async fn end(self) -> anyhow::Result<String> {
        let mut log = String::new();
        for (_, scheduler, client) in self.schedulers {
            drop(client);
            log.push_str(&scheduler.end().await?);
        }
        Ok(log)
    }

    fn path(&mut self, query: Query) -> String {
        let number = self.numbers.bits();
        let span = (self.last.as_millis() - self.first.as_millis()).cast_unsigned();
        let from = self.first.as_millis() + (number % span.max(1)).cast_signed() / 2;
        let to = Timestamp::from_millis(from + span.cast_signed() / 2);
        let from = Timestamp::from_millis(from);
        match query {
            Query::Newest => "/v1/runs".to_owned(),
            Query::ByJob => format!("/v1/runs?job={BIG}"),
            Query::ByState => "/v1/runs?state=failed".to_owned(),
            Query::ByJobAndState => format!("/v1/runs?job={BIG}&state=failed"),
            Query::Window => format!("/v1/runs?from={from}&to={to}"),
            Query::Fires => format!("/v1/jobs/{BIG}/fires?from={from}&to={to}"),
            Query::ById => format!("/v1/runs/{}", self.ids[number as usize % self.ids.len()]),
        }
    }
}

/// A store that is being filled.
struct Filling {
    store: DiskStore,
    sequence: u64,
    term: u64,
    writes: Vec<Write>,
    ids: IdStream,
}

impl Filling {
    fn new(store: DiskStore) -> anyhow::Result<Self> {
        Ok(Self { store, sequence: 0, term: 0, writes: Vec::new(), ids: IdStream::new(3, 3) })
    }

    /// Stores jobs as the engine does, and past runs of them; answers some of their ids.
    fn fill(&mut self, first: Timestamp, runs: u64) -> anyhow::Result<Vec<RunId>> {
        let mut names = vec![BIG.to_owned()];
        names.extend((0..SMALL).map(|n| format!("small-{n}")));
        let jobs = self.store_jobs(&names, first)?;
        let mut some = Vec::new();
        for n in 0..runs {
            let at = Timestamp::from_millis(first.as_millis() + n.cast_signed() * STEP_MS);
            let job = if n % 2 == 0 { 0 } else { 1 + (n / 2 % SMALL) as usize };
            let run = self.run(&names[job], jobs[job], n, at)?;
            if n % (runs / 1_000).max(1) == 0 {
                some.push(run);
            }
            if n % (2 * RANGES) == 0 {
                self.range(jobs[job], at + std::time::Duration::from_millis(1_000));
            }
            if self.writes.len() >= BATCH {
                self.commit()?;
            }
        }
        self.commit()?;
        Ok(some)
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.sequence += 1;
        let (term, sequence) = (self.term, self.sequence);
        self.store.commit(&Commit { term, sequence, writes: &self.writes })?;
        self.writes.clear();
        Ok(())
    }

    fn store_jobs(&mut self, names: &[String], at: Timestamp) -> anyhow::Result<Vec<JobUid>> {
        let now = Now { wall: at, mono: Mono::default() };
        let (mut core, turn) = Core::restore(1, &Records::new(), now)?;
        self.term = core.term();
        self.writes.extend(turn.writes);
        let mut apply = |command| {
            let event = EngineEvent::Command { request: RequestId(1), command };
            self.writes.extend(core.turn(now, Event::Engine(event)).writes);
        };
        let expect = Expect::Anything;
        let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}});
        apply(Command::PutApp { spec: AppSpec::parse(app)?.spec, expect });
        for name in names {
            let job = json!({
                "name": name, "app": "a", "type": "script", "script": {"command": ":"},
                "sharding": {"count": 1}, "resources": {"cpus": 1, "mem": 1},
            });
            apply(Command::PutJob { spec: JobSpec::parse(job)?.spec, expect });
        }
        let mut uids = Vec::new();
        for name in names {
            let key = records::job_key(&name.parse::<JobName>()?);
            let value = self.writes.iter().find_map(|write| match write {
                Write::Put { key: of, value } if *of == key => Some(value),
                _ => None,
            });
            let job: JobRecord = records::decode(value.context("the job was not stored")?)?;
            uids.push(job.uid);
        }
        self.commit()?;
        Ok(uids)
    }

    fn run(&mut self, job: &str, uid: JobUid, n: u64, at: Timestamp) -> anyhow::Result<RunId> {
        let id = RunId::from_uuid(self.ids.uuid(at));
        let failed = n % FAILED == FAILED / 2;
        let state = if failed { RunState::Failed } else { RunState::Succeeded };
        let shards = match failed {
            true => ShardsRecord { failed: Items::first(1), ..ShardsRecord::default() },
            false => ShardsRecord { succeeded: Items::first(1), ..ShardsRecord::default() },
        };
        let app: AppName = "a".parse()?;
        let run = RunRecord {
            id,
            job: job.parse()?,
            job_uid: uid,
            app,
            version: Some(1),
            revision: Some(1),
            cause: Cause::Schedule,
            rerun_of: None,
            state,
            reason: None,
            stopped_for: None,
            merged_into: None,
            planned_at: at,
            planned_until: at,
            fires: Some(1),
            created_at: at,
            started_at: Some(at),
            ended_at: Some(at),
            parameter: None,
            only: None,
            shards,
        };
        self.writes.extend(records::past_run_writes(&run));
        let task = self.task(at, failed)?;
        let key = records::past_task_key(&id, 0, 1, n + 1);
        self.writes.push(Write::Put { key, value: records::encode(&task) });
        Ok(id)
    }

    fn task(&mut self, at: Timestamp, failed: bool) -> anyhow::Result<PastTaskRecord> {
        let agent: AgentId = "bench-agent-1".parse()?;
        Ok(PastTaskRecord {
            task: TaskId::from_uuid(self.ids.uuid(at)),
            item: 0,
            parameter: String::new(),
            attempt: 1,
            epoch: 1,
            agent,
            hostname: "bench-host-1".to_owned(),
            executor: ExecutorId::from_uuid(self.ids.uuid(at)),
            state: if failed { ShardState::Failed } else { ShardState::Succeeded },
            reason: failed.then(|| "its code failed".to_owned()),
            launched_at: at,
            started_at: Some(at),
            ended_at: at,
            exit_code: Some(failed.into()),
            result: None,
            output: failed.then(|| "a line of output\n".repeat(20)),
            replaces: None,
        })
    }

    fn range(&mut self, uid: JobUid, at: Timestamp) {
        let every = Some(Span::from_secs(1));
        let range = FireRangeRecord {
            first: at,
            last: at,
            outcome: FireOutcome::Coalesced,
            reason: "merged into the run that waits".to_owned(),
            run: None,
            at,
            schedule: ScheduleSpec { every, ..ScheduleSpec::default() },
            anchor: at,
        };
        let key = records::fire_key(&uid, at);
        self.writes.push(Write::Put { key, value: records::encode(&range) });
    }
}
