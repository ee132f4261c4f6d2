//! Tasks and executors, in the JSON of Mesos.

use serde_json::{Value, json};

/// The CPUs of each task and executor of the suite.
pub const CPUS: f64 = 0.1;
/// The MB of each task and executor of the suite.
pub const MEM: f64 = 32.0;

/// A scalar resource.
pub fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// What a task takes.
pub fn resources(cpus: f64, mem: f64) -> Value {
    json!([scalar("cpus", cpus), scalar("mem", mem)])
}

/// What an executor that takes a task group needs: Mesos wants it to have disk.
pub fn resources_with_disk(cpus: f64, mem: f64, disk: f64) -> Value {
    json!([scalar("cpus", cpus), scalar("mem", mem), scalar("disk", disk)])
}

/// A task with neither command nor executor.
pub fn bare_task(id: &str, agent: &str) -> Value {
    json!({
        "name": id,
        "task_id": {"value": id},
        "agent_id": {"value": agent},
        "resources": resources(CPUS, MEM),
    })
}

/// A task that is a command of the shell.
pub fn command_task(id: &str, agent: &str, command: &str) -> Value {
    with(bare_task(id, agent), "command", json!({"shell": true, "value": command}))
}

/// A task of an executor.
pub fn executor_task(id: &str, agent: &str, executor: &Value) -> Value {
    with(bare_task(id, agent), "executor", executor.clone())
}

/// A custom executor that is a command of the shell.
pub fn executor(id: &str, framework: &str, command: &str) -> Value {
    json!({
        "type": "CUSTOM",
        "executor_id": {"value": id},
        "framework_id": {"value": framework},
        "name": "executor of the suite",
        "resources": resources(CPUS, MEM),
        "command": {"shell": true, "value": command},
    })
}

/// An operation that launches tasks.
pub fn launch(tasks: Vec<Value>) -> Value {
    json!({"type": "LAUNCH", "launch": {"task_infos": Value::from(tasks)}})
}

/// An operation that launches a task group.
pub fn launch_group(executor: &Value, tasks: Vec<Value>) -> Value {
    json!({
        "type": "LAUNCH_GROUP",
        "launch_group": {"executor": executor, "task_group": {"tasks": Value::from(tasks)}},
    })
}

/// With one field changed.
#[must_use]
pub fn with(mut message: Value, field: &str, value: Value) -> Value {
    message[field] = value;
    message
}

/// Without one of its fields.
#[must_use]
pub fn without(mut message: Value, field: &str) -> Value {
    if let Some(fields) = message.as_object_mut() {
        fields.remove(field);
    }
    message
}
