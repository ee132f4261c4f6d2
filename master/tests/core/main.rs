//! The master core, driven through its public face: events in, effects out. Debug builds check the
//! ledger after each of these steps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod accept;
mod agents;
mod calls;
mod drains;
mod gone;
mod offers;
mod random;
mod reconcile;
mod reports;
mod sharing;
mod store;
mod world;
