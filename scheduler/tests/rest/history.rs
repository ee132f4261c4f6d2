//! Runs, shards, fires and output.

use std::{sync::Arc, time::Duration};

use hyper::Method;
use muster_engine::event::Signal;
use muster_proto::agent::LogData;
use muster_scheduler::rest::LogError;
use serde_json::{Value, json};

use crate::{app, column, job, world::World};

pub(crate) async fn with_job(count: u32) -> World {
    let world = World::start().await;
    world.client.put("/v1/apps/a", &app("a")).await.ok(201);
    world.client.put("/v1/jobs/j", &job("j", "a", count)).await.ok(201);
    world
}

pub(crate) async fn trigger(world: &World) -> String {
    let run = world.client.post("/v1/jobs/j/trigger").await.ok(202);
    let id = run.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(run.header("location"), format!("/v1/runs/{id}"));
    id
}

/// Ends every task from the `from`th on.
pub(crate) async fn end_tasks(world: &mut World, from: usize, count: usize, signal: Signal) {
    let launched = world.launched.wait_for(|tasks| tasks.len() >= from + count).await.unwrap();
    let tasks: Vec<_> = launched[from..].iter().map(|launch| launch.task).collect();
    drop(launched);
    for task in tasks {
        world.task(task, Signal::Running).await;
        world.task(task, signal).await;
    }
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let mut world = with_job(3).await;
    let client = world.client.clone();
    let run = trigger(&world).await;
    let path = format!("/v1/runs/{run}");
    let view = client.get(&path).await.ok(200).json();
    assert_eq!((&view["state"], &view["counts"]["pending"]), (&"pending".into(), &3.into()));
    let queue = client.get("/v1/queue").await.ok(200).json();
    assert_eq!(column(&queue, "run"), [run.as_str()]);
    assert_eq!(column(&queue, "reason"), ["no_agents"]);

    world.offer(1).await;
    let launched = world.launched.wait_for(|tasks| tasks.len() == 3).await.unwrap();
    let first = launched[0].task;
    drop(launched);
    world.task(first, Signal::Running).await;
    world.task(first, Signal::Finished).await;
    let view = client.get(&path).await.json();
    assert_eq!(view["state"], "running");
    let shards = view["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 3);
    assert_eq!(shards[0]["state"], "succeeded");
    assert_eq!(shards[0]["task"], first.to_string());
    assert_eq!(shards[0]["exit_code"], 0);

    let waiting = {
        let (client, path) = (client.clone(), format!("{path}?wait=60s"));
        tokio::spawn(async move { client.get(&path).await })
    };
    end_tasks(&mut world, 1, 2, Signal::Finished).await;
    let over = waiting.await.unwrap().ok(200).json();
    assert_eq!(over["state"], "succeeded");
    assert_eq!(over["counts"]["succeeded"], 3);
    assert_eq!(over["shards"].as_array().unwrap().len(), 3);
    assert_eq!(client.get(&format!("{path}?wait=60s")).await.json(), over);
    assert_eq!(client.get("/v1/queue").await.json()["items"], json!([]));

    let page = client.get(&format!("{path}/shards?limit=2")).await.ok(200).json();
    assert_eq!(column(&page, "item"), ["0", "1"]);
    let next = page["next"].as_str().unwrap();
    let page = client.get(&format!("{path}/shards?limit=2&cursor={next}")).await.json();
    assert_eq!((column(&page, "item"), &page["next"]), (vec!["2".to_owned()], &Value::Null));
    let failed = client.get(&format!("{path}/shards?state=failed")).await.json();
    assert_eq!(failed["items"], json!([]));
}

#[tokio::test]
async fn a_wait_ends_when_its_time_has_passed() {
    let world = with_job(1).await;
    let run = trigger(&world).await;
    let view = world.client.get(&format!("/v1/runs/{run}?wait=10ms")).await.ok(200);
    assert_eq!(view.json()["state"], "pending");
    let long = world.client.get(&format!("/v1/runs/{run}?wait=2m")).await;
    long.problem(400, "invalid_request");
    let unknown = "/v1/runs/01930000-0000-7000-8000-000000000000?wait=60s";
    world.client.get(unknown).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_trigger_with_a_key_is_one_trigger() {
    let world = with_job(2).await;
    let send = |key: &'static str, body: Value| {
        let client = world.client.clone();
        async move {
            let headers = [("idempotency-key", key)];
            client.send(Method::POST, "/v1/jobs/j/trigger", &headers, body.to_string()).await
        }
    };
    let first = send("k", json!({"parameter": "p", "items": [1]})).await.ok(202).json();
    assert_eq!(send("k", json!({"parameter": "p", "items": [1]})).await.ok(202).json(), first);
    send("k", json!({"parameter": "q"})).await.problem(409, "conflict");
    assert_ne!(send("l", json!({})).await.ok(202).json()["id"], first["id"]);
    send("m", json!({"items": [7]})).await.problem(422, "invalid_document");
    send("n", json!({"item": [1]})).await.problem(422, "invalid_document");
    send("", json!({})).await.problem(400, "invalid_request");
    world.client.post("/v1/jobs/k/trigger").await.problem(404, "not_found");
}

#[tokio::test]
async fn too_many_waiting_triggers_are_refused() {
    let world = with_job(1).await;
    for _ in 0..muster_api::limits::WAITING_TRIGGERS_PER_JOB {
        trigger(&world).await;
    }
    let refused = world.client.post("/v1/jobs/j/trigger").await;
    refused.problem(429, "too_many_waiting");
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let mut world = with_job(1).await;
    let client = world.client.clone();
    let mut runs = Vec::new();
    for n in 0..5 {
        runs.push(trigger(&world).await);
        if n < 3 {
            world.offer(n + 1).await;
            let signal = if n == 1 { Signal::CodeFailed } else { Signal::Finished };
            end_tasks(&mut world, n as usize, 1, signal).await;
        }
    }
    runs.reverse();
    let list = async |query: &str| client.get(&format!("/v1/runs?{query}")).await.ok(200).json();
    assert_eq!(column(&list("").await, "id"), runs);
    assert_eq!(column(&list("job=j").await, "id"), runs);
    assert_eq!(column(&list("state=succeeded").await, "id"), [&*runs[2], &runs[4]]);
    assert_eq!(column(&list("state=failed&job=j").await, "id"), [&*runs[3]]);
    assert_eq!(column(&list("state=pending").await, "id"), runs[..2]);

    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&format!("limit=2{cursor}")).await;
        paged.extend(column(&page, "id"));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, runs);

    assert_eq!(list("to=2020-01-01T00:00:00Z").await["items"], json!([]));
    assert_eq!(list("from=2120-01-01T00:00:00Z").await["items"], json!([]));
    assert_eq!(column(&list("from=2020-01-01T00:00:00Z").await, "id"), runs);
    let middle = client.get(&format!("/v1/runs/{}", runs[2])).await.json();
    let at = middle["created_at"].as_str().unwrap();
    let newer = column(&list(&format!("from={at}")).await, "id");
    assert!(newer.len() >= 3 && newer[..3] == runs[..3], "{newer:?}");
    client.get("/v1/runs?job=nobody").await.problem(404, "not_found");
    client.get("/v1/runs?state=happy").await.problem(400, "invalid_request");
}

#[tokio::test]
async fn a_run_is_cancelled() {
    let world = with_job(1).await;
    let run = trigger(&world).await;
    let over = world.client.post(&format!("/v1/runs/{run}/cancel")).await.ok(202).json();
    assert_eq!(over["state"], "cancelled");
    let view = world.client.get(&format!("/v1/runs/{run}")).await.ok(200).json();
    assert_eq!((&view["state"], &view["shards"][0]["state"]), (&over["state"], &over["state"]));
}

#[tokio::test]
async fn coming_fires_are_told_in_the_time_zone_of_their_schedule() {
    let world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut scheduled = job("j", "a", 1);
    scheduled["schedule"] = json!({"cron": "0 30 2 29 3 ?", "time_zone": "europe/berlin",
        "gap": "skip", "overlap": "both", "jitter": "1h"});
    client.put("/v1/jobs/j", &scheduled).await.ok(201);
    let stored = client.get("/v1/jobs/j").await.ok(200).json();
    assert_eq!(stored["schedule"], scheduled["schedule"]);
    let next = client.get("/v1/jobs/j/next?count=40").await.ok(200).json();
    assert_eq!(next["items"].as_array().unwrap().len(), 40);
    for row in next["items"].as_array().unwrap() {
        let local = row["local"].as_str().unwrap();
        assert!(local.contains("-03-29T02:30:00+0") && local.ends_with("[Europe/Berlin]"), "{row}");
        let at = |field: &str| row[field].as_str().unwrap().parse::<muster_api::Timestamp>();
        let later = at("fires_at").unwrap().since(at("planned_at").unwrap());
        assert!(later < Duration::from_secs(3_600), "{row}");
    }
    scheduled["schedule"] = json!({"cron": "0 30 2 * * ?", "time_zone": "Berlin"});
    let answer = client.put("/v1/jobs/j", &scheduled).await;
    answer.problem(422, "invalid_document");
    assert!(answer.text.contains("is it `Europe/Berlin`?"), "{}", answer.text);
}

#[tokio::test]
async fn the_ledger_has_each_instant_once() {
    let mut world = World::start().await;
    let client = world.client.clone();
    client.put("/v1/apps/a", &app("a")).await.ok(201);
    let mut scheduled = job("j", "a", 1);
    scheduled["schedule"] = json!({"every": "10s"});
    client.put("/v1/jobs/j", &scheduled).await.ok(201);
    let next = client.get("/v1/jobs/j/next?count=3").await.ok(200).json();
    let planned = column(&next, "planned_at");
    assert_eq!(planned.len(), 3);

    // One run waits for room while four more instants come due.
    for _ in 0..5 {
        world.advance(Duration::from_secs(10)).await;
    }
    let fires = client.get("/v1/jobs/j/fires").await.ok(200).json();
    let outcomes = ["coalesced", "coalesced", "coalesced", "coalesced", "waiting"];
    assert_eq!(column(&fires, "outcome"), outcomes);
    assert_eq!(column(&fires, "planned_at")[2..], [&*planned[2], &planned[1], &planned[0]]);
    let run = column(&fires, "run");
    assert!(run.iter().all(|id| *id == run[0]), "{run:?}");

    // It runs; the next one is cancelled before anything of it starts.
    world.offer(1).await;
    end_tasks(&mut world, 0, 1, Signal::Finished).await;
    world.advance(Duration::from_secs(10)).await;
    let second = column(&client.get("/v1/runs?state=pending").await.json(), "id");
    client.post(&format!("/v1/runs/{}/cancel", second[0])).await.ok(202);
    let fires = client.get("/v1/jobs/j/fires").await.json();
    let mut outcomes = vec!["skipped", "coalesced", "coalesced", "coalesced", "coalesced", "ran"];
    assert_eq!(column(&fires, "outcome"), outcomes);
    assert_ne!(fires["items"][0]["reason"], Value::Null);

    let mut cursor = String::new();
    let mut paged = Vec::new();
    loop {
        let page = client.get(&format!("/v1/jobs/j/fires?limit=1{cursor}")).await.ok(200).json();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::from(paged), fires["items"]);

    let window = format!("/v1/jobs/j/fires?from={}&to={}", planned[1], planned[2]);
    assert_eq!(column(&client.get(&window).await.json(), "planned_at"), [&*planned[1]]);
    client.get("/v1/jobs/k/fires").await.problem(404, "not_found");
    client.get("/v1/jobs/k/next").await.problem(404, "not_found");
    client.get("/v1/jobs/j/next?count=0").await.problem(400, "invalid_request");

    // One row of an instant is the outcome of a live run.
    world.offer(2).await;
    world.advance(Duration::from_secs(10)).await;
    outcomes.insert(0, "ran");
    let fires = client.get("/v1/jobs/j/fires").await.json();
    assert_eq!(column(&fires, "outcome"), outcomes);
}

fn part(data: &str, size: usize, complete: bool) -> Result<LogData, LogError> {
    Ok(LogData { data: data.into(), size: size as u64, complete, ..LogData::default() })
}

#[tokio::test]
async fn output_is_read_and_followed() {
    let mut world = with_job(1).await;
    let client = world.client.clone();
    let run = trigger(&world).await;
    let path = format!("/v1/runs/{run}/shards/0/logs");
    client.get(&path).await.problem(404, "not_found");
    world.offer(1).await;
    let launch = world.launched.wait_for(|tasks| tasks.len() == 1).await.unwrap()[0].clone();
    let say = |parts| *world.logs.parts.lock().unwrap() = parts;
    let asked = || std::mem::take(&mut *world.logs.asked.lock().unwrap());

    say(vec![part("one ", 8, false), part("two ", 12, false), part("more", 12, false)]);
    let answer = client.get(&path).await.ok(200);
    assert_eq!((&*answer.text, answer.broken), ("one two ", false));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let wanted = asked();
    assert_eq!(wanted[0].task_id, launch.task.to_string());
    assert_eq!(wanted[0].executor_id, launch.executor.to_string());
    assert_eq!((&*wanted[0].stream, wanted[1].offset), ("stdout", 4));

    say(vec![
        part("", 0, false),
        part("a", 1, false),
        part("", 1, false),
        part("b", 2, false),
        part("", 2, true),
    ]);
    let answer = client.get(&format!("{path}?follow=true&stream=stderr")).await.ok(200);
    assert_eq!((&*answer.text, answer.broken), ("ab", false));
    let wanted = asked();
    assert_eq!((&*wanted[0].stream, wanted[0].wait_ms), ("stderr", 0));
    assert!(wanted[1..].iter().all(|wanted| wanted.wait_ms > 0));

    let away = || Err(LogError::Away { agent: "agent-1".parse().unwrap() });
    say(vec![part("a", 1, false), away()]);
    let answer = client.get(&format!("{path}?follow=true")).await.ok(200);
    assert!(answer.broken, "what broke off does not look complete");
    say(vec![away()]);
    client.get(&path).await.problem(503, "unavailable");
    say(vec![Ok(LogData { error: "it is gone".to_owned(), ..LogData::default() })]);
    assert_eq!(client.get(&path).await.problem(404, "not_found"), "it is gone");
    client.get(&format!("{path}?stream=stdin")).await.problem(400, "invalid_request");
    client.get(&format!("{path}?attempt=2")).await.problem(404, "not_found");

    end_tasks(&mut world, 0, 1, Signal::Finished).await;
    let say = |parts| *world.logs.parts.lock().unwrap() = parts;
    say(vec![part("kept", 4, true)]);
    assert_eq!(client.get(&format!("{path}?attempt=1&follow=true")).await.ok(200).text, "kept");
}

/// The output file of a resident task that was full is moved aside, and another one is begun.
#[tokio::test]
async fn who_follows_output_goes_on_with_the_file_that_was_begun_anew() {
    let mut world = with_job(1).await;
    let client = world.client.clone();
    let run = trigger(&world).await;
    world.offer(1).await;
    world.launched.wait_for(|tasks| tasks.len() == 1).await.unwrap();
    *world.logs.parts.lock().unwrap() = vec![
        part("old", 3, false),
        part("", 3, false),
        part("", 2, false),
        part("ne", 2, false),
        part("w", 3, true),
    ];
    let path = format!("/v1/runs/{run}/shards/0/logs?follow=true");
    let answer = client.get(&path).await.ok(200);
    assert_eq!((&*answer.text, answer.broken), ("oldnew", false));
    let asked = std::mem::take(&mut *world.logs.asked.lock().unwrap());
    let offsets: Vec<_> = asked.iter().map(|wanted| wanted.offset).collect();
    assert_eq!(offsets, [0, 3, 3, 0, 2]);
}

#[tokio::test]
async fn nothing_is_read_for_a_follower_that_went_away() {
    let mut world = with_job(1).await;
    let run = trigger(&world).await;
    world.offer(1).await;
    world.launched.wait_for(|tasks| tasks.len() == 1).await.unwrap();
    let before = Arc::strong_count(&world.logs);
    let path = format!("/v1/runs/{run}/shards/0/logs?follow=true");
    let client = world.client.clone();
    let follower = tokio::spawn(async move { client.get(&path).await });
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let deadline = Duration::from_secs(30);
    let asked_again = async {
        while world.logs.asked.lock().unwrap().len() < 3 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(deadline, asked_again).await.unwrap();
    follower.abort();
    let forgotten = async {
        while Arc::strong_count(&world.logs) > before {
            looks.tick().await;
        }
    };
    tokio::time::timeout(deadline, forgotten).await.unwrap();
}
