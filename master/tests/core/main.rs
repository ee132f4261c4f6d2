//! The master core, driven through its public face: events in, effects out. Debug builds check the
//! ledger after each of these steps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod accept;
mod agents;
mod bounds;
mod calls;
mod credentials;
mod drains;
mod failover;
mod gone;
mod groups;
mod hellos;
mod offers;
mod random;
mod reconcile;
mod reports;
mod roles;
mod sharing;
mod silence;
mod store;
mod streams;
mod world;
