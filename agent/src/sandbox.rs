//! What an executor finds when it starts: its program and its environment.

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use muster_api::{Mono, limits};
use muster_proto::{CommandInfo, ExecutorInfo, FrameworkInfo};

use crate::{
    core::Origin,
    supervise::{Program, Spec},
    wire,
    work_dir::ExecutorDir,
};

/// Where programs are looked for when the agent itself was not told.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";
/// Where executors of Mesos look for programs, whatever the agent was told.
const PATH_MESOS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why an executor cannot be started as it is described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// There is nothing to start.
    #[error("the executor has no command")]
    NoCommand,
    /// It is to run as somebody else.
    #[error("the command is to run as `{user}`, and this agent runs user code as `{own}` only")]
    OtherUser {
        /// As whom.
        user: String,
        /// As whom the agent runs it.
        own: String,
    },
    /// Its token cannot be read.
    #[error("cannot read the executor's token")]
    Token(#[source] io::Error),
}

/// What the agent adds to every executor.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Where the executor API listens.
    pub(crate) endpoint: SocketAddr,
    /// The agent's id.
    pub(crate) agent: String,
    /// Our program, for commands that run it; its folder also comes first in `PATH`.
    pub(crate) muster: PathBuf,
}

impl Host {
    /// What the supervisor of an executor is to do.
    pub(crate) fn plan(
        &self,
        framework: &FrameworkInfo,
        info: &ExecutorInfo,
        dir: &ExecutorDir,
        deadline: Option<Mono>,
        origin: Origin,
    ) -> Result<Spec, PlanError> {
        let command = info.command.as_ref().ok_or(PlanError::NoCommand)?;
        check_user(command)?;
        let program = program(command)?;
        let token = fs::read_to_string(dir.token()).map_err(PlanError::Token)?;
        let sandbox = text(&dir.sandbox());
        let mut all = self.mesos_environment(framework, info, &sandbox, token);
        if origin != Origin::Foreign {
            all.extend(self.own_environment(origin, &sandbox));
        }
        let mut env: BTreeMap<String, String> =
            all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for variable in command.environment.iter().flat_map(|env| &env.variables) {
            env.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
        }
        // By this one leftovers are found, so it is not the command's to choose.
        env.insert("MESOS_SANDBOX".to_owned(), sandbox);
        Ok(Spec { program, env, deadline_ms: deadline.map(Mono::as_millis) })
    }

    /// The variables that every executor of Mesos expects. What only those are told whose frameworks
    /// want checkpoints is not there at all for the others: most libraries look whether it is there,
    /// not what it says.
    fn mesos_environment(
        &self,
        framework: &FrameworkInfo,
        info: &ExecutorInfo,
        sandbox: &str,
        token: String,
    ) -> BTreeMap<&'static str, String> {
        let grace = info.shutdown_grace_period.map(wire::duration);
        let grace = grace.unwrap_or(limits::EXECUTOR_SHUTDOWN_GRACE);
        let id = |id: Option<String>| id.unwrap_or_default();
        let mut all = BTreeMap::from([
            ("PATH", PATH_MESOS.to_owned()),
            ("LIBPROCESS_IP", self.endpoint.ip().to_string()),
            ("LIBPROCESS_PORT", "0".to_owned()),
            ("MESOS_FRAMEWORK_ID", id(framework.id.as_ref().map(ToString::to_string))),
            ("MESOS_EXECUTOR_ID", id(info.executor_id.as_ref().map(ToString::to_string))),
            ("MESOS_AGENT_ENDPOINT", self.endpoint.to_string()),
            ("MESOS_SLAVE_ID", self.agent.clone()),
            ("MESOS_SLAVE_PID", format!("slave(1)@{}", self.endpoint)),
            ("MESOS_DIRECTORY", sandbox.to_owned()),
            ("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_owned()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", wire::mesos_duration(grace)),
            ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", token),
        ]);
        if framework.checkpoint.unwrap_or(false) {
            let recovery = wire::mesos_duration(limits::FOREIGN_RECOVERY);
            let backoff = wire::mesos_duration(limits::FOREIGN_REREGISTRATION);
            all.insert("MESOS_CHECKPOINT", "1".to_owned());
            all.insert("MESOS_RECOVERY_TIMEOUT", recovery);
            all.insert("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff);
        }
        all
    }

    /// The variables that Muster's own executors find beside those, or instead of them.
    fn own_environment(&self, origin: Origin, sandbox: &str) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("PATH", self.path()),
            ("MUSTER_PROGRAM", text(&self.muster)),
            ("HOME", env::var("HOME").unwrap_or_else(|_| sandbox.to_owned())),
        ]);
        if origin == Origin::Ours {
            // They outlive the agent whatever their framework says, for it counts on their leases.
            all.insert("MESOS_CHECKPOINT", "1".to_owned());
            all.insert("MESOS_RECOVERY_TIMEOUT", "15mins".to_owned());
            all.insert("MESOS_SUBSCRIPTION_BACKOFF_MAX", "1secs".to_owned());
        }
        all
    }

    fn path(&self) -> String {
        let inherited = env::var("PATH").unwrap_or_else(|_| PATH_DEFAULT.to_owned());
        match self.muster.parent().filter(|folder| folder.is_absolute()) {
            Some(folder) => format!("{}:{inherited}", folder.display()),
            None => inherited,
        }
    }
}

fn program(command: &CommandInfo) -> Result<Program, PlanError> {
    let value = command.value.clone().filter(|value| !value.is_empty());
    let value = value.ok_or(PlanError::NoCommand)?;
    if command.shell.unwrap_or(true) {
        return Ok(Program::Shell(value));
    }
    Ok(Program::Exec { path: value, arguments: command.arguments.clone() })
}

fn check_user(command: &CommandInfo) -> Result<(), PlanError> {
    let Some(user) = command.user.clone().filter(|user| !user.is_empty()) else { return Ok(()) };
    let own = own_user();
    if user == own { Ok(()) } else { Err(PlanError::OtherUser { user, own }) }
}

/// The name of the user that this process runs as, or its number where it has none.
pub(crate) fn own_user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number == uid).then(|| name.to_owned())
    });
    named.unwrap_or(uid)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
