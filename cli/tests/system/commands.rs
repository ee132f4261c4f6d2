//! Commands of foreign frameworks, when those die who watch over them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Process, wait_for, wait_until};

/// A cluster of one host that serves frameworks without credentials.
fn cluster() -> Cluster {
    let mut cluster = Cluster::not_started();
    cluster.scheduler().add_argument("--anonymous-frameworks");
    cluster.start_scheduler();
    cluster.add_agent("a", "cpus:2;mem:512");
    cluster.wait_for_agents(1);
    cluster
}

/// A framework that speaks JSON to the master.
struct Framework {
    master: String,
    id: Value,
    stream_id: String,
    stream: BufReader<TcpStream>,
}

impl Framework {
    fn subscribe(cluster: &mut Cluster, checkpoint: bool) -> Self {
        let master = cluster.scheduler().flag("--master-listen").to_owned();
        let info = json!({"user": "u", "name": "commands", "checkpoint": checkpoint, "failover_timeout": 60});
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        let mut stream = post(&master, "", &call);
        let head = read_head(&mut stream);
        let stream_id = head.iter().find_map(|line| line.strip_prefix("mesos-stream-id: "));
        let stream_id = stream_id.unwrap_or_else(|| panic!("{head:?}")).to_owned();
        let mut framework = Self { master, id: Value::Null, stream_id, stream };
        framework.id = framework.next("SUBSCRIBED")["framework_id"].clone();
        framework
    }

    fn call(&self, mut call: Value) {
        call["framework_id"] = self.id.clone();
        let header = format!("Mesos-Stream-Id: {}\r\nConnection: close\r\n", self.stream_id);
        let mut answer = post(&self.master, &header, &call);
        let head = read_head(&mut answer);
        assert!(head[0].contains("202"), "{head:?}");
    }

    /// The body of the next event of a kind; others are passed over. Each comes as one chunk, and in
    /// that as one record.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let mut length = String::new();
            self.stream.read_line(&mut length).unwrap();
            let length = usize::from_str_radix(length.trim_end(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.stream.read_exact(&mut chunk).unwrap();
            let chunk = String::from_utf8(chunk).unwrap();
            let (_, record) = chunk.split_once('\n').unwrap();
            let event: Value = serde_json::from_str(record).unwrap();
            if event["type"] == kind {
                return event[kind.to_lowercase()].clone();
            }
        }
    }

    /// Launches a task that runs a shell line.
    fn launch(&mut self, line: &str) {
        let offer = self.next("OFFERS")["offers"][0].clone();
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let task = json!({
            "name": "t", "task_id": {"value": "t"}, "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
            "command": {"value": line},
        });
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
        let accept = json!({"offer_ids": [offer["id"]], "operations": [launch]});
        self.call(json!({"type": "ACCEPT", "accept": accept}));
    }

    /// Acknowledges statuses of the task until one of this state comes, and gives that.
    fn status(&mut self, state: &str) -> Value {
        loop {
            let status = self.next("UPDATE")["status"].clone();
            if status["uuid"].is_string() {
                let acknowledge = json!({
                    "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
                });
                self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge}));
            }
            if status["state"] == state {
                return status;
            }
        }
    }

    fn kill(&self) {
        self.call(json!({"type": "KILL", "kill": {"task_id": {"value": "t"}}}));
    }
}

/// Sends a call, with these headers.
fn post(master: &str, headers: &str, call: &Value) -> BufReader<TcpStream> {
    let body = call.to_string();
    let mut stream = TcpStream::connect(master).unwrap();
    stream.set_read_timeout(Some(crate::cluster::PATIENCE)).unwrap();
    let json = "Content-Type: application/json\r\nAccept: application/json\r\n";
    write!(
        stream,
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\n{json}{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    BufReader::new(stream)
}

/// The lines before the body of an answer, names in lower case.
fn read_head(answer: &mut BufReader<TcpStream>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => return lines,
            line => lines.push(line.to_lowercase()),
        }
    }
}

/// The executor of the command.
fn executor(cluster: &Cluster) -> Process {
    cluster.executors().pop().expect("it runs").1
}

fn sleeps(cluster: &Cluster) -> Vec<Process> {
    cluster.processes().into_iter().filter(Process::is_sleep).collect()
}

/// One that stays where it is and one that goes away.
const TWO: &str = "setsid sleep 1000 & exec sleep 1001";

#[test]
fn a_command_whose_executor_is_killed_has_failed_and_nothing_of_it_is_left() {
    let mut cluster = cluster();
    let mut framework = Framework::subscribe(&mut cluster, false);
    framework.launch(TWO);
    framework.status("TASK_RUNNING");
    let both = wait_for("both processes", || Some(sleeps(&cluster)).filter(|two| two.len() == 2));
    executor(&cluster).signal(Signal::KILL);
    let status = framework.status("TASK_FAILED");
    assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status}");
    assert!(both.iter().all(|process| !process.is_alive()), "it is told when nothing is left");
}

#[test]
fn a_command_of_a_framework_with_checkpoints_outlives_its_agent() {
    let mut cluster = cluster();
    let mut framework = Framework::subscribe(&mut cluster, true);
    framework.launch(TWO);
    framework.status("TASK_RUNNING");
    let both = wait_for("both processes", || Some(sleeps(&cluster)).filter(|two| two.len() == 2));
    cluster.agent("a").end(Signal::KILL);
    cluster.agent("a").start();
    cluster.agent("a").wait_until_ready();
    cluster.wait_for_agents(1);
    assert!(both.iter().all(Process::is_alive));
    framework.kill();
    let status = framework.status("TASK_KILLED");
    assert_eq!(status["message"], "Command terminated with signal Terminated");
    assert!(!both.iter().any(Process::is_alive));
    wait_until("the end of its executor", || cluster.executors().is_empty());
}

#[test]
fn a_command_of_a_framework_without_checkpoints_ends_with_its_agent() {
    let mut cluster = cluster();
    let mut framework = Framework::subscribe(&mut cluster, false);
    framework.launch(TWO);
    framework.status("TASK_RUNNING");
    let both = wait_for("both processes", || Some(sleeps(&cluster)).filter(|two| two.len() == 2));
    cluster.agent("a").end(Signal::KILL);
    wait_until("the end of the command", || !both.iter().any(Process::is_alive));
    framework.status("TASK_LOST");
}
