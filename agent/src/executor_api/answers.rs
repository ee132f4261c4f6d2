//! The answers to requests, as a Mesos agent writes them.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Method, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};
use muster_proto::{Form, InvalidForm};

use super::events::EventBody;
use crate::core::Answer;

/// What a request must prove to be where it must prove something.
const REALM: &str = "Bearer realm=\"mesos-agent-executor\"";

/// The answer to a request: all of it, or the events of a stream.
pub(super) type Reply = Response<Either<Full<Bytes>, EventBody>>;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), header: None }
    }

    /// 400.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404 Not Found.")
    }

    /// 405, with the only method that there is.
    pub(super) fn method(found: &Method, allowed: &'static str) -> Self {
        let message = format!(
            "405 Method Not Allowed. Expecting one of {{ '{allowed}' }}, but received '{found}'."
        );
        let header = Some((ALLOW, HeaderValue::from_static(allowed)));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// 503: the agent is about to end.
    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The agent is stopping")
    }

    /// What a call is answered that may not be made now; `None` is one that may.
    pub(super) fn of(answer: Answer) -> Option<Self> {
        let (status, message) = match answer {
            Answer::Accepted => return None,
            Answer::Unauthenticated => {
                let header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(REALM)));
                let refusal = Self::new(StatusCode::UNAUTHORIZED, "401 Unauthorized.");
                return Some(Self { header, ..refusal });
            }
            Answer::Forbidden => (StatusCode::FORBIDDEN, "The token is another executor's"),
            Answer::NoFramework => (StatusCode::BAD_REQUEST, "Framework cannot be found"),
            Answer::NoExecutor => (StatusCode::BAD_REQUEST, "Executor cannot be found"),
            Answer::NotSubscribed => (StatusCode::FORBIDDEN, "Executor is not subscribed"),
            Answer::NotRecovered => {
                (StatusCode::SERVICE_UNAVAILABLE, "Agent has not finished recovery")
            }
            Answer::Crowded => {
                let words = "Too many status updates wait for their acknowledgement";
                (StatusCode::SERVICE_UNAVAILABLE, words)
            }
            Answer::Unsupported => (StatusCode::NOT_IMPLEMENTED, "Unknown call"),
        };
        Some(Self::new(status, message))
    }

    /// The answer that says so.
    pub(super) fn reply(self) -> Reply {
        let mut reply = whole(self.status, self.message);
        let headers = reply.headers_mut();
        headers.extend(self.header);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        reply
    }
}

impl From<InvalidForm> for Refusal {
    fn from(error: InvalidForm) -> Self {
        let status = match error {
            InvalidForm::Missing => StatusCode::BAD_REQUEST,
            InvalidForm::Unknown => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            InvalidForm::Unacceptable => StatusCode::NOT_ACCEPTABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// 202: the call is carried out.
pub(super) fn accepted() -> Reply {
    whole(StatusCode::ACCEPTED, Bytes::new())
}

/// An answer in plain words.
pub(super) fn plain(status: StatusCode, words: &'static str) -> Reply {
    whole(status, words)
}

/// An answer in JSON.
pub(super) fn json(value: &serde_json::Value) -> Reply {
    let mut reply = whole(StatusCode::OK, value.to_string());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// The answer whose body are the events of a stream.
pub(super) fn stream(form: Form, events: EventBody) -> Reply {
    let mut reply = Response::new(Either::Right(events));
    let media_type = HeaderValue::from_static(form.media_type());
    reply.headers_mut().insert(CONTENT_TYPE, media_type);
    reply
}

fn whole(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    *reply.status_mut() = status;
    reply
}
