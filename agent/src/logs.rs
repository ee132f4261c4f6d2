//! Reads the output of tasks, waiting for more of it when asked to.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use muster_api::limits;
use muster_proto::agent::{LogData, ReadLog};
use rustix::fs::OFlags;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::{
    core::{Container, TaskKey},
    work_dir::WorkDir,
};

/// The longest that a reader may wait for more.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks at a file that may grow.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The tasks whose output may still grow.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveTasks(Arc<Mutex<BTreeSet<(String, String)>>>);

impl LiveTasks {
    pub(crate) fn began(&self, key: &TaskKey) {
        self.change(|tasks| tasks.insert(names(key)));
    }

    pub(crate) fn over(&self, key: &TaskKey) {
        self.change(|tasks| tasks.remove(&names(key)));
    }

    fn holds(&self, task: &str) -> bool {
        let from = (task.to_owned(), String::new());
        self.change(|tasks| tasks.range(from..).next().is_some_and(|(name, _)| name == task))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<(String, String)>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn names(key: &TaskKey) -> (String, String) {
    (key.task.value.clone(), key.framework.value.clone())
}

/// Answers a request for output. With nothing new it waits as long as the request allows, unless
/// the task is over.
pub(crate) async fn answer(work: &WorkDir, live: &LiveTasks, wanted: ReadLog) -> LogData {
    let request = wanted.request;
    let Some(path) = path(work, &wanted) else {
        return failure(request, "the task, executor or stream has no valid name");
    };
    let wait = Duration::from_millis(u64::from(wanted.wait_ms)).min(WAIT_MAX);
    let until = Instant::now() + wait;
    let limit = wanted.limit.min(limits::LOG_CHUNK_BYTES) as usize;
    loop {
        // Asked before the file is read: what a live task writes after that is not missed.
        let live = live.holds(&wanted.task_id);
        let (path, offset) = (path.clone(), wanted.offset);
        let read = spawn_blocking(move || read(&path, offset, limit)).await;
        let (data, size) = match read {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound && live => (Vec::new(), 0),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return failure(request, "no output of this task is kept here");
            }
            Ok(Err(error)) => return failure(request, &format!("cannot read the output: {error}")),
            Err(error) => return failure(request, &format!("cannot read the output: {error}")),
        };
        if !data.is_empty() || !live || Instant::now() >= until {
            let complete = !live && wanted.offset.saturating_add(data.len() as u64) >= size;
            return LogData { request, data, size, complete, error: String::new() };
        }
        sleep(LOOK_EVERY).await;
    }
}

fn failure(request: u64, error: &str) -> LogData {
    LogData { request, error: error.to_owned(), ..LogData::default() }
}

fn path(work: &WorkDir, wanted: &ReadLog) -> Option<PathBuf> {
    let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    let valid = plain(&wanted.task_id)
        && plain(&wanted.executor_id)
        && matches!(wanted.stream.as_str(), "stdout" | "stderr");
    // Only our own executors keep an output for each task, and their containers go by their ids.
    let dir = work.executor(&Container::new(&wanted.executor_id));
    valid.then(|| dir.sandbox().join("tasks").join(&wanted.task_id).join(&wanted.stream))
}

/// Some bytes from an offset, and the size of the file.
fn read(path: &std::path::Path, offset: u64, limit: usize) -> io::Result<(Vec<u8>, u64)> {
    // The folder belongs to user code, which may have put a link or a pipe there.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let left = usize::try_from(facts.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut data = vec![0; limit.min(left)];
    let length = file.read_at(&mut data, offset)?;
    data.truncate(length);
    Ok((data, facts.len()))
}
