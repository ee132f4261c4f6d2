//! Regular expressions about the values of attributes.

use std::fmt;

use regex_automata::{
    Input,
    nfa::thompson::{self, pikevm::PikeVM},
};
use regex_syntax::{
    Parser,
    hir::{Hir, Look},
};
use serde::{Deserialize, Serialize};

use crate::limits;

/// A regular expression that a whole value has to match.
///
/// It is in the syntax of the `regex` crate: no look-around and no references back, so that a match
/// takes time in proportion to the value, whatever somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

/// A text that is no regular expression, or one that is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no regular expression that can be used: {why}")]
pub struct InvalidPattern {
    text: String,
    why: String,
}

impl Pattern {
    /// The pattern of a text, if it is one.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        Matcher::new(text).map(|_| Self(text.to_owned()))
    }

    /// Makes it ready for use. Nothing when it is stored by a version that understood more.
    pub fn matcher(&self) -> Option<Matcher> {
        Matcher::new(&self.0).ok()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern that is ready for use.
#[derive(Debug)]
pub struct Matcher(PikeVM);

impl Matcher {
    /// The matcher of a text, if it is a regular expression.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |why: String| InvalidPattern { text: text.to_owned(), why };
        if text.len() > limits::PATTERN_BYTES {
            return Err(invalid(format!("it is longer than {} bytes", limits::PATTERN_BYTES)));
        }
        let parsed = Parser::new().parse(text).map_err(|error| match error {
            regex_syntax::Error::Parse(error) => invalid(error.kind().to_string()),
            regex_syntax::Error::Translate(error) => invalid(error.kind().to_string()),
            _ => invalid("it cannot be read".to_owned()),
        })?;
        // The ends are put around what the text means and not around the text, which could close
        // a bracket of ours.
        let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
        let bounded = thompson::Config::new().nfa_size_limit(Some(limits::PATTERN_MEMORY));
        let nfa = thompson::Compiler::new().configure(bounded).build_from_hir(&whole);
        let nfa = nfa.map_err(|_| invalid("it is too large".to_owned()))?;
        PikeVM::new_from_nfa(nfa).map(Self).map_err(|error| invalid(error.to_string()))
    }

    /// Whether the whole of a value matches.
    pub fn matches(&self, value: &str) -> bool {
        self.0.is_match(&mut self.0.create_cache(), Input::new(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Matcher::new(pattern).unwrap().matches(value)
    }

    #[test]
    fn the_whole_value_has_to_match() {
        assert!(matches("r[0-9]+", "r12"));
        for value in ["", "r", "r1x", "xr1", "r1\n"] {
            assert!(!matches("r[0-9]+", value), "{value:?}");
        }
        // The longer of two alternatives counts too, and each of them as a whole.
        assert!(matches("a|ab", "ab") && !matches("a|b", "ab"));
        assert!(matches("", "") && !matches("", "x"));
        assert!(matches("(?x) a # a comment to the end", "a"));
        assert!(matches("(?i)Ä", "ä") && matches(r"\w+", "größe"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_says_so() {
        for (text, why) in [
            ("a(", "unclosed group"),
            ("a)(b", "unopened group"),
            ("[z-a]", "invalid character class range"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around"),
            ("((a{100}){100}){100}", "too large"),
            (r"\xFF(?-u:\xFF)", "invalid UTF-8"),
        ] {
            let error = Pattern::new(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{error}");
        }
        assert!(Pattern::new(&"a".repeat(limits::PATTERN_BYTES + 1)).is_err());
    }

    #[test]
    fn what_is_slow_elsewhere_is_not_here() {
        // Each backtracking engine would take 2^60 steps for it.
        assert!(!matches("(a*)*b", &"a".repeat(60)));
        assert!(!matches("(a|a)*b", &"a".repeat(60)));
    }
}
