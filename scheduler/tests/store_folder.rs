//! Folders that cannot be a store are refused, and the error says which kind they are.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use muster_api::step::Write;
use muster_scheduler::store::{self, Commit, DiskStore, OpenError, Stamp, State, StoreKind};
use tempfile::TempDir;

/// A folder with a store of one commit, closed.
fn used(kind: StoreKind) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("store");
    let mut store = DiskStore::open(&path, Some(kind)).unwrap();
    let writes = [Write::Put { key: b"a".into(), value: b"1".into() }];
    store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
    (folder, path)
}

fn refusal(path: &Path) -> OpenError {
    DiskStore::open(path, None).unwrap_err()
}

#[test]
fn a_folder_in_use() {
    for kind in StoreKind::ALL {
        let (_folder, path) = used(kind);
        let store = DiskStore::open(&path, None).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        let owner = format!("by process {};", std::process::id());
        assert!(error.to_string().contains(&owner), "{error}");
        drop(store);
        DiskStore::open(&path, None).unwrap();
    }
}

#[test]
fn a_folder_keeps_its_kind() {
    for (kind, other) in [(StoreKind::Sled, StoreKind::Redb), (StoreKind::Redb, StoreKind::Sled)] {
        let (_folder, path) = used(kind);
        let error = DiskStore::open(&path, Some(other)).unwrap_err();
        assert!(matches!(error, OpenError::OtherKind { found, .. } if found == kind), "{error:?}");
        assert!(error.to_string().contains(&format!("`--store {kind}`")), "{error}");
        assert!(!path.join(other.name()).exists(), "nothing was made there");
        assert_eq!(DiskStore::open(&path, None).unwrap().kind(), kind);
        assert_eq!(DiskStore::open(&path, Some(kind)).unwrap().kind(), kind);
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(DiskStore::open(folder.path(), None).unwrap().kind(), StoreKind::Sled);
}

/// What a folder says about itself must be what its database says.
#[test]
fn a_database_of_another_folder() {
    for (kind, other) in [(StoreKind::Sled, StoreKind::Redb), (StoreKind::Redb, StoreKind::Sled)] {
        let (_folder, path) = used(kind);
        let (_other_folder, other_path) = used(other);
        fs::copy(other_path.join("format"), path.join("format")).unwrap();
        assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
        fs::rename(path.join(kind.name()), path.join(other.name())).unwrap();
        assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
    }
}

#[test]
fn a_folder_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "").unwrap();
    let error = refusal(folder.path());
    assert!(matches!(&error, OpenError::Foreign { entry, .. } if entry == "thesis.txt"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made there");

    for kind in StoreKind::ALL {
        let (_folder, path) = used(kind);
        for note in ["somebody-elses 1\n", "", "muster-store 1 tape\n"] {
            fs::write(path.join("format"), note).unwrap();
            assert!(matches!(refusal(&path), OpenError::Foreign { .. }), "{note}");
        }
    }
}

#[test]
fn a_folder_of_a_newer_muster() {
    for kind in StoreKind::ALL {
        let (_folder, path) = used(kind);
        fs::write(path.join("format"), "muster-store 2 anything\n").unwrap();
        assert!(matches!(refusal(&path), OpenError::Newer { found: 2, known: 1, .. }));
    }
}

#[test]
fn a_database_that_is_gone() {
    for kind in StoreKind::ALL {
        let (_folder, path) = used(kind);
        fs::remove_file(path.join(kind.name()).join("db")).unwrap();
        assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
        fs::remove_dir_all(path.join(kind.name())).unwrap();
        assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
    }
}

#[test]
fn a_database_that_is_empty_or_noise() {
    for kind in StoreKind::ALL {
        for noise in [&b""[..], &[0x5a; 600_000]] {
            let (_folder, path) = used(kind);
            make_noise(&path, kind, noise);
            let error = refusal(&path);
            assert!(matches!(error, OpenError::Damaged { .. }), "{kind}: {error:?}");
            assert!(path.join(kind.name()).join("db").exists(), "it is left for who can read it");
        }
    }
}

fn make_noise(path: &Path, kind: StoreKind, noise: &[u8]) {
    let database = path.join(kind.name());
    for file in fs::read_dir(&database).unwrap() {
        let file = file.unwrap().path();
        if file.file_name().unwrap().to_string_lossy().starts_with("snap") {
            fs::remove_file(file).unwrap();
        }
    }
    fs::write(database.join("db"), noise).unwrap();
}

#[test]
fn a_making_that_was_cut_short_is_finished() {
    for kind in StoreKind::ALL {
        let (_folder, path) = used(kind);
        let note = fs::read(path.join("format")).unwrap();
        fs::remove_file(path.join("format")).unwrap();
        let store = DiskStore::open(&path, Some(kind)).unwrap();
        assert_eq!(store::records(&store).unwrap().len(), 1);
        assert_eq!(fs::read(path.join("format")).unwrap(), note);

        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(kind.name())).unwrap();
        fs::write(folder.path().join("lock"), "").unwrap();
        DiskStore::open(folder.path(), Some(kind)).unwrap();
    }
}

/// A power cut may leave any bytes of a database that was about to be made.
#[test]
fn a_making_of_which_noise_is_left_begins_anew() {
    for kind in StoreKind::ALL {
        for noise in [&b""[..], &[0x5a; 600_000], &[0; 5_000]] {
            let (_folder, path) = used(kind);
            fs::remove_file(path.join("format")).unwrap();
            make_noise(&path, kind, noise);
            // Something was stored there once, so it is no making that was cut short.
            let refused = DiskStore::open(&path, Some(kind)).unwrap_err();
            assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
            fs::remove_file(path.join("reached")).unwrap();
            let store = DiskStore::open(&path, Some(kind)).unwrap();
            assert_eq!(store::records(&store).unwrap().len(), 0);
            drop(store);
            DiskStore::open(&path, None).unwrap();
        }
    }
}

/// Bytes of the first format, as they are on disks.
#[test]
fn notes_of_the_first_format() {
    let notes = ["muster-store 1\n", "muster-store 1 redb\n"];
    for (kind, note) in StoreKind::ALL.into_iter().zip(notes) {
        let (_folder, path) = used(kind);
        assert_eq!(fs::read_to_string(path.join("format")).unwrap(), note);
    }
}

/// A database file as redb 4.6 has made it. sled's format does not change any more.
#[test]
fn a_redb_file_of_the_first_format() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("redb")).unwrap();
    let old = include_bytes!("samples/redb.v1");
    fs::write(folder.path().join("redb/db"), old).unwrap();
    fs::write(folder.path().join("format"), "muster-store 1 redb\n").unwrap();
    let store = DiskStore::open(folder.path(), None).unwrap();
    let expected: [(Vec<u8>, Vec<u8>); 1] = [(b"a".into(), b"1".into())];
    assert_eq!(store::records(&store).unwrap(), expected.into());
    assert_eq!(store.last().unwrap(), Some(Stamp { term: 1, sequence: 1 }));
}

#[test]
fn a_store_is_for_its_owner_only() {
    let (_folder, path) = used(StoreKind::Sled);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
