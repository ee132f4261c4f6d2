//! Growth: a store with a million jobs, made through the real core, and a real scheduler that is
//! started on it. How long until it is ready, what a job costs in memory, and what it does while
//! there is nothing to do; each beside a scheduler with an empty store.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use muster_api::{
    clock,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
};
use muster_engine::event::{Command, Event as EngineEvent, Expect, RequestId};
use muster_scheduler::store::{Commit, DiskStore, State, StoreKind};
use muster_turn::{Core, Event};
use serde_json::json;

use crate::{
    cluster::Cluster,
    programs::Programs,
    report::{Figure, Sample, Unit},
};

/// Jobs of one commit while the store is made.
const BATCH: u64 = 400;
/// Apps that share the jobs.
const APPS: u64 = 100;

/// Makes a store with so many jobs, and starts a scheduler on it and one on an empty store; both are
/// watched for so long while there is nothing to do.
pub(crate) async fn measure(
    programs: &Programs,
    folder: &Path,
    jobs: u64,
    idle: Duration,
) -> anyhow::Result<Vec<Figure>> {
    let (full, empty) = (folder.join("many-jobs"), folder.join("no-jobs"));
    for folder in [&full, &empty] {
        fs::create_dir_all(folder)?;
    }
    let stored = fill(&full, jobs).context("cannot make the store with many jobs")?;
    let full = watch(programs, &full, idle).await?;
    let empty = watch(programs, &empty, idle).await?;
    let figure = |what, floor, unit, sample| Figure { what, floor, unit, sample };
    let of_a_job = |bytes: f64| bytes / jobs as f64;
    Ok(vec![
        figure(
            "many jobs: start to ready",
            "the same with no jobs",
            Unit::Time,
            Sample { muster: full.ready, floor: empty.ready },
        ),
        figure(
            "many jobs: bytes of memory for each",
            "bytes of its records",
            Unit::Count,
            Sample {
                muster: of_a_job(full.memory - empty.memory).max(1.0),
                floor: of_a_job(stored),
            },
        ),
        figure(
            "many jobs: processor time while idle",
            "the same with no jobs",
            Unit::Time,
            Sample { muster: full.idle, floor: empty.idle },
        ),
    ])
}

/// Stores jobs as the driver does; gives the bytes of their records.
fn fill(folder: &Path, jobs: u64) -> anyhow::Result<f64> {
    let mut store = DiskStore::open(&folder.join("data").join("store"), Some(StoreKind::Sled))?;
    let (mut core, first) = Core::restore(1, &Records::new(), clock::now())?;
    let (term, mut sequence, mut bytes) = (core.term(), 0, 0);
    let mut commit = |writes: Vec<Write>| -> anyhow::Result<()> {
        sequence += 1;
        let size = |write: &Write| match write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        };
        bytes += writes.iter().map(size).sum::<usize>();
        Ok(store.commit(&Commit { term, sequence, writes: &writes })?)
    };
    commit(first.writes)?;
    let resources = json!({"cpus": 1, "mem": 128});
    for app in 0..APPS {
        let app = json!({"name": format!("app-{app:03}"), "resources": resources});
        ask(
            &mut core,
            Command::PutApp { spec: AppSpec::parse(app)?.spec, expect: Expect::Nothing },
        );
    }
    for batch in (0..jobs).step_by(BATCH as usize) {
        for job in batch..jobs.min(batch + BATCH) {
            ask(&mut core, Command::PutJob { spec: spec(job)?, expect: Expect::Nothing });
        }
        let writes = core.take_writes(clock::now());
        ensure!(!writes.is_empty(), "the jobs were refused");
        commit(writes)?;
    }
    Ok(bytes as f64)
}

fn ask(core: &mut Core, command: Command) {
    let event = EngineEvent::Command { request: RequestId(1), command };
    core.advance(clock::now(), Event::Engine(event));
}

/// A job like many. It fires some years from now, so that it only waits.
fn spec(number: u64) -> anyhow::Result<JobSpec> {
    let (minute, hour) = (number % 60, number / 60 % 24);
    let job = json!({
        "name": format!("report-of-customer-{number:07}"), "app": format!("app-{:03}", number % APPS),
        "type": "script", "script": {"command": format!("/opt/reports/bin/make --customer {number}")},
        "schedule": {"cron": format!("0 {minute} {hour} 1 1 ? 2090"), "time_zone": "Europe/Berlin"},
        "sharding": {"count": 1}, "resources": {"cpus": 0.5, "mem": 64},
    });
    Ok(JobSpec::parse(job)?.spec)
}

/// What was seen of a scheduler.
struct Seen {
    /// Nanoseconds from its start until it is ready.
    ready: f64,
    /// Bytes of memory that it holds then.
    memory: f64,
    /// Nanoseconds of processor time while nobody asks for anything.
    idle: f64,
}

async fn watch(programs: &Programs, folder: &Path, idle: Duration) -> anyhow::Result<Seen> {
    let begin = clock::mono_nanos();
    let mut scheduler = Cluster::scheduler(programs, folder, &[])?;
    let client = scheduler.listening().await?;
    let ready = (clock::mono_nanos() - begin) as f64;
    drop(client);
    let process = scheduler.process().context("the scheduler has ended")?;
    // What a start leaves to be done is no part of being idle.
    tokio::time::sleep(idle / 4).await;
    let memory = resident_bytes(process)?;
    let before = processor_nanos(process)?;
    tokio::time::sleep(idle).await;
    let idle = (processor_nanos(process)? - before).max(1.0);
    scheduler.end().await?;
    Ok(Seen { ready, memory, idle })
}

/// The memory of a process that is not on disk (`VmRSS` of proc(5)).
fn resident_bytes(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("it has no VmRSS")?;
    Ok(kib.parse::<f64>()? * 1024.0)
}

/// The time that all threads of a process have run (`schedstat` of proc(5)).
fn processor_nanos(process: u32) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().context("an empty schedstat")?.parse::<f64>()?;
    }
    Ok(sum)
}
