//! What the REST API answers, beside the documents themselves.

mod access;
mod agent;
mod app;
mod cluster;
mod fire;
mod framework;
mod installation;
mod job;
mod offer;
mod page;
mod problem;
mod queue;
mod run;
mod shard;

pub use access::{CredentialRequest, NewCredentialView, WeightRequest};
pub use agent::{AgentState, AgentView, DrainRequest, DrainView, LeftView};
pub use app::{AppStatus, AppView};
pub use cluster::ClusterView;
pub use fire::{FireOutcome, FireView, NextFire};
pub use framework::{CredentialView, FrameworkState, FrameworkTaskView, FrameworkView, RoleView};
pub use installation::{HeldView, ReconcilingView, ResumeRequest};
pub use job::{JobStatus, JobView};
pub use offer::OfferView;
pub use page::Page;
pub use problem::Problem;
pub use queue::{QueueView, WaitReason};
pub use run::{Cause, RerunRequest, RunState, RunView, TriggerRequest};
pub use shard::{ShardCounts, ShardState, ShardView};
