//! The messages that the scheduler API and the executor API of Mesos v1 share.
//!
//! Names, numbers, defaults and the order of fields are facts of the protocol (package `mesos.v1`,
//! as of Mesos 1.12). What a message nests there stands beside it here, under a name of its own.

mod checks;
mod cluster;
mod command;
mod constraints;
mod container;
mod discovery;
mod ids;
mod network;
mod offers;
mod operations;
mod resources;
mod status;
mod task;
mod values;
mod volumes;

pub use checks::*;
pub use cluster::*;
pub use command::*;
pub use constraints::*;
pub use container::*;
pub use discovery::*;
pub use ids::*;
pub use network::*;
pub use offers::*;
pub use operations::*;
pub use resources::*;
pub use status::*;
pub use task::*;
pub use values::*;
pub use volumes::*;
