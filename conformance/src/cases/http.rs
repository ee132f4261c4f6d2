//! What a master answers before it looks at who calls: method, type, body.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SCHEDULER},
    http::Request,
    outcome::{Outcome, equal, holds},
};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const WRONG_TYPE: &str = "Expecting 'Content-Type' of application/json or application/x-protobuf";

/// A line of the table: a request that needs no framework, and its answer.
macro_rules! refused {
    ($speaks:ident, $name:literal, $status:literal, $text:expr, $request:expr) => {
        Case {
            name: $name,
            needs: $crate::case::Needs::Nothing,
            speaks: $crate::case::Speaks::$speaks,
            run: |context| {
                Box::pin(async move {
                    let request = context.authorized($request);
                    context.ask_master(&request).await?.is($status, $text)
                })
            },
        }
    };
}

/// The same of a JSON body.
macro_rules! refused_json {
    ($name:literal, $text:expr, $body:expr) => {
        refused!(Json, $name, 400, $text, json_post($body))
    };
}

pub(super) const CASES: &[Case] = &[
    case!(Nothing, Json, "http/get-is-not-allowed", get),
    case!(Nothing, Json, "http/put-is-not-allowed", put),
    refused!(
        Json,
        "http/content-type-is-required",
        400,
        "Expecting 'Content-Type' to be present",
        Request::post(SCHEDULER, "{}")
    ),
    refused!(Json, "http/other-types-are-unsupported", 415, WRONG_TYPE, typed("text/plain")),
    refused!(
        Json,
        "http/content-type-has-no-parameters",
        415,
        WRONG_TYPE,
        typed("application/json; charset=utf-8")
    ),
    refused!(Json, "http/content-type-is-lower-case", 415, WRONG_TYPE, typed("Application/JSON")),
    refused_json!(
        "http/half-an-object-is-no-json",
        "Failed to parse body into JSON: syntax error at line 1 near: ",
        "{"
    ),
    refused_json!(
        "http/an-empty-body-is-no-json",
        "Failed to parse body into JSON: syntax error at line 1 near: ",
        ""
    ),
    refused_json!(
        "http/an-array-is-no-call",
        "Failed to convert JSON into Call protobuf: Expecting a JSON object",
        "[]"
    ),
    refused_json!(
        "http/a-call-has-a-type",
        "Failed to validate scheduler::Call: Expecting 'type' to be present",
        "{}"
    ),
    refused_json!(
        "http/an-unknown-type-is-none",
        "Failed to validate scheduler::Call: Expecting 'type' to be present",
        r#"{"type":"BOGUS"}"#
    ),
    refused_json!(
        "http/a-number-is-no-type",
        "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'",
        r#"{"type":1}"#
    ),
    refused_json!(
        "http/unknown-fields-are-ignored",
        "Failed to validate scheduler::Call: Expecting 'subscribe' to be present",
        r#"{"type":"SUBSCRIBE","bogus":1}"#
    ),
    refused!(
        Protobuf,
        "http/garbage-is-no-protobuf",
        400,
        "Failed to parse body into Call protobuf",
        protobuf_post([0xff; 3])
    ),
    refused!(
        Protobuf,
        "http/an-empty-protobuf-has-no-type",
        400,
        "Failed to validate scheduler::Call: Expecting 'type' to be present",
        protobuf_post([])
    ),
    refused_json!(
        "http/subscribe-has-a-body",
        "Failed to validate scheduler::Call: Expecting 'subscribe' to be present",
        r#"{"type":"SUBSCRIBE"}"#
    ),
    refused_json!(
        "http/a-framework-has-a-user",
        "Failed to convert JSON into Call protobuf: \
         Missing required fields: subscribe.framework_info.user",
        r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x"}}}"#
    ),
    refused_json!(
        "http/a-framework-has-a-name",
        "Failed to convert JSON into Call protobuf: \
         Missing required fields: subscribe.framework_info.name",
        r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"x"}}}"#
    ),
    refused_json!(
        "http/calls-name-their-framework",
        "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
        r#"{"type":"REVIVE"}"#
    ),
    refused_json!(
        "http/the-framework-is-to-be-known",
        "Framework cannot be found",
        r#"{"type":"REVIVE","framework_id":{"value":"nope"}}"#
    ),
    refused!(
        Json,
        "http/the-long-path-is-the-same",
        400,
        "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
        Request::post("/master/api/v1/scheduler", r#"{"type":"REVIVE"}"#)
            .with("Content-Type", JSON)
            .with("Accept", JSON)
    ),
    case!(Nothing, Json, "http/version-is-told", version),
    case!(Nothing, Json, "http/health-is-empty", health),
    case!(Nothing, Json, "http/operators-ask-for-health", operator_health),
    case!(Nothing, Json, "http/operators-ask-for-the-version", operator_version),
];

fn typed(content_type: &str) -> Request {
    Request::post(SCHEDULER, "{}").with("Content-Type", content_type)
}

fn json_post(body: &str) -> Request {
    Request::post(SCHEDULER, body).with("Content-Type", JSON).with("Accept", JSON)
}

fn protobuf_post(body: impl Into<Vec<u8>>) -> Request {
    Request::post(SCHEDULER, body).with("Content-Type", PROTOBUF).with("Accept", PROTOBUF)
}

async fn get(context: &Context) -> Outcome {
    only_post(context, Request::get(SCHEDULER)).await
}

async fn put(context: &Context) -> Outcome {
    let put = Request { method: "PUT".to_owned(), ..json_post("{}") };
    only_post(context, put).await
}

async fn only_post(context: &Context, request: Request) -> Outcome {
    let method = request.method.clone();
    let answer = context.ask_master(&context.authorized(request)).await?;
    equal("Allow", answer.head.header("allow"), "POST")?;
    let text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received";
    answer.is(405, &format!("{text} '{method}'."))
}

async fn version(context: &Context) -> Outcome {
    let answer = context.ask_master(&Request::get("/version")).await?;
    answer.has_status(200)?;
    equal("Content-Type", answer.head.header("content-type"), JSON)?;
    has_version(&answer.json()?["version"])
}

async fn health(context: &Context) -> Outcome {
    let answer = context.ask_master(&Request::get("/health")).await?;
    answer.has_status(200)?;
    equal("body", answer.text(), "")
}

async fn operator_health(context: &Context) -> Outcome {
    let expected = json!({"type": "GET_HEALTH", "get_health": {"healthy": true}});
    equal("answer", operator(context, "GET_HEALTH").await?, expected)
}

async fn operator_version(context: &Context) -> Outcome {
    let answer = operator(context, "GET_VERSION").await?;
    equal("type", answer["type"].clone(), "GET_VERSION")?;
    has_version(&answer["get_version"]["version_info"]["version"])
}

async fn operator(context: &Context, kind: &str) -> Outcome<Value> {
    let body = json!({"type": kind}).to_string();
    let request = Request::post("/api/v1", body).with("Content-Type", JSON).with("Accept", JSON);
    let answer = context.ask_master(&context.authorized(request)).await?;
    answer.has_status(200)?;
    answer.json()
}

/// Clients compare it: three numbers, of which the first says v1.
fn has_version(version: &Value) -> Outcome {
    let text = version.as_str().unwrap_or_default();
    let numbers: Vec<_> = text.split(['.', '-']).take(3).map(str::parse::<u32>).collect();
    let fits = numbers.len() == 3 && numbers.iter().all(Result::is_ok) && !text.starts_with("0.");
    holds("version", fits, version, "MAJOR.MINOR.PATCH, from 1.0.0 on")
}
