//! From JSON to a message.

use serde_json::{Map, Value};

use super::{base64::InvalidBase64, field::Fields};
use crate::wire::DEEPEST;

/// How many missing fields are told at most: an answer does not grow with the question.
const MOST_MISSING: usize = 100;

/// How many characters of a body that is no JSON are told at most, for the same reason.
const MOST_NEAR: usize = 100;

/// Why a body is no message. The words are those of a Mesos master, which answers 400 with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// The body is longer than the reader allows.
    #[error("Failed to parse body into JSON: over {limit} bytes")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
    /// The body is no JSON, or nested over 127 deep.
    #[error("Failed to parse body into JSON: syntax error at line {line} near: {near}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is left of that line, as far as the first hundred characters.
        near: String,
    },
    /// The body is JSON, but not of this message.
    #[error("Failed to convert JSON into {message} protobuf: {problem}")]
    NotTheMessage {
        /// What Mesos calls the message.
        message: &'static str,
        /// What is wrong.
        #[source]
        problem: Problem,
    },
}

/// What of a JSON value does not fit a message, in the words of Mesos.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The whole is no object.
    #[error("Expecting a JSON object")]
    NotAnObject,
    /// A value is of a type that its field cannot be.
    #[error("Not expecting a JSON {found} for field '{field}'")]
    Unexpected {
        /// What it is.
        found: &'static str,
        /// The field's name.
        field: &'static str,
    },
    /// A string is to be a number or a boolean, and is none.
    #[error("Failed to parse '{text}' as a JSON {wanted} for field '{field}'")]
    Unreadable {
        /// The string.
        text: String,
        /// What it is to be.
        wanted: &'static str,
        /// The field's name.
        field: &'static str,
    },
    /// A number is too large or too small for its field.
    #[error("Not expecting the number {number} for field '{field}': it is out of range")]
    OutOfRange {
        /// The number.
        number: serde_json::Number,
        /// The field's name.
        field: &'static str,
    },
    /// Bytes that are not base64.
    #[error("Failed to base64 decode bytes field '{field}': {problem}")]
    Base64 {
        /// The field's name.
        field: &'static str,
        /// What is wrong.
        #[source]
        problem: InvalidBase64,
    },
    /// Messages lie in each other without need.
    #[error("Not expecting messages over {DEEPEST} deep for field '{field}'")]
    TooDeep {
        /// The field of the innermost.
        field: &'static str,
    },
    /// A required enumeration has a name that is not known.
    #[error("Failed to find enum for '{name}'")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// Required fields are not there.
    #[error("Missing required fields: {}", .paths.join(", "))]
    Missing {
        /// Their paths; the first hundred.
        paths: Vec<String>,
    },
}

impl Problem {
    /// `value` is of a type that the field at `place` cannot be.
    pub(super) fn unexpected(value: &Value, place: Place) -> Self {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        Self::Unexpected { found, field: place.name }
    }
}

/// A message from its JSON. More than `limit` bytes are refused before they are looked at. Choose it
/// with care: a body of nothing but empty objects takes a few hundred times its size while it is
/// read. Bytes that are no UTF-8, inside of strings, become U+FFFD, for Mesos accepts them.
pub fn from_slice<M: Fields>(bytes: &[u8], limit: usize) -> Result<M, InvalidJson> {
    if bytes.len() > limit {
        return Err(InvalidJson::TooLong { limit });
    }
    let text = String::from_utf8_lossy(bytes);
    let value = serde_json::from_str(&text).map_err(|error| syntax(&text, &error))?;
    whole(&value).map_err(|problem| InvalidJson::NotTheMessage { message: M::NAME, problem })
}

fn syntax(text: &str, error: &serde_json::Error) -> InvalidJson {
    let line = error.line().max(1);
    let rest = text.lines().nth(line - 1).unwrap_or_default();
    let near = rest.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let near = if error.is_eof() { "" } else { near };
    InvalidJson::Syntax { line, near: near.chars().take(MOST_NEAR).collect() }
}

fn whole<M: Fields>(value: &Value) -> Result<M, Problem> {
    let Value::Object(object) = value else { return Err(Problem::NotAnObject) };
    let mut reader = Reader::default();
    let message = reader.message(object)?;
    if reader.missing.is_empty() {
        Ok(message)
    } else {
        Err(Problem::Missing { paths: reader.missing })
    }
}

/// Which value of a message is read.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) name: &'static str,
    pub(super) required: bool,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    Element(usize),
    Entry(usize),
}

impl Place {
    /// The element `index` of a list.
    pub(super) fn at(self, index: usize) -> Self {
        Self { part: Part::Element(index), ..self }
    }

    /// The value of the entry `index` of a map. To protobuf a map is a list of such entries.
    pub(super) fn entry(self, index: usize) -> Self {
        Self { part: Part::Entry(index), ..self }
    }
}

/// What is kept while a message is read: where the reader is, and what it missed so far.
#[derive(Debug, Default)]
pub struct Reader {
    /// The path of the message being read, with a dot at its end.
    path: String,
    /// How many messages that one lies in.
    depth: usize,
    missing: Vec<String>,
}

impl Reader {
    /// The message that is the value at `place`.
    pub(super) fn nested<M: Fields>(
        &mut self,
        object: &Map<String, Value>,
        place: Place,
    ) -> Result<M, Problem> {
        if self.depth == DEEPEST {
            return Err(Problem::TooDeep { field: place.name });
        }
        self.depth += 1;
        let length = self.path.len();
        self.path.push_str(place.name);
        match place.part {
            Part::Whole => self.path.push('.'),
            Part::Element(index) => self.path.push_str(&format!("[{index}].")),
            Part::Entry(index) => self.path.push_str(&format!("[{index}].value.")),
        }
        let message = self.message(object)?;
        self.path.truncate(length);
        self.depth -= 1;
        Ok(message)
    }

    fn message<M: Fields>(&mut self, object: &Map<String, Value>) -> Result<M, Problem> {
        for field in M::FIELDS.iter().filter(|field| field.required) {
            if object.get(field.name).is_none_or(Value::is_null)
                && self.missing.len() < MOST_MISSING
            {
                self.missing.push(format!("{}{}", self.path, field.name));
            }
        }
        let mut message = M::default();
        for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(field) = M::FIELDS.iter().find(|field| field.name == name) {
                let place = Place { name: field.name, required: field.required, part: Part::Whole };
                (field.read)(&mut message, value, place, self)?;
            }
        }
        Ok(message)
    }
}
