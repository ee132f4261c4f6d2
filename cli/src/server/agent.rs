//! `muster agent`.

use std::net::SocketAddr;

use anyhow::Context as _;
use muster_agent::AgentConfig;
use muster_api::{Span, limits};

use super::{AgentFlags, folders::default_folder, told_to_end};

/// Where executors reach the agent: on a free port of loopback.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(super::LOOPBACK, 0);

/// Runs the agent until it is told to end. Its executors live on.
pub(super) async fn run(flags: AgentFlags) -> anyhow::Result<()> {
    let shutdown = told_to_end()?;
    muster_agent::run(config(flags)?, shutdown).await
}

fn config(flags: AgentFlags) -> anyhow::Result<AgentConfig> {
    let token_file = flags.join_token_file.context(
        "an agent needs the join token of its master: copy `join.token` from the data folder of \
         the scheduler and name it by --join-token-file",
    )?;
    let token = std::fs::read_to_string(&token_file)
        .with_context(|| format!("cannot read the join token `{}`", token_file.display()))?;
    Ok(AgentConfig {
        master: flags.master.unwrap_or_else(|| super::flags::MASTER.to_string()),
        work_dir: flags.work_dir.map_or_else(|| default_folder("agent"), Ok)?,
        listen: flags.listen.unwrap_or(LISTEN),
        resources: flags.resources,
        attributes: flags.attributes.unwrap_or_default().0,
        hostname: flags.hostname,
        join_token: token.trim().to_owned(),
        plaintext: flags.plaintext.unwrap_or(false),
        muster_program: std::env::current_exe().context("cannot find the muster program")?,
        executor_registration: flags
            .executor_registration_timeout
            .map_or(limits::EXECUTOR_REGISTRATION, Span::duration),
        executor_reregistration: flags
            .executor_reregistration_timeout
            .map_or(limits::FOREIGN_REREGISTRATION, Span::duration),
        authenticate_executors: flags.authenticate_executors.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_needs_a_join_token() {
        let error = config(AgentFlags::default()).unwrap_err();
        assert!(error.to_string().contains("--join-token-file"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("join.token");
        std::fs::write(&file, "secret\n").unwrap();
        let work_dir = Some(folder.path().to_owned());
        let flags = AgentFlags { join_token_file: Some(file), work_dir, ..AgentFlags::default() };
        let config = config(flags).unwrap();
        assert_eq!(config.join_token, "secret");
        assert_eq!((config.master.as_str(), config.plaintext), ("127.0.0.1:5050", false));
    }
}
