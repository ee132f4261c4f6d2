//! What the kinds of values look like in JSON.

use std::{fmt::Display, marker::PhantomData};

use serde_json::{Number, Value};

use super::{
    base64,
    field::{Fields, Names},
    read::{Place, Problem, Reader},
    write::{self, double, string},
};

/// A kind of value: a scalar, an enumeration, or a message.
pub trait Kind {
    /// The type that a message keeps it in.
    type Value;

    /// The value that JSON gives; nothing if it stands for nothing, as a name does that is not
    /// known.
    fn read(
        value: &Value,
        place: Place,
        reader: &mut Reader,
    ) -> Result<Option<Self::Value>, Problem>;

    /// Whether JSON can say this value.
    fn has_form(_value: &Self::Value) -> bool {
        true
    }

    /// Appends the value, which has a form.
    fn write(value: &Self::Value, out: &mut Vec<u8>);
}

/// The message `M`.
#[derive(Debug)]
pub struct Nested<M>(PhantomData<M>);

/// The message `M` on the heap.
#[derive(Debug)]
pub struct Boxed<M>(PhantomData<M>);

/// The enumeration `E`, by name.
#[derive(Debug)]
pub struct Named<E>(PhantomData<E>);

/// Bytes.
#[derive(Debug)]
pub struct Base64;

impl<M: Fields> Kind for Nested<M> {
    type Value = M;

    fn read(value: &Value, place: Place, reader: &mut Reader) -> Result<Option<M>, Problem> {
        match value {
            Value::Object(object) => reader.nested(object, place).map(Some),
            other => Err(Problem::unexpected(other, place)),
        }
    }

    fn write(value: &M, out: &mut Vec<u8>) {
        write::write(value, out);
    }
}

impl<M: Fields> Kind for Boxed<M> {
    type Value = Box<M>;

    fn read(value: &Value, place: Place, reader: &mut Reader) -> Result<Option<Box<M>>, Problem> {
        Ok(Nested::<M>::read(value, place, reader)?.map(Box::new))
    }

    fn write(value: &Box<M>, out: &mut Vec<u8>) {
        write::write(&**value, out);
    }
}

impl<E: Names> Kind for Named<E> {
    type Value = i32;

    fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<i32>, Problem> {
        let Value::String(name) = value else { return Err(Problem::unexpected(value, place)) };
        match E::number(name) {
            None if place.required => Err(Problem::UnknownName { name: name.clone() }),
            number => Ok(number),
        }
    }

    fn has_form(value: &i32) -> bool {
        E::name(*value).is_some()
    }

    fn write(value: &i32, out: &mut Vec<u8>) {
        string(E::name(*value).expect("only a value with a form is written"), out);
    }
}

impl Kind for Base64 {
    type Value = Vec<u8>;

    fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<Vec<u8>>, Problem> {
        let Value::String(text) = value else { return Err(Problem::unexpected(value, place)) };
        let field = place.name;
        base64::decode(text).map(Some).map_err(|problem| Problem::Base64 { field, problem })
    }

    fn write(value: &Vec<u8>, out: &mut Vec<u8>) {
        out.push(b'"');
        base64::encode(value, out);
        out.push(b'"');
    }
}

impl Kind for String {
    type Value = Self;

    fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<Self>, Problem> {
        match value {
            Value::String(text) => Ok(Some(text.clone())),
            other => Err(Problem::unexpected(other, place)),
        }
    }

    fn write(value: &Self, out: &mut Vec<u8>) {
        string(value, out);
    }
}

impl Kind for bool {
    type Value = Self;

    fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<Self>, Problem> {
        match value {
            Value::Bool(value) => Ok(Some(*value)),
            Value::String(text) => match text.as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(unreadable(text, "boolean", place)),
            },
            other => Err(Problem::unexpected(other, place)),
        }
    }

    fn write(value: &Self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *value { b"true" } else { b"false" });
    }
}

impl Kind for f64 {
    type Value = Self;

    fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<Self>, Problem> {
        if let Value::String(text) = value {
            match text.as_str() {
                "Infinity" => return Ok(Some(Self::INFINITY)),
                "-Infinity" => return Ok(Some(Self::NEG_INFINITY)),
                _ => {}
            }
        }
        Ok(number(value, place)?.as_f64())
    }

    fn write(value: &Self, out: &mut Vec<u8>) {
        double(*value, out);
    }
}

/// Integers. A fraction is cut off, as Mesos does.
macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl Kind for $integer {
            type Value = Self;

            fn read(value: &Value, place: Place, _: &mut Reader) -> Result<Option<Self>, Problem> {
                let number = number(value, place)?;
                match Self::try_from(whole(&number)) {
                    Ok(value) => Ok(Some(value)),
                    Err(_) => Err(Problem::OutOfRange { number, field: place.name }),
                }
            }

            fn write(value: &Self, out: &mut Vec<u8>) {
                decimal(value, out);
            }
        }
    )+};
}

integers!(i32, i64, u32, u64);

/// The whole part of a number. What is beyond an `i128` is beyond every field, and so is its bound.
fn whole(number: &Number) -> i128 {
    number.as_i128().unwrap_or_else(|| number.as_f64().unwrap_or(f64::INFINITY) as i128)
}

fn decimal(value: impl Display, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// A number, which may stand in a string.
fn number(value: &Value, place: Place) -> Result<Number, Problem> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::String(text) => {
            serde_json::from_str(text).map_err(|_| unreadable(text, "number", place))
        }
        other => Err(Problem::unexpected(other, place)),
    }
}

fn unreadable(text: &str, wanted: &'static str, place: Place) -> Problem {
    Problem::Unreadable { text: text.to_owned(), wanted, field: place.name }
}
