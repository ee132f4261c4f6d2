//! The executor: one process that hosts many tasks of one app, under an agent.
//!
//! An app's program registers its handlers and hands them over:
//!
//! ```no_run
//! use muster_job::{Context, JobError, Jobs};
//!
//! fn main() -> anyhow::Result<()> {
//!     muster_executor::main(Jobs::new().register("greet", |context: Context| async move {
//!         context.log("hello");
//!         Ok::<(), JobError>(())
//!     }))
//! }
//! ```
//!
//! Script tasks run in every executor. The loop has a thread of its own, so that user code which
//! blocks a runtime cannot keep kills, time-outs or the agent waiting.

pub mod core;
mod environment;
mod exit_words;
mod folder;
mod host;
mod link;
mod process_table;
mod script;
mod tasks;
pub mod wire;

use std::{sync::Arc, thread};

use anyhow::Context as _;
use muster_job::Jobs;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

pub use environment::{Environment, InvalidEnvironment};
use host::Ending;

/// Hosts these jobs until the agent tells this process to end.
///
/// Async handlers run on the runtime that this is called on. It fails at once when the process
/// was not started by an agent. When a handler does not end though it had to, this does not
/// return: the process exits, for nothing else ends such code.
pub async fn run(jobs: Jobs) -> anyhow::Result<()> {
    let environment = Environment::read().context("failed to start as an executor")?;
    run_in(environment, jobs).await
}

/// Like [`run`], for an environment that is given.
pub async fn run_in(environment: Environment, jobs: Jobs) -> anyhow::Result<()> {
    let seed = getrandom::u64().context("failed to get entropy")?;
    let handlers = Handle::current();
    let (ended, ending) = oneshot::channel();
    thread::Builder::new()
        .name("executor".to_owned())
        .spawn(move || {
            // Nobody waits any more when the program is at its end.
            let _ = ended.send(host_on_this_thread(environment, jobs, handlers, seed));
        })
        .context("failed to start the thread of the executor")?;
    match ending.await.context("the thread of the executor has ended")?? {
        Ending::Clean => Ok(()),
        Ending::Code(code) => leave(code),
    }
}

/// Scripts that are being started at one time. Each waits for a process to begin; more at once
/// would only wait for each other in the kernel.
const STARTERS: usize = 8;

fn host_on_this_thread(
    environment: Environment,
    jobs: Jobs,
    handlers: Handle,
    seed: u64,
) -> anyhow::Result<Ending> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(STARTERS)
        .build()
        .context("failed to start the runtime of the executor")?;
    let ending = runtime.block_on(host::serve(environment, Arc::new(jobs), handlers, seed));
    runtime.shutdown_background();
    ending
}

/// Ends the process though user code may still run in it.
#[allow(
    clippy::disallowed_methods,
    reason = "the thread of a handler that does not end would keep any orderly exit waiting"
)]
fn leave(code: u8) -> ! {
    std::process::exit(code.into())
}

/// What `muster executor` is: hosts script tasks and no handlers.
pub async fn run_builtin() -> anyhow::Result<()> {
    run(Jobs::new()).await
}

/// The whole of an app's `main`: logs to stderr (as `RUST_LOG` says, else from `info` up), builds
/// a runtime for the handlers, and hosts them.
pub fn main(jobs: Jobs) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("handlers")
        .build()
        .context("failed to start the runtime of the handlers")?;
    let ended = runtime.block_on(run(jobs));
    runtime.shutdown_background();
    ended
}
