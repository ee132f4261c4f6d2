//! The executor as an agent of Apache Mesos sees it: the same tests, with an agent that speaks Mesos v1
//! and nothing else, and those of what is different there.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "../executor/conversation.rs"]
mod conversation;
mod fake_agent;
#[path = "../executor/hosting.rs"]
mod hosting;
mod mesos;
#[path = "../executor/process.rs"]
mod process;
#[path = "../executor/residents.rs"]
mod residents;
#[path = "../executor/scripts.rs"]
mod scripts;
#[path = "../executor/witness.rs"]
mod witness;
