//! The flags of the commands that serve. Each is an environment variable and a key of the
//! configuration file too.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::Args;
use muster_api::{Resources, Span, spec::HOSTNAME};
use muster_scheduler::{Config, HistoryLimits, store::StoreKind};
use serde::Deserialize;

use super::{
    LOOPBACK,
    mesos::MesosFlags,
    notify::{InstallationName, NoticeKinds, Webhook, notifying},
    offer_timeout::OfferTimeout,
};
use crate::config::text;

/// Where REST listens.
const HTTP: SocketAddr = SocketAddr::new(LOOPBACK, 8899);
/// Where the master listens for agents.
pub(super) const MASTER: SocketAddr = SocketAddr::new(LOOPBACK, 5050);
/// Agents of one `muster dev`; each is a process or more.
const DEV_AGENTS_MAX: i64 = 64;

/// What one installation of Muster is, whichever command runs it.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub(crate) struct InstallationFlags {
    /// Folder of all that it keeps [default: ~/.local/share/muster/dev, or .../scheduler]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What keeps its state, sled or redb [default: what the folder was made with, else sled]
    #[arg(long, env = "MUSTER_STORE", value_name = "STORE")]
    #[serde(deserialize_with = "text")]
    pub(crate) store: Option<StoreKind>,
    /// Where REST listens [default: 127.0.0.1:8899]
    #[arg(long, env = "MUSTER_HTTP", value_name = "ADDR:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// Where the master listens for agents and frameworks [default: 127.0.0.1:5050]
    #[arg(long, env = "MUSTER_MASTER_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) master_listen: Option<SocketAddr>,
    /// Let frameworks of this machine call the master without credentials
    #[arg(long, env = "MUSTER_ANONYMOUS_FRAMEWORKS", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub(crate) anonymous_frameworks: Option<bool>,
    /// How long a framework may keep an offer that it does nothing with, as in 90s; off: for ever
    /// [default: 5m]
    #[arg(long, env = "MUSTER_OFFER_TIMEOUT", value_name = "TIME")]
    #[serde(deserialize_with = "text")]
    pub(crate) offer_timeout: Option<OfferTimeout>,
    /// How many tasks may run at one time, of all apps; 0 is no bound [default: 0]
    #[arg(long, env = "MUSTER_MAX_TASKS", value_name = "N")]
    pub(crate) max_tasks: Option<u32>,
    /// How long finished runs and events are kept, as in 30d [default: 30d]
    #[arg(long, env = "MUSTER_HISTORY_AGE", value_name = "TIME")]
    pub(crate) history_age: Option<Span>,
    /// How many finished runs are kept, the newest of all jobs [default: 1000000]
    #[arg(long, env = "MUSTER_HISTORY_RUNS", value_name = "N")]
    pub(crate) history_runs: Option<u64>,
    /// How many finished runs of one job are kept [default: 10000]
    #[arg(long, env = "MUSTER_HISTORY_RUNS_PER_JOB", value_name = "N")]
    pub(crate) history_runs_per_job: Option<u64>,
    /// How many events are kept, the newest of all [default: 10000000]
    #[arg(long, env = "MUSTER_HISTORY_EVENTS", value_name = "N")]
    pub(crate) history_events: Option<u64>,
    /// Where to tell of failures, missed fires, lost hosts and more: a URI that takes a POST. Also for
    /// the jobs that want to tell and name no webhook of their own
    #[arg(long, env = "MUSTER_NOTIFY_WEBHOOK", value_name = "URL")]
    #[serde(deserialize_with = "text")]
    pub(crate) notify_webhook: Option<Webhook>,
    /// What to tell there of every job and host, as in failed,host_lost; none: only what jobs ask
    /// for [default: all kinds]
    #[arg(long, env = "MUSTER_NOTIFY_ON", value_name = "KINDS")]
    #[serde(deserialize_with = "text")]
    pub(crate) notify_on: Option<NoticeKinds>,
    /// Name of this installation in what is told [default: none]
    #[arg(long, env = "MUSTER_NOTIFY_NAME", value_name = "NAME")]
    #[serde(deserialize_with = "text")]
    pub(crate) notify_name: Option<InstallationName>,
}

/// Flags of `muster dev`.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DevFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) installation: InstallationFlags,
    /// How many agents to run [default: 1]
    #[arg(long, env = "MUSTER_AGENTS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=DEV_AGENTS_MAX))]
    pub(crate) agents: Option<u32>,
    /// Resources of each agent, as in cpus:4;mem:4096; of cpus and mem what is not named is what
    /// the machine has
    #[arg(long, env = "MUSTER_RESOURCES", value_name = "RESOURCES")]
    #[serde(deserialize_with = "text")]
    pub(crate) resources: Option<Resources>,
}

/// Flags of `muster scheduler`.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SchedulerFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) installation: InstallationFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) mesos: MesosFlags,
    /// Let others than this machine speak to it without encryption
    #[arg(long, env = "MUSTER_PLAINTEXT", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, value_name = "BOOL")]
    pub(crate) plaintext: Option<bool>,
}

/// Flags of `muster agent`.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgentFlags {
    /// The master to join [default: 127.0.0.1:5050]
    #[arg(long, env = "MUSTER_MASTER", value_name = "ADDR:PORT")]
    pub(crate) master: Option<String>,
    /// Folder of all that it keeps [default: ~/.local/share/muster/agent]
    #[arg(long, env = "MUSTER_WORK_DIR", value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Where its executors reach it; port 0 is a free one, which is kept [default: 127.0.0.1:0]
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// What may be used on this host, as in cpus:4;mem:4096; of cpus and mem what is not named is
    /// what the machine has
    #[arg(long, env = "MUSTER_RESOURCES", value_name = "RESOURCES")]
    #[serde(deserialize_with = "text")]
    pub(crate) resources: Option<Resources>,
    /// Facts about this host, as in rack:r1;ssd:true
    #[arg(long, env = "MUSTER_ATTRIBUTES", value_name = "ATTRIBUTES")]
    #[serde(deserialize_with = "text")]
    pub(crate) attributes: Option<Attributes>,
    /// Name of this host [default: what the system says]
    #[arg(long, env = "MUSTER_HOSTNAME", value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// File with the join token, which the scheduler makes in its data folder
    #[arg(long, env = "MUSTER_JOIN_TOKEN_FILE", value_name = "FILE")]
    pub(crate) join_token_file: Option<PathBuf>,
    /// Speak to a master on another host without encryption
    #[arg(long, env = "MUSTER_PLAINTEXT", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, value_name = "BOOL")]
    pub(crate) plaintext: Option<bool>,
    /// How long an executor may take from its start until it subscribes, as in 90s [default: 60s]
    #[arg(long, env = "MUSTER_EXECUTOR_REGISTRATION_TIMEOUT", value_name = "TIME")]
    pub(crate) executor_registration_timeout: Option<Span>,
    /// How long an executor of another framework may take to come back when this agent was
    /// restarted, as in 30s, 15m at most [default: 2s]
    #[arg(long, env = "MUSTER_EXECUTOR_REREGISTRATION_TIMEOUT", value_name = "TIME")]
    pub(crate) executor_reregistration_timeout: Option<Span>,
    /// Let executors of other frameworks prove by their token who they are, as our own must
    #[arg(long, env = "MUSTER_AUTHENTICATE_EXECUTORS", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub(crate) authenticate_executors: Option<bool>,
}

/// Gives flags a way to take from a file what they leave open themselves. Each field is named, so
/// that none is forgotten: the compiler misses it.
macro_rules! or_those_of_a_file {
    ($flags:ident: $($field:ident)*) => {
        impl $flags {
            /// These, and where they are silent those of a file.
            pub(crate) fn or(self, file: Self) -> Self {
                Self { $($field: self.$field.or(file.$field)),* }
            }
        }
    };
}

or_those_of_a_file!(InstallationFlags: data_dir store http master_listen anonymous_frameworks
    offer_timeout max_tasks history_age history_runs history_runs_per_job history_events
    notify_webhook notify_on notify_name);
or_those_of_a_file!(DevFlags: installation agents resources);
or_those_of_a_file!(SchedulerFlags: installation mesos plaintext);
or_those_of_a_file!(MesosFlags: mesos mesos_principal mesos_secret_file mesos_role mesos_user
    executor_uri advertise unreachable_wait);
or_those_of_a_file!(AgentFlags: master work_dir listen resources attributes hostname
    join_token_file plaintext executor_registration_timeout executor_reregistration_timeout
    authenticate_executors);

impl InstallationFlags {
    /// The configuration of a scheduler that keeps its state in `data_dir`.
    pub(super) fn config(self, data_dir: PathBuf, plaintext: bool) -> anyhow::Result<Config> {
        let usual = HistoryLimits::default();
        Ok(Config {
            data_dir,
            store: self.store,
            http: self.http.unwrap_or(HTTP),
            master_listen: self.master_listen.unwrap_or(MASTER),
            mesos: None,
            plaintext,
            anonymous_frameworks: self.anonymous_frameworks.unwrap_or(false),
            offer_timeout: self.offer_timeout.unwrap_or_default().0,
            max_tasks: self.max_tasks.and_then(NonZeroU32::new),
            history: HistoryLimits {
                age: self.history_age.unwrap_or(usual.age),
                runs: self.history_runs.unwrap_or(usual.runs),
                runs_per_job: self.history_runs_per_job.unwrap_or(usual.runs_per_job),
                events: self.history_events.unwrap_or(usual.events),
            },
            notices: notifying(self.notify_webhook, self.notify_on, self.notify_name)?,
        })
    }
}

/// Facts about a host, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(pub(crate) BTreeMap<String, String>);

/// A text that names no attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidAttributes {
    #[error("`{part}` is no attribute; write them as in rack:r1;ssd:true, each name once")]
    Part { part: String },
    #[error("`{part}`: `hostname` is always the name of the host, which `--hostname` sets")]
    Hostname { part: String },
}

impl FromStr for Attributes {
    type Err = InvalidAttributes;
    fn from_str(text: &str) -> Result<Self, InvalidAttributes> {
        let mut all = BTreeMap::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let invalid = || InvalidAttributes::Part { part: part.to_owned() };
            let (name, value) = part.split_once(':').ok_or_else(invalid)?;
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if name == HOSTNAME {
                return Err(InvalidAttributes::Hostname { part: part.to_owned() });
            }
            if name.is_empty() || value.is_empty() || all.insert(name, value).is_some() {
                return Err(invalid());
            }
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read() {
        let attributes: Attributes = "rack:r1; ssd:true;".parse().unwrap();
        let expected = [("rack", "r1"), ("ssd", "true")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(attributes.0, BTreeMap::from(expected));
        for text in ["rack", "rack:", ":r1", "a:1;a:2"] {
            assert!(text.parse::<Attributes>().is_err(), "{text}");
        }
        let error = "rack:r1; hostname :fake".parse::<Attributes>().unwrap_err().to_string();
        assert!(error.contains("`hostname :fake`") && error.contains("--hostname"), "{error}");
    }
}
