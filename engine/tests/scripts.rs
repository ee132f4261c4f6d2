//! Runs the event scripts in `tests/scripts/*.txt` and compares every step with what stands there.
//!
//! A line that begins with `> ` is an event; the lines below it are what the step did. To accept
//! what the engine does now, run with `MUSTER_BLESS=1` and read the difference; to look at a few
//! scripts only, with the beginning of their names, as in `MUSTER_BLESS=05_`.

#![allow(clippy::unwrap_used, reason = "a script that cannot be played is a failed test")]

mod samples;
mod script;

use std::path::PathBuf;

fn scripts() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_script_gives_exactly_its_steps() {
    let bless = std::env::var("MUSTER_BLESS").ok();
    let mut files = scripts();
    assert!(files.len() >= 8, "the scripts are missing");
    if let Some(beginning) = bless.as_deref().filter(|bless| *bless != "1") {
        files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with(beginning));
    }
    let mut different = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (now, _) = script::play(&text);
        if now == text {
            continue;
        }
        if bless.is_some() {
            std::fs::write(&file, &now).unwrap();
        } else {
            different.push(format!("--- {}\n{}", file.display(), script::difference(&text, &now)));
        }
    }
    assert!(different.is_empty(), "steps differ:\n{}", different.join("\n"));
}
