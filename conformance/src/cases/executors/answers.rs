//! What an agent answers to wrong requests on its executor API.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    executor::{EXECUTOR, Executor, Planned, Stage},
    framework::Framework,
    http::Request,
    outcome::{Outcome, equal},
    tasks::{executor_task, with, without},
};

const JSON: &str = "application/json";
const WRONG_TYPE: &str = "Expecting 'Content-Type' of application/json or application/x-protobuf";

/// A line of the table: a request that needs no known executor, and its answer.
macro_rules! refused {
    ($name:literal, $status:literal, $text:expr, $request:expr) => {
        Case {
            name: $name,
            needs: $crate::case::Needs::Executors,
            speaks: $crate::case::Speaks::Json,
            run: |context| {
                Box::pin(async move {
                    let agent = context.target().agent.clone().unwrap_or_default();
                    crate::http::exchange(&agent, &$request).await?.is($status, $text)
                })
            },
        }
    };
}

pub(super) const CASES: &[Case] = &[
    refused!(
        "executor/get-is-not-allowed",
        405,
        "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.",
        Request::get(EXECUTOR)
    ),
    refused!(
        "executor/content-type-is-required",
        400,
        "Expecting 'Content-Type' to be present",
        Request::post(EXECUTOR, "{}")
    ),
    refused!(
        "executor/other-types-are-unsupported",
        415,
        WRONG_TYPE,
        Request::post(EXECUTOR, "{}").with("Content-Type", "text/plain")
    ),
    refused!(
        "executor/half-an-object-is-no-json",
        400,
        "Failed to parse body into JSON: syntax error at line 1 near: ",
        Request::post(EXECUTOR, "{").with("Content-Type", JSON)
    ),
    refused!(
        "executor/a-call-names-executor-and-framework",
        400,
        "Failed to convert JSON into Call protobuf: \
         Missing required fields: executor_id, framework_id",
        Request::post(EXECUTOR, "{}").with("Content-Type", JSON)
    ),
    refused!(
        "executor/the-framework-is-to-be-known",
        400,
        "Framework cannot be found",
        Request::post(
            EXECUTOR,
            json!({
                "type": "MESSAGE",
                "framework_id": {"value": "conformance-nobody"},
                "executor_id": {"value": "e"},
                "message": {"data": "aGk="},
            })
            .to_string()
        )
        .with("Content-Type", JSON)
    ),
    case!(Executors, Json, "executor/the-executor-is-to-be-known", unknown_executor),
    case!(Executors, Json, "executor/the-long-path-is-the-same", long_path),
    case!(Executors, Both, "executor/calls-before-subscribe-are-refused", not_subscribed),
    case!(Executors, Json, "executor/an-unknown-type-is-none", unknown_type),
    case!(Executors, Both, "executor/an-update-has-a-uuid", no_uuid),
    case!(Executors, Both, "executor/an-update-is-the-executor's", wrong_source),
    case!(Executors, Both, "executor/an-update-is-not-staging", staging),
    case!(Executors, Json, "executor/other-accept-is-not-acceptable", not_acceptable),
];

async fn unknown_executor(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let mut executor = stage.executor.executor.clone();
    "nope".clone_into(&mut executor.id);
    let call = executor.call("MESSAGE", Some(json!({"data": "aGk="})));
    executor.send(&call).await?.is(400, "Executor cannot be found")
}

async fn long_path(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let status = executor.status("t", "TASK_RUNNING");
    let mut request =
        executor.request(&executor.call("UPDATE", Some(json!({"status": status}))))?;
    "/slave(1)/api/v1/executor".clone_into(&mut request.path);
    executor.ask(&request).await?.accepted()?;
    stage.executor.acknowledged(&status).await
}

async fn not_subscribed(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let planned = Planned::new(&framework, "e");
    let task = executor_task("t", &offer.agent, &planned.info);
    framework.launch(&offer, vec![task]).await?;
    let executor = planned.start(context).await?;
    let answer = executor.update(&executor.status("t", "TASK_RUNNING")).await?;
    answer.is(403, "Executor is not subscribed")?;
    executor.subscribe().await?.launched("t").await?;
    Ok(())
}

async fn unknown_type(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let call = with(executor.call("MESSAGE", None), "type", json!("BOGUS"));
    let text = "Failed to validate Executor::Call: Expecting 'type' to be present";
    executor.send(&call).await?.is(400, text)
}

async fn update_refused(
    context: &Context,
    change: impl FnOnce(Value) -> Value,
    text: impl FnOnce(&Executor) -> String,
) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let status = change(executor.status("t", "TASK_RUNNING"));
    executor.update(&status).await?.is(400, &text(executor))?;
    stage.framework.no_update_but(&[], std::time::Duration::from_millis(500)).await
}

async fn no_uuid(context: &Context) -> Outcome {
    let text = "Failed to validate Executor::Call: Expecting 'uuid' to be present";
    update_refused(context, |status| without(status, "uuid"), |_| text.to_owned()).await
}

async fn wrong_source(context: &Context) -> Outcome {
    let change = |status| with(status, "source", json!("SOURCE_MASTER"));
    let text = |executor: &Executor| {
        format!(
            "Failed to validate Executor::Call: Received Call from executor {} of framework {} \
             with invalid source, expecting 'SOURCE_EXECUTOR'",
            executor.id, executor.framework
        )
    };
    update_refused(context, change, text).await
}

async fn staging(context: &Context) -> Outcome {
    let change = |status| with(status, "state", json!("TASK_STAGING"));
    let text = |executor: &Executor| {
        format!(
            "Failed to validate Executor::Call: Received TASK_STAGING from executor {} of \
             framework {} which is not allowed",
            executor.id, executor.framework
        )
    };
    update_refused(context, change, text).await
}

async fn not_acceptable(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let call = executor.call("SUBSCRIBE", Some(json!({})));
    let request = Request::post(EXECUTOR, call.to_string())
        .with("Content-Type", JSON)
        .with("Accept", "text/plain");
    let answer = executor.ask(&executor.authorized(request)).await?;
    answer.has_status(406)?;
    equal("Content-Type", answer.head.header("content-type"), "text/plain; charset=utf-8")
}
