//! Reading what users send: what apps and jobs have in common.

use serde_json::Value;

use super::{
    AppSpec, JobSpec,
    reader::{Fields, show},
    values::{one_of, whole},
};

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// Where, as in `sharding.count`; empty for the document itself.
    pub field: String,
    /// What is wrong with which value, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = if self.field.is_empty() { "document" } else { &self.field };
        write!(f, "{field}: {}", self.message)
    }
}

/// A document with faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the document has {} fault(s): {}", faults.len(), list(faults))]
pub struct InvalidDocument {
    /// All that is wrong with it, in the order of its fields.
    pub faults: Vec<Fault>,
}

fn list(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(Fault::to_string).collect();
    lines.join("; ")
}

/// A document that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<T> {
    /// What it says.
    pub spec: T,
    /// The stored version that it is to replace; absent: whichever is there.
    pub version: Option<u64>,
}

/// A document of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "documents are few and handled one at a time")]
pub enum Spec {
    /// An app.
    App(AppSpec),
    /// A job.
    Job(JobSpec),
}

/// The kinds of documents.
#[derive(Clone, Copy)]
enum Kind {
    App,
    Job,
}

const KINDS: [(&str, Kind); 2] = [("app", Kind::App), ("job", Kind::Job)];

impl Spec {
    /// Reads a document that says by `kind` what it is; the error names every fault in it.
    pub fn parse(document: Value) -> Result<Parsed<Self>, InvalidDocument> {
        let kind = document.get("kind").ok_or_else(|| "this field is required".to_owned());
        match kind.and_then(one_of(&KINDS)) {
            Ok(Kind::App) => AppSpec::parse(document).map(|parsed| parsed.map(Self::App)),
            Ok(Kind::Job) => JobSpec::parse(document).map(|parsed| parsed.map(Self::Job)),
            Err(_) if !document.is_object() => Err(no_map(&document)),
            Err(why) => {
                let message = format!("{why}; a document is of kind `app` or `job`");
                Err(InvalidDocument { faults: vec![Fault { field: "kind".to_owned(), message }] })
            }
        }
    }
}

impl<T> Parsed<T> {
    fn map<U>(self, make: impl FnOnce(T) -> U) -> Parsed<U> {
        Parsed { spec: make(self.spec), version: self.version }
    }
}

/// Reads the fields of a document of `kind`, and those that every document has.
///
/// `version` and `status` are allowed, so that what a user got from `GET` may be sent back.
pub(super) fn read_document<T>(
    kind: &'static str,
    document: Value,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<Parsed<T>, InvalidDocument> {
    read_fields(document, |fields| {
        fields.optional("kind", one_of(&[(kind, ())]));
        let spec = read(fields);
        let version = fields.optional("version", whole(1..=u64::MAX));
        fields.take("status");
        Some(Parsed { spec: spec?, version: version? })
    })
}

/// Reads a map of fields; those that `read` does not ask for are faults too.
pub(super) fn read_fields<T>(
    document: Value,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, InvalidDocument> {
    let map = match document {
        Value::Object(map) => map,
        other => return Err(no_map(&other)),
    };
    let mut faults = Vec::new();
    let mut fields = Fields::of(map, &mut faults);
    let all = read(&mut fields);
    fields.finish();
    match all {
        Some(all) if faults.is_empty() => Ok(all),
        _ => Err(InvalidDocument { faults }),
    }
}

fn no_map(document: &Value) -> InvalidDocument {
    let message = format!("a document is a map of fields, and this is {}", show(document));
    InvalidDocument { faults: vec![Fault { field: String::new(), message }] }
}
