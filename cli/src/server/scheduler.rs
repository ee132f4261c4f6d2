//! `muster scheduler`.

use std::{net::SocketAddr, num::NonZeroU32};

use muster_scheduler::Config;

use super::{
    SchedulerFlags, flags::history, folders::default_folder, notify::notifying, told_to_end,
};

/// Where REST listens.
pub(super) const HTTP: SocketAddr = SocketAddr::new(super::LOOPBACK, 8899);
/// Where the master listens for agents.
pub(super) const MASTER: SocketAddr = SocketAddr::new(super::LOOPBACK, 5050);

/// Runs the scheduler until it is told to end.
pub(super) async fn run(flags: SchedulerFlags) -> anyhow::Result<()> {
    let config = Config {
        data_dir: flags.data_dir.map_or_else(|| default_folder("scheduler"), Ok)?,
        store: flags.store,
        http: flags.http.unwrap_or(HTTP),
        master_listen: flags.master_listen.unwrap_or(MASTER),
        plaintext: flags.plaintext.unwrap_or(false),
        max_tasks: flags.max_tasks.and_then(NonZeroU32::new),
        history: history(
            flags.history_age,
            flags.history_runs,
            flags.history_runs_per_job,
            flags.history_events,
        ),
        notices: notifying(flags.notify_webhook, flags.notify_on, flags.notify_name)?,
    };
    muster_scheduler::run(config, told_to_end()?).await
}
