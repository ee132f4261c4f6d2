//! What can go wrong with a store, in words that say what to do.

use std::{io, path::PathBuf};

use super::{Stamp, StoreKind};

/// Why a folder cannot be opened as a store. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the folder `{folder}` is in use by process {owner}; stop that one first, or choose \
         another folder"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The id of that process, as far as it is known.
        owner: String,
    },
    /// It is not empty, and what is there is not Muster's.
    #[error(
        "the folder `{folder}` holds `{entry}`, which is not Muster's; choose an empty folder or \
         one that does not exist"
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What was found there.
        entry: String,
    },
    /// A newer Muster wrote it.
    #[error(
        "the folder `{folder}` was written in format {found}, and this Muster knows format \
         {known}; run the newer Muster that wrote it"
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// The format found.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// Another database keeps it than was asked for.
    #[error(
        "the folder `{folder}` is kept by {found}, and {wanted} was asked for; start it with \
         `--store {found}`, or move its state over: `muster backup` while it runs, then `muster \
         restore --store {wanted}` into a new folder"
    )]
    OtherKind {
        /// The folder.
        folder: PathBuf,
        /// Who keeps it.
        found: StoreKind,
        /// Who was asked for.
        wanted: StoreKind,
    },
    /// A restore into it was cut short.
    #[error(
        "the folder `{folder}` holds a part of a backup only: its restore was cut short; remove \
         the folder and restore again"
    )]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// Nothing is there, where something must be.
    #[error(
        "the folder `{folder}` is not there, or no store was ever made in it; name another one"
    )]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// It was a store, and cannot be read any more.
    #[error(
        "the folder `{folder}` is damaged: {what}; move it away and restore your newest \
         backup; without one its state is lost, and the scheduler begins anew"
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file system refused something.
    #[error("cannot {action} in the folder `{folder}`; check its owner, its rights and free space")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What was refused.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database failed.
    #[error(
        "cannot {action} in the store `{folder}`; check the disk and free space, then start the \
         scheduler again: it goes on where it was"
    )]
    Failed {
        /// The folder.
        folder: PathBuf,
        /// What was asked for.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Stored bytes are not what was written.
    #[error(
        "the store `{folder}` is damaged: {what}; stop the scheduler, move the folder away and \
         restore your newest backup; without one its state is lost"
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An earlier commit failed, and what is in memory may be ahead of the disk.
    #[error("the store `{folder}` is closed since a commit failed; start the scheduler again")]
    Closed {
        /// The folder.
        folder: PathBuf,
    },
    /// Somebody else, or this process, has already written a later commit.
    #[error(
        "the store `{folder}` holds commit {last:?}, and {refused:?} does not come after it; is \
         another scheduler writing there?"
    )]
    Superseded {
        /// The folder.
        folder: PathBuf,
        /// The newest commit.
        last: Stamp,
        /// The one that was refused.
        refused: Stamp,
    },
}
