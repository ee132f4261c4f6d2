//! The scheduler process: driver, stores, REST.

pub mod backup;
mod driver;
mod handle;
mod load;
mod logs;
mod metrics;
pub mod ready;
mod replace;
pub mod rest;
mod retention;
pub mod secrets;
mod server;
pub mod store;
mod tables;
mod upgrade;
mod walk;

pub use handle::{DriverHandle, Request, RunsOver, Unavailable, Waiting, channel};
pub use metrics::Metrics;
pub use retention::HistoryLimits;
pub use server::{Config, run};
