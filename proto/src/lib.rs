//! The wire of Muster: the Mesos v1 messages, in protobuf and JSON, our agent protocol, and
//! RecordIO.
//!
//! Nothing here does I/O. The messages are written out by hand, with the field numbers of the
//! Mesos v1 protocol, so that a build needs no protobuf compiler. Scalars that Mesos marks as
//! required are plain fields. What peers of Mesos send is read by [`wire::from_slice`] and
//! [`json::from_slice`], which refuse a message that lacks one of them. What Muster's own processes
//! send each other is decoded as `prost` does it: what is missing there reads as its default.

#[macro_use]
mod declare;

pub mod agent;
pub mod executor;
mod form;
pub mod json;
mod mesos;
pub mod recordio;
pub mod scheduler;
pub mod wire;

pub use form::{Form, InvalidBody, InvalidForm};
pub use mesos::*;
