//! What a scheduler is told of a master that is not in this process.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context as _, bail, ensure};
use muster_api::{Span, limits};
use muster_session::{Identity, link::Masters};
use muster_turn::Foreign;

use super::Program;

/// What a scheduler is told of a master that is not in this process.
#[derive(Debug, Clone)]
pub struct MesosConfig {
    /// Where it is.
    pub masters: Masters,
    /// Who to prove to be, and for whom offers are.
    pub principal: Option<String>,
    /// The file with the secret of the principal.
    pub secret_file: Option<PathBuf>,
    /// The role that offers are for.
    pub role: Option<String>,
    /// The user that executors run as.
    pub user: String,
    /// Where agents fetch our program, if not from this scheduler.
    pub executor_uri: Option<String>,
    /// Where agents and people reach this scheduler, if not where it listens.
    pub advertise: Option<String>,
    /// How long a task counts as perhaps alive of which nobody can say whether it lives.
    pub unreachable_wait: Span,
}

/// Who proves to be who. It is never shown.
pub(super) struct Credential {
    pub(super) principal: String,
    pub(super) secret: String,
}

/// Refuses what makes no sense, before anything is opened.
pub(crate) fn check(config: &MesosConfig, http: SocketAddr) -> anyhow::Result<()> {
    let (least, most) = (limits::UNREACHABLE_WAIT_MIN, limits::UNREACHABLE_WAIT_MAX);
    let wait = config.unreachable_wait;
    ensure!(
        (least..=most).contains(&wait),
        "--unreachable-wait {wait} is not within {least} and {most}"
    );
    ensure!(
        config.secret_file.is_none() || config.principal.is_some(),
        "--mesos-secret-file is of no use without --mesos-principal"
    );
    if let Some(role) = &config.role {
        ensure!(is_role(role), "--mesos-role `{role}` is no role of Mesos");
    }
    if config.advertise.is_none() && http.ip().is_unspecified() {
        bail!(
            "--http {http} is no address that agents and people can be told: say by --advertise \
             HOST:PORT where they reach this scheduler"
        );
    }
    Ok(())
}

/// What an operator has to know of these flags, if anything: they may be right, where all hosts are
/// this machine.
pub(crate) fn advise(config: &MesosConfig, http: SocketAddr) -> Option<String> {
    let here = config.advertise.clone().unwrap_or_else(|| http.to_string());
    let elsewhere = config.masters.all().iter().find(|master| !is_loopback(master.host()))?;
    if config.executor_uri.is_some() || !is_loopback(host_of(&here)) {
        return None;
    }
    Some(format!(
        "hosts of the master at {elsewhere} are told to fetch this program from {here}, which each \
         takes for itself: no executor starts on another machine. Say by --advertise HOST:PORT where \
         they reach this scheduler (with an --http that listens there), or by --executor-uri where \
         else they find the program"
    ))
}

/// The host of `HOST:PORT`, or of what is only a host.
fn host_of(here: &str) -> &str {
    here.rsplit_once(':').map_or(here, |(host, _)| host).trim_matches(['[', ']'])
}

/// Whether every machine takes this host for itself.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The rules of Mesos for the names of roles. That of all is what we have without one.
fn is_role(role: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | ".." | "*") && !part.starts_with('-');
    role.split('/').all(part) && !role.contains(|c: char| c.is_whitespace() || c.is_control())
}

impl MesosConfig {
    /// What the cores are told, and what is asked for our program. `http` is where this scheduler
    /// listens.
    pub(crate) fn foreign(&self, http: SocketAddr, program: Option<&Program>) -> Foreign {
        let here = self.advertise.clone().unwrap_or_else(|| http.to_string());
        let served = program.map(|program| format!("http://{here}{}", program.path()));
        let program = self.executor_uri.clone().or(served).unwrap_or_default();
        let identity = Identity {
            user: self.user.clone(),
            principal: self.principal.clone(),
            role: self.role.clone(),
            hostname: Some(host_of(&here).to_owned()),
            webui_url: Some(format!("http://{here}")),
        };
        let unreachable_wait = self.unreachable_wait.duration();
        Foreign { masters: self.masters.clone(), identity, unreachable_wait, program }
    }

    /// Reads the secret, if there is one.
    pub(super) fn credential(&self) -> anyhow::Result<Option<Credential>> {
        let (Some(principal), Some(file)) = (&self.principal, &self.secret_file) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read --mesos-secret-file `{}`", file.display()))?;
        let secret = text.trim_end_matches(['\r', '\n']).to_owned();
        Ok(Some(Credential { principal: principal.clone(), secret }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MesosConfig {
        MesosConfig {
            masters: "http://m:5050".parse().unwrap(),
            principal: None,
            secret_file: None,
            role: None,
            user: "u".to_owned(),
            executor_uri: None,
            advertise: None,
            unreachable_wait: limits::UNREACHABLE_WAIT,
        }
    }

    #[test]
    fn flags_that_make_no_sense_together_are_refused() {
        let http: SocketAddr = "127.0.0.1:8899".parse().unwrap();
        let words =
            |config: MesosConfig, http: SocketAddr| check(&config, http).unwrap_err().to_string();
        assert!(check(&config(), http).is_ok());
        for wait in ["29s", "8d"] {
            let unreachable_wait = wait.parse().unwrap();
            let refused = words(MesosConfig { unreachable_wait, ..config() }, http);
            assert!(refused.contains("--unreachable-wait"), "{refused}");
        }
        for wait in ["30s", "7d"] {
            let unreachable_wait = wait.parse().unwrap();
            assert!(check(&MesosConfig { unreachable_wait, ..config() }, http).is_ok());
        }
        let secret_file = Some(PathBuf::from("s"));
        assert!(words(MesosConfig { secret_file, ..config() }, http).contains("--mesos-principal"));
        for role in ["", "*", "a//b", "-a", "a b", ".."] {
            let role = Some(role.to_owned());
            assert!(words(MesosConfig { role, ..config() }, http).contains("--mesos-role"));
        }
        let role = Some("eng/web".to_owned());
        assert!(check(&MesosConfig { role, ..config() }, http).is_ok());
        let anywhere: SocketAddr = "0.0.0.0:8899".parse().unwrap();
        assert!(words(config(), anywhere).contains("--advertise"));
        let advertise = Some("here:8899".to_owned());
        assert!(check(&MesosConfig { advertise, ..config() }, anywhere).is_ok());
    }

    #[test]
    fn who_advertises_this_machine_to_others_is_told_what_to_do() {
        let loopback: SocketAddr = "127.0.0.1:8899".parse().unwrap();
        let with = |masters: &str, advertise: Option<&str>, executor_uri: Option<&str>| {
            let masters = masters.parse().unwrap();
            let [advertise, executor_uri] =
                [advertise, executor_uri].map(|it| it.map(str::to_owned));
            advise(&MesosConfig { masters, advertise, executor_uri, ..config() }, loopback)
        };
        for (advertise, there) in [
            (None, "127.0.0.1:8899"),
            (Some("localhost:1"), "localhost:1"),
            (Some("[::1]:1"), "[::1]:1"),
        ] {
            let words = with("http://127.0.0.1:5050,m2:5050", advertise, None).unwrap();
            for part in [there, "m2:5050", "--advertise", "--executor-uri"] {
                assert!(words.contains(part), "{words}");
            }
        }
        assert_eq!(with("http://127.0.0.1:5050,localhost:5051", None, None), None);
        assert_eq!(with("http://m:5050", Some("here:8899"), None), None);
        assert_eq!(with("http://m:5050", None, Some("http://x/muster")), None);
        let all = |http: &str| advise(&config(), http.parse().unwrap());
        assert_eq!(all("10.0.0.1:8899"), None);
    }

    #[test]
    fn agents_are_told_where_this_scheduler_is_reached() {
        let http: SocketAddr = "127.0.0.1:8899".parse().unwrap();
        let foreign = config().foreign(http, None);
        assert_eq!(foreign.identity.webui_url.as_deref(), Some("http://127.0.0.1:8899"));
        let advertise = Some("[::1]:1".to_owned());
        let executor_uri = Some("hdfs://x/muster".to_owned());
        let foreign = MesosConfig { advertise, executor_uri, ..config() }.foreign(http, None);
        assert_eq!(foreign.identity.hostname.as_deref(), Some("::1"));
        assert_eq!(foreign.program, "hdfs://x/muster");
    }
}
