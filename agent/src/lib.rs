//! The daemon of one executor host, and the supervisor of one executor.
//!
//! [`run`] is the agent: its decisions are made by the pure [`core`], everything else here carries
//! them out. [`supervise`] is the small process between the agent and each executor.

mod archive;
mod config;
pub mod core;
mod entropy;
mod executor_api;
mod fetch;
mod journal;
mod link;
mod logs;
mod notes;
mod outbox;
mod run;
mod sandbox;
mod shell;
mod stream;
pub mod supervise;
mod supervisors;
mod wire;
mod work_dir;

pub use config::{AgentConfig, InvalidConfig};
pub use run::run;
pub use supervisors::end_all;
