//! The two forms of the messages of Mesos on the wire, and which of them a request speaks and wants.
//!
//! Headers come in here as their bare values, for nothing here knows HTTP.

use prost::Message;

use crate::{json, recordio, wire};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// How a message of Mesos is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

/// Why a request is in no form, or wants its answer in none. The words are those of Mesos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForm {
    /// It has no `Content-Type`.
    #[error("Expecting 'Content-Type' to be present")]
    Missing,
    /// Its `Content-Type` is another one.
    #[error("Expecting 'Content-Type' of {JSON} or {PROTOBUF}")]
    Unknown,
    /// Its `Accept` allows neither.
    #[error("Expecting 'Accept' to allow '{PROTOBUF}' or '{JSON}'")]
    Unacceptable,
}

/// Why a body is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// It is no JSON of it.
    #[error(transparent)]
    Json(#[from] json::InvalidJson),
    /// It is no protobuf of it.
    #[error(transparent)]
    Protobuf(#[from] wire::InvalidMessage),
}

impl Form {
    /// That of a body with this `Content-Type`. Mesos compares the whole value, so
    /// `application/json; charset=utf-8` is neither.
    pub fn of_body(content_type: Option<&[u8]>) -> Result<Self, InvalidForm> {
        match content_type {
            None => Err(InvalidForm::Missing),
            Some(value) if value == JSON.as_bytes() => Ok(Self::Json),
            Some(value) if value == PROTOBUF.as_bytes() => Ok(Self::Protobuf),
            Some(_) => Err(InvalidForm::Unknown),
        }
    }

    /// That of the answer to a request with these values of `Accept`. Whoever takes both, or does
    /// not say, gets JSON.
    pub fn of_answer(accept: &[&str]) -> Result<Self, InvalidForm> {
        let forms = [Self::Json, Self::Protobuf];
        let accepted = forms.into_iter().find(|form| accepts(accept, form.media_type()));
        accepted.ok_or(InvalidForm::Unacceptable)
    }

    /// The value of `Content-Type`; some clients want nothing beside it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        }
    }

    /// A message from a body of at most `limit` bytes.
    pub fn read<M>(self, body: &[u8], limit: usize) -> Result<M, InvalidBody>
    where
        M: Message + json::Fields + wire::Shaped,
    {
        match self {
            Self::Json => Ok(json::from_slice(body, limit)?),
            Self::Protobuf => Ok(wire::from_slice(body)?),
        }
    }

    /// Appends a message as one record of a stream.
    pub fn write_record<M: Message + json::Fields>(self, message: &M, out: &mut Vec<u8>) {
        match self {
            Self::Json => recordio::encode(&json::to_vec(message), out),
            Self::Protobuf => recordio::encode_message(message, out),
        }
    }
}

/// Whether these values allow an answer of this kind: none at all allow every kind, and a weight of
/// zero takes a kind out.
fn accepts(values: &[&str], media_type: &str) -> bool {
    let mut ranges = values.iter().flat_map(|value| value.split(','));
    values.is_empty()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let mut weights = parts.filter_map(|part| part.strip_prefix("q="));
            let refused =
                weights.any(|weight| weight.parse().is_ok_and(|weight: f32| weight <= 0.0));
            !refused && includes(name, media_type)
        })
}

fn includes(range: &str, media_type: &str) -> bool {
    let of_kind =
        |kind: &str| kind.ends_with('/') && kind.len() > 1 && media_type.starts_with(kind);
    range == "*/*" || range == media_type || range.strip_suffix('*').is_some_and(of_kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_json_where_json_is_taken() {
        for (accept, wanted) in [
            (&[][..], Some(Form::Json)),
            (&["*/*"], Some(Form::Json)),
            (&["application/*"], Some(Form::Json)),
            (&["application/x-protobuf, application/json"], Some(Form::Json)),
            (&["application/x-protobuf", "application/json;q=0.1"], Some(Form::Json)),
            (&["application/x-protobuf"], Some(Form::Protobuf)),
            (&["application/json;q=0, */*"], Some(Form::Json)),
            (&["application/json; q=0.0, application/x-protobuf"], Some(Form::Protobuf)),
            (&["text/html"], None),
            (&["/*"], None),
            (&["application/jsonp"], None),
            (&["*/*;q=0"], None),
            (&[""], None),
        ] {
            assert_eq!(Form::of_answer(accept).ok(), wanted, "{accept:?}");
        }
    }

    #[test]
    fn the_type_of_a_body_is_exact() {
        for (value, wanted) in [
            ("application/json", Ok(Form::Json)),
            ("application/x-protobuf", Ok(Form::Protobuf)),
            ("application/json; charset=utf-8", Err(InvalidForm::Unknown)),
            ("Application/JSON", Err(InvalidForm::Unknown)),
        ] {
            assert_eq!(Form::of_body(Some(value.as_bytes())), wanted, "{value}");
        }
        assert_eq!(Form::of_body(None), Err(InvalidForm::Missing));
    }
}
