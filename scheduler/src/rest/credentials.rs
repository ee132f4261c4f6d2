//! Who may call the master as a framework.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use muster_api::views::{CredentialRequest, CredentialView, NewCredentialView, Page};
use muster_engine::{
    event::{Accepted, Command},
    query::{Answer, Query},
};
use sha2::{Digest, Sha256};

use super::{
    Rest,
    auth::By,
    input::{Body, Named, NoBody, NoParams, Params},
    page::PageParams,
    problem::{Code, Refusal},
};

/// Random bytes of a secret; it is written in hex, two characters to each.
const SECRET_BYTES: usize = 32;

/// Principals in the order of their names.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<CredentialView>>, Refusal> {
    let slice = params.slice(|name| Some(name.to_owned()))?;
    let Answer::Credentials(all) = rest.driver().query(Query::Credentials).await? else {
        return Err(Refusal::misunderstanding());
    };
    Ok(Json(slice.of(all, |one| &one.principal)))
}

/// Makes a credential, and shows its secret this once.
pub(super) async fn create(
    State(rest): State<Rest>,
    By(by): By,
    _: NoParams,
    Body(request): Body<CredentialRequest>,
) -> Result<Response, Refusal> {
    let secret = secret()?;
    let digest = Sha256::digest(&secret).into();
    let command = Command::CreateCredential { principal: request.principal, digest };
    match rest.driver().command(by, command).await?? {
        Accepted::Credential(CredentialView { principal, created_at }) => {
            let made = Json(NewCredentialView { principal, secret, created_at });
            let unkept = [(header::CACHE_CONTROL, "no-store")];
            Ok((StatusCode::CREATED, unkept, made).into_response())
        }
        _ => Err(Refusal::misunderstanding()),
    }
}

/// Takes a credential back; what its principal has subscribed ends.
pub(super) async fn revoke(
    State(rest): State<Rest>,
    By(by): By,
    Named(principal): Named<String>,
    _: NoParams,
    _: NoBody,
) -> Result<StatusCode, Refusal> {
    match rest.driver().command(by, Command::RevokeCredential { principal }).await?? {
        Accepted::Revoked => Ok(StatusCode::NO_CONTENT),
        _ => Err(Refusal::misunderstanding()),
    }
}

fn secret() -> Result<String, Refusal> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes for a secret");
        Refusal::new(Code::Internal, "the system gives no random bytes; the log says more")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
