//! The whole system: the real binary, real processes, `kill -9`.
//!
//! What a shard did is judged by what it wrote into a witness file itself, never by what the
//! scheduler says about it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this is test code, and it shows the logs of what failed"
)]

mod acceptance;
mod access;
mod cluster;
mod descendants;
mod executors;
mod hosts;
mod ledger;
mod mayhem;
mod outcomes;
mod requests;
mod restarts;
mod sharing;
mod shutdown;
