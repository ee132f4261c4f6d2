//! The answers to requests, as a Mesos master writes them.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ALLOW, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, TRANSFER_ENCODING,
        WWW_AUTHENTICATE,
    },
};
use muster_api::clock;
use muster_proto::Form;

use super::backlog::EventBody;

/// The name of the stream that a call belongs to.
pub(super) const STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

/// The answer to a request: all of it, or the events of a stream.
pub(super) type Reply = Response<Either<Full<Bytes>, EventBody>>;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
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

    /// 503: try again.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 503: too early.
    pub(super) fn not_recovered() -> Self {
        Self::unavailable("Master has not finished recovery")
    }

    /// 401: nobody has proved to be anybody.
    pub(super) fn unauthorized(realm: &'static str) -> Self {
        let realm = HeaderValue::from_str(&format!("Basic realm=\"{realm}\""));
        let realm = realm.expect("a realm has no control characters");
        let header = Some((WWW_AUTHENTICATE, realm));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, "401 Unauthorized.") }
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404 Not Found.")
    }

    /// 405, with the only method that there is.
    pub(super) fn method(found: &hyper::Method, allowed: &'static str) -> Self {
        let message = format!(
            "405 Method Not Allowed. Expecting one of {{ '{allowed}' }}, but received '{found}'."
        );
        let header = Some((ALLOW, HeaderValue::from_static(allowed)));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// The answer that says so.
    pub(super) fn reply(self) -> Reply {
        let mut reply = begin(self.status, self.message.into());
        let headers = reply.headers_mut();
        headers.extend(self.header);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        reply
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    begin(status, Bytes::new())
}

/// An answer in JSON.
pub(super) fn json(value: &serde_json::Value) -> Reply {
    let mut reply = begin(StatusCode::OK, value.to_string().into());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Sends whoever asks to another address.
pub(super) fn redirect(location: &str) -> Reply {
    let mut reply = empty(StatusCode::TEMPORARY_REDIRECT);
    let location = HeaderValue::from_str(location).expect("an address has no control characters");
    reply.headers_mut().insert(LOCATION, location);
    reply
}

/// The answer whose body are the events of a stream, its headers in the order of Mesos.
pub(super) fn stream(name: &str, form: Form, events: EventBody) -> Reply {
    let mut reply = Response::new(Either::Right(events));
    let name = HeaderValue::from_str(name).expect("a uuid has no control characters");
    *reply.headers_mut() = HeaderMap::from_iter([
        (DATE, date()),
        (TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        (STREAM_ID, name),
        (CONTENT_TYPE, HeaderValue::from_static(form.media_type())),
    ]);
    reply
}

fn begin(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(DATE, date());
    reply
}

fn date() -> HeaderValue {
    let since = Duration::from_millis(u64::try_from(clock::wall().as_millis()).unwrap_or(0));
    let text = httpdate::fmt_http_date(UNIX_EPOCH + since);
    HeaderValue::from_str(&text).expect("a date has no control characters")
}
