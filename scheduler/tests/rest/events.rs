//! What happened: asked for, streamed, and who changed what.

use hyper::Method;
use muster_api::limits;
use muster_engine::event::{Event, Signal};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    app, column,
    history::{end_tasks, trigger, with_job},
    job,
    stream::{EventStream, Told},
    world::World,
};

/// What is said of each event, the oldest first.
async fn told(world: &World, query: &str) -> Vec<String> {
    let events = world.client.get(&format!("/v1/events{query}")).await.ok(200).json();
    let mut told: Vec<_> = events["items"].as_array().unwrap().iter().map(words).collect();
    told.reverse();
    told
}

fn words(event: &Value) -> String {
    let item = event["item"].as_u64().map(|item| format!("#{item}")).unwrap_or_default();
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    format!("{}{item} {}", text("kind"), text("state"))
}

fn stream_words(told: &[Told]) -> Vec<String> {
    told.iter().map(|(_, event)| words(event)).collect()
}

impl World {
    async fn stream(&self, query: &str, last_id: Option<&str>) -> EventStream {
        EventStream::open((self.address, self.token()), query, last_id).await
    }
}

#[tokio::test]
async fn the_life_of_a_run_and_of_each_task_is_told_in_order() {
    let mut world = with_job(2).await;
    let run = trigger(&world).await;
    world.offer(1).await;
    end_tasks(&mut world, 1, 1, Signal::Finished).await;
    let first = world.launched.borrow()[0].task;
    world.task(first, Signal::Running).await;
    world.task(first, Signal::CodeFailed).await;
    let query = format!("?run={run}");
    let all = [
        "change trigger",
        "run pending",
        "run running",
        "task#0 staging",
        "task#1 staging",
        "task#1 running",
        "task#1 finished",
        "task#0 running",
        "task#0 failed",
        "run failed",
    ];
    assert_eq!(told(&world, &query).await, all);

    let events = world.client.get(&format!("/v1/events{query}&state=failed")).await.json();
    let [run_over, task_over] = events["items"].as_array().unwrap().as_slice() else {
        panic!("a run and a task: {events}");
    };
    let view = world.client.get(&format!("/v1/runs/{run}")).await.json();
    assert_eq!(run_over["at"], view["ended_at"]);
    assert_eq!(run_over["started_at"], view["started_at"]);
    assert_eq!(task_over["message"], "its code failed");
    for (field, value) in [
        ("app", json!("a")),
        ("job", json!("j")),
        ("run", json!(run)),
        ("item", json!(0)),
        ("attempt", json!(1)),
        ("agent", json!("agent-1")),
        ("hostname", json!("host-1")),
        ("task", view["shards"][0]["task"].clone()),
        ("executor", view["shards"][0]["executor"].clone()),
        ("exit_code", json!(0)),
    ] {
        assert_eq!(task_over[field], value, "{field}: {task_over}");
    }

    // Each of them is told once, however often it is said.
    let launched = world.launched.borrow()[1].task;
    world.task(launched, Signal::Finished).await;
    assert_eq!(told(&world, &query).await, all);
}

#[tokio::test]
async fn pages_hold_every_event_once() {
    let mut world = with_job(3).await;
    trigger(&world).await;
    world.offer(1).await;
    end_tasks(&mut world, 0, 3, Signal::Finished).await;
    let all = world.client.get("/v1/events").await.json();
    let all = column(&all, "id");
    for limit in [1, 2, 7] {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/events?limit={limit}{cursor}");
            let page = world.client.get(&path).await.ok(200).json();
            ids.extend(column(&page, "id"));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(ids, all);
    }
}

#[tokio::test]
async fn events_are_found_by_what_they_have() {
    let mut world = with_job(2).await;
    let run = trigger(&world).await;
    world.offer(1).await;
    end_tasks(&mut world, 0, 2, Signal::Finished).await;
    let task = world.launched.borrow()[1].task;
    let of_task = ["task#1 staging", "task#1 running", "task#1 finished"];
    assert_eq!(told(&world, &format!("?task={task}")).await, of_task);
    let both = ["task#0 finished", "task#1 finished"];
    for query in [
        "?state=finished",
        "?kind=task&state=finished&agent=agent-1",
        "?agent=host-1&state=finished&job=j&app=a",
        "?state=finished&from=2000-01-01T00:00:00Z&to=3000-01-01T00:00:00Z",
    ] {
        assert_eq!(told(&world, query).await, both, "{query}");
    }
    let made = ["change put_app", "change put_job", "change trigger"];
    assert_eq!(told(&world, "?actor=admin").await, made);
    assert_eq!(told(&world, "?kind=host").await, ["host registered"]);
    let nothing = Vec::<String>::new();
    for query in [
        "?job=k",
        "?app=k",
        "?run=01930000-0000-7000-8000-000000000000",
        "?task=01930000-0000-7000-8000-000000000000",
        "?agent=host",
        "?state=zombie",
        "?actor=nobody",
        "?kind=notice",
        "?to=2000-01-01T00:00:00Z",
        "?from=3000-01-01T00:00:00Z",
    ] {
        assert_eq!(told(&world, query).await, nothing, "{query}");
    }
    assert_eq!(told(&world, &format!("?run={run}&limit=1000")).await.len(), 10);
}

#[tokio::test]
async fn nonsense_is_refused_with_what_would_be_right() {
    let world = World::start().await;
    for query in [
        "?kind=tasks",
        "?kind=other",
        "?state=nonsense",
        "?kind=task&state=pending",
        "?run=x",
        "?task=",
        "?job=a%2Fb",
        "?from=yesterday",
        "?state=",
        "?agent=",
        "?actor=",
        "?colour=red",
        "?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z",
    ] {
        for path in ["/v1/events", "/v1/events/stream"] {
            let answer = world.client.get(&format!("{path}{query}")).await;
            answer.problem(400, "invalid_request");
        }
    }
    for (query, words) in [
        ("?run=x", "the parameter `run=x` cannot be read: it is an id, as in 0193"),
        ("?state=odd", "no event has the state `odd`; there are `activate`, `activated`,"),
        (
            "?kind=fire&state=ran",
            "of the kind `fire` has the state `ran`; there are `coalesced`, `dr",
        ),
    ] {
        let detail = world.client.get(&format!("/v1/events{query}")).await;
        let detail = detail.problem(400, "invalid_request");
        assert!(detail.contains(words), "{detail}");
    }
    for query in ["?limit=0", "?limit=1001", "?cursor=zz", "?cursor=6161", "?after=1-0"] {
        let answer = world.client.get(&format!("/v1/events{query}")).await;
        answer.problem(400, "invalid_request");
    }
    for query in ["?limit=1", "?cursor=00", "?after=1"] {
        let answer = world.client.get(&format!("/v1/events/stream{query}")).await;
        answer.problem(400, "invalid_request");
    }
    let headers = [("last-event-id", "last")];
    let answer = world.client.send(Method::GET, "/v1/events/stream", &headers, "").await;
    answer.problem(400, "invalid_request");
    let stranger = crate::client::Client::new(world.address, None);
    stranger.get("/v1/events").await.problem(401, "unauthorized");
    stranger.get("/v1/events/stream").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn every_change_has_who_what_and_when_and_what_changes_nothing_is_none() {
    let world = World::start().await;
    let client = &world.client;
    let (a, j) = (app("a"), job("j", "a", 1));
    client.put("/v1/apps/a", &a).await.ok(201);
    client.put("/v1/apps/a", &a).await.ok(200);
    client.put("/v1/jobs/j", &j).await.ok(201);
    client.put("/v1/jobs/j", &j).await.ok(200);
    client.put("/v1/jobs/k", &job("k", "b", 1)).await.problem(422, "invalid_document");
    client.post("/v1/jobs/j/disable").await.ok(200);
    client.post("/v1/jobs/j/disable").await.ok(200);
    client.post("/v1/jobs/j/enable").await.ok(200);
    client.post("/v1/apps/a/disable?running=kill").await.ok(200);
    client.post("/v1/apps/a/enable").await.ok(200);
    let send = |key: &'static str| {
        let headers = [("idempotency-key", key)];
        async move { client.send(Method::POST, "/v1/jobs/j/trigger", &headers, "").await }
    };
    let run = send("k").await.ok(202).json()["id"].as_str().unwrap().to_owned();
    send("k").await.ok(202);
    client.post(&format!("/v1/runs/{run}/cancel")).await.ok(202);
    client.post(&format!("/v1/runs/{run}/cancel")).await.problem(409, "conflict");
    client.post(&format!("/v1/runs/{run}/rerun")).await.ok(202);
    client.post("/v1/reconcile").await.ok(202);
    client.post("/v1/resume").await.problem(409, "conflict");
    client.delete("/v1/jobs/j").await.ok(204);
    client.delete("/v1/jobs/j").await.problem(404, "not_found");
    client.delete("/v1/apps/a").await.ok(204);

    let changes = client.get("/v1/events?kind=change").await.ok(200).json();
    let mut made: Vec<_> = changes["items"].as_array().unwrap().clone();
    made.reverse();
    let made: Vec<_> = made
        .iter()
        .map(|event| {
            assert_eq!((&event["actor"], &event["source"]), (&"admin".into(), &"scheduler".into()));
            let from = event["message"].as_str().unwrap();
            assert!(from.contains("from 127.0.0.1:"), "{from}");
            let text = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
            let has_run = if event["run"].is_string() { " run" } else { "" };
            let version = event["version"].as_u64().map(|v| format!(" v{v}")).unwrap_or_default();
            format!("{} {} {}{version}{has_run}", text("state"), text("app"), text("job"))
        })
        .collect();
    assert_eq!(
        made,
        [
            "put_app a - v1",
            "put_job a j v1",
            "disable a j v2",
            "enable a j v3",
            "disable a - v2",
            "enable a - v3",
            "trigger a j run",
            "cancel a j run",
            "rerun a j run",
            "reconcile - -",
            "delete_job a j",
            "delete_app a -",
        ]
    );
}

#[tokio::test]
async fn a_stream_begins_now_and_tells_what_happens_then() {
    let mut world = with_job(1).await;
    let mut all = world.stream("", None).await;
    let mut ends = world.stream("?kind=task&state=finished", None).await;
    all.begin().await;
    ends.begin().await;
    trigger(&world).await;
    world.offer(1).await;
    end_tasks(&mut world, 0, 1, Signal::Finished).await;
    let told = all.take(8).await;
    assert_eq!(
        stream_words(&told),
        [
            "change trigger",
            "run pending",
            "host registered",
            "run running",
            "task#0 staging",
            "task#0 running",
            "task#0 finished",
            "run succeeded",
        ]
    );
    for (kind, event) in &told {
        assert_eq!(event["kind"], kind.as_str());
    }
    let list = world.client.get("/v1/events?limit=8").await.json();
    let rows: Vec<_> = told.iter().rev().map(|(_, event)| event.clone()).collect();
    assert_eq!(list["items"], json!(rows), "it says what the list says");
    assert_eq!(all.last_id, list["items"][0]["id"].as_str().unwrap());
    assert_eq!(stream_words(&ends.take(1).await), ["task#0 finished"]);
}

#[tokio::test]
async fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
    let world = with_job(1).await;
    let mut stream = world.stream("?kind=change", None).await;
    stream.begin().await;
    let begun = stream.last_id.clone();
    for _ in 0..3 {
        world.client.post("/v1/reconcile").await.ok(202);
    }
    stream.take(2).await;
    let (second, third) = (stream.last_id.clone(), stream.take(1).await);
    drop(stream);
    world.client.post("/v1/jobs/j/disable").await.ok(200);

    let mut again = world.stream("?kind=change", Some(&second)).await;
    let told = again.take(2).await;
    assert_eq!(told[0], third[0]);
    assert_eq!(words(&told[1].1), "change disable");
    // The header of a browser that comes back counts, not the address, which stays the same.
    let query = format!("?kind=change&after={begun}");
    assert_eq!(world.stream(&query, None).await.take(4).await[3], told[1]);
    assert_eq!(world.stream(&query, Some(&second)).await.take(2).await, told);
    // Nobody waits for what is beyond the end: that is of another time of a restored store.
    let mut beyond = world.stream("", Some("99999999999999-0")).await;
    beyond.begin().await;
    world.client.post("/v1/jobs/j/enable").await.ok(200);
    assert_eq!(words(&beyond.next().await.unwrap().1), "change enable");
}

#[tokio::test]
async fn a_reader_that_is_slow_gets_everything_and_holds_up_nobody() {
    const JOBS: usize = 60;
    const ROUNDS: usize = 40;
    let world = with_job(1).await;
    let mut slow = world.stream("?kind=change", None).await;
    slow.begin().await;
    // Long words make it more than sockets and channels can hold.
    let name = |n: usize| format!("{n:03}{}", "x".repeat(100));
    for n in 0..JOBS {
        let path = format!("/v1/jobs/{}", name(n));
        world.client.put(&path, &job(&name(n), "a", 1)).await.ok(201);
    }
    for round in 0..ROUNDS {
        let order = if round % 2 == 0 { "disable" } else { "enable" };
        let path = format!("/v1/jobs/{}/{order}", name(round));
        world.client.post(&path).await.ok(200);
    }
    let told = slow.take(JOBS + ROUNDS / 2).await;
    let jobs: Vec<_> = told[..JOBS].iter().map(|(_, event)| event["job"].clone()).collect();
    assert_eq!(jobs, (0..JOBS).map(|n| json!(name(n))).collect::<Vec<_>>());
    let ids: Vec<_> = told.iter().map(|(_, event)| event["id"].clone()).collect();
    let list = world.client.get("/v1/events?kind=change&limit=1000").await.json();
    let mut all = column(&list, "id");
    all.reverse();
    assert_eq!(json!(ids), json!(all[2..]), "all behind the app and the first job");
}

#[tokio::test]
async fn streams_are_as_many_as_are_allowed_and_end_with_the_scheduler() {
    let world = with_job(1).await;
    let mut open = Vec::new();
    for _ in 0..limits::EVENT_STREAMS {
        let mut stream = world.stream("", None).await;
        stream.begin().await;
        open.push(stream);
    }
    let detail = world.client.get("/v1/events/stream").await.problem(503, "unavailable");
    assert!(detail.contains("64 streams"), "{detail}");
    world.client.get("/v1/events").await.ok(200);
    // A place is free again when its reader is gone, though nobody had anything to tell him.
    drop(open.pop());
    let room = async { while !world.stream("", None).await.status.is_success() {} };
    timeout(limits::EVENT_KEEP_ALIVE / 2, room).await.expect("somebody makes room");
    world.event(Event::Tick).await;
}
