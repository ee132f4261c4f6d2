//! What the agent tells an executor in its environment (Mesos executor API).

use std::{env, path::PathBuf, time::Duration};

use muster_api::limits;
use muster_proto::{ExecutorId, FrameworkId};

/// The variable with the executor's token. User code never sees it: it could speak in the name of
/// the executor.
pub(crate) const TOKEN_VARIABLE: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

/// Who this executor is, and where its agent is.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `host:port` of the agent's executor API.
    pub agent: String,
    /// The framework whose executor this is.
    pub framework: FrameworkId,
    /// Which executor it is.
    pub executor: ExecutorId,
    /// The folder for everything that its tasks leave.
    pub sandbox: PathBuf,
    /// What proves to the agent that it is this executor.
    pub token: Option<String>,
    /// How long the process may take to end once it is told to.
    pub shutdown_grace: Duration,
    /// How long tasks go on when their agent is away; `None`: its framework keeps no checkpoints, and
    /// tasks end with the connection. Where jobs have a lease that says so, whatever is here.
    pub recovery: Option<Duration>,
    /// The longest pause between two attempts to reach the agent.
    pub backoff_max: Duration,
}

/// [`Environment::recovery`] where the agent does not say how long, as in Mesos.
const RECOVERY: Duration = Duration::from_secs(15 * 60);
/// [`Environment::backoff_max`] where the agent does not say, as in Mesos.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// An environment that no agent has made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnvironment {
    /// A variable is not set.
    #[error(
        "the environment variable `{name}` is not set; executors are started by an agent, not by \
         hand"
    )]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A duration cannot be read.
    #[error("`{text}` in `{name}` is no duration, such as 5secs")]
    Duration {
        /// The name of the variable.
        name: &'static str,
        /// Its value.
        text: String,
    },
}

impl Environment {
    /// From the variables of this process.
    pub fn read() -> Result<Self, InvalidEnvironment> {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// From variables by name.
    pub fn from_variables(
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidEnvironment> {
        let need =
            |name| get(name).filter(|v| !v.is_empty()).ok_or(InvalidEnvironment::Missing { name });
        let duration = |name, default| match get(name) {
            None => Ok(default),
            Some(text) => parse_duration(&text).ok_or(InvalidEnvironment::Duration { name, text }),
        };
        let recovery = duration("MESOS_RECOVERY_TIMEOUT", RECOVERY)?;
        let keeps_checkpoints = get("MESOS_CHECKPOINT").is_some_and(|value| value == "1");
        // The sandbox as the container sees it goes before its path on the host.
        let sandbox = need("MESOS_SANDBOX")
            .or_else(|missing| need("MESOS_DIRECTORY").map_err(|_| missing))?;
        Ok(Self {
            agent: need("MESOS_AGENT_ENDPOINT")?,
            framework: FrameworkId::new(need("MESOS_FRAMEWORK_ID")?),
            executor: ExecutorId::new(need("MESOS_EXECUTOR_ID")?),
            sandbox: sandbox.into(),
            token: get(TOKEN_VARIABLE),
            shutdown_grace: duration(
                "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
                limits::EXECUTOR_SHUTDOWN_GRACE,
            )?,
            recovery: keeps_checkpoints.then_some(recovery),
            backoff_max: duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_MAX)?,
        })
    }
}

/// The units of a duration as Mesos writes it, in nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 60e9),
    ("hrs", 3_600e9),
    ("days", 86_400e9),
    ("weeks", 604_800e9),
];

fn parse_duration(text: &str) -> Option<Duration> {
    let (unit, nanos) = UNITS.into_iter().find(|(unit, _)| {
        // `ms` must not be read as the end of another unit, so a digit has to stand before it.
        let number = text.strip_suffix(unit);
        number.is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit()))
    })?;
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    Duration::try_from_secs_f64(number * nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, InvalidEnvironment> {
        Environment::from_variables(|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    const WHOLE: [(&str, &str); 4] = [
        ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
        ("MESOS_FRAMEWORK_ID", "f"),
        ("MESOS_EXECUTOR_ID", "e"),
        ("MESOS_SANDBOX", "/s"),
    ];

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(read(&WHOLE).unwrap().shutdown_grace, Duration::from_secs(5));
        for left_out in 0..WHOLE.len() {
            let mut some = WHOLE.to_vec();
            let (name, _) = some.remove(left_out);
            assert_eq!(read(&some).unwrap_err(), InvalidEnvironment::Missing { name });
        }
    }

    #[test]
    fn the_sandbox_may_have_its_older_name() {
        let mut variables = WHOLE.to_vec();
        variables.push(("MESOS_DIRECTORY", "/on/the/host"));
        assert_eq!(read(&variables).unwrap().sandbox, PathBuf::from("/s"));
        variables.remove(3);
        assert_eq!(read(&variables).unwrap().sandbox, PathBuf::from("/on/the/host"));
    }

    #[test]
    fn tasks_outlive_a_connection_only_with_checkpoints() {
        for (checkpoint, timeout, recovery) in [
            (None, None, None),
            (Some("0"), Some("15mins"), None),
            (Some("1"), None, Some(900)),
            (Some("1"), Some("3secs"), Some(3)),
        ] {
            let mut variables = WHOLE.to_vec();
            variables.extend(checkpoint.map(|value| ("MESOS_CHECKPOINT", value)));
            variables.extend(timeout.map(|value| ("MESOS_RECOVERY_TIMEOUT", value)));
            let read = read(&variables).unwrap();
            assert_eq!(read.recovery, recovery.map(Duration::from_secs), "{checkpoint:?}");
        }
        let mut variables = WHOLE.to_vec();
        variables.push(("MESOS_SUBSCRIPTION_BACKOFF_MAX", "soon"));
        let (name, text) = ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "soon".to_owned());
        assert_eq!(read(&variables).unwrap_err(), InvalidEnvironment::Duration { name, text });
    }

    #[test]
    fn the_grace_period_reads_as_mesos_writes_it() {
        for (text, millis) in
            [("5secs", 5_000), ("1.5secs", 1_500), ("200ms", 200), ("2mins", 120_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "secs", "-1secs", "5 s", "5fortnights"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
