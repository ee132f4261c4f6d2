//! The scheduling core of Muster, as a pure state machine.
//!
//! Events go in, and what they lead to comes out: records to store, effects to carry out once the
//! records are durable, and notes. The engine reads no clock, does no I/O and knows nothing of
//! Mesos messages; see [`Engine::step`].

mod agents;
mod apps;
mod check;
mod cx;
mod documents;
pub mod effect;
mod engine;
pub mod event;
mod executors;
mod fires;
mod held;
pub mod items;
mod launch;
mod load;
mod offered;
mod place;
pub mod placement;
mod queries;
pub mod query;
mod queue;
pub mod records;
pub mod render;
mod restore;
mod run;
mod runs;
mod sweeps;
mod tables;
mod task;
mod tasks;
mod triggers;
mod waits;
mod world;

pub use engine::{Engine, EngineConfig, RestoreError, Wakeup};
pub use load::Loader;
