//! The scheduler on a master that is not in its process, over real HTTP. The master is a script that
//! answers with what a real Apache Mesos has answered, byte by byte (`recorded/`).

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/client.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod client;

use std::{net::SocketAddr, path::Path, time::Duration};

use client::Client;
use muster_api::limits;
use muster_proto::{
    self as mesos, Resource,
    recordio::encode_message,
    scheduler::{Call, CallType, Error, Event, EventType, Offers, Subscribed},
};
use muster_scheduler::{Config, HistoryLimits, mesos::MesosConfig, ready::Ready, run};
use prost::Message as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// No step of these tests takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

const SUBSCRIBE: &[u8] = include_bytes!("recorded/subscribe.stream.raw");
const REMOVED: &[u8] = include_bytes!("recorded/removed.stream.raw");
const REDIRECT: &str = include_str!("recorded/redirect.response.raw");
const NOT_READY: &[u8] = include_bytes!("recorded/not-ready.response.raw");
const NO_AUTH: &[u8] = include_bytes!("recorded/no-auth.response.raw");
const TAKEN: &[u8] = include_bytes!("recorded/taken.response.raw");
const NOT_SUBSCRIBED: &[u8] = include_bytes!("recorded/not-subscribed.response.raw");
/// What the recorded stream says.
const RECORDED_ID: &str = "576416a1-c08a-4d4f-b40c-9a9bf74d839d-0000";
const RECORDED_STREAM: &str = "f1d61167-a7c9-4c97-9164-e69908ba9258";

/// A master that is a script.
struct Master {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
    task: JoinHandle<()>,
}

/// A request, and the way back by its connection.
struct Asked {
    connection: usize,
    head: String,
    call: Call,
    to: mpsc::UnboundedSender<Vec<u8>>,
}

impl Asked {
    fn kind(&self) -> CallType {
        CallType::try_from(self.call.r#type.unwrap()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn answer(&self, bytes: &[u8]) {
        self.to.send(bytes.to_vec()).unwrap();
    }

    /// Says something on the stream that this is.
    fn says(&self, event: &Event) {
        let mut record = Vec::new();
        encode_message(event, &mut record);
        let mut chunk = format!("{:x}\r\n", record.len()).into_bytes();
        chunk.extend(record);
        chunk.extend(b"\r\n");
        self.answer(&chunk);
    }

    /// Begins a stream under an id.
    fn subscribed(&self, id: &str) {
        self.answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: here\r\n\
              Content-Type: application/x-protobuf\r\n\r\n",
        );
        let body = Subscribed {
            framework_id: Some(mesos::FrameworkId::new(id)),
            heartbeat_interval_seconds: Some(15.0),
            master_info: None,
        };
        self.says(&Event { subscribed: Some(body), ..kind(EventType::Subscribed) });
    }
}

fn kind(kind: EventType) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Master {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, connection, sender.clone()));
            }
        });
        Self { address, asked, task }
    }

    async fn next(&mut self) -> Asked {
        timeout(DEADLINE, self.asked.recv()).await.expect("it is asked in time").unwrap()
    }

    /// The next call of a kind; all before it are taken.
    async fn next_of(&mut self, wanted: CallType) -> Asked {
        loop {
            let asked = self.next().await;
            if asked.kind() == wanted {
                return asked;
            }
            asked.answer(TAKEN);
        }
    }
}

async fn serve(stream: TcpStream, connection: usize, asked: mpsc::UnboundedSender<Asked>) {
    let (mut from, mut into) = stream.into_split();
    let (to, mut answers) = mpsc::unbounded_channel::<Vec<u8>>();
    let writing = async move {
        while let Some(bytes) = answers.recv().await {
            if into.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let reading = async move {
        let mut bytes = Vec::new();
        loop {
            while let Some((head, body, length)) = request(&bytes) {
                bytes.drain(..length);
                let call = Call::decode(&body[..]).unwrap();
                let request = Asked { connection, head, call, to: to.clone() };
                if asked.send(request).is_err() {
                    return;
                }
            }
            match from.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    tokio::join!(writing, reading);
}

/// The first whole request: its head, its body, and how long both are.
fn request(bytes: &[u8]) -> Option<(String, Vec<u8>, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let all = end + length.unwrap_or(0);
    Some((head, bytes.get(end..all)?.to_vec(), all))
}

struct Running {
    client: Client,
    http: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

fn mesos_config(masters: &str) -> MesosConfig {
    MesosConfig {
        masters: masters.parse().unwrap(),
        principal: None,
        secret_file: None,
        role: None,
        user: "somebody".to_owned(),
        executor_uri: None,
        advertise: None,
        unreachable_wait: limits::UNREACHABLE_WAIT,
    }
}

fn config(folder: &Path, mesos: Option<MesosConfig>) -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        data_dir: folder.to_owned(),
        store: None,
        http: any,
        master_listen: any,
        mesos,
        plaintext: false,
        anonymous_frameworks: false,
        offer_timeout: None,
        max_tasks: None,
        history: HistoryLimits::default(),
        notices: Default::default(),
    }
}

async fn start(folder: &Path, mesos: MesosConfig) -> Running {
    let config = config(folder, Some(mesos));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut task = tokio::spawn(run(config, async {
        let _ = stopped.await;
    }));
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let ready = async {
        loop {
            tokio::select! {
                ended = &mut task => panic!("it ended: {ended:?}"),
                _ = looks.tick() => {
                    if let Ok(text) = std::fs::read(folder.join("ready.json")) {
                        return serde_json::from_slice::<Ready>(&text).unwrap();
                    }
                }
            }
        }
    };
    let ready = timeout(DEADLINE, ready).await.unwrap();
    assert_eq!(ready.master, None, "no master of its own listens");
    let token = std::fs::read_to_string(folder.join("admin.token")).unwrap();
    let client = Client::new(ready.http, Some(token.trim()));
    Running { client, http: ready.http, stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// A job of so many shards, and a run of it.
    async fn trigger(&self, shards: u32) {
        let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}});
        let job = json!({"name": "j", "app": "a", "type": "script",
            "script": {"command": "true"}, "sharding": {"count": shards},
            "resources": {"cpus": 0.1, "mem": 1}});
        self.client.put("/v1/apps/a", &app).await.ok(201);
        self.client.put("/v1/jobs/j", &job).await.ok(201);
        self.client.post("/v1/jobs/j/trigger").await.ok(202);
    }
}

fn offer(id: &str) -> Event {
    let offer = mesos::Offer {
        id: Some(mesos::OfferId::new(id)),
        framework_id: Some(mesos::FrameworkId::new("f")),
        agent_id: Some(mesos::AgentId::new("s1")),
        hostname: "host".to_owned(),
        resources: vec![Resource::scalar("cpus", 8.0), Resource::scalar("mem", 4096.0)],
        ..mesos::Offer::default()
    };
    Event { offers: Some(Offers { offers: vec![offer] }), ..kind(EventType::Offers) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_found_and_waited_for_and_a_recorded_stream_is_understood() {
    let (mut follower, mut leader) = (Master::new().await, Master::new().await);
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&follower.address.to_string())).await;

    let asked = follower.next().await;
    assert_eq!(asked.kind(), CallType::Subscribe);
    assert!(asked.head.starts_with("POST /api/v1/scheduler HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(asked.header("accept"), Some("application/x-protobuf"));
    assert_eq!((asked.header("mesos-stream-id"), asked.header("authorization")), (None, None));
    let info = asked.call.subscribe.clone().unwrap().framework_info.unwrap();
    assert_eq!((info.user.as_str(), info.id), ("somebody", None));
    assert_eq!(info.webui_url, Some(format!("http://{}", running.http)));
    let there = leader.address.to_string();
    assert!(REDIRECT.contains("//localhost:5050"), "{REDIRECT}");
    asked.answer(REDIRECT.replace("localhost:5050", &there).as_bytes());

    let asked = leader.next().await;
    assert_eq!(asked.kind(), CallType::Subscribe);
    asked.answer(NOT_READY);
    // It is named once, and then it is the turn of those that the operator named.
    let asked = follower.next().await;
    asked.answer(REDIRECT.replace("localhost:5050", &there).as_bytes());
    let stream = leader.next().await;
    stream.answer(SUBSCRIBE);
    let reconcile = leader.next().await;
    assert_eq!(reconcile.kind(), CallType::Reconcile);
    assert_eq!(reconcile.call.framework_id, Some(mesos::FrameworkId::new(RECORDED_ID)));
    assert_eq!(reconcile.header("mesos-stream-id"), Some(RECORDED_STREAM));
    reconcile.answer(TAKEN);
    leader.next_of(CallType::Suppress).await.answer(TAKEN);
    let agents = running.client.get("/v1/agents").await.ok(200).json();
    assert_eq!(agents["items"][0]["state"], "foreign");
    assert_eq!(agents["items"][0]["hostname"], "localhost");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_out_in_order_by_one_connection_before_others_are_answered() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let stream = master.next().await;
    stream.subscribed("f");
    let first = [master.next().await, master.next().await];
    assert_eq!(first.each_ref().map(Asked::kind), [CallType::Reconcile, CallType::Suppress]);
    // Neither is answered, and others follow all the same.
    running.trigger(3).await;
    let revive = master.next().await;
    assert_eq!(revive.kind(), CallType::Revive);
    stream.says(&offer("o1"));
    let accept = master.next().await;
    let launch = accept.call.accept.clone().unwrap().operations[0].launch.clone().unwrap();
    assert_eq!(launch.task_infos.len(), 3);
    for asked in first.iter().chain([&revive, &accept]) {
        assert_eq!(asked.connection, revive.connection);
        assert_ne!(asked.connection, stream.connection);
        assert_eq!(asked.header("mesos-stream-id"), Some("here"));
        asked.answer(TAKEN);
    }

    // What agents are to fetch is this very program, and nobody needs a token for it.
    let executor = launch.task_infos[0].executor.clone().unwrap();
    let uri = executor.command.unwrap().uris.pop().unwrap();
    let path = uri.value.strip_prefix(&format!("http://{}", running.http)).unwrap().to_owned();
    let stranger = Client::new(running.http, None);
    let own = std::fs::read("/proc/self/exe").unwrap();
    let fetched = stranger.send(hyper::Method::HEAD, &path, &[], "").await.ok(200);
    assert_eq!(fetched.header("content-length"), own.len().to_string());
    assert_eq!(stranger.get("/executor/00/muster").await.status, 404);

    // A log of a task there is not to be had, and that is said at once.
    let run = running.client.get("/v1/runs").await.ok(200).json();
    let run = run["items"][0]["id"].as_str().unwrap().to_owned();
    let log = running.client.get(&format!("/v1/runs/{run}/shards/0/logs")).await;
    let detail = log.problem(404, "not_found");
    assert!(detail.contains("another master"), "{detail}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_task_on_another_master_is_not_started_on_one_of_its_own() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let stream = master.next().await;
    stream.subscribed("f");
    running.trigger(1).await;
    stream.says(&offer("o1"));
    master.next_of(CallType::Accept).await.answer(TAKEN);
    running.stop().await;
    let started = run(config(folder.path(), None), std::future::pending());
    let refused = timeout(DEADLINE, started).await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("1 task(s) of this data folder"), "{refused}");
    assert!(refused.contains("start it with `--mesos` as before"), "{refused}");
    assert!(!folder.path().join("ready.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_ends_the_subscription_and_what_it_launched_is_launched_anew() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let stream = master.next().await;
    stream.subscribed("f");
    running.trigger(1).await;
    stream.says(&offer("o1"));
    let accept = master.next_of(CallType::Accept).await;
    accept.answer(NOT_SUBSCRIBED);
    let again = master.next_of(CallType::Subscribe).await;
    let info = again.call.subscribe.clone().unwrap().framework_info.unwrap();
    let id = Some(mesos::FrameworkId::new("f"));
    assert_eq!((again.call.framework_id.clone(), info.id), (id.clone(), id));
    again.subscribed("f");
    again.says(&offer("o2"));
    let second = master.next_of(CallType::Accept).await;
    let task = |asked: &Asked| {
        let operations = asked.call.accept.clone().unwrap().operations;
        operations[0].launch.clone().unwrap().task_infos[0].task_id.clone()
    };
    assert_ne!(task(&accept), task(&second));
    running.stop().await;
}

/// Whether the metrics have all of these lines.
async fn measures(running: &Running, lines: &[&str]) -> bool {
    let metrics = running.client.get("/metrics").await.ok(200).text;
    lines.iter().all(|line| metrics.lines().any(|has| has == *line))
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_stands_with_another_master_is_measured() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let wait_for = async |lines: &[&str]| {
        let look = async {
            let mut looks = tokio::time::interval(Duration::from_millis(10));
            while !measures(&running, lines).await {
                looks.tick().await;
            }
        };
        timeout(DEADLINE, look).await.unwrap_or_else(|_| panic!("{lines:?}"));
    };
    wait_for(&["muster_mesos_subscribed 0", "muster_mesos_subscription_tries_total 1"]).await;
    let stream = master.next().await;
    stream.subscribed("f");
    running.trigger(1).await;
    stream.says(&offer("o1"));
    let accept = master.next_of(CallType::Accept).await;
    wait_for(&["muster_mesos_subscribed 1", "muster_mesos_subscriptions_total 1"]).await;
    wait_for(&[r#"muster_mesos_calls_total{call="RECONCILE",answer="202"} 1"#]).await;
    let metrics = running.client.get("/metrics").await.ok(200).text;
    assert!(metrics.contains("muster_mesos_subscription_start_time_seconds 1"), "{metrics}");
    accept.answer(NOT_SUBSCRIBED);
    master.next_of(CallType::Subscribe).await;
    let answered = r#"muster_mesos_calls_total{call="ACCEPT",answer="403"} 1"#;
    let tries = "muster_mesos_subscription_tries_total 2";
    wait_for(&[answered, tries, "muster_mesos_subscribed 0"]).await;
    assert!(measures(&running, &["muster_mesos_subscriptions_total 1"]).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_between_calls_is_opened_again() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let stream = master.next().await;
    stream.subscribed("f");
    let close = b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let reconcile = master.next().await;
    // The call behind it was sent already, and the master looks at none after that answer.
    let suppress = master.next().await;
    assert_eq!((suppress.kind(), suppress.connection), (CallType::Suppress, reconcile.connection));
    reconcile.answer(close);
    let again = master.next().await;
    assert_eq!(again.kind(), CallType::Suppress);
    assert_ne!(again.connection, reconcile.connection);
    again.answer(TAKEN);
    running.trigger(1).await;
    assert_eq!(master.next().await.kind(), CallType::Revive);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_for_a_password_says_it_and_waits_where_it_is_not_taken() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, "open sesame\n").unwrap();
    let mesos = MesosConfig {
        principal: Some("aladdin".to_owned()),
        secret_file: Some(secret_file),
        role: Some("eng".to_owned()),
        ..mesos_config(&master.address.to_string())
    };
    let data = folder.path().join("data");
    let running = start(&data, mesos).await;
    let asked = master.next().await;
    // The example of RFC 7617.
    assert_eq!(asked.header("authorization"), Some("Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    let info = asked.call.subscribe.clone().unwrap().framework_info.unwrap();
    assert_eq!(info.principal.as_deref(), Some("aladdin"));
    assert_eq!(info.roles, ["eng"]);
    asked.answer(NO_AUTH);
    // It serves its users all the while, and tries again.
    running.client.get("/readyz").await.ok(200);
    let asked = master.next().await;
    asked.subscribed("f");
    let reconcile = master.next_of(CallType::Reconcile).await;
    assert!(reconcile.header("authorization").is_some(), "calls say it too");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_framework_subscribes_without_an_id() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    master.next().await.subscribed("old");
    master.next_of(CallType::Suppress).await.answer(TAKEN);
    running.stop().await;
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let asked = master.next_of(CallType::Subscribe).await;
    assert_eq!(asked.call.framework_id, Some(mesos::FrameworkId::new("old")), "it was stored");
    asked.answer(REMOVED);
    let asked = master.next_of(CallType::Subscribe).await;
    assert_eq!(asked.call.framework_id, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_its_id_to_another_stops_with_a_word() {
    let mut master = Master::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), mesos_config(&master.address.to_string())).await;
    let stream = master.next().await;
    stream.subscribed("f");
    master.next_of(CallType::Suppress).await.answer(TAKEN);
    let error = Some(Error { message: "Framework failed over".to_owned() });
    let failed_over = Event { error, ..kind(EventType::Error) };
    // Once it may be a try of the process before this one that came late.
    stream.says(&failed_over);
    let again = master.next_of(CallType::Subscribe).await;
    again.subscribed("f");
    again.says(&failed_over);
    let ended = timeout(DEADLINE, running.task).await.unwrap().unwrap();
    assert!(ended.unwrap_err().to_string().contains("another scheduler"));
    assert!(!folder.path().join("ready.json").exists());
}
