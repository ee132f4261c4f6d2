//! The tables by which messages are read and written.

use serde_json::Value;

use super::{
    read::{Place, Problem, Reader},
    write::Object,
};

/// A message that has a form in JSON. `messages!` makes this for each.
pub trait Fields: Default + 'static {
    /// What Mesos calls the message in its answers.
    const NAME: &'static str;
    /// Its fields, in the order in which they are written.
    const FIELDS: &'static [Field<Self>];
}

/// An enumeration whose values have names in JSON. `enumerations!` makes this for each.
pub trait Names {
    /// Each name with its number.
    const NAMES: &'static [(&'static str, i32)];

    /// The name of a number, if it is one of the values known here.
    fn name(number: i32) -> Option<&'static str> {
        Self::NAMES.iter().find(|(_, of)| *of == number).map(|(name, _)| *name)
    }

    /// The number of a name, if it is one of the values known here.
    fn number(name: &str) -> Option<i32> {
        Self::NAMES.iter().find(|(of, _)| *of == name).map(|(_, number)| *number)
    }
}

type ReadField<M> = fn(&mut M, &Value, Place, &mut Reader) -> Result<(), Problem>;
type WriteField<M> = fn(&M, &'static str, &mut Object<'_>) -> bool;

/// One field of the message `M`.
#[derive(Debug)]
pub struct Field<M> {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// What is written when the field is not set, as JSON.
    pub(super) default: Option<&'static str>,
    pub(super) read: ReadField<M>,
    pub(super) write: WriteField<M>,
}

impl<M> Field<M> {
    /// A field by its name as Rust writes it, whether it must be there, its default, and how its
    /// value is read into a message and written from one. Writing tells whether there was anything
    /// to write.
    pub const fn new(
        name: &'static str,
        required: bool,
        default: Option<&'static str>,
        read: ReadField<M>,
        write: WriteField<M>,
    ) -> Self {
        Self { name: without_raw_mark(name), required, default, read, write }
    }
}

/// `type` for `r#type`: a word of Rust can be the name of a field.
pub(crate) const fn without_raw_mark(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}
