//! Runs the worlds of many seeds, or shows what happens in the world of one.

use std::{fmt, io::Write as _, ops::RangeInclusive, str::FromStr};

use clap::{Parser, Subcommand};
use muster_sim::{Options, Summary, run, run_twice};

/// Deterministic simulation of Muster.
#[derive(Debug, Parser)]
#[command(name = "muster-sim", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The seeds to run, both ends included, as in `1..100`.
    #[arg(long, default_value = "1..100")]
    seeds: Seeds,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything that happens in the world of one seed.
    Replay {
        /// The seed.
        seed: u64,
    },
}

/// Seeds from one to another, both included.
#[derive(Debug, Clone)]
struct Seeds(RangeInclusive<u64>);

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no range of seeds; write it as in 1..100, both ends included")]
struct InvalidSeeds {
    text: String,
}

impl FromStr for Seeds {
    type Err = InvalidSeeds;
    fn from_str(text: &str) -> Result<Self, InvalidSeeds> {
        let invalid = || InvalidSeeds { text: text.to_owned() };
        let (first, last) = text.split_once("..").ok_or_else(invalid)?;
        let (first, last): (u64, u64) =
            (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
        if first > last { Err(invalid()) } else { Ok(Self(first..=last)) }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Replay { seed }) => replay(seed),
        None => run_all(arguments.seeds.0),
    }
}

/// Runs seeds until one breaks an oracle.
fn run_all(seeds: RangeInclusive<u64>) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    for seed in seeds {
        let outcome = run_twice(seed, None);
        summary.add(&outcome);
        if let Some(violation) = outcome.violation {
            say(format_args!("{summary}"))?;
            anyhow::bail!(
                "seed {seed} breaks an oracle at step {}, after {} ms: {violation}\n\
                 see it with: cargo run -p muster-sim -- replay {seed}",
                outcome.steps,
                outcome.virtual_ms,
            );
        }
    }
    say(format_args!("{summary}"))
}

fn replay(seed: u64) -> anyhow::Result<()> {
    let outcome = run(seed, Options { keep_lines: true, bug: None });
    for line in &outcome.lines {
        say(format_args!("{line}\n"))?;
    }
    match outcome.violation {
        None => Ok(()),
        Some(violation) => anyhow::bail!("seed {seed}, step {}: {violation}", outcome.steps),
    }
}

fn say(words: fmt::Arguments<'_>) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_fmt(words)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_seeds_include_both_ends() {
        assert_eq!("1..100".parse::<Seeds>().unwrap().0, 1..=100);
        assert_eq!("7..7".parse::<Seeds>().unwrap().0.count(), 1);
        for bad in ["", "5", "5..4", "a..b", "1..=3", "-1..2"] {
            assert!(bad.parse::<Seeds>().is_err(), "{bad}");
        }
    }
}
