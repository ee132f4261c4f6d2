//! A scheduler on the master of another Muster: its shards run on the agents of that one, and no
//! crash of any process loses or doubles one.

use std::{fs, path::PathBuf};

use muster_api::views::{RunState, RunView};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{
    Api, Cluster, PRELUDE, Server, app, muster, script, wait_for, wait_until, with,
};

const SHARDS: u32 = 40;

/// A scheduler without a master, and the cluster whose master it is on.
struct Guest {
    scheduler: Server,
    host: Cluster,
}

impl Guest {
    fn new(agents: usize) -> Self {
        let mut host = Cluster::not_started();
        host.scheduler().add_argument("--anonymous-frameworks");
        host.start_scheduler();
        for number in 1..=agents {
            host.add_agent(&format!("a{number}"), "cpus:2;mem:4096");
        }
        host.wait_for_agents(agents);
        let scheduler = scheduler(&mut host, "guest");
        let mut guest = Self { scheduler, host };
        guest.start();
        let api = guest.api();
        let env = json!({"WITNESS": guest.host.witness().folder()});
        api.put("/v1/apps/scripts", &with(app("scripts", &env), &json!({}))).expect(201..=201);
        guest
    }

    fn start(&mut self) {
        self.scheduler.start();
        let ready = self.scheduler.wait_until_ready();
        self.scheduler.set_flag("--http", ready["http"].as_str().unwrap());
    }

    fn crash(&mut self) {
        self.scheduler.end(Signal::KILL);
        self.start();
    }

    fn api(&self) -> Api {
        let token = fs::read_to_string(self.scheduler.folder().join("admin.token")).unwrap();
        Api::new(self.scheduler.flag("--http"), Some(token.trim()))
    }

    fn trigger(&self, shards: u32, text: &str) -> String {
        let api = self.api();
        let job = script("there", shards, text);
        api.put("/v1/jobs/there", &job).expect(200..=201);
        let answer = api.post("/v1/jobs/there/trigger", None).expect(202..=202);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    fn run(&self, run: &str) -> RunView {
        let answer = self.api().get(&format!("/v1/runs/{run}")).expect(200..=200);
        serde_json::from_value(answer.body).unwrap()
    }

    fn wait_for_run(&self, run: &str) -> RunView {
        wait_for("the end of the run", || Some(self.run(run)).filter(|run| run.state.is_over()))
    }

    fn wait_for_ends(&self, ends: usize) {
        let witness = self.host.witness();
        wait_until("more shards are over", || witness.count("there", "end") >= ends);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scheduler.show_log();
        }
    }
}

/// A scheduler on the master of a cluster, yet to be started.
fn scheduler(host: &mut Cluster, name: &str) -> Server {
    let master = format!("http://{}", host.scheduler().flag("--master-listen"));
    let folder = folder(host, name);
    let words = ["scheduler", "--http", "127.0.0.1:0", "--mesos", &master, "--data-dir"];
    Server::new(&folder, &words)
}

/// A folder that is removed with the cluster.
fn folder(host: &Cluster, name: &str) -> PathBuf {
    host.data_dir().parent().unwrap().join(name)
}

#[test]
fn shards_on_another_master_run_once_though_everything_crashes() {
    let mut guest = Guest::new(2);
    let text = format!("{PRELUDE} sleep $((1 + MUSTER_SHARD_ITEM % 3)); note end");
    let run = guest.trigger(SHARDS, &text);
    guest.wait_for_ends(3);
    guest.crash();
    guest.wait_for_ends(8);
    guest.host.crash_scheduler();
    guest.wait_for_ends(13);
    guest.host.agent("a1").end(Signal::KILL);
    guest.host.agent("a1").start();
    guest.wait_for_ends(18);
    // Both at once: who comes first finds the other one away.
    guest.scheduler.end(Signal::KILL);
    guest.host.scheduler().end(Signal::KILL);
    guest.start();
    guest.host.scheduler().start();
    guest.host.scheduler().wait_until_ready();
    let view = guest.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:?}");
    assert_eq!(view.counts.succeeded, SHARDS);
    guest.host.witness().each_ran_once("there", SHARDS);
    // The agents have fetched the program of the guest, though they have one of their own.
    let executors = guest.host.executors();
    assert!(!executors.is_empty());
    let hosts = guest.api().get("/v1/agents").expect(200..=200).body;
    assert_eq!(hosts["items"][0]["state"], "foreign", "{hosts}");
}

/// Agents of others have no program of ours, and those of another Muster do not say where theirs is.
#[test]
fn executors_on_another_master_run_the_program_that_was_fetched_for_them() {
    let guest = Guest::new(1);
    let text = format!("{PRELUDE} sleep $((1 + 3 * MUSTER_SHARD_ITEM)); note end");
    let run = guest.trigger(2, &text);
    guest.wait_for_ends(1);
    let executors = guest.host.executors();
    let [(_, executor)] = &executors[..] else { panic!("{executors:?}") };
    let process = PathBuf::from(format!("/proc/{}", executor.pid));
    let (runs, sandbox) = (process.join("exe"), process.join("cwd"));
    let (runs, sandbox) = (fs::read_link(runs).unwrap(), fs::read_link(sandbox).unwrap());
    assert!(sandbox.starts_with(guest.host.work_dir("a1")), "{}", sandbox.display());
    assert_eq!(runs, sandbox.join("muster"));
    let of_scheduler = fs::read(muster().get_program()).unwrap();
    assert!(fs::read(&runs).unwrap() == of_scheduler, "byte by byte");
    let view = guest.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:?}");
    guest.host.witness().each_ran_once("there", 2);
}

#[test]
fn of_two_schedulers_with_one_id_the_later_one_goes_on_and_the_other_says_why_it_stops() {
    let mut guest = Guest::new(1);
    let subscribed = |server: &Server| server.read_log().contains("subscribed with the master");
    wait_until("it is subscribed", || subscribed(&guest.scheduler));
    // Somebody copies its folder while it is stopped, and starts both.
    guest.scheduler.end(Signal::TERM);
    let mut second = scheduler(&mut guest.host, "second");
    copy(&guest.scheduler.folder().join("store"), &second.folder().join("store"));
    guest.start();
    let times = |server: &Server| server.read_log().matches("subscribed with the master").count();
    wait_until("it is subscribed again", || times(&guest.scheduler) == 2);
    second.start();
    second.wait_until_ready();
    let status = guest.scheduler.wait_for_end();
    assert!(!status.success());
    assert!(guest.scheduler.read_log().contains("another scheduler has subscribed"));
    wait_until("the second one is", || subscribed(&second));
    second.end(Signal::TERM);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(|_| ()).unwrap(),
        }
    }
}
