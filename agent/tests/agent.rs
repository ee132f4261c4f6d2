//! A whole agent with real supervisors and processes, between a master and executors of the test.
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use muster_api::task::TaskReport;
use muster_proto::{
    Reason, TaskState,
    agent::{AgentBody, Kill, MasterBody, ReadLog, Refused, ShutdownExecutor, Welcome},
    executor::EventType,
};
use support::{
    Executor, Master, RunningAgent, WorkDir, eventually, framework, is_alive, kill_9, listen_of,
    pid_in, report, request_stream, task,
};

const FOREVER: &str = "echo $$ > pid; exec sleep 1000";

#[test]
fn a_task_runs_from_launch_to_its_acknowledged_end() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    let info = link.hello.info.clone().unwrap();
    assert_eq!((info.hostname.as_str(), info.attributes.len()), ("host-a", 1));
    link.first_heartbeat();
    link.launch(task("t1", "e1", FOREVER, "1h"));
    let mut executor = Executor::connect(work.path(), "e1");
    executor.subscribe(Vec::new());
    assert_eq!(executor.launched(), "t1");
    executor.update(report("t1", TaskState::Running, 1));
    executor.update(report("t1", TaskState::Finished, 2));
    assert_eq!(executor.acknowledged(), vec![1; 16]);
    assert_eq!(executor.acknowledged(), vec![2; 16]);
    let running = link.status();
    assert_eq!(running.state(), TaskState::Running);
    assert_eq!(running.agent_id.unwrap().value, "agent-1");
    assert_eq!(running.executor_id.unwrap().value, "e1");
    assert_eq!(link.status().state(), TaskState::Finished);

    let pid = pid_in(&work.executor("e1").join("sandbox/pid"));
    link.send(MasterBody::ShutdownExecutor(ShutdownExecutor {
        framework_id: framework().id,
        executor_id: Some(muster_proto::ExecutorId::new("e1")),
    }));
    assert_eq!(executor.next().unwrap().r#type(), EventType::Shutdown);
    // This one does not obey; the supervisor ends it when the grace is over.
    assert_eq!(link.exited().status, 9);
    assert!(!is_alive(pid));
    agent.stop();
}

#[test]
fn an_executor_that_dies_takes_its_tasks_with_it() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let line = "echo no library >&2; (setsid sh -c 'echo $$ > orphan; exec sleep 1000' &) ; \
                echo $$ > pid; exec sleep 1000";
    link.launch(task("t1", "e1", line, "1h"));
    let sandbox = work.executor("e1").join("sandbox");
    let (pid, orphan) = (pid_in(&sandbox.join("pid")), pid_in(&sandbox.join("orphan")));
    kill_9(pid);
    let status = link.status();
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.reason(), Reason::ExecutorTerminated);
    assert_eq!(status.message(), "its executor was ended by signal 9");
    let report = TaskReport::decode(&status.data.unwrap()).unwrap();
    assert_eq!(report.output.as_deref(), Some("no library\n"), "it may say why");
    assert_eq!(link.exited().status, 9);
    assert!(!is_alive(orphan), "reported only when all descendants are gone");
    agent.stop();
}

#[test]
fn a_restart_of_the_agent_touches_nothing_and_loses_nothing() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(task("t1", "e1", FOREVER, "1h"));
    link.launch(task("t2", "e1", FOREVER, "1h"));
    let mut executor = Executor::connect(work.path(), "e1");
    executor.subscribe(Vec::new());
    assert_eq!([executor.launched(), executor.launched()], ["t1", "t2"]);
    executor.update(report("t1", TaskState::Running, 1));
    executor.acknowledged();
    let AgentBody::Status(unacknowledged) = link.next() else { panic!() };
    let pid = pid_in(&work.executor("e1").join("sandbox/pid"));
    let listen = listen_of(work.path()).unwrap();
    agent.stop();
    assert!(is_alive(pid));
    drop(link);

    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(6);
    assert_eq!(link.hello.executors.len(), 1);
    let states: Vec<_> = link.hello.tasks.iter().map(|task| task.state()).collect();
    assert_eq!(states, [TaskState::Running, TaskState::Staging]);
    link.first_heartbeat();
    let AgentBody::Status(again) = link.next() else { panic!() };
    assert_eq!(again.status, unacknowledged.status);
    link.acknowledge(&again.status.unwrap());
    assert_eq!(eventually("ready again", || listen_of(work.path())), listen);
    let mut executor = Executor::connect(work.path(), "e1");
    executor.subscribe(vec![report("t1", TaskState::Running, 1)]);
    assert_eq!(executor.acknowledged(), vec![1; 16], "known, so not forwarded again");
    assert_eq!(executor.launched(), "t2", "perhaps never received, so sent again");
    executor.update(report("t1", TaskState::Finished, 2));
    assert_eq!(link.status().state(), TaskState::Finished);
    kill_9(pid);
    assert_eq!(link.status().task_id.unwrap().value, "t2");
    assert_eq!(link.exited().status, 9);
    agent.stop();
}

#[test]
fn what_ended_while_the_agent_was_away_is_reported() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(task(
        "t1",
        "e1",
        "echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; exit 3",
        "1h",
    ));
    link.launch(task("t2", "e2", FOREVER, "1h"));
    pid_in(&work.executor("e1").join("sandbox/pid"));
    let survivor = pid_in(&work.executor("e2").join("sandbox/pid"));
    agent.stop();
    drop(link);
    std::fs::write(work.executor("e1").join("sandbox/go"), "").unwrap();
    eventually("its exit is kept", || std::fs::read(work.executor("e1").join("exit")).ok());
    // The supervisor of the other one dies alone.
    let lock = work.executor("e2").join("supervisor.lock");
    kill_9(eventually("the supervisor is found", || supervisor_of(&work.executor("e2"))));
    assert!(lock.exists());

    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(6);
    link.first_heartbeat();
    // The ends of the executors are said here, or by their absence from the hello.
    let mut messages = Vec::new();
    while messages.len() < 2 {
        if let AgentBody::Status(status) = link.next() {
            let status = status.status.unwrap();
            link.acknowledge(&status);
            messages.push(status.message().to_owned());
        }
    }
    messages.sort_unstable();
    assert_eq!(
        messages,
        ["its executor ended with its supervisor", "its executor exited with status 3"]
    );
    assert!(!is_alive(survivor));
    agent.stop();
}

/// The process that was started as `supervise --dir DIR`.
fn supervisor_of(dir: &std::path::Path) -> Option<i32> {
    let dir = std::fs::canonicalize(dir).unwrap();
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&format!("supervise\0--dir\0{}\0", dir.display())).then_some(pid)
    })
}

#[test]
fn launches_that_must_not_be_carried_out_are_dropped() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    let AgentBody::Heartbeat(heartbeat) = link.raw() else { panic!() };
    link.launch(task("early", "e1", FOREVER, "1h"));
    let status = link.status();
    assert_eq!(status.state(), TaskState::Dropped);
    assert_eq!(status.message(), "no heartbeat has been answered on this connection yet");
    link.answer(heartbeat.number);
    let mut alive = task("alive", "e1", FOREVER, "1h");
    alive.labels = Some(muster_proto::Labels::of([("muster.executor", "alive")]));
    link.launch(alive);
    assert_eq!(link.status().state(), TaskState::Dropped);
    assert_eq!(link.exited().status, -1, "who believes that it lives is told");
    assert!(!work.executor("e1").exists(), "nothing was started");
    agent.stop();
}

#[test]
fn a_command_that_cannot_be_had_fails_its_tasks_and_nothing_else() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let mut bad = task("t1", "e1", FOREVER, "1h");
    let uri = "file:///does/not/exist.tar.gz".to_owned();
    let executor = bad.executor.as_mut().unwrap();
    let uri = muster_proto::Uri { value: uri, ..Default::default() };
    executor.command.as_mut().unwrap().uris.push(uri);
    link.launch(bad);
    let status = link.status();
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
    assert!(status.message().contains("/does/not/exist.tar.gz"), "{}", status.message());
    assert_eq!(link.exited().status, -1);

    let mut missing = task("t2", "e2", "/no/such/program", "1h");
    let executor = missing.executor.as_mut().unwrap();
    executor.command.as_mut().unwrap().shell = Some(false);
    link.launch(missing);
    let status = link.status();
    assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
    assert_eq!(status.state(), TaskState::Failed);
    link.exited();
    link.launch(task("t3", "e3", FOREVER, "off"));
    let mut executor = Executor::connect(work.path(), "e3");
    executor.subscribe(Vec::new());
    assert_eq!(executor.launched(), "t3");
    link.send(MasterBody::Kill(Kill {
        framework_id: framework().id,
        task_id: Some(muster_proto::TaskId::new("t3")),
        kill_policy: None,
    }));
    assert_eq!(executor.next().unwrap().r#type(), EventType::Kill);
    agent.stop();
}

#[test]
fn output_is_read_and_waited_for() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(task("t1", "e1", FOREVER, "1h"));
    let mut executor = Executor::connect(work.path(), "e1");
    executor.subscribe(Vec::new());
    executor.launched();
    let read = |request, offset, wait_ms, stream: &str, task: &str| {
        MasterBody::ReadLog(ReadLog {
            request,
            task_id: task.to_owned(),
            executor_id: "e1".to_owned(),
            stream: stream.to_owned(),
            offset,
            limit: 1000,
            wait_ms,
        })
    };
    let data = |link: &mut support::AgentConnection| match link.next() {
        AgentBody::LogData(data) => data,
        other => panic!("{other:?}"),
    };
    link.send(read(1, 0, 20_000, "stdout", "t1"));
    let folder = work.executor("e1").join("sandbox/tasks/t1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("stdout"), "hello").unwrap();
    let first = data(&mut link);
    assert_eq!((first.request, first.data.as_slice(), first.complete), (1, &b"hello"[..], false));
    link.send(read(2, 5, 20_000, "stdout", "t1"));
    executor.update(report("t1", TaskState::Finished, 1));
    let mut last = None;
    for _ in 0..2 {
        match link.next() {
            AgentBody::Status(status) => link.acknowledge(&status.status.unwrap()),
            AgentBody::LogData(data) => last = Some(data),
            other => panic!("{other:?}"),
        }
    }
    let last = last.unwrap();
    assert_eq!((last.request, last.data.len(), last.size, last.complete), (2, 0, 5, true));
    for (stream, task) in [("../../stdout", "t1"), ("stdout", ".."), ("stdout", "a/b")] {
        link.send(read(3, 0, 0, stream, task));
        assert!(!data(&mut link).error.is_empty(), "{stream} {task}");
    }
    agent.stop();
}

#[test]
fn strangers_get_no_stream_and_damage_ends_only_its_own() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(task("t1", "e1", FOREVER, "1h"));
    let mut executor = Executor::connect(work.path(), "e1");
    let listen = listen_of(work.path()).unwrap();
    for token in ["", "x", "6531.00", "2e2e.00", "2f657463.00"] {
        let (_, head) = request_stream(&listen, token);
        assert!(head.starts_with("HTTP/1.1 401"), "{token}: {head}");
    }
    executor.subscribe(Vec::new());
    executor.launched();
    executor.send_garbage();
    assert!(executor.next().is_none(), "the stream is over");
    let mut executor = Executor::connect(work.path(), "e1");
    executor.subscribe(Vec::new());
    assert_eq!(executor.launched(), "t1", "the executor lives, and comes back");
    let mut second = Executor::connect(work.path(), "e1");
    second.subscribe(Vec::new());
    assert!(executor.next().is_none(), "a second subscription ends the first");
    agent.stop();
}

#[test]
fn only_a_master_that_proves_itself_is_served() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let agent_id = || Some(muster_proto::AgentId::new("agent-1"));
    assert!(
        master.meet(900, |_| MasterBody::Welcome(Welcome {
            agent_id: agent_id(),
            proof: vec![0; 32]
        }))
    );
    let refused = Refused { message: "not now".to_owned(), retry: true, ..Refused::default() };
    assert!(master.meet(900, |_| MasterBody::Refused(refused)));
    drop(master.register(5));
    assert!(master.meet(4, |_| unreachable!("a lower term gets no hello")));
    let mut link = master.register(5);
    link.first_heartbeat();
    agent.stop();
}

/// Whoever could say so without proof could have every agent end all that it runs.
#[test]
fn that_it_is_gone_an_agent_takes_from_its_master_only() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    master.register(5).first_heartbeat();
    let refused = Refused { message: "go".to_owned(), gone: true, ..Refused::default() };
    assert!(master.meet(5, |_| MasterBody::Refused(refused)));
    let mut known = None;
    master.meet(5, |hello| {
        known = hello.info.as_ref().and_then(|info| info.id.clone());
        MasterBody::Refused(Refused { retry: true, ..Refused::default() })
    });
    assert!(known.is_some(), "it is who it was");
    agent.stop();
}

#[test]
fn an_agent_that_is_refused_for_good_ends_with_the_reason() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let mut agent = RunningAgent::start(work.path(), &master);
    let refused = Refused { message: "wrong token".to_owned(), ..Refused::default() };
    master.meet(5, |_| MasterBody::Refused(refused));
    assert_eq!(agent.join().unwrap_err().to_string(), "the master refuses this agent: wrong token");
}

#[test]
fn a_work_folder_serves_one_agent() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    master.register(5).first_heartbeat();
    let mut second = RunningAgent::start(work.path(), &master);
    let error = second.join().unwrap_err().to_string();
    assert!(error.contains("in use by another agent"), "{error}");
    agent.stop();
}

#[test]
fn a_host_that_was_booted_anew_has_forgotten_all_but_its_name() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(task("t1", "e1", FOREVER, "1h"));
    pid_in(&work.executor("e1").join("sandbox/pid"));
    agent.stop();
    drop(link);
    let file = work.path().join("agent.json");
    let mut kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    kept["boot_id"] = "another".into();
    std::fs::write(&file, kept.to_string()).unwrap();

    // As long as the journal of the former boot cannot be replaced, it is not taken for one of this.
    let (journal, aside) = (work.path().join("journal"), work.path().join("aside"));
    std::fs::rename(&journal, &aside).unwrap();
    std::fs::create_dir(&journal).unwrap();
    let error = RunningAgent::start(work.path(), &master).join().unwrap_err().to_string();
    assert!(error.contains("the journal"), "{error}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("another"));
    std::fs::remove_dir(&journal).unwrap();
    std::fs::rename(&aside, &journal).unwrap();

    let agent = RunningAgent::start(work.path(), &master);
    let link = master.register(6);
    assert_eq!(link.hello.info.unwrap().id.unwrap().value, "agent-1");
    assert_eq!((link.hello.executors, link.hello.tasks), (Vec::new(), Vec::new()));
    assert_ne!(link.hello.boot_id, "another");
    agent.stop();
}
