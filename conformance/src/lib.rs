//! A black-box client of any Mesos v1 master and agent.
//!
//! Each case plays a framework (and, under an agent, an executor) of its own, says over plain
//! HTTP what a framework would say, and holds what comes back against what a real Mesos was seen
//! to give. Nothing here knows whom it speaks with. `replay` does the same with whole recordings.

pub mod arguments;
pub mod case;
pub mod cases;
pub mod context;
pub mod encoding;
pub mod events;
pub mod executor;
pub mod framework;
pub mod http;
pub mod outcome;
pub mod remote;
pub mod replay;
pub mod report;
pub mod runner;
mod session;
pub mod target;
pub mod tasks;
