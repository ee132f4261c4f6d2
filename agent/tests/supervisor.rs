//! A supervisor with real processes under it.
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use muster_agent::supervise::{Exit, Program, Spec, Why};
use muster_api::clock;
use support::{WorkDir, eventually, is_alive, kill_9, muster, pid_in};

/// A supervisor that was started by this test.
struct Supervised {
    dir: PathBuf,
    child: Child,
    _work: WorkDir,
}

impl Supervised {
    fn start(line: &str, lease: Option<Duration>) -> Self {
        Self::start_in(WorkDir::new(), line, lease)
    }

    fn start_in(work: WorkDir, line: &str, lease: Option<Duration>) -> Self {
        let dir = work.executor("e1");
        std::fs::create_dir_all(dir.join("sandbox")).unwrap();
        let sandbox = std::fs::canonicalize(dir.join("sandbox")).unwrap();
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("MESOS_SANDBOX".to_owned(), sandbox.to_str().unwrap().to_owned()),
        ]);
        let deadline_ms = lease.map(|lease| (clock::mono() + lease).as_millis());
        let spec = Spec { program: Program::Shell(line.to_owned()), env, deadline_ms };
        std::fs::write(dir.join("spec"), serde_json::to_vec(&spec).unwrap()).unwrap();
        let child = Command::new(muster()).arg("supervise").arg("--dir").arg(&dir).spawn().unwrap();
        Self { dir, child, _work: work }
    }

    fn pid(&self, name: &str) -> i32 {
        pid_in(&self.dir.join("sandbox").join(name))
    }

    fn tell(&self, message: &str) {
        let socket = self.dir.join("supervisor.sock");
        let mut socket = eventually("it listens", || UnixStream::connect(&socket).ok());
        writeln!(socket, "{message}").unwrap();
        let mut greeting = String::new();
        BufReader::new(socket).read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with(r#"{"running":{"pid":"#), "{greeting}");
    }

    fn exit(&mut self) -> Exit {
        let file = self.dir.join("exit");
        let bytes = eventually("the exit is written", || std::fs::read(&file).ok());
        assert!(self.child.wait().unwrap().success());
        serde_json::from_slice(&bytes).unwrap()
    }
}

const DESCENDANTS: &str = "
    sleep 1001 & echo $! > child
    (setsid sh -c 'echo $$ > grandchild; exec env -i sleep 1002' &)
    echo $$ > pid
";

#[test]
fn when_the_executor_dies_nothing_of_it_is_left() {
    let mut supervised = Supervised::start(&format!("{DESCENDANTS} exec sleep 1000"), None);
    let pids = ["pid", "child", "grandchild"].map(|name| supervised.pid(name));
    kill_9(pids[0]);
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (9, Why::Exited));
    assert_eq!(pids.map(is_alive), [false; 3]);
}

#[test]
fn the_status_is_kept_when_nobody_listens() {
    let mut supervised = Supervised::start("echo out; echo err >&2; exit 7", None);
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (7 << 8, Why::Exited));
    let read = |name| std::fs::read_to_string(supervised.dir.join("sandbox").join(name)).unwrap();
    assert_eq!([read("stdout"), read("stderr")], ["out\n", "err\n"]);
}

#[test]
fn at_the_end_of_the_lease_all_is_ended() {
    let lease = Some(Duration::from_secs(1));
    let mut supervised = Supervised::start(&format!("{DESCENDANTS} exec sleep 1000"), lease);
    let pids = ["pid", "child", "grandchild"].map(|name| supervised.pid(name));
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (15, Why::Deadline));
    assert_eq!(pids.map(is_alive), [false; 3]);
}

#[test]
fn who_ignores_the_end_of_the_lease_is_killed_5_s_later() {
    let started = clock::mono();
    let line = "trap '' TERM; echo $$ > pid; while :; do sleep 1; done";
    let mut supervised = Supervised::start(line, Some(Duration::from_secs(1)));
    let pid = supervised.pid("pid");
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (9, Why::Deadline));
    assert!(!is_alive(pid));
    let took = clock::mono().since(started);
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn an_extended_lease_counts() {
    let line = "echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done";
    let mut supervised = Supervised::start(line, Some(Duration::from_secs(2)));
    let ended = clock::mono() + Duration::from_secs(2);
    supervised.pid("pid");
    let at = (clock::mono() + Duration::from_secs(60)).as_millis();
    supervised.tell(&format!(r#"{{"deadline":{{"at_ms":{at}}}}}"#));
    // An earlier end does not shorten it.
    supervised.tell(r#"{"deadline":{"at_ms":1}}"#);
    eventually("the first lease is over", || (clock::mono() > ended).then_some(()));
    std::fs::write(supervised.dir.join("sandbox/go"), "").unwrap();
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (0, Why::Exited));
}

#[test]
fn an_agent_can_have_it_ended() {
    let line = "trap 'exit 4' TERM; echo $$ > pid; while :; do sleep 0.01; done";
    let mut supervised = Supervised::start(line, None);
    supervised.pid("pid");
    supervised.tell("this is nothing");
    supervised.tell(r#"{"end":{"grace_ms":60000}}"#);
    let exit = supervised.exit();
    assert_eq!((exit.status, exit.why), (4 << 8, Why::Ended));
}

#[test]
fn a_lease_that_is_over_starts_nothing() {
    let mut supervised = Supervised::start("touch started", Some(Duration::ZERO));
    assert_eq!(supervised.exit().why, Why::NeverStarted);
    assert!(!supervised.dir.join("sandbox/started").exists());
}

#[test]
fn a_start_that_was_given_up_starts_nothing() {
    let work = WorkDir::new();
    let dir = work.executor("e1");
    std::fs::create_dir_all(dir.join("sandbox")).unwrap();
    std::fs::write(dir.join("exit"), r#"{"status":-1,"why":"lost"}"#).unwrap();
    let mut supervised = Supervised::start_in(work, "touch started", None);
    assert_eq!(supervised.exit().why, Why::Lost);
    assert!(!supervised.dir.join("sandbox/started").exists());
}

#[test]
fn end_all_ends_live_executors_and_what_dead_supervisors_left() {
    let work = WorkDir::new();
    let path = work.path().to_owned();
    let mut supervised = Supervised::start_in(
        work,
        "(setsid sleep 1003 & echo $! > child); echo $$ > pid; exec sleep 1000",
        None,
    );
    let pids = ["pid", "child"].map(|name| supervised.pid(name));
    kill_9(supervised.child.id().cast_signed());
    supervised.child.wait().unwrap();
    assert!(is_alive(pids[1]), "it has a session of its own");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(muster_agent::end_all(&path)).unwrap();
    assert_eq!(pids.map(is_alive), [false; 2]);
}

#[test]
fn a_deep_work_folder_is_no_obstacle() {
    let work = WorkDir::new();
    let deep = work.path().join("d".repeat(200));
    let dir = deep.join("executors/e1");
    std::fs::create_dir_all(dir.join("sandbox")).unwrap();
    let program = Program::Shell("echo $$ > pid; exec sleep 1000".to_owned());
    let spec = Spec { program, env: BTreeMap::new(), deadline_ms: None };
    std::fs::write(dir.join("spec"), serde_json::to_vec(&spec).unwrap()).unwrap();
    let mut child = Command::new(muster()).arg("supervise").arg("--dir").arg(&dir).spawn().unwrap();
    let pid = pid_in(&dir.join("sandbox/pid"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(muster_agent::end_all(&deep)).unwrap();
    assert!(!is_alive(pid));
    assert!(child.wait().unwrap().success());
}
