//! Which id of now stands for which id of then.

use std::collections::BTreeMap;

use serde_json::Value;

/// Pairs of ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    now: BTreeMap<String, String>,
}

impl Names {
    /// Whether an id of then has one of now.
    pub(super) fn knows(&self, then: &str) -> bool {
        self.now.contains_key(then)
    }

    /// The first pair with an id of then counts.
    pub(super) fn learn(&mut self, then: &str, now: &str) {
        if !then.is_empty() {
            self.now.entry(then.to_owned()).or_insert_with(|| now.to_owned());
        }
    }

    /// A text of then with the ids of now.
    pub(super) fn translate(&self, then: &str) -> String {
        if let Some(now) = self.now.get(then) {
            return now.clone();
        }
        let mut text = String::with_capacity(then.len());
        let mut rest = then;
        'text: while let Some(first) = rest.chars().next() {
            // Of two ids that begin alike the longer one is meant.
            for (id, now) in self.now.iter().rev() {
                if let Some(after) = rest.strip_prefix(id.as_str()) {
                    text.push_str(now);
                    rest = after;
                    continue 'text;
                }
            }
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
        text
    }

    /// A value of then with the ids of now.
    pub(super) fn translate_value(&self, then: &Value) -> Value {
        match then {
            Value::String(text) => Value::String(self.translate(text)),
            Value::Array(items) => items.iter().map(|item| self.translate_value(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                fields.map(|(name, it)| (name.clone(), self.translate_value(it))).collect()
            }
            _ => then.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_id_is_meant() {
        let mut names = Names::default();
        for (then, now) in [("m-O1", "x"), ("m-O18", "y"), ("m", "z"), ("", "never")] {
            names.learn(then, now);
        }
        names.learn("m", "too late");
        assert_eq!(names.translate("offer m-O18 of m, not m-O1"), "offer y of z, not x");
        assert_eq!(names.translate_value(&json!({"a": ["m-O18"]})), json!({"a": ["y"]}));
    }
}
