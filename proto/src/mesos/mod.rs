//! The messages that the scheduler API and the executor API of Mesos v1 share.
//!
//! Field numbers, enum values and defaults are facts of the protocol (package `mesos.v1`).

mod cluster;
mod ids;
mod status;
mod task;
mod values;

pub use cluster::*;
pub use ids::*;
pub use status::*;
pub use task::*;
pub use values::*;
