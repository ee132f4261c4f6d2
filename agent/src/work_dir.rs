//! The agent's folder: what is where, and how it is read and written.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use muster_api::limits::OUTPUT_TAIL_BYTES;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    core::Container,
    supervise::{EXIT_FILE, LOCK_FILE, SPEC_FILE},
};

/// Why a work folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another agent uses it.
    #[error("the work folder `{}` is in use by another agent", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file system does not let us.
    #[error("cannot use the work folder `{}`", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent's own file does not hold what an agent writes.
    #[error("`{}` is damaged, or is not an agent's", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What the agent keeps about itself; the file `agent.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentFile {
    /// The id that a master gave it.
    #[serde(default)]
    pub(crate) agent_id: Option<muster_api::AgentId>,
    /// The boot of the host that the journal is of.
    pub(crate) boot_id: String,
    /// The highest term of a master that has proven itself.
    #[serde(default)]
    pub(crate) term: u64,
    /// The port of the executor API. Executors look for it there for as long as they live.
    #[serde(default)]
    pub(crate) executor_port: u16,
}

/// A work folder, held for as long as this lives.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes the folder if need be, and takes it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        private_dir(path).map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(path.join("lock"));
        let lock = lock.map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(OpenError::InUse { path }),
            Err(error) => return Err(failed(error.into())),
        }
        private_dir(&path.join("executors")).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// What the agent wrote about itself; `None` in a new folder.
    pub(crate) fn read_agent(&self) -> Result<Option<AgentFile>, OpenError> {
        let path = self.path.join("agent.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(file) => Ok(Some(file)),
                Err(source) => Err(OpenError::Damaged { path, source }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(OpenError::Io { path, source }),
        }
    }

    /// Replaces what the agent knows about itself.
    pub(crate) fn write_agent(&self, file: &AgentFile) -> io::Result<()> {
        replace(&self.path.join("agent.json"), &serde_json::to_vec(file)?)
    }

    /// Says whether the agent is ready: written once it is, and removed before.
    pub(crate) fn write_ready(&self, ready: Option<&serde_json::Value>) -> io::Result<()> {
        let path = self.path.join("ready.json");
        match ready {
            Some(ready) => replace(&path, &serde_json::to_vec(ready)?),
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// The journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Artifacts that are kept between executor starts.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// The folder of an executor.
    pub(crate) fn executor(&self, container: &Container) -> ExecutorDir {
        ExecutorDir(self.path.join("executors").join(container.as_str()))
    }

    /// The folders of all executors, past and present.
    pub(crate) fn executors(&self) -> io::Result<Vec<ExecutorDir>> {
        list_executors(&self.path)
    }
}

/// The executor folders under a work folder, in use or not.
pub(crate) fn list_executors(work_dir: &Path) -> io::Result<Vec<ExecutorDir>> {
    match fs::read_dir(work_dir.join("executors")) {
        Ok(entries) => entries.map(|entry| Ok(ExecutorDir(entry?.path()))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The folder of one executor.
#[derive(Debug, Clone)]
pub(crate) struct ExecutorDir(PathBuf);

impl ExecutorDir {
    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the executor runs.
    pub(crate) fn sandbox(&self) -> PathBuf {
        self.0.join("sandbox")
    }

    /// What its supervisor is to do.
    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join(SPEC_FILE)
    }

    /// Held by its supervisor.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join(LOCK_FILE)
    }

    /// How it ended.
    pub(crate) fn exit(&self) -> PathBuf {
        self.0.join(EXIT_FILE)
    }

    /// The secret that the executor proves itself with.
    pub(crate) fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// What the process of the executor wrote last: on standard error, else on standard output.
    pub(crate) fn last_output(&self) -> Option<String> {
        ["stderr", "stdout"].into_iter().find_map(|stream| tail(&self.sandbox().join(stream)))
    }

    /// Makes the folder and the sandbox, both new. What a former executor of that name left is
    /// moved aside.
    pub(crate) fn create(&self, now: muster_api::Timestamp) -> io::Result<()> {
        if fs::exists(&self.0)? {
            let mut aside = self.0.clone().into_os_string();
            aside.push(format!("~{}", now.as_millis()));
            fs::rename(&self.0, aside)?;
        }
        private_dir(&self.sandbox())
    }
}

/// The last bytes of a file as text; `None` when it says nothing.
fn tail(path: &Path) -> Option<String> {
    // Code of users may have left anything under that name, and a pipe would block.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_TAIL_BYTES as u64))).ok()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_TAIL_BYTES as u64).read_to_end(&mut bytes).ok()?;
    // What is no text becomes three bytes for one, and a character may be cut in two in front.
    let text = String::from_utf8_lossy(&bytes);
    let start = text.ceil_char_boundary(text.len().saturating_sub(OUTPUT_TAIL_BYTES));
    let text = text[start..].trim_start_matches(char::REPLACEMENT_CHARACTER);
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only this user may read, in one piece.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = File::options();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    io::Write::write_all(&mut file, bytes)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_output_is_of_bounded_length() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ExecutorDir(folder.path().to_owned());
        fs::create_dir_all(dir.sandbox()).unwrap();
        let write = |stream: &str, bytes: &[u8]| {
            fs::write(dir.sandbox().join(stream), bytes).unwrap();
        };
        assert_eq!(dir.last_output(), None);
        write("stdout", b"to stdout\n");
        write("stderr", b"\n");
        assert_eq!(dir.last_output().as_deref(), Some("to stdout\n"));
        write("stderr", "\u{e4}".repeat(OUTPUT_TAIL_BYTES).as_bytes());
        assert_eq!(dir.last_output(), Some("\u{e4}".repeat(OUTPUT_TAIL_BYTES / 2)));
        write("stderr", &[0xff; 2 * OUTPUT_TAIL_BYTES]);
        assert_eq!(dir.last_output().as_deref(), Some("to stdout\n"));
    }
}
