//! Compares a recorded JSON value with what our messages make of it.

use std::collections::BTreeSet;

use serde_json::Value;

/// The paths, without indexes, at which values differ.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// What was recorded and is not written, with its value.
    pub(crate) lost: BTreeSet<String>,
    /// What is written and was not recorded, with its value.
    pub(crate) added: BTreeSet<String>,
}

impl Differences {
    /// Compares `recorded` with `written`.
    pub(crate) fn note(&mut self, recorded: &Value, written: &Value) {
        self.compare("", recorded, written);
    }

    fn compare(&mut self, path: &str, recorded: &Value, written: &Value) {
        match (recorded, written) {
            (Value::Object(left), Value::Object(right)) => {
                for (name, value) in left {
                    let path = format!("{path}.{name}");
                    match right.get(name) {
                        Some(other) => self.compare(&path, value, other),
                        None if is_nothing(value) => {}
                        None => drop(self.lost.insert(format!("{path} {value}"))),
                    }
                }
                for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                    self.added.insert(format!("{path}.{name} {value}"));
                }
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                for (left, right) in left.iter().zip(right) {
                    self.compare(path, left, right);
                }
            }
            (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
            (Value::String(left), Value::Number(right)) if *left == right.to_string() => {}
            (left, right) if left == right => {}
            (left, right) => {
                self.lost.insert(format!("{path} {left}"));
                self.added.insert(format!("{path} {right}"));
            }
        }
    }
}

/// Whether a value says as much as its absence.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
