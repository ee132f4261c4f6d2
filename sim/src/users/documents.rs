//! The documents that users store.

use muster_api::{
    JobName,
    spec::{AppSpec, Execution, JobSpec, MisfirePolicy, NoticeKind, ScheduleSpec, Spec},
};
use serde_json::{Value, json};

use crate::{
    setting::{HostFacts, LICENCES, Setting},
    stage::Stage,
};

/// The handler that the executors of an app with a command of its own have.
pub(crate) const HANDLER: &str = "work";
/// The parameter of a shard whose code ends its executor, whenever it is tried.
pub(super) const POISON: &str = "poison";

/// How many jobs of a world are daemons at most, and how many shards each has: together they fit onto
/// any host of such a world, each in an executor of its own.
const DAEMONS_MAX: usize = 2;
const DAEMON_SHARDS_MAX: u64 = 3;

/// Draws the app of a world.
pub(super) fn app(stage: &mut Stage, setting: &Setting) -> AppSpec {
    let mut document = json!({
        "kind": "app", "name": "app", "resources": {"cpus": 0.25, "mem": 64},
        "lease": lease(stage), "idle_timeout": format!("{}s", stage.between(5, 60)),
        "max_tasks": setting.tasks_of_app, "event_sampling": stage.between(0, 3),
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

/// A job that fits into an empty world, however it is to be launched.
pub(super) fn job(stage: &mut Stage, app: &AppSpec, index: usize, setting: &Setting) -> JobSpec {
    if setting.daemons && index < DAEMONS_MAX {
        return daemon(stage, app, index, setting);
    }
    let all_at_once = stage.percent(25);
    let licensed = stage.percent(15) && setting.hosts.iter().any(|host| host.licences > 0);
    let rack = rack(stage, setting);
    let meant = |host: &HostFacts| rack.as_deref().is_none_or(|rack| host.rack() == rack);
    let room = setting.room(u64::from(licensed), meant);
    // Nothing fits when no host of that rack has a licence.
    let (licensed, room) =
        if room == 0 { (false, setting.room(0, meant)) } else { (licensed, room) };
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
        "spread": stage.one_of(&["host", "rack", "none", "none", "none"]),
    });
    let kinds: Vec<_> = NoticeKind::of_jobs().iter().map(|(_, kind)| *kind).collect();
    if let Some(notify) = notify(stage, &kinds) {
        document["notify"] = notify;
    }
    if licensed {
        document["resources"][LICENCES] = Value::from(1);
    }
    if let Some(rack) = rack {
        document["constraints"] = constraints(stage, &rack);
    }
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

/// Draws whether a job wants the hosts of one rack only, and which: one that there is.
fn rack(stage: &mut Stage, setting: &Setting) -> Option<String> {
    let wants = setting.constraints && stage.percent(50);
    let racks: Vec<&str> = setting.hosts.iter().map(HostFacts::rack).collect();
    stage.one_of(&racks).filter(|_| wants).map(str::to_owned)
}

/// Says in one way or another that hosts must be in this rack, of two.
fn constraints(stage: &mut Stage, rack: &str) -> Value {
    let other = if rack == "r0" { "r1" } else { "r0" };
    match stage.between(0, 3) {
        0 => json!([{"attribute": "rack", "op": "equals", "value": rack}]),
        1 => json!([{"attribute": "rack", "op": "not_equals", "value": other},
                    {"attribute": "hostname", "op": "exists"}]),
        2 => json!([{"attribute": "rack", "op": "in", "value": [rack, "r7"]}]),
        _ => json!([{"attribute": "rack", "op": "matches", "value": format!("{rack}.*")},
                    {"attribute": "hostname", "op": "not_in", "value": ["nobody"]}]),
    }
}

/// Draws whether somebody is to be told of a job, of what, and where.
fn notify(stage: &mut Stage, kinds: &[NoticeKind]) -> Option<Value> {
    let on = kinds.iter().filter(|_| stage.percent(60));
    let on: Vec<&str> = on.map(|kind| kind.as_str()).collect();
    let webhook = format!("http://hook{}/told", stage.between(0, 1));
    let notify = json!({"on": on, "webhook": webhook, "late_after": "5s"});
    stage.percent(50).then_some(notify)
}

/// A daemon job. Its tasks need little, so that all of a world fit beside what else may be there.
fn daemon(stage: &mut Stage, app: &AppSpec, index: usize, setting: &Setting) -> JobSpec {
    let mut document = json!({
        "kind": "job", "name": format!("daemon{index}"), "app": "app", "type": "script",
        "script": {"command": "work"}, "execution": "daemon",
        "sharding": {"count": stage.between(1, DAEMON_SHARDS_MAX)},
        "resources": {"cpus": 0.05, "mem": 16},
        "failover": {"backoff": "500ms..4s"},
        "kill_grace": "2s",
        "priority": stage.between(0, 3),
        "schedule": repeated(stage),
        "misfire": {
            "policy": stage.one_of(&["skip", "coalesce"]),
            "grace": if stage.percent(30) { "30s" } else { "7d" },
        },
    });
    if app.command.is_some() && stage.percent(60) {
        document["type"] = Value::from("simple");
        document["handler"] = Value::from(HANDLER);
        document.as_object_mut().expect("it is one").remove("script");
    }
    if stage.percent(60) {
        document["timeout"] = Value::from(format!("{}s", stage.between(2, 40)));
    }
    if let Some(notify) = notify(stage, &NoticeKind::of_daemons()) {
        document["notify"] = notify;
    }
    if let Some(rack) = rack(stage, setting) {
        document["constraints"] = constraints(stage, &rack);
    }
    match parse(document) {
        Spec::Job(job) => job,
        Spec::App(_) => unreachable!("the document says that it is a job"),
    }
}

/// Whether a job is a daemon, or was, or may be again.
pub(super) fn is_at_times_a_daemon(job: &JobName) -> bool {
    job.as_str().starts_with("daemon")
}

/// Changes a daemon job, which its tasks feel or not.
fn change_daemon(stage: &mut Stage, job: &mut JobSpec, number: u64) {
    match stage.between(0, 6) {
        6 => job.execution = Execution::Transient,
        0 => job.description = format!("version {number}"),
        1 => job.priority = u8::try_from(stage.between(0, 3)).unwrap_or(0),
        2 => {
            job.sharding.count = u32::try_from(stage.between(1, DAEMON_SHARDS_MAX)).unwrap_or(1);
        }
        3 => {
            let policies = [MisfirePolicy::Skip, MisfirePolicy::Coalesce];
            job.misfire.policy = stage.one_of(&policies).unwrap_or_default();
        }
        _ => job.parameter = format!("version {number}"),
    }
}

/// Changes a job; each such document is another one, and so another version.
pub(super) fn change_job(stage: &mut Stage, job: &mut JobSpec, number: u64) {
    if job.is_daemon() {
        return change_daemon(stage, job, number);
    }
    if is_at_times_a_daemon(&job.name) && stage.percent(50) {
        job.execution = Execution::Daemon;
        job.misfire.policy = MisfirePolicy::Coalesce;
        job.schedule = parsed_schedule(&repeated(stage));
        return;
    }
    job.parameter = format!("version {number}");
    match stage.between(0, 4) {
        4 => {
            let policies = [MisfirePolicy::Skip, MisfirePolicy::Coalesce, MisfirePolicy::Replay];
            job.misfire.policy = stage.one_of(&policies).unwrap_or_default();
        }
        0 => {
            job.schedule = parsed_schedule(&schedule(stage));
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
        9 => {
            let minute = stage.between(0, 20);
            json!({"at": format!("2026-01-01T00:{minute:02}:00Z")})
        }
        _ => repeated(stage),
    }
}

/// One whose instants come again and again.
fn repeated(stage: &mut Stage) -> Value {
    match stage.between(0, 8) {
        0..5 => json!({"every": format!("{}s", stage.between(5, 60))}),
        5..7 => {
            let from = "2025-12-31T23:59:58.500Z";
            json!({"every": format!("{}s", stage.between(3, 90)), "from": from})
        }
        _ => {
            let seconds = stage.one_of(&[5, 10, 12, 15, 20, 30]).unwrap_or(30);
            json!({"cron": format!("0/{seconds} * * * * ?")})
        }
    }
}

fn parsed_schedule(schedule: &Value) -> Option<ScheduleSpec> {
    let job = json!({
        "kind": "job", "name": "other", "app": "app", "type": "script",
        "script": {"command": "work"}, "sharding": {"count": 1}, "schedule": schedule,
    });
    match parse(job) {
        Spec::Job(job) => job.schedule,
        Spec::App(_) => None,
    }
}

fn parse(document: Value) -> Spec {
    Spec::parse(document).expect("the documents of the world are valid").spec
}
