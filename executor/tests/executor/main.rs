//! The executor as its agent sees it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod fake_agent;
mod hosting;
mod process;
mod residents;
mod scripts;
