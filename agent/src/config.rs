//! How an agent is configured, and what it finds out about its host.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use muster_api::{Amount, Resources, limits};

/// Memory that is kept back for the system when resources are detected: a quarter, at most this.
const KEPT_BACK_MIB: u64 = 1024;

/// How an agent is configured.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The master, as `host:port`.
    pub master: String,
    /// The only state of the agent.
    pub work_dir: PathBuf,
    /// Where executors reach the agent. Port 0: a free one, which is kept.
    pub listen: SocketAddr,
    /// What may be used on this host; what it does not name of cpus and mem is found.
    pub resources: Option<Resources>,
    /// Facts about this host.
    pub attributes: BTreeMap<String, String>,
    /// The host's name; `None`: what the system says.
    pub hostname: Option<String>,
    /// The secret that master and agent prove themselves with.
    pub join_token: String,
    /// Whether the agent may leave loopback without TLS.
    pub plaintext: bool,
    /// The program that is started as `PROGRAM supervise --dir DIR`, and as `PROGRAM command-executor`.
    pub muster_program: PathBuf,
    /// How long an executor may take from its start to its subscription.
    pub executor_registration: Duration,
    /// How long an executor of a foreign framework may take to come back after the agent was
    /// restarted.
    pub executor_reregistration: Duration,
    /// Whether executors of foreign frameworks must prove who they are, as our own must.
    pub authenticate_executors: bool,
}

/// A configuration that an agent does not start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// The master's address has no port.
    #[error("the master `{master}` is no address; write it as HOST:PORT")]
    Master {
        /// The address.
        master: String,
    },
    /// An address is not loopback, and nothing there is encrypted.
    #[error(
        "`{address}` is not on loopback, and the connection is not encrypted; \
        say --plaintext if that is what you want"
    )]
    NotLoopback {
        /// The address.
        address: String,
    },
    /// The join token is empty.
    #[error("the join token is empty")]
    NoToken,
    /// Executors would have less time to come back than they take between two tries, or more than
    /// they try at all.
    #[error(
        "executors cannot have {} s to come back after a restart of the agent: it is {} s at least, \
        for so long they may wait between two tries, and {} s at most, for so long they try",
        asked.as_secs_f64(),
        limits::FOREIGN_REREGISTRATION.as_secs(),
        limits::FOREIGN_RECOVERY.as_secs()
    )]
    Reregistration {
        /// The time.
        asked: Duration,
    },
}

impl AgentConfig {
    pub(crate) fn check(&self) -> Result<(), InvalidConfig> {
        let master = || self.master.clone();
        let (host, port) = self
            .master
            .rsplit_once(':')
            .ok_or_else(|| InvalidConfig::Master { master: master() })?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(InvalidConfig::Master { master: master() });
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !self.plaintext && !local {
            return Err(InvalidConfig::NotLoopback { address: master() });
        }
        if !self.plaintext && !self.listen.ip().is_loopback() {
            return Err(InvalidConfig::NotLoopback { address: self.listen.to_string() });
        }
        let asked = self.executor_reregistration;
        if !(limits::FOREIGN_REREGISTRATION..=limits::FOREIGN_RECOVERY).contains(&asked) {
            return Err(InvalidConfig::Reregistration { asked });
        }
        if self.join_token.is_empty() { Err(InvalidConfig::NoToken) } else { Ok(()) }
    }
}

/// These resources, and of cpus and mem what this host has where they name none.
pub(crate) fn complete(mut given: Resources) -> io::Result<Resources> {
    let named = |name: &str| given.iter().any(|(given, _)| given == name);
    let missing: Vec<_> = ["cpus", "mem"].into_iter().filter(|name| !named(name)).collect();
    if !missing.is_empty() {
        let found = detect_resources()?;
        missing.into_iter().for_each(|name| given.set(name, found.get(name)));
    }
    Ok(given)
}

/// What this host has, less what the system needs for itself.
fn detect_resources() -> io::Result<Resources> {
    let cpus = std::thread::available_parallelism()?.get() as u64;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let total = meminfo.lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
        kib.trim().parse::<u64>().ok()
    });
    let mib = total.ok_or_else(|| io::Error::other("/proc/meminfo names no MemTotal"))? / 1024;
    let mem = mib - (mib / 4).min(KEPT_BACK_MIB);
    let amounts = [("cpus", cpus), ("mem", mem)];
    let thousandths = |n: u64| Amount::from_thousandths(n * 1000);
    Ok(amounts.into_iter().map(|(name, n)| (name.to_owned(), thousandths(n))).collect())
}

/// The name that the system gives this host.
pub(crate) fn detect_hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What the kernel drew at this boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(master: &str, listen: &str, plaintext: bool) -> AgentConfig {
        AgentConfig {
            master: master.to_owned(),
            work_dir: PathBuf::new(),
            listen: listen.parse().unwrap(),
            resources: None,
            attributes: BTreeMap::new(),
            hostname: None,
            join_token: "t".to_owned(),
            plaintext,
            muster_program: PathBuf::new(),
            executor_registration: Duration::from_secs(60),
            executor_reregistration: limits::FOREIGN_REREGISTRATION,
            authenticate_executors: false,
        }
    }

    #[test]
    fn nothing_leaves_loopback_unless_it_is_said() {
        for master in ["127.0.0.1:5050", "localhost:5050", "[::1]:5050"] {
            assert_eq!(config(master, "127.0.0.1:0", false).check(), Ok(()));
        }
        for (master, listen) in [("10.0.0.1:5050", "127.0.0.1:0"), ("127.0.0.1:1", "0.0.0.0:0")] {
            assert!(config(master, listen, false).check().is_err());
            assert_eq!(config(master, listen, true).check(), Ok(()));
        }
        assert!(config("localhost", "127.0.0.1:0", true).check().is_err());
    }

    #[test]
    fn executors_have_as_long_to_come_back_as_they_try() {
        let check = |seconds: f64| {
            let asked = Duration::from_secs_f64(seconds);
            let usual = config("127.0.0.1:5050", "127.0.0.1:0", false);
            AgentConfig { executor_reregistration: asked, ..usual }.check()
        };
        assert_eq!([2.0, 30.0, 900.0].map(check), [Ok(()), Ok(()), Ok(())]);
        let words = [0.0, 1.9, 901.0].map(|asked| check(asked).unwrap_err().to_string());
        assert!(words[1].contains("1.9 s") && words[1].contains("2 s at least"), "{}", words[1]);
    }

    #[test]
    fn a_host_has_something_to_give() {
        let found = detect_resources().unwrap();
        assert!(found.get("cpus") > Amount::ZERO && found.get("mem") > Amount::ZERO);
        let given = |text: &str| text.parse::<Resources>().unwrap();
        let some = complete(given("cpus:0.5;gpus:1")).unwrap();
        assert_eq!(some.get("mem"), found.get("mem"));
        assert_eq!((some.get("cpus").thousandths(), some.get("gpus").thousandths()), (500, 1000));
        assert_eq!(complete(given("cpus:1;mem:64")).unwrap(), given("cpus:1;mem:64"));
        assert_eq!(complete(Resources::none()).unwrap(), found);
    }
}
