//! The scheduling core of Muster, as a pure state machine.
//!
//! Events go in, and what they lead to comes out: records to store, effects to carry out once the
//! records are durable, and notes. The engine reads no clock, does no I/O and knows nothing of
//! Mesos messages; see [`Engine::step`].

mod aftermath;
mod agents;
mod apps;
mod blocker;
pub mod census;
mod check;
mod command;
mod cx;
mod daemons;
mod deadlines;
mod demands;
mod dispatch;
mod documents;
mod drains;
pub mod effect;
mod ends;
mod engine;
pub mod event;
mod executions;
mod executors;
mod explain;
mod fires;
mod held;
mod hosts;
mod idempotency;
pub mod items;
mod launch;
mod ledger;
mod load;
mod lost_hosts;
mod merges;
mod misfire;
mod missed;
mod notices;
mod offered;
mod outbox;
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
mod rolls;
mod run;
mod running;
mod runs;
mod sharing;
mod shortage;
mod steady;
mod sweeps;
mod tables;
mod task;
mod tasks;
mod trace;
mod triggers;
mod unreachable;
mod waits;
mod weight;
mod world;
mod zombies;

pub use engine::{Engine, EngineConfig, ForeignMaster, Installation, RestoreError, Wakeup};
pub use load::Loader;
