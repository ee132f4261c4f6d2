//! Deterministic simulation: the real cores of scheduler, agents, supervisors and executors in one
//! virtual world, with faults, and the oracles that judge it.
//!
//! A world is one thread and one order of happenings. All choices come from one stream, so that a
//! seed is a world: what it does can be seen again and again.

mod agent_node;
mod bugs;
mod clock;
mod disk;
mod doors;
mod executor_node;
mod faults;
mod frozen;
mod guest_node;
mod happening;
mod master_node;
mod network;
mod oracles;
mod proof;
mod report;
mod scheduler_node;
mod setting;
mod stage;
mod user_code;
mod users;
mod webhook;
mod world;
mod years;

pub use bugs::{Bug, UnknownBug};
pub use faults::Fault;
pub use oracles::Violation;
pub use proof::{Proof, prove};
pub use report::{Outcome, Summary};
pub use world::{Options, run, run_twice};
pub use years::{Life, Tally, YearsOutcome, live};
