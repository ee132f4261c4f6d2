//! The cores stay pure: nothing in them does I/O, reads a clock, draws entropy, waits, locks or
//! depends on hash order. That is why they can be simulated.
#![allow(clippy::unwrap_used, reason = "a room that cannot be read is a failed test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOMS: [&str; 7] = [
    "engine/src",
    "session/src",
    "turn/src",
    "master/src/core",
    "agent/src/core",
    "agent/src/supervise/core.rs",
    "executor/src/core",
];

const FORBIDDEN: [&str; 23] = [
    "async ",
    ".await;",
    ".await?",
    "tokio",
    "hyper",
    "sled",
    "std::net",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "Instant::",
    "SystemTime",
    "clock::",
    "getrandom",
    "HashMap",
    "HashSet",
    "Mutex",
    "RwLock",
    "static mut",
    "OnceLock",
];

fn sources(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_file() {
        found.push(place.to_owned());
        return;
    }
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|ending| ending == "rs") {
            sources(&path, found);
        }
    }
}

#[test]
fn the_cores_do_nothing_but_reckon() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut broken = Vec::new();
    for room in ROOMS {
        let mut files = Vec::new();
        sources(&root.join(room), &mut files);
        assert!(!files.is_empty(), "{room} has moved");
        for file in files {
            for (at, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in FORBIDDEN.iter().filter(|word| code.contains(**word)) {
                    broken.push(format!("{}:{}: {word}", file.display(), at + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "not pure:\n{}", broken.join("\n"));
}

/// Floats are for the wire; in state and decisions all numbers are exact.
#[test]
fn the_engine_has_no_floats() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(&root.join("engine/src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("f64") && !text.contains("f32"), "{} has floats", file.display());
    }
}
