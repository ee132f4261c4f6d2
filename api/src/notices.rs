//! Notices: what the scheduler tells by itself, as receivers get it and as it is listed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{AgentId, AppName, JobName, NoticeId, RunId, Span, Timestamp, spec::NoticeKind};

/// Something that is told. What is not set does not belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, the same however often it is sent: receivers tell by it what they have already.
    pub id: NoticeId,
    /// What it tells of.
    pub kind: NoticeKind,
    /// When that was decided.
    pub at: Timestamp,
    /// A state of the run or host, or the outcome of the planned instants.
    pub state: Cow<'static, str>,
    /// Why, in words for people.
    pub reason: String,
    /// Where more is to be seen: a path of the REST API.
    pub link: String,
    /// The app of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The planned instant, or the first of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
    /// The last of several planned instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_until: Option<Timestamp>,
    /// How many planned instants they are; absent where nobody counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How long after it was due the run has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by: Option<Span>,
    /// The agent of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// What a webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeBody {
    /// The name of the installation that sends it, where it has one.
    pub installation: String,
    /// The notice.
    #[serde(flatten)]
    pub notice: Notice,
}

/// A notice that waits to be delivered, as `GET /v1/notices` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// The notice.
    #[serde(flatten)]
    pub notice: Notice,
    /// Where it goes: scheme, host and port. The rest of the URI may be a secret.
    pub webhook: String,
    /// How often that was tried since the scheduler started.
    pub tries: u32,
    /// What became of the last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it is tried again at the earliest; absent when it only waits for its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
}
