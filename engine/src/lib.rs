//! The scheduling core of Muster, as a pure state machine.
//!
//! Events go in, and what they lead to comes out: records to store, effects to carry out once the
//! records are durable, and notes. The engine reads no clock, does no I/O and knows nothing of
//! Mesos messages; see [`Engine::step`].

mod aftermath;
mod agents;
mod apps;
mod blocker;
mod check;
mod cx;
mod daemons;
mod deadlines;
mod demands;
mod documents;
mod drains;
pub mod effect;
mod engine;
pub mod event;
mod executions;
mod executors;
mod explain;
mod fires;
mod held;
mod idempotency;
pub mod items;
mod launch;
mod ledger;
mod load;
mod merges;
mod misfire;
mod offered;
mod place;
mod placed;
pub mod placement;
mod queries;
pub mod query;
mod queue;
mod reconcile;
pub mod records;
pub mod render;
mod reruns;
mod restore;
mod revisions;
mod run;
mod running;
mod runs;
mod sweeps;
mod tables;
mod task;
mod tasks;
mod triggers;
mod waits;
mod world;
mod zombies;

pub use engine::{Engine, EngineConfig, RestoreError, Wakeup};
pub use load::Loader;
