//! The scheduler process: driver, stores, REST.

pub mod backup;
mod driver;
mod handle;
mod load;
mod logs;
mod metrics;
mod notices;
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
