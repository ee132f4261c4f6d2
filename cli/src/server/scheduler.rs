//! `muster scheduler`.

use super::{SchedulerFlags, folders::default_folder, told_to_end};

/// Runs the scheduler until it is told to end.
pub(super) async fn run(flags: SchedulerFlags) -> anyhow::Result<()> {
    let data_dir = flags.installation.data_dir.clone();
    let data_dir = data_dir.map_or_else(|| default_folder("scheduler"), Ok)?;
    flags.mesos.check(&flags.installation)?;
    let mesos = flags.mesos.config()?;
    let config = flags.installation.config(data_dir, flags.plaintext.unwrap_or(false))?;
    let config = muster_scheduler::Config { mesos, ..config };
    muster_scheduler::run(config, told_to_end()?).await
}
