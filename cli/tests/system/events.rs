//! What happened, as the log of events tells it: complete, in order, and over crashes too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use muster_api::{
    TaskId,
    events::{EventId, EventKind, EventSource, EventView},
    views::RunState,
};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, WAITS, script, wait_until, with};

const ROOM: &str = "cpus:2;mem:1024";

/// Every event that a query finds, the oldest first, page by page.
fn events(cluster: &Cluster, query: &str) -> Vec<EventView> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/events?limit=7&{query}{cursor}");
        let page = cluster.api().get(&path).expect(200..=200).body;
        let items: Vec<EventView> = serde_json::from_value(page["items"].clone()).unwrap();
        events.extend(items);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    events.reverse();
    events
}

fn states(events: &[EventView]) -> Vec<String> {
    events.iter().map(|view| view.event.state.to_string()).collect()
}

/// `muster events --follow`, which writes to a file until it is ended.
struct Follower {
    child: Child,
    file: PathBuf,
}

impl Follower {
    fn new(cluster: &Cluster, folder: &Path, arguments: &[&str]) -> Self {
        let file = folder.join("followed.jsonl");
        let mut command = cluster.client(&["--output", "json", "events", "--follow"]);
        command.args(arguments).stdout(File::create(&file).unwrap()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), file }
    }

    /// The complete lines so far.
    fn events(&self) -> Vec<EventView> {
        let text = fs::read_to_string(&self.file).unwrap();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_trace_of_every_task_is_complete_and_in_order() {
    let cluster = Cluster::with_agents(1, ROOM);
    cluster.put_app("scripts", &json!({}));
    // The first shard fails at first, and so does its handler's second try; the other loses its
    // executor once.
    let text =
        "if [ $MUSTER_SHARD_ITEM = 0 ]; then [ $MUSTER_ATTEMPT -ge 3 ] || exit 4; exit 0; fi";
    let retry = json!({"retry": {"max_attempts": 2, "backoff": "100ms..1s"},
        "failover": {"backoff": "100ms..1s"}});
    cluster.put_job(&with(script("mixed", 2, &format!("{PRELUDE}{text}{WAITS}")), &retry));
    let run = cluster.trigger("mixed");
    let witness = cluster.witness();
    wait_until("the first shard is over", || {
        cluster.run(&run).counts.succeeded == 1 && witness.count("mixed", "start") == 4
    });
    let of_last = format!("run={run}&state=running");
    wait_until("the other one runs", || {
        events(&cluster, &of_last).iter().any(|view| view.event.item == Some(1))
    });
    for (supervisor, executor) in cluster.executors() {
        executor.signal(Signal::KILL);
        drop(supervisor);
    }
    wait_until("it runs again", || witness.count("mixed", "start") == 5);
    witness.let_go();
    assert_eq!(cluster.wait_for_run(&run).state, RunState::Succeeded);

    let all = events(&cluster, &format!("run={run}"));
    assert!(all.windows(2).all(|two| two[0].id < two[1].id), "in order, and each once");
    let mut tasks: BTreeMap<TaskId, Vec<&EventView>> = BTreeMap::new();
    for view in &all {
        if let Some(task) = view.event.task {
            tasks.entry(task).or_default().push(view);
        }
    }
    let acts = witness.acts("mixed");
    let started: BTreeSet<_> = acts.iter().map(|act| act.task.clone()).collect();
    let told: BTreeSet<_> = tasks.keys().map(ToString::to_string).collect();
    assert_eq!(told, started, "the tasks are those that ran");

    let mut ends = Vec::new();
    for views in tasks.values() {
        let words: Vec<_> = views.iter().map(|view| view.event.state.to_string()).collect();
        let words: Vec<_> = words.iter().filter(|word| *word != "starting").collect();
        assert_eq!((words[0].as_str(), words.len()), ("staging", words.len().clamp(2, 3)));
        assert!(words.len() == 2 || words[1] == "running", "{words:?}");
        let last = &views[views.len() - 1].event;
        ends.push((last.item.unwrap(), last.attempt.unwrap(), last.state.to_string()));
        assert_eq!(views[0].event.source, EventSource::Scheduler);
        assert!(views.windows(2).all(|two| two[0].event.at <= two[1].event.at), "{views:#?}");
        assert!(views.iter().all(|view| view.event.hostname.as_deref() == Some("a1")));
        if last.state == "failed" {
            assert_eq!((last.exit_code, last.source), (Some(4), EventSource::Executor));
            assert!(last.message.as_ref().unwrap().contains("exit"), "{last:?}");
        }
        if let Some(former) = last.replaces {
            assert!(tasks.contains_key(&former), "it replaces one of them");
        }
        assert_eq!(last.replaces.is_some(), last.attempt > Some(1));
    }
    ends.sort();
    let wanted = [
        (0, 1, "failed"),
        (0, 2, "failed"),
        (0, 3, "finished"),
        (1, 1, "died"),
        (1, 2, "finished"),
    ];
    let wanted = wanted.map(|(item, attempt, end)| (item, attempt, end.to_owned()));
    assert_eq!(ends, wanted);
    let of_run: Vec<_> =
        all.iter().filter(|view| view.event.kind == EventKind::Run).cloned().collect();
    assert_eq!(states(&of_run), ["pending", "running", "succeeded"]);
    assert_eq!(Some(of_run[2].event.at), cluster.run(&run).ended_at);
}

#[test]
fn whoever_follows_misses_nothing_and_hears_nothing_twice_over_a_crash() {
    let mut cluster = Cluster::with_agents(1, ROOM);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("brief", 3, &format!("{PRELUDE}note end")));
    let folder = tempfile::tempdir().unwrap();
    let first = events(&cluster, "kind=change")[0].id.to_string();
    let follower = Follower::new(&cluster, folder.path(), &["--after", &first]);
    for round in 0..3 {
        let runs: Vec<_> = (0..5).map(|_| cluster.trigger("brief")).collect();
        // It is killed in the middle of them.
        cluster.wait_for_run(&runs[round]);
        cluster.crash_scheduler();
        for run in &runs {
            assert_eq!(cluster.wait_for_run(run).state, RunState::Succeeded);
        }
    }
    let last = events(&cluster, "kind=run&state=succeeded").pop().unwrap().id;
    wait_until("the last is followed", || follower.events().iter().any(|view| view.id == last));
    let followed = follower.events();
    let ids: Vec<EventId> = followed.iter().map(|view| view.id).collect();
    let upto = ids.iter().position(|id| *id == last).unwrap();
    let stored = events(&cluster, "");
    let from = stored.iter().position(|view| view.id > first.parse().unwrap()).unwrap();
    assert_eq!(followed[..=upto], stored[from..=from + upto]);
    assert_eq!(states(&events(&cluster, "kind=scheduler")), ["started"; 4]);

    // What is told of each task is complete all the same, and each thing once.
    let mut tasks: BTreeMap<TaskId, Vec<String>> = BTreeMap::new();
    for view in &stored {
        if let Some(task) = view.event.task {
            tasks.entry(task).or_default().push(view.event.state.to_string());
        }
    }
    // A launch that a crash keeps from its agent is told as that, and its shard is launched again.
    tasks.retain(|_, words| *words != ["staging", "never_started"]);
    assert_eq!(tasks.len(), 45);
    for words in tasks.values() {
        let words: Vec<_> = words.iter().filter(|word| *word != "starting").collect();
        assert_eq!((words[0].as_str(), words[words.len() - 1].as_str()), ("staging", "finished"));
        assert!(words.len() == 2 || (words.len() == 3 && words[1] == "running"), "{words:?}");
    }
}

#[test]
fn who_changed_what_is_asked_for_and_shown() {
    let cluster = Cluster::with_agents(2, ROOM);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("waits", 2, &format!("{PRELUDE}{WAITS}")));
    let run = cluster.trigger("waits");
    let witness = cluster.witness();
    wait_until("it runs", || witness.count("waits", "start") == 2);
    let api = cluster.api();
    api.post(&format!("/v1/runs/{run}/shards/0/kill"), None).expect(202..=202);
    let agents = api.get("/v1/agents").body;
    let agent = agents["items"][0]["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/agents/{agent}/drain"), None).expect(200..=200);
    for _ in 0..2 {
        api.post(&format!("/v1/agents/{agent}/activate"), None).expect(200..=200);
    }
    api.post(&format!("/v1/runs/{run}/cancel"), None).expect(202..=202);
    cluster.wait_for_run(&run);
    let made = events(&cluster, "kind=change&actor=admin");
    let wanted = ["put_app", "put_job", "trigger", "kill", "drain", "activate", "cancel"];
    assert_eq!(states(&made), wanted);
    for (view, about) in made[2..].iter().zip(["run", "shard", "agent", "agent", "run"]) {
        let event = &view.event;
        match about {
            "agent" => assert_eq!(event.agent.as_ref().unwrap().as_str(), agent),
            "shard" => {
                assert_eq!((event.run.unwrap().to_string(), event.item), (run.clone(), Some(0)));
            }
            _ => assert_eq!(event.run.unwrap().to_string(), run),
        }
    }
    let shown = cluster.muster(&["events", "--kind", "change", "--job", "waits"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].starts_with("AT "), "{shown}");
    assert!(
        lines[1].contains("cancel") && lines[1].contains("by admin, from 127.0.0.1:"),
        "{shown}"
    );
    let none = cluster.muster(&["events", "--state", "zombie"]);
    assert_eq!(String::from_utf8_lossy(&none.stdout).trim(), "no such events");
    let never = cluster.muster(&["events", "--state", "none"]);
    assert_eq!(never.status.code(), Some(2));
    let words = String::from_utf8_lossy(&never.stderr).into_owned();
    assert!(words.contains("no event has the state `none`"), "{words}");
    let wrong = cluster.muster(&["events", "--kind", "tasks"]);
    assert_eq!(wrong.status.code(), Some(2));
}
