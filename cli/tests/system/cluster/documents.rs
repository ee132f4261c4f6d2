//! Documents of apps and jobs.

use serde_json::{Value, json};

/// An app that the built-in executor serves.
pub(crate) fn app(name: &str, env: &Value) -> Value {
    json!({"kind": "app", "name": name, "resources": {"cpus": 0.1, "mem": 32}, "env": env})
}

/// A job of the app `scripts` whose shards run a bash script.
pub(crate) fn script(name: &str, shards: u32, text: &str) -> Value {
    with(
        job(name, "scripts", "script", shards),
        &json!({"script": {"interpreter": "bash", "inline": text}}),
    )
}

/// A job.
pub(crate) fn job(name: &str, app: &str, kind: &str, shards: u32) -> Value {
    json!({
        "kind": "job", "name": name, "app": app, "type": kind, "sharding": {"count": shards},
        "resources": {"cpus": 0.1, "mem": 16},
    })
}

/// A document with some fields more, or other.
pub(crate) fn with(mut document: Value, more: &Value) -> Value {
    for (field, value) in more.as_object().expect("fields are an object") {
        document[field] = value.clone();
    }
    document
}
