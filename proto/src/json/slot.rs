//! What the labels of fields mean: one value, perhaps one, a list, a map.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    field::Names,
    kind::{Base64, Kind, Named},
    read::{Place, Problem, Reader},
    write::Object,
};

/// Where the values of a field of kind `K` are kept in a message.
pub trait Slot<K: Kind> {
    /// Takes what JSON gives for the field. It is not `null`.
    fn read(&mut self, value: &Value, place: Place, reader: &mut Reader) -> Result<(), Problem>;

    /// Writes the field, if there is anything to write, and tells whether there was.
    fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool;
}

impl<K: Kind> Slot<K> for Option<K::Value> {
    fn read(&mut self, value: &Value, place: Place, reader: &mut Reader) -> Result<(), Problem> {
        if let Some(value) = K::read(value, place, reader)? {
            *self = Some(value);
        }
        Ok(())
    }

    fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool {
        self.as_ref().is_some_and(|value| write_one::<K>(value, name, object))
    }
}

impl<K: Kind> Slot<K> for Vec<K::Value> {
    fn read(&mut self, value: &Value, place: Place, reader: &mut Reader) -> Result<(), Problem> {
        match value {
            Value::Null => {}
            Value::Array(values) => {
                for value in values {
                    Slot::<K>::read(self, value, place, reader)?;
                }
            }
            one => self.extend(K::read(one, place.at(self.len()), reader)?),
        }
        Ok(())
    }

    fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let out = object.member(name);
        out.push(b'[');
        let start = out.len();
        for value in self.iter().filter(|value| K::has_form(value)) {
            if out.len() > start {
                out.push(b',');
            }
            K::write(value, out);
        }
        out.push(b']');
        true
    }
}

impl<K: Kind> Slot<K> for BTreeMap<String, K::Value> {
    fn read(&mut self, value: &Value, place: Place, reader: &mut Reader) -> Result<(), Problem> {
        let Value::Object(entries) = value else {
            return Err(Problem::unexpected(value, place));
        };
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            let place = place.entry(self.len());
            if let Some(value) = K::read(value, place, reader)? {
                self.insert(key.clone(), value);
            }
        }
        Ok(())
    }

    fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut entries = Object::begin(object.member(name));
        for (key, value) in self {
            write_one::<K>(value, key, &mut entries);
        }
        entries.end();
        true
    }
}

impl<E: Names> Slot<Named<E>> for i32 {
    fn read(&mut self, value: &Value, place: Place, reader: &mut Reader) -> Result<(), Problem> {
        read_plain::<Named<E>>(self, value, place, reader)
    }

    fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool {
        write_one::<Named<E>>(self, name, object)
    }
}

/// Scalars that are required: the field is the value itself.
macro_rules! plain {
    ($($kind:ty => $value:ty),+ $(,)?) => {$(
        impl Slot<$kind> for $value {
            fn read(
                &mut self,
                value: &Value,
                place: Place,
                reader: &mut Reader,
            ) -> Result<(), Problem> {
                read_plain::<$kind>(self, value, place, reader)
            }

            fn write(&self, name: &'static str, object: &mut Object<'_>) -> bool {
                write_one::<$kind>(self, name, object)
            }
        }
    )+};
}

plain! {
    String => String, Base64 => Vec<u8>, bool => bool, f64 => f64,
    i32 => i32, i64 => i64, u32 => u32, u64 => u64,
}

fn read_plain<K: Kind>(
    slot: &mut K::Value,
    value: &Value,
    place: Place,
    reader: &mut Reader,
) -> Result<(), Problem> {
    if let Some(value) = K::read(value, place, reader)? {
        *slot = value;
    }
    Ok(())
}

fn write_one<K: Kind>(value: &K::Value, name: &str, object: &mut Object<'_>) -> bool {
    let has_form = K::has_form(value);
    if has_form {
        K::write(value, object.member(name));
    }
    has_form
}
