//! The JSON of Mesos, read: what stands for what. (stout's conversion of JSON into protobuf.)

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    encoding::{Encoding, Side},
    framework::{Framework, open_stream},
    http::Request,
    outcome::{Outcome, equal, holds},
    tasks::{command_task, launch, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Nothing, Json, "mapping/types-are-upper-case", types_are_upper_case),
    case!(Nothing, Json, "mapping/names-are-snake-case", names_are_snake_case),
    case!(Nothing, Json, "mapping/unknown-fields-of-a-call-are-ignored", unknown_fields),
    case!(Nothing, Json, "mapping/null-is-absent", null_is_absent),
    case!(Nothing, Json, "mapping/numbers-may-stand-in-strings", numbers_in_strings),
    case!(Nothing, Json, "mapping/one-value-is-a-list-of-one", one_value_is_a_list),
    case!(Nothing, Json, "mapping/an-unknown-capability-is-dropped", unknown_capability),
    case!(Nothing, Json, "mapping/bytes-are-base64", bytes_are_base64),
    case!(Nothing, Json, "mapping/an-inner-field-is-missing", inner_field_is_missing),
    case!(Nothing, Json, "mapping/calls-in-protobuf-on-a-stream-of-json", protobuf_calls),
    case!(Nothing, Json, "mapping/calls-need-no-accept", no_accept),
    case!(Nothing, Json, "mapping/defaults-are-written", defaults_are_written),
    case!(Offers, Both, "mapping/what-is-not-ours-is-passed-on", passed_on),
];

const NO_TYPE: &str = "Failed to validate scheduler::Call: Expecting 'type' to be present";

async fn types_are_upper_case(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.send(&framework.call("revive", None)).await?.is(400, NO_TYPE)
}

async fn names_are_snake_case(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let call = json!({"type": "REVIVE", "frameworkId": {"value": framework.id}});
    let text = "Failed to validate scheduler::Call: Expecting 'framework_id' to be present";
    framework.send(&call).await?.is(400, text)
}

async fn unknown_fields(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let call = with(framework.call("SUPPRESS", None), "zzz", json!({"a": 1}));
    framework.send(&call).await?.accepted()
}

async fn null_is_absent(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "principal", Value::Null);
    let framework = Framework::suppressed_as(context, info).await?;
    let call = with(framework.call("SUPPRESS", None), "suppress", Value::Null);
    framework.send(&call).await?.accepted()
}

async fn numbers_in_strings(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "failover_timeout", json!("0.5"));
    let info = with(info, "checkpoint", json!("false"));
    Framework::suppressed_as(context, info).await?;
    Ok(())
}

async fn one_value_is_a_list(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.tell("DECLINE", json!({"offer_ids": {"value": "no-such-offer"}})).await
}

async fn unknown_capability(context: &Context) -> Outcome {
    let capabilities = json!([{"type": "WHAT_IS_THIS"}]);
    let info = with(context.framework_info(), "capabilities", capabilities);
    let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
    let events = open_stream(context, &call).await?;
    // It has no MULTI_ROLE then, and so no roles.
    let message =
        "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
    let expected = json!({"type": "ERROR", "error": {"message": message}});
    equal("first event", events.next(SOON).await?.event, expected)
}

async fn bytes_are_base64(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let body = json!({
        "agent_id": {"value": "a"}, "task_id": {"value": "x"}, "uuid": "!!!notbase64!!!",
    });
    let text = "Failed to convert JSON into Call protobuf: \
                Failed to base64 decode bytes field 'uuid': Invalid character '!'";
    framework.send(&framework.call("ACKNOWLEDGE", Some(body))).await?.is(400, text)
}

async fn inner_field_is_missing(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let text = "Failed to convert JSON into Call protobuf: Missing required fields: kill.task_id";
    framework.send(&framework.call("KILL", Some(json!({})))).await?.is(400, text)
}

async fn protobuf_calls(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let other = context.speaking(Encoding::Protobuf);
    let request = other.scheduler_request(&framework.call("SUPPRESS", None))?;
    let request = request.with("Mesos-Stream-Id", &framework.stream);
    context.ask_master(&request).await?.accepted()
}

async fn no_accept(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let encoding = context.encoding();
    let body = encoding.encode_call(Side::Scheduler, &framework.call("SUPPRESS", None))?;
    let request = Request::post(crate::context::SCHEDULER, body)
        .with("Content-Type", encoding.content_type())
        .with("Mesos-Stream-Id", &framework.stream);
    context.ask_master(&context.authorized(request)).await?.accepted()
}

async fn defaults_are_written(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    // A double without a fraction is written with one; read back it is still no integer.
    let interval = &framework.subscribed["heartbeat_interval_seconds"];
    holds("heartbeat_interval_seconds", interval.is_f64(), interval, "15.0")?;
    let port = &framework.subscribed["master_info"]["port"];
    holds("master_info.port", port.is_u64(), port, "a number")
}

/// Labels, discovery and data of a task are no business of the master: a status of it shows that
/// it was launched at all, and `executor/the-task-is-passed-on-whole` what came through.
async fn passed_on(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let task = command_task("passed", &offer.agent, "exit 0");
    let task = with(task, "labels", json!({"labels": [{"key": "k", "value": "v"}, {"key": "k"}]}));
    let task = with(task, "discovery", json!({"visibility": "CLUSTER", "name": "somebody"}));
    let task = with(task, "data", json!("AAECAw=="));
    framework.accept(&offer, vec![launch(vec![task])]).await?;
    framework.reach("passed", "TASK_FINISHED").await?;
    Ok(())
}
