//! Runs the worlds of many seeds, or shows what happens in the world of one.

use std::{fmt, io::Write as _, ops::RangeInclusive, str::FromStr};

use clap::{Parser, Subcommand};
use muster_sim::{Bug, Life, Options, Outcome, Summary, live, prove, run, run_twice};

/// Deterministic simulation of Muster.
#[derive(Debug, Parser)]
#[command(name = "muster-sim", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The seeds to run, both ends included, as in `1..100`.
    #[arg(long, default_value = "1..100")]
    seeds: Seeds,
    /// A bug to plant into each world.
    #[arg(long)]
    bug: Option<Bug>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what happens in the world of one seed, line by line: the time in seconds, the number
    /// of the happening, and what it is.
    Replay {
        /// The seed.
        seed: u64,
        /// A bug to plant.
        #[arg(long)]
        bug: Option<Bug>,
        /// Only what happens from this second on.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Only lines with this text, as the id of a task or `host2`; of several, lines with any.
        #[arg(long)]
        only: Vec<String>,
        /// Only so many lines, the last ones.
        #[arg(long)]
        last: Option<usize>,
    },
    /// Plants known bugs, one by one, and shows which oracles find them, and how soon.
    Prove {
        /// The seeds of the worlds to plant each into, both ends included.
        #[arg(long, default_value = "1..100")]
        seeds: Seeds,
    },
    /// Lets schedules fire for years, with a scheduler that is killed, and checks their ledger.
    Years {
        /// The year that it begins with.
        #[arg(long, default_value_t = 2026, value_parser = clap::value_parser!(i16).range(1970..=2099))]
        from: i16,
        /// How many years.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i16).range(1..=100))]
        years: i16,
        /// The seed.
        #[arg(long, default_value_t = 1)]
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
        Some(Command::Replay { seed, bug, from, only, last }) => {
            let outcome = run(seed, Options { keep_lines: true, bug });
            replay(&outcome, from, &only, last)
        }
        Some(Command::Prove { seeds }) => prove_all(&seeds),
        Some(Command::Years { from, years, seed }) => live_years(from, years, seed),
        None => run_all(arguments.seeds, arguments.bug),
    }
}

/// Runs seeds until one breaks an oracle.
fn run_all(seeds: Seeds, bug: Option<Bug>) -> anyhow::Result<()> {
    // A core that finds itself wrong panics; what it says is in the verdict.
    std::panic::set_hook(Box::new(|_| {}));
    let mut summary = Summary::default();
    for seed in seeds.0 {
        let outcome = run_twice(seed, bug);
        summary.add(&outcome);
        if let Some(violation) = outcome.violation {
            say(format_args!("{summary}"))?;
            let planted = bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
            anyhow::bail!(
                "seed {seed} breaks an oracle at step {}, after {} ms: {violation}\n\
                 see it with: cargo run --release -p muster-sim -- replay {seed}{planted}",
                outcome.steps,
                outcome.virtual_ms,
            );
        }
    }
    say(format_args!("{summary}"))
}

fn replay(
    outcome: &Outcome,
    from: u64,
    only: &[String],
    last: Option<usize>,
) -> anyhow::Result<()> {
    let seconds = |line: &str| line.trim_start().split('.').next()?.parse::<u64>().ok();
    let is_meant = |line: &&String| {
        seconds(line).is_none_or(|at| at >= from)
            && (only.is_empty() || only.iter().any(|text| line.contains(text)))
    };
    let lines: Vec<_> = outcome.lines.iter().filter(is_meant).collect();
    for line in lines.iter().skip(lines.len().saturating_sub(last.unwrap_or(usize::MAX))) {
        say(format_args!("{line}\n"))?;
    }
    match &outcome.violation {
        None => Ok(()),
        Some(violation) => anyhow::bail!("step {}: {violation}", outcome.steps),
    }
}

fn prove_all(seeds: &Seeds) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut unfound = Vec::new();
    for bug in Bug::ALL {
        let proof = prove(bug, seeds.0.clone());
        say(format_args!("{proof}"))?;
        if proof.first.is_none() {
            unfound.push(bug.to_string());
        }
    }
    anyhow::ensure!(unfound.is_empty(), "no oracle finds {}", unfound.join(", "));
    Ok(())
}

fn live_years(from: i16, years: i16, seed: u64) -> anyhow::Result<()> {
    let new_year = |year| jiff::civil::date(year, 1, 1);
    let outcome = live(Life { from: new_year(from), until: new_year(from + years), seed });
    say(format_args!("{outcome}"))?;
    match outcome.violation {
        None => Ok(()),
        Some(violation) => anyhow::bail!(
            "the ledger is wrong: {violation}\nsee it again with: \
             cargo run --release -p muster-sim -- years --from {from} --years {years} --seed {seed}"
        ),
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
