//! An app with handlers that do next to nothing: `noop`, for measuring all that is around a task,
//! and `pid`, which shows what hosts it.

use muster_job::{Context, JobError, Jobs};

fn main() -> anyhow::Result<()> {
    let jobs = Jobs::new()
        .register("noop", |_: Context| async { Ok::<_, JobError>(()) })
        .register("pid", |context: Context| async move { pid(&context) });
    muster_executor::main(jobs)
}

/// The id of this process and all that the task was given, as JSON.
fn pid(context: &Context) -> Result<String, JobError> {
    let pid = std::process::id();
    Ok(serde_json::json!({ "pid": pid, "context": context.shard() }).to_string())
}
