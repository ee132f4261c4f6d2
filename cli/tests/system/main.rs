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
mod backup;
mod bad_days;
mod clocks;
mod cluster;
mod commands;
mod daemons;
mod descendants;
mod disks;
mod drains;
mod events;
mod executors;
mod folders;
mod foreign;
mod frozen;
mod gone;
mod heartbeats;
mod hosts;
mod ledger;
mod mayhem;
mod notices;
mod outages;
mod outcomes;
mod partitions;
mod requests;
mod restarts;
mod shares;
mod sharing;
mod shutdown;
mod strikes;
mod stuck;
mod trouble;
