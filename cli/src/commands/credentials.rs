//! `muster credentials`: who may call the master as a framework.

use muster_api::{
    limits,
    views::{CredentialRequest, CredentialView, NewCredentialView},
};
use serde_json::json;

use super::{Session, rows};
use crate::{args::CredentialsOrder, client::Call, screen::Rows};

/// Does what is said of credentials.
pub(super) async fn run(session: &Session, order: CredentialsOrder) -> anyhow::Result<()> {
    match order {
        CredentialsOrder::Create { principal } => create(session, principal).await,
        CredentialsOrder::List => list(session).await,
        CredentialsOrder::Revoke { principal } => revoke(session, &principal).await,
    }
}

async fn create(session: &Session, principal: String) -> anyhow::Result<()> {
    let call = Call::post("/v1/credentials").body(json!(CredentialRequest { principal }));
    let answer = session.client.send(call).await?;
    session.screen.answer(&answer.body, || {
        let NewCredentialView { secret, .. } = answer.read()?;
        Ok::<_, anyhow::Error>(secret)
    })?;
    if !session.screen.is_json() {
        session.screen.note("this is its secret; it is shown this once, so keep it")?;
    }
    Ok(())
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let all = 10 * limits::PAGE_ROWS;
    let page = session.client.list(Call::get("/v1/credentials"), all).await?;
    session.screen.answer(&json!(page), || {
        let credentials: Vec<CredentialView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render(&credentials))
    })
}

fn render(credentials: &[CredentialView]) -> String {
    let mut table = Rows::new(["PRINCIPAL", "SINCE"]);
    for credential in credentials {
        table.add([credential.principal.clone(), credential.created_at.to_string()]);
    }
    table.render("no credentials; make one with `muster credentials create PRINCIPAL`")
}

async fn revoke(session: &Session, principal: &str) -> anyhow::Result<()> {
    session.client.send(Call::delete("/v1/credentials").part(principal)).await?;
    session.screen.say(format!("{principal} is let in no longer"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_is_let_in_it_is_said_how_to() {
        assert!(render(&[]).contains("muster credentials create"));
        let row = json!({"principal": "fw", "created_at": "2026-01-31T02:00:00Z"});
        let text = render(&[serde_json::from_value(row).unwrap()]);
        assert!(text.contains("fw") && text.contains("2026-01-31"), "{text}");
    }
}
