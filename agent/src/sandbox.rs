//! What an executor finds when it starts: its program and its environment.

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use muster_api::{Mono, limits};
use muster_proto::{CommandInfo, ExecutorInfo, FrameworkInfo};

use crate::{
    supervise::{Program, Spec},
    wire,
    work_dir::ExecutorDir,
};

/// Where programs are looked for when the agent itself was not told.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

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
    ) -> Result<Spec, PlanError> {
        let command = info.command.as_ref().ok_or(PlanError::NoCommand)?;
        check_user(command)?;
        let program = program(command)?;
        let token = fs::read_to_string(dir.token()).map_err(PlanError::Token)?;
        let env = self.environment(framework, info, command, &dir.sandbox(), token);
        Ok(Spec { program, env, deadline_ms: deadline.map(Mono::as_millis) })
    }

    /// The variables that every Mesos executor expects, and those that its command asks for.
    fn environment(
        &self,
        framework: &FrameworkInfo,
        info: &ExecutorInfo,
        command: &CommandInfo,
        sandbox: &Path,
        token: String,
    ) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let grace = info.shutdown_grace_period.map(wire::duration);
        let grace = grace.unwrap_or(limits::EXECUTOR_SHUTDOWN_GRACE);
        let id = |id: Option<String>| id.unwrap_or_default();
        let mut all = BTreeMap::from([
            ("PATH", self.path()),
            ("MUSTER_PROGRAM", text(&self.muster)),
            ("HOME", env::var("HOME").unwrap_or_else(|_| text(sandbox))),
            ("MESOS_FRAMEWORK_ID", id(framework.id.as_ref().map(ToString::to_string))),
            ("MESOS_EXECUTOR_ID", id(info.executor_id.as_ref().map(ToString::to_string))),
            ("MESOS_AGENT_ENDPOINT", self.endpoint.to_string()),
            ("MESOS_SLAVE_ID", self.agent.clone()),
            ("MESOS_SLAVE_PID", format!("slave(1)@{}", self.endpoint)),
            ("MESOS_DIRECTORY", text(sandbox)),
            ("MESOS_CHECKPOINT", "1".to_owned()),
            ("MESOS_RECOVERY_TIMEOUT", "15mins".to_owned()),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "1secs".to_owned()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", mesos_duration(grace)),
            ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", token),
        ])
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<BTreeMap<_, _>>();
        for variable in command.environment.iter().flat_map(|env| &env.variables) {
            all.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
        }
        // By this one leftovers are found, so it is not the command's to choose.
        all.insert("MESOS_SANDBOX".to_owned(), text(sandbox));
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

/// A duration as Mesos writes it.
fn mesos_duration(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{}secs", span.as_secs())
    } else {
        format!("{}ms", span.as_millis())
    }
}
