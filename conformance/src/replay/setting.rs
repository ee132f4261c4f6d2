//! With what recordings are played.

use std::{collections::BTreeMap, process::Command};

use muster_proto::json::base64;

use crate::{
    outcome::{Failure, Outcome},
    remote::Remotes,
    target::{Credentials, Target},
};

/// What stands in recordings for a secret that is not the principal's.
const WRONG_SECRET: &str = "bad";

/// With what recordings are played.
pub struct Setting {
    /// Whom.
    pub target: Target,
    /// Where executors of the suite call back.
    pub remotes: Remotes,
    /// Secrets of principals that occur in recordings.
    pub secrets: BTreeMap<String, String>,
    /// A command that is run with `kill` or `start` where that was done to the agent.
    pub agent_hook: Option<String>,
}

impl Setting {
    /// Has the process of the agent killed or started.
    pub(super) fn agent(&self, order: &str) -> Outcome {
        let failed = |why: String| Failure::Executor(format!("cannot {order} the agent: {why}"));
        let Some(hook) = &self.agent_hook else {
            return Err(failed("no --agent-hook is given".to_owned()));
        };
        let command = format!("{hook} {order}");
        let status = Command::new("/bin/sh").args(["-c", &command]).status();
        let status = status.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
    }

    /// The header with the secret of now, if the secret of then was the right one.
    pub(super) fn authorization(&self, then: &str) -> String {
        let text = then.strip_prefix("Basic ").and_then(|text| base64::decode(text).ok());
        let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        let (principal, secret) = text.split_once(':').unwrap_or_default();
        match self.secrets.get(principal) {
            Some(now) if secret != WRONG_SECRET => {
                Credentials { principal: principal.to_owned(), secret: now.clone() }.header()
            }
            _ => then.to_owned(),
        }
    }
}
