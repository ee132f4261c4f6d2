//! Who may ask, and who that is.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Rest,
    problem::{Code, Refusal},
};
use crate::trace::Actor;

/// The other end of the connection of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Who asks. There is one token and one user so far, and no request without it gets here.
pub(super) struct By(pub(super) Actor);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map(|Peer(address)| *address);
        Ok(Self(Actor::admin(peer)))
    }
}

/// Lets requests with the administrator's token through.
pub(super) async fn require_token(
    State(rest): State<Rest>,
    request: Request,
    next: Next,
) -> Response {
    let presented = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    match presented.and_then(bearer) {
        Some(token) if rest.token().is(token) => next.run(request).await,
        Some(_) => refuse("the token is not valid"),
        None => refuse("the request has no header `Authorization: Bearer TOKEN`"),
    }
}

/// The token in the header's value; the name of the scheme may be in any case (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn refuse(what: &str) -> Response {
    let detail = format!(
        "{what}; the administrator's token is in the file `admin.token` in the data folder"
    );
    Refusal::new(Code::Unauthorized, detail).into_response()
}
