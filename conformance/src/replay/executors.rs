//! The executors of a recording, played by those of the suite.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::recording::Recording;
use crate::{
    context::SOON,
    outcome::{Failure, Outcome},
    remote::{Expected, Remote, Remotes},
    target::Target,
};

/// What stands in recordings for the command of their executors.
const COMMAND: &str = "{executor}";
/// What stands in recordings for a file that is fetched.
const FILE: &str = "{file}";
/// A file that every host has.
const ANY_FILE: &str = "/etc/hosts";

/// The executors by their ids.
#[derive(Default)]
pub(super) struct Executors {
    expected: BTreeMap<String, Expected>,
    commands: BTreeMap<String, String>,
    arrived: BTreeMap<String, Arc<Remote>>,
}

impl Executors {
    /// Puts commands of now into a call that launches tasks, and expects their executors.
    pub(super) fn prepare(
        &mut self,
        scenario: &str,
        call: &mut Value,
        target: &Target,
        remotes: &Remotes,
    ) {
        let operations = call.pointer_mut("/accept/operations").and_then(Value::as_array_mut);
        let launches = operations.into_iter().flatten();
        let tasks = launches.filter_map(|operation| operation.pointer_mut("/launch/task_infos"));
        for task in tasks.filter_map(Value::as_array_mut).flatten() {
            let uris = task.pointer_mut("/command/uris").and_then(Value::as_array_mut);
            for uri in uris.into_iter().flatten().filter(|uri| uri["value"] == FILE) {
                uri["value"] = ANY_FILE.into();
            }
            let id = task["executor"]["executor_id"]["value"].as_str();
            let Some(id) = id.map(str::to_owned) else { continue };
            let Some(command) = task.pointer_mut("/executor/command/value") else { continue };
            let recorded = command.as_str().unwrap_or_default().to_owned();
            if recorded.contains(COMMAND) {
                let now = self.command(scenario, &id, target, remotes);
                *command = recorded.replace(COMMAND, &now).into();
            }
        }
    }

    /// One executor has one command, for its description has to stay the same.
    fn command(&mut self, scenario: &str, id: &str, target: &Target, remotes: &Remotes) -> String {
        if let Some(command) = self.commands.get(id) {
            return command.clone();
        }
        let expected = remotes.expect(&format!("{scenario}-{id}"));
        let command = remotes.command(&target.program, expected.key());
        // The recorded command says `exec` where it wants it.
        let command = command.trim_start_matches("exec ").to_owned();
        self.expected.insert(id.to_owned(), expected);
        self.commands.insert(id.to_owned(), command.clone());
        command
    }

    /// A text of now with what stood in the recording.
    pub(super) fn as_recorded(&self, text: &str) -> String {
        let commands = self.commands.values();
        commands.fold(text.to_owned(), |text, command| text.replace(command.as_str(), COMMAND))
    }

    /// Waits for the processes of all that were launched and had one in the recording.
    pub(super) async fn arrive(&mut self, recording: &Recording) -> Outcome {
        let ids = self.expected.keys().filter(|id| recording.has_process(id));
        for id in ids.cloned().collect::<Vec<_>>() {
            self.remote(&id).await?;
        }
        Ok(())
    }

    /// The process of an executor.
    pub(super) async fn remote(&mut self, id: &str) -> Outcome<Arc<Remote>> {
        if let Some(expected) = self.expected.remove(id) {
            let remote = Arc::new(expected.arrive(SOON).await?);
            self.arrived.insert(id.to_owned(), remote);
        }
        let missing = || Failure::Executor(format!("{id} was never launched"));
        self.arrived.get(id).cloned().ok_or_else(missing)
    }
}
