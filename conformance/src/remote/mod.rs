//! An executor of the suite: this program again, started by an agent, which does what the suite
//! tells it over a connection on the loopback interface.

mod host;
mod process;
mod wire;

pub use host::{Expected, Remote, Remotes};
pub use process::play;
pub use wire::Hello;
