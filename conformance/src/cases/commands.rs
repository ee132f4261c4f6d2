//! Tasks that are commands: the agent's own executor runs them.

use std::time::Duration;

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    framework::{Framework, Offer},
    outcome::{Outcome, equal, holds},
    remote::{Hello, Remote},
    tasks::{command_task, with, without},
};

pub(super) const CASES: &[Case] = &[
    case!(Offers, Both, "command/one-that-exits-0-is-finished", finished),
    case!(Offers, Both, "command/one-that-exits-3-is-failed", failed),
    case!(Offers, Both, "command/one-is-killed", killed),
    case!(Offers, Json, "command/one-that-handles-the-signal-is-killed-all-the-same", handled),
    case!(Offers, Json, "command/one-that-ignores-the-signal-is-killed-after-its-grace", ignored),
    case!(Offers, Json, "command/a-call-may-shorten-the-grace", shortened),
    case!(Offers, Json, "command/one-that-a-signal-ends-is-failed", ended_by_signal),
    case!(Offers, Json, "command/statuses-are-the-agent's-whole", statuses),
    case!(Offers, Json, "command/its-executor's-end-is-no-failure", no_failure),
    case!(Offers, Json, "command/without-a-shell-it-has-arguments", arguments),
    case!(Executors, Json, "command/its-environment", environment),
    case!(Offers, Json, "command/what-cannot-be-fetched-fails-it", cannot_fetch),
];

async fn run(context: &Context, task: impl FnOnce(&Offer) -> Value) -> Outcome<Framework> {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![task(&offer)]).await?;
    framework.tell_only("SUPPRESS").await?;
    Ok(framework)
}

async fn run_command(context: &Context, command: &str) -> Outcome<Framework> {
    run(context, |offer| command_task("t", &offer.agent, command)).await
}

async fn ends(framework: &Framework, state: &str, message: &str) -> Outcome {
    let status = framework.reach("t", state).await?;
    equal("message", status["message"].clone(), message)?;
    equal("source", status["source"].clone(), "SOURCE_EXECUTOR")
}

async fn finished(context: &Context) -> Outcome {
    let framework = run_command(context, "exit 0").await?;
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        let status = framework.status("t").await?;
        equal("state", status["state"].clone(), state)?;
        framework.acknowledge(&status).await?;
    }
    ends(&framework, "TASK_FINISHED", "Command exited with status 0").await
}

async fn failed(context: &Context) -> Outcome {
    let framework = run_command(context, "exit 3").await?;
    ends(&framework, "TASK_FAILED", "Command exited with status 3").await
}

async fn killed(context: &Context) -> Outcome {
    let framework = run_command(context, "sleep 1000").await?;
    framework.reach("t", "TASK_RUNNING").await?;
    framework.kill("t").await?;
    ends(&framework, "TASK_KILLED", "Command terminated with signal Terminated").await
}

/// The task's shell says that it handles the signal before the test sends it.
async fn handled(context: &Context) -> Outcome {
    let expected = context.remotes().expect(&context.unique("ready"));
    let ready = context.remotes().command(&context.target().program, expected.key());
    let ready = ready.trim_start_matches("exec ").to_owned();
    let command = format!("trap 'exit 7' TERM; {ready} & while :; do sleep 0.1; done");
    let framework = run(context, |offer| {
        with(command_task("t", &offer.agent, &command), "kill_policy", grace(600))
    })
    .await?;
    framework.reach("t", "TASK_RUNNING").await?;
    let process = expected.arrive(SOON).await?;
    framework.kill("t").await?;
    ends(&framework, "TASK_KILLED", "Command exited with status 7").await?;
    process.gone(SOON).await
}

fn grace(seconds: u64) -> Value {
    json!({"grace_period": {"nanoseconds": seconds * 1_000_000_000}})
}

/// A task that ignores the signal, with its process: that one ends with its connection to the suite.
async fn deaf(context: &Context, seconds: u64) -> Outcome<(Framework, Remote)> {
    let expected = context.remotes().expect(&context.unique("ready"));
    let ready = context.remotes().command(&context.target().program, expected.key());
    let command = format!("trap '' TERM; {ready}");
    let framework = run(context, |offer| {
        with(command_task("t", &offer.agent, &command), "kill_policy", grace(seconds))
    })
    .await?;
    framework.reach("t", "TASK_RUNNING").await?;
    Ok((framework, expected.arrive(SOON).await?))
}

async fn ignored(context: &Context) -> Outcome {
    let (framework, _process) = deaf(context, 2).await?;
    let since = clock::mono();
    framework.kill("t").await?;
    ends(&framework, "TASK_KILLED", "Command terminated with signal Killed").await?;
    let took = clock::mono().since(since).as_secs_f64();
    holds("time until it is ended", took >= 2.0, &json!(took), "2 s and more")
}

async fn shortened(context: &Context) -> Outcome {
    let (framework, _process) = deaf(context, 600).await?;
    let body = json!({"task_id": {"value": "t"}, "kill_policy": grace(1)});
    framework.tell("KILL", body).await?;
    ends(&framework, "TASK_KILLED", "Command terminated with signal Killed").await
}

async fn ended_by_signal(context: &Context) -> Outcome {
    let framework = run_command(context, "kill -KILL $$").await?;
    ends(&framework, "TASK_FAILED", "Command terminated with signal Killed").await
}

async fn statuses(context: &Context) -> Outcome {
    let framework = run_command(context, "sleep 1000").await?;
    let status = framework.reach("t", "TASK_STARTING").await?;
    equal("executor_id", status["executor_id"].clone(), json!({"value": "t"}))?;
    let agent = &status["agent_id"]["value"];
    holds("agent_id", agent.is_string(), agent, "an id")?;
    let timestamp = &status["timestamp"];
    holds("timestamp", timestamp.as_f64().is_some_and(|it| it > 1e9), timestamp, "seconds")?;
    has_container(&status)
}

/// Holds if a status says in which container its task is.
pub(super) fn has_container(status: &Value) -> Outcome {
    let container = &status["container_status"];
    let id = &container["container_id"]["value"];
    holds("container_id", id.as_str().is_some_and(|id| !id.is_empty()), container, "an id")?;
    let pid = &container["executor_pid"];
    holds("executor_pid", pid.as_u64().is_some_and(|pid| pid > 0), container, "a process id")?;
    let address = &container["network_infos"][0]["ip_addresses"][0];
    holds("ip_address", address["ip_address"].is_string(), container, "an address")
}

async fn no_failure(context: &Context) -> Outcome {
    let framework = run_command(context, "exit 0").await?;
    framework.reach("t", "TASK_FINISHED").await?;
    let is_failure = |event: &Value| event["type"] == "FAILURE";
    framework.events.none("FAILURE", Duration::from_secs(3), is_failure).await
}

async fn arguments(context: &Context) -> Outcome {
    let framework = run(context, |offer| {
        let arguments = ["sh", "-c", r#"test "$0" = "a b" && test $# = 1 && exit 5"#, "a b", "c"];
        let command = json!({"shell": false, "value": "/bin/sh", "arguments": arguments});
        with(command_task("t", &offer.agent, ""), "command", command)
    })
    .await?;
    ends(&framework, "TASK_FAILED", "Command exited with status 5").await
}

async fn environment(context: &Context) -> Outcome {
    let expected = context.remotes().expect(&context.unique("task"));
    let command = context.remotes().command(&context.target().program, expected.key());
    let framework = run(context, |offer| {
        let variables = json!({"variables": [{"name": "MY_VAR", "value": "my value"}]});
        let uri = format!("file://{}", hosts().display());
        let uris = json!([{"value": uri, "extract": false, "output_file": "fetched"}]);
        let mut task = command_task("t", &offer.agent, &command);
        task["command"]["environment"] = variables;
        task["command"]["uris"] = uris;
        task
    })
    .await?;
    let process = expected.arrive(SOON).await?;
    is_of_task(&process.hello, &framework.id)?;
    framework.reach("t", "TASK_RUNNING").await?;
    process.exit(0).await?;
    framework.reach("t", "TASK_FINISHED").await?;
    Ok(())
}

/// A file that every host has.
fn hosts() -> std::path::PathBuf {
    "/etc/hosts".into()
}

fn is_of_task(hello: &Hello, framework: &str) -> Outcome {
    let expected = [
        ("MESOS_FRAMEWORK_ID", framework),
        ("MESOS_EXECUTOR_ID", "t"),
        ("MESOS_ALLOCATION_ROLE", "*"),
        ("MESOS_SANDBOX", &hello.folder),
        ("MESOS_DIRECTORY", &hello.folder),
        ("MY_VAR", "my value"),
    ];
    for (name, value) in expected {
        equal(name, hello.environment.get(name).cloned().unwrap_or_default(), value)?;
    }
    for file in ["fetched", "stderr", "stdout"] {
        holds(file, hello.files.iter().any(|name| name == file), &json!(hello.files), "there")?;
    }
    Ok(())
}

async fn cannot_fetch(context: &Context) -> Outcome {
    let framework = run(context, |offer| {
        let uris = json!([{"value": "/no/such/file/anywhere", "extract": false}]);
        let mut task = command_task("t", &offer.agent, "exit 0");
        task["command"]["uris"] = uris;
        task
    })
    .await?;
    let status = framework.reach("t", "TASK_FAILED").await?;
    equal("source", status["source"].clone(), "SOURCE_AGENT")?;
    let told = without(status, "timestamp");
    holds("message", told["message"].is_string(), &told, "why")
}
