//! The protobuf of Mesos: the first form of its messages, chosen by `application/x-protobuf`.
//!
//! `prost` reads protobuf as its third version is read: a scalar that is not there is its default,
//! and an enumeration is whatever number was sent. Mesos speaks the second version, where a body
//! without a required field is no message, and a number that an enumeration does not have counts as
//! not sent. So what a peer of Mesos sends is read by [`from_slice`], which looks at the bytes
//! first.
//!
//! `shape.rs` says what is known of a message for that; the tables are made where the messages are
//! declared (`declare.rs`). `field.rs` takes bytes apart into fields, `presence.rs` looks for what
//! is required.

mod field;
mod presence;
mod read;
mod shape;

pub(crate) use presence::DEEPEST;
pub use read::{InvalidMessage, from_slice};
pub use shape::{Content, Line, Shaped};
