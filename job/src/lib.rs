//! What the author of a job sees: handlers by name, their context, errors and results.
//!
//! Nothing here knows how tasks arrive. An executor hosts a [`Jobs`] and calls its handlers; so
//! could a program that runs the same code by itself.
//!
//! ```
//! use muster_job::{Context, JobError, Jobs};
//!
//! let jobs = Jobs::new()
//!     .register("greet", |context: Context| async move {
//!         context.log(&format!("hello from shard {}", context.shard_item()));
//!         Ok::<(), JobError>(())
//!     })
//!     .register_blocking("crunch", |context: Context| {
//!         Ok::<_, JobError>(format!("crunched {}", context.prop("input").unwrap_or("nothing")))
//!     });
//! assert_eq!(jobs.names().collect::<Vec<_>>(), ["crunch", "greet"]);
//! ```

mod context;
mod error;
mod jobs;
mod outcome;
pub mod testing;

pub use context::{Canceller, Context, Output};
pub use error::JobError;
pub use jobs::Jobs;
pub use outcome::{Outcome, ResultTooLong};
