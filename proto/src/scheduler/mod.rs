//! The scheduler API of Mesos v1 (package `mesos.v1.scheduler`): a framework and its master.

mod call;
mod event;
mod response;

pub use call::*;
pub use event::*;
pub use response::*;
