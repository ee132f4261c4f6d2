//! `muster store inspect`.

use std::path::PathBuf;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use muster_scheduler::store::{self, Inspection};
use serde_json::json;

use crate::{
    client_flags::ClientFlags,
    screen::{Format, Rows, Screen},
};

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Folder of the scheduler, which must not run
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// How to show it [default: table]
    #[arg(long, short, value_name = "FORMAT")]
    output: Option<Format>,
}

/// Shows what is in a store.
pub(super) fn inspect(args: &InspectArgs, flags: &ClientFlags) -> anyhow::Result<()> {
    let inspection = store::inspect(&args.data_dir.join("store"))?;
    let screen = Screen::new(args.output.or(flags.output).unwrap_or_default());
    screen.answer(&json!(inspection), || Ok::<_, std::io::Error>(render(&inspection)))
}

fn render(inspection: &Inspection) -> String {
    let mut rows = Rows::new(["RECORDS OF", "COUNT", "BYTES", "MEAN", "LARGEST"]);
    let total = [("all", &inspection.total)];
    let tables = inspection.tables.iter().map(|(name, table)| (*name, table));
    for (name, table) in tables.chain(total) {
        rows.add([
            name.replace('_', " "),
            HumanCount(table.records).to_string(),
            HumanBytes(table.bytes).to_string(),
            table.mean().to_string(),
            table.largest.to_string(),
        ]);
    }
    let commit = inspection.last_commit.map_or_else(
        || "none".to_owned(),
        |last| format!("{} of term {}", last.sequence, last.term),
    );
    format!(
        "kept by {}, format {}, {} of files; newest commit: {commit}\n{}",
        inspection.store,
        inspection.format,
        HumanBytes(inspection.file_bytes),
        rows.render("it holds nothing"),
    )
}
