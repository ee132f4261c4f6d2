//! The REST API over a socket, around the real engine.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../shared/client.rs"]
mod client;
mod daemons;
mod documents;
mod edges;
mod events;
mod explain;
mod explain_words;
mod history;
mod hosts;
mod limits;
mod reruns;
#[path = "../shared/stream.rs"]
mod stream;
mod world;

use serde_json::{Value, json};

fn app(name: &str) -> Value {
    json!({"kind": "app", "name": name, "resources": {"cpus": 0.1, "mem": 32}})
}

fn job(name: &str, app: &str, count: u32) -> Value {
    json!({
        "kind": "job", "name": name, "app": app, "type": "script",
        "script": {"command": "true"}, "sharding": {"count": count},
        "resources": {"cpus": 0.1, "mem": 16},
    })
}

/// The `field` of every item of a list.
fn column(list: &Value, field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].to_string().trim_matches('"').to_owned();
    list["items"].as_array().unwrap().iter().map(text).collect()
}
