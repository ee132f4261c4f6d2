//! JSON as users send it. No name may stand twice in one map: which of the two is meant, only they
//! know.

use std::fmt;

use muster_api::spec::Fault;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::Refusal;

/// Reads JSON: what is no JSON is a bad request, and a field that stands twice a bad document. The
/// first such field is the only one that is named.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut fault = None;
    let whole = Part { at: None, fault: &mut fault };
    let value = whole.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match (value, fault) {
        (_, Some(fault)) => Err(Refusal::faults(vec![fault])),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(Refusal::request(format!("the body is not valid JSON: {error}"))),
    }
}

/// Where a value stands in the one around it. It is a text only when there is a fault: names may be
/// long.
struct Place<'a> {
    around: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(around) = self.around {
            around.fmt(f)?;
        }
        match (self.step, self.around) {
            (Step::Index(index), _) => write!(f, "[{index}]"),
            (Step::Name(name), None) => f.write_str(name),
            (Step::Name(name), Some(_)) => write!(f, ".{name}"),
        }
    }
}

/// A value that is read, and what is wrong in it.
struct Part<'p, 'f> {
    at: Option<&'p Place<'p>>,
    fault: &'f mut Option<Fault>,
}

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let place = Place { around: self.at, step: Step::Index(values.len()) };
            let part = Part { at: Some(&place), fault: &mut *self.fault };
            match seq.next_element_seed(part)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let place = Place { around: self.at, step: Step::Name(&name) };
            if fields.contains_key(&name) {
                let message = "this field stands twice in one map".to_owned();
                *self.fault = Some(Fault { field: place.to_string(), message });
                return Err(A::Error::custom("a field stands twice"));
            }
            let value = map.next_value_seed(Part { at: Some(&place), fault: &mut *self.fault })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_json_is_read_as_it_is(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_named() {
        for (text, field) in [
            (r#"{"a": 1, "b": 2, "a": 1}"#, "a"),
            (r#"{"resources": {"cpus": 1, "cpus": 2}}"#, "resources.cpus"),
            (r#"{"list": [{"x": 1}, {"y": {"z": 1, "\u007a": 2}}]}"#, "list[1].y.z"),
            (r#"[[0, {"x": 1, "x": 1}]]"#, "[0][1].x"),
        ] {
            let refusal = format!("{:?}", parse(text.as_bytes()).unwrap_err());
            assert!(refusal.contains("InvalidDocument"), "{refusal}");
            assert!(refusal.contains(&format!("field: {field:?}")), "{refusal}");
        }
        assert_eq!(parse(br#"[{"a": 1}, {"a": 1}]"#).unwrap(), json!([{"a": 1}, {"a": 1}]));
    }

    #[test]
    fn what_is_no_json_is_a_bad_request() {
        let deep = "[".repeat(1000);
        for text in ["", "{", "{} {}", "{\"a\" 1}", "1e999", "\u{1}", &deep] {
            let refusal = format!("{:?}", parse(text.as_bytes()).unwrap_err());
            assert!(refusal.contains("InvalidRequest"), "{refusal}");
            assert!(refusal.contains("the body is not valid JSON"), "{refusal}");
        }
    }
}
