//! Notices: what the engine wants told is sent to webhooks, and what became of that is told it.
//!
//! Nothing is decided here: which notice goes where, in which order and how often is a matter of
//! `engine/src/outbox.rs`. A delivery is one POST over a connection of its own.

mod post;
mod sender;
mod signature;
mod tls;

pub use sender::Notifying;
pub(crate) use sender::{Deliveries, Sender, channel};
