//! The rows: what is measured, and beside what.

use std::{num::NonZero, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use muster_api::clock;
use serde_json::json;

use crate::{
    floor::{Appends, Commits, rate, spawn_rate},
    programs::Programs,
    report::{Figure, Sample, Unit},
    rest::Client,
    stats::percentile,
};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Shards in a second whose handler does nothing
    Shards,
    /// The time from a trigger to the code that it starts
    Trigger,
    /// Script shards in a second whose command does nothing
    Scripts,
    /// Durable commits in a second, by kind of store
    Commits,
    /// Pages of a long history over HTTP
    History,
    /// Placement of many shards on many agents
    Placement,
    /// A scheduler with a million jobs: its start, its memory, its idleness
    Jobs,
}

impl Kind {
    /// The row in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Shards => "shards per second",
            Self::Trigger => "from trigger to code",
            Self::Scripts => "script shards per second",
            Self::Commits => "commits per second",
            Self::History => "pages of a long history",
            Self::Placement => "placement",
            Self::Jobs => "many jobs",
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Shards of a run whose handler does nothing.
    shards: u32,
    /// Such runs, back to back.
    runs: u32,
    /// Triggers, one after the other.
    triggers: u32,
    /// Shards of a script run.
    scripts: u32,
    /// Shells, before Muster and after it.
    shells: u32,
    /// How long a floor of the disk is measured, before and after.
    pub(crate) disk: Duration,
    /// Past runs of the history that is asked for pages.
    pub(crate) past_runs: u64,
    /// Pages of each kind.
    pub(crate) requests: u32,
    /// How many times less is placed than 100,000 shards on 10,000 agents.
    pub(crate) placement_divided: u32,
    /// Jobs of the scheduler that has many.
    pub(crate) jobs: u64,
    /// How long it is watched while it is idle.
    pub(crate) idle: Duration,
}

/// Enough of everything that a row takes some seconds a round.
pub(crate) const FULL: Sizes = Sizes {
    shards: 1_000,
    runs: 10,
    triggers: 200,
    scripts: 1_000,
    shells: 500,
    disk: Duration::from_millis(300),
    past_runs: 1_000_000,
    requests: 200,
    placement_divided: 1,
    jobs: 1_000_000,
    idle: Duration::from_secs(10),
};
/// As little as still goes through all of it.
pub(crate) const QUICK: Sizes = Sizes {
    shards: 20,
    runs: 2,
    triggers: 3,
    scripts: 8,
    shells: 8,
    disk: Duration::from_millis(5),
    past_runs: 1_500,
    requests: 3,
    placement_divided: 500,
    jobs: 200,
    idle: Duration::from_millis(20),
};

/// Bytes of a page, which is what the disk writes at the least.
const PAGE: f64 = 4096.0;
/// Script shards that run at one time, and threads that start shells.
const PARALLEL: NonZero<u32> = NonZero::new(8).expect("it is not zero");

/// What the agent says it has: room for [`PARALLEL`] script shards of one cpu each and for two
/// executors, and memory for a whole run of shards.
pub(crate) fn resources() -> String {
    format!("cpus:{PARALLEL}.5;mem:8192")
}

/// A cluster with the jobs of the rows that need one, and the floors beside it.
pub(crate) struct Live {
    client: Client,
    sizes: Sizes,
    appends: Appends,
    commits: Commits,
}

impl Live {
    /// Stores the jobs and runs each once, so that its executor is warm.
    pub(crate) async fn prepare(
        mut client: Client,
        programs: &Programs,
        folder: &Path,
        sizes: Sizes,
    ) -> anyhow::Result<Self> {
        let noop = programs.noop();
        let noop = noop.to_str().context("the folder of the programs has no readable name")?;
        let executor = json!({"cpus": 0.2, "mem": 128});
        let apps = [
            json!({"name": "noop", "command": format!("exec '{noop}'"), "resources": executor,
                   "idle_timeout": "1h"}),
            json!({"name": "scripts", "resources": executor, "idle_timeout": "1h"}),
        ];
        let shard = json!({"cpus": 0.001, "mem": 1});
        let jobs = [
            json!({"name": "noop", "app": "noop", "type": "simple", "resources": shard,
                   "sharding": {"count": sizes.shards}}),
            json!({"name": "clock", "app": "noop", "type": "simple", "resources": shard,
                   "sharding": {"count": 1}}),
            json!({"name": "script", "app": "scripts", "type": "script",
                   "script": {"command": ":"}, "resources": {"cpus": 1, "mem": 1},
                   "sharding": {"count": sizes.scripts}}),
        ];
        for app in &apps {
            client.put("apps", app).await?;
        }
        for job in &jobs {
            client.put("jobs", job).await?;
        }
        for job in ["clock", "script"] {
            let run = client.trigger(job).await?;
            client.await_success(&run).await?;
        }
        let (appends, commits) = (Appends::new(folder, "appends")?, Commits::new(folder)?);
        Ok(Self { client, sizes, appends, commits })
    }

    /// Measures one row once.
    pub(crate) async fn measure(&mut self, kind: Kind) -> anyhow::Result<Vec<Figure>> {
        match kind {
            Kind::Shards => self.shards().await,
            Kind::Trigger => self.trigger().await,
            Kind::Scripts => self.scripts().await,
            // Those need no cluster.
            Kind::Commits | Kind::History | Kind::Placement | Kind::Jobs => Ok(Vec::new()),
        }
    }

    async fn shards(&mut self) -> anyhow::Result<Vec<Figure>> {
        let Sizes { shards, runs, disk, .. } = self.sizes;
        let before = self.appends.rate(disk)?;
        let counted = self.counters().await?;
        let muster = self.run_rate("noop", shards, runs).await?;
        let now = self.counters().await?;
        let after = self.appends.rate(disk)?;
        let count = |n: usize| now[n] - counted[n];
        let all = f64::from(shards * runs);
        let figure = |what, floor, unit, muster, of| {
            let sample = Sample { muster, floor: of };
            Figure { what, floor, unit, sample }
        };
        let appends = f64::midpoint(before, after);
        let page = "one page of 4 KiB";
        Ok(vec![
            figure(
                "durable no-op shards",
                "appends of 4 KiB with fdatasync",
                Unit::PerSecond,
                muster,
                appends,
            ),
            figure("puts per shard", "launch and history", Unit::Count, count(0) / all, 2.0),
            figure("deletes per shard", "the task", Unit::Count, count(1) / all, 1.0),
            figure("bytes written per shard", page, Unit::Count, count(2) / all, PAGE),
            figure(
                "records per commit",
                "no group commit",
                Unit::Count,
                (count(0) + count(1)) / count(3).max(1.0),
                1.0,
            ),
        ])
    }

    async fn scripts(&mut self) -> anyhow::Result<Vec<Figure>> {
        let Sizes { scripts, shells, .. } = self.sizes;
        let before = spawn_rate(shells, PARALLEL)?;
        let muster = self.run_rate("script", scripts, 1).await?;
        let after = spawn_rate(shells, PARALLEL)?;
        Ok(vec![Figure {
            what: "durable script shards (`:`)",
            floor: "spawn and wait of `/bin/sh -c :`",
            unit: Unit::PerSecond,
            sample: Sample { muster, floor: f64::midpoint(before, after) },
        }])
    }

    /// What the scheduler has written so far: puts, deletes, bytes and commits.
    async fn counters(&mut self) -> anyhow::Result<[f64; 4]> {
        Ok([
            self.client.metric("muster_puts_total").await?,
            self.client.metric("muster_deletes_total").await?,
            self.client.metric("muster_written_bytes_total").await?,
            self.client.metric("muster_commits_total").await?,
        ])
    }

    /// Shards in a second of runs that are triggered at once and run back to back.
    async fn run_rate(&mut self, job: &str, shards: u32, runs: u32) -> anyhow::Result<f64> {
        let before = clock::mono_nanos();
        let mut last = self.client.trigger(job).await?;
        for _ in 1..runs {
            last = self.client.trigger(job).await?;
        }
        let over = self.client.await_success(&last).await?;
        let nanos = clock::mono_nanos() - before;
        ensure!(over.counts.succeeded == shards, "a run of `{job}` has lost shards");
        Ok(rate(shards * runs, nanos))
    }

    async fn trigger(&mut self) -> anyhow::Result<Vec<Figure>> {
        let Sizes { triggers, disk, .. } = self.sizes;
        let mut floor = self.commits.times(disk)?;
        let mut times = Vec::new();
        for _ in 0..triggers {
            times.push(self.time_to_code().await?);
        }
        floor.extend(self.commits.times(disk)?);
        let floor = percentile(&mut floor, 50);
        let figure = |what, percent| Figure {
            what,
            floor: "commit of one record, p50",
            unit: Unit::Time,
            sample: Sample { muster: percentile(&mut times.clone(), percent), floor },
        };
        Ok(vec![
            figure("trigger by REST to code, p50", 50),
            figure("trigger by REST to code, p99", 99),
        ])
    }

    /// The nanoseconds from before a trigger is sent until the handler runs.
    async fn time_to_code(&mut self) -> anyhow::Result<f64> {
        let before = clock::wall_nanos();
        let run = self.client.trigger("clock").await?;
        let over = self.client.await_success(&run).await?;
        let result = over.shards.iter().flatten().find_map(|shard| shard.result.as_deref());
        let began: u64 = result.context("the handler returned nothing")?.parse()?;
        let nanos = began.checked_sub(before).context("the wall clock was set back")?;
        Ok(nanos as f64)
    }
}
