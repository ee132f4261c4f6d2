//! Reads the fields of a JSON map one by one and collects every fault on the way.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Fault,
    values::{LEAST, resource},
};
use crate::Resources;

/// The fields of one map, as they are taken out of it.
///
/// Each field is asked for exactly once, by name, present or not; [`Fields::finish`] then knows
/// which are too many. A reader that returns `None` has left a fault.
pub(super) struct Fields<'a> {
    path: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
    faults: &'a mut Vec<Fault>,
}

/// What makes a value out of JSON, or says what would be right.
pub(super) trait Read<T>: FnOnce(&Value) -> Result<T, String> {}

impl<T, F: FnOnce(&Value) -> Result<T, String>> Read<T> for F {}

impl<'a> Fields<'a> {
    /// The fields of a document.
    pub(super) fn of(document: Map<String, Value>, faults: &'a mut Vec<Fault>) -> Self {
        Self::at(String::new(), document, faults)
    }

    fn at(path: String, map: Map<String, Value>, faults: &'a mut Vec<Fault>) -> Self {
        Self { path, map, known: Vec::new(), faults }
    }

    /// A field that must be there.
    pub(super) fn required<T>(&mut self, name: &'static str, read: impl Read<T>) -> Option<T> {
        let value = self.take_required(name)?;
        self.read(name, &value, read)
    }

    /// A field that may be there: `None` is a fault, `Some(None)` an absent field.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl Read<T>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            Some(value) => self.read(name, &value, read).map(Some),
            None => Some(None),
        }
    }

    /// A field that may be there, or be null, which is the same as absent.
    pub(super) fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl Read<T>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            Some(value) if !value.is_null() => self.read(name, &value, read).map(Some),
            _ => Some(None),
        }
    }

    /// A list of plain values that may be there, or be null, which is the same as absent.
    pub(super) fn nullable_values<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<Option<Vec<T>>> {
        match self.map.get(name) {
            Some(value) if !value.is_null() => self.values(name, read).map(Some),
            _ => {
                self.take(name);
                Some(None)
            }
        }
    }

    /// A field with a value for its absence.
    pub(super) fn or<T>(&mut self, name: &'static str, absent: T, read: impl Read<T>) -> Option<T> {
        self.optional(name, read).map(|value| value.unwrap_or(absent))
    }

    /// A map with fields of its own, which must be there.
    pub(super) fn nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.take_required(name)?;
        self.read_map(self.field(name), value, read)
    }

    /// A map with fields of its own, which may be there; as [`Fields::optional`].
    pub(super) fn optional_nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            Some(value) => self.read_map(self.field(name), value, read).map(Some),
            None => Some(None),
        }
    }

    /// A list of maps with fields of their own; absent is empty.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let values = match self.take(name) {
            None => return Some(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.fault(name, format!("{} is no list", show(&other)));
                return None;
            }
        };
        // Every element is read before the first bad one ends the whole: its faults count too.
        let read: Vec<_> = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| self.read_map(format!("{}[{at}]", self.field(name)), value, &read))
            .collect();
        read.into_iter().collect()
    }

    /// A list of plain values; absent is empty.
    pub(super) fn values<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let values = match self.take(name) {
            None => return Some(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.fault(name, format!("{} is no list", show(&other)));
                return None;
            }
        };
        let faults_before = self.faults.len();
        let mut all = Vec::new();
        for (at, value) in values.iter().enumerate() {
            match read(value) {
                Ok(value) => all.push(value),
                Err(message) => self.fault(&format!("{name}[{at}]"), message),
            }
        }
        (self.faults.len() == faults_before).then_some(all)
    }

    /// A map of free keys to values; absent is empty.
    pub(super) fn entries<K: Ord, V>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str, &Value) -> Result<(K, V), String>,
    ) -> Option<BTreeMap<K, V>> {
        let map = match self.take(name) {
            None => return Some(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.fault(name, format!("{} is no map", show(&other)));
                return None;
            }
        };
        let faults_before = self.faults.len();
        let mut entries = BTreeMap::new();
        for (key, value) in map {
            match read(&key, &value) {
                Ok((key, value)) => {
                    entries.insert(key, value);
                }
                Err(message) => {
                    self.fault(&format!("{name}.{key}"), message);
                }
            }
        }
        (self.faults.len() == faults_before).then_some(entries)
    }

    /// The map of resources `resources`, in which cpus and mem must be given.
    pub(super) fn resources(&mut self) -> Option<Resources> {
        let missing: Vec<_> = match self.map.get("resources") {
            None => return self.required("resources", |_| Ok(Resources::none())),
            Some(Value::Object(map)) => {
                LEAST.iter().filter(|(name, _)| !map.contains_key(*name)).collect()
            }
            Some(_) => Vec::new(),
        };
        for (name, least) in &missing {
            let message = format!("this field is required, at least {least}");
            self.fault(&format!("resources.{name}"), message);
        }
        let entries = self.entries("resources", resource)?;
        missing.is_empty().then(|| entries.into_iter().collect())
    }

    /// Takes a field as it is.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name)
    }

    /// Whether a field that has not been taken yet is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// The text of a field that has not been taken yet and is a text.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }

    /// Says what is wrong with a field; an empty name means all of them together.
    pub(super) fn fault(&mut self, name: &str, message: String) {
        self.faults.push(Fault { field: self.field(name), message });
    }

    /// Makes a fault of every field that nobody asked for.
    pub(super) fn finish(&mut self) {
        for name in std::mem::take(&mut self.map).keys() {
            let known = self.known.join(", ");
            self.fault(name, format!("there is no such field here; known are {known}"));
        }
    }

    fn take_required(&mut self, name: &'static str) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() {
            self.fault(name, "this field is required".to_owned());
        }
        value
    }

    fn read<T>(&mut self, name: &str, value: &Value, read: impl Read<T>) -> Option<T> {
        read(value).map_err(|message| self.fault(name, message)).ok()
    }

    fn read_map<T>(
        &mut self,
        path: String,
        value: Value,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let map = match value {
            Value::Object(map) => map,
            other => {
                let message = format!("{} is no map of fields", show(&other));
                self.faults.push(Fault { field: path, message });
                return None;
            }
        };
        let mut fields = Fields::at(path, map, self.faults);
        let result = read(&mut fields);
        fields.finish();
        result
    }

    fn field(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }
}

/// A value for a message: as JSON, cut where it gets long.
pub(super) fn show(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}
