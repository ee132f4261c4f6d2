//! How much of the cluster each role is worth, against others.

use muster_api::{Now, limits};

use super::{
    event::Step,
    framework::Framework,
    master::Master,
    record,
    role::{InvalidRole, Role},
};

/// Why a weight cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWeight {
    /// The name is none of a role.
    #[error("`{role}` is no name of a role: {why}")]
    Role {
        /// The name.
        role: String,
        /// What is wrong with it.
        why: String,
    },
    /// The number is none of a weight.
    #[error(
        "{thousandths} thousandths are no weight; it is from 0.001 to {}",
        limits::WEIGHT_MAX / 1_000
    )]
    Weight {
        /// The number.
        thousandths: u32,
    },
    /// There are too many.
    #[error("{} roles have weights of their own, and there is no room for more", limits::WEIGHTS)]
    TooMany,
}

impl Master {
    /// Sets the weight of a role, or of a path that leads to roles, from now on. Where several
    /// frameworks share the cluster, what they are offered and do not use yet is withdrawn and
    /// offered anew by the new weights.
    pub fn set_weight(
        &mut self,
        now: Now,
        role: &str,
        thousandths: u32,
    ) -> Result<Step, InvalidWeight> {
        let invalid = |error: InvalidRole| InvalidWeight::Role {
            role: role.to_owned(),
            why: error.to_string(),
        };
        let role = Role::new(role).map_err(invalid)?;
        if !(1..=limits::WEIGHT_MAX).contains(&thousandths) {
            return Err(InvalidWeight::Weight { thousandths });
        }
        let weights = self.books.weights();
        if !weights.contains_key(&role) && weights.len() >= limits::WEIGHTS {
            return Err(InvalidWeight::TooMany);
        }
        let mut step = Step::default();
        if self.books.set_weight(role.clone(), thousandths) {
            step.writes.push(record::put_weight(&role, thousandths));
            let subscribed =
                self.frameworks.iter().filter(|(_, one)| Framework::is_subscribed(one));
            let subscribed: Vec<_> = subscribed.map(|(id, _)| id.clone()).collect();
            if subscribed.len() > 1 {
                subscribed.iter().for_each(|id| self.rescind_of(id, &mut step));
            }
        }
        self.conclude(now, &mut step);
        Ok(step)
    }
}
