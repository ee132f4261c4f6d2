//! The commands that serve.

mod agent;
mod children;
mod dev;
mod flags;
mod folders;
mod mesos;
mod notify;
mod offer_timeout;
mod scheduler;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Subcommand;
use muster_api::clock;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use crate::config::ConfigFile;
pub(crate) use flags::{AgentFlags, DevFlags, SchedulerFlags};

/// Where servers listen when nobody says otherwise.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A process to be.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Run a scheduler and agents on this machine, for trying things out
    Dev(DevFlags),
    /// Run the scheduler
    Scheduler(SchedulerFlags),
    /// Run the agent of an executor host
    Agent(AgentFlags),
    /// Run the built-in executor; agents start it
    Executor,
    /// Run the command of one task of a foreign framework; agents start it
    #[command(hide = true)]
    CommandExecutor,
    /// Be the parent of one executor; agents start it
    #[command(hide = true)]
    Supervise {
        /// The executor's folder
        #[arg(long)]
        dir: PathBuf,
    },
}

/// Is that process until it is told to end.
pub(crate) fn run(command: ServerCommand, file: ConfigFile) -> anyhow::Result<ExitCode> {
    // A supervisor is small and stays alone: no runtime, no threads.
    if let ServerCommand::Supervise { dir } = command {
        return Ok(muster_agent::supervise::main(&dir));
    }
    // What a command executor writes is in one file with what the command writes.
    let quiet = matches!(command, ServerCommand::CommandExecutor);
    log(if quiet { "warn" } else { "info" });
    if let Some(file) = clock::offset_file() {
        let file = file.display();
        tracing::error!(%file, "THE WALL CLOCK IS NOT THE MACHINE'S: {}", clock::OFFSET_VARIABLE);
    }
    let mut runtime = match command {
        ServerCommand::Executor | ServerCommand::CommandExecutor => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // What an agent still copies or extracts is nothing to wait for: what runs lives on under its
    // supervisors, and all that must be kept was written before `serve` returned.
    let is_agent = matches!(command, ServerCommand::Agent(_));
    let runtime = runtime.enable_all().build()?;
    let served = runtime.block_on(serve(command, file));
    if is_agent {
        runtime.shutdown_background();
    }
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(command: ServerCommand, file: ConfigFile) -> anyhow::Result<()> {
    match command {
        ServerCommand::Dev(flags) => dev::run(flags.or(file.dev)).await,
        ServerCommand::Scheduler(flags) => scheduler::run(flags.or(file.scheduler)).await,
        ServerCommand::Agent(flags) => agent::run(flags.or(file.agent)).await,
        ServerCommand::Executor => muster_executor::run_builtin().await,
        ServerCommand::CommandExecutor => muster_executor::run_command().await,
        ServerCommand::Supervise { .. } => unreachable!("it needs no runtime"),
    }
}

/// Logs go to standard error, as `RUST_LOG` says, or from this level up.
fn log(level: &str) {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // A line that cannot be written, for the disk is full, would be complained about on
        // standard error, and that panics when standard error is on the same disk.
        .log_internal_errors(false)
        .init();
}

/// Ends when somebody wants this process to end: SIGTERM, or ^C.
fn told_to_end() -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
