//! Who may call over HTTP: principals, each with the digest of its secret.
//!
//! The shell compares secrets when a call begins. The core keeps what is stored, says at the start
//! and at each change who there is, and looks again when it carries a call out: its body may have
//! come long after its credentials were revoked.

use std::collections::BTreeMap;

use muster_api::{Now, Timestamp, limits, views::CredentialView};
use muster_proto::FrameworkId;

use super::{
    event::{Effect, Principal, Step},
    framework::{Framework, Standing},
    master::Master,
    record,
};

/// What is stored of one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    /// The SHA-256 of its secret.
    pub(super) digest: [u8; 32],
    pub(super) created_at: Timestamp,
}

/// Why a principal cannot be given a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// The name cannot be sent, or not told apart from its secret.
    #[error(
        "`{name}` is no name of a principal; it has 1 to {} bytes, and no colon or control \
         character",
        limits::OPAQUE_ID_BYTES
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {} credentials, and no room for one more", limits::CREDENTIALS)]
    TooMany,
}

impl Master {
    /// Lets a principal call over HTTP with a secret of this SHA-256. A secret that it had before
    /// counts no longer; what it has subscribed goes on.
    pub fn set_credential(
        &mut self,
        now: Now,
        principal: &str,
        digest: [u8; 32],
    ) -> Result<Step, InvalidPrincipal> {
        let name = || principal.to_owned();
        let strange = |c: char| c == ':' || c.is_control();
        let fits = (1..=limits::OPAQUE_ID_BYTES).contains(&principal.len());
        if !fits || principal.contains(strange) {
            return Err(InvalidPrincipal::Name { name: name() });
        }
        let is_new = !self.credentials.contains_key(principal);
        if is_new && self.credentials.len() >= limits::CREDENTIALS {
            return Err(InvalidPrincipal::TooMany);
        }
        let credential = Credential { digest, created_at: now.wall };
        let mut step = Step::default();
        step.writes.push(record::put_credential(principal, &credential));
        self.credentials.insert(name(), credential);
        self.tell_credentials(&mut step);
        self.conclude(now, &mut step);
        Ok(step)
    }

    /// Lets a principal call no longer, and ends the streams that it has. Nothing if it has none.
    pub fn revoke_credential(&mut self, now: Now, principal: &str) -> Option<Step> {
        self.credentials.remove(principal)?;
        let mut step = Step::default();
        step.writes.push(record::delete_credential(principal));
        self.tell_credentials(&mut step);
        let proved = |framework: &Framework| match &framework.standing {
            Standing::Subscribed { principal: proved, .. } => proved.as_deref() == Some(principal),
            Standing::Away { .. } | Standing::Removed { .. } => false,
        };
        let theirs = self.frameworks.iter().filter(|(_, framework)| proved(framework));
        for id in theirs.map(|(id, _)| id.clone()).collect::<Vec<FrameworkId>>() {
            if let Some(stream) = self.frameworks.get(&id).and_then(Framework::stream) {
                step.end_stream(stream);
            }
            self.lose(now, &id, &mut step);
        }
        self.conclude(now, &mut step);
        Some(step)
    }

    /// Whether who a caller has proved to be still may call, by the secret that proved it. Nobody
    /// is asked for one where frameworks need no credentials.
    pub(super) fn still_counts(&self, principal: Option<&Principal>) -> bool {
        principal.is_none_or(|proved| {
            let known = self.credentials.get(&proved.name);
            known.is_some_and(|known| known.digest == proved.digest)
        })
    }

    /// Who may call over HTTP, by name.
    pub fn credentials(&self) -> Vec<CredentialView> {
        let view = |(principal, credential): (&String, &Credential)| CredentialView {
            principal: principal.clone(),
            created_at: credential.created_at,
        };
        self.credentials.iter().map(view).collect()
    }

    pub(super) fn tell_credentials(&self, step: &mut Step) {
        let digest = |(principal, one): (&String, &Credential)| (principal.clone(), one.digest);
        let all: BTreeMap<_, _> = self.credentials.iter().map(digest).collect();
        step.effects.push(Effect::Credentials(all));
    }
}
