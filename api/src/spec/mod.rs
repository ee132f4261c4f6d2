//! App and job documents.
//!
//! The types here are what is stored and answered; reading them back from storage tolerates
//! fields of other versions. What users send goes through [`AppSpec::parse`] and
//! [`JobSpec::parse`], which refuse unknown fields and name every fault at once.

mod app;
mod check;
mod constraint;
mod document;
mod job;
mod misfire;
mod notify;
mod pattern;
mod read_app;
mod read_execution;
mod read_job;
mod read_placement;
mod reader;
mod request;
mod spread;
#[cfg(test)]
mod tests;
mod values;
pub mod webhook;

pub use app::{AppSpec, Artifact, Lease};
pub use constraint::{Constraint, HOSTNAME, Rule, Test};
pub use document::{Fault, InvalidDocument, Parsed, Spec};
pub use job::{
    Backoff, Execution, Failover, Gap, JobSpec, JobType, Launch, Overlap, Retry, ScheduleSpec,
    ScriptSpec, Sharding,
};
pub use misfire::{Misfire, MisfirePolicy};
pub use notify::{InvalidNoticeKind, NoticeKind, Notify};
pub use pattern::{InvalidPattern, Matcher, Pattern};
pub use request::RequestBody;
pub use spread::Spread;
