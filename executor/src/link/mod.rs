//! The connection to the agent: dialled again and again, calls out, events in.
//!
//! An agent of ours gives a stream of both, by an upgrade ([`upgraded`]). Any other speaks the executor
//! API of Mesos v1 and nothing else ([`plain`]). Which of the two it is says the agent itself, by its
//! answer to the request for the upgrade: the environment cannot, for whoever starts an executor may
//! set or clear what he likes there.

mod dial;
mod error;
mod heard;
mod patience;
mod plain;
mod upgraded;

pub(crate) use dial::{Line, LinkEvent, open};
pub(crate) use patience::GivenUp;
