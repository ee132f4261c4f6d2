//! The JSON of Mesos: the second form of its messages, chosen by `application/json`.
//!
//! It is neither the JSON that protobuf defines today nor what a derive would make. Reading, names
//! are those of the definitions (`framework_id`); enumerations go by name, and a name that is not
//! known counts as absent; bytes are base64; numbers and booleans may stand in strings; `null` is
//! absent; one value may stand for a list of one; what is not known is ignored; and what is
//! required and missing is told all at once, by its path. Writing, a field that is not set is
//! written with the default that Mesos declares for it, doubles have a fraction, there are no
//! spaces, and fields come in the order of the definitions. The source of these rules is how
//! `stout` of Apache Mesos converts messages, and the recordings in `tests/`.
//!
//! The messages are tables of fields, made where they are declared (`declare.rs`). What works on
//! them is here: `read.rs` and `write.rs` walk a message, `slot.rs` has what the labels mean and
//! `kind.rs` what the kinds of values do.

pub mod base64;
mod field;
mod kind;
mod read;
mod slot;
mod write;

pub(crate) use field::without_raw_mark;
pub use field::{Field, Fields, Names};
pub use kind::{Base64, Boxed, Kind, Named, Nested};
pub use read::{InvalidJson, Place, Problem, Reader, from_slice};
pub use slot::Slot;
pub use write::{Object, to_vec, write};
