//! Why a run that was asked for does not start.

use std::time::Duration;

use muster_api::{
    Mono, clock,
    views::{QueueView, RunView},
};

use super::{Session, rows};
use crate::{
    client::{Call, ClientError},
    screen::{printable, word},
};

/// How long a run may take to start before the reason is asked for: most start sooner.
const PATIENCE: Duration = Duration::from_secs(2);
/// Runs of the queue that are looked through.
const QUEUE_ROWS: usize = muster_api::limits::LIVE_ROWS;

/// What was said of a run that waits.
pub(super) struct Why {
    since: Mono,
    said: Option<String>,
}

impl Why {
    /// It is waited for from now on.
    pub(super) fn new() -> Self {
        Self { since: clock::mono(), said: None }
    }

    /// Why nothing of the run has started, if that is news. Somebody who waits anyway can do
    /// without it, so a call that fails is left at that.
    pub(super) async fn news(&mut self, session: &Session, run: &RunView) -> Option<&str> {
        let waits = run.started_at.is_none() && !run.state.is_over();
        if !waits || clock::mono().since(self.since) < PATIENCE {
            return None;
        }
        let reason = reason(session, run).await.ok().flatten();
        let reason = reason.filter(|reason| self.said.as_ref() != Some(reason))?;
        Some(self.said.insert(reason))
    }
}

async fn reason(session: &Session, run: &RunView) -> Result<Option<String>, ClientError> {
    let queue = session.client.list(Call::get("/v1/queue"), QUEUE_ROWS).await?;
    let queue: Vec<QueueView> = rows(&queue.items).unwrap_or_default();
    Ok(queue.iter().find(|waiting| waiting.run == run.id).map(describe))
}

/// Why a run waits, in one line.
pub(super) fn describe(waiting: &QueueView) -> String {
    if waiting.detail.is_empty() { word(waiting.reason) } else { printable(&waiting.detail) }
}
