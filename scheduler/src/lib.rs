//! The scheduler process: driver, stores, REST.

mod addresses;
pub mod backup;
mod cluster;
mod driver;
mod handle;
mod load;
mod logs;
pub mod mesos;
mod metrics;
mod notices;
mod port;
pub mod ready;
mod replace;
pub mod rest;
mod retention;
pub mod secrets;
mod server;
pub mod store;
mod tables;
pub mod trace;
mod upgrade;
mod walk;

pub use handle::{DriverHandle, Request, RunsOver, Unavailable, Waiting, channel};
pub use metrics::Metrics;
pub use muster_engine::Installation;
pub use notices::Notifying;
pub use retention::HistoryLimits;
pub use server::{Config, run};
