//! What must hold for whatever bytes come from outside.
//!
//! Each target has a `check`, which panics when something does not hold, and `seeds`, bytes that
//! libFuzzer starts from. `scripts/fuzz` runs them under libFuzzer; `tests/seeds.rs` runs them over
//! the seeds, pieces of them and what was found before, and needs nothing but cargo.

pub mod agent_protocol;
pub mod json;
pub mod protobuf;
pub mod recordio;
mod samples;
pub mod supervisor_socket;
mod target;
mod travel;

pub use target::{Target, UnknownTarget};
