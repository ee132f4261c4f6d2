//! `muster scheduler`.

use std::net::SocketAddr;

use muster_scheduler::Config;

use super::{SchedulerFlags, Store, folders::default_folder, told_to_end};

/// Where REST listens.
pub(super) const HTTP: SocketAddr = SocketAddr::new(super::LOOPBACK, 8899);
/// Where the master listens for agents.
pub(super) const MASTER: SocketAddr = SocketAddr::new(super::LOOPBACK, 5050);

/// Runs the scheduler until it is told to end.
pub(super) async fn run(flags: SchedulerFlags) -> anyhow::Result<()> {
    match flags.store.unwrap_or(Store::Sled) {
        // The only one today, so there is nothing to tell the scheduler.
        Store::Sled => {}
    }
    let config = Config {
        data_dir: flags.data_dir.map_or_else(|| default_folder("scheduler"), Ok)?,
        http: flags.http.unwrap_or(HTTP),
        master_listen: flags.master_listen.unwrap_or(MASTER),
        plaintext: flags.plaintext.unwrap_or(false),
    };
    muster_scheduler::run(config, told_to_end()?).await
}
