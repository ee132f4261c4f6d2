//! The wire of Muster: the Mesos v1 messages, our agent protocol, and RecordIO.
//!
//! Nothing here does I/O. The messages are written out by hand, with the field numbers of the
//! Mesos v1 protocol, so that a build needs no protobuf compiler. Scalars that Mesos marks as
//! required are plain fields: their default is never a valid value, so validation finds them.

pub mod agent;
pub mod executor;
mod mesos;
pub mod recordio;
pub mod scheduler;

pub use mesos::*;
