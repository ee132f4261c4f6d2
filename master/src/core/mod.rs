//! The pure master: agents, frameworks, offers and the one ledger of resources.
//!
//! [`Master::step`] takes one event and says what is to be stored and what is to be sent. It does
//! no I/O and reads no clock. Mesos messages come in and go out as values; floating-point numbers
//! become fixed point at the door (`wire.rs`).
//!
//! Agents, also those that were declared gone, frameworks, weights of roles and credentials are
//! stored. Tasks, executors and offers are not: an agent that comes back brings what lives on it,
//! and what it does not bring is over.

mod accept;
mod agent;
mod agent_views;
mod agents;
mod books;
mod call_form;
mod calls;
mod check;
mod constraints;
mod credentials;
mod drain;
mod event;
mod filters;
mod foreign;
mod framework;
mod framework_views;
mod gone;
mod hello;
mod here;
mod info;
mod launch;
mod lost;
mod master;
mod note;
mod offer_views;
mod offers;
mod questions;
mod rebuild;
mod reconcile;
mod record;
mod removal;
mod reports;
mod role;
mod share;
mod sharing;
mod silence;
mod subscribe;
mod term;
mod timers;
mod validate;
mod weights;
mod wire;
mod words;

pub use call_form::{InvalidCall, validate_call};
pub use credentials::InvalidPrincipal;
pub use drain::NotDrained;
pub use event::{
    AgentNews, Answer, Connection, Effect, Event, Foreign, Principal, Request, Step, Stream,
    StreamName,
};
pub use gone::NotGone;
pub use master::Master;
pub use note::Note;
pub use record::{RestoreError, knows_agent, knows_framework};
pub use removal::NotRemoved;
pub use term::next_term;
pub use weights::InvalidWeight;
