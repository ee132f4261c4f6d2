//! Every promise in `docs/contract.md` and `docs/mesos.md` names tests that hold it, every limit in
//! `docs/limits.md` tests that go there, and all of them exist.

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
/// of the engine. `suite` are the cases of the conformance suite.
fn holders(krate: &str) -> BTreeSet<String> {
    if krate == "suite" {
        return cases();
    }
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

/// The names of the cases of the conformance suite.
fn cases() -> BTreeSet<String> {
    let texts = files(&workspace().join("conformance/src/cases"), "rs").into_iter();
    let texts = texts.map(|file| fs::read_to_string(file).unwrap());
    let name = |rest: &str| rest.split('"').nth(1).map(str::to_owned);
    texts
        .flat_map(|text| text.split("case!(").skip(1).filter_map(name).collect::<Vec<_>>())
        .collect()
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

/// The rows of the tables, but for their heads.
fn rows(text: &str) -> Vec<Row> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| held by |"));
    let row = |line: &str| {
        let (promise, held) = line.trim_matches('|').rsplit_once(" | ").expect("two columns");
        let test = |name: String| {
            let named = name.split_once('/');
            let (krate, test) = named.unwrap_or_else(|| panic!("whose is `{name}`?"));
            (krate.to_owned(), test.to_owned())
        };
        (promise.trim().to_owned(), in_backticks(held).into_iter().map(test).collect())
    };
    rows.map(row).collect()
}

/// What stands in backticks in a cell.
fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What is wrong with rows: those that name no test, or one that is not there.
fn faults(rows: Vec<Row>) -> Vec<String> {
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
    faults
}

#[test]
fn each_promise_names_tests_that_are_there() {
    for (document, least) in [("docs/contract.md", 80), ("docs/mesos.md", 60)] {
        let text = fs::read_to_string(workspace().join(document)).unwrap();
        let rows = rows(&text);
        assert!(rows.len() > least, "{document}: {} rows: the tables are not read", rows.len());
        let faults = faults(rows);
        assert!(faults.is_empty(), "{document}: {}", faults.join("\n"));
    }
}

#[test]
fn each_limit_has_a_row_with_tests_or_a_reason_to_have_none() {
    let files = ["api/src/limits.rs", "api/src/limits/frameworks.rs"];
    let source: String =
        files.map(|file| fs::read_to_string(workspace().join(file)).unwrap()).concat();
    let constants = source.lines().filter_map(|line| line.strip_prefix("pub const "));
    let constants: BTreeSet<_> =
        constants.map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert!(constants.len() > 100, "{} constants: they are not read", constants.len());

    let text = fs::read_to_string(workspace().join("docs/limits.md")).unwrap();
    let (reached, rest) = text.split_once("\n## What nobody can be refused for").unwrap();
    let (unreached, _) = rest.split_once("\n## Bounds that stand").unwrap();
    let table = |text: &str| {
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let (reached, unreached) = (table(reached), table(unreached));
    let named = |row: &String| in_backticks(row.trim_matches('|').split(" | ").next().unwrap());
    let mut seen = BTreeMap::<String, usize>::new();
    for constant in reached.iter().chain(&unreached).flat_map(named) {
        *seen.entry(constant).or_default() += 1;
    }
    let mut faults = faults(rows(&reached.join("\n")));
    for constant in &constants {
        match seen.get(constant) {
            None => faults.push(format!("`{constant}` has no row")),
            Some(1) => {}
            Some(rows) => faults.push(format!("`{constant}` has {rows} rows")),
        }
    }
    let gone = seen.keys().filter(|constant| !constants.contains(*constant));
    faults.extend(gone.map(|constant| format!("there is no constant `{constant}`")));
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
