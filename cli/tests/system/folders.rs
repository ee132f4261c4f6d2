//! Folders that cannot be used: in use, damaged, of a newer version, of something else. The
//! process says which, and changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, muster, script, wait_for, wait_until};

/// A scheduler that has run a job, and an agent.
fn used() -> Cluster {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("brief", 3, &format!("{PRELUDE} note end")));
    cluster.wait_for_run(&cluster.trigger("brief"));
    cluster
}

/// What a server says that must not start.
fn refusal(command: &str, arguments: &[&str]) -> String {
    let mut server = muster();
    server.arg(command).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let status = wait_for("that it refuses to start", || server.try_wait().unwrap());
    let mut said = String::new();
    server.stderr.take().expect("it is piped").read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

fn scheduler_refusal(folder: &Path) -> String {
    let folder = folder.to_str().unwrap();
    let ports = ["--http", "127.0.0.1:0", "--master-listen", "127.0.0.1:0"];
    refusal("scheduler", &[&["--data-dir", folder], ports.as_slice()].concat())
}

fn agent_refusal(cluster: &Cluster, folder: &Path) -> String {
    let token = cluster.data_dir().join("join.token");
    let words = ["--work-dir", folder.to_str().unwrap(), "--join-token-file"];
    refusal("agent", &[&words, [token.to_str().unwrap()].as_slice()].concat())
}

/// All files under a folder, but for the locks, which say who looked last.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else if entry.file_name() != "lock" {
            all.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[test]
fn a_folder_in_use_is_refused_and_its_user_goes_on() {
    let mut cluster = used();
    let said = scheduler_refusal(&cluster.data_dir());
    assert!(said.contains("in use by process"), "{said}");
    assert!(said.contains(&cluster.data_dir().display().to_string()), "{said}");
    let said = agent_refusal(&cluster, &cluster.work_dir("a1"));
    assert!(said.contains("in use"), "{said}");
    cluster.wait_for_run(&cluster.trigger("brief"));
    assert_eq!(cluster.witness().count("brief", "end"), 6);
    assert!(cluster.scheduler().end(Signal::TERM).unwrap().success());
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut cluster = used();
    cluster.scheduler().end(Signal::TERM);
    let format = cluster.data_dir().join("store/format");
    let known = fs::read_to_string(&format).unwrap();
    fs::write(&format, known.replacen('1', "7", 1)).unwrap();
    let before = files(&cluster.data_dir());
    let said = scheduler_refusal(&cluster.data_dir());
    assert!(said.contains("format 7") && said.contains("newer Muster"), "{said}");
    assert_eq!(files(&cluster.data_dir()), before);
    fs::write(&format, known).unwrap();
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    cluster.wait_for_run(&cluster.trigger("brief"));
}

/// What is done to the file of the database.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_folder_is_refused() {
    let mut cluster = used();
    cluster.scheduler().end(Signal::TERM);
    let damages: [(&str, Damage); 5] = [
        ("emptied", Vec::clear),
        ("noise", |bytes| bytes.fill(0x5a)),
        ("cut to its first kilobyte", |bytes| bytes.truncate(1024)),
        ("cut to its first half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("zeros in its second half", |bytes| {
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
        }),
    ];
    let store = cluster.data_dir().join("store");
    let database = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let database = database.filter(|path| path.is_dir()).last().unwrap().join("db");
    let whole = files(&cluster.data_dir());
    for (how, damage) in damages {
        let mut bytes = whole[&database].clone();
        damage(&mut bytes);
        fs::write(&database, bytes).unwrap();
        let said = scheduler_refusal(&cluster.data_dir());
        assert!(said.contains("is damaged"), "{how}: {said}");
        assert!(said.contains("restore"), "{how}: {said}");
        // What a database makes of it before it gives up is its own business.
        fs::remove_dir_all(database.parent().unwrap()).unwrap();
        for (path, bytes) in &whole {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    cluster.wait_for_run(&cluster.trigger("brief"));
}

#[test]
fn a_damaged_agent_folder_is_refused_and_its_executors_live_on() {
    let mut cluster = used();
    let work_dir = cluster.work_dir("a1");
    let executors = cluster.executors().len();
    cluster.agent("a1").end(Signal::KILL);
    for file in ["journal", "agent.json"] {
        let path = work_dir.join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "no such thing\n".repeat(100)).unwrap();
        let said = agent_refusal(&cluster, &work_dir);
        assert!(said.contains("damaged") && said.contains(file), "{file}: {said}");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(cluster.executors().len(), executors);
    cluster.agent("a1").start();
    wait_until("the agent is back", || work_dir.join("ready.json").exists());
    cluster.wait_for_run(&cluster.trigger("brief"));
}
