//! The master's port: the socket that agents dial, and the HTTP calls of frameworks.
//!
//! Agents open their stream with an HTTP upgrade and prove that they know the join token; see
//! [`muster_proto::agent`]. What they say then goes to the core as events, in order and with
//! back-pressure: while the channel of events is full nothing is read. [`Connections`] carries
//! what the core answers. Logs pass beside the core: they are no state.
//!
//! Frameworks speak the scheduler API of Mesos v1: every call becomes an event, and its answer is
//! an effect. [`Streams`] carries both that and the events of the subscriptions.

mod backlog;
mod bounds;
mod calls;
mod connection;
mod connections;
mod credentials;
mod form;
mod guest;
mod handshake;
mod keeper;
mod listener;
mod logs;
mod operator;
mod outbox;
mod reply;
mod rooms;
mod routes;
mod state;
mod streams;
mod tally;
mod turnstile;

pub use bounds::Bounds;
pub use connections::Connections;
pub use credentials::Credentials;
pub use listener::{Events, ServerConfig, bind, serve, serve_within};
pub use logs::{ReadLogError, ReadLogRequest};
pub use state::Cluster;
pub use streams::Streams;
pub use tally::Counts;
