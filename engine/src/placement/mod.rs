//! Where waiting shards go. `solve` knows nothing of runs and agents: it sees small integers.

mod problem;
mod solve;

pub(crate) use problem::{Class, Problem, Room, Unplaced};
pub(crate) use solve::solve;
