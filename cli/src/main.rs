//! The `muster` command.

mod args;
mod client;
mod client_flags;
mod commands;
mod config;
mod documents;
mod screen;
mod server;
mod stored;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    client_flags::WithFlags,
    config::ConfigFile,
};

/// Exit codes: 0 it is done and good, 1 a run that was waited for is not, 2 it could not be done.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(CANNOT)
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = ConfigFile::read(cli.config.as_deref())?;
    match cli.command {
        Command::Server(command) => server::run(command, file),
        Command::Stored(command) => stored::run(command, cli.client.or(file.client)),
        Command::Client(WithFlags { flags, command }) => {
            let flags = flags.or(cli.client).or(file.client);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(commands::run(command, flags))
        }
    }
}

/// Whether the reader of our output went away, as `head` does: it has all that it wanted.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Says the last word of the process, if anybody takes it: its exit code says the rest.
fn report(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "muster: {error:#}");
}
