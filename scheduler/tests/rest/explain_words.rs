//! What a newcomer is told, word for word.

use std::time::Duration;

use muster_api::{Timestamp, explain::JobExplanation};
use muster_engine::event::{Event, Signal};
use serde_json::{Value, json};

use crate::{app, job, world::World};

/// A world with one host of 4 cpus and 1 GiB, and app `a` (0.1 cpus and 32 MiB for each executor).
async fn world() -> World {
    let world = World::start().await;
    world.host(1, &[("rack", "r1")], "cpus:4;mem:1024").await;
    world.offer_of(1, &[("rack", "r1")], "cpus:4;mem:1024").await;
    world.client.put("/v1/apps/a", &app("a")).await.ok(201);
    world
}

/// Puts a job of app `a` that needs so many cpus for its shard.
async fn put(world: &World, name: &str, cpus: f64, changes: Value) {
    let mut document = job(name, "a", 1);
    document["resources"] = json!({"cpus": cpus, "mem": 64});
    for (field, value) in changes.as_object().unwrap() {
        document[field] = value.clone();
    }
    world.client.put(&format!("/v1/jobs/{name}"), &document).await.ok(201);
}

async fn start(world: &World, name: &str) {
    world.client.post(&format!("/v1/jobs/{name}/trigger")).await.ok(202);
}

/// What `muster explain JOB` says, line by line, with `RUN` and `TIME` for what differs each time.
async fn answer(world: &World, name: &str) -> Vec<String> {
    let answer = world.client.get(&format!("/v1/jobs/{name}/explain")).await.ok(200);
    let job: JobExplanation = serde_json::from_value(answer.json()).unwrap();
    let mut lines = vec![job.detail];
    for run in job.runs {
        for group in run.waiting {
            lines.push(format!("shards {} wait: {}", group.items, group.detail));
            lines.extend(group.unblock.iter().map(|way| format!("unblocked by {way}")));
        }
    }
    if let Some(missed) = job.last_missed {
        let why = missed.reason.unwrap_or_default();
        let outcome = json!(missed.outcome);
        let outcome = outcome.as_str().unwrap();
        lines.push(format!("the fire of {} was {outcome}: {why}", missed.planned_at));
    }
    let same = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':']);
        let rest = &word[bare.len()..];
        match () {
            () if bare.parse::<Timestamp>().is_ok() => format!("TIME{rest}"),
            () if bare.parse::<uuid::Uuid>().is_ok() => format!("RUN{rest}"),
            () => word.to_owned(),
        }
    };
    let line = |line: String| line.split(' ').map(same).collect::<Vec<_>>().join(" ");
    lines.into_iter().map(line).collect()
}

const NO_SCHEDULE: &str = "it has no schedule: it runs when `muster run NAME` says so";

fn no_schedule(name: &str) -> String {
    NO_SCHEDULE.replace("NAME", name)
}

#[tokio::test]
async fn a_job_that_cannot_fit() {
    let world = world().await;
    put(&world, "big", 8.0, json!({})).await;
    start(&world, "big").await;
    assert_eq!(
        answer(&world, "big").await,
        [
            &no_schedule("big"),
            "shards 0 wait: no host has room for a shard and its executor: the best, host-1 \
             (agent-1), is short of 4.1 cpus (8.1 needed, 4 free)",
            "unblocked by a larger host: none has 8.1 cpus and 96 MiB mem even when it is empty",
        ]
    );
}

#[tokio::test]
async fn a_job_that_waits_for_room() {
    let world = world().await;
    put(&world, "long", 3.0, json!({})).await;
    start(&world, "long").await;
    world.offer_of(1, &[("rack", "r1")], "cpus:0.9;mem:928").await;
    put(&world, "next", 2.0, json!({})).await;
    start(&world, "next").await;
    assert_eq!(
        answer(&world, "next").await,
        [
            &no_schedule("next"),
            "shards 0 wait: no host has room for a shard: the best, host-1 (agent-1), is short of \
             1.1 cpus (2 needed, 0.9 free)",
            "unblocked by 1.1 cpus more on host-1",
            "unblocked by the end of run RUN of job `long`, which holds 3 cpus and 64 MiB mem there",
        ]
    );
}

#[tokio::test]
async fn a_job_that_constraints_exclude() {
    let world = world().await;
    let constraints = json!([{"attribute": "rack", "op": "equals", "value": "r2"}]);
    put(&world, "picky", 1.0, json!({"constraints": constraints})).await;
    start(&world, "picky").await;
    assert_eq!(
        answer(&world, "picky").await,
        [
            &no_schedule("picky"),
            "shards 0 wait: no host is what its constraints ask for: `rack equals r2` excludes 1 of \
             1 hosts",
            "unblocked by a host of which all of this is so: rack equals r2",
        ]
    );
}

#[tokio::test]
async fn a_job_of_a_disabled_app() {
    let world = world().await;
    put(&world, "nightly", 1.0, json!({"schedule": {"cron": "0 0 2 * * ?"}})).await;
    world.client.post("/v1/apps/a/disable").await.ok(200);
    assert_eq!(
        answer(&world, "nightly").await,
        ["app `a` is disabled; `muster enable app a` lets its jobs fire"]
    );
}

#[tokio::test]
async fn a_job_in_back_off() {
    let mut world = world().await;
    let retry = json!({"retry": {"max_attempts": 3, "backoff": "30s..1m"}});
    put(&world, "flaky", 1.0, retry).await;
    start(&world, "flaky").await;
    let launched = world.launched.wait_for(|tasks| !tasks.is_empty()).await.unwrap();
    let task = launched[0].task;
    drop(launched);
    world.task(task, Signal::Running).await;
    world.task(task, Signal::CodeFailed).await;
    assert_eq!(
        answer(&world, "flaky").await,
        [
            &no_schedule("flaky"),
            "shards 0 wait: it waits out its back-off after attempt 1: its code failed",
            "unblocked by time: it is started again at TIME",
        ]
    );
}

#[tokio::test]
async fn a_job_whose_fire_was_skipped() {
    let world = world().await;
    let schedule = json!({"schedule": {"every": "10s"}, "misfire": {"policy": "skip"}});
    put(&world, "often", 8.0, schedule).await;
    for _ in 0..3 {
        world.advance(Duration::from_secs(10)).await;
    }
    assert_eq!(
        answer(&world, "often").await,
        [
            "it fires next for TIME",
            "shards 0 wait: no host has room for a shard and its executor: the best, host-1 \
             (agent-1), is short of 4.1 cpus (8.1 needed, 4 free)",
            "unblocked by a larger host: none has 8.1 cpus and 96 MiB mem even when it is empty",
            "the fire of TIME was skipped: run RUN of the job went on",
        ]
    );
}

#[tokio::test]
async fn a_job_behind_one_that_was_overtaken_for_too_long() {
    let world = world().await;
    put(&world, "small", 1.0, json!({})).await;
    put(&world, "other", 1.0, json!({})).await;
    put(&world, "large", 3.5, json!({})).await;
    start(&world, "small").await;
    world.offer_of(1, &[("rack", "r1")], "cpus:2.9;mem:928").await;
    start(&world, "large").await;
    start(&world, "other").await;
    world.offer_of(1, &[("rack", "r1")], "cpus:1.9;mem:864").await;
    for _ in 0..70 {
        world.advance(Duration::from_secs(1)).await;
    }
    put(&world, "late", 1.0, json!({})).await;
    start(&world, "late").await;
    assert_eq!(
        answer(&world, "late").await,
        [
            &no_schedule("late"),
            "shards 0 wait: host-1 with room is held for run RUN of job `large`, which others \
             overtook for too long",
            "unblocked by the start of run RUN, for which the hosts are held",
            "unblocked by time: it lets them go at TIME if it has not started by then",
        ]
    );
}

#[tokio::test]
async fn a_job_whose_hosts_are_drained() {
    let world = world().await;
    put(&world, "j", 1.0, json!({})).await;
    world.event(Event::AgentDraining { agent: "agent-1".parse().unwrap(), deadline: None }).await;
    start(&world, "j").await;
    assert_eq!(
        answer(&world, "j").await,
        [
            &no_schedule("j"),
            "shards 0 wait: no host takes tasks: host-1 is being drained",
            "unblocked by `muster agents activate HOST`, or another host: `muster agent --master \
             HOST:5050`",
        ]
    );
}

#[tokio::test]
async fn a_job_at_the_limit_of_its_app() {
    let world = world().await;
    let mut document = app("a");
    document["max_tasks"] = json!(1);
    world.client.put("/v1/apps/a", &document).await.ok(200);
    put(&world, "first", 1.0, json!({})).await;
    put(&world, "second", 1.0, json!({})).await;
    start(&world, "first").await;
    world.offer_of(1, &[("rack", "r1")], "cpus:2.9;mem:928").await;
    start(&world, "second").await;
    assert_eq!(
        answer(&world, "second").await,
        [
            &no_schedule("second"),
            "shards 0 wait: app `a` has 1 of at most 1 tasks (max_tasks)",
            "unblocked by the end of a task of app `a`, or a higher `max_tasks` of that app",
        ]
    );
}

#[tokio::test]
async fn a_daemon_job_that_waits() {
    let world = world().await;
    let daemon = json!({"execution": "daemon", "schedule": {"every": "10s"}});
    put(&world, "resident", 8.0, daemon).await;
    assert_eq!(
        answer(&world, "resident").await,
        [
            "it is a daemon job: its tasks follow its schedule by themselves",
            "shards 0 wait: no host has room for a shard and its executor: the best, host-1 \
             (agent-1), is short of 4.1 cpus (8.1 needed, 4 free)",
            "unblocked by a larger host: none has 8.1 cpus and 96 MiB mem even when it is empty",
        ]
    );
}
