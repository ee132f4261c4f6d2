//! The floors: what the disk and the kernel of this machine can do without Muster.

use std::{
    fs::File,
    io::Write as _,
    num::NonZero,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use muster_api::{clock, step::Write};
use muster_scheduler::store::{Commit, DiskStore, State};

/// Bytes of one append: a page, which is what the disk writes at the least.
const PAGE: usize = 4096;
/// Bytes of the small record whose commit is timed: about those of a task.
const RECORD: usize = 200;

/// A file that grows by durable appends.
#[derive(Debug)]
pub(crate) struct Appends(File);

impl Appends {
    /// A new file in `folder`.
    pub(crate) fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let file = File::create_new(folder.join(name));
        Ok(Self(file.context("cannot make a file for durable appends")?))
    }

    /// Appends of one page, each durable before the next, in a second; measured for so long.
    pub(crate) fn rate(&mut self, time: Duration) -> anyhow::Result<f64> {
        let page = [7; PAGE];
        let before = clock::mono_nanos();
        let mut count = 0;
        loop {
            self.0.write_all(&page).context("cannot append")?;
            self.0.sync_data().context("cannot make an append durable")?;
            count += 1;
            let nanos = clock::mono_nanos() - before;
            if u128::from(nanos) >= time.as_nanos() {
                return Ok(rate(count, nanos));
            }
        }
    }
}

/// A store of the kind that the scheduler has, with nobody else at it.
#[derive(Debug)]
pub(crate) struct Commits {
    store: DiskStore,
    sequence: u64,
}

impl Commits {
    /// A new store in `folder`.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let store = DiskStore::open(&folder.join("commits"), None)?;
        Ok(Self { store, sequence: 0 })
    }

    /// The nanoseconds of each durable commit of one small record, of as many as there are in a
    /// time.
    pub(crate) fn times(&mut self, time: Duration) -> anyhow::Result<Vec<f64>> {
        let begun = clock::mono_nanos();
        let mut times = Vec::new();
        loop {
            self.sequence += 1;
            let key = format!("b/{}", self.sequence).into_bytes();
            let writes = [Write::Put { key, value: vec![7; RECORD] }];
            let commit = Commit { term: 1, sequence: self.sequence, writes: &writes };
            let before = clock::mono_nanos();
            self.store.commit(&commit)?;
            let after = clock::mono_nanos();
            times.push((after - before) as f64);
            if u128::from(after - begun) >= time.as_nanos() {
                return Ok(times);
            }
        }
    }
}

/// Shells that do nothing, started and waited for by so many threads, in a second.
///
/// The standard library starts them by `posix_spawn`, or what is even faster where it knows it.
pub(crate) fn spawn_rate(count: u32, threads: NonZero<u32>) -> anyhow::Result<f64> {
    let next = AtomicU32::new(0);
    let work = || {
        while next.fetch_add(1, Ordering::Relaxed) < count {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", ":"]).stdin(Stdio::null());
            let status = shell.status().context("cannot start a shell")?;
            ensure!(status.success(), "a shell that does nothing ended with {status}");
        }
        Ok(())
    };
    let before = clock::mono_nanos();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(rate(count, clock::mono_nanos() - before))
}

/// So many things in so many nanoseconds, as things in a second.
pub(crate) fn rate(count: u32, nanos: u64) -> f64 {
    f64::from(count) * 1e9 / nanos.max(1) as f64
}
