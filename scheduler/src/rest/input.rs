//! What requests hold: names in paths, parameters, preconditions and bodies.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, RawPathParams, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use muster_api::{
    AgentId, AppName, JobName, RunId, limits,
    spec::{Fault, RequestBody},
};
use muster_engine::event::Expect;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    json::parse,
    problem::{Code, Refusal},
};

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(rejection) => {
                let named = RawPathParams::from_request_parts(parts, state).await.ok();
                let named = named.iter().flatten().find_map(|(kind, name)| misnomer(kind, name));
                Err(Refusal::request(named.unwrap_or_else(|| rejection.body_text())))
            }
        }
    }
}

/// What is wrong with a part of a path that names a thing of this kind, if anything is.
fn misnomer(kind: &str, name: &str) -> Option<String> {
    match kind {
        "app" => name.parse::<AppName>().err().map(|why| format!("`{name}` names no app: {why}")),
        "job" => name.parse::<JobName>().err().map(|why| format!("`{name}` names no job: {why}")),
        "run" => name.parse::<RunId>().err().map(|_| format!("`{name}` is no id of a run")),
        "agent" => name.parse::<AgentId>().err().map(|_| format!("`{name}` is no id of an agent")),
        "item" => {
            let item = name.parse::<u32>();
            item.err().map(|_| format!("`{name}` is no shard; shards are numbered 0, 1, 2 ..."))
        }
        _ => None,
    }
}

/// The parameters behind the `?`; those that are not known are refused.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let why = text.strip_prefix("Failed to deserialize query string: ");
                Err(Refusal::request(misuse(parts.uri.query(), why.unwrap_or(&text))))
            }
        }
    }
}

/// That nothing stands behind a `?`.
pub(super) struct NoParams;

impl<S: Send + Sync> FromRequestParts<S> for NoParams {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().filter(|query| !query.is_empty());
        let Some(query) = query else { return Ok(Self) };
        let name = query.split(['=', '&']).next().unwrap_or_default();
        Err(Refusal::request(format!("there is no parameter `{name}` here; it takes none")))
    }
}

/// What is wrong with the parameters, in our words where those of the libraries are known.
fn misuse(query: Option<&str>, why: &str) -> String {
    // A fault of a value stands behind the name of its parameter.
    let (name, why) = why.split_once(": ").unwrap_or(("", why));
    let given = query.unwrap_or_default().split('&');
    let given = given.filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name);
    let words = match why.split_once(", expected ") {
        Some((unknown, known)) if unknown.starts_with("unknown field ") => {
            let name = unknown.trim_start_matches("unknown field ");
            return format!("there is no parameter {name} here; known: {}", choice(known));
        }
        Some((unknown, known)) if unknown.starts_with("unknown variant ") => {
            format!("it is {}", choice(known))
        }
        _ if why.ends_with("found in string") || why.starts_with("number too") => {
            "it is a whole number".to_owned()
        }
        _ if why.starts_with("cannot parse integer") => "it is a whole number".to_owned(),
        _ if why.starts_with("UUID parsing failed") => {
            "it is an id, as in 01930000-0000-7000-8000-000000000000".to_owned()
        }
        _ if why.starts_with("provided string was not") => "it is true or false".to_owned(),
        _ => why.to_owned(),
    };
    match given {
        Some((name, value)) => format!("the parameter `{name}={value}` cannot be read: {words}"),
        None => format!("the parameters cannot be read: {words}"),
    }
}

/// A list of words as serde gives it, as in "one of `a`, `b`".
fn choice(list: &str) -> &str {
    list.trim_start_matches("one of ")
}

/// What the headers say must be stored for a change to be made.
pub(super) struct Precondition(Option<Expect>);

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let none = text_header(&parts.headers, &header::IF_NONE_MATCH)?;
        let version = text_header(&parts.headers, &header::IF_MATCH)?;
        match (none, version) {
            (None, None) => Ok(Self(None)),
            (Some("*"), None) => Ok(Self(Some(Expect::Nothing))),
            (None, Some(tag)) => match tag_version(tag) {
                Some(version) => Ok(Self(Some(Expect::Version(version)))),
                None => Err(Refusal::request(format!(
                    "`If-Match: {tag}` is not understood; it takes one version, as in \"3\""
                ))),
            },
            (Some(_), None) => Err(Refusal::request("`If-None-Match` takes `*` and nothing else")),
            (Some(_), Some(_)) => {
                Err(Refusal::request("`If-Match` and `If-None-Match` exclude each other"))
            }
        }
    }
}

impl Precondition {
    /// What must be stored, when the body may name a version too.
    pub(super) fn expect(self, version: Option<u64>) -> Result<Expect, Refusal> {
        match (self.0, version.map(Expect::Version)) {
            (Some(header), Some(body)) if header != body => Err(Refusal::request(
                "the header and the field `version` of the body expect different versions",
            )),
            (header, body) => Ok(header.or(body).unwrap_or(Expect::Anything)),
        }
    }
}

/// The version in an entity tag.
fn tag_version(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// The key under which a request is the same when it comes again.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let name = HeaderName::from_static("idempotency-key");
        match text_header(&parts.headers, &name)? {
            Some(key) if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_BYTES => {
                let max = limits::IDEMPOTENCY_KEY_BYTES;
                Err(Refusal::request(format!("`Idempotency-Key` has 1 to {max} characters")))
            }
            key => Ok(Self(key.map(str::to_owned))),
        }
    }
}

/// The value of a header that may be given once.
pub(super) fn text_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(Refusal::request(format!("the header `{name}` is not plain text"))),
        },
        (Some(_), Some(_)) => Err(Refusal::request(format!("the header `{name}` is given twice"))),
    }
}

/// A body of any JSON, whose meaning is checked later.
pub(super) struct Document(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        require_json(request.headers())?;
        Ok(Self(parse(&read(request).await?)?))
    }
}

/// A body that may be left out: it is then read as one without fields.
pub(super) struct Body<T>(pub(super) T);

impl<T: RequestBody, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        Ok(Self(T::parse(optional(request).await?)?))
    }
}

/// A body that says nothing, where there is nothing to say: it is left out, or `{}`.
pub(super) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let unknown = match optional(request).await? {
            Value::Object(fields) if fields.is_empty() => return Ok(Self),
            Value::Object(fields) => fields.into_iter().map(|(name, _)| name).collect(),
            _ => vec![String::new()],
        };
        let message = "it is not known here; this takes no body";
        let fault = |field| Fault { field, message: message.to_owned() };
        Err(Refusal::faults(unknown.into_iter().map(fault).collect()))
    }
}

/// The JSON of a body, or a map without fields where there is none.
async fn optional(request: Request) -> Result<Value, Refusal> {
    let json = require_json(request.headers());
    let bytes = read(request).await?;
    if bytes.is_empty() {
        return Ok(Map::new().into());
    }
    json?;
    parse(&bytes)
}

fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match essence {
        Some(json) if json.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(other) => Err(Refusal::new(
            Code::UnsupportedMediaType,
            format!("the body is `{other}`; send JSON with `Content-Type: application/json`"),
        )),
        None => Err(Refusal::new(
            Code::UnsupportedMediaType,
            "the body must be JSON, and the header `Content-Type: application/json` say so",
        )),
    }
}

/// The whole body, if it is not too large and does not take too long.
async fn read(request: Request) -> Result<Bytes, Refusal> {
    let body = Limited::new(request.into_body(), limits::DOCUMENT_BYTES);
    match tokio::time::timeout(limits::HTTP_READ, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            Code::PayloadTooLarge,
            format!("a body has at most {} bytes", limits::DOCUMENT_BYTES),
        )),
        Ok(Err(error)) => Err(Refusal::request(format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::new(
            Code::RequestTimeout,
            format!("the body did not arrive within {} s", limits::HTTP_READ.as_secs()),
        )),
    }
}
