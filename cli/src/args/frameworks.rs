//! What there is to say of frameworks, roles and credentials.

use clap::Subcommand;
use muster_api::Amount;

/// What to do with a framework.
#[derive(Debug, Subcommand)]
pub(crate) enum FrameworksOrder {
    /// Remove a framework for ever, with all that it runs
    ///
    /// Its executors and tasks are ended, its stream too if it has one, and it cannot come back under
    /// this id. To keep it from coming as a new one, revoke its credentials first.
    Remove {
        /// Its id, as `muster frameworks` lists it
        framework: String,
    },
}

/// What to do with a role.
#[derive(Debug, Subcommand)]
pub(crate) enum RolesOrder {
    /// Say what a role is worth against others
    ///
    /// Where frameworks of several roles want the same hosts, one of weight 3 gets three times what
    /// one of weight 1 gets. What is offered and not used yet is withdrawn and offered anew.
    Set {
        /// Its name, as in `batch` or `teams/red`
        role: String,
        /// How much, from 0.001 to 1000; 1 is what every role is worth of which nothing is said
        #[arg(long)]
        weight: Amount,
    },
}

/// What to do with credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsOrder {
    /// Let a principal in, and show its secret, this once
    Create {
        /// The name that the framework authenticates with
        principal: String,
    },
    /// List the principals that are let in
    List,
    /// Let a principal in no longer; what it has subscribed ends, its tasks go on
    Revoke {
        /// The name
        principal: String,
    },
}
