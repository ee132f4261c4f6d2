//! Backups: exact while commits go on, refused when anything is wrong with them, and restored into
//! a store of any kind.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/commits.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod commits;

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use commits::{Model, all, commit};
use muster_api::{Timestamp, clock, limits, step::Write};
use muster_engine::records::held_write;
use muster_scheduler::{
    backup::{
        BackupError, Backups, Header, InvalidBackup, Item, Parser, Progress, RestoreError, Tapped,
        Trailer, restore,
    },
    store::{
        Commit, DiskStore, Failure, MemoryDisk, MemoryStore, OpenError, Stamp, State, StoreKind,
    },
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// All bytes of a backup.
fn taken(backups: &Backups) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = backups.begin().unwrap().write(&mut |part| {
        bytes.extend_from_slice(&part);
        Ok(())
    });
    written.unwrap();
    bytes
}

/// All items of a backup that comes in chunks of this size.
fn parsed(bytes: &[u8], chunk: usize) -> Result<Vec<Item>, InvalidBackup> {
    let mut parser = Parser::default();
    let mut items = Vec::new();
    for chunk in bytes.chunks(chunk) {
        parser.push(chunk);
        while let Some(item) = parser.next()? {
            items.push(item);
        }
    }
    parser.finish()?;
    Ok(items)
}

/// A folder with a backup in it, restored.
fn restored(bytes: &[u8], kind: Option<StoreKind>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (from, data) = (folder.path().join("backup"), folder.path().join("data"));
    fs::write(&from, bytes).unwrap();
    restore(&from, &data, kind, now(), &mut |_| {}).unwrap();
    (folder, data.join("store"))
}

/// A small backup, of every kind of thing.
fn small() -> Vec<u8> {
    let mut store = MemoryStore::open(&MemoryDisk::default());
    let put = |key: &str, length| Write::Put { key: key.into(), value: vec![7; length] };
    let writes = [put("a", 0), put("h/1", 9), put("j/long", 300)];
    store.commit(&Commit { term: 3, sequence: 9, writes: &writes }).unwrap();
    taken(&Tapped::new(Box::new(store), "memory").unwrap().backups())
}

/// Records that make a backup of many pages, before and behind all others.
fn ballast() -> Vec<Write> {
    let records = (0..5 * limits::BACKUP_PAGE_BYTES / 10_000).flat_map(|n| {
        ["a", "z"].map(|place| Write::Put {
            key: format!("{place}/{n:04}").into(),
            value: vec![n as u8; 10_000],
        })
    });
    records.collect()
}

#[test]
fn a_backup_under_load_is_the_store_at_its_last_commit() {
    let (sled, redb) = (StoreKind::Sled, StoreKind::Redb);
    for (from, to) in [(Some(sled), redb), (Some(redb), sled), (Some(sled), sled), (None, redb)] {
        let folder = tempfile::tempdir().unwrap();
        let mut store: Box<dyn State> = match from {
            None => Box::new(MemoryStore::open(&MemoryDisk::default())),
            kind => Box::new(DiskStore::open(&folder.path().join("store"), kind).unwrap()),
        };
        let first = Commit { term: 0, sequence: 1, writes: &ballast() };
        store.commit(&first).unwrap();
        for n in 1..=400 {
            commit(&mut *store, n).unwrap();
        }
        let mut store = Tapped::new(store, "any").unwrap();
        let backups = store.backups();
        let (wanted, made) = (Arc::new(AtomicU64::new(400)), Arc::new(AtomicU64::new(400)));
        let (until, committed) = (Arc::clone(&wanted), Arc::clone(&made));
        let committer = std::thread::spawn(move || {
            for n in 401.. {
                wait_until(|| until.load(Ordering::SeqCst) >= n);
                if until.load(Ordering::SeqCst) == u64::MAX {
                    return;
                }
                commit(&mut store, n).unwrap();
                committed.store(n, Ordering::SeqCst);
            }
        });
        let mut bytes = Vec::new();
        let mut parts = 0;
        let trailer = backups.begin().unwrap().write(&mut |part| {
            bytes.extend_from_slice(&part);
            parts += 1;
            // Commits land between any two parts: at first for sure, then as it comes.
            let seen = made.load(Ordering::SeqCst);
            wanted.fetch_max(seen + 3, Ordering::SeqCst);
            if parts < 40 {
                wait_until(|| made.load(Ordering::SeqCst) > seen);
            }
            Ok(())
        });
        wanted.store(u64::MAX, Ordering::SeqCst);
        committer.join().unwrap();
        let last = trailer.unwrap().last.unwrap();
        assert!(last.sequence >= 430, "commits went on: {last:?}");

        let (_folder, path) = restored(&bytes, Some(to));
        let store = DiskStore::open(&path, None).unwrap();
        assert_eq!((store.kind(), store.last().unwrap()), (to, Some(last)));
        let mut expected = Model::new().after(last.sequence);
        for write in ballast().into_iter().chain([held_write(now())]) {
            let Write::Put { key, value } = write else { panic!("it is put") };
            expected.push((key, value));
        }
        expected.sort();
        assert!(all(&store) == expected, "{from:?} to {to}: not what was stored");
    }
}

/// Commits wait for a page at most, so a page of long records has few of them.
#[test]
fn a_page_of_a_backup_is_bounded_by_its_bytes() {
    const RECORD_BYTES: usize = 100_000;
    const RECORDS: usize = 100;
    let mut store = MemoryStore::open(&MemoryDisk::default());
    let long = |n| Write::Put { key: format!("a/{n:03}").into(), value: vec![1; RECORD_BYTES] };
    let writes: Vec<_> = (0..RECORDS).map(long).collect();
    store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
    let mut store = Tapped::new(Box::new(store), "memory").unwrap();
    let backup = store.backups().begin().unwrap();
    let (mut bytes, mut sequence) = (Vec::new(), 1);
    let written = backup.write(&mut |part| {
        bytes.extend_from_slice(&part);
        // What is committed now stands before the next page.
        sequence += 1;
        let mark = [Write::Put { key: b"mark".into(), value: Vec::new() }];
        store.commit(&Commit { term: 1, sequence, writes: &mark }).unwrap();
        Ok(())
    });
    written.unwrap();
    let (mut pages, mut records) = (vec![0], 0);
    for item in parsed(&bytes, usize::MAX).unwrap() {
        let Item::Writes(writes) = item else { continue };
        for write in writes {
            let Write::Put { key, value } = write else { panic!("nothing was deleted") };
            match key.as_slice() {
                b"mark" => pages.push(0),
                _ => *pages.last_mut().unwrap() += key.len() + value.len(),
            }
            records += usize::from(key != b"mark");
        }
    }
    assert_eq!(records, RECORDS);
    let most = limits::BACKUP_PAGE_BYTES + 8 * (RECORD_BYTES + 10);
    assert!(pages.iter().all(|page| *page < most), "{pages:?}");
}

fn wait_until(holds: impl Fn() -> bool) {
    let since = clock::mono();
    while !holds() {
        assert!(clock::mono().since(since) < PATIENCE, "this never came to be");
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_that_is_too_slow_gets_no_backup_and_holds_up_nobody() {
    let disk = MemoryDisk::default();
    let mut store = Tapped::new(Box::new(MemoryStore::open(&disk)), "memory").unwrap();
    commit(&mut store, 1).unwrap();
    let backup = store.backups().begin().unwrap();
    let value = vec![1; 1024 * 1024];
    let mut last = 1;
    let mut bytes = Vec::new();
    let written = backup.write(&mut |part| {
        bytes.extend_from_slice(&part);
        // The reader dawdles at the first part.
        while last * value.len() as u64 <= limits::BACKUP_BACKLOG_BYTES as u64 + 1 {
            last += 1;
            let writes = [Write::Put { key: b"large".into(), value: value.clone() }];
            store.commit(&Commit { term: 1, sequence: last, writes: &writes }).unwrap();
        }
        Ok(())
    });
    assert!(matches!(written, Err(BackupError::Slow)), "{written:?}");
    let refused = parsed(&bytes, usize::MAX).unwrap_err();
    let InvalidBackup::Aborted { why } = &refused else { panic!("{refused:?}") };
    assert!(why.contains("too slow"), "{why}");
    assert_eq!(store.last().unwrap().unwrap().sequence, last);
    // The next one is none the worse for it.
    assert!(parsed(&taken(&store.backups()), 1_000).is_ok());
}

#[test]
fn a_failed_commit_ends_backups() {
    for failure in [Failure::Lost, Failure::Stored] {
        let disk = MemoryDisk::default();
        disk.fail_commit(2, failure);
        let mut store = Tapped::new(Box::new(MemoryStore::open(&disk)), "memory").unwrap();
        commit(&mut store, 1).unwrap();
        let backup = store.backups().begin().unwrap();
        commit(&mut store, 2).unwrap_err();
        let written = backup.write(&mut |_| Ok(()));
        assert!(matches!(written, Err(BackupError::Stopped)), "{written:?}");
    }
}

#[test]
fn few_backups_are_made_at_one_time() {
    let store = MemoryStore::open(&MemoryDisk::default());
    let backups = Tapped::new(Box::new(store), "memory").unwrap().backups();
    let mut some: Vec<_> = (0..limits::BACKUPS).map(|_| backups.begin().unwrap()).collect();
    assert!(matches!(backups.begin().map(drop), Err(BackupError::Busy)));
    some.pop();
    let gone = backups.begin().unwrap().write(&mut |_| Err(std::io::ErrorKind::BrokenPipe.into()));
    assert!(matches!(gone, Err(BackupError::Reader(_))));
    backups.begin().unwrap();
}

#[test]
fn an_empty_store_has_a_backup() {
    let store = MemoryStore::open(&MemoryDisk::default());
    let bytes = taken(&Tapped::new(Box::new(store), "memory").unwrap().backups());
    let (_folder, path) = restored(&bytes, None);
    let store = DiskStore::open(&path, None).unwrap();
    assert_eq!(all(&store).len(), 1, "it is held");
    assert_eq!(store.last().unwrap(), Some(Stamp { term: 0, sequence: 1 }));
}

#[test]
fn a_backup_is_read_in_chunks_of_any_size() {
    let bytes = small();
    let items = parsed(&bytes, usize::MAX).unwrap();
    for chunk in 1..bytes.len() {
        assert_eq!(parsed(&bytes, chunk).as_ref(), Ok(&items), "{chunk}");
    }
    let [Item::Header(header), Item::Writes(writes), Item::End(trailer)] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!((header.store.as_str(), writes.len()), ("memory", 3));
    let last = Some(Stamp { term: 3, sequence: 9 });
    assert_eq!(*trailer, Trailer { writes: 3, bytes: 10 + 309, last });
}

#[test]
fn what_is_cut_short_or_changed_is_no_backup() {
    let bytes = small();
    for length in 0..bytes.len() {
        let cut = parsed(&bytes[..length], 64).unwrap_err();
        assert!(matches!(cut, InvalidBackup::Truncated { .. }), "{length}: {cut:?}");
    }
    for place in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            assert!(parsed(&changed, 64).is_err(), "{place}");
        }
        let mut lacking = bytes.clone();
        lacking.remove(place);
        assert!(parsed(&lacking, 64).is_err(), "{place}");
    }
    for more in [&b"x"[..], &bytes] {
        let refused = parsed(&[&bytes, more].concat(), 64).unwrap_err();
        assert!(matches!(refused, InvalidBackup::Damaged { .. }), "{refused:?}");
    }
    let newer = [&bytes[..17], &[2], &bytes[18..]].concat();
    assert_eq!(parsed(&newer, 64), Err(InvalidBackup::Newer { found: 2 }));
    for foreign in [&b"PK\x03\x04"[..], b"muster backup", &[0; 100]] {
        assert_eq!(parsed(foreign, 64), Err(InvalidBackup::Foreign));
    }
}

/// Bytes as they are in files that people keep.
#[test]
fn a_backup_of_the_first_format_still_loads() {
    let old = include_bytes!("samples/backup.v1");
    let items = parsed(old, 64).unwrap();
    let [Item::Header(header), Item::Writes(writes), Item::End(trailer)] = items.as_slice() else {
        panic!("{items:?}")
    };
    let created_at = "2026-11-22T14:00:00Z".parse().unwrap();
    let expected = Header { muster: "0.1.0".into(), store: "sled".into(), created_at };
    assert_eq!(*header, expected);
    let expected = [
        Write::Put { key: b"a".into(), value: b"1".into() },
        Write::Delete { key: b"gone".into() },
        Write::Put { key: b"h/x".into(), value: Vec::new() },
    ];
    assert_eq!(writes.as_slice(), expected);
    let last = Some(Stamp { term: 1_763_820_000_000, sequence: 42 });
    assert_eq!(*trailer, Trailer { writes: 3, bytes: 9, last });
}

fn refusal(bytes: &[u8], prepare: impl FnOnce(&Path)) -> (RestoreError, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (from, data) = (folder.path().join("backup"), folder.path().join("data"));
    fs::write(&from, bytes).unwrap();
    prepare(&data);
    (restore(&from, &data, None, now(), &mut |_| {}).unwrap_err(), folder)
}

#[test]
fn nothing_is_made_of_a_bad_backup() {
    let bytes = small();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    for bad in [&bytes[..bytes.len() - 1], &damaged, b"", b"noise"] {
        let (error, folder) = refusal(bad, |_| {});
        assert!(matches!(error, RestoreError::Invalid { .. }), "{error:?}");
        assert!(!folder.path().join("data").exists());
    }
}

#[test]
fn nothing_is_written_over() {
    let (error, folder) = refusal(&small(), |data| {
        fs::create_dir(data).unwrap();
        fs::write(data.join("thesis.txt"), "").unwrap();
    });
    assert!(matches!(&error, RestoreError::NotEmpty { entry, .. } if entry == "thesis.txt"));
    assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 1);
    let (error, _folder) = refusal(&small(), |data| {
        drop(DiskStore::open(&data.join("store"), None).unwrap());
    });
    assert!(matches!(&error, RestoreError::NotEmpty { entry, .. } if entry == "store"));

    // Tokens may be there before.
    let folder = tempfile::tempdir().unwrap();
    let (from, data) = (folder.path().join("backup"), folder.path().join("data"));
    fs::write(&from, small()).unwrap();
    fs::create_dir(&data).unwrap();
    fs::write(data.join("join.token"), "").unwrap();
    fs::write(data.join("notice.secret"), "").unwrap();
    let done = restore(&from, &data, Some(StoreKind::Redb), now(), &mut |_| {}).unwrap();
    assert_eq!((done.kind, done.header.store.as_str()), (StoreKind::Redb, "memory"));
}

const FROM: &str = "MUSTER_TEST_RESTORE_FROM";
const DATA: &str = "MUSTER_TEST_RESTORE_DATA";

/// The process that is killed in the middle of a restore.
#[test]
fn restorer() {
    let (Some(from), Some(data)) = (std::env::var_os(FROM), std::env::var_os(DATA)) else { return };
    let half = fs::metadata(&from).unwrap().len() / 2;
    let kind = std::env::var(commits::KIND).unwrap().parse().unwrap();
    let _ = restore(Path::new(&from), Path::new(&data), Some(kind), now(), &mut |progress| {
        if matches!(progress, Progress::Written(bytes) if bytes >= half) {
            println!("\nin the middle");
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::park();
            }
        }
    });
}

#[test]
fn a_restore_that_is_killed_leaves_a_folder_that_says_so() {
    let mut store = MemoryStore::open(&MemoryDisk::default());
    for n in 1..=40 {
        let writes = [Write::Put { key: format!("j/{n}").into(), value: vec![1; 500_000] }];
        store.commit(&Commit { term: 1, sequence: n, writes: &writes }).unwrap();
    }
    let expected = all(&store);
    let bytes = taken(&Tapped::new(Box::new(store), "memory").unwrap().backups());
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("backup");
    fs::write(&from, &bytes).unwrap();
    for kind in StoreKind::ALL {
        let data = folder.path().join(kind.name());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restorer", "--nocapture", "--test-threads=1"])
            .env(FROM, &from)
            .env(DATA, &data)
            .env(commits::KIND, kind.name())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "in the middle"));
        // Nobody is told to remove the folder while it goes on.
        let refused = DiskStore::open(&data.join("store"), None).unwrap_err();
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused:?}");
        let again = restore(&from, &data, Some(kind), now(), &mut |_| {}).unwrap_err();
        assert!(again.to_string().contains("is in use by process"), "{again}");
        child.kill().unwrap();
        child.wait().unwrap();
        let refused = DiskStore::open(&data.join("store"), None).unwrap_err();
        assert!(matches!(refused, OpenError::Unfinished { .. }), "{refused:?}");
        let again = restore(&from, &data, Some(kind), now(), &mut |_| {}).unwrap_err();
        assert!(again.to_string().contains("remove the folder and restore again"), "{again}");
        fs::remove_dir_all(&data).unwrap();
        restore(&from, &data, Some(kind), now(), &mut |_| {}).unwrap();
        let store = DiskStore::open(&data.join("store"), None).unwrap();
        assert_eq!(all(&store).len(), expected.len() + 1);
    }
}
