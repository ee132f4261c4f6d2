//! The calls of a subscribed framework: what is refused of them, and what is taken although it
//! means nothing.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    framework::Framework,
    http::Connection,
    outcome::{Outcome, equal},
    tasks::with,
};

/// A line of the table: a call without its body.
macro_rules! bodiless {
    ($name:literal, $kind:literal, $member:literal) => {
        Case {
            name: $name,
            needs: $crate::case::Needs::Nothing,
            speaks: $crate::case::Speaks::Both,
            run: |context| {
                Box::pin(async move {
                    let framework = Framework::subscribe_suppressed(&context).await?;
                    let text = concat!(
                        "Failed to validate scheduler::Call: Expecting '",
                        $member,
                        "' to be present"
                    );
                    framework.send(&framework.call($kind, None)).await?.is(400, text)
                })
            },
        }
    };
}

/// A line of the table: a call that is taken, and changes nothing.
macro_rules! taken {
    ($name:literal, $kind:literal, $body:expr) => {
        Case {
            name: $name,
            needs: $crate::case::Needs::Nothing,
            speaks: $crate::case::Speaks::Both,
            run: |context| {
                Box::pin(async move {
                    let framework = Framework::subscribe_suppressed(&context).await?;
                    framework.tell($kind, $body).await?;
                    still_subscribed(&framework).await
                })
            },
        }
    };
}

pub(super) const CASES: &[Case] = &[
    case!(Nothing, Both, "calls/a-stream-id-is-required", no_stream_id),
    case!(Nothing, Both, "calls/another-stream-id-is-refused", wrong_stream_id),
    case!(Nothing, Json, "calls/the-framework-is-named-on-its-stream-too", no_framework_id),
    case!(Nothing, Json, "calls/answers-keep-the-connection", keep_alive),
    case!(Nothing, Json, "calls/the-long-path-takes-calls", long_path),
    bodiless!("calls/accept-has-a-body", "ACCEPT", "accept"),
    bodiless!("calls/decline-has-a-body", "DECLINE", "decline"),
    bodiless!("calls/kill-has-a-body", "KILL", "kill"),
    bodiless!("calls/shutdown-has-a-body", "SHUTDOWN", "shutdown"),
    bodiless!("calls/acknowledge-has-a-body", "ACKNOWLEDGE", "acknowledge"),
    bodiless!("calls/reconcile-has-a-body", "RECONCILE", "reconcile"),
    bodiless!("calls/message-has-a-body", "MESSAGE", "message"),
    bodiless!("calls/request-has-a-body", "REQUEST", "request"),
    taken!("calls/a-request-is-taken", "REQUEST", json!({"requests": []})),
    taken!(
        "calls/a-message-to-nobody-is-taken",
        "MESSAGE",
        json!({"agent_id": {"value": "nope"}, "executor_id": {"value": "e"}, "data": "eA=="})
    ),
    taken!(
        "calls/a-shutdown-of-nobody-is-taken",
        "SHUTDOWN",
        json!({"agent_id": {"value": "nope"}, "executor_id": {"value": "e"}})
    ),
    taken!(
        "calls/accept-of-no-offer-is-taken",
        "ACCEPT",
        json!({"offer_ids": [], "operations": []})
    ),
    taken!("calls/decline-of-no-offer-is-taken", "DECLINE", json!({"offer_ids": []})),
    taken!(
        "calls/decline-of-an-unknown-offer-is-taken",
        "DECLINE",
        json!({"offer_ids": [{"value": "no-such-offer"}]})
    ),
    taken!("calls/suppress-of-another-role-is-taken", "SUPPRESS", json!({"roles": ["other"]})),
    taken!(
        "calls/reconcile-of-no-operation-is-taken",
        "RECONCILE_OPERATIONS",
        json!({"operations": []})
    ),
    case!(Nothing, Both, "calls/an-unknown-acknowledgement-is-taken", unknown_acknowledgement),
    case!(Nothing, Both, "calls/a-uuid-has-16-bytes", short_uuid),
    case!(Nothing, Both, "calls/update-framework-is-answered-200", update_framework),
    case!(Nothing, Json, "calls/update-framework-cannot-change-the-user", update_user),
    case!(Nothing, Both, "calls/teardown-ends-the-stream", teardown),
    case!(Nothing, Json, "calls/a-removed-framework-is-not-found", after_teardown),
    case!(Nothing, Both, "calls/a-removed-framework-cannot-come-back", subscribe_removed),
];

async fn still_subscribed(framework: &Framework) -> Outcome {
    framework
        .events
        .none("ERROR", std::time::Duration::from_millis(100), |event| event["type"] == "ERROR")
        .await?;
    framework.tell_only("SUPPRESS").await
}

async fn no_stream_id(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let request = context.scheduler_request(&framework.call("SUPPRESS", None))?;
    let text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    context.ask_master(&request).await?.is(400, text)
}

async fn wrong_stream_id(context: &Context) -> Outcome {
    const OTHER: &str = "11111111-2222-3333-4444-555555555555";
    let framework = Framework::subscribe_suppressed(context).await?;
    let request = context.scheduler_request(&framework.call("SUPPRESS", None))?;
    let text = other_stream(OTHER, &framework.id);
    context.ask_master(&request.with("Mesos-Stream-Id", OTHER)).await?.is(400, &text)
}

/// What is said of a stream id that is not, or no longer, the framework's.
pub(super) fn other_stream(stream: &str, framework: &str) -> String {
    format!(
        "The stream ID '{stream}' included in this request didn't match the stream ID currently \
         associated with framework ID {framework}"
    )
}

async fn no_framework_id(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let text = "Failed to validate scheduler::Call: Expecting 'framework_id' to be present";
    framework.send(&json!({"type": "SUPPRESS"})).await?.is(400, text)
}

async fn keep_alive(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let request = context.scheduler_request(&framework.call("SUPPRESS", None))?;
    let request = request.with("Mesos-Stream-Id", &framework.stream);
    let mut connection = Connection::open(&context.target().master).await?;
    for _ in 0..3 {
        connection.exchange(&request).await?.accepted()?;
    }
    Ok(())
}

async fn long_path(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let mut request = context.scheduler_request(&framework.call("SUPPRESS", None))?;
    "/master/api/v1/scheduler".clone_into(&mut request.path);
    let request = request.with("Mesos-Stream-Id", &framework.stream);
    context.ask_master(&request).await?.accepted()
}

fn acknowledgement(uuid: &str) -> Value {
    json!({"agent_id": {"value": "a"}, "task_id": {"value": "x"}, "uuid": uuid})
}

async fn unknown_acknowledgement(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.tell("ACKNOWLEDGE", acknowledgement(&context.uuid())).await
}

async fn short_uuid(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let call = framework.call("ACKNOWLEDGE", Some(acknowledgement("c2hvcnQ=")));
    let text = "Failed to validate scheduler::Call: Not a valid UUID";
    framework.send(&call).await?.is(400, text)
}

fn update_call(framework: &Framework, info: Value) -> Value {
    let info = with(info, "id", json!({"value": framework.id}));
    let body = json!({"framework_info": info, "suppressed_roles": ["*"]});
    framework.call("UPDATE_FRAMEWORK", Some(body))
}

async fn update_framework(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let info = with(framework.info.clone(), "name", json!("another name"));
    let answer = framework.send(&update_call(&framework, info)).await?;
    answer.has_status(200)?;
    equal("body", answer.text(), "")?;
    still_subscribed(&framework).await
}

async fn update_user(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let user = framework.info["user"].as_str().unwrap_or_default();
    let text = format!(
        "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; \
         attempted to update from '{user}' to 'other'"
    );
    let info = with(framework.info.clone(), "user", json!("other"));
    framework.send(&update_call(&framework, info)).await?.is(400, &text)
}

async fn teardown(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.events.take("HEARTBEAT", SOON, |event| event["type"] == "HEARTBEAT").await?;
    framework.tell_only("TEARDOWN").await?;
    super::subscriptions::ends(&framework.events).await
}

async fn after_teardown(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.tell_only("TEARDOWN").await?;
    framework.events.end(SOON).await?;
    let answer = framework.send(&framework.call("REVIVE", None)).await?;
    answer.is(400, "Framework cannot be found")
}

async fn subscribe_removed(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.tell_only("TEARDOWN").await?;
    framework.events.end(SOON).await?;
    let call = again(&framework);
    super::subscriptions::error_of(context, &call, "Framework has been removed").await
}

/// The SUBSCRIBE of a framework that has its id already.
pub(super) fn again(framework: &Framework) -> Value {
    let info = with(framework.info.clone(), "id", json!({"value": framework.id}));
    json!({
        "type": "SUBSCRIBE",
        "framework_id": {"value": framework.id},
        "subscribe": {"framework_info": info},
    })
}
