//! The documents of the examples are ones that Muster accepts.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{fs, path::Path};

use muster_api::spec::Spec;

#[test]
fn every_document_is_valid() {
    let mut documents = 0;
    for example in ["file-digest", "heartbeat"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = ["BIN", "SCRIPTS", "ROOT", "OUT"]
                .iter()
                .fold(text, |text, name| text.replace(&format!("@{name}@"), "/some/folder"));
            assert!(!text.contains('@'), "{} has an unknown placeholder", path.display());
            for document in text.split("\n---\n") {
                let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
                if let Err(error) = Spec::parse(value) {
                    panic!("{}: {error}", path.display());
                }
                documents += 1;
            }
        }
    }
    assert_eq!(documents, 8);
}
