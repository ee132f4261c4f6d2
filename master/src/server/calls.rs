//! `POST /api/v1/scheduler`: what a framework asks, judged in the order of a Mesos master until it
//! is whole, then handed to the core, whose answer is the answer.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode, body::Incoming, header::CONTENT_LENGTH, http::request::Parts};
use muster_api::limits;
use muster_proto::{
    Form,
    scheduler::{Call, CallType},
};

use super::{
    backlog::{Backlog, EventBody},
    form,
    guest::Caller,
    keeper::Keeper,
    listener::Server,
    reply::{self, Refusal, Reply, STREAM_ID},
    rooms::Room,
    streams::{Asked, NewStream},
    tally::UNREAD,
    turnstile::{Lane, Passage},
};
use crate::core::{Answer, Event, Foreign, Principal, StreamName, validate_call};

/// What credentials are for, as clients are told.
const REALM: &str = "mesos-master-scheduler";

/// Serves one call.
pub(super) async fn serve(
    server: &Server,
    caller: &Caller,
    parts: &Parts,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let mut kind = None;
    let served = take(server, caller, parts, body, &mut kind).await;
    let status = served.as_ref().map_or_else(|refusal| refusal.status, Reply::status);
    let kind = kind.map_or(UNREAD, CallType::as_str_name);
    server.streams.tally().called(kind, status.as_u16());
    served
}

/// Serves one call, and tells its type as soon as that is known.
async fn take(
    server: &Server,
    caller: &Caller,
    parts: &Parts,
    body: Incoming,
    kind: &mut Option<CallType>,
) -> Result<Reply, Refusal> {
    let anonymous = server.anonymous_frameworks;
    let principal = server.credentials.identify(&parts.headers, anonymous, REALM)?;
    if parts.method != Method::POST {
        return Err(Refusal::method(&parts.method, "POST"));
    }
    let form = form::of_body(&parts.headers)?;
    let (body, _large) = read(server, caller, principal.as_ref(), parts, body).await?;
    let _place = server.turnstile.admit()?;
    caller.visitor.leave();
    let name = parts.headers.get(STREAM_ID).map(|name| name.to_str().unwrap_or_default());
    let named = server.streams.named(name);
    // The message may take many times what its bytes do, so these count until it is served.
    let _passage = server.turnstile.pass(lane(named, principal.as_ref()), body.len()).await?;
    let call = decode(form, &body)?;
    drop(body);
    *kind = call.r#type.and_then(|kind| CallType::try_from(kind).ok());
    validate_call(&call, principal.as_ref().map(|proved| &*proved.name))
        .map_err(|invalid| Refusal::invalid(invalid.to_string()))?;
    match *kind {
        Some(CallType::Subscribe) => subscribe(server, caller, parts, principal, call).await,
        Some(CallType::ReconcileOperations) => {
            form::of_answer(&parts.headers)?;
            pass_on(server, name, principal, call).await
        }
        _ => pass_on(server, name, principal, call).await,
    }
}

fn lane(named: StreamName, principal: Option<&Principal>) -> Lane {
    match (named, principal) {
        (StreamName::Open(stream), _) => Lane::Stream(stream),
        (_, Some(principal)) => Lane::Principal(principal.name.clone()),
        (_, None) => Lane::Nobody,
    }
}

/// Hands any call but SUBSCRIBE to the core, with what is said of its stream at that moment.
async fn pass_on(
    server: &Server,
    name: Option<&str>,
    principal: Option<Principal>,
    call: Call,
) -> Result<Reply, Refusal> {
    let named = server.streams.named(name);
    let asked = server.streams.ask();
    let by = Foreign { request: asked.request, principal, call };
    let answer = submit(server, asked, Event::Foreign { by, named }).await?;
    answered(answer, name.unwrap_or_default()).map(reply::empty)
}

/// Begins a stream, if the core lets it.
async fn subscribe(
    server: &Server,
    caller: &Caller,
    parts: &Parts,
    principal: Option<Principal>,
    call: Call,
) -> Result<Reply, Refusal> {
    let form = form::of_answer(&parts.headers)?;
    if parts.headers.contains_key(STREAM_ID) {
        let message = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
        return Err(Refusal::invalid(message));
    }
    let name = new_name()?;
    let backlog = Backlog::new(server.bounds.backlog);
    // From here on the core hears of the stream's end whatever becomes of this request: the body
    // is dropped with it.
    let events = EventBody(Arc::clone(&backlog));
    let stream = server.streams.open(
        server.bounds.streams,
        NewStream {
            name: name.clone(),
            form,
            backlog: Arc::clone(&backlog),
            here: caller.here,
            heartbeat: server.bounds.heartbeat.as_secs_f64(),
        },
    );
    let stream = stream.ok_or_else(|| {
        let most = server.bounds.streams;
        Refusal::unavailable(format!("There are {most} subscriptions already"))
    })?;
    let asked = server.streams.ask();
    let by = Foreign { request: asked.request, principal, call };
    let event = Event::Subscribe { by, stream };
    server.keep(Keeper {
        stream,
        backlog,
        form,
        visitor: caller.visitor.clone(),
        streams: server.streams.clone(),
        bounds: server.bounds,
        events: server.events.frameworks.clone(),
    });
    let answer = submit(server, asked, event).await?;
    answered(answer, &name)?;
    Ok(reply::stream(&name, form, events))
}

/// Hands a call to the core and waits for its answer.
async fn submit(server: &Server, mut asked: Asked, event: Event) -> Result<Answer, Refusal> {
    let stopping = || Refusal::unavailable("The master is stopping");
    server.events.frameworks.send(event).await.map_err(|_| stopping())?;
    (&mut asked.answer).await.map_err(|_| stopping())
}

/// The status of an answer to a call that said it belongs to the stream `name`.
fn answered(answer: Answer, name: &str) -> Result<StatusCode, Refusal> {
    let (status, message) = match answer {
        Answer::Streaming | Answer::Done => return Ok(StatusCode::OK),
        Answer::Accepted => return Ok(StatusCode::ACCEPTED),
        Answer::Invalid(message) => (StatusCode::BAD_REQUEST, message),
        Answer::OtherStream(framework) => {
            let message = format!(
                "The stream ID '{name}' included in this request didn't match the stream ID \
                 currently associated with framework ID {}",
                framework.value
            );
            (StatusCode::BAD_REQUEST, message)
        }
        Answer::Unauthorized => return Err(Refusal::unauthorized(REALM)),
        Answer::Forbidden(message) => (StatusCode::FORBIDDEN, message),
        Answer::Conflict(message) => (StatusCode::CONFLICT, message),
        Answer::Unknown(message) => (StatusCode::NOT_IMPLEMENTED, message),
    };
    Err(Refusal::new(status, message))
}

/// All of a body. There are a few large ones at a time, from their reading to their answer; so the
/// time that a body has is short, and counts anew once a large one has its turn.
async fn read<'a>(
    server: &'a Server,
    caller: &Caller,
    principal: Option<&Principal>,
    parts: &Parts,
    mut body: Incoming,
) -> Result<(Vec<u8>, Option<Passage<'a>>), Refusal> {
    let too_long = || {
        let message = format!("A call is at most {} bytes", limits::CALL_BYTES);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits::CALL_BYTES) {
        return Err(too_long());
    }
    caller.visitor.wait_in(Room::Bodies);
    let mut bytes = Vec::new();
    let mut large = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::invalid("The body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limits::CALL_BYTES {
            return Err(too_long());
        }
        if bytes.len() + data.len() > limits::CALL_SMALL_BYTES && large.is_none() {
            caller.visitor.wait_in(Room::Idle);
            let sender = lane(StreamName::Missing, principal);
            large = Some(server.turnstile.read_large(sender).await);
            caller.visitor.wait_in(Room::Bodies);
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, large))
}

fn decode(form: Form, body: &[u8]) -> Result<Call, Refusal> {
    form.read(body, limits::CALL_BYTES).map_err(|error| Refusal::invalid(error.to_string()))
}

/// A name for a stream that nobody guesses: knowing it is what lets a call in.
fn new_name() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "there is no randomness for the name of a stream");
        Refusal::unavailable("The master has no randomness")
    })?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}
