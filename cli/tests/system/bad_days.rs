//! Bad days: artifacts that nobody should trust, executors that do not do their part, and noise on
//! every port. What fails fails with its reason, and the agent lives.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use muster_api::{limits, views::RunState};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{
    Cluster, LIVES, PRELUDE, Part, processes_under, script, wait_for_a_while, wait_until, with,
};

/// Does something with `sh` in a folder.
fn sh(folder: &Path, line: &str) {
    let status = Command::new("sh").args(["-ec", line]).current_dir(folder).status().unwrap();
    assert!(status.success(), "{line}: {status}");
}

/// Files that are no good artifacts, by the words with which they are refused.
fn bad_artifacts(folder: &Path) -> Vec<(Value, &'static str)> {
    sh(
        folder,
        r"
        echo '#!/bin/sh' >start
        tar -cPf climbs.tar --transform 's,^,../../,' start
        ln -s /etc link && tar -cf points.tar link
        truncate -s 9G zeros && tar -cSf bomb.tar zeros && rm zeros
        head -c 1000 climbs.tar | tr 'a-z' 'b-za' >damaged.tar.gz
        echo no zip >damaged.zip
        ",
    );
    let artifact = |name: &str| json!({"uri": format!("file://{}", folder.join(name).display())});
    let wrong = json!({"sha256": "0".repeat(64), "extract": false});
    vec![
        (artifact("absent.tar"), "No such file"),
        (with(artifact("start"), &wrong), "was expected"),
        (artifact("climbs.tar"), "leads out of the folder"),
        (artifact("points.tar"), "leads out of the folder"),
        (artifact("bomb.tar"), "it holds more than"),
        (artifact("damaged.tar.gz"), "cannot extract"),
        (artifact("damaged.zip"), "cannot extract"),
    ]
}

/// All files that are below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn artifacts_that_cannot_be_had_or_trusted_fail_the_task_and_nothing_else() {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:2048");
    let agent = cluster.parts("a1", &[Part::Agent])[0].pid;
    let folder = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for (number, (artifact, words)) in bad_artifacts(folder.path()).into_iter().enumerate() {
        let name = format!("bad-{number}");
        cluster.put_app(&name, &json!({"command": "exec ./start", "artifacts": [artifact]}));
        cluster.put_job(&with(script(&name, 1, "true"), &json!({"app": name})));
        runs.push((cluster.trigger(&name), words));
    }
    for (run, words) in runs {
        let view = cluster.wait_for_run(&run);
        assert_eq!(view.state, RunState::Failed, "{view:#?}");
        let reason = view.shards.unwrap()[0].reason.clone().unwrap();
        assert!(reason.contains(words), "{words}: {reason}");
        assert!(reason.contains("could not be started"), "{reason}");
    }
    // Nothing is left of what came of them, inside or outside of their sandboxes.
    let left = files(&cluster.work_dir("a1"));
    let foreign = |path: &&PathBuf| path.ends_with("start") || path.ends_with("link");
    assert!(!left.iter().any(|path| foreign(&path)), "{left:#?}");
    let sandboxes = |path: &&PathBuf| path.components().any(|part| part.as_os_str() == "sandbox");
    assert!(!left.iter().any(|path| sandboxes(&path)), "{left:#?}");
    assert_eq!(cluster.parts("a1", &[Part::Agent])[0].pid, agent);
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("good", 1, "true"));
    assert_eq!(cluster.wait_for_run(&cluster.trigger("good")).state, RunState::Succeeded);
}

#[test]
fn an_executor_that_never_registers_is_ended_and_its_task_fails() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    let command = "echo last-words; trap '' TERM; setsid sleep 1000 & sleep 1000; sleep 1000";
    cluster.put_app("mute", &json!({"command": command}));
    cluster.put_job(&with(script("never", 1, "true"), &json!({"app": "mute"})));
    let run = cluster.trigger("never");
    wait_until("its process runs", || !cluster.parts("a1", &[Part::Executor]).is_empty());
    wait_for_a_while(limits::EXECUTOR_REGISTRATION / 2);
    assert!(!cluster.run(&run).state.is_over(), "it has not had its time");
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Failed, "{view:#?}");
    let shard = &view.shards.unwrap()[0];
    let reason = shard.reason.as_ref().unwrap();
    assert!(reason.contains("did not subscribe within 60 s"), "{shard:?}");
    assert!(shard.output.as_ref().unwrap().contains("last-words"), "{shard:?}");
    let left = cluster.parts("a1", &[Part::Supervisor, Part::Executor, Part::Code]);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_executor_that_ends_at_once_fails_its_task_with_its_last_words() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    let command = "echo last-words >&2; exit 3";
    cluster.put_app("quits", &json!({"command": command}));
    let more = json!({"app": "quits", "failover": {"max_attempts": 1, "backoff": "100ms..100ms"}});
    cluster.put_job(&with(script("never", 1, "true"), &more));
    let view = cluster.wait_for_run(&cluster.trigger("never"));
    assert_eq!(view.state, RunState::Failed, "{view:#?}");
    let shard = &view.shards.unwrap()[0];
    assert!(shard.reason.as_ref().unwrap().contains("status 3"), "{shard:?}");
    assert!(shard.output.as_ref().unwrap().contains("last-words"), "{shard:?}");
}

/// The executor hears nothing of the kill, for it is frozen, and its code does not care.
#[test]
fn an_executor_that_hangs_on_a_kill_is_killed_for_sure() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    let job = script("hangs", 2, &format!("{PRELUDE}{LIVES}"));
    cluster.put_job(&with(job, &json!({"kill_grace": "100ms"})));
    let run = cluster.trigger("hangs");
    let witness = cluster.witness();
    wait_until("both shards run", || witness.count("hangs", "alive") >= 4);
    cluster.freeze("a1", &[Part::Executor]);
    cluster.api().post(&format!("/v1/runs/{run}/cancel"), None).expect(200..=202);
    wait_for_a_while(limits::KILL_OVERDUE / 2);
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Cancelled, "{view:#?}");
    let left = cluster.parts("a1", &[Part::Supervisor, Part::Executor, Part::Code]);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(witness.count("hangs", "end"), 0);
}

/// The ports that processes below a folder listen on.
fn ports(folder: &Path) -> Vec<u16> {
    let sockets = |pid: i32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        links.filter_map(|link| fs::read_link(link.path()).ok())
    };
    let all = processes_under(folder).into_iter().flat_map(|process| sockets(process.pid));
    let inodes: Vec<_> = all
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').into())
        })
        .collect::<Vec<String>>();
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let listening = table.lines().skip(1).filter_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let is_ours = words[3] == "0A" && inodes.iter().any(|inode| inode == words[9]);
        is_ours.then(|| u16::from_str_radix(words[1].split_once(':')?.1, 16).ok()).flatten()
    });
    listening.collect()
}

#[test]
fn noise_on_any_port_ends_its_own_connection_and_nothing_else() {
    let mut cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    cluster.put_job(&script("lives", 2, &format!("{PRELUDE}{LIVES}")));
    let run = cluster.trigger("lives");
    let witness = cluster.witness();
    wait_until("both shards run", || witness.count("lives", "alive") >= 4);
    let root = cluster.data_dir().parent().unwrap().to_owned();
    let ports = ports(&root);
    assert_eq!(ports.len(), 3, "REST, master and executor API: {ports:?}");
    let noises: [Vec<u8>; 6] = [
        b"\x00\xff\x16\x03\x01".repeat(2_000),
        b"99999999999999999999\n{}".to_vec(),
        b"-1\nx".to_vec(),
        b"67108865\n".to_vec(),
        b"GET / HTTP/1.1\r\nupgrade: muster\r\nconnection: upgrade\r\n\r\n5\n\xff\xff\xff\xff\xff"
            .to_vec(),
        b"POST /api/v1/executor HTTP/1.1\r\ncontent-length: 5\r\n\r\n\x05\xff\xff\xff\xff".to_vec(),
    ];
    for port in &ports {
        for noise in &noises {
            let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
            let _ = stream.write_all(noise);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{port}: {answer}");
        }
    }
    let said = witness.count("lives", "alive");
    wait_until("both shards go on", || witness.count("lives", "alive") >= said + 4);
    witness.let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    assert!(view.shards.unwrap().iter().all(|shard| shard.attempt == 1));
    for server in ["scheduler", "agent"] {
        let server = if server == "agent" { cluster.agent("a1") } else { cluster.scheduler() };
        assert!(!server.read_log().contains("panicked"), "{}", server.read_log());
        assert!(server.end(Signal::TERM).unwrap().success());
    }
}
