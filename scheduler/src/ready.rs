//! `ready.json`: where a running scheduler can be reached.
//!
//! It is removed before anything is bound and written once everything is, so whoever finds it
//! finds the addresses of this start (or of one that was killed: the process id tells).

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::replace::{remove, replace};

const FILE: &str = "ready.json";

/// What `ready.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The process.
    pub pid: u32,
    /// Where REST listens.
    pub http: SocketAddr,
    /// Where the embedded master listens; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<SocketAddr>,
}

/// Why `ready.json` cannot be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the file `{path}`; check the owner of its folder and free space")]
pub struct ReadyError {
    path: PathBuf,
    action: &'static str,
    #[source]
    source: io::Error,
}

/// Says that the scheduler of this data folder cannot be reached, now or any more.
pub fn retract(data_folder: &Path) -> Result<(), ReadyError> {
    let path = data_folder.join(FILE);
    remove(&path).map_err(|source| ReadyError { path, action: "remove", source })
}

/// Says where the scheduler of this data folder can be reached.
pub fn announce(data_folder: &Path, ready: &Ready) -> Result<(), ReadyError> {
    let path = data_folder.join(FILE);
    let mut json = serde_json::to_vec(ready).expect("numbers and addresses always become JSON");
    json.push(b'\n');
    replace(&path, &json, 0o644).map_err(|source| ReadyError { path, action: "write", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_announced_and_retracted() {
        let folder = tempfile::tempdir().unwrap();
        retract(folder.path()).unwrap();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ready = Ready { pid: 7, http: address(8899), master: Some(address(5050)) };
        announce(folder.path(), &ready).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text, "{\"pid\":7,\"http\":\"127.0.0.1:8899\",\"master\":\"127.0.0.1:5050\"}\n");
        assert_eq!(serde_json::from_str::<Ready>(&text).unwrap(), ready);
        retract(folder.path()).unwrap();
        assert!(!folder.path().join(FILE).exists());
    }
}
