//! An executor as a process of its own: this test program starts itself again as one.

use std::{env, fs, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use muster_api::task::{LABEL_STUCK, STUCK_KILLED};
use muster_job::{Context, JobError, Jobs};
use muster_proto::TaskState;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    conversation::{handler, script, within},
    fake_agent::{FakeAgent, Stream},
};

/// Is the executor when it is started by the other tests, and nothing in an ordinary test run.
#[test]
fn as_executor() {
    if env::var_os("MESOS_AGENT_ENDPOINT").is_none() {
        return;
    }
    let jobs = Jobs::new()
        .register("deaf", |_: Context| async {
            std::future::pending::<()>().await;
            Ok::<_, JobError>(())
        })
        .register_blocking("deaf-thread", |_: Context| -> Result<(), JobError> {
            loop {
                std::thread::park();
            }
        })
        .register("deaf-runtime", |_: Context| async {
            loop {
                std::thread::park();
            }
            #[allow(unreachable_code, reason = "it says what would be returned")]
            Ok::<_, JobError>(())
        });
    muster_executor::main(jobs).unwrap();
}

struct Process {
    child: Child,
    stream: Stream,
    sandbox: TempDir,
    _agent: FakeAgent,
}

impl Process {
    async fn start() -> Self {
        let sandbox = TempDir::new().unwrap();
        let agent = FakeAgent::bind().await;
        let child = Command::new(env::current_exe().unwrap())
            .args(["process::as_executor", "--exact", "--nocapture"])
            .env("MESOS_AGENT_ENDPOINT", agent.address())
            .env("MESOS_FRAMEWORK_ID", "framework")
            .env("MESOS_EXECUTOR_ID", "executor")
            .env("MESOS_SANDBOX", sandbox.path())
            .env("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "secret")
            .current_dir(sandbox.path())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stream, _) = agent.subscribed().await;
        Self { child, stream, sandbox, _agent: agent }
    }

    async fn exit(&mut self) -> ExitStatus {
        within("exit", self.child.wait()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_end_costs_the_process() {
    for name in ["deaf", "deaf-thread", "deaf-runtime"] {
        let mut process = Process::start().await;
        let task = process.stream.launch(&handler(name)).await;
        process.stream.runs(&task).await;
        process.stream.kill(&task, Some(Duration::from_millis(50))).await;
        let status = process.stream.status().await;
        assert_eq!((status.task_id.as_ref(), status.state()), (Some(&task), TaskState::Killing));
        assert_eq!(status.labels.unwrap().get(LABEL_STUCK), Some(STUCK_KILLED));
        let status = process.exit().await;
        assert_eq!(status.code(), Some(muster_executor::core::EXIT_STUCK.into()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_inherit_the_environment_but_not_the_token() {
    let mut process = Process::start().await;
    let task = process.stream.launch(&script("env")).await;
    let (status, _) = process.stream.end(&task).await;
    assert_eq!(status.state(), TaskState::Finished);
    let stdout = process.sandbox.path().join("tasks").join(task.value).join("stdout");
    let variables = fs::read_to_string(stdout).unwrap();
    assert!(variables.contains("MESOS_EXECUTOR_ID=executor\n"), "{variables}");
    assert!(variables.contains("PATH="), "{variables}");
    assert!(!variables.contains("secret"), "{variables}");
    process.stream.shut_down().await;
    assert_eq!(process.exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_is_a_shutdown() {
    let mut process = Process::start().await;
    let task = process.stream.launch(&script("exec sleep 1000")).await;
    process.stream.runs(&task).await;
    let pid = Pid::from_raw(process.child.id().unwrap() as i32).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let (status, _) = process.stream.end(&task).await;
    assert_eq!(status.state(), TaskState::Killed);
    let status = process.exit().await;
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
