//! The socket that agents dial.
//!
//! Agents open their stream with an HTTP upgrade and prove that they know the join token; see
//! [`muster_proto::agent`]. What they say then goes to the core as events, in order and with
//! back-pressure: while the channel of events is full nothing is read. [`Connections`] carries
//! what the core answers. Logs pass beside the core: they are no state.

mod connection;
mod connections;
mod handshake;
mod http;
mod logs;
mod outbox;

pub use connections::Connections;
pub use http::{Bounds, ServerConfig, bind, serve, serve_within};
pub use logs::{ReadLogError, ReadLogRequest};
