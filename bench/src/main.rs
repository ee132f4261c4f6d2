//! Measures Muster beside the physical floor of the machine that it runs on. `README.md` says what
//! each row means.
//!
//! Absolute figures of a shared machine say little, so each round measures a floor, Muster, and the
//! floor again, and what counts is the median of the ratios.

mod bench;
mod cluster;
mod floor;
mod history;
mod many_jobs;
mod placement;
mod programs;
mod report;
mod rest;
mod rows;
mod stats;
mod stores;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use bench::Bench;
use programs::Programs;
use report::{Report, Row};

/// Measures Muster beside the physical floor of this machine
#[derive(Debug, Parser)]
#[command(name = "muster-bench", version)]
struct Flags {
    /// How often each row is measured; the median counts [default: 5, with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Measure next to nothing, only to see that all of it works
    #[arg(long)]
    quick: bool,
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<rows::Kind>,
    /// How many jobs the scheduler of the row `jobs` has [default: 1000000, with --quick 200]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    jobs: Option<u64>,
    /// Use the programs of this folder as they are [default: build them, and use those]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Where all that is stored goes; its disk is what is measured [default: beside the programs]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How the result is shown.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let programs = match &flags.bin_dir {
        Some(folder) => Programs::find(folder)?,
        None => Programs::build().context("cannot build what is to be measured")?,
    };
    // Beside the programs, so that it is on the disk that everything was built on and not in the
    // memory that `/tmp` may be.
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(flags.dir.as_deref().unwrap_or(programs.folder()))
        .context("cannot make a folder for the measurement")?;
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut sizes = if flags.quick { rows::QUICK } else { rows::FULL };
    sizes.jobs = flags.jobs.unwrap_or(sizes.jobs);
    let mut bench = Bench::new(&programs, folder.path(), sizes);
    let outcome = tokio::select! {
        outcome = measure(&flags, &mut bench) => outcome,
        _ = terminate.recv() => Err(anyhow::anyhow!("told to end")),
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    let log = bench.end().await?;
    let report = outcome.with_context(|| format!("muster said:\n{log}"))?;
    let text = match flags.output {
        Output::Table => report.table(),
        Output::Json => report.json(),
    };
    writeln!(io::stdout(), "{text}").context("cannot show the result")
}

async fn measure(flags: &Flags, bench: &mut Bench<'_>) -> anyhow::Result<Report> {
    let kinds = match flags.rows.as_slice() {
        [] => rows::Kind::value_variants(),
        some => some,
    };
    let rounds = flags.rounds.unwrap_or(if flags.quick { 1 } else { 5 });
    let mut measured: Vec<Row> = Vec::new();
    for round in 1..=rounds {
        for kind in kinds {
            writeln!(io::stderr(), "round {round} of {rounds}: {}", kind.words())?;
            for figure in bench.measure(*kind).await? {
                match measured.iter_mut().find(|row| row.what == figure.what) {
                    Some(row) => row.samples.push(figure.sample),
                    None => measured.push(figure.into()),
                }
            }
        }
    }
    if measured.is_empty() {
        bail!("nothing was measured");
    }
    Ok(Report { rounds, debug: cfg!(debug_assertions), rows: measured })
}
