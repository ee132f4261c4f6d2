//! The file by which clients find the scheduler of `muster dev` on their own machine.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Address;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    /// Where REST listens, as host and port.
    pub(crate) http: String,
    /// The file with the admin's token.
    pub(crate) token_file: PathBuf,
    /// The process that wrote it.
    pub(crate) pid: u32,
}

impl Pointer {
    /// Where the file is: `$XDG_STATE_HOME/muster/local.json`, by default under
    /// `~/.local/state` (XDG base directories).
    pub(crate) fn path() -> Option<PathBuf> {
        let folder = |name: &str| env::var_os(name).filter(|dir| !dir.is_empty());
        let state = folder("XDG_STATE_HOME").map(PathBuf::from);
        let state =
            state.or_else(|| folder("HOME").map(|dir| Path::new(&dir).join(".local/state")));
        Some(state?.join("muster/local.json"))
    }

    /// What the file at `path` says, when its writer is alive.
    ///
    /// A `muster dev` that was killed leaves its file behind, which means nothing any more.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let pointer: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Path::new("/proc").join(pointer.pid.to_string()).exists().then_some(pointer)
    }

    /// Writes the file, in place of any other.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let unfinished = path.with_extension(format!("{}.new", self.pid));
        let json = serde_json::to_vec(self).expect("texts and numbers always become JSON");
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(&unfinished, &json)?;
            fs::rename(&unfinished, path)
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Removes the file if it is still the one that was written.
    pub(crate) fn remove(&self, path: &Path) -> anyhow::Result<()> {
        if Self::read(path).as_ref() != Some(self) {
            return Ok(());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove `{}`", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The scheduler to call and the file with its token: what the user names, else what the
    /// pointer names, else the default. The pointer's token goes to the pointer's scheduler only.
    pub(crate) fn resolve(
        pointer: Option<Self>,
        server: Option<Address>,
        token_file: Option<PathBuf>,
    ) -> (Address, Option<PathBuf>) {
        let local = pointer.and_then(|pointer| {
            let address: Address = pointer.http.parse().ok()?;
            Some((address, pointer.token_file))
        });
        let local_address = local.as_ref().map(|(address, _)| address.clone());
        let address = server.or(local_address).unwrap_or_default();
        let local_token = local.filter(|(local, _)| *local == address).map(|(_, token)| token);
        (address, token_file.or(local_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer() -> Pointer {
        Pointer { http: "127.0.0.1:1234".into(), token_file: "/t".into(), pid: std::process::id() }
    }

    #[test]
    fn what_the_user_names_comes_first() {
        let other: Address = "http://other:1".parse().unwrap();
        let resolve = |pointer, server: Option<&Address>, token: Option<&str>| {
            let (address, token) =
                Pointer::resolve(pointer, server.cloned(), token.map(PathBuf::from));
            (address.to_string(), token.map(|token| token.display().to_string()))
        };
        let local = "http://127.0.0.1:1234".to_owned();
        assert_eq!(resolve(None, None, None), ("http://127.0.0.1:8899".into(), None));
        assert_eq!(resolve(Some(pointer()), None, None), (local.clone(), Some("/t".into())));
        assert_eq!(resolve(Some(pointer()), None, Some("/u")), (local.clone(), Some("/u".into())));
        let same: Address = "127.0.0.1:1234".parse().unwrap();
        assert_eq!(resolve(Some(pointer()), Some(&same), None), (local, Some("/t".into())));
        let elsewhere = ("http://other:1".to_owned(), None);
        assert_eq!(resolve(Some(pointer()), Some(&other), None), elsewhere);
    }

    #[test]
    fn the_file_is_removed_by_its_writer_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("muster/local.json");
        assert_eq!(Pointer::read(&path), None);
        pointer().write(&path).unwrap();
        assert_eq!(Pointer::read(&path), Some(pointer()));
        let later = Pointer { http: "127.0.0.1:9".into(), ..pointer() };
        later.write(&path).unwrap();
        pointer().remove(&path).unwrap();
        assert_eq!(Pointer::read(&path), Some(later.clone()));
        later.remove(&path).unwrap();
        assert!(!path.exists());
        later.remove(&path).unwrap();
    }

    #[test]
    fn the_file_of_a_dead_process_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("local.json");
        // Process ids are far smaller.
        Pointer { pid: u32::MAX, ..pointer() }.write(&path).unwrap();
        assert_eq!(Pointer::read(&path), None);
    }
}
