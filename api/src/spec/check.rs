//! What a job must fit beside its own document: its app, a trigger, the size of a task.

use std::collections::BTreeSet;

use super::{AppSpec, Fault, JobSpec, JobType};
use crate::{
    RunId, Span, TaskId, Timestamp, limits,
    task::{Resident, ShardContext, TaskPayload, Work},
    views::{RerunRequest, TriggerRequest},
};

impl JobSpec {
    /// What is wrong with this job as a job of `app`.
    pub fn check_app(&self, app: &AppSpec) -> Vec<Fault> {
        match self.job_type {
            JobType::Simple if app.command.is_none() => vec![fault(
                "type",
                format!(
                    "`simple` calls code of the app's executor, and app `{}` has no `command` that \
                     starts one; give it one, or use type `script`",
                    app.name
                ),
            )],
            JobType::Simple | JobType::Script => Vec::new(),
        }
    }

    /// What is wrong with `request` as a trigger of this job.
    pub fn check_trigger(&self, request: &TriggerRequest) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(parameter) = &request.parameter {
            if parameter.contains('\0') {
                let message = "a text that a process is given holds no NUL character";
                faults.push(fault("parameter", message.to_owned()));
            }
            faults.extend(self.check_size("parameter", parameter));
        }
        let count = self.sharding.count;
        let beyond = |item| (item >= count).then(|| format!("there is no shard {item} of {count}"));
        faults.extend(check_items(request.items.as_deref(), beyond));
        faults
    }

    /// What a task of this job is told of when its code is called, if it is resident: the anchor of
    /// its schedule, its jitter, and the sampling of its app.
    pub fn resident(&self, anchor: Timestamp, offset: Span, sampling: u32) -> Option<Resident> {
        let schedule = self.schedule.clone().filter(|_| self.is_daemon())?;
        let (misfire, grace) = (self.misfire.policy, self.misfire.grace);
        Some(Resident { schedule, anchor, offset, misfire, grace, sampling })
    }

    /// What makes the tasks of this job too large to send.
    pub(super) fn check_payload(&self) -> Option<Fault> {
        self.check_size("", &self.parameter)
    }

    fn check_size(&self, field: &str, parameter: &str) -> Option<Fault> {
        let (bytes, most) = (self.payload_bytes(parameter), limits::TASK_PAYLOAD_BYTES);
        (bytes > most).then(|| {
            let message = format!(
                "a task would be sent {bytes} bytes, and {most} is the most; shorten parameters, \
                 props or script"
            );
            fault(field, message)
        })
    }

    /// The size of the largest task of this job, with `parameter` as the job's parameter.
    fn payload_bytes(&self, parameter: &str) -> usize {
        let parameters = self.sharding.parameters.values();
        let largest = parameters.max_by_key(|text| json_bytes(text)).cloned().unwrap_or_default();
        let longest_time = Timestamp::from_millis(253_402_300_799_999);
        let uuid = uuid::Uuid::max();
        let payload = TaskPayload {
            context: ShardContext {
                job: self.name.clone(),
                run: RunId::from_uuid(uuid),
                task: TaskId::from_uuid(uuid),
                attempt: u32::MAX,
                epoch: u64::MAX,
                shard_count: self.sharding.count,
                shard_item: self.sharding.count - 1,
                shard_parameter: largest,
                job_parameter: parameter.to_owned(),
                planned_time: longest_time,
                planned_until: longest_time,
                fires: Some(u64::MAX),
                fire_time: longest_time,
                props: self.props.clone(),
            },
            work: match &self.script {
                Some(script) => Work::Script(script.clone()),
                None => Work::Simple { handler: self.handler_name().to_owned() },
            },
            timeout: self.timeout,
            kill_grace: self.kill_grace,
            resident: self.resident(longest_time, Span::from_millis(u64::MAX), u32::MAX),
        };
        payload.encode().len()
    }
}

impl RerunRequest {
    /// What is wrong with it, whatever it is to be a rerun of.
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = check_items(self.items.as_deref(), |_| None);
        if self.failed && self.items.is_some() {
            let message = "it says which shards to run, and so does `items`; leave one of them out";
            faults.push(fault("failed", message.to_owned()));
        }
        faults
    }
}

/// What is wrong with a list of shards, given what is wrong with a shard.
fn check_items(items: Option<&[u32]>, wrong: impl Fn(u32) -> Option<String>) -> Vec<Fault> {
    let Some(items) = items else { return Vec::new() };
    if items.is_empty() {
        return vec![fault("items", "no shard is named; leave it out to run all".to_owned())];
    }
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let twice = || (!seen.insert(*item)).then(|| format!("shard {item} stands twice"));
        if let Some(message) = wrong(*item).or_else(twice) {
            faults.push(fault(&format!("items[{at}]"), message));
        }
    }
    faults
}

/// The size of a text in JSON, where escapes make it longer.
fn json_bytes(text: &str) -> usize {
    serde_json::Value::from(text).to_string().len()
}

fn fault(field: &str, message: String) -> Fault {
    Fault { field: field.to_owned(), message }
}
