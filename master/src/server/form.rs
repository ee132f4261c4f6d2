//! The form that a request speaks and wants, by its headers, and the records of a stream in it.

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use muster_proto::{Form, InvalidForm, json};

use super::reply::Refusal;

/// That of a request's body.
pub(super) fn of_body(headers: &HeaderMap) -> Result<Form, Refusal> {
    Ok(Form::of_body(headers.get(CONTENT_TYPE).map(|value| value.as_bytes()))?)
}

/// That of the answer. A value that is no text allows nothing.
pub(super) fn of_answer(headers: &HeaderMap) -> Result<Form, Refusal> {
    let values = headers.get_all(ACCEPT).iter();
    let values: Vec<_> = values.map(|value| value.to_str().unwrap_or_default()).collect();
    Ok(Form::of_answer(&values)?)
}

/// A message as one record of a stream.
pub(super) fn record<M: prost::Message + json::Fields>(form: Form, message: &M) -> Bytes {
    let mut record = Vec::new();
    form.write_record(message, &mut record);
    record.into()
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
