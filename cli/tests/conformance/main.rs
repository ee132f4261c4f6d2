//! The suite and the recordings of `conformance/` against the real binary.
//!
//! What is said there of Mesos holds for any master and agent. Here it is run against a scheduler
//! and an agent of ours, as an operator would run it, and has to find nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and shows the logs of what failed"
)]

#[allow(dead_code, unused_imports, reason = "it is that of the tests of the whole system")]
#[path = "../system/cluster/mod.rs"]
mod cluster;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::cluster::Cluster;

/// Those of the recorded agent, ports apart.
const RESOURCES: &str = "cpus:4;mem:4096;disk:10000";
const ATTRIBUTES: &str = "rack:r1;level:10";

/// A cluster with one agent for foreign frameworks.
struct Stage {
    cluster: Cluster,
    agent: String,
    // Dropped after the cluster, and so printed after its logs.
    last_words: LastWords,
}

/// What a failing test says last, where it is seen however much of the output is kept.
#[derive(Default)]
struct LastWords(String);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

impl Stage {
    /// Frameworks need no credentials there.
    fn open() -> Self {
        Self::new(&["--anonymous-frameworks"], &[])
    }

    fn new(of_scheduler: &[&str], of_agent: &[&str]) -> Self {
        let mut cluster = Cluster::not_started();
        of_scheduler.iter().for_each(|word| cluster.scheduler().add_argument(word));
        cluster.start_scheduler();
        let agent = cluster.new_agent("a1", RESOURCES);
        agent.add_argument("--attributes");
        agent.add_argument(ATTRIBUTES);
        of_agent.iter().for_each(|word| agent.add_argument(word));
        agent.start();
        let ready = agent.wait_until_ready();
        cluster.wait_for_agents(1);
        let agent = ready["listen"].as_str().unwrap().to_owned();
        Self { cluster, agent, last_words: LastWords::default() }
    }

    fn master(&mut self) -> String {
        self.cluster.scheduler().flag("--master-listen").to_owned()
    }

    /// The secret of a new principal, in a file.
    fn credentials(&self, principal: &str) -> PathBuf {
        let body = json!({"principal": principal});
        let answer = self.cluster.api().post("/v1/credentials", Some(&body)).expect(200..=201);
        let file = self.cluster.data_dir().join(format!("{principal}.secret"));
        fs::write(&file, answer.body["secret"].as_str().unwrap()).unwrap();
        file
    }

    /// Runs the suite, which has to find nothing.
    fn suite(&mut self, arguments: &[&str]) {
        let mut command = Command::new(program());
        command.args(["--master", &self.master(), "--agent", &self.agent]).args(arguments);
        self.passes(&mut command);
    }

    /// Plays recordings, which have to be met.
    fn replay(&mut self, recordings: &[&str], arguments: &[&str]) {
        let folder = conformance();
        let mut command = Command::new(program());
        command.arg("replay");
        for recording in recordings {
            command.arg(folder.join("recorded").join(format!("{recording}.jsonl")));
        }
        command.args(["--master", &self.master(), "--agent", &self.agent, "--accepted"]);
        command.arg(folder.join("accepted.toml")).args(arguments);
        self.passes(&mut command);
    }

    fn passes(&mut self, command: &mut Command) {
        // What broke matters here, not through which calls it came.
        let output = command.env("RUST_BACKTRACE", "0").output().unwrap();
        let [out, error] =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        // A table or list of all comes first, and after an empty line what went wrong. A long table
        // of what passed would only push that out of sight.
        let (table, wrong) = out.split_once("\n\n").unwrap_or((&out, ""));
        let passed = |line: &&str| line.contains(" passed ");
        table.lines().filter(|line| !passed(line)).for_each(|line| eprintln!("{line}"));
        eprintln!("{wrong}{error}");
        self.last_words = LastWords(format!("{wrong}{error}"));
        assert!(output.status.success(), "{}; what went wrong is told last", output.status);
    }
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("conformance")
}

/// The suite, built by the cargo that built these tests, into the same folder.
fn program() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_muster"));
    let folder = folder.parent().unwrap();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--package", "muster-conformance"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success(), "cannot build the suite");
    folder.join("muster-conformance")
}

#[test]
fn frameworks_and_executors_that_speak_json_find_a_mesos() {
    Stage::open().suite(&["--encoding", "json"]);
}

#[test]
fn frameworks_and_executors_that_speak_protobuf_find_a_mesos() {
    Stage::open().suite(&["--encoding", "protobuf"]);
}

#[test]
fn frameworks_with_credentials_find_a_mesos() {
    let mut stage = Stage::new(&[], &[]);
    let file = stage.credentials("fw");
    let file = file.to_str().unwrap();
    let only =
        ["--only", "credentials/", "--only", "subscribe/subscribed", "--only", "command/one-is"];
    let who = ["--principal", "fw", "--secret-file", file];
    stage.suite(&[who.as_slice(), &only].concat());
}

#[test]
fn recordings_in_json_are_met() {
    let recordings = [
        "01-basic-json",
        "02-custom-executor-json",
        "03-suppress-revive-json",
        "04-errors",
        "05-failover-json",
    ];
    Stage::open().replay(&recordings, &[]);
}

#[test]
fn recordings_in_protobuf_are_met() {
    let recordings = [
        "01-basic-protobuf",
        "02-custom-executor-protobuf",
        "03-suppress-revive-protobuf",
        "05-failover-protobuf",
    ];
    Stage::open().replay(&recordings, &[]);
}

#[test]
fn recordings_with_credentials_are_met() {
    let mut stage = Stage::new(&[], &[]);
    let secrets = ["fw", "other"]
        .map(|principal| format!("{principal}={}", stage.credentials(principal).display()));
    stage.replay(&["08-auth"], &["--secret", &secrets[0], "--secret", &secrets[1]]);
}

#[test]
fn recordings_of_timeouts_and_restarts_are_met() {
    let of_scheduler = ["--anonymous-frameworks", "--offer-timeout", "10s"];
    let mut stage = Stage::new(&of_scheduler, &["--executor-registration-timeout", "6s"]);
    let hook = agent_hook(&mut stage);
    let hook = hook.to_str().unwrap();
    stage.replay(&["11-misc", "06-agent-short"], &["--agent-hook", hook]);
}

/// A script that kills the agent, or starts it again as it was.
fn agent_hook(stage: &mut Stage) -> PathBuf {
    let folder = stage.cluster.work_dir("a1");
    let token = stage.cluster.data_dir().join("join.token");
    let program = env!("CARGO_BIN_EXE_muster");
    let master = stage.master();
    let text = format!(
        "#!/bin/sh\n\
         case $1 in\n\
         kill) kill -9 $(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' {folder}/ready.json) ;;\n\
         start) {program} agent --master {master} --listen 127.0.0.1:0 --hostname a1 \
         --resources '{RESOURCES}' --attributes '{ATTRIBUTES}' --join-token-file {token} \
         --executor-reregistration-timeout 30s \
         --work-dir {folder} >> {folder}.log 2>&1 & ;;\n\
         esac\n",
        folder = folder.display(),
        token = token.display(),
    );
    let file = stage.cluster.data_dir().join("agent-hook");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}
