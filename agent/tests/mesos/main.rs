//! Executors of foreign frameworks on a real agent: over plain HTTP, with real processes.
#![allow(clippy::unwrap_used, reason = "this is test code")]
#![allow(unreachable_pub, reason = "each file of this test uses its part of the support")]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod hostile;
mod processes;
mod refusals;
mod restarts;
