//! How an executor ends, and what its framework hears of it.

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    executor::{A_LONG_TIME, Planned, Stage},
    framework::Framework,
    outcome::{Outcome, equal, holds},
    tasks::{self, executor_task},
};

const SIGKILL: i32 = 9;

pub(super) const CASES: &[Case] = &[
    case!(Executors, Both, "executor/an-exit-code-is-told", exit_code),
    case!(Executors, Json, "executor/a-signal-is-told", signal),
    case!(Executors, Json, "executor/the-end-comes-before-the-tasks'", order),
    case!(Executors, Json, "executor/an-end-without-tasks-is-told", without_tasks),
    case!(Executors, Json, "executor/a-missing-command-is-127", missing_command),
    case!(Executors, Json, "executor/an-end-before-it-subscribes", early_end),
    case!(Executors, Both, "executor/shutdown-ends-it", shutdown),
    case!(Executors, Json, "executor/shutdown-is-enforced-after-the-grace", shutdown_enforced),
    case!(Executors, Json, "executor/teardown-ends-it", teardown),
    case!(Executors, Json, "executor/it-outlives-its-framework-while-that-may-return", outlives),
];

async fn failure(framework: &Framework) -> Outcome<Value> {
    let is_failure = |event: &Value| event["type"] == "FAILURE";
    Ok(framework.events.take("FAILURE", SOON, is_failure).await?.event["failure"].clone())
}

/// Holds if FAILURE and the end of the task say that the executor ended with this wait status.
async fn ends(stage: &Stage, wait_status: i32) -> Outcome {
    told(&stage.framework, &stage.offer.agent, &stage.info["executor_id"], wait_status).await?;
    terminated(&stage.framework).await
}

async fn told(framework: &Framework, agent: &str, executor: &Value, wait_status: i32) -> Outcome {
    let expected = json!({
        "agent_id": {"value": agent}, "executor_id": executor, "status": wait_status,
    });
    equal("FAILURE", failure(framework).await?, expected)
}

async fn terminated(framework: &Framework) -> Outcome {
    let status = framework.status("t").await?;
    equal("state", status["state"].clone(), "TASK_FAILED")?;
    equal("source", status["source"].clone(), "SOURCE_AGENT")?;
    equal("reason", status["reason"].clone(), "REASON_EXECUTOR_TERMINATED")?;
    equal("message", status["message"].clone(), "Executor terminated")?;
    framework.acknowledge(&status).await
}

async fn exit_code(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.executor.executor.remote.exit(3).await?;
    ends(&stage, 3 << 8).await
}

async fn signal(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.executor.executor.remote.signal(SIGKILL).await?;
    ends(&stage, SIGKILL).await
}

async fn order(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.executor.executor.remote.exit(0).await?;
    let events = &stage.framework.events;
    let failure = events.take("FAILURE", SOON, |event| event["type"] == "FAILURE").await?;
    let update = stage.framework.update("t").await?;
    let places = json!([failure.number, update.number]);
    holds("places of FAILURE and TASK_FAILED", failure.number < update.number, &places, "in order")
}

async fn without_tasks(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.executor.say("t", "TASK_FINISHED").await?;
    stage.framework.reach("t", "TASK_FINISHED").await?;
    stage.executor.executor.remote.exit(0).await?;
    told(&stage.framework, &stage.offer.agent, &stage.info["executor_id"], 0).await
}

/// An executor that is a command of the shell, and never subscribes.
async fn ends_early(context: &Context, command: &str, code: i32) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let info = tasks::executor("e", &framework.id, command);
    framework.launch(&offer, vec![executor_task("t", &offer.agent, &info)]).await?;
    told(&framework, &offer.agent, &info["executor_id"], code << 8).await?;
    terminated(&framework).await
}

async fn missing_command(context: &Context) -> Outcome {
    ends_early(context, "/no/such/executor", 127).await
}

async fn early_end(context: &Context) -> Outcome {
    ends_early(context, "exit 5", 5).await
}

async fn order_shutdown(stage: &Stage) -> Outcome {
    let body = json!({
        "agent_id": {"value": stage.offer.agent}, "executor_id": stage.info["executor_id"],
    });
    stage.framework.tell("SHUTDOWN", body).await?;
    let event = stage.executor.event("SHUTDOWN").await?.event;
    equal("SHUTDOWN", event, json!({"type": "SHUTDOWN"}))
}

async fn shutdown(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let planned = Planned::new(&framework, "e").with_grace(A_LONG_TIME);
    let stage = Stage::set_planned(framework, "t", planned).await?;
    stage.run("t").await?;
    order_shutdown(&stage).await?;
    stage.executor.say("t", "TASK_KILLED").await?;
    stage.framework.reach("t", "TASK_KILLED").await?;
    stage.executor.executor.remote.exit(0).await?;
    told(&stage.framework, &stage.offer.agent, &stage.info["executor_id"], 0).await
}

async fn shutdown_enforced(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let planned =
        Planned::with_command(&framework, "e", |command| format!("trap '' TERM; {command}"));
    let stage = Stage::set_planned(framework, "t", planned.with_grace(2)).await?;
    stage.run("t").await?;
    let since = clock::mono();
    order_shutdown(&stage).await?;
    equal("status", failure(&stage.framework).await?["status"].clone(), SIGKILL)?;
    let took = clock::mono().since(since).as_secs_f64();
    holds("time until it is ended", took >= 2.0, &json!(took), "2 s and more")?;
    terminated(&stage.framework).await
}

async fn teardown(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.framework.tell_only("TEARDOWN").await?;
    stage.executor.event("SHUTDOWN").await?;
    stage.executor.executor.remote.gone(SOON).await
}

async fn outlives(context: &Context) -> Outcome {
    let info = tasks::with(context.framework_info(), "failover_timeout", json!(3600.0));
    let stage = Stage::set_for(Framework::subscribe_as(context, info).await?, "t").await?;
    stage.run("t").await?;
    stage.framework.disconnect();
    // What it says meanwhile waits for the scheduler.
    let finished = stage.executor.say("t", "TASK_FINISHED").await?;
    let again = stage.framework.subscribe_again().await?;
    let status = again.status("t").await?;
    equal("state", status["state"].clone(), "TASK_FINISHED")?;
    equal("uuid", status["uuid"].clone(), finished["uuid"].clone())?;
    again.acknowledge(&status).await
}
