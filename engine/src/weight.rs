//! About how much launching a task says, so that the launches of a step fit into one call.

use std::collections::BTreeMap;

use muster_api::spec::{AppSpec, Artifact, JobSpec};

/// What is said of every task: ids, numbers, names.
const FIXED_BYTES: usize = 1024;

/// About how many bytes describe a task of a job, its executor included.
pub(crate) fn of_task(job: &JobSpec, app: &AppSpec) -> usize {
    let script = job.script.iter().flat_map(|script| [&script.command, &script.inline]);
    let script: usize = script.flatten().map(String::len).sum();
    let artifact = |one: &Artifact| one.uri.len() + one.sha256.as_ref().map_or(0, String::len);
    let artifacts: usize = app.artifacts.iter().map(artifact).sum();
    let executor = artifacts + texts(&app.env) + app.command.as_ref().map_or(0, String::len);
    FIXED_BYTES + script + job.parameter.len() + texts(&job.props) + executor
}

fn texts(all: &BTreeMap<String, String>) -> usize {
    all.iter().map(|(name, value)| name.len() + value.len()).sum()
}
