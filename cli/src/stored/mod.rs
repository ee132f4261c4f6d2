//! The commands that deal with a store as a whole: copies of it, and what is in it.

mod backup;
mod inspect;
mod restore;
mod sink;

use std::process::ExitCode;

use clap::Subcommand;

use self::{backup::BackupArgs, inspect::InspectArgs, restore::RestoreArgs};
use crate::client_flags::ClientFlags;

/// What to do with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoredCommand {
    /// Copy all that a running scheduler has stored into a file
    Backup(BackupArgs),
    /// Make a data folder from a backup; the scheduler must not run on it
    Restore(RestoreArgs),
    /// Look into the store of a scheduler that does not run
    #[command(subcommand)]
    Store(StoreCommand),
}

/// What to do with the store in a folder.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Show how many records of which kind are in it, and how large they are
    Inspect(InspectArgs),
}

/// Does it. The flags are those that stand before the command, and those of the file.
pub(crate) fn run(command: StoredCommand, flags: ClientFlags) -> anyhow::Result<ExitCode> {
    match command {
        StoredCommand::Backup(args) => backup::backup(&args, flags)?,
        StoredCommand::Restore(args) => restore::restore(&args)?,
        StoredCommand::Store(StoreCommand::Inspect(args)) => inspect::inspect(&args, &flags)?,
    }
    Ok(ExitCode::SUCCESS)
}
