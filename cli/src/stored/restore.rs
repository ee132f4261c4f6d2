//! `muster restore`.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use muster_api::clock;
use muster_scheduler::{
    backup::{self, Progress, Restored},
    store::StoreKind,
};

use crate::screen::Screen;

/// From where, and where to.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Folder of the new scheduler: empty (but for its secrets), or not there yet
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// What is to keep it, sled or redb [default: what kept the original]
    #[arg(long, env = "MUSTER_STORE", value_name = "STORE")]
    store: Option<StoreKind>,
}

/// Makes a data folder from a backup.
pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let file = std::fs::metadata(&args.from)
        .with_context(|| format!("cannot read the backup `{}`", args.from.display()))?;
    let bar = bar(file.len());
    let mut show = |progress| {
        let (word, bytes) = match progress {
            Progress::Checked(bytes) => ("checking", bytes),
            Progress::Written(bytes) => ("writing", bytes),
        };
        bar.set_message(word);
        bar.set_position(bytes);
    };
    let restored =
        backup::restore(&args.from, &args.data_dir, args.store, clock::wall(), &mut show)?;
    bar.finish_and_clear();
    Screen::default().line(summary(&restored, args))?;
    Ok(())
}

fn bar(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}");
    ProgressBar::new(bytes).with_style(style.expect("the template is right"))
}

fn summary(restored: &Restored, args: &RestoreArgs) -> String {
    let Restored { header, trailer, kind } = restored;
    let (writes, bytes) = (HumanCount(trailer.writes), HumanBytes(trailer.bytes));
    let folder = args.data_dir.display();
    format!(
        "restored {writes} records ({bytes}) of {} into {folder}, kept by {kind}\n\
         its secrets are not in a backup: put `admin.token`, `join.token` and `notice.secret` there \
         to keep them\n\
         it is held: nothing fires, is launched or is killed until `muster resume`",
        header.created_at
    )
}
