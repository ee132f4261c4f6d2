//! The core must stay a plain state machine.

use std::{fs, path::Path};

#[test]
fn the_core_has_no_io_clock_entropy_async_or_floats() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core");
    let forbidden = [
        "tokio",
        "async ",
        ".await",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "std::sync",
        "HashMap",
        "HashSet",
        "clock::",
        "Instant",
        "SystemTime",
        "getrandom",
        "f32",
        "f64",
        "hyper",
    ];
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for word in forbidden {
            assert!(!text.contains(word), "{} uses `{word}`", path.display());
        }
        files += 1;
    }
    assert!(files >= 4, "the core has moved");
}
