//! A backup of a scheduler at work, restored into the other kind of store: nothing happens until it
//! is resumed, and then nothing is lost and nothing comes in a burst.

use std::{
    fs,
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use muster_api::{
    Timestamp, clock,
    views::{FireOutcome, FireView, RunState},
};
use serde_json::{Value, json};

use crate::cluster::{Api, Cluster, PRELUDE, script, wait_for, wait_until, with};

/// Instants of a job that fires each second which pass while the restored scheduler is held.
const HELD_INSTANTS: i64 = 4;

/// Triggers without end, until it is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(api: Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                // Too many may wait, which is no fault of anybody.
                api.post("/v1/jobs/load/trigger", None).expect(202..=429);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A cluster at work, and a backup that was made under load: a job that fires each second, one
/// run that goes on for long, and runs that were accepted before.
struct Worked {
    cluster: Cluster,
    backup: PathBuf,
    long: String,
    before: Vec<String>,
}

impl Worked {
    fn new() -> Self {
        let cluster = Cluster::with_agents(1, "cpus:2;mem:2048");
        cluster.put_app("scripts", &json!({}));
        let every_second = json!({"schedule": {"every": "1s"}});
        let text = format!("{PRELUDE} note end");
        cluster.put_job(&with(script("clock", 1, &text), &every_second));
        cluster.put_job(&script("load", 1, "true"));
        cluster.put_job(&script("long", 1, &format!("{PRELUDE} sleep 1000; note end")));
        let long = cluster.trigger("long");
        let before: Vec<_> = (0..5).map(|_| cluster.trigger("load")).collect();
        let witness = cluster.witness();
        wait_until("some fires and a long run", || {
            witness.count("clock", "end") >= 2 && witness.count("long", "start") == 1
        });
        let backup = cluster.data_dir().with_file_name("backup");
        let load = Load::start(cluster.api());
        let output = cluster.muster(&["backup", "-o", backup.to_str().unwrap()]);
        drop(load);
        let (_, said) = self::text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("records") && said.contains("as of commit"), "{said}");
        Self { cluster, backup, long, before }
    }

    fn api(&self) -> Api {
        self.cluster.api()
    }

    /// Restores, and waits until instants have passed while it is held. Answers how often the
    /// clock had started by then.
    fn restore_and_wait(&mut self, store: &str) -> usize {
        self.cluster.restore_scheduler(&self.backup, store);
        self.cluster.wait_for_agents(1);
        let witness = self.cluster.witness();
        // What its agent was told before goes on to its end, which takes no time.
        wait_until("the end of what was told before", || {
            witness.count("clock", "start") == witness.count("clock", "end")
        });
        let started = witness.count("clock", "start");
        let since = clock::wall();
        wait_until("some instants pass", || {
            clock::wall().as_millis() - since.as_millis() > HELD_INSTANTS * 1_000
        });
        started
    }

    fn fires(&self) -> Vec<FireView> {
        let page = self.api().get("/v1/jobs/clock/fires?limit=1000").expect(200..=200).body;
        serde_json::from_value(page["items"].clone()).unwrap()
    }

    /// The fires whose instants lie between the backup and the resume, once all have an outcome.
    fn fires_while_held(&self, resumed: Timestamp) -> Vec<FireView> {
        let held = |fire: &FireView| {
            let before = resumed.as_millis() - fire.planned_at.as_millis();
            (0..HELD_INSTANTS * 1_000).contains(&before)
        };
        let fires: Vec<_> = self.fires().into_iter().filter(held).collect();
        assert!(fires.len() as i64 >= HELD_INSTANTS - 1, "{fires:#?}");
        fires
    }
}

#[test]
fn a_restored_scheduler_is_held_until_it_is_resumed() {
    let mut worked = Worked::new();
    let started = worked.restore_and_wait("redb");
    let (cluster, api) = (&worked.cluster, worked.api());
    let witness = cluster.witness();

    let ready = api.get("/readyz").expect(200..=200).body;
    assert!(ready["held"]["since"].is_string(), "{ready}");
    for command in ["jobs", "runs", "queue"] {
        let (_, said) = text(&cluster.muster(&[command]));
        assert!(said.contains("held since") && said.contains("`muster resume`"), "{said}");
    }
    for run in &worked.before {
        api.get(&format!("/v1/runs/{run}")).expect(200..=200);
    }
    // What is asked for is taken in, and nothing comes of it.
    api.post(&format!("/v1/runs/{}/cancel", worked.long), None).expect(202..=202);
    let waiting = cluster.trigger("load");
    let reason = |run: &str| {
        let queue = api.get("/v1/queue").expect(200..=200).body;
        let rows = queue["items"].as_array().unwrap().clone();
        rows.iter().find(|row| row["run"] == run).map(|row| row["reason"].clone())
    };
    assert!(reason(&waiting).is_some());
    assert_eq!(witness.count("clock", "start"), started, "it fired while it was held");
    let long = cluster.run(&worked.long);
    assert_eq!(long.state, RunState::Stopping);
    assert_eq!(cluster.executors().len(), 1, "what runs goes on");
    assert_eq!(witness.count("long", "start"), 1);

    let (said, _) = text(&cluster.muster(&["resume"]));
    let resumed = clock::wall();
    assert!(said.contains("passed over"), "{said}");
    assert_eq!(cluster.wait_for_run(&worked.long).state, RunState::Cancelled);
    assert_eq!(cluster.wait_for_run(&waiting).state, RunState::Succeeded);
    wait_until("new fires", || witness.count("clock", "end") >= started + 3);
    for fire in worked.fires_while_held(resumed) {
        let seen = (fire.outcome, fire.reason.as_deref());
        assert_eq!(seen, (FireOutcome::Skipped, Some("restored")), "{fire:?}");
    }
    assert_eq!(api.get("/readyz").expect(200..=200).body["held"], Value::Null);
    api.post("/v1/resume", None).expect_problem(409, "conflict");
    let (_, said) = text(&cluster.muster(&["resume", "--replay"]));
    assert!(said.contains("was not restored, or it was resumed"), "{said}");
    let audit = api.get("/v1/events?kind=change&state=resume").expect(200..=200).body;
    let [said] = audit["items"].as_array().unwrap().as_slice() else {
        panic!("it was resumed once: {audit}")
    };
    assert_eq!(said["actor"], "admin");
    let words = said["message"].as_str().unwrap();
    assert!(words.starts_with("from 127.0.0.1:"), "without a replay: {words}");
    let (_, said) = text(&cluster.muster(&["jobs"]));
    assert_eq!(said, "");
}

#[test]
fn a_replay_makes_good_what_was_missed_by_the_misfire_rule() {
    let mut worked = Worked::new();
    let started = worked.restore_and_wait("redb");
    let witness = worked.cluster.witness();
    assert_eq!(witness.count("clock", "start"), started, "it fired while it was held");
    let (said, _) = text(&worked.cluster.muster(&["resume", "--replay"]));
    let resumed = clock::wall();
    assert!(said.contains("misfire rule"), "{said}");
    wait_until("new fires", || witness.count("clock", "end") >= started + 3);
    let fires = wait_for("all are settled", || {
        let fires = worked.fires_while_held(resumed);
        let settled = |fire: &FireView| fire.outcome != FireOutcome::Waiting;
        fires.iter().all(settled).then_some(fires)
    });
    // One run stands for all of them.
    let ran = fires.iter().filter(|fire| fire.outcome == FireOutcome::Ran).count();
    let coalesced = fires.iter().filter(|fire| fire.outcome == FireOutcome::Coalesced).count();
    assert!(ran <= 2 && ran + coalesced == fires.len(), "{fires:#?}");
    assert!(coalesced + 2 >= fires.len(), "{fires:#?}");
}

#[test]
fn what_cannot_be_backed_up_or_restored_says_why() {
    let cluster = Cluster::new();
    let path = |name: &str| cluster.data_dir().with_file_name(name);
    let backup = path("backup");
    let output = cluster.muster(&["backup", "-o", backup.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output).1);
    let left = |name: &str| name.starts_with(".muster-backup-");
    let folder = fs::read_dir(backup.parent().unwrap()).unwrap();
    assert!(!folder.flatten().any(|entry| left(&entry.file_name().to_string_lossy())));
    let to_stdout = cluster.muster(&["backup", "-o", "-"]);
    assert!(to_stdout.stdout.starts_with(b"muster-backup\n"), "{}", text(&to_stdout).1);

    let refused = |arguments: &[&str], words: &str| {
        let output = crate::cluster::muster().args(arguments).output().unwrap();
        let (_, said) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    };
    let data = cluster.data_dir();
    let data = data.to_str().unwrap();
    refused(&["store", "inspect", "--data-dir", data], "is in use by process");
    refused(&["restore", "--from", backup.to_str().unwrap(), "--data-dir", data], "holds `");
    let cut = path("cut");
    let bytes = fs::read(&backup).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let new = path("new");
    let new = new.to_str().unwrap();
    refused(&["restore", "--from", cut.to_str().unwrap(), "--data-dir", new], "cut short");
    assert!(!path("new").exists());
    refused(&["store", "inspect", "--data-dir", new], "is not there");

    let restored = crate::cluster::muster()
        .args(["restore", "--from", backup.to_str().unwrap(), "--data-dir", new])
        .output();
    let (said, _) = text(&restored.unwrap());
    assert!(said.contains("kept by sled") && said.contains("`muster resume`"), "{said}");
    let inspected = crate::cluster::muster()
        .args(["store", "inspect", "--data-dir", new, "--output", "json"])
        .output();
    let inspected: Value = serde_json::from_slice(&inspected.unwrap().stdout).unwrap();
    assert_eq!(inspected["store"], "sled");
    assert_eq!(inspected["tables"]["held"]["records"], 1);
    assert!(inspected["last_commit"]["term"].as_u64() > Some(0), "{inspected}");
    refused(&["scheduler", "--store", "redb", "--data-dir", new], "is kept by sled");
}
