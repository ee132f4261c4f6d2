//! Where backups come from: a store whose commits can be listened to.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use muster_api::{clock, limits};

use super::{
    Header, Trailer,
    file::{Encoder, Payload, parts, payloads},
};
use crate::store::{Commit, History, Row, Stamp, State, StoreError};

/// Rows that are read of the store at one time: a page is over by less than their bytes.
const CHUNK_ROWS: usize = 8;

/// A store that can be backed up while it is in use.
pub struct Tapped {
    store: Box<dyn State>,
    tap: Arc<Tap>,
}

/// Begins backups of a [`Tapped`] store. Cheap to clone.
#[derive(Clone)]
pub struct Backups(Arc<Tap>);

struct Tap {
    history: Arc<dyn History>,
    /// What keeps the store, in a word.
    kind: &'static str,
    /// Held to write for a whole commit, and to read for a page, so that it is known which of the
    /// two comes first.
    listeners: RwLock<Listeners>,
}

struct Listeners {
    last: Option<Stamp>,
    /// How many there ever were.
    begun: u64,
    queues: BTreeMap<u64, Arc<Mutex<Queue>>>,
}

/// The commits that a backup has not taken over yet.
#[derive(Default)]
struct Queue {
    payloads: VecDeque<Payload>,
    bytes: usize,
    broken: Option<Broken>,
}

/// Why commits are missing from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Slow,
    Failed,
}

/// Why a backup is not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Enough are made already.
    #[error("{} backups go on already; try again when one is done", limits::BACKUPS)]
    Busy,
    /// Commits come faster than they are taken.
    #[error(
        "its reader is too slow: {} MiB of changes wait for it; write it to a faster place, or \
         make it at a quieter time",
        limits::BACKUP_BACKLOG_BYTES / 1024 / 1024
    )]
    Slow,
    /// A commit failed, so the scheduler ends.
    #[error("a commit failed, and the scheduler stops")]
    Stopped,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its reader has gone, or takes nothing.
    #[error("its reader takes no more")]
    Reader(#[source] io::Error),
}

impl Tapped {
    /// A store of this kind that can be backed up from now on.
    pub fn new(store: Box<dyn State>, kind: &'static str) -> Result<Self, StoreError> {
        let listeners = Listeners { last: store.last()?, begun: 0, queues: BTreeMap::new() };
        let tap = Tap { history: store.history(), kind, listeners: RwLock::new(listeners) };
        Ok(Self { store, tap: Arc::new(tap) })
    }

    /// Who begins its backups.
    pub fn backups(&self) -> Backups {
        Backups(Arc::clone(&self.tap))
    }
}

impl State for Tapped {
    fn load(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.store.load(each)
    }

    fn last(&self) -> Result<Option<Stamp>, StoreError> {
        self.store.last()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let mut listeners = self.tap.changing();
        let committed = self.store.commit(commit);
        match committed {
            Ok(()) => listeners.tell(commit),
            Err(_) => {
                listeners.queues.values().for_each(|queue| locked(queue).give_up(Broken::Failed));
            }
        }
        committed
    }

    fn history(&self) -> Arc<dyn History> {
        self.store.history()
    }
}

impl Tap {
    fn changing(&self) -> RwLockWriteGuard<'_, Listeners> {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> RwLockReadGuard<'_, Listeners> {
        self.listeners.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners {
    /// Adds a commit to every backup that goes on.
    fn tell(&mut self, commit: &Commit<'_>) {
        self.last = Some(commit.stamp());
        if self.queues.is_empty() {
            return;
        }
        let payloads = payloads(commit.writes.iter().map(parts));
        self.queues.values().for_each(|queue| locked(queue).add(&payloads));
    }
}

impl Queue {
    fn add(&mut self, payloads: &[Payload]) {
        if self.broken.is_some() {
            return;
        }
        self.bytes += payloads.iter().map(|payload| payload.bytes.len()).sum::<usize>();
        if self.bytes > limits::BACKUP_BACKLOG_BYTES {
            return self.give_up(Broken::Slow);
        }
        self.payloads.extend(payloads.iter().cloned());
    }

    fn give_up(&mut self, why: Broken) {
        *self = Self { broken: Some(self.broken.unwrap_or(why)), ..Self::default() };
    }

    fn take(&mut self) -> Result<VecDeque<Payload>, BackupError> {
        match self.broken {
            Some(Broken::Slow) => Err(BackupError::Slow),
            Some(Broken::Failed) => Err(BackupError::Stopped),
            None => Ok(std::mem::take(self).payloads),
        }
    }
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backups {
    /// Begins a backup. From now on it collects the commits, so it should be written soon.
    pub fn begin(&self) -> Result<Backup, BackupError> {
        let mut listeners = self.0.changing();
        if listeners.queues.len() >= limits::BACKUPS {
            return Err(BackupError::Busy);
        }
        listeners.begun += 1;
        let (number, queue) = (listeners.begun, Arc::default());
        listeners.queues.insert(number, Arc::clone(&queue));
        Ok(Backup { tap: Arc::clone(&self.0), number, queue })
    }
}

/// A backup that goes on. It blocks, so it belongs on a thread that may wait.
pub struct Backup {
    tap: Arc<Tap>,
    number: u64,
    queue: Arc<Mutex<Queue>>,
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.tap.changing().queues.remove(&self.number);
    }
}

/// What is written of a backup, and where to.
struct Writer<'a> {
    encoder: Encoder,
    out: &'a mut dyn FnMut(Bytes) -> io::Result<()>,
}

impl Backup {
    /// Writes it, part after part. Commits go on meanwhile; only a page of the store keeps them
    /// waiting, for as long as it takes to read it. An error is written too, as its last part.
    pub fn write(
        self,
        out: &mut dyn FnMut(Bytes) -> io::Result<()>,
    ) -> Result<Trailer, BackupError> {
        let mut writer = Writer { encoder: Encoder::default(), out };
        match self.pages(&mut writer) {
            Ok(last) => {
                let (end, trailer) = writer.encoder.end(last);
                (writer.out)(end).map_err(BackupError::Reader)?;
                Ok(trailer)
            }
            Err(error) => {
                if !matches!(error, BackupError::Reader(_)) {
                    // The reader is told, if it is still there.
                    let _ = (writer.out)(Encoder::abort(&error.to_string()));
                }
                Err(error)
            }
        }
    }

    /// Writes all but the end, and answers the newest commit in it.
    fn pages(&self, writer: &mut Writer<'_>) -> Result<Option<Stamp>, BackupError> {
        let header = Header {
            muster: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.tap.kind.to_owned(),
            created_at: clock::wall(),
        };
        writer.send(|encoder| [encoder.begin(&header)])?;
        let mut after = None;
        loop {
            let (before, rows) = self.page(after.as_deref())?;
            writer.payloads(before)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let page = payloads(rows.iter().map(|(key, value)| (key.as_slice(), Some(&value[..]))));
            drop(rows);
            writer.payloads(page)?;
        }
        let (before, last) = self.last_commits()?;
        writer.payloads(before)?;
        Ok(last)
    }

    /// The next rows of the store, and the commits that came before they were read: so many that
    /// pages neither keep commits waiting for long nor take much memory.
    fn page(&self, after: Option<&[u8]>) -> Result<(VecDeque<Payload>, Vec<Row>), BackupError> {
        // No commit comes between all of these, because commits wait for this.
        let _listeners = self.tap.reading();
        let before = locked(&self.queue).take()?;
        let (mut rows, mut bytes): (Vec<Row>, usize) = (Vec::new(), 0);
        while bytes < limits::BACKUP_PAGE_BYTES && rows.len() < limits::PAGE_ROWS {
            let after = rows.last().map(|(key, _)| key.as_slice()).or(after);
            let chunk = self.tap.history.scan(b"", after, false, CHUNK_ROWS)?;
            let is_last = chunk.len() < CHUNK_ROWS;
            bytes += chunk.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            rows.extend(chunk);
            if is_last {
                break;
            }
        }
        Ok((before, rows))
    }

    /// The commits that came after the last page, and the stamp of the newest one.
    fn last_commits(&self) -> Result<(VecDeque<Payload>, Option<Stamp>), BackupError> {
        let listeners = self.tap.reading();
        Ok((locked(&self.queue).take()?, listeners.last))
    }
}

impl Writer<'_> {
    fn payloads(&mut self, all: impl IntoIterator<Item = Payload>) -> Result<(), BackupError> {
        for payload in all {
            self.send(|encoder| encoder.writes(&payload))?;
        }
        Ok(())
    }

    fn send<const N: usize>(
        &mut self,
        parts: impl FnOnce(&mut Encoder) -> [Bytes; N],
    ) -> Result<(), BackupError> {
        let parts = parts(&mut self.encoder);
        parts.into_iter().try_for_each(|part| (self.out)(part)).map_err(BackupError::Reader)
    }
}
