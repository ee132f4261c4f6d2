//! Where servers keep what they keep when nobody says otherwise.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// `$XDG_DATA_HOME/muster/NAME`, by default under `~/.local/share` (XDG base directories).
pub(super) fn default_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|dir| !dir.is_empty());
    let data = folder("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| folder("HOME").map(|dir| Path::new(&dir).join(".local/share")));
    let data = data.context("there is no home folder to keep data in; name a folder by a flag")?;
    Ok(data.join("muster").join(name))
}
