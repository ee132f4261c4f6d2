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

mod command;
pub mod core;
mod environment;
mod exit_words;
mod folder;
mod group;
mod host;
mod link;
mod script;
mod tasks;
pub mod wire;

use std::{sync::Arc, thread};

use anyhow::Context as _;
use muster_api::IdStream;
use muster_job::Jobs;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::core::Executor;
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
    let names = jobs.names().map(str::to_owned).collect::<Vec<_>>();
    tracing::info!(executor = %environment.executor, handlers = ?names, "executor starts");
    let core = Executor::new(names, environment.shutdown_grace, ids()?);
    host(environment, core, jobs).await
}

/// What `muster command-executor` is: runs the command of one task of a foreign framework, and ends
/// with it. Nothing else may run in this process, for it takes all that descends from it for the
/// command's.
pub async fn run_command() -> anyhow::Result<()> {
    let environment = Environment::read().context("failed to start as an executor")?;
    command::adopt_orphans().context("failed to become the parent of orphans")?;
    let core = Executor::of_command(environment.shutdown_grace, ids()?);
    host(environment, core, Jobs::new()).await
}

fn ids() -> anyhow::Result<IdStream> {
    let seed = getrandom::u64().context("failed to get entropy")?;
    Ok(IdStream::new(seed, 1))
}

async fn host(environment: Environment, core: Executor, jobs: Jobs) -> anyhow::Result<()> {
    let handlers = Handle::current();
    let (ended, ending) = oneshot::channel();
    thread::Builder::new()
        .name("executor".to_owned())
        .spawn(move || {
            // Nobody waits any more when the program is at its end.
            let _ = ended.send(host_on_this_thread(environment, core, jobs, handlers));
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
    core: Executor,
    jobs: Jobs,
    handlers: Handle,
) -> anyhow::Result<Ending> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(STARTERS)
        .build()
        .context("failed to start the runtime of the executor")?;
    let ending = runtime.block_on(host::serve(environment, core, Arc::new(jobs), handlers));
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
