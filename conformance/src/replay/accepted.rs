//! The differences that are known and accepted, each with its reason.

use std::{fs, io, path::Path};

use serde::Deserialize;

use super::Difference;

/// A list of them.
#[derive(Debug, Default)]
pub struct Accepted {
    entries: Vec<(Entry, usize)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    accepted: Vec<Entry>,
}

/// One of them. A `*` in a pattern stands for anything, `|` stands between patterns of scenarios.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scenario: String,
    place: String,
    why: String,
}

impl Entry {
    fn fits(&self, scenario: &str, place: &str) -> bool {
        self.is_about(scenario) && matches(&self.place, place)
    }

    fn is_about(&self, scenario: &str) -> bool {
        self.scenario.split('|').any(|pattern| matches(pattern, scenario))
    }
}

/// A file is no such list.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAccepted {
    /// It cannot be read.
    #[error("cannot read {0}")]
    Io(String, #[source] io::Error),
    /// It is not what is expected there.
    #[error("{0} is no list of accepted differences")]
    Toml(String, #[source] toml::de::Error),
    /// An entry does not say why.
    #[error("the difference at {0} is accepted without a reason")]
    NoReason(String),
}

impl Accepted {
    /// Reads a list.
    pub fn read(path: &Path) -> Result<Self, InvalidAccepted> {
        let told = path.display().to_string();
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| InvalidAccepted::Io(told.clone(), source))?;
        Self::parse(&text).map_err(|error| match error {
            InvalidAccepted::Toml(_, source) => InvalidAccepted::Toml(told, source),
            other => other,
        })
    }

    fn parse(text: &str) -> Result<Self, InvalidAccepted> {
        let document: Document =
            toml::from_str(text).map_err(|source| InvalidAccepted::Toml(String::new(), source))?;
        if let Some(entry) = document.accepted.iter().find(|entry| entry.why.trim().is_empty()) {
            return Err(InvalidAccepted::NoReason(entry.place.clone()));
        }
        Ok(Self { entries: document.accepted.into_iter().map(|entry| (entry, 0)).collect() })
    }

    /// Whether something that differs at this place is accepted.
    pub fn knows(&self, scenario: &str, place: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry.fits(scenario, place))
    }

    /// Whether a difference is accepted; counts it if so.
    pub fn accepts(&mut self, difference: &Difference) -> bool {
        let Difference { scenario, place, .. } = difference;
        let found = self.entries.iter_mut().find(|(entry, _)| entry.fits(scenario, place));
        if let Some((_, used)) = found {
            *used += 1;
            return true;
        }
        false
    }

    /// The entries that were met and how often, in words.
    pub fn told(&self) -> Vec<String> {
        let met = self.entries.iter().filter(|(_, used)| *used > 0);
        let told = |(entry, used): &(Entry, usize)| {
            format!("{used} x {} {}: {}", entry.scenario, entry.place, entry.why)
        };
        met.map(told).collect()
    }

    /// Entries for these scenarios that no difference was met for: they are out of date.
    pub fn unused(&self, played: &[String]) -> Vec<String> {
        let unused = self.entries.iter().filter(|(entry, used)| {
            *used == 0 && played.iter().any(|scenario| entry.is_about(scenario))
        });
        unused.map(|(entry, _)| format!("{} {}", entry.scenario, entry.place)).collect()
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("abc", "abc", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_accepted_is_counted_and_needs_a_reason() {
        let text =
            "[[accepted]]\nscenario = '01*|03*'\nplace = 'event OFFERS*'\nwhy = 'no ports'\n";
        let mut accepted = Accepted::parse(text).unwrap();
        let played = ["01-basic".to_owned()];
        assert_eq!(accepted.unused(&played), ["01*|03* event OFFERS*"]);
        assert!(accepted.unused(&["02".to_owned()]).is_empty());
        let mut difference = Difference {
            scenario: "01-basic".to_owned(),
            place: "event OFFERS/x".to_owned(),
            what: String::new(),
        };
        assert!(accepted.accepts(&difference));
        assert!(accepted.unused(&played).is_empty());
        difference.scenario = "02".to_owned();
        assert!(!accepted.accepts(&difference));
        let without = text.replace("no ports", " ");
        assert!(matches!(Accepted::parse(&without), Err(InvalidAccepted::NoReason(_))));
    }
}
