//! What there is on the master's port.

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, UPGRADE},
};
use muster_proto::agent::{STREAM_PATH, STREAM_UPGRADE};

use super::{
    calls,
    guest::Caller,
    listener::Server,
    operator,
    reply::{self, Refusal, Reply},
};

/// Answers a request.
pub(super) async fn answer(server: &Server, caller: &Caller, request: Request<Incoming>) -> Reply {
    let upgrades = asks_for_stream(&request);
    let (parts, body) = request.into_parts();
    if upgrades {
        return switch();
    }
    // Mesos serves every path also under the name of its process.
    let path = parts.uri.path();
    let path = path.strip_prefix("/master").filter(|path| path.starts_with('/')).unwrap_or(path);
    let reply = match path {
        "/api/v1/scheduler" => calls::serve(server, caller, &parts, body).await,
        "/api/v1" => operator::call(server, caller, &parts, body).await,
        _ if path.starts_with("/api/v1/") => operator::call(server, caller, &parts, body).await,
        "/health" => operator::health(&parts.method),
        "/version" => operator::version(&parts.method),
        "/state" => operator::state(server, caller, &parts).await,
        "/redirect" => Ok(reply::redirect(&format!("//{}", caller.here))),
        _ => Err(Refusal::not_found()),
    };
    reply.unwrap_or_else(Refusal::reply)
}

/// Whether an agent asks for its stream.
pub(super) fn asks_for_stream<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST
        && request.uri().path() == STREAM_PATH
        && wants_upgrade(request.headers())
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(STREAM_UPGRADE))
}

fn switch() -> Reply {
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(STREAM_UPGRADE));
    reply
}
