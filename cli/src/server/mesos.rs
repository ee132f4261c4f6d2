//! The flags of a scheduler whose master is not in its process.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use muster_api::{Span, limits};
use muster_scheduler::mesos::{Masters, MesosConfig};
use serde::Deserialize;

use super::flags::InstallationFlags;
use crate::config::text;

/// What there is to say of a master that is not in the process of the scheduler.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub(crate) struct MesosFlags {
    /// Run on the hosts of another master, of Apache Mesos or of another Muster: its address, or those
    /// of several of which one leads, as in http://HOST:5050,HOST:5050 [default: a master of its own]
    #[arg(long, env = "MUSTER_MESOS", value_name = "MASTERS")]
    #[serde(deserialize_with = "text")]
    pub(crate) mesos: Option<Masters>,
    /// Who to be for the master that --mesos names
    #[arg(long, env = "MUSTER_MESOS_PRINCIPAL", value_name = "NAME")]
    pub(crate) mesos_principal: Option<String>,
    /// File with the secret that proves it
    #[arg(long, env = "MUSTER_MESOS_SECRET_FILE", value_name = "FILE")]
    pub(crate) mesos_secret_file: Option<PathBuf>,
    /// Role that the master is to offer for [default: *]
    #[arg(long, env = "MUSTER_MESOS_ROLE", value_name = "ROLE")]
    pub(crate) mesos_role: Option<String>,
    /// User that executors run as there [default: the one who runs this]
    #[arg(long, env = "MUSTER_MESOS_USER", value_name = "USER")]
    pub(crate) mesos_user: Option<String>,
    /// Where agents there fetch the muster program, for their kind of machine [default: from this
    /// scheduler]
    #[arg(long, env = "MUSTER_EXECUTOR_URI", value_name = "URI")]
    pub(crate) executor_uri: Option<String>,
    /// Where agents there reach this scheduler [default: what --http says]
    #[arg(long, env = "MUSTER_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// How long a task that cannot be reached there counts as perhaps alive, before it is started again
    /// [default: 5m]
    #[arg(long, env = "MUSTER_UNREACHABLE_WAIT", value_name = "TIME")]
    pub(crate) unreachable_wait: Option<Span>,
}

impl MesosFlags {
    /// Refuses flags that cannot both be meant.
    pub(super) fn check(&self, installation: &InstallationFlags) -> anyhow::Result<()> {
        let own =
            installation.master_listen.is_some() || installation.anonymous_frameworks.is_some();
        ensure!(
            self.mesos.is_none() || !own,
            "--mesos says that the master is another one, and --master-listen and \
             --anonymous-frameworks are for one of its own: say only one of them"
        );
        let Self { mesos: _, mesos_principal, mesos_secret_file, mesos_role, .. } = self;
        let others = mesos_principal.is_some()
            || mesos_secret_file.is_some()
            || mesos_role.is_some()
            || self.mesos_user.is_some()
            || self.executor_uri.is_some()
            || self.advertise.is_some()
            || self.unreachable_wait.is_some();
        ensure!(
            self.mesos.is_some() || !others,
            "--mesos-principal, --mesos-secret-file, --mesos-role, --mesos-user, --executor-uri, \
             --advertise and --unreachable-wait are of no use without --mesos"
        );
        Ok(())
    }

    /// The configuration, if there is another master.
    pub(super) fn config(self) -> anyhow::Result<Option<MesosConfig>> {
        let Some(masters) = self.mesos else { return Ok(None) };
        Ok(Some(MesosConfig {
            masters,
            principal: self.mesos_principal,
            secret_file: self.mesos_secret_file,
            role: self.mesos_role,
            user: self.mesos_user.unwrap_or_else(whoever_runs_this),
            executor_uri: self.executor_uri,
            advertise: self.advertise,
            unreachable_wait: self.unreachable_wait.unwrap_or(limits::UNREACHABLE_WAIT),
        }))
    }
}

/// A master of Mesos takes no framework without a user.
fn whoever_runs_this() -> String {
    let names = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "root".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_master_is_meant_and_not_two() {
        let mesos: Option<Masters> = Some("http://m:5050".parse().unwrap());
        let with = MesosFlags { mesos, ..MesosFlags::default() };
        let listen = InstallationFlags {
            master_listen: Some("127.0.0.1:1".parse().unwrap()),
            ..InstallationFlags::default()
        };
        let refused = with.check(&listen).unwrap_err().to_string();
        assert!(refused.contains("--master-listen"), "{refused}");
        let none = InstallationFlags::default();
        with.check(&none).unwrap();
        MesosFlags::default().check(&listen).unwrap();
        let role = Some("r".to_owned());
        let alone = MesosFlags { mesos_role: role, ..MesosFlags::default() };
        assert!(alone.check(&none).unwrap_err().to_string().contains("without --mesos"));
        let config = with.config().unwrap().unwrap();
        assert_eq!(config.unreachable_wait, limits::UNREACHABLE_WAIT);
        assert!(!config.user.is_empty());
    }
}
