//! Script tasks: what they are given, what is kept of them, and how they end.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    conversation::{payload, script, within},
    fake_agent::{FakeAgent, Stream},
    witness::{content, is_gone, lives},
};
use muster_api::{
    Span,
    spec::ScriptSpec,
    task::{ShardContext, TaskPayload, Work},
};
use muster_job::Jobs;
use muster_proto::{TaskId, TaskState};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The built-in executor under a fake agent.
struct Builtin {
    sandbox: TempDir,
    stream: Stream,
    running: JoinHandle<anyhow::Result<()>>,
    _agent: FakeAgent,
}

impl Builtin {
    async fn start() -> Self {
        let sandbox = TempDir::new().unwrap();
        let agent = FakeAgent::bind().await;
        let environment = agent.environment(sandbox.path());
        let running = tokio::spawn(muster_executor::run_in(environment, Jobs::new()));
        let (stream, _) = agent.subscribed().await;
        Self { sandbox, stream, running, _agent: agent }
    }

    fn folder(&self, payload: &TaskPayload) -> PathBuf {
        self.sandbox.path().join("tasks").join(payload.context.task.to_string())
    }

    async fn shut_down(mut self) {
        self.stream.shut_down().await;
        within("end", self.running).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_given_its_context_in_every_way() {
    let mut builtin = Builtin::start().await;
    let payload = script(
        r#"printf %s "$0" > zero; printf %s "$1" > one; printf %s "$MUSTER_CONTEXT" > context
        env | grep '^MUSTER_' | grep -v CONTEXT | LC_ALL=C sort; pwd; cat"#,
    );
    let (status, report) = builtin.stream.run(&payload).await;
    assert_eq!((status.state(), status.message), (TaskState::Finished, None));
    assert_eq!((report.exit_code, report.result, report.output), (Some(0), None, None));

    let folder = builtin.folder(&payload);
    let work = folder.join("work");
    let task = payload.context.task.to_string();
    assert_eq!(fs::read_to_string(work.join("zero")).unwrap(), task);
    for file in [work.join("one"), work.join("context"), folder.join("context.json")] {
        let json = fs::read_to_string(&file).unwrap();
        let context: ShardContext = serde_json::from_str(&json).unwrap();
        assert_eq!(context, payload.context, "{}", file.display());
    }
    let time = "2023-11-14T22:13:20Z";
    let expected = [
        "MUSTER_ATTEMPT=2".to_owned(),
        "MUSTER_EPOCH=9".to_owned(),
        format!("MUSTER_FIRE_TIME={time}"),
        "MUSTER_JOB=test".to_owned(),
        "MUSTER_JOB_PARAMETER=a b".to_owned(),
        format!("MUSTER_PLANNED_TIME={time}"),
        format!("MUSTER_RESULT={}", folder.join("result").display()),
        format!("MUSTER_RUN={}", payload.context.run),
        "MUSTER_SHARD_COUNT=3".to_owned(),
        "MUSTER_SHARD_ITEM=1".to_owned(),
        "MUSTER_SHARD_PARAMETER=it's".to_owned(),
        format!("MUSTER_TASK={task}"),
        work.display().to_string(),
    ];
    let stdout = fs::read_to_string(folder.join("stdout")).unwrap();
    assert_eq!(stdout.lines().collect::<Vec<_>>(), expected);
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_can_be_an_argument() {
    let mut builtin = Builtin::start().await;
    let appended = payload(Work::Script(ScriptSpec {
        command: Some(r"printf '<%s>' a".to_owned()),
        interpreter: None,
        inline: None,
        append_context: true,
    }));
    let inline = payload(Work::Script(ScriptSpec {
        command: None,
        interpreter: Some("sh -u".to_owned()),
        inline: Some("printf '<a><%s>' \"$1\"".to_owned()),
        append_context: false,
    }));
    for payload in [appended, inline] {
        let (status, _) = builtin.stream.run(&payload).await;
        assert_eq!(status.state(), TaskState::Finished);
        let stdout = fs::read_to_string(builtin.folder(&payload).join("stdout")).unwrap();
        let json = serde_json::to_string(&payload.context).unwrap();
        assert_eq!(stdout, format!("<a><{json}>"));
    }
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_said_in_words_with_the_last_output() {
    let mut builtin = Builtin::start().await;
    let missing = payload(Work::Script(ScriptSpec {
        command: None,
        interpreter: Some("no-such-interpreter".to_owned()),
        inline: Some("x".to_owned()),
        append_context: false,
    }));
    for (payload, message, code, output) in [
        (
            script("echo out; echo err >&2; exit 3"),
            "exited with code 3",
            Some(3),
            Some("out\nerr\n"),
        ),
        (script("kill -9 $$"), "ended by signal 9 (SIGKILL)", None, None),
        (missing, "failed to start `no-such-interpreter`: No such file", None, None),
    ] {
        let (status, report) = builtin.stream.run(&payload).await;
        assert_eq!(status.state(), TaskState::Failed);
        assert!(status.message().starts_with(message), "{}", status.message());
        assert_eq!((report.exit_code, report.output.as_deref()), (code, output), "{message}");
    }
    let long = script("seq 1 5000; echo last >&2; exit 1");
    let output = builtin.stream.run(&long).await.1.output.unwrap();
    assert_eq!(output.len(), 4_000);
    assert!(output.ends_with("4999\n5000\nlast\n"), "{output}");
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_the_beginning_of_the_result_file() {
    let mut builtin = Builtin::start().await;
    for (command, result) in [
        (r#"printf 'files=3' > "$MUSTER_RESULT""#, Some("files=3".to_owned())),
        (r#"printf 'x%.0s' $(seq 1 4500) > "$MUSTER_RESULT""#, Some("x".repeat(4_000))),
        (r#"mkfifo "$MUSTER_RESULT""#, None),
        ("true", None),
    ] {
        let (status, report) = builtin.stream.run(&script(command)).await;
        assert_eq!((status.state(), report.result), (TaskState::Finished, result), "{command}");
    }
    let (status, report) =
        builtin.stream.run(&script(r#"printf why > "$MUSTER_RESULT"; exit 1"#)).await;
    assert_eq!((status.state(), report.result.as_deref()), (TaskState::Failed, Some("why")));
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_group_outlives_a_script() {
    let mut builtin = Builtin::start().await;
    let payload = script("sleep 1000 & echo $! > pid; (trap '' TERM; sleep 1000) & exit 0");
    let (status, _) = builtin.stream.run(&payload).await;
    assert_eq!(status.state(), TaskState::Finished);
    let pid = content(&builtin.folder(&payload).join("work/pid")).await;
    assert!(!lives(&pid), "its end is reported when all of the group is gone");
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_asks_the_whole_group_and_gives_it_its_grace() {
    let mut builtin = Builtin::start().await;
    // The shell itself ends at once; what it runs says goodbye first.
    let payload = script(
        "sh -c 'trap \"sleep 0.2; echo goodbye; exit 0\" TERM; echo ready > ready
            while :; do sleep 0.05; done'; echo unreachable",
    );
    let task = builtin.stream.launch(&payload).await;
    builtin.stream.runs(&task).await;
    let folder = builtin.folder(&payload);
    content(&folder.join("work/ready")).await;
    builtin.stream.kill(&task, None).await;
    let (status, _) = builtin.stream.end(&task).await;
    assert_eq!(
        (status.state(), status.message()),
        (TaskState::Killed, "ended by signal 15 (SIGTERM)")
    );
    assert_eq!(fs::read_to_string(folder.join("stdout")).unwrap(), "goodbye\n");
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ignores_the_kill_is_forced_at_its_grace() {
    let mut builtin = Builtin::start().await;
    let payload = script("trap '' TERM; sleep 1000 & echo $! > pid; wait; sleep 1000");
    let task = builtin.stream.launch(&payload).await;
    builtin.stream.runs(&task).await;
    let pid = content(&builtin.folder(&payload).join("work/pid")).await;
    builtin.stream.kill(&task, Some(Duration::from_millis(100))).await;
    let (status, _) = builtin.stream.end(&task).await;
    assert_eq!(
        (status.state(), status.message()),
        (TaskState::Killed, "ended by signal 9 (SIGKILL)")
    );
    assert!(!lives(&pid));
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_takes_too_long_times_out() {
    let mut builtin = Builtin::start().await;
    let mut payload = script("echo begun; exec sleep 1000");
    payload.timeout = Span::from_millis(300);
    let (status, report) = builtin.stream.run(&payload).await;
    assert_eq!((status.state(), status.message()), (TaskState::Failed, "timed out after 300ms"));
    assert_eq!(status.labels.unwrap().get("muster.timeout"), Some("true"));
    assert_eq!(report.output.as_deref(), Some("begun\n"));
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_scripts_run_at_once() {
    let mut builtin = Builtin::start().await;
    let mut tasks: Vec<TaskId> = Vec::new();
    for _ in 0..200 {
        tasks.push(builtin.stream.launch(&script("true")).await);
    }
    let mut ends = 0;
    while ends < tasks.len() {
        let status = builtin.stream.status().await;
        if status.state().is_terminal() {
            assert_eq!(status.state(), TaskState::Finished, "{status:?}");
            ends += 1;
        }
    }
    builtin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_scripts() {
    let mut builtin = Builtin::start().await;
    let payload = script("echo $$ > pid; exec sleep 1000");
    let task = builtin.stream.launch(&payload).await;
    builtin.stream.runs(&task).await;
    let pid = content(&builtin.folder(&payload).join("work/pid")).await;
    builtin.stream.shut_down().await;
    assert_eq!(builtin.stream.end(&task).await.0.state(), TaskState::Killed);
    within("end", builtin.running).await.unwrap().unwrap();
    is_gone(&pid).await;
}
