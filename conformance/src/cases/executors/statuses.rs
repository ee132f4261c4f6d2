//! What becomes of an executor's updates.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    executor::Stage,
    outcome::{Outcome, equal, holds},
    tasks::with,
};

pub(super) const CASES: &[Case] = &[
    case!(Executors, Both, "executor/an-update-arrives-whole", whole),
    case!(Executors, Both, "executor/an-update-is-acknowledged-at-once", acknowledged_at_once),
    case!(Executors, Json, "executor/an-update-twice-is-forwarded-once", twice),
    case!(Executors, Json, "executor/updates-of-one-task-wait-for-each-other", wait),
    case!(Executors, Json, "executor/an-update-of-an-unknown-task-is-forwarded", unknown_task),
    case!(Executors, Both, "executor/it-is-told-to-kill", kill),
    case!(Executors, Json, "executor/reconciliation-tells-what-it-said", reconcile),
];

async fn whole(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let status = stage.executor.executor.status("t", "TASK_RUNNING");
    let more = [
        ("message", json!("hello from executor")),
        ("data", json!("cnVubmluZy1kYXRh")),
        ("labels", json!({"labels": [{"key": "k", "value": "v"}]})),
        ("timestamp", json!(1_795_335_955.064_293_9)),
        ("healthy", json!(true)),
    ];
    let status = more.iter().fold(status, |status, (field, it)| with(status, field, it.clone()));
    stage.executor.say_status(&status).await?;
    let seen = stage.framework.status("t").await?;
    for (field, value) in more {
        equal(field, seen[field].clone(), value)?;
    }
    for field in ["state", "source", "uuid"] {
        equal(field, seen[field].clone(), status[field].clone())?;
    }
    equal("agent_id", seen["agent_id"].clone(), json!({"value": stage.offer.agent}))?;
    crate::cases::commands::has_container(&seen)?;
    let container = seen["container_status"]["container_id"].clone();
    equal("container_id", container, stage.executor.body["container_id"].clone())?;
    stage.framework.acknowledge(&seen).await
}

/// The agent has it; the scheduler need not have acknowledged it.
async fn acknowledged_at_once(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        stage.executor.say("t", state).await?;
    }
    stage.framework.reach("t", "TASK_RUNNING").await?;
    Ok(())
}

async fn twice(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let status = stage.executor.executor.status("t", "TASK_RUNNING");
    stage.executor.say_status(&status).await?;
    stage.executor.say_status(&status).await?;
    stage.framework.reach("t", "TASK_RUNNING").await?;
    let is_update = |event: &Value| event["type"] == "UPDATE";
    stage.framework.events.none("UPDATE again", Duration::from_secs(1), is_update).await
}

async fn wait(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let states = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];
    for state in states {
        stage.executor.say("t", state).await?;
    }
    for state in states {
        let status = stage.framework.status("t").await?;
        equal("state", status["state"].clone(), state)?;
        stage.framework.no_update_but(&[&status], Duration::from_millis(500)).await?;
        stage.framework.acknowledge(&status).await?;
    }
    Ok(())
}

async fn unknown_task(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let status = stage.executor.executor.status("no-such-task", "TASK_RUNNING");
    stage.executor.executor.update(&status).await?.accepted()?;
    let seen = stage.framework.status("no-such-task").await?;
    equal("state", seen["state"].clone(), "TASK_RUNNING")?;
    equal("uuid", seen["uuid"].clone(), status["uuid"].clone())?;
    equal("agent_id", seen["agent_id"].clone(), json!({"value": stage.offer.agent}))?;
    stage.framework.acknowledge(&seen).await
}

async fn kill(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.framework.kill("t").await?;
    let event = stage.executor.event("KILL").await?.event;
    equal("KILL", event["kill"]["task_id"].clone(), json!({"value": "t"}))?;
    stage.executor.say("t", "TASK_KILLED").await?;
    let status = stage.framework.reach("t", "TASK_KILLED").await?;
    equal("source", status["source"].clone(), "SOURCE_EXECUTOR")
}

async fn reconcile(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    stage.run("t").await?;
    stage.framework.tell("RECONCILE", json!({"tasks": [{"task_id": {"value": "t"}}]})).await?;
    let status = stage.framework.status("t").await?;
    equal("state", status["state"].clone(), "TASK_RUNNING")?;
    equal("executor_id", status["executor_id"].clone(), stage.info["executor_id"].clone())?;
    for field in ["uuid", "data", "labels"] {
        equal(field, status[field].clone(), Value::Null)?;
    }
    let message = &status["message"];
    holds("message", message == "Reconciliation: Latest task state", message, "as recorded")
}
