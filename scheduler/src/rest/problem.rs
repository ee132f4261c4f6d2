//! Errors as users see them: RFC 9457 problem details with codes that never change.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use muster_api::{
    spec::{Fault, InvalidDocument},
    views::Problem,
};
use muster_engine::event::Rejected;

use super::{logs::LogError, reader::ReadError};
use crate::handle::Unavailable;

/// Seconds after which a request that was refused for lack of room may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    InvalidRequest,
    InvalidDocument,
    Conflict,
    VersionMismatch,
    TooManyWaiting,
    QueueFull,
    PayloadTooLarge,
    UnsupportedMediaType,
    RequestTimeout,
    Unavailable,
    Internal,
}

impl Code {
    /// Its status, its name for programs, and its name for people.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is no such thing"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This cannot be done here")
            }
            Self::InvalidRequest => {
                (StatusCode::BAD_REQUEST, "invalid_request", "The request cannot be understood")
            }
            Self::InvalidDocument => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_document", "The document has faults")
            }
            Self::Conflict => {
                (StatusCode::CONFLICT, "conflict", "The present state does not allow this")
            }
            Self::VersionMismatch => {
                (StatusCode::PRECONDITION_FAILED, "version_mismatch", "Another version is stored")
            }
            Self::TooManyWaiting => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_waiting", "Too many runs wait already")
            }
            Self::QueueFull => {
                (StatusCode::SERVICE_UNAVAILABLE, "queue_full", "Too many runs of all jobs wait")
            }
            Self::PayloadTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be JSON",
            ),
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request came too slowly")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The scheduler cannot answer now")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The scheduler has failed")
            }
        }
    }
}

/// A request that is not served, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
}

impl Refusal {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new() }
    }

    /// The request is wrong in itself.
    pub(super) fn request(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// There is no such thing.
    pub(super) fn not_found(kind: &str, name: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {kind} `{name}`"))
    }

    /// The document has these faults.
    pub(super) fn faults(faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [fault] => fault.to_string(),
            faults => format!("the document has {} faults", faults.len()),
        };
        Self { code: Code::InvalidDocument, detail, faults }
    }

    /// The driver answered another question. It never does.
    pub(super) fn misunderstanding() -> Self {
        tracing::error!("the driver answered another question than it was asked");
        Self::new(Code::Internal, "the scheduler misunderstood itself; its log says more")
    }
}

impl From<InvalidDocument> for Refusal {
    fn from(invalid: InvalidDocument) -> Self {
        Self::faults(invalid.faults)
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        let code = match rejected {
            Rejected::Invalid { faults } => return Self::faults(faults),
            Rejected::NotFound { .. } => Code::NotFound,
            Rejected::VersionMismatch { .. } => Code::VersionMismatch,
            Rejected::Conflict { .. } => Code::Conflict,
            Rejected::TooManyWaiting { .. } => Code::TooManyWaiting,
            Rejected::QueueFull { .. } => Code::QueueFull,
        };
        Self::new(code, rejected.to_string())
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(Code::Unavailable, unavailable.to_string())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot read from the store");
        Self::new(Code::Internal, error.to_string())
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        let code = match error {
            LogError::Away { .. } | LogError::Late { .. } => Code::Unavailable,
            LogError::Foreign { .. } => Code::NotFound,
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, title) = self.code.parts();
        let problem = Problem {
            kind: format!("/problems/{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: code.to_owned(),
            faults: self.faults,
        };
        let mut response = (status, Json(problem)).into_response();
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, value);
        };
        set(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.code {
            Code::Unauthorized => {
                set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"muster\""));
            }
            Code::TooManyWaiting | Code::QueueFull | Code::Unavailable => {
                set(header::RETRY_AFTER, RETRY_AFTER);
            }
            // What is left of the body is not read, so the connection is of no more use.
            Code::PayloadTooLarge | Code::RequestTimeout => {
                set(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_no_fault_of_the_request() {
        let refusal = Refusal::from(Rejected::QueueFull { waiting: 7 });
        assert!(refusal.detail.starts_with("7 runs wait"), "{}", refusal.detail);
        let response = refusal.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }
}
