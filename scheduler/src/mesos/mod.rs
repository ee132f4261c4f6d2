//! The shell around the link to a master that is not in this process: it connects, sends and reads
//! as the link wants it, and decides nothing.

/// What is said at the start, so that nobody takes the promises of our own master for those of
/// another one.
pub(crate) const PROMISES: &str = "the hosts are those of another master: no lease ends tasks on a \
    host that is cut off; they count as perhaps alive for --unreachable-wait, and are started again \
    after it";

mod answer;
mod calls;
mod config;
mod counts;
mod dial;
mod program;
mod shell;
mod subscription;

pub use self::config::MesosConfig;
pub(crate) use self::{
    config::{advise, check},
    counts::{Became, Counted, LinkCounts},
    program::Program,
    shell::{Ends, LinkHandle, Shell},
};
pub use muster_session::link::Masters;
