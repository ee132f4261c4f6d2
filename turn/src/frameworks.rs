//! What operators order of frameworks: who may be one, and what their roles are worth. The master
//! knows them, and carries it out.

use std::time::Duration;

use muster_api::{
    Now,
    spec::Fault,
    views::{ClusterView, CredentialView, RoleView},
};
use muster_engine::{
    event::{Accepted, Change, Command, Rejected, RequestId},
    query::{Answer, Query},
};
use muster_master::core::{InvalidPrincipal, InvalidWeight, Master, NotRemoved, Step};

use crate::{
    event::{Effect, Turn},
    turn::Core,
};

impl Core {
    /// How long a framework may keep an offer that it does nothing with; none is for ever. Where
    /// the hosts are those of another master, that has a time of its own.
    pub fn offer_timeout(&mut self, timeout: Option<Duration>) {
        if let Some(master) = self.upstream.master() {
            master.offer_timeout(timeout);
        }
    }

    /// Carries out an order about frameworks; nothing if the command is none, or the frameworks are
    /// those of another master. The answer leaves last, with all that follows from it in the same
    /// commit.
    pub(crate) fn order_of_frameworks(
        &mut self,
        now: Now,
        request: RequestId,
        command: &Command,
    ) -> Option<Turn> {
        let master = self.upstream.master()?;
        let done = match command {
            Command::SetWeight { role, thousandths } => set_weight(master, now, role, *thousandths),
            Command::CreateCredential { principal, digest } => {
                create_credential(master, now, principal, *digest)
            }
            Command::RevokeCredential { principal } => revoke_credential(master, now, principal),
            Command::RemoveFramework { framework } => remove(master, now, framework),
            _ => return None,
        };
        let mut turn = Turn::default();
        let reply = done.map(|(step, accepted)| {
            self.master_did(step, &mut turn);
            self.run(now, &mut turn);
            accepted
        });
        turn.effects.push(Effect::Reply { request, reply });
        Some(turn)
    }
}

/// What a master knows of frameworks, if that is the question.
pub(crate) fn answer(master: &Master, now: Now, query: &Query) -> Option<Answer> {
    match query {
        Query::Frameworks => Some(Answer::Frameworks(master.frameworks(now))),
        Query::Roles => Some(Answer::Roles(master.roles())),
        Query::Credentials => Some(Answer::Credentials(master.credentials())),
        Query::Cluster { rows } => Some(Answer::Cluster(Box::new(ClusterView {
            agents: master.agents(now),
            frameworks: master.frameworks(now),
            offers: master.offers(now, 0, *rows),
            tasks: master.framework_tasks(0, *rows),
        }))),
        _ => None,
    }
}

fn set_weight(
    master: &mut Master,
    now: Now,
    name: &str,
    thousandths: u32,
) -> Result<(Step, Accepted), Rejected> {
    let step = master.set_weight(now, name, thousandths).map_err(|error| not_weighed(&error))?;
    let role = master.roles().into_iter().find(|role| role.role == name);
    // One that nobody has and that is worth what most are is nothing that is kept.
    let role = role.unwrap_or_else(|| RoleView {
        role: name.to_owned(),
        weight_thousandths: thousandths,
        ..RoleView::default()
    });
    let change = if step.writes.is_empty() { Change::Unchanged } else { Change::Updated };
    Ok((step, Accepted::Role(Box::new(role), change)))
}

fn create_credential(
    master: &mut Master,
    now: Now,
    principal: &str,
    digest: [u8; 32],
) -> Result<(Step, Accepted), Rejected> {
    if master.credentials().iter().any(|known| known.principal == principal) {
        let detail = format!(
            "`{principal}` has a credential already, and whoever uses it would be locked out; \
             revoke that first"
        );
        return Err(Rejected::Conflict { detail });
    }
    let step = master.set_credential(now, principal, digest).map_err(|error| not_let_in(&error))?;
    let credential = CredentialView { principal: principal.to_owned(), created_at: now.wall };
    Ok((step, Accepted::Credential(credential)))
}

fn revoke_credential(
    master: &mut Master,
    now: Now,
    principal: &str,
) -> Result<(Step, Accepted), Rejected> {
    match master.revoke_credential(now, principal) {
        Some(step) => Ok((step, Accepted::Revoked)),
        None => Err(Rejected::NotFound { kind: "credential", name: principal.to_owned() }),
    }
}

fn remove(master: &mut Master, now: Now, id: &str) -> Result<(Step, Accepted), Rejected> {
    match master.remove(now, id) {
        Ok(step) => Ok((step, Accepted::Removed)),
        Err(NotRemoved::Unknown { .. }) => {
            Err(Rejected::NotFound { kind: "framework", name: id.to_owned() })
        }
        Err(error @ NotRemoved::Embedded { .. }) => {
            Err(Rejected::Conflict { detail: error.to_string() })
        }
    }
}

fn not_weighed(error: &InvalidWeight) -> Rejected {
    let field = match error {
        InvalidWeight::Role { .. } => "role",
        InvalidWeight::Weight { .. } => "weight",
        InvalidWeight::TooMany => return Rejected::Conflict { detail: error.to_string() },
    };
    Rejected::Invalid {
        faults: vec![Fault { field: field.to_owned(), message: error.to_string() }],
    }
}

fn not_let_in(error: &InvalidPrincipal) -> Rejected {
    match error {
        InvalidPrincipal::Name { .. } => Rejected::Invalid {
            faults: vec![Fault { field: "principal".to_owned(), message: error.to_string() }],
        },
        InvalidPrincipal::TooMany => Rejected::Conflict { detail: error.to_string() },
    }
}
