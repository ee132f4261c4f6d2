//! Every promise in `docs/contract.md` names tests that hold it, and all of them exist.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The folder of the workspace.
fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| match path.is_dir() {
        true => files(&path, ending),
        false => vec![path],
    });
    below.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// What can hold a promise in a crate: its tests, the oracles of the simulation, the event scripts
/// of the engine.
fn holders(krate: &str) -> BTreeSet<String> {
    let folder = workspace().join(krate);
    let mut all = BTreeSet::new();
    for file in [files(&folder.join("src"), "rs"), files(&folder.join("tests"), "rs")].concat() {
        let text = fs::read_to_string(&file).unwrap();
        let is_oracle = file.components().any(|part| part.as_os_str() == "oracles");
        all.extend(functions(&text, is_oracle));
    }
    if krate == "engine" {
        let scripts = files(&folder.join("tests/scripts"), "txt");
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        all.extend(scripts.iter().map(name));
    }
    all
}

/// The names of the test functions of a file, or those of all its functions.
fn functions(text: &str, all: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((before, after)) = line.split_once("fn ") {
            // `fn` stands first, but for what says who may call it.
            let is_function = before.is_empty() || before.ends_with(' ');
            if is_function && (is_test || all) {
                let end = after.find(['(', '<']).unwrap_or(after.len());
                names.push(after[..end].to_owned());
            }
            is_test = false;
        }
    }
    names
}

/// A promise, and the tests that it names: crate and name.
type Row = (String, Vec<(String, String)>);

/// The rows of the tables.
fn rows(text: &str) -> Vec<Row> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    let row = |line: &str| {
        let (promise, held) = line.trim_matches('|').rsplit_once(" | ").expect("two columns");
        let names = held.split('`').skip(1).step_by(2);
        let test = |name: &str| {
            let (krate, test) =
                name.split_once('/').unwrap_or_else(|| panic!("whose is `{name}`?"));
            (krate.to_owned(), test.to_owned())
        };
        (promise.trim().to_owned(), names.map(test).collect())
    };
    rows.map(row).collect()
}

#[test]
fn each_promise_names_tests_that_are_there() {
    let text = fs::read_to_string(workspace().join("docs/contract.md")).unwrap();
    let rows = rows(&text);
    assert!(rows.len() > 80, "{} rows: the tables are not read", rows.len());
    let mut known = BTreeMap::new();
    let mut faults = Vec::new();
    for (promise, tests) in rows {
        if tests.is_empty() {
            faults.push(format!("nothing holds: {promise}"));
        }
        for (krate, test) in tests {
            let known = known.entry(krate.clone()).or_insert_with(|| holders(&krate));
            if !known.contains(&test) {
                faults.push(format!("`{krate}/{test}` is not there: {promise}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "
        #[test]
        #[allow(x)]
        fn one() {}
        fn two() {}
        #[tokio::test(start_paused = true)]
        async fn three() {}
        pub(crate) fn four<'a>(x: &'a str) {}";
    assert_eq!(functions(text, false), ["one", "three"]);
    assert_eq!(functions(text, true), ["one", "two", "three", "four"]);
}
