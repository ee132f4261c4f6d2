//! The Mesos-style master: it turns the free resources of agents into offers to frameworks.
//!
//! [`core`] is the pure state machine; [`server`] is the shell around it that agents dial.

pub mod core;
pub mod server;
