//! Which fields of a document act at once, and which for runs that have not begun.

use muster_api::task::TaskPayload;
use muster_engine::event::Signal;
use serde_json::{Value, json};

use super::cluster::Cluster;

/// A world in which shard 0 of the only run of `j` has begun, and may be started again.
fn begun(document: &Value) -> Cluster {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    world.put_job("j", "a", document);
    world.start("j");
    world.offer();
    world.run_all();
    world
}

fn document(changes: &Value) -> Value {
    let mut document = json!({
        "retry": {"max_attempts": 1, "backoff": "1s..1m"}, "parameter": "old", "timeout": "1m",
        "kill_grace": "7s", "props": {"x": "old"},
        "sharding": {"count": 1, "parameters": {"0": "old"}},
    });
    for (field, value) in changes.as_object().unwrap() {
        document[field] = value.clone();
    }
    document
}

/// What the newest task was sent, but for what differs with each task.
fn sent(world: &Cluster) -> (Value, String) {
    let launch = world.launched.last().unwrap();
    let mut payload = serde_json::to_value(TaskPayload::decode(&launch.payload).unwrap()).unwrap();
    let context = payload["context"].as_object_mut().unwrap();
    for field in ["attempt", "epoch", "task", "run", "fire_time", "planned_time", "planned_until"] {
        context.remove(field);
    }
    (payload, launch.resources.to_string())
}

#[test]
fn a_run_that_has_begun_keeps_what_it_took_and_the_next_one_takes_what_is_new() {
    for change in [
        json!({"script": {"command": "new"}}),
        json!({"parameter": "new"}),
        json!({"sharding": {"count": 1, "parameters": {"0": "new"}}}),
        json!({"timeout": "2m"}),
        json!({"kill_grace": "9s"}),
        json!({"props": {"x": "new"}}),
        json!({"resources": {"cpus": 2, "mem": 32}}),
    ] {
        let mut world = begun(&document(&json!({})));
        let before = sent(&world);
        world.put_job("j", "a", &document(&change));
        world.say(world.tasks()[0], Signal::CodeFailed);
        world.settle();
        assert_eq!(world.launched.len(), 2, "it was started again");
        assert_eq!(sent(&world), before, "{change} acts on a run that has begun");
        world.start("j");
        world.settle();
        assert_ne!(sent(&world), before, "{change} does not act on the next one");
    }
}

#[test]
fn a_run_that_has_not_begun_follows_its_job_also_in_the_number_of_shards() {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    world.put_job("j", "a", &document(&json!({})));
    world.start("j");
    world.put_job("j", "a", &document(&json!({"sharding": {"count": 3}, "parameter": "new"})));
    world.offer();
    assert_eq!(world.launched.len(), 3);
    assert_eq!(sent(&world).0["context"]["job_parameter"], json!("new"));
}

#[test]
fn retry_and_failover_act_at_once() {
    let starts = |change: &Value, signal| {
        let mut world = begun(&document(&json!({})));
        world.put_job("j", "a", &document(change));
        world.say(world.tasks()[0], signal);
        world.settle();
        world.launched.len()
    };
    assert_eq!(starts(&json!({}), Signal::CodeFailed), 2);
    assert_eq!(starts(&json!({"retry": {"max_attempts": 0}}), Signal::CodeFailed), 1);
    assert_eq!(starts(&json!({}), Signal::Died), 2);
    assert_eq!(starts(&json!({"failover": {"enabled": false}}), Signal::Died), 1);
}

#[test]
fn each_stored_change_is_a_version_and_equal_content_is_none() {
    let mut world = begun(&document(&json!({})));
    let version = |world: &Cluster| {
        let jobs = world.jobs();
        jobs["j"].version
    };
    assert_eq!(version(&world), 1);
    for (change, after) in [
        (json!({}), 1),
        (json!({"description": "x"}), 2),
        (json!({"description": "x"}), 2),
        (json!({"labels": {"team": "x"}}), 3),
        (json!({"priority": 7}), 4),
        (json!({"disabled": true}), 5),
        (json!({"disabled": false}), 6),
    ] {
        world.put_job("j", "a", &document(&change));
        assert_eq!(version(&world), after, "{change}");
    }
}

#[test]
fn a_document_without_disabled_leaves_it_as_it_is() {
    let mut world = begun(&document(&json!({})));
    for disabled in [true, false] {
        world.put_job("j", "a", &document(&json!({"disabled": disabled})));
        world.put_job("j", "a", &document(&json!({"description": disabled.to_string()})));
        assert_eq!(world.jobs()["j"].disabled(), disabled);
    }
}
