//! Every store keeps to the same contract.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::PathBuf;

use muster_api::{
    limits::STORED_VALUE_BYTES,
    step::{Records, Write},
};
use muster_scheduler::store::{
    self, Commit, DiskStore, Failure, History, MemoryDisk, MemoryStore, Row, Stamp, State,
    StoreError, StoreKind,
};

/// A place that outlives the stores that are opened there.
enum Place {
    Memory(MemoryDisk),
    Folder(tempfile::TempDir, StoreKind),
}

impl Place {
    fn open(&self) -> Box<dyn State> {
        match self {
            Self::Memory(disk) => Box::new(MemoryStore::open(disk)),
            Self::Folder(folder, kind) => {
                Box::new(DiskStore::open(&path(folder), Some(*kind)).unwrap())
            }
        }
    }
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("store")
}

/// Runs a test on each kind of store.
fn on_each(test: impl Fn(&Place)) {
    test(&Place::Memory(MemoryDisk::default()));
    for kind in StoreKind::ALL {
        test(&Place::Folder(tempfile::tempdir().unwrap(), kind));
    }
}

fn put(key: &str, value: impl Into<Vec<u8>>) -> Write {
    Write::Put { key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Write {
    Write::Delete { key: key.into() }
}

fn commit(store: &mut dyn State, sequence: u64, writes: &[Write]) {
    store.commit(&Commit { term: 1, sequence, writes }).unwrap();
}

fn records(rows: &[(&str, &str)]) -> Records {
    rows.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect()
}

/// What a start would load.
fn loaded(store: &dyn State) -> Records {
    store::records(store).unwrap()
}

fn keys(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

#[test]
fn commits_are_found_by_the_next_start() {
    on_each(|place| {
        let mut store = place.open();
        assert_eq!(loaded(&*store), Records::new());
        assert_eq!(store.last().unwrap(), None);
        commit(&mut *store, 1, &[put("a", "1"), put("b", "2"), put("h/x", "3"), put("h", "4")]);
        commit(&mut *store, 2, &[delete("a"), put("b", "5"), put("h0", "6"), delete("never")]);
        drop(store);
        let store = place.open();
        assert_eq!(loaded(&*store), records(&[("b", "5"), ("h", "4"), ("h0", "6")]));
        assert_eq!(store.last().unwrap(), Some(Stamp { term: 1, sequence: 2 }));
        assert_eq!(store.history().get(b"h/x").unwrap(), Some(b"3".to_vec()));
    });
}

#[test]
fn the_later_of_two_changes_of_a_key_counts() {
    on_each(|place| {
        let mut store = place.open();
        let long = vec![7; 3 * STORED_VALUE_BYTES];
        commit(&mut *store, 1, &[put("a", long.clone()), delete("a"), put("b", "short")]);
        commit(
            &mut *store,
            2,
            &[delete("b"), put("b", long.clone()), put("c", "1"), put("c", "2")],
        );
        let expected = [(b"b".to_vec(), long), (b"c".to_vec(), b"2".to_vec())];
        assert_eq!(loaded(&*store), Records::from(expected));
    });
}

#[test]
fn long_values_are_whole_and_leave_nothing_behind() {
    on_each(|place| {
        let mut store = place.open();
        let lengths = [0, 1, STORED_VALUE_BYTES, STORED_VALUE_BYTES + 1, 300_000, 9_000, 5, 12_000];
        for (sequence, length) in (1..).zip(lengths) {
            let value: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            commit(&mut *store, sequence, &[put("j/a", value.clone()), put("j/a\0\0\0\0", "near")]);
            let history = store.history();
            assert_eq!(history.get(b"j/a").unwrap(), Some(value.clone()), "{length}");
            let rows = history.scan(b"", None, false, 10).unwrap();
            assert_eq!(rows[0], (b"j/a".to_vec(), value), "{length}");
            assert_eq!(keys(rows), ["j/a", "j/a\0\0\0\0"], "{length}");
        }
        commit(&mut *store, 100, &[delete("j/a")]);
        assert_eq!(loaded(&*store), records(&[("j/a\0\0\0\0", "near")]));
    });
}

#[test]
fn records_are_loaded_in_the_order_of_their_keys() {
    on_each(|place| {
        let mut store = place.open();
        let keys = ["a", "a/\u{1}", "g", "h", "h.", "h0", "z\u{10ffff}"];
        let writes = keys.iter().rev().chain(&["h/1", "h/z"]).map(|key| put(key, *key));
        commit(&mut *store, 1, &writes.collect::<Vec<_>>());
        let mut seen = Vec::new();
        store
            .load(&mut |key, value| {
                assert_eq!(key, value);
                seen.push(String::from_utf8(key.to_vec()).unwrap());
            })
            .unwrap();
        assert_eq!(seen, keys);
    });
}

#[test]
fn scans_go_both_ways_and_page_by_page() {
    on_each(|place| {
        let mut store = place.open();
        let names = ["h/a", "h/a/", "h/a/1", "h/a/2", "h/a/3", "h/a/\u{10ffff}", "h/b", "i"];
        let writes: Vec<_> = names.iter().map(|key| put(key, *key)).collect();
        commit(&mut *store, 1, &writes);
        let history = store.history();
        let scan = |prefix: &str, after: Option<&str>, reverse, limit| {
            let after = after.map(str::as_bytes);
            keys(history.scan(prefix.as_bytes(), after, reverse, limit).unwrap())
        };
        let below_a = &names[1..6];
        assert_eq!(scan("h/a/", None, false, 100), below_a);
        assert_eq!(scan("h/a/", None, false, 2), below_a[..2]);
        assert_eq!(scan("h/a/", Some("h/a/1"), false, 2), below_a[2..4]);
        assert_eq!(scan("h/a/", Some("h/a/11"), false, 2), below_a[2..4]);
        assert_eq!(scan("h/a/", None, true, 2), ["h/a/\u{10ffff}", "h/a/3"]);
        assert_eq!(scan("h/a/", Some("h/a/3"), true, 9), ["h/a/2", "h/a/1", "h/a/"]);
        assert_eq!(scan("h/a/", Some("a"), false, 1), below_a[..1]);
        assert_eq!(scan("h/a/", Some("z"), true, 1), ["h/a/\u{10ffff}"]);
        for (after, reverse) in [("z", false), ("a", true), ("h/a/", true)] {
            assert!(scan("h/a/", Some(after), reverse, 9).is_empty(), "{after}");
        }
        assert!(scan("h/c", None, false, 9).is_empty());
        assert!(scan("h/a/", None, false, 0).is_empty());
        assert_eq!(scan("", None, false, 100), names);
    });
}

#[test]
fn commits_come_in_order() {
    on_each(|place| {
        let mut store = place.open();
        let mut at = |term, sequence| {
            let writes = [put("at", format!("{term}.{sequence}"))];
            store.commit(&Commit { term, sequence, writes: &writes })
        };
        at(3, 7).unwrap();
        for (term, sequence) in [(3, 7), (3, 6), (2, 100)] {
            let refused = at(term, sequence);
            assert!(matches!(refused, Err(StoreError::Superseded { .. })), "{term}.{sequence}");
        }
        at(3, 8).unwrap();
        at(4, 1).unwrap();
        assert_eq!(loaded(&*store), records(&[("at", "4.1")]));
    });
}

#[test]
fn one_commit_may_be_large() {
    on_each(|place| {
        let mut store = place.open();
        let writes: Vec<_> = (0..2_000).map(|n| put(&format!("{n:05}"), vec![1; 1_000])).collect();
        commit(&mut *store, 1, &writes);
        drop(store);
        assert_eq!(loaded(&*place.open()).len(), 2_000);
    });
}

#[test]
fn readers_on_other_threads_see_whole_commits() {
    on_each(|place| {
        let mut store = place.open();
        let history = store.history();
        let values = |n: usize| [put("h/1", vec![n as u8; n * 1_000]), put("h/2", vec![n as u8])];
        commit(&mut *store, 1, &values(1));
        let reader = std::thread::spawn(move || {
            let mut seen = 1;
            while seen < 40 {
                let rows = history.scan(b"h/", None, false, 10).unwrap();
                let [(_, long), (_, short)] = rows.as_slice() else { panic!("{}", rows.len()) };
                assert_eq!(*long, vec![short[0]; usize::from(short[0]) * 1_000]);
                assert!(short[0] >= seen);
                seen = short[0];
            }
        });
        for n in 2..=40 {
            commit(&mut *store, n as u64, &values(n));
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_failed_commit_closes_the_store() {
    for (failure, left) in [(Failure::Lost, "1"), (Failure::Stored, "2")] {
        let disk = MemoryDisk::default();
        disk.fail_commit(2, failure);
        let mut store = MemoryStore::open(&disk);
        commit(&mut store, 1, &[put("a", "1")]);
        let writes = [put("a", "2")];
        let mut again = |sequence| store.commit(&Commit { term: 1, sequence, writes: &writes });
        assert!(matches!(again(2), Err(StoreError::Failed { .. })));
        assert!(matches!(again(3), Err(StoreError::Closed { .. })));
        let mut store = MemoryStore::open(&disk);
        assert_eq!(loaded(&store), records(&[("a", left)]));
        commit(&mut store, 4, &[put("a", "4")]);
    }
}

/// The driver keeps stores and hands out readers as these types.
#[test]
fn stores_can_be_sent_to_other_threads() {
    fn is_send<T: Send + ?Sized>() {}
    fn is_shared<T: Send + Sync + ?Sized>() {}
    is_send::<Box<dyn State>>();
    is_shared::<dyn History>();
}
