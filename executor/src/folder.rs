//! The folder of one task in the sandbox: `tasks/<task id>/`. The agent reads the output from it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use muster_api::{
    TaskId,
    limits::{OUTPUT_ROTATED_BYTES, OUTPUT_TAIL_BYTES, RESULT_BYTES},
};
use muster_job::Output;
use rustix::fs::OFlags;

/// The folder of one task.
#[derive(Debug, Clone)]
pub(crate) struct TaskFolder {
    path: PathBuf,
    /// Whether code runs in it again and again, so that what it leaves must not grow for ever.
    resident: bool,
}

/// The files that take the output of a task.
const OUTPUTS: [&str; 2] = ["stdout", "stderr"];

impl TaskFolder {
    pub(crate) fn new(sandbox: &Path, task: TaskId, resident: bool) -> Self {
        Self { path: sandbox.join("tasks").join(task.to_string()), resident }
    }

    /// Makes room for the next execution of a resident task, while none goes on: output files that are
    /// full become `stdout.1` and `stderr.1`, in the place of those that were, as does what is no file
    /// at all, and the former result is gone. What cannot be moved stays, and is tried again next time.
    fn make_room(&self) {
        if !self.resident {
            return;
        }
        for name in OUTPUTS {
            let path = self.path.join(name);
            let spent = fs::metadata(&path)
                .is_ok_and(|facts| !facts.is_file() || facts.len() >= OUTPUT_ROTATED_BYTES);
            if spent && let Err(error) = fs::rename(&path, self.path.join(format!("{name}.1"))) {
                tracing::warn!(file = %path.display(), %error, "output cannot be moved aside");
            }
        }
        // It is there after the first execution only.
        let _ = fs::remove_file(self.result());
    }

    /// The working folder of the code of the task.
    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Leaves the context as JSON.
    pub(crate) fn write_context(&self, json: &str) -> io::Result<()> {
        write_anew(&self.path.join("context.json"), json)
    }

    /// Leaves the text of an inline script, and says where.
    pub(crate) fn write_inline(&self, text: &str) -> io::Result<PathBuf> {
        let path = self.path.join("script");
        write_anew(&path, text)?;
        Ok(path)
    }

    /// Where a script leaves its result.
    pub(crate) fn result(&self) -> PathBuf {
        self.path.join("result")
    }

    /// Makes the folder and the working folder in it, if they are not there, for code that begins.
    pub(crate) fn create(&self) -> io::Result<()> {
        self.make_room();
        fs::create_dir_all(self.work())
    }

    /// Opens what is kept of standard output, for appending.
    pub(crate) fn open_stdout(&self) -> io::Result<File> {
        open_to_append(&self.path.join("stdout"))
    }

    /// Opens what is kept of standard error, for appending.
    pub(crate) fn open_stderr(&self) -> io::Result<File> {
        open_to_append(&self.path.join("stderr"))
    }

    /// The result that a script has left: the first bytes of its result file.
    pub(crate) fn read_result(&self) -> Option<String> {
        let file = open_file(&self.result(), OpenOptions::new().read(true)).ok()?;
        let mut bytes = Vec::new();
        file.take(RESULT_BYTES as u64).read_to_end(&mut bytes).ok()?;
        let text = first_bytes(text_of(&bytes), RESULT_BYTES);
        (!text.is_empty()).then_some(text)
    }

    /// The last output, standard output before standard error; `None` when there is none.
    pub(crate) fn read_tail(&self) -> Option<String> {
        let (out, err) = (self.path.join("stdout"), self.path.join("stderr"));
        let bytes = [read_end(&out), read_end(&err)].concat();
        let last = &bytes[bytes.len().saturating_sub(OUTPUT_TAIL_BYTES)..];
        let text = last_bytes(text_of(last), OUTPUT_TAIL_BYTES);
        (!text.is_empty()).then_some(text)
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    open_file(path, OpenOptions::new().create(true).append(true))
}

/// Opens a file in the folder. User code may have left anything under its name, and a pipe would block
/// whoever opens it.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

/// Writes a file in the place of whatever user code has left there before.
fn write_anew(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).open(path)?.write_all(text.as_bytes())
}

/// As much of the end of a file as is ever wanted; nothing when it cannot be read.
fn read_end(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = open_file(path, OpenOptions::new().read(true)).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_TAIL_BYTES as u64)))?;
        file.take(OUTPUT_TAIL_BYTES as u64).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Bytes as text; a character that was cut in two is left out, and what is none is replaced.
fn text_of(bytes: &[u8]) -> String {
    let is_continuation = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let torn = bytes.iter().take(3).take_while(is_continuation).count();
    let mut text = String::new();
    let mut chunks = bytes[torn..].utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let cut_at_the_end = chunks.peek().is_none() && chunk.invalid().len() < 4;
        if !chunk.invalid().is_empty() && !cut_at_the_end {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// The beginning of a text, of at most `limit` bytes.
pub(crate) fn first_bytes(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

/// The end of a text, of at most `limit` bytes.
fn last_bytes(text: String, limit: usize) -> String {
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    if start == 0 { text } else { text[start..].to_owned() }
}

/// The lines that a handler logs, as the standard output of its task. The file is made with the
/// first line.
#[derive(Debug)]
pub(crate) struct LoggedLines {
    folder: TaskFolder,
    file: Mutex<Option<File>>,
}

impl LoggedLines {
    pub(crate) fn new(folder: TaskFolder) -> Self {
        Self { folder, file: Mutex::new(None) }
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => {
                self.folder.make_room();
                fs::create_dir_all(&self.folder.path)?;
                none.insert(self.folder.open_stdout()?)
            }
        };
        // One write, so that lines of other threads do not get into it.
        file.write_all(format!("{line}\n").as_bytes())
    }
}

impl Output for LoggedLines {
    fn line(&self, line: &str) {
        if let Err(error) = self.append(line) {
            let path = self.folder.path.display();
            tracing::warn!(folder = %path, %error, "a line of a task is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(text_of("aäb".as_bytes()), "aäb");
        assert_eq!(text_of(&"äb".as_bytes()[1..]), "b");
        assert_eq!(text_of(&"aä".as_bytes()[..2]), "a");
        assert_eq!(text_of(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(first_bytes("aä".to_owned(), 2), "a");
        assert_eq!(last_bytes("äb".to_owned(), 2), "b");
    }

    #[test]
    fn pipes_that_user_code_has_left_hold_nobody_up() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let sandbox = tempfile::tempdir().unwrap();
        let folder = TaskFolder::new(sandbox.path(), TaskId::from_uuid(uuid::Uuid::nil()), true);
        folder.create().unwrap();
        for name in ["stdout", "stderr", "result", "context.json", "script"] {
            let pipe = folder.path.join(name);
            mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        assert_eq!((folder.read_tail(), folder.read_result()), (None, None));
        assert!(folder.open_stdout().is_err() && folder.open_stderr().is_err());
        folder.write_context("{}").unwrap();
        folder.write_inline("x").unwrap();
        // The next execution has files again.
        folder.create().unwrap();
        folder.open_stdout().unwrap().write_all(b"said").unwrap();
        folder.open_stderr().unwrap();
        assert_eq!(folder.read_tail().as_deref(), Some("said"));
    }
}
