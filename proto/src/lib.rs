//! The wire of Muster: the Mesos v1 messages, in protobuf and JSON, our agent protocol, and
//! RecordIO.
//!
//! Nothing here does I/O. The messages are written out by hand, with the field numbers of the
//! Mesos v1 protocol, so that a build needs no protobuf compiler. Scalars that Mesos marks as
//! required are plain fields. In protobuf one that is missing reads as its default, and validation
//! finds it where that is no valid value; in JSON one that is missing is refused.

#[macro_use]
mod declare;

pub mod agent;
pub mod executor;
pub mod json;
mod mesos;
pub mod recordio;
pub mod scheduler;

pub use mesos::*;
