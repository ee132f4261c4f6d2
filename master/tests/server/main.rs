//! The master's port, over real connections to 127.0.0.1.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agents;
mod calls;
mod flood;
mod http;
mod streams;
mod world;
