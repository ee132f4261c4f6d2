//! SUBSCRIBE: its answer, its stream, and what is refused of it and how.

use std::time::Duration;

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SCHEDULER, SOON},
    encoding::{Encoding, Side},
    events::{End, Events},
    framework::{Framework, open_stream},
    http::Request,
    outcome::{Outcome, differs, equal, holds},
    tasks::with,
};

/// Heartbeats come each 15 s.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A machine may be late by so much.
const SLACK: Duration = Duration::from_secs(30);

/// A line of the table: a description that is answered by ERROR and the end of the stream.
macro_rules! error {
    ($name:literal, $message:expr, $info:expr) => {
        Case {
            name: $name,
            needs: $crate::case::Needs::Nothing,
            speaks: $crate::case::Speaks::Both,
            run: |context| {
                Box::pin(async move {
                    let change: fn(Value) -> Value = $info;
                    error(&context, &change(context.framework_info()), $message).await
                })
            },
        }
    };
}

pub(super) const CASES: &[Case] = &[
    case!(Nothing, Both, "subscribe/the-answer-is-a-chunked-stream", head),
    case!(Nothing, Both, "subscribe/subscribed-is-first", subscribed_is_first),
    case!(Nothing, Both, "subscribe/a-heartbeat-comes-at-once", heartbeat_at_once),
    case!(Nothing, Json, "subscribe/heartbeats-come-each-15-seconds", heartbeats),
    case!(Nothing, Json, "subscribe/nothing-is-compressed", not_compressed),
    case!(Nothing, Json, "subscribe/a-closing-connection-has-a-stream-too", connection_close),
    case!(Nothing, Json, "subscribe/json-is-preferred", json_is_preferred),
    case!(Nothing, Json, "subscribe/json-without-accept", json_without_accept),
    case!(Nothing, Json, "subscribe/call-and-events-differ-in-encoding", protobuf_for_json),
    case!(Nothing, Json, "subscribe/other-accept-is-not-acceptable", not_acceptable),
    case!(Nothing, Json, "subscribe/no-stream-id-is-sent", with_stream_id),
    case!(Nothing, Json, "subscribe/both-ids-are-the-same", ids_differ),
    case!(Nothing, Json, "subscribe/the-id-is-inside-too", id_only_outside),
    case!(Nothing, Both, "subscribe/each-framework-gets-its-own-id", own_ids),
    case!(Nothing, Both, "subscribe/an-empty-id-is-none", empty_id),
    case!(Nothing, Both, "subscribe/an-unknown-id-is-adopted", unknown_id),
    case!(Nothing, Json, "subscribe/a-negative-failover-timeout-is-taken", negative_failover),
    case!(Nothing, Json, "subscribe/any-user-is-taken", any_user),
    error!(
        "subscribe/a-role-cannot-start-with-a-slash",
        "'FrameworkInfo.roles' contains invalid role: Role '/b' cannot start with a slash",
        |info| with(info, "roles", json!(["a", "/b"]))
    ),
    error!(
        "subscribe/role-and-multi-role-exclude-each-other",
        "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        |info| with(with(info, "roles", json!(["y"])), "role", json!("x"))
    ),
    error!(
        "subscribe/roles-are-distinct",
        "'FrameworkInfo.roles' contains duplicate items: { a }",
        |info| with(info, "roles", json!(["a", "a"]))
    ),
    error!(
        "subscribe/roles-need-multi-role",
        "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
        |info| with(with(info, "roles", json!(["a"])), "capabilities", json!([]))
    ),
    error!(
        "subscribe/a-huge-failover-timeout-is-refused",
        "The framework failover_timeout (1e+20) is invalid",
        |info| with(info, "failover_timeout", json!(1e20))
    ),
    case!(Nothing, Both, "subscribe/an-id-has-no-slash", bad_id),
];

async fn head(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let head = framework.events.head();
    equal("Transfer-Encoding", head.header("transfer-encoding"), "chunked")?;
    let content_type = head.header("content-type");
    equal("Content-Type", content_type, context.encoding().content_type())?;
    let length = framework.stream.len();
    holds(
        "Mesos-Stream-Id",
        (1..=128).contains(&length),
        &json!(framework.stream),
        "1 to 128 bytes",
    )
}

async fn subscribed_is_first(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let body = &framework.subscribed;
    equal("heartbeat interval", body["heartbeat_interval_seconds"].clone(), 15.0)?;
    let master = &body["master_info"];
    for field in ["id", "hostname", "pid", "version"] {
        let is_told = master[field].as_str().is_some_and(|text| !text.is_empty());
        holds(&format!("master_info.{field}"), is_told, &master[field], "a text")?;
    }
    holds("master_info.ip", master["ip"].is_u64(), &master["ip"], "a number")?;
    let address = &master["address"];
    equal("port in address", address["port"].clone(), master["port"].clone())?;
    // The number is the address in network order, read as it lies in memory.
    let bytes = master["ip"].as_u64().unwrap_or(0).to_le_bytes();
    let told = format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
    equal("ip in address", address["ip"].clone(), told)
}

async fn heartbeat_at_once(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    // At once is before the first interval is over.
    let is_one = |event: &Value| *event == json!({"type": "HEARTBEAT"});
    framework.events.take("HEARTBEAT", HEARTBEAT, is_one).await?;
    Ok(())
}

/// None is early, reckoned from before the subscription: that holds however late a machine is. The
/// last one is late by no more than a machine may be.
async fn heartbeats(context: &Context) -> Outcome {
    let since = clock::mono();
    let framework = Framework::subscribe_suppressed(context).await?;
    let is_one = |event: &Value| event["type"] == "HEARTBEAT";
    for number in 0..3 {
        let due = HEARTBEAT * number;
        let arrived = framework.events.take("HEARTBEAT", due + SLACK, is_one).await?;
        let took = arrived.at.since(since);
        let expected = format!("{due:?} and more");
        holds("time of a heartbeat", took >= due, &json!(took.as_secs_f64()), &expected)?;
    }
    Ok(())
}

async fn not_compressed(context: &Context) -> Outcome {
    let request = subscribe_request(context)?.with("Accept-Encoding", "gzip");
    let events = open(context, &request).await?;
    equal("Content-Encoding", events.head().header("content-encoding"), Value::Null)?;
    first_is_subscribed(&events).await
}

async fn connection_close(context: &Context) -> Outcome {
    let request = subscribe_request(context)?.with("Connection", "close");
    let events = open(context, &request).await?;
    equal("Transfer-Encoding", events.head().header("transfer-encoding"), "chunked")?;
    first_is_subscribed(&events).await?;
    events.take("HEARTBEAT", SOON, |event| event["type"] == "HEARTBEAT").await?;
    Ok(())
}

async fn json_is_preferred(context: &Context) -> Outcome {
    for accept in ["*/*", "application/x-protobuf, application/json"] {
        let events = open(context, &accepting(context, Some(accept))?).await?;
        let content_type = events.head().header("content-type");
        equal(&format!("Content-Type for {accept}"), content_type, "application/json")?;
        first_is_subscribed(&events).await?;
    }
    Ok(())
}

async fn json_without_accept(context: &Context) -> Outcome {
    let events = open(context, &accepting(context, None)?).await?;
    equal("Content-Type", events.head().header("content-type"), "application/json")?;
    first_is_subscribed(&events).await
}

async fn protobuf_for_json(context: &Context) -> Outcome {
    let request = accepting(context, Some("application/x-protobuf"))?;
    let master = &context.target().master;
    let events = Events::open(master, &request, Encoding::Protobuf, Side::Scheduler).await?;
    equal("Content-Type", events.head().header("content-type"), "application/x-protobuf")?;
    first_is_subscribed(&events).await
}

async fn not_acceptable(context: &Context) -> Outcome {
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    context.ask_master(&accepting(context, Some("text/plain"))?).await?.is(406, text)
}

async fn with_stream_id(context: &Context) -> Outcome {
    let request = subscribe_request(context)?.with("Mesos-Stream-Id", "abc");
    let text = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
    context.ask_master(&request).await?.is(400, text)
}

async fn ids_differ(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "id", json!({"value": "b"}));
    refused_for_ids(context, "a", &info).await
}

async fn id_only_outside(context: &Context) -> Outcome {
    refused_for_ids(context, "a", &context.framework_info()).await
}

async fn refused_for_ids(context: &Context, outside: &str, info: &Value) -> Outcome {
    let call = with(subscribe_call(info), "framework_id", json!({"value": outside}));
    let text = "Failed to validate scheduler::Call: \
                'framework_id' differs from 'subscribe.framework_info.id'";
    context.ask_master(&context.scheduler_request(&call)?).await?.is(400, text)
}

async fn own_ids(context: &Context) -> Outcome {
    let one = Framework::subscribe_suppressed(context).await?;
    let other = Framework::subscribe_suppressed(context).await?;
    holds("ids", one.id != other.id, &json!([one.id, other.id]), "two different ones")?;
    let streams = json!([one.stream, other.stream]);
    holds("stream ids", one.stream != other.stream, &streams, "two different ones")
}

async fn empty_id(context: &Context) -> Outcome {
    subscribe_with_id(context, "").await?;
    Ok(())
}

async fn unknown_id(context: &Context) -> Outcome {
    let id = context.unique("never-seen");
    let framework = subscribe_with_id(context, &id).await?;
    equal("id", framework.id, id)
}

async fn subscribe_with_id(context: &Context, id: &str) -> Outcome<Framework> {
    let info = with(context.framework_info(), "id", json!({"value": id}));
    let mut call = with(subscribe_call(&info), "framework_id", json!({"value": id}));
    call["subscribe"]["suppressed_roles"] = json!(["*"]);
    Framework::open(context, &call).await
}

async fn negative_failover(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "failover_timeout", json!(-1.0));
    Framework::suppressed_as(context, info).await?;
    Ok(())
}

async fn any_user(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "user", json!("no-such-user-here"));
    Framework::suppressed_as(context, info).await?;
    Ok(())
}

async fn bad_id(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "id", json!({"value": "a/b"}));
    let call = with(subscribe_call(&info), "framework_id", json!({"value": "a/b"}));
    error_of(context, &call, "'a/b' contains invalid characters").await
}

async fn error(context: &Context, info: &Value, message: &str) -> Outcome {
    error_of(context, &subscribe_call(info), message).await
}

/// Holds if the stream has one event, ERROR with this message, and then its end.
pub(super) async fn error_of(context: &Context, call: &Value, message: &str) -> Outcome {
    let events = open_stream(context, call).await?;
    equal("status", events.head().status, 200)?;
    let expected = json!({"type": "ERROR", "error": {"message": message}});
    equal("first event", events.next(SOON).await?.event, expected)?;
    ends(&events).await
}

/// Holds if the stream ends as its server meant it, with nothing more on it.
pub(super) async fn ends(events: &Events) -> Outcome {
    let end = events.end(SOON).await?;
    if end != End::Complete {
        return Err(differs("end of the stream", &json!(format!("{end:?}")), "its final chunk"));
    }
    let more: Vec<_> = events.drain().into_iter().map(|arrived| arrived.event).collect();
    equal("more events", Value::from(more), json!([]))
}

fn subscribe_call(info: &Value) -> Value {
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
}

fn suppressed_call(context: &Context) -> Value {
    let body = json!({"framework_info": context.framework_info(), "suppressed_roles": ["*"]});
    json!({"type": "SUBSCRIBE", "subscribe": body})
}

fn subscribe_request(context: &Context) -> Outcome<Request> {
    context.scheduler_request(&suppressed_call(context))
}

fn accepting(context: &Context, accept: Option<&str>) -> Outcome<Request> {
    let body = context.encoding().encode_call(Side::Scheduler, &suppressed_call(context))?;
    let request =
        Request::post(SCHEDULER, body).with("Content-Type", context.encoding().content_type());
    let request = match accept {
        Some(accept) => request.with("Accept", accept),
        None => request,
    };
    Ok(context.authorized(request))
}

async fn open(context: &Context, request: &Request) -> Outcome<Events> {
    let master = &context.target().master;
    Ok(Events::open(master, request, context.encoding(), Side::Scheduler).await?)
}

async fn first_is_subscribed(events: &Events) -> Outcome {
    equal("status", events.head().status, 200)?;
    let first = events.next(SOON).await?.event;
    // Its framework goes with its stream: without a failover timeout it is removed at once.
    equal("type of the first event", first["type"].clone(), "SUBSCRIBED")
}
