//! Engine, session and embedded master as one: events in, writes and effects out.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod drains;
mod foreign;
mod frameworks;
mod hosts;
mod sharing;
mod world;
