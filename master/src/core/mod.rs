//! The pure master: agents, frameworks, offers and the one ledger of resources.
//!
//! [`Master::step`] takes one event and says what is to be stored and what is to be sent. It does
//! no I/O and reads no clock. Mesos messages come in and go out as values; floating-point numbers
//! become fixed point at the door (`wire.rs`).
//!
//! Agents, also those that were declared gone, and frameworks are stored. Tasks, executors and
//! offers are not: an agent that comes back brings what lives on it, and what it does not bring is
//! over.

mod accept;
mod agent;
mod agent_views;
mod agents;
mod calls;
mod check;
mod drain;
mod event;
mod framework;
mod gone;
mod hello;
mod master;
mod offer_views;
mod offers;
mod reconcile;
mod record;
mod reports;
mod sharing;
mod timers;
mod validate;
mod wire;

pub use drain::NotDrained;
pub use event::{AgentNews, Connection, Effect, Event, Note, Step};
pub use gone::NotGone;
pub use master::Master;
pub use record::RestoreError;
