//! The HTTP server where executors find their agent. Only processes of this host reach it.
//!
//! Our own executors open one long stream, which carries calls and events both ways (`upgraded.rs`).
//! All others speak the executor API of Mesos: a call is a request (`calls.rs`), and the answer to
//! SUBSCRIBE is a stream of events that does not end (`events.rs`).

mod answers;
mod body;
mod calls;
mod events;
mod server;
mod state;
mod token;
mod upgraded;
mod validation;
mod visits;

pub(crate) use body::Permits;
pub(crate) use server::{ExecutorApi, bind};
pub(crate) use state::StateView;
pub(crate) use token::{hex, new_token};
