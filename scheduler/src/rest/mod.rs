//! The native REST API, `/v1`: parse, ask, render.
//!
//! Changes and questions about live state go to the driver. Documents and what is over are read
//! from the store, which holds them before the driver speaks of them. Nothing here decides, and
//! nothing here has a state of its own. The clock is read only to judge which events are of a time to
//! come.

mod agents;
mod apps;
mod auth;
mod backup;
mod change;
mod credentials;
mod event_stream;
mod events;
mod explain;
mod fires;
mod frameworks;
mod health;
mod input;
mod jobs;
mod json;
mod ledger;
mod logs;
mod metrics;
mod notices;
mod page;
mod patient;
mod problem;
mod reader;
mod routes;
mod runs;
mod server;
mod shards;

pub use self::{
    logs::{LogError, LogFuture, LogSource},
    routes::{Rest, router},
    server::serve,
};
