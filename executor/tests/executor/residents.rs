//! Resident tasks under an executor: their schedule on real clocks, and what their executions leave.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    conversation::{handler, script, within},
    fake_agent::{FakeAgent, Stream},
};
use muster_api::{
    Span, clock, limits,
    spec::{MisfirePolicy, ScheduleSpec},
    task::{ExecutionOutcome, ExecutionReport, Resident, TaskPayload, Work},
};
use muster_job::{Context, JobError, Jobs};
use muster_proto::{TaskId, TaskState};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The same as a task that stays and executes each second.
fn resident(payload: TaskPayload) -> TaskPayload {
    let every = Some(Span::from_secs(1));
    let resident = Resident {
        schedule: ScheduleSpec { every, ..ScheduleSpec::default() },
        anchor: clock::wall(),
        offset: Span::ZERO,
        misfire: MisfirePolicy::Coalesce,
        grace: Span::from_secs(3_600),
        sampling: 0,
    };
    TaskPayload { resident: Some(resident), ..payload }
}

/// An executor of `jobs` under a fake agent, with a resident task that runs.
pub(crate) async fn start(
    sandbox: &Path,
    jobs: Jobs,
    payload: &TaskPayload,
) -> (FakeAgent, Stream, TaskId, JoinHandle<anyhow::Result<()>>) {
    let agent = FakeAgent::bind().await;
    let running = tokio::spawn(muster_executor::run_in(agent.environment(sandbox), jobs));
    let (mut stream, _) = agent.subscribed().await;
    let task = stream.launch(&resident(payload.clone())).await;
    stream.runs(&task).await;
    (agent, stream, task, running)
}

pub(crate) async fn shut_down(mut stream: Stream, running: JoinHandle<anyhow::Result<()>>) {
    stream.shut_down().await;
    // Its task is told to end, and that is to be heard.
    while !stream.status_or_message().await.is_some_and(|status| status.state().is_terminal()) {}
    within("end", running).await.unwrap().unwrap();
}

/// What is told of the next executions, until there are so many.
async fn executions(stream: &mut Stream, count: usize) -> Vec<ExecutionReport> {
    let mut told = Vec::new();
    while told.len() < count {
        told.extend(stream.executions().await.executions);
    }
    told
}

fn folder(sandbox: &Path, task: &TaskId) -> PathBuf {
    sandbox.join("tasks").join(&task.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_script_is_a_new_process_at_each_instant() {
    let sandbox = TempDir::new().unwrap();
    let command = "echo $$ $MUSTER_PLANNED_TIME $MUSTER_TASK; echo done >> $MUSTER_RESULT";
    let (_agent, mut stream, task, running) =
        start(sandbox.path(), Jobs::new(), &script(command)).await;
    let told = executions(&mut stream, 3).await;
    for (one, next) in told.iter().zip(&told[1..]) {
        assert_eq!(next.planned_at.since(one.planned_at), Span::from_secs(1).duration());
        assert!(one.started_at >= one.planned_at && one.ended_at >= one.started_at, "{one:?}");
        assert_eq!((one.outcome, one.exit_code), (ExecutionOutcome::Succeeded, Some(0)));
    }
    let folder = folder(sandbox.path(), &task);
    let output = fs::read_to_string(folder.join("stdout")).unwrap();
    let lines: Vec<Vec<_>> = output.lines().map(|line| line.split(' ').collect()).collect();
    for (line, told) in lines.iter().zip(&told) {
        assert_eq!(line[1..], [&told.planned_at.to_string(), &task.value], "in {output}");
    }
    assert_ne!(lines[0][0], lines[1][0], "another process each time");
    let result = fs::read_to_string(folder.join("result")).unwrap_or_default();
    assert!(result.len() <= "done\n".len(), "the result of one execution: {result:?}");
    shut_down(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_handler_is_called_again_with_another_context() {
    let sandbox = TempDir::new().unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let jobs = Jobs::new().register("ticks", move |context: Context| {
        let nth = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            context.log(&format!("{nth} at {}", context.planned_time()));
            if nth == 1 { Err(JobError::new("the second one fails")) } else { Ok(()) }
        }
    });
    let (_agent, mut stream, task, running) = start(sandbox.path(), jobs, &handler("ticks")).await;
    let told = executions(&mut stream, 3).await;
    let outcomes: Vec<_> = told.iter().map(|told| told.outcome).collect();
    use ExecutionOutcome::{Failed, Succeeded};
    assert_eq!(outcomes[..3], [Succeeded, Failed, Succeeded], "a failure does not end the task");
    assert_eq!(told[1].message.as_deref(), Some("the second one fails"));
    let output = fs::read_to_string(folder(sandbox.path(), &task).join("stdout")).unwrap();
    for (nth, told) in told.iter().enumerate() {
        assert!(output.contains(&format!("{nth} at {}\n", told.planned_at)), "in {output}");
    }
    shut_down(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_spawned_is_a_failed_execution() {
    let sandbox = TempDir::new().unwrap();
    let mut payload = script("");
    if let Work::Script(spec) = &mut payload.work {
        spec.command = None;
        spec.interpreter = Some("/no/such/interpreter".to_owned());
        spec.inline = Some("1".to_owned());
    }
    let (_agent, mut stream, _, running) = start(sandbox.path(), Jobs::new(), &payload).await;
    for told in executions(&mut stream, 2).await {
        assert_eq!((told.outcome, told.exit_code), (ExecutionOutcome::Failed, None));
        assert!(told.message.unwrap().contains("failed to start `/no/such/interpreter`"));
    }
    shut_down(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_ends_the_process_group_of_an_execution_and_the_task_goes_on() {
    let sandbox = TempDir::new().unwrap();
    let mut payload = script("trap '' TERM; sleep 1000 & wait; wait");
    payload.timeout = Span::from_millis(100);
    payload.kill_grace = Span::from_millis(100);
    let (_agent, mut stream, _, running) = start(sandbox.path(), Jobs::new(), &payload).await;
    let told = executions(&mut stream, 2).await;
    for told in &told {
        assert_eq!(told.outcome, ExecutionOutcome::TimedOut);
        assert_eq!(told.message.as_deref(), Some("timed out after 100ms"));
    }
    shut_down(stream, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_cancels_the_execution_that_goes_on() {
    let sandbox = TempDir::new().unwrap();
    let begun = sandbox.path().join("begun");
    let command = format!("touch {}; exec sleep 1000", begun.display());
    let (_agent, mut stream, task, running) =
        start(sandbox.path(), Jobs::new(), &script(&command)).await;
    within("execution", async {
        while !begun.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stream.kill(&task, None).await;
    let (status, report) = stream.end(&task).await;
    assert_eq!(status.state(), TaskState::Killed);
    assert!(report.started_at.is_some());
    let told = executions(&mut stream, 1).await;
    assert_eq!(told[0].outcome, ExecutionOutcome::Cancelled);
    assert_eq!(told[0].message.as_deref(), Some("ended by signal 15 (SIGTERM)"));
    stream.shut_down().await;
    within("end", running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_full_is_moved_aside_before_an_execution() {
    let sandbox = TempDir::new().unwrap();
    let jobs = Jobs::new().register("logs", |context: Context| async move {
        context.log("a line");
        Ok::<_, JobError>(())
    });
    let (_agent, mut stream, task, running) = start(sandbox.path(), jobs, &handler("logs")).await;
    let logged = folder(sandbox.path(), &task);
    let written = stream.launch(&resident(script("echo line; echo line >&2"))).await;
    let written = folder(sandbox.path(), &written);
    executions(&mut stream, 4).await;
    for path in [logged.join("stdout"), written.join("stdout"), written.join("stderr")] {
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(limits::OUTPUT_ROTATED_BYTES).unwrap();
        let aside = PathBuf::from(format!("{}.1", path.display()));
        within("move", async {
            while !aside.exists() || !path.exists() {
                // Its calls must be read, or it would wait for that.
                stream.executions().await;
            }
        })
        .await;
        // An execution that went on when it became full may have written a line more.
        assert!(fs::metadata(&aside).unwrap().len() >= limits::OUTPUT_ROTATED_BYTES);
        assert!(fs::read_to_string(&path).unwrap().lines().all(|line| line.ends_with("line")));
    }
    drop(stream);
    running.abort();
}
