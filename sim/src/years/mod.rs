//! Years of schedules: the real core with a store in memory, one host, and a scheduler that is
//! killed and stays away, in virtual time that jumps from one happening to the next.
//!
//! In the end every planned instant must have exactly one outcome in the ledger, and nothing else
//! may be there. What is planned is reckoned by a calendar that shares no code with the schedules. And
//! each outcome must be one that the misfire rule of that time allows, from what the runs say.

mod calendar;
mod host;
mod jobs;
mod ledger;
mod life;
mod misfires;
mod scheduler;

pub use ledger::Tally;
pub use life::{Life, YearsOutcome, live};
