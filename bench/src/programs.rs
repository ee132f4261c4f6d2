//! The programs that are measured: built first, so that no old ones are, or taken as they are.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them in the profile of this program.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--manifest-path", manifest]);
        cargo.args(["--package", "muster", "--package", "muster-examples"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let status = cargo.stdin(Stdio::null()).status().context("cannot run cargo")?;
        ensure!(status.success(), "cargo build failed: {status}");
        let own = env::current_exe().context("cannot find this program")?;
        Self::find(own.parent().context("this program is in no folder")?)
    }

    /// Takes those of a folder.
    pub(crate) fn find(folder: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot find the folder `{}`", folder.display());
        let programs = Self { folder: folder.canonicalize().with_context(cannot)? };
        for program in [programs.muster(), programs.noop()] {
            ensure!(program.is_file(), "there is no program `{}`", program.display());
        }
        Ok(programs)
    }

    /// The folder that they are in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The scheduler, the agent and the built-in executor.
    pub(crate) fn muster(&self) -> PathBuf {
        self.folder.join("muster")
    }

    /// The executor with the handlers `noop` and `clock`.
    pub(crate) fn noop(&self) -> PathBuf {
        self.folder.join("noop")
    }
}
