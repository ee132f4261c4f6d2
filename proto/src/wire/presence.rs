//! Looks for the required fields of a message in its bytes.
//!
//! One pass over all bytes. A message that is sent in several pieces is looked at as a whole: its
//! pieces one after the other mean the same as the pieces merged. What is kept is a slice for each
//! nested message, so at most twelve times the bytes.

use super::{
    field::{NoProtobuf, Raw, take, varint},
    shape::{Content, Line},
};

/// How many missing fields are told at most: an answer does not grow with the question.
const MOST_MISSING: usize = 100;

/// How deep messages may lie in each other. Mesos and `prost` go as far as 100, but what comes in
/// here travels on inside of other messages, and must be read there too.
pub(crate) const DEEPEST: usize = 64;

/// What was found in the bytes of a message.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// The paths of the required fields that are not there; the first hundred.
    pub(super) missing: Vec<String>,
    /// Whether an enumeration has a value that it does not know.
    pub(super) has_unknown: bool,
    /// Where the message that is looked at lies.
    path: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    name: &'static str,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    Element(usize),
    Entry(usize),
}

/// A message inside of the one that is looked at: of which field, and its bytes.
#[derive(Debug, Clone, Copy)]
struct Inner<'a> {
    line: u8,
    bytes: &'a [u8],
}

impl Presence {
    /// What there is in the `bytes` of a message that has these fields.
    pub(super) fn of(lines: &'static [Line], bytes: &[u8]) -> Result<Self, NoProtobuf> {
        let mut presence = Self::default();
        presence.message(lines, &mut std::iter::once(bytes))?;
        Ok(presence)
    }

    fn message(
        &mut self,
        lines: &'static [Line],
        pieces: &mut dyn Iterator<Item = &[u8]>,
    ) -> Result<(), NoProtobuf> {
        if self.path.len() > DEEPEST {
            return Err(NoProtobuf);
        }
        let mut there = 0u64;
        let mut inner = Vec::new();
        for mut rest in pieces {
            while !rest.is_empty() {
                let (number, raw) = take(&mut rest)?;
                let Some(at) = lines.iter().position(|line| line.number == number) else {
                    continue;
                };
                let content = lines[at].content;
                // `prost` would take whatever it is for the length of an entry.
                if let (Content::Map { .. } | Content::Texts, Raw::Varint(_) | Raw::Other) =
                    (content, raw)
                {
                    return Err(NoProtobuf);
                }
                match self.counts(content, raw)? {
                    true => there |= 1 << at,
                    false => there &= !(1 << at),
                }
                if let (true, Raw::Bytes(bytes)) = (content.is_nested(), raw) {
                    inner.push(Inner { line: at as u8, bytes });
                }
            }
        }
        for (at, line) in lines.iter().enumerate() {
            if line.required && there & 1 << at == 0 {
                self.miss(line.name);
            }
        }
        self.inner(lines, inner)
    }

    /// Whether a field is there, now that it came with this value. Values that an enumeration does
    /// not have are taken note of.
    fn counts(&mut self, content: Content, raw: Raw<'_>) -> Result<bool, NoProtobuf> {
        let Content::Enumeration { is_known } = content else { return Ok(true) };
        // An enumeration is 32 bits wide; what is above is cut off, as for every such integer.
        let mut is_known = |value| {
            let known = is_known(value as i32);
            self.has_unknown |= !known;
            known
        };
        match raw {
            Raw::Varint(value) => return Ok(is_known(value)),
            Raw::Bytes(mut packed) => {
                while !packed.is_empty() {
                    is_known(varint(&mut packed)?);
                }
            }
            Raw::Other => {}
        }
        Ok(true)
    }

    /// Looks at the messages inside of one, those of one field after those of another.
    fn inner(
        &mut self,
        lines: &'static [Line],
        mut inner: Vec<Inner<'_>>,
    ) -> Result<(), NoProtobuf> {
        inner.sort_by_key(|one| one.line);
        for of_field in inner.chunk_by(|one, other| one.line == other.line) {
            let Line { name, content, .. } = &lines[usize::from(of_field[0].line)];
            let mut pieces = of_field.iter().map(|one| one.bytes);
            match content {
                Content::Message { lines } => {
                    self.step(Step { name, part: Part::Whole }, lines(), &mut pieces)?;
                }
                Content::Messages { lines } => {
                    for (index, piece) in pieces.enumerate() {
                        let step = Step { name, part: Part::Element(index) };
                        self.step(step, lines(), &mut std::iter::once(piece))?;
                    }
                }
                Content::Map { lines } => {
                    for (index, entry) in pieces.enumerate() {
                        let step = Step { name, part: Part::Entry(index) };
                        self.step(step, lines(), &mut values(entry)?.into_iter())?;
                    }
                }
                Content::Scalar | Content::Texts | Content::Enumeration { .. } => {}
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: Step,
        lines: &'static [Line],
        pieces: &mut dyn Iterator<Item = &[u8]>,
    ) -> Result<(), NoProtobuf> {
        self.path.push(step);
        self.message(lines, pieces)?;
        self.path.pop();
        Ok(())
    }

    fn miss(&mut self, name: &str) {
        if self.missing.len() < MOST_MISSING {
            let mut path = String::new();
            for step in &self.path {
                path.push_str(step.name);
                match step.part {
                    Part::Whole => path.push('.'),
                    Part::Element(index) => path.push_str(&format!("[{index}].")),
                    Part::Entry(index) => path.push_str(&format!("[{index}].value.")),
                }
            }
            path.push_str(name);
            self.missing.push(path);
        }
    }
}

/// The pieces of the message of an entry of a map.
fn values(mut entry: &[u8]) -> Result<Vec<&[u8]>, NoProtobuf> {
    let mut pieces = Vec::new();
    while !entry.is_empty() {
        if let (2, Raw::Bytes(piece)) = take(&mut entry)? {
            pieces.push(piece);
        }
    }
    Ok(pieces)
}
