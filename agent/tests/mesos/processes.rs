//! The processes of foreign executors: what they find, and how their ends are told.

use std::time::Duration;

use muster_agent::AgentConfig;
use muster_proto::{
    DurationInfo, FrameworkInfo, Reason, TaskInfo, TaskState,
    agent::{Kill, MasterBody},
};
use serde_json::json;

use super::calls::Place;
use crate::support::{
    Executor, Master, RunningAgent, WorkDir, config, eventually,
    foreign::{Begun, FOREVER, Foreign},
    foreign_task, framework, framework_with_checkpoint, report,
};

#[test]
fn its_environment_is_that_of_a_mesos_agent_and_nothing_else() {
    let place = Place::new();
    let sandbox = place.begun.sandbox.to_str().unwrap().to_owned();
    let listen = place.executor.listen.clone();
    let mut env = place.begun.env.clone();
    assert!(env.remove("MESOS_EXECUTOR_AUTHENTICATION_TOKEN").is_some());
    // These are the shell's own.
    for name in ["PWD", "OLDPWD", "SHLVL", "_"] {
        env.remove(name);
    }
    let expected = [
        ("LIBPROCESS_IP", "127.0.0.1"),
        ("LIBPROCESS_PORT", "0"),
        ("MESOS_AGENT_ENDPOINT", &listen),
        ("MESOS_DIRECTORY", &sandbox),
        ("MESOS_EXECUTOR_ID", "e1"),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
        ("MESOS_FRAMEWORK_ID", "framework-1"),
        ("MESOS_HTTP_COMMAND_EXECUTOR", "0"),
        ("MESOS_SANDBOX", &sandbox),
        ("MESOS_SLAVE_ID", "agent-1"),
        ("MESOS_SLAVE_PID", &format!("slave(1)@{listen}")),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PWD_IS", &sandbox),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(env.into_iter().collect::<Vec<_>>(), expected);
    place.stop();
}

#[test]
fn with_checkpoints_it_is_told_how_long_to_try() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let mut task = foreign_task("t1", "e1", FOREVER);
    let grace = Some(DurationInfo { nanoseconds: 1_500_000_000 });
    task.executor.as_mut().unwrap().shutdown_grace_period = grace;
    link.launch_for(framework_with_checkpoint(), task);
    let env = Begun::of(work.path(), "e1").env;
    for (name, value) in [
        ("MESOS_CHECKPOINT", "1"),
        ("MESOS_RECOVERY_TIMEOUT", "15mins"),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "1500ms"),
    ] {
        assert_eq!(env[name], value);
    }
    agent.stop();
}

/// How executors end that never subscribe: the raw wait status is told, as recorded.
#[test]
fn the_wait_status_is_told_raw() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    for (command, raw) in
        [("exit 3", 768), ("exec /no/such/program", 32_512), ("kill -9 $$", 9), ("exit 0", 0)]
    {
        link.launch(foreign_task("t1", "e1", command));
        let (found, told) = link.ended();
        assert_eq!(found, raw, "{command}");
        assert_eq!((told.state(), told.reason()), (TaskState::Failed, Reason::ExecutorTerminated));
        assert_eq!((told.message(), &told.data), ("Executor terminated", &None), "{command}");
    }
    agent.stop();
}

#[test]
fn arguments_are_taken_as_they_are_where_no_shell_is_wanted() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let mut task = foreign_task("t1", "e1", "/bin/sh");
    let command = task.executor.as_mut().unwrap().command.as_mut().unwrap();
    command.shell = Some(false);
    command.arguments = ["my name", "-c", "tr '\\0' '\\n' < /proc/$$/cmdline > args; exit 4"]
        .map(str::to_owned)
        .to_vec();
    link.launch(task);
    let (raw, told) = link.ended();
    assert_eq!((raw, told.state()), (4 << 8, TaskState::Failed));
    let folders = std::fs::read_dir(work.path().join("executors")).unwrap();
    let args = folders
        .flatten()
        .find_map(|folder| std::fs::read_to_string(folder.path().join("sandbox/args")).ok());
    assert!(args.unwrap().starts_with("my name\n-c\n"));
    agent.stop();
}

#[test]
fn files_are_fetched_as_their_description_says() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tool.tar.gz");
    std::fs::write(&file, "#!/bin/sh\nexit 5\n").unwrap();
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    // A program is no archive, whatever its name; and a path needs no scheme.
    let mut task = foreign_task("t1", "e1", "exec bin/tool");
    let command = task.executor.as_mut().unwrap().command.as_mut().unwrap();
    command.uris.push(muster_proto::Uri {
        value: file.to_str().unwrap().to_owned(),
        executable: Some(true),
        output_file: Some("bin/tool".to_owned()),
        ..Default::default()
    });
    link.launch(task);
    assert_eq!(link.ended().0, 5 << 8);
    let mut missing = foreign_task("t2", "e1", "exit 0");
    let command = missing.executor.as_mut().unwrap().command.as_mut().unwrap();
    let value = "/no/such/file".to_owned();
    command.uris.push(muster_proto::Uri { value, ..Default::default() });
    link.launch(missing);
    let (raw, told) = link.ended();
    assert_eq!((raw, told.reason()), (-1, Reason::ContainerLaunchFailed));
    assert!(told.message().starts_with("Failed to launch container: "), "{}", told.message());
    agent.stop();
}

#[test]
fn one_that_never_subscribes_is_killed_when_its_time_is_over() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let executor_registration = Duration::from_millis(1500);
    let config = AgentConfig { executor_registration, ..config(work.path(), &master) };
    let agent = RunningAgent::start_with(config);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch(foreign_task("t1", "e1", FOREVER));
    let (raw, told) = link.ended();
    assert_eq!((raw, told.reason()), (9, Reason::ExecutorRegistrationTimeout));
    assert_eq!(told.message(), "Executor did not register within 1500ms");
    agent.stop();
}

#[test]
fn a_kill_before_the_subscription_ends_the_executor_when_it_comes() {
    let mut place = Place::new();
    place.link.send(MasterBody::Kill(Kill {
        framework_id: framework().id,
        task_id: Some(muster_proto::TaskId::new("t1")),
        kill_policy: None,
    }));
    let told = place.link.status();
    assert_eq!((told.state(), told.reason()), (TaskState::Killed, Reason::TaskKilledDuringLaunch));
    let (mut events, event) = place.executor.subscribe();
    assert_eq!(event, json!({"type": "SHUTDOWN"}));
    assert!(events.next().is_none());
    assert_eq!(place.link.exited().status, 9, "this one does not obey");
    place.stop();
}

/// Its executor is our own program, which speaks our own stream.
#[test]
fn a_command_is_run_by_an_executor_that_the_agent_makes() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let described = foreign_task("cmd", "x", "sleep 1000").executor.unwrap().command;
    let task =
        TaskInfo { executor: None, command: described, ..foreign_task("cmd", "x", "sleep 1000") };
    link.launch(task);
    let begun = Begun::of(work.path(), "cmd");
    assert!(begun.env.contains_key("MUSTER_PROGRAM"));
    let container = begun.sandbox.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let mut executor = Executor::connect(work.path(), container);
    executor.subscribe(Vec::new());
    assert_eq!(executor.launched(), "cmd");
    executor.update(report("cmd", TaskState::Running, 1));
    assert_eq!(link.status().executor_id.unwrap().value, "cmd");
    executor.update(report("cmd", TaskState::Finished, 2));
    assert_eq!(link.status().state(), TaskState::Finished);
    crate::support::kill_9(crate::support::pid_in(&begun.sandbox.join("pid")));
    // Nobody is told of its end: the next word is about something else.
    let foreign = Foreign::of(work.path(), "cmd");
    eventually("it is gone", || {
        let answer = foreign.post(&foreign.call("MESSAGE", json!({"data": "aGk="})));
        (answer.status == 400).then_some(())
    });
    link.launch(foreign_task("t1", "e1", "exit 0"));
    assert_eq!(link.exited().executor_id.unwrap().value, "e1");
    agent.stop();
}

/// All code of users runs as the agent's user. A framework says one because Mesos makes it; whoever
/// names another for a command means it.
#[test]
fn the_user_of_a_framework_does_not_count_and_a_command_as_somebody_else_fails() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    let framework = FrameworkInfo { user: "somebody-else".to_owned(), ..framework() };
    link.launch_for(framework.clone(), foreign_task("t1", "e1", FOREVER));
    Begun::of(work.path(), "e1");
    let mut task = foreign_task("t2", "e2", FOREVER);
    let executor = task.executor.as_mut().unwrap();
    executor.command.as_mut().unwrap().user = Some("somebody-else".to_owned());
    link.launch_for(framework, task);
    let (_, status) = link.ended();
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
    let words = "Failed to launch container: ";
    assert!(status.message().starts_with(words), "{status:?}");
    assert!(status.message().contains("is to run as `somebody-else`"), "{status:?}");
    agent.stop();
}
