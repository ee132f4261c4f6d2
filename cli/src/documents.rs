//! Reads the documents of `muster apply` from files and folders.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use muster_api::spec::{Fault, Spec};
use serde_json::Value;

/// A document that reads well.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Where it stands.
    pub(crate) place: Place,
    /// Which app or job it describes.
    pub(crate) subject: Subject,
    /// As the user wrote it.
    pub(crate) body: Value,
}

/// Which document of which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    /// From 1; absent where the file holds only one.
    number: Option<usize>,
}

/// An app or job by its name. Apps come first, as jobs need theirs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// An app.
    App(String),
    /// A job.
    Job(String),
}

/// What is wrong in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedFault {
    /// Where.
    pub(crate) place: Place,
    /// What.
    pub(crate) fault: Fault,
}

impl Subject {
    /// The path of the REST API for it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::App(name) => format!("/v1/apps/{name}"),
            Self::Job(name) => format!("/v1/jobs/{name}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(name) => write!(f, "app {name}"),
            Self::Job(name) => write!(f, "job {name}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{} (document {number})", self.file),
            None => f.write_str(&self.file),
        }
    }
}

impl fmt::Display for PlacedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

/// Reads all documents of some files and folders, apps first, or finds every fault in them.
///
/// Of a folder its files `*.yaml`, `*.yml` and `*.json` are read, by name; `-` is standard input.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Result<Vec<Document>, Vec<PlacedFault>>> {
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        for file in files(path)? {
            let text = text(&file)?;
            let is_json = file.extension().is_some_and(|extension| extension == "json");
            read_text(&file.display().to_string(), &text, is_json, &mut documents, &mut faults);
        }
    }
    find_twins(&documents, &mut faults);
    documents.sort_by_key(|document| matches!(document.subject, Subject::Job(_)));
    Ok(if faults.is_empty() { Ok(documents) } else { Err(faults) })
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries =
        entries.with_context(|| format!("cannot read the folder `{}`", path.display()))?;
    let is_document = |file: &PathBuf| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml" | "json")) && !file.is_dir()
    };
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(is_document).collect();
    files.sort();
    anyhow::ensure!(!files.is_empty(), "the folder `{}` holds no documents", path.display());
    Ok(files)
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

fn read_text(
    file: &str,
    text: &str,
    is_json: bool,
    documents: &mut Vec<Document>,
    faults: &mut Vec<PlacedFault>,
) {
    let values = if is_json { json(text) } else { yaml(text) };
    let whole = Place { file: file.to_owned(), number: None };
    let values = match values {
        Ok(values) if values.is_empty() => Err("the file holds no document".to_owned()),
        values => values,
    };
    let values = match values {
        Ok(values) => values,
        Err(message) => {
            let fault = Fault { field: String::new(), message };
            faults.push(PlacedFault { place: whole, fault });
            return;
        }
    };
    let several = values.len() > 1;
    for (at, body) in values.into_iter().enumerate() {
        let place = Place { number: several.then_some(at + 1), ..whole.clone() };
        match Spec::parse(body.clone()) {
            Ok(parsed) => documents.push(Document { place, subject: subject(&parsed.spec), body }),
            Err(invalid) => {
                let placed = |fault| PlacedFault { place: place.clone(), fault };
                faults.extend(invalid.faults.into_iter().map(placed));
            }
        }
    }
}

fn subject(spec: &Spec) -> Subject {
    match spec {
        Spec::App(app) => Subject::App(app.name.to_string()),
        Spec::Job(job) => Subject::Job(job.name.to_string()),
    }
}

fn json(text: &str) -> Result<Vec<Value>, String> {
    serde_json::from_str(text)
        .map(|document| vec![document])
        .map_err(|error| format!("this is no JSON: {error}"))
}

/// The documents of a YAML file. Only `true` and `false` are booleans, as in YAML 1.2, so that
/// `lease: off` says `off`.
fn yaml(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| match error {
        serde_saphyr::Error::DuplicateMappingKey { key, location } => {
            let key = key.map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            format!("{key} stands twice in one map, again in line {}", location.line())
        }
        error => format!("this is no YAML: {error}"),
    })
}

/// Two documents of one app or job leave open which counts.
fn find_twins(documents: &[Document], faults: &mut Vec<PlacedFault>) {
    let mut first = BTreeMap::new();
    for document in documents {
        if let Some(place) = first.insert(&document.subject, &document.place) {
            let message = format!("{} stands in {place} too", document.subject);
            let fault = Fault { field: "name".to_owned(), message };
            faults.push(PlacedFault { place: document.place.clone(), fault });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "kind: app\nname: a\nresources: {cpus: 1, mem: 64}\nlease: off\n";
    const JOB: &str = "kind: job\nname: j\napp: a\ntype: script\nscript: {command: echo}\n\
                       sharding: {count: 2, parameters: {0: beijing, 1: shanghai}}\n";

    fn read_one(file: &str, text: &str) -> Result<Vec<Document>, Vec<PlacedFault>> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        read(&[folder.path().to_owned()]).unwrap()
    }

    #[test]
    fn a_file_holds_several_documents() {
        let text = format!("# comment\n---\n{JOB}---\n{APP}---\n");
        let documents = read_one("x.yaml", &text).unwrap();
        let subjects: Vec<_> = documents.iter().map(|d| d.subject.to_string()).collect();
        assert_eq!(subjects, ["app a", "job j"]);
        assert_eq!(documents[0].body["lease"], "off");
        assert_eq!(documents[1].body["sharding"]["parameters"]["1"], "shanghai");
        assert!(documents[1].place.to_string().ends_with("x.yaml (document 1)"));
        assert_eq!(documents[1].subject.path(), "/v1/jobs/j");
    }

    #[test]
    fn a_folder_is_read_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("2.yml", JOB);
        write("1.json", r#"{"kind": "app", "name": "b", "resources": {"cpus": 1, "mem": 64}}"#);
        write("3.yaml", APP);
        write("notes.txt", "no document");
        let documents = read(&[folder.path().to_owned()]).unwrap().unwrap();
        let subjects: Vec<_> = documents.iter().map(|d| d.subject.to_string()).collect();
        assert_eq!(subjects, ["app b", "app a", "job j"]);
    }

    #[test]
    fn every_fault_is_found_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("1.yaml", "kind: job\nname: j\nshards: 3\n");
        write("2.yaml", "a: [");
        write("3.yaml", &format!("{APP}---\n{APP}"));
        write("4.yaml", "");
        write("5.json", "{");
        let faults = read(&[folder.path().to_owned()]).unwrap().unwrap_err();
        let texts: Vec<_> = faults.iter().map(PlacedFault::to_string).collect();
        let count = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
        assert_eq!(count("1.yaml: "), 4, "{texts:#?}");
        assert_eq!(count("1.yaml: shards: there is no such field"), 1);
        assert_eq!(count("2.yaml: document: this is no YAML"), 1);
        assert_eq!(count("3.yaml (document 2): name: app a stands in"), 1);
        assert_eq!(count("4.yaml: document: the file holds no document"), 1);
        assert_eq!(count("5.json: document: this is no JSON"), 1);
    }

    #[test]
    fn keys_that_stand_twice_are_a_fault() {
        let faults = read_one("x.yaml", &format!("{APP}name: b\n")).unwrap_err();
        let message = &faults[0].fault.message;
        assert_eq!(message, "the key `name` stands twice in one map, again in line 5");
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let error = read(&["/nonexistent.yaml".into()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nonexistent.yaml`");
    }
}
