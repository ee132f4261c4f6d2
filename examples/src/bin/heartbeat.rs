//! A handler for a daemon job: it is called at each instant of the schedule, in the one process of its
//! executor, and appends a line to a file.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use muster_job::{Context, JobError, Jobs};

/// What a program keeps in memory lives as long as its executor, over all executions of all tasks.
static BEATS: AtomicU64 = AtomicU64::new(0);

fn main() -> anyhow::Result<()> {
    muster_executor::main(Jobs::new().register_blocking("heartbeat", |context| beat(&context)))
}

fn beat(context: &Context) -> Result<(), JobError> {
    let out = context.prop("out").ok_or_else(|| JobError::new("the job has no prop `out`"))?;
    let path = Path::new(out).join(format!("handler-{}", context.shard_item()));
    let mut file = File::options().create(true).append(true).open(path)?;
    let nth = BEATS.fetch_add(1, Ordering::Relaxed) + 1;
    let line =
        format!("{} as beat {nth} of process {}", context.planned_time(), std::process::id());
    writeln!(file, "{line}")?;
    context.log(&line);
    Ok(())
}
