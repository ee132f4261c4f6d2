//! Folders that cannot be a store are refused, and the error says which kind they are.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use muster_api::step::Write;
use muster_scheduler::store::{Commit, OpenError, SledStore, State};
use tempfile::TempDir;

/// A folder with a store of one commit, closed.
fn used() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("store");
    let mut store = SledStore::open(&path).unwrap();
    let writes = [Write::Put { key: b"a".into(), value: b"1".into() }];
    store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
    (folder, path)
}

fn refusal(path: &Path) -> OpenError {
    SledStore::open(path).unwrap_err()
}

#[test]
fn a_folder_in_use() {
    let (_folder, path) = used();
    let store = SledStore::open(&path).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("by process {};", std::process::id())), "{error}");
    drop(store);
    SledStore::open(&path).unwrap();
}

#[test]
fn a_folder_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "").unwrap();
    let error = refusal(folder.path());
    assert!(matches!(&error, OpenError::Foreign { entry, .. } if entry == "thesis.txt"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made there");

    let (_folder, path) = used();
    fs::write(path.join("format"), "somebody-elses 1\n").unwrap();
    assert!(matches!(refusal(&path), OpenError::Foreign { .. }));
}

#[test]
fn a_folder_of_a_newer_muster() {
    let (_folder, path) = used();
    fs::write(path.join("format"), "muster-store 2\n").unwrap();
    assert!(matches!(refusal(&path), OpenError::Newer { found: 2, known: 1, .. }));
}

#[test]
fn a_database_that_is_gone() {
    let (_folder, path) = used();
    fs::remove_file(path.join("sled/db")).unwrap();
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
    fs::remove_dir_all(path.join("sled")).unwrap();
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
}

#[test]
fn a_database_that_is_empty_or_noise() {
    for noise in [&b""[..], &[0x5a; 600_000]] {
        let (_folder, path) = used();
        for file in fs::read_dir(path.join("sled")).unwrap() {
            let file = file.unwrap().path();
            if file.file_name().unwrap().to_string_lossy().starts_with("snap") {
                fs::remove_file(file).unwrap();
            }
        }
        fs::write(path.join("sled/db"), noise).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn a_making_that_was_cut_short_is_finished() {
    let (_folder, path) = used();
    fs::remove_file(path.join("format")).unwrap();
    let store = SledStore::open(&path).unwrap();
    assert_eq!(store.load().unwrap().len(), 1);
    assert_eq!(fs::read(path.join("format")).unwrap(), b"muster-store 1\n");

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sled")).unwrap();
    fs::write(folder.path().join("lock"), "").unwrap();
    SledStore::open(folder.path()).unwrap();
}

#[test]
fn a_store_is_for_its_owner_only() {
    let (_folder, path) = used();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
