//! An app with handlers that do next to nothing: `noop`, for measuring all that is around a task;
//! `clock`, which returns when it began to run, in nanoseconds of CLOCK_REALTIME; and `pid`, which
//! shows what hosts it.

use std::time::{SystemTime, UNIX_EPOCH};

use muster_job::{Context, JobError, Jobs};

fn main() -> anyhow::Result<()> {
    let jobs = Jobs::new()
        .register("noop", |_: Context| async { Ok::<_, JobError>(()) })
        .register("clock", |_: Context| async { Ok::<_, JobError>(now()) })
        .register("pid", |context: Context| async move { pid(&context) });
    muster_executor::main(jobs)
}

/// The id of this process and all that the task was given, as JSON.
fn pid(context: &Context) -> Result<String, JobError> {
    let pid = std::process::id();
    Ok(serde_json::json!({ "pid": pid, "context": context.shard() }).to_string())
}

/// Nanoseconds since the Unix epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "an app is user code, and the clock of Muster's own parts is too coarse for this"
)]
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}
