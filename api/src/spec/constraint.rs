//! What a job asks of the hosts that its shards run on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pattern::{Matcher, Pattern};

/// The attribute that every host has: its name.
pub const HOSTNAME: &str = "hostname";

/// Something that must be so of an attribute of a host. A job asks for several, and all must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Constraint {
    /// The name of the attribute; [`HOSTNAME`] is the host's own name.
    pub attribute: String,
    /// What must be so of its value.
    #[serde(flatten)]
    pub test: Test,
}

/// What must be so of an attribute. A host without the attribute satisfies only the two that say
/// what it must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "op", content = "value", rename_all = "snake_case")]
pub enum Test {
    /// It is this.
    Equals(String),
    /// It is not this.
    NotEquals(String),
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these.
    NotIn(Vec<String>),
    /// The whole of it matches.
    Matches(Pattern),
    /// There is one, whatever it is.
    Exists,
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.attribute;
        match &self.test {
            Test::Equals(value) => write!(f, "{name} equals {value}"),
            Test::NotEquals(value) => write!(f, "{name} not_equals {value}"),
            Test::In(values) => write!(f, "{name} in {}", values.join(", ")),
            Test::NotIn(values) => write!(f, "{name} not_in {}", values.join(", ")),
            Test::Matches(pattern) => write!(f, "{name} matches {pattern}"),
            Test::Exists => write!(f, "{name} exists"),
        }
    }
}

/// A constraint that is ready to be asked of many hosts.
#[derive(Debug)]
pub struct Rule {
    constraint: Constraint,
    /// Of a pattern that can be used.
    matcher: Option<Matcher>,
}

impl Rule {
    /// The rule that a constraint is.
    pub fn new(constraint: &Constraint) -> Self {
        let matcher = match &constraint.test {
            Test::Matches(pattern) => pattern.matcher(),
            _ => None,
        };
        Self { constraint: constraint.clone(), matcher }
    }

    /// The constraint.
    pub fn constraint(&self) -> &Constraint {
        &self.constraint
    }

    /// Whether it holds for a host whose attribute has this value, or that has none of the name.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match (&self.constraint.test, value) {
            (Test::NotEquals(_) | Test::NotIn(_), None) => true,
            (_, None) => false,
            (Test::Equals(wanted), Some(value)) => value == wanted,
            (Test::NotEquals(refused), Some(value)) => value != refused,
            (Test::In(wanted), Some(value)) => wanted.iter().any(|one| one == value),
            (Test::NotIn(refused), Some(value)) => refused.iter().all(|one| one != value),
            (Test::Matches(_), Some(value)) => {
                self.matcher.as_ref().is_some_and(|matcher| matcher.matches(value))
            }
            (Test::Exists, Some(_)) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_holds_for_what_it_says() {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let table = [
            // The test, and whether it holds for `r1`, `r2`, an empty value and none at all.
            (Test::Equals("r1".into()), [true, false, false, false]),
            (Test::NotEquals("r1".into()), [false, true, true, true]),
            (Test::In(texts(&["r1", "r3"])), [true, false, false, false]),
            (Test::NotIn(texts(&["r1", "r3"])), [false, true, true, true]),
            (Test::Matches(Pattern::new("r[12]").unwrap()), [true, true, false, false]),
            (Test::Matches(Pattern::new(".*").unwrap()), [true, true, true, false]),
            (Test::Exists, [true, true, true, false]),
        ];
        for (test, expected) in table {
            let rule = Rule::new(&Constraint { attribute: "rack".into(), test });
            let values = [Some("r1"), Some("r2"), Some(""), None];
            assert_eq!(values.map(|value| rule.holds(value)), expected, "{}", rule.constraint());
        }
    }

    #[test]
    fn what_is_stored_is_what_users_write() {
        for text in [
            r#"{"attribute":"rack","op":"equals","value":"r1"}"#,
            r#"{"attribute":"rack","op":"not_in","value":["r1","r2"]}"#,
            r#"{"attribute":"hostname","op":"matches","value":"h[0-9]+"}"#,
            r#"{"attribute":"ssd","op":"exists"}"#,
        ] {
            let constraint: Constraint = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&constraint).unwrap(), text);
        }
    }

    #[test]
    fn a_stored_pattern_that_cannot_be_used_holds_for_nothing() {
        let text = r#"{"attribute":"a","op":"matches","value":"("}"#;
        let rule = Rule::new(&serde_json::from_str(text).unwrap());
        assert!(!rule.holds(Some("(")));
    }
}
