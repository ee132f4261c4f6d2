//! The processes of this host, by way of `/proc`: which live, which descend from which, and how all
//! that somebody has started is ended.
//!
//! Supervisors and executors both must know that nothing is left of what they ran; no process can say
//! that of itself.

mod end;
mod table;

pub use end::{end_descendants, end_marked, marked_live, signal_descendants, signal_marked};
pub use table::{Process, Table, descendants, group_lives, table};
