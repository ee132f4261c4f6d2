//! The scheduler process: driver, stores, REST.

mod driver;
mod handle;
mod logs;
pub mod ready;
mod replace;
pub mod rest;
pub mod secrets;
mod server;
pub mod store;

pub use handle::{DriverHandle, Request, RunsOver, Unavailable, channel};
pub use server::{Config, run};
