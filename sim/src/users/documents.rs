//! The documents that users store.

use muster_api::{
    JobName,
    spec::{AppSpec, JobSpec, MisfirePolicy, Spec},
};
use serde_json::{Value, json};

use crate::stage::Stage;

/// The handler that the executors of an app with a command of its own have.
pub(crate) const HANDLER: &str = "work";
/// The parameter of a shard whose code ends its executor, whenever it is tried.
pub(super) const POISON: &str = "poison";

/// Draws the app of a world.
pub(super) fn app(stage: &mut Stage) -> AppSpec {
    let mut document = json!({
        "kind": "app", "name": "app", "resources": {"cpus": 0.25, "mem": 64},
        "lease": lease(stage), "idle_timeout": format!("{}s", stage.between(5, 60)),
    });
    if stage.percent(40) {
        document["command"] = Value::from("./start");
    }
    match parse(document) {
        Spec::App(app) => app,
        Spec::Job(_) => unreachable!("the document says that it is an app"),
    }
}

fn lease(stage: &mut Stage) -> String {
    match stage.between(0, 9) {
        0 => "off".to_owned(),
        1..5 => "15s".to_owned(),
        _ => format!("{}s", stage.between(15, 60)),
    }
}

/// Changes an app, in a way that needs new executors or not.
pub(super) fn change_app(stage: &mut Stage, app: &mut AppSpec, number: u64) {
    if stage.percent(70) {
        app.env.insert("NUMBER".to_owned(), number.to_string());
    } else {
        app.description = format!("version {number}");
    }
}

/// A job that fits into an empty world, however it is to be launched. `room` is how many shards
/// fit on all hosts together, each host with one executor.
pub(super) fn job(stage: &mut Stage, app: &AppSpec, index: usize, room: u64) -> JobSpec {
    let all_at_once = stage.percent(25);
    let shards = match stage.between(0, 3) {
        // As many as fit: if anything is charged twice, they never start.
        0 if all_at_once => room,
        _ => stage.between(1, if all_at_once { room } else { 8 }),
    };
    let name: JobName = format!("job{index}").parse().expect("this is a valid name");
    let mut document = json!({
        "kind": "job", "name": name, "app": "app", "type": "script",
        "script": {"command": "work"},
        "sharding": {"count": shards},
        "resources": {"cpus": 0.25, "mem": 32},
        "launch": if all_at_once { "all_at_once" } else { "as_fits" },
        "failover": {"enabled": stage.percent(85), "max_attempts": stage.between(0, 3)},
        "retry": {"max_attempts": stage.between(0, 2), "backoff": "500ms..4s"},
        "kill_grace": "2s",
        "priority": stage.between(0, 3),
        "spread": if stage.percent(30) { "host" } else { "none" },
    });
    if app.command.is_some() && stage.percent(60) {
        document["type"] = Value::from("simple");
        document["handler"] = Value::from(HANDLER);
        document.as_object_mut().expect("it is one").remove("script");
    }
    if stage.percent(15) {
        let item = stage.between(0, shards - 1).to_string();
        document["sharding"]["parameters"] = json!({item: POISON});
    }
    if stage.percent(60) {
        document["misfire"] = misfire(stage);
    }
    if stage.percent(25) {
        document["start_within"] = Value::from(format!("{}s", stage.between(1, 60)));
    }
    if stage.percent(35) {
        document["run_timeout"] = Value::from(format!("{}s", stage.between(3, 90)));
    }
    if stage.percent(60) {
        document["timeout"] = Value::from(format!("{}s", stage.between(2, 40)));
    }
    if stage.percent(60) {
        document["schedule"] = schedule(stage);
    }
    match parse(document) {
        Spec::Job(job) => job,
        Spec::App(_) => unreachable!("the document says that it is a job"),
    }
}

/// Changes a job; each such document is another one, and so another version.
pub(super) fn change_job(stage: &mut Stage, job: &mut JobSpec, number: u64) {
    job.parameter = format!("version {number}");
    match stage.between(0, 4) {
        4 => {
            let policies = [MisfirePolicy::Skip, MisfirePolicy::Coalesce, MisfirePolicy::Replay];
            job.misfire.policy = stage.one_of(&policies).unwrap_or_default();
        }
        0 => {
            let other = json!({
                "kind": "job", "name": "other", "app": "app", "type": "script",
                "script": {"command": "work"}, "sharding": {"count": 1},
                "schedule": schedule(stage),
            });
            if let Spec::Job(other) = parse(other) {
                job.schedule = other.schedule;
            }
        }
        1 => job.schedule = None,
        2 => job.priority = u8::try_from(stage.between(0, 3)).unwrap_or(0),
        _ => {}
    }
}

/// What becomes of fires that cannot start when planned. Caps and graces are small, so that they
/// are reached.
fn misfire(stage: &mut Stage) -> Value {
    let policy = stage.one_of(&["skip", "coalesce", "replay"]).unwrap_or("replay");
    let grace = if stage.percent(60) { stage.between(5, 120) } else { 7 * 86_400 };
    json!({"policy": policy, "cap": stage.between(1, 6), "grace": format!("{grace}s")})
}

/// A schedule of instants that are easily reckoned without a calendar.
fn schedule(stage: &mut Stage) -> Value {
    match stage.between(0, 9) {
        0..5 => json!({"every": format!("{}s", stage.between(5, 60))}),
        5..7 => {
            let from = "2025-12-31T23:59:58.500Z";
            json!({"every": format!("{}s", stage.between(3, 90)), "from": from})
        }
        7..9 => {
            let seconds = stage.one_of(&[5, 10, 12, 15, 20, 30]).unwrap_or(30);
            json!({"cron": format!("0/{seconds} * * * * ?")})
        }
        _ => {
            let minute = stage.between(0, 20);
            json!({"at": format!("2026-01-01T00:{minute:02}:00Z")})
        }
    }
}

fn parse(document: Value) -> Spec {
    Spec::parse(document).expect("the documents of the world are valid").spec
}
