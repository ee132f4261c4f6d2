//! The command executor: a process that runs the command of one task of a foreign framework.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use muster_proto::{
    Capability, CapabilityType, CommandInfo, DurationInfo, FrameworkInfo, KillPolicy, TaskId,
    TaskInfo, TaskState, TaskStatus, executor::Subscribed,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    conversation::within,
    fake_agent::{FakeAgent, Stream},
    witness::{content, is_gone, lives},
};

/// Is the command executor when it is started by the other tests, and nothing in an ordinary run.
#[test]
fn as_command_executor() {
    if env::var_os("MESOS_AGENT_ENDPOINT").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(muster_executor::run_command()).unwrap();
}

struct Process {
    child: Child,
    agent: FakeAgent,
    stream: Stream,
    sandbox: TempDir,
}

const TASK: &str = "task-1";

impl Process {
    async fn start() -> Self {
        Self::start_for(&[], &[]).await
    }

    /// For a framework that keeps checkpoints.
    async fn start_to_stay(recovery: &str) -> Self {
        let variables = [("MESOS_CHECKPOINT", "1"), ("MESOS_RECOVERY_TIMEOUT", recovery)];
        Self::start_for(&[], &variables).await
    }

    /// For a framework with these capabilities, and with these variables.
    async fn start_for(capabilities: &[CapabilityType], variables: &[(&str, &str)]) -> Self {
        let sandbox = TempDir::new().unwrap();
        let agent = FakeAgent::bind().await;
        let child = Command::new(env::current_exe().unwrap())
            .args(["commands::as_command_executor", "--exact", "--nocapture"])
            .env("MESOS_AGENT_ENDPOINT", agent.address())
            .env("MESOS_FRAMEWORK_ID", "framework")
            .env("MESOS_EXECUTOR_ID", TASK)
            .env("MESOS_SANDBOX", sandbox.path())
            .env("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "secret")
            .env("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "1secs")
            .envs(variables.iter().copied())
            .current_dir(sandbox.path())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let capabilities = capabilities.iter().map(|kind| {
            let mut capability = Capability::default();
            capability.set_type(*kind);
            capability
        });
        let framework =
            FrameworkInfo { capabilities: capabilities.collect(), ..FrameworkInfo::default() };
        let subscribed = Subscribed { framework_info: Some(framework), ..Subscribed::default() };
        let (stream, _) = agent.subscribed_to(subscribed).await;
        Self { child, agent, stream, sandbox }
    }

    async fn launch(&mut self, command: CommandInfo) {
        self.stream.launch_task(task(command)).await;
    }

    /// The next status, which is of this state, acknowledged.
    async fn expect(&mut self, state: TaskState) -> TaskStatus {
        let status = self.stream.status().await;
        assert_eq!(status.state(), state, "{status:?}");
        assert_eq!(status.task_id.as_ref().unwrap().value, TASK);
        assert_eq!((&status.data, &status.labels), (&None, &None));
        status
    }

    async fn runs(&mut self) {
        assert_eq!(self.expect(TaskState::Starting).await.message, None);
        assert_eq!(self.expect(TaskState::Running).await.message, None);
    }

    /// Runs a shell line that says that it is ready in the file of that name.
    async fn launch_ready(&mut self, line: &str) {
        self.launch(shell(line)).await;
        self.runs().await;
        content(&self.file("ready")).await;
    }

    async fn kill(&mut self, grace: Option<Duration>) {
        self.stream.kill(&TaskId::new(TASK), grace).await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    fn output(&self) -> String {
        fs::read_to_string(self.file("stdout")).unwrap()
    }

    async fn exit(&mut self) -> ExitStatus {
        within("exit", self.child.wait()).await.unwrap()
    }
}

fn shell(line: &str) -> CommandInfo {
    CommandInfo { value: Some(line.to_owned()), ..CommandInfo::default() }
}

fn program(path: &str, arguments: &[&str]) -> CommandInfo {
    CommandInfo {
        shell: Some(false),
        value: Some(path.to_owned()),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..CommandInfo::default()
    }
}

fn task(command: CommandInfo) -> TaskInfo {
    TaskInfo { task_id: Some(TaskId::new(TASK)), command: Some(command), ..TaskInfo::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_told_of_in_the_words_of_mesos() {
    for (command, state, message) in [
        (shell("true"), TaskState::Finished, "Command exited with status 0"),
        (shell("exit 3"), TaskState::Failed, "Command exited with status 3"),
        (shell("kill -9 $$"), TaskState::Failed, "Command terminated with signal Killed"),
        (shell("no-such-program"), TaskState::Failed, "Command exited with status 127"),
        (
            program("/bin/sh", &["sh", "-c", "exit 4"]),
            TaskState::Failed,
            "Command exited with status 4",
        ),
    ] {
        let mut process = Process::start().await;
        process.launch(command).await;
        process.runs().await;
        let status = process.expect(state).await;
        assert_eq!(status.message(), message);
        assert_eq!(status.source(), muster_proto::StatusSource::Executor);
        assert_eq!(status.uuid.unwrap().len(), 16);
        assert_eq!(process.exit().await.code(), Some(0), "its end is known, so it ends too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_fails_with_its_reason() {
    for (command, message) in [
        (program("/no/such/program", &[]), "failed to start `/no/such/program`: No such file"),
        (shell(""), "the command is empty"),
        (program("/bin/true", &["a\0b"]), "failed to start `/bin/true`: nul byte"),
    ] {
        let mut process = Process::start().await;
        process.launch(command).await;
        process.expect(TaskState::Starting).await;
        let status = process.expect(TaskState::Failed).await;
        assert!(status.message().starts_with(message), "{}", status.message());
        assert_eq!(process.exit().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_the_sandbox_and_its_environment_and_not_the_token() {
    use muster_proto::{Environment, Variable};
    let mut process = Process::start().await;
    let variable = |name: &str, value: Option<&str>| Variable {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        ..Variable::default()
    };
    let environment =
        Environment { variables: vec![variable("COLOUR", Some("red")), variable("EMPTY", None)] };
    let line = "pwd; env; echo to stderr >&2; cat";
    process.launch(CommandInfo { environment: Some(environment), ..shell(line) }).await;
    process.runs().await;
    process.expect(TaskState::Finished).await;
    let output = process.output();
    let sandbox = fs::canonicalize(process.sandbox.path()).unwrap();
    assert_eq!(output.lines().next().map(Path::new), Some(sandbox.as_path()));
    for line in ["COLOUR=red", "EMPTY=", "MESOS_EXECUTOR_ID=task-1", "MESOS_FRAMEWORK_ID=framework"]
    {
        assert!(output.lines().any(|found| found == line), "{line} in {output}");
    }
    assert!(!output.contains("secret"), "{output}");
    assert_eq!(fs::read_to_string(process.file("stderr")).unwrap(), "to stderr\n");
    let mut left: Vec<_> =
        fs::read_dir(&sandbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["stderr", "stdout"], "nothing else is put there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_given_its_arguments_with_its_own_name_first() {
    let mut process = Process::start().await;
    let line = "echo \"$0|$1|$2\"";
    process.launch(program("/bin/sh", &["name", "-c", line, "zero", "it's", "a b"])).await;
    process.runs().await;
    process.expect(TaskState::Finished).await;
    assert_eq!(process.output(), "zero|it's|a b\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_asks_each_process_once_wherever_it_has_gone() {
    let mut process = Process::start_for(&[CapabilityType::TaskKillingState], &[]).await;
    let deaf =
        "trap 'echo TERM >> asked; exit 0' TERM; echo $$ > PID; while :; do sleep 0.05; done";
    let own = deaf.replace("PID", "own");
    let away = deaf.replace("PID", "away");
    // One in the group of the shell, and one in a session of its own whose parent is gone.
    process
        .launch_ready(&format!(
            "sh -c \"{own}\" & (setsid sh -c \"{away}\" &) ; sleep 0.01
             until [ -s own ] && [ -s away ]; do sleep 0.01; done; echo > ready; wait",
            own = own.replace('$', "\\$").replace('"', "\\\""),
            away = away.replace('$', "\\$").replace('"', "\\\""),
        ))
        .await;
    let (own, away) = (content(&process.file("own")).await, content(&process.file("away")).await);
    process.kill(Some(Duration::from_secs(15))).await;
    process.expect(TaskState::Killing).await;
    let status = process.expect(TaskState::Killed).await;
    assert_eq!(status.message(), "Command terminated with signal Terminated");
    assert!(!lives(&own) && !lives(&away), "its end is told when nothing of it is left");
    assert_eq!(fs::read_to_string(process.file("asked")).unwrap(), "TERM\nTERM\n");
    assert_eq!(process.exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_its_grace_is_forced_with_all_that_it_started() {
    let mut process = Process::start().await;
    process
        .launch_ready(
            "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ > pid; sleep 1000' &)
             until [ -s pid ]; do sleep 0.01; done; echo > ready; while :; do sleep 1; done",
        )
        .await;
    let pid = content(&process.file("pid")).await;
    process.kill(Some(Duration::from_secs(600))).await;
    process.kill(Some(Duration::from_millis(50))).await;
    let status = process.expect(TaskState::Killed).await;
    assert_eq!(status.message(), "Command terminated with signal Killed");
    assert!(!lives(&pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_may_say_goodbye() {
    let mut process = Process::start().await;
    process
        .launch_ready(
            "trap 'echo goodbye; exit 7' TERM; echo > ready; while :; do sleep 0.05; done",
        )
        .await;
    process.kill(None).await;
    let status = process.expect(TaskState::Killed).await;
    assert_eq!(status.message(), "Command exited with status 7");
    assert_eq!(process.output(), "goodbye\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_behind_is_ended_with_it() {
    let mut process = Process::start().await;
    let line = "(setsid sh -c 'trap \"\" TERM; echo $$ > pid; sleep 1000' &)
        until [ -s pid ]; do sleep 0.01; done";
    process.launch(shell(line)).await;
    process.runs().await;
    process.expect(TaskState::Finished).await;
    assert!(!lives(&content(&process.file("pid")).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_that_end_do_not_stay_as_zombies() {
    let mut process = Process::start().await;
    let line =
        "i=0; while [ $i -lt 20 ]; do (setsid true &); i=$((i+1)); done; echo > ready; sleep 1000";
    process.launch_ready(line).await;
    let me = process.child.id().unwrap();
    within("end of the orphans", async {
        while zombies_of(me) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    process.kill(None).await;
    process.expect(TaskState::Killed).await;
}

/// How many dead children a process has that it did not reap.
fn zombies_of(parent: u32) -> usize {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let (_, rest) = stat.rsplit_once(") ").unwrap();
            rest.starts_with(&format!("Z {parent} "))
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_took_is_told_to_the_agent_that_comes_back() {
    let mut process = Process::start_to_stay("15mins").await;
    process.launch(shell("exit 5")).await;
    process.runs().await;
    let end = process.stream.call().await.update.unwrap().status.unwrap();
    assert_eq!(end.state(), TaskState::Failed);
    // The connection breaks before the end is acknowledged.
    process.stream.send_bytes(b"nonsense").await;
    let (stream, subscribe) = process.agent.subscribed().await;
    process.stream = stream;
    let updates: Vec<_> =
        subscribe.unacknowledged_updates.iter().map(|u| u.status.clone().unwrap()).collect();
    assert_eq!(updates, std::slice::from_ref(&end), "the very same status");
    process.stream.acknowledge(&end).await;
    assert_eq!(process.exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_with_its_agent_unless_its_framework_keeps_checkpoints() {
    let line = "echo $$ > ready; exec sleep 1000";
    let mut process = Process::start().await;
    process.launch_ready(line).await;
    let pid = content(&process.file("ready")).await;
    process.stream.send_bytes(b"nonsense").await;
    assert_eq!(process.exit().await.code(), Some(0));
    is_gone(&pid).await;

    let mut process = Process::start_to_stay("2secs").await;
    process.launch_ready(line).await;
    let pid = content(&process.file("ready")).await;
    process.stream.send_bytes(b"nonsense").await;
    let (stream, _) = process.agent.subscribed().await;
    assert!(lives(&pid), "the agent was away for less than that");
    let Process { mut child, agent, .. } = process;
    drop((stream, agent));
    assert_eq!(within("exit", child.wait()).await.unwrap().code(), Some(0));
    is_gone(&pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_the_command() {
    let mut process = Process::start().await;
    process.launch_ready("echo $$ > ready; exec sleep 1000").await;
    let pid = content(&process.file("ready")).await;
    process.stream.shut_down().await;
    let status = process.expect(TaskState::Killed).await;
    assert_eq!(status.message(), "Command terminated with signal Terminated");
    assert_eq!(process.exit().await.code(), Some(0));
    is_gone(&pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_policy_of_the_task_counts_when_the_kill_has_none() {
    let mut process = Process::start().await;
    let grace_period = Some(DurationInfo { nanoseconds: 50_000_000 });
    let line = "trap '' TERM; echo > ready; while :; do sleep 1; done";
    let info = TaskInfo { kill_policy: Some(KillPolicy { grace_period }), ..task(shell(line)) };
    process.stream.launch_task(info).await;
    process.runs().await;
    content(&process.file("ready")).await;
    process.kill(None).await;
    let status = process.expect(TaskState::Killed).await;
    assert_eq!(status.message(), "Command terminated with signal Killed");
}
