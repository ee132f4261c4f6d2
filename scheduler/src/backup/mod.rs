//! Copies of a store: made while it is in use, and restored into a store of any kind.
//!
//! A backup is what the store held at one commit, history included. It is read page by page while
//! commits go on; every commit that lands in between is added where it belongs, so that page after
//! page and commit after commit, applied in their order, give exactly the store at the last one.

mod file;
mod parser;
mod restore;
mod tap;

pub use self::{
    file::{Header, Trailer},
    parser::{InvalidBackup, Item, Parser},
    restore::{Progress, RestoreError, Restored, restore},
    tap::{Backup, BackupError, Backups, Tapped},
};
