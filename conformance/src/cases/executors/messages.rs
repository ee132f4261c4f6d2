//! Messages between a framework and its executor.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    executor::Stage,
    outcome::{Outcome, equal},
};

pub(super) const CASES: &[Case] = &[
    case!(Executors, Both, "executor/a-message-of-the-framework-arrives", to_executor),
    case!(Executors, Both, "executor/a-message-to-the-framework-arrives", to_framework),
    case!(Executors, Json, "executor/a-heartbeat-is-taken", heartbeat),
];

async fn to_executor(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let body = json!({
        "agent_id": {"value": stage.offer.agent},
        "executor_id": stage.info["executor_id"],
        "data": "cGluZw==",
    });
    stage.framework.tell("MESSAGE", body).await?;
    let event = stage.executor.event("MESSAGE").await?.event;
    equal("MESSAGE", event, json!({"type": "MESSAGE", "message": {"data": "cGluZw=="}}))
}

async fn to_framework(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let call = executor.call("MESSAGE", Some(json!({"data": "ZWNobw=="})));
    executor.send(&call).await?.accepted()?;
    let is_message = |event: &Value| event["type"] == "MESSAGE";
    let event = stage.framework.events.take("MESSAGE", SOON, is_message).await?.event;
    let expected = json!({
        "agent_id": {"value": stage.offer.agent},
        "executor_id": stage.info["executor_id"],
        "data": "ZWNobw==",
    });
    equal("message", event["message"].clone(), expected)
}

async fn heartbeat(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    executor.send(&executor.call("HEARTBEAT", None)).await?.accepted()
}
