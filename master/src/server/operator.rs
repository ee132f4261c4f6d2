//! What operators and consoles ask of a Mesos master, as far as clients need it.

use http_body_util::{BodyExt as _, Limited};
use hyper::{HeaderMap, Method, StatusCode, body::Incoming, http::request::Parts};
use muster_api::limits;
use muster_proto::Form;
use serde_json::{Value, json};

use super::{
    form,
    guest::Caller,
    listener::Server,
    reply::{self, Refusal, Reply},
    rooms::Room,
    state::{self, About},
    streams::MESOS_VERSION,
};

/// What credentials for `/state` are for, as clients are told.
const READ: &str = "mesos-master-readonly";
/// What those for the operator API are for.
const WRITE: &str = "mesos-master-readwrite";

/// `/health`: nothing to say.
pub(super) fn health(method: &Method) -> Result<Reply, Refusal> {
    only_get(method)?;
    Ok(reply::empty(StatusCode::OK))
}

/// `/version`: that of Mesos, whose clients compare it, and our own.
pub(super) fn version(method: &Method) -> Result<Reply, Refusal> {
    only_get(method)?;
    Ok(reply::json(&json!({
        "version": MESOS_VERSION,
        "muster_version": env!("CARGO_PKG_VERSION"),
    })))
}

/// `/state`: hosts, frameworks and tasks.
pub(super) async fn state(
    server: &Server,
    caller: &Caller,
    parts: &Parts,
) -> Result<Reply, Refusal> {
    server.credentials.identify(&parts.headers, server.anonymous_frameworks, READ)?;
    only_get(&parts.method)?;
    let _place = server.turnstile.admit()?;
    caller.visitor.leave();
    // It may be large, so it is made for one after the other.
    let _turn = server.states.acquire().await;
    let cluster = server.cluster.look().await;
    let cluster = cluster.ok_or_else(|| Refusal::unavailable("The master is stopping"))?;
    let about = About { term: server.gate.term, started: server.started, here: caller.here };
    let document = tokio::task::spawn_blocking(move || state::document(&about, &cluster)).await;
    let document = document.map_err(|_| Refusal::unavailable("The master is stopping"))?;
    Ok(reply::json(&document))
}

/// `POST /api/v1` and what is below it: health and version. There is a REST API for the rest.
pub(super) async fn call(
    server: &Server,
    caller: &Caller,
    parts: &Parts,
    body: Incoming,
) -> Result<Reply, Refusal> {
    server.credentials.identify(&parts.headers, server.anonymous_frameworks, WRITE)?;
    if parts.method != Method::POST {
        return Err(Refusal::method(&parts.method, "POST"));
    }
    caller.visitor.wait_in(Room::Bodies);
    let kind = kind_of(&parts.headers, body).await?;
    match kind.as_deref() {
        None => {
            let message = "Failed to validate master::Call: Expecting 'type' to be present";
            Err(Refusal::invalid(message))
        }
        Some("GET_HEALTH") => {
            Ok(reply::json(&json!({"type": "GET_HEALTH", "get_health": {"healthy": true}})))
        }
        Some("GET_VERSION") => Ok(reply::json(&json!({
            "type": "GET_VERSION",
            "get_version": {"version_info": {"version": MESOS_VERSION}},
        }))),
        Some(kind) => Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            format!(
                "{kind} is not served here; /state and the REST API of the scheduler have more"
            ),
        )),
    }
}

async fn kind_of(headers: &HeaderMap, body: Incoming) -> Result<Option<String>, Refusal> {
    if form::of_body(headers)? == Form::Protobuf {
        let message = "The operator API is served in JSON only";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    let body = Limited::new(body, limits::CALL_SMALL_BYTES).collect().await;
    let body = body.map_err(|_| {
        let most = limits::CALL_SMALL_BYTES;
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("A call is at most {most} bytes"))
    })?;
    let body: Value = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Refusal::invalid(format!("Failed to parse body into JSON: {error}")))?;
    Ok(body.get("type").and_then(Value::as_str).map(str::to_owned))
}

fn only_get(method: &Method) -> Result<(), Refusal> {
    if method == Method::GET { Ok(()) } else { Err(Refusal::method(method, "GET")) }
}
