//! The doors of a master: where agents and frameworks come in, whoever it is that opens them.

mod agents;
mod frameworks;

pub(crate) use self::{agents::AgentDoor, frameworks::FrameworkDoor};
