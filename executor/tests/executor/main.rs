//! The executor as an agent of ours sees it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod commands;
mod conversation;
mod fake_agent;
mod hosting;
mod process;
mod residents;
mod scripts;
mod stream;
mod witness;
