//! RECONCILE: what a master says of tasks when it is asked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    framework::Framework,
    outcome::{Outcome, equal},
    tasks::{command_task, without},
};

const UNKNOWN: &str = "Reconciliation: Task is unknown";
const UNKNOWN_TO_AGENT: &str = "Reconciliation: Task is unknown to the agent";

pub(super) const CASES: &[Case] = &[
    case!(Offers, Both, "reconcile/a-known-task-is-told", known),
    case!(Offers, Json, "reconcile/a-task-unknown-to-its-agent-is-lost", unknown_to_agent),
    case!(Offers, Json, "reconcile/a-task-unknown-to-its-agent-is-gone-for-the-aware", gone),
    case!(Nothing, Both, "reconcile/an-unknown-task-is-lost", unknown),
    case!(Nothing, Json, "reconcile/an-unknown-task-is-unknown-for-the-aware", unknown_aware),
    case!(Nothing, Json, "reconcile/an-unknown-agent-makes-it-lost", unknown_agent),
    case!(Offers, Json, "reconcile/a-task-that-is-over-is-lost", over),
    case!(Offers, Both, "reconcile/all-tasks-are-told", implicit),
    case!(Nothing, Json, "reconcile/no-tasks-are-told-of-none", implicit_none),
    case!(Nothing, Both, "reconcile/kill-of-an-unknown-task-is-answered-so", kill_unknown),
    case!(Offers, Json, "reconcile/kill-with-an-agent-is-answered-so", kill_with_agent),
];

/// Holds if the next status of a task is exactly this answer of the master's.
async fn answered(
    framework: &Framework,
    task: &str,
    state: &str,
    message: &str,
    agent: Option<&str>,
) -> Outcome {
    let status = framework.status(task).await?;
    let mut expected = json!({
        "task_id": {"value": task},
        "state": state,
        "message": message,
        "source": "SOURCE_MASTER",
        "reason": "REASON_RECONCILIATION",
    });
    if let Some(agent) = agent {
        expected["agent_id"] = json!({"value": agent});
    }
    equal("status", without(status, "timestamp"), expected)
}

async fn ask(framework: &Framework, task: &str, agent: Option<&str>) -> Outcome {
    let mut asked = json!({"task_id": {"value": task}});
    if let Some(agent) = agent {
        asked["agent_id"] = json!({"value": agent});
    }
    framework.tell("RECONCILE", json!({"tasks": [asked]})).await
}

async fn running(framework: &Framework, task: &str) -> Outcome<String> {
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task(task, &offer.agent, "sleep 1000")]).await?;
    framework.reach(task, "TASK_RUNNING").await?;
    Ok(offer.agent)
}

fn is_latest(status: &Value, agent: &str) -> Outcome {
    equal("state", status["state"].clone(), "TASK_RUNNING")?;
    equal("source", status["source"].clone(), "SOURCE_MASTER")?;
    equal("reason", status["reason"].clone(), "REASON_RECONCILIATION")?;
    equal("message", status["message"].clone(), "Reconciliation: Latest task state")?;
    equal("agent_id", status["agent_id"].clone(), json!({"value": agent}))?;
    equal("uuid", status["uuid"].clone(), Value::Null)?;
    super::commands::has_container(status)
}

async fn known(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let agent = running(&framework, "t").await?;
    for asked in [None, Some(agent.as_str())] {
        ask(&framework, "t", asked).await?;
        is_latest(&framework.status("t").await?, &agent)?;
    }
    Ok(())
}

async fn unknown_to_agent(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let agent = framework.offer().await?.agent;
    ask(&framework, "u", Some(&agent)).await?;
    answered(&framework, "u", "TASK_LOST", UNKNOWN_TO_AGENT, Some(&agent)).await
}

async fn gone(context: &Context) -> Outcome {
    let framework = Framework::subscribe_aware(context).await?;
    let agent = framework.offer().await?.agent;
    ask(&framework, "u", Some(&agent)).await?;
    answered(&framework, "u", "TASK_GONE", UNKNOWN_TO_AGENT, Some(&agent)).await
}

async fn unknown(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    ask(&framework, "u", None).await?;
    answered(&framework, "u", "TASK_LOST", UNKNOWN, None).await
}

async fn unknown_aware(context: &Context) -> Outcome {
    let capabilities = json!([{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]);
    let info = crate::tasks::with(context.framework_info(), "capabilities", capabilities);
    let framework = Framework::suppressed_as(context, info).await?;
    ask(&framework, "u", None).await?;
    answered(&framework, "u", "TASK_UNKNOWN", UNKNOWN, None).await
}

async fn unknown_agent(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    ask(&framework, "u", Some("no-such-agent")).await?;
    answered(&framework, "u", "TASK_LOST", UNKNOWN, Some("no-such-agent")).await
}

async fn over(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task("t", &offer.agent, "exit 0")]).await?;
    framework.reach("t", "TASK_FINISHED").await?;
    ask(&framework, "t", Some(&offer.agent)).await?;
    answered(&framework, "t", "TASK_LOST", UNKNOWN_TO_AGENT, Some(&offer.agent)).await
}

async fn implicit(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let mut agents = Vec::new();
    for task in ["t1", "t2"] {
        agents.push((task, running(&framework, task).await?));
    }
    framework.tell("RECONCILE", json!({"tasks": []})).await?;
    for (task, agent) in agents {
        is_latest(&framework.status(task).await?, &agent)?;
    }
    Ok(())
}

async fn implicit_none(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.tell("RECONCILE", json!({"tasks": []})).await?;
    let is_update = |event: &Value| event["type"] == "UPDATE";
    framework.events.none("UPDATE", Duration::from_secs(1), is_update).await
}

async fn kill_unknown(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.kill("u").await?;
    answered(&framework, "u", "TASK_LOST", UNKNOWN, None).await
}

async fn kill_with_agent(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let agent = framework.offer().await?.agent;
    let body = json!({"task_id": {"value": "u"}, "agent_id": {"value": agent}});
    framework.tell("KILL", body).await?;
    answered(&framework, "u", "TASK_LOST", UNKNOWN_TO_AGENT, Some(&agent)).await?;
    let beside = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        ["HEARTBEAT", "OFFERS", "RESCIND"].contains(&kind)
    };
    let more = framework.events.drain_matching(|event| !beside(event));
    let more: Vec<Value> = more.into_iter().map(|arrived| arrived.event).collect();
    equal("more events", Value::from(more), json!([]))
}
