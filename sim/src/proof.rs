//! The proof that the oracles are good for something: planted bugs, and how soon each is found.

use std::{collections::BTreeMap, fmt};

use crate::{
    bugs::Bug,
    world::{Options, run},
};

/// What came of a planted bug over some worlds.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The bug.
    pub bug: Bug,
    /// In how many worlds it was planted.
    pub worlds: u64,
    /// The first seed whose world showed it.
    pub first: Option<u64>,
    /// Which oracles found it, in how many worlds each.
    pub found_by: BTreeMap<&'static str, u64>,
}

/// Plants a bug into the worlds of some seeds.
pub fn prove(bug: Bug, seeds: impl Iterator<Item = u64>) -> Proof {
    let mut proof = Proof { bug, worlds: 0, first: None, found_by: BTreeMap::new() };
    for seed in seeds {
        proof.worlds += 1;
        let outcome = run(seed, Options { keep_lines: false, bug: Some(bug) });
        if let Some(violation) = outcome.violation {
            proof.first.get_or_insert(seed);
            *proof.found_by.entry(violation.oracle).or_default() += 1;
        }
    }
    proof
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bug, worlds, first, found_by } = self;
        let found: u64 = found_by.values().sum();
        let first = first.map_or_else(|| "never".to_owned(), |seed| format!("seed {seed}"));
        writeln!(f, "{bug:<24} in {found:>3} of {worlds} worlds, first {first}")?;
        for (oracle, count) in found_by {
            writeln!(f, "    {count:>4}  {oracle}")?;
        }
        Ok(())
    }
}
