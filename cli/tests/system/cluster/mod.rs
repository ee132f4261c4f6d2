//! A cluster of real processes: a scheduler, agents, and all that they start, in one folder.
//!
//! Nothing here has a fixed port, and everything ends with the value: whatever was started under
//! the folder of a cluster is found by that folder's name, however it was forked, and killed.

mod documents;
mod faults;
mod http;
mod network;
mod processes;
mod relay;
mod server;
mod small_disk;
mod witness;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use muster_api::{clock, views::RunView};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use self::{
    documents::{app, job, script, with},
    faults::Part,
    http::{Answer, Api},
    network::{Namespace, Network},
    processes::{Process, processes_under},
    relay::{Relay, Wire},
    server::{Server, muster},
    small_disk::SmallDisk,
    witness::{LIVES, LOCK, Life, PRELUDE, WAITS, Witness, uptime},
};

/// Nothing that a test waits for takes longer, by far, unless the machine is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and gives up with `what` after [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = clock::mono();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock::mono().since(since) < PATIENCE, "this never came to be: {what}");
        // Nothing wakes the thread: this is how a condition is looked at now and then.
        std::thread::park_timeout(LOOK);
    }
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Waits for a time to pass, for what must go on unseen meanwhile.
pub(crate) fn wait_for_a_while(span: Duration) {
    let since = clock::mono();
    wait_until("a while has passed", || clock::mono().since(since) >= span);
}

/// A scheduler with agents.
pub(crate) struct Cluster {
    scheduler: Server,
    agents: BTreeMap<String, Server>,
    /// The wires of agents that do not dial the master straight.
    relays: BTreeMap<String, Relay>,
    disks: BTreeMap<PathBuf, SmallDisk>,
    // Fields are dropped in their order: the servers are ended first, then all that they started.
    folder: Folder,
}

impl Cluster {
    /// A scheduler without agents.
    pub(crate) fn new() -> Self {
        let mut cluster = Self::not_started();
        cluster.start_scheduler();
        cluster
    }

    /// A scheduler that is yet to be started, without agents.
    pub(crate) fn not_started() -> Self {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("witness")).unwrap();
        let data = folder.path().join("data");
        let scheduler = new_scheduler(&data);
        let (agents, relays, disks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { scheduler, agents, relays, disks, folder }
    }

    /// Another scheduler on the same folder.
    pub(crate) fn second_scheduler(&self) -> Server {
        new_scheduler(&self.data_dir())
    }

    /// Starts the scheduler for the first time.
    pub(crate) fn start_scheduler(&mut self) {
        self.scheduler.start();
        let ready = self.scheduler.wait_until_ready();
        // Started again it is to be found where it was.
        for (flag, field) in [("--http", "http"), ("--master-listen", "master")] {
            self.scheduler.set_flag(flag, ready[field].as_str().unwrap());
        }
    }

    /// A scheduler and agents `a1`, `a2` and so on, each with these resources.
    pub(crate) fn with_agents(count: usize, resources: &str) -> Self {
        let mut cluster = Self::new();
        for number in 1..=count {
            cluster.add_agent(&format!("a{number}"), resources);
        }
        cluster.wait_for_agents(count);
        cluster
    }

    /// Starts one more agent.
    pub(crate) fn add_agent(&mut self, name: &str, resources: &str) {
        self.new_agent(name, resources).start();
    }

    /// Starts one more agent, whose wire to the master can be held and broken.
    pub(crate) fn add_agent_on_a_wire(&mut self, name: &str, resources: &str) {
        let relay = Relay::new(self.scheduler.flag("--master-listen"));
        let agent = self.new_agent(name, resources);
        agent.set_flag("--master", &relay.address().to_string());
        agent.start();
        self.relays.insert(name.to_owned(), relay);
    }

    /// The wire of an agent.
    pub(crate) fn wire(&self, agent: &str) -> &Relay {
        &self.relays[agent]
    }

    /// Gives one more agent, which is yet to be started.
    pub(crate) fn new_agent(&mut self, name: &str, resources: &str) -> &mut Server {
        let work_dir = self.work_dir(name);
        let master = self.scheduler.flag("--master-listen").to_owned();
        let token_file = self.data_dir().join("join.token");
        let agent = Server::new(
            &work_dir,
            &[
                "agent",
                "--master",
                &master,
                "--listen",
                "127.0.0.1:0",
                "--hostname",
                name,
                "--resources",
                resources,
                "--join-token-file",
                token_file.to_str().unwrap(),
                "--work-dir",
            ],
        );
        self.agents.entry(name.to_owned()).insert_entry(agent).into_mut()
    }

    /// Puts a folder of the cluster on a small disk of its own, unless this machine does not let
    /// us: then the test is to be skipped.
    pub(crate) fn put_on_small_disk(&mut self, folder: &Path, size: &str) -> bool {
        let disk = SmallDisk::mount(folder, size);
        disk.map(|disk| self.disks.insert(folder.to_owned(), disk)).is_some()
    }

    /// The small disk that is mounted on a folder.
    pub(crate) fn disk(&self, folder: &Path) -> &SmallDisk {
        &self.disks[folder]
    }

    /// Waits until so many agents are active.
    pub(crate) fn wait_for_agents(&self, count: usize) {
        wait_until(&format!("{count} active agents"), || {
            let agents = self.api().get("/v1/agents").body;
            let items = agents["items"].as_array().cloned().unwrap_or_default();
            items.iter().filter(|agent| agent["state"] == "active").count() == count
        });
    }

    /// The scheduler's process.
    pub(crate) fn scheduler(&mut self) -> &mut Server {
        &mut self.scheduler
    }

    /// The process of an agent.
    pub(crate) fn agent(&mut self, name: &str) -> &mut Server {
        self.agents.get_mut(name).expect("the test has started it")
    }

    /// The network namespace of an agent that was put into one.
    pub(crate) fn agent_namespace(&self, name: &str) -> Namespace {
        self.agents[name].namespace().expect("the test has put it there").clone()
    }

    /// Kills the scheduler, and starts it again on the same folder and ports.
    pub(crate) fn crash_scheduler(&mut self) {
        self.scheduler.end(Signal::KILL);
        self.scheduler.start();
        self.scheduler.wait_until_ready();
    }

    /// Kills the scheduler, and starts one on the same ports from a backup and the tokens of the
    /// former one, kept by another kind of store.
    pub(crate) fn restore_scheduler(&mut self, backup: &Path, store: &str) {
        let data = self.folder.path().join(format!("data-{store}"));
        let output = muster()
            .args(["restore", "--store", store, "--from"])
            .arg(backup)
            .arg("--data-dir")
            .arg(&data)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for token in ["admin.token", "join.token"] {
            fs::copy(self.data_dir().join(token), data.join(token)).unwrap();
        }
        self.scheduler.end(Signal::KILL);
        self.scheduler.move_to(&data);
        self.scheduler.start();
        self.scheduler.wait_until_ready();
    }

    /// The scheduler's folder.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.scheduler.folder().to_owned()
    }

    /// The folder of an agent.
    pub(crate) fn work_dir(&self, agent: &str) -> PathBuf {
        self.folder.path().join("agents").join(agent)
    }

    /// The REST API, as the admin.
    pub(crate) fn api(&self) -> Api {
        let token = fs::read_to_string(self.data_dir().join("admin.token")).unwrap();
        Api::new(self.scheduler.flag("--http"), Some(token.trim()))
            .within(self.scheduler.namespace().cloned())
    }

    /// What shards have written down.
    pub(crate) fn witness(&self) -> Witness {
        Witness::new(self.folder.path().join("witness"))
    }

    /// Runs a command of the client.
    pub(crate) fn muster(&self, arguments: &[&str]) -> Output {
        self.client(arguments).output().unwrap()
    }

    /// A command of the client, to be run.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let url = format!("http://{}", self.scheduler.flag("--http"));
        let mut command = muster();
        command.args(["--server", &url, "--token-file"]).arg(self.data_dir().join("admin.token"));
        command.args(arguments);
        command
    }

    /// Stores an app that the built-in executor serves, whose scripts know the witness folder.
    pub(crate) fn put_app(&self, name: &str, more: &Value) {
        let env = json!({"WITNESS": self.witness().folder()});
        self.api().put(&format!("/v1/apps/{name}"), &with(app(name, &env), more)).expect(200..=201);
    }

    /// Stores a job.
    pub(crate) fn put_job(&self, job: &Value) {
        let name = job["name"].as_str().expect("a job has a name");
        self.api().put(&format!("/v1/jobs/{name}"), job).expect(200..=201);
    }

    /// Starts a run and gives its id.
    pub(crate) fn trigger(&self, job: &str) -> String {
        let answer = self.api().post(&format!("/v1/jobs/{job}/trigger"), None).expect(202..=202);
        answer.body["id"].as_str().expect("a run has an id").to_owned()
    }

    /// A run with its shards.
    pub(crate) fn run(&self, run: &str) -> RunView {
        let answer = self.api().get(&format!("/v1/runs/{run}")).expect(200..=200);
        serde_json::from_value(answer.body).expect("the server answers what it says it does")
    }

    /// Waits for the end of a run.
    pub(crate) fn wait_for_run(&self, run: &str) -> RunView {
        let mut seen = None;
        let over = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("the end of run {run}"), || {
                let view = self.run(run);
                let over = view.state.is_over();
                seen = Some(view);
                over.then(|| seen.clone()).flatten()
            })
        }));
        over.unwrap_or_else(|_| panic!("run {run} does not end: {seen:#?}"))
    }

    /// All live processes that belong to this cluster.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes_under(self.folder.path())
    }

    /// The executors, each with its supervisor.
    pub(crate) fn executors(&self) -> Vec<(Process, Process)> {
        let all = self.processes();
        let supervisors = all.iter().filter(|process| process.is_supervisor());
        let children = supervisors.flat_map(|supervisor| {
            let children = all.iter().filter(|process| process.parent == supervisor.pid);
            children
                .filter(|child| child.is_executor())
                .map(|child| (supervisor.clone(), child.clone()))
        });
        children.collect()
    }

    /// The executors on an agent, each with its supervisor.
    pub(crate) fn executors_on(&self, agent: &str) -> Vec<(Process, Process)> {
        let work_dir = self.work_dir(agent);
        let mut executors = self.executors();
        executors.retain(|(supervisor, _)| supervisor.mentions(&work_dir));
        executors
    }
}

fn new_scheduler(data_dir: &Path) -> Server {
    let arguments =
        ["scheduler", "--http", "127.0.0.1:0", "--master-listen", "127.0.0.1:0", "--data-dir"];
    Server::new(data_dir, &arguments)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scheduler.show_log();
            self.agents.values().for_each(Server::show_log);
        }
        // What is stopped cannot end by itself.
        for process in self.processes() {
            process.signal(Signal::CONT);
        }
    }
}

/// A temporary folder. With it end all processes that have to do with it.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new folder.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut left = processes_under(self.path());
        if std::thread::panicking() {
            left.iter().for_each(|process| eprintln!("alive: {process:?}"));
        }
        if std::env::var_os("MUSTER_TEST_KEEP").is_some() {
            self.0.disable_cleanup(true);
            eprintln!("kept: {}", self.path().display());
        }
        let since = clock::mono();
        while !left.is_empty() && clock::mono().since(since) < PATIENCE {
            left.iter().for_each(|process| process.signal(Signal::KILL));
            std::thread::park_timeout(LOOK);
            left = processes_under(self.path());
        }
        assert!(left.is_empty() || std::thread::panicking(), "these live on: {left:?}");
    }
}
