//! The core stays pure: nothing in it does I/O, reads a clock, draws entropy, waits or locks.

use std::{fs, path::Path};

const FORBIDDEN: [&str; 14] = [
    "async ",
    "await",
    "tokio",
    "hyper",
    "std::net",
    "std::fs",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "clock::",
    "getrandom",
    "HashMap",
    "Mutex",
    "OnceLock",
];

#[test]
fn the_core_is_pure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for (at, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{}:{}: {word}", path.display(), at + 1);
            }
        }
    }
}
